//! A hint on the family of rate-limit headers, from those that the answers with status 429 document. Only the simple cases
//! are told; no hint beats a wrong one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::record::LimitsRecord;

use super::operations::Operation;
use super::walk::{Walk, below};

/// The hint, when some operation documents such headers.
pub(super) fn of<'d>(walk: &mut Walk<'d>, operations: &[Operation<'d>]) -> Option<LimitsRecord> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for operation in operations {
        let Some(responses) = operation.responses() else { continue };
        let Some((status, response)) = responses.get_key_value("429") else { continue };
        let at = below(&format!("{}/responses", operation.at), status);
        let headers = walk.resolved(response, &at).and_then(|r| r.get("headers")).and_then(Value::as_object);
        names.extend(headers.into_iter().flat_map(|headers| headers.keys()).map(|name| name.to_lowercase()));
    }
    let has = |prefix: &str| names.iter().any(|name| name.starts_with(prefix) && name.ends_with("remaining"));
    let family = if has("x-ratelimit-") {
        "x-ratelimit"
    } else if has("x-rate-limit-") {
        "x-rate-limit"
    } else if has("ratelimit-") {
        "ietf-06"
    } else if names.contains("ratelimit") {
        "ietf-08"
    } else if names.contains("retry-after") {
        "retry-after"
    } else {
        return None;
    };
    Some(LimitsRecord { family: Some(family.to_owned()), ..LimitsRecord::default() })
}
