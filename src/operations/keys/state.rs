//! What a stored key needs of a person, as far as dates and the last try tell. It reminds and stops nothing: only an expiry
//! date takes a key out of use.

use serde::Serialize;
use utoipa::ToSchema;

use crate::store::ListedCredential;

use super::Verdict;

/// How long before its expiry a key is spoken of, in seconds.
const SOON: i64 = 14 * 24 * 60 * 60;

/// What a key needs. Where several hold, the most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Nothing.
    Ok,
    /// Its value is older than it was to become.
    RotationDue,
    /// It expires within two weeks.
    ExpiresSoon,
    /// The service did not take its current value when it was tried last.
    Refused,
    /// It has expired and is not used any more.
    Expired,
}

impl KeyState {
    /// Its text in the audit and the metrics, which never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::RotationDue => "rotation_due",
            Self::ExpiresSoon => "expires_soon",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }

    pub(super) fn of(listed: &ListedCredential, now: i64) -> Self {
        let expires_by = |at: i64| listed.credential.expires.is_some_and(|expires| expires <= at);
        let refused = |version| version == listed.credential.version;
        if expires_by(now) {
            Self::Expired
        } else if listed.verified.as_ref().is_some_and(|v| refused(v.version) && v.verdict == Verdict::Refused.as_str())
        {
            Self::Refused
        } else if expires_by(now.saturating_add(SOON)) {
            Self::ExpiresSoon
        } else if due(listed).is_some_and(|at| at <= now) {
            Self::RotationDue
        } else {
            Self::Ok
        }
    }
}

/// When a new value is due, in Unix seconds.
pub(super) fn due(listed: &ListedCredential) -> Option<i64> {
    listed.rotate_every.map(|every| listed.value_since.saturating_add(every))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::KEY_STATES;

    #[test]
    fn the_metrics_know_every_state() {
        use KeyState::{Expired, ExpiresSoon, Ok, Refused, RotationDue};
        assert_eq!([Ok, RotationDue, ExpiresSoon, Refused, Expired].map(KeyState::as_str), KEY_STATES);
    }
}
