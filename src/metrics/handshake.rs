//! How the handshake of a tunnel that is opened may end, in words for metrics and the audit.

/// What became of a tunnel that was to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// A whole handshake.
    Full,
    /// A session was resumed.
    Resumed,
    /// The client does not trust our authority.
    Untrusted,
    /// It asked for another host than the tunnel's.
    OtherName,
    /// It took too long.
    Slow,
    /// It does not speak TLS.
    NotTls,
    /// It left.
    Gone,
    /// No certificate could be made.
    Unminted,
    /// Anything else.
    Broken,
}

impl Handshake {
    /// All of them, in the order of the variants.
    pub const ALL: [Self; 9] = [
        Self::Full,
        Self::Resumed,
        Self::Untrusted,
        Self::OtherName,
        Self::Slow,
        Self::NotTls,
        Self::Gone,
        Self::Unminted,
        Self::Broken,
    ];

    /// The text of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Untrusted => "untrusted",
            Self::OtherName => "other_name",
            Self::Slow => "slow",
            Self::NotTls => "not_tls",
            Self::Gone => "gone",
            Self::Unminted => "unminted",
            Self::Broken => "broken",
        }
    }

    /// Why the tunnel was not opened, in a word of the audit; none when it was.
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Full | Self::Resumed => None,
            Self::Untrusted => Some("tls_untrusted"),
            Self::OtherName => Some("tls_other_name"),
            Self::Slow => Some("tls_slow"),
            Self::NotTls => Some("tls_not_spoken"),
            Self::Gone => Some("tls_client_gone"),
            Self::Unminted => Some("tls_no_certificate"),
            Self::Broken => Some("tls_broken"),
        }
    }
}
