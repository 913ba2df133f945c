//! The stable codes of every answer that sidekey makes itself. The status and the prose are chosen in `pipeline`.

/// Why a request was answered by sidekey and not by the upstream. The text of a code never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// Unparsable target, smuggling shape, dot segments where rules apply, TRACE.
    BadRequest,
    /// A web page's request.
    BrowserRefused,
    /// Proof missing or wrong.
    CallerUnknown,
    /// The service's `allow` rules, or no grant for the named key.
    NotAllowed,
    /// No such service.
    ServiceUnknown,
    /// The service is known, this caller has no key for it.
    CredentialMissing,
    /// Two keys on one step of the selection order.
    CredentialAmbiguous,
    /// Our limit, or the wait would outlast the deadline.
    RateLimited,
    /// The upstream could not be reached.
    UpstreamUnreachable,
    /// The upstream's certificate or handshake failed.
    UpstreamTls,
    /// The upstream's answer was no HTTP, or broke off.
    UpstreamBroken,
    /// The upstream's address is refused (private, loopback, metadata, ourselves …).
    AddressRefused,
    /// A queue or cap of this process is full.
    Overloaded,
    /// The circuit in front of the upstream is open.
    CircuitOpen,
    /// The vault or the audit log cannot be used now.
    StoreUnavailable,
    /// The upstream did not answer in time.
    UpstreamTimeout,
}

impl Code {
    /// Every code, in the order of the documentation.
    pub const ALL: [Self; 16] = [
        Self::BadRequest,
        Self::BrowserRefused,
        Self::CallerUnknown,
        Self::NotAllowed,
        Self::ServiceUnknown,
        Self::CredentialMissing,
        Self::CredentialAmbiguous,
        Self::RateLimited,
        Self::UpstreamUnreachable,
        Self::UpstreamTls,
        Self::UpstreamBroken,
        Self::AddressRefused,
        Self::Overloaded,
        Self::CircuitOpen,
        Self::StoreUnavailable,
        Self::UpstreamTimeout,
    ];

    /// The text that stands in answers, logs, metrics and the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::BrowserRefused => "browser_refused",
            Self::CallerUnknown => "caller_unknown",
            Self::NotAllowed => "not_allowed",
            Self::ServiceUnknown => "service_unknown",
            Self::CredentialMissing => "credential_missing",
            Self::CredentialAmbiguous => "credential_ambiguous",
            Self::RateLimited => "rate_limited",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamTls => "upstream_tls",
            Self::UpstreamBroken => "upstream_broken",
            Self::AddressRefused => "address_refused",
            Self::Overloaded => "overloaded",
            Self::CircuitOpen => "circuit_open",
            Self::StoreUnavailable => "store_unavailable",
            Self::UpstreamTimeout => "upstream_timeout",
        }
    }
}
