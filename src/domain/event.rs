//! The kinds of events: what an operator should look at. When one has happened is decided in `usage`; where it is told, on
//! the roof.

/// What an event is about. The text of a kind never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// A workflow that was known for a while calls an endpoint for the first time.
    NewEndpoint,
    /// The upstream turned a key away again and again.
    AuthFailures,
    /// The upstream answered 429.
    UpstreamThrottled,
    /// Far more calls than in the same hours before.
    UnusualVolume,
    /// A key expires soon.
    KeyExpiring,
    /// A key has expired.
    KeyExpired,
    /// A key is to get a new value soon, or was to.
    RotationDue,
    /// Somebody without a valid proof knocks again and again.
    UnknownCallers,
}

impl EventKind {
    /// Every kind, in the order of the documentation, which is that of the variants.
    pub const ALL: [Self; 8] = [
        Self::NewEndpoint,
        Self::AuthFailures,
        Self::UpstreamThrottled,
        Self::UnusualVolume,
        Self::KeyExpiring,
        Self::KeyExpired,
        Self::RotationDue,
        Self::UnknownCallers,
    ];

    /// The text that stands in logs, metrics, webhooks and the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NewEndpoint => "new_endpoint",
            Self::AuthFailures => "auth_failures",
            Self::UpstreamThrottled => "upstream_throttled",
            Self::UnusualVolume => "unusual_volume",
            Self::KeyExpiring => "key_expiring",
            Self::KeyExpired => "key_expired",
            Self::RotationDue => "rotation_due",
            Self::UnknownCallers => "unknown_callers",
        }
    }

    /// The act under which it stands in the audit.
    pub const fn act(self) -> &'static str {
        match self {
            Self::NewEndpoint => "event.new_endpoint",
            Self::AuthFailures => "event.auth_failures",
            Self::UpstreamThrottled => "event.upstream_throttled",
            Self::UnusualVolume => "event.unusual_volume",
            Self::KeyExpiring => "event.key_expiring",
            Self::KeyExpired => "event.key_expired",
            Self::RotationDue => "event.rotation_due",
            Self::UnknownCallers => "event.unknown_callers",
        }
    }

    /// The kind whose text is `text`.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}
