//! What may be requested of a service or through a share: methods and paths. How often is in `limits` and `quota`.

use super::Rule;

/// What may be requested. Nothing set: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Requests that one of these rules admits; when absent, all, and when there is none, nothing.
    pub rules: Option<Vec<Rule>>,
    /// Only methods that change nothing (RFC 9110 §9.2.1): GET, HEAD and OPTIONS.
    pub read_only: bool,
}

impl Allowed {
    /// Whether it is everything.
    pub const fn is_everything(&self) -> bool {
        !self.read_only && self.rules.is_none()
    }

    /// Whether `method` and `path` (without the query, as sent) are within it.
    pub fn admits(&self, method: &str, path: &str) -> bool {
        self.admits_method(method)
            && self.rules.as_ref().is_none_or(|all| all.iter().any(|one| one.admits(method, path)))
    }

    /// Whether `method` is within it as far as that is for reading only.
    pub fn admits_method(&self, method: &str) -> bool {
        !self.read_only || matches!(method, "GET" | "HEAD" | "OPTIONS")
    }
}
