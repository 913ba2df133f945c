//! A caller's own token among what it sent. At the path and host doors it may stand anywhere a key may stand, and it ends
//! here: it never goes upstream and is never written down. It decides nothing about what the token proves.

use std::borrow::Cow;
use std::ops::Range;

use http::header::COOKIE;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};

use super::outbound::retain;
use super::strip::strip_proof;
use super::{InjectError, Plan};

/// What every token begins with.
const PREFIX: &[u8] = b"skc_";
/// How much follows at least: 32 random bytes in base64.
const RANDOM: usize = 43;

/// Where the first token stands in `text`.
fn find(text: &[u8]) -> Option<Range<usize>> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let starts = text.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX).map(|(at, _)| at);
    starts.into_iter().find_map(|start| {
        let from = start + PREFIX.len();
        let random = text.get(from..)?.iter().take_while(|byte| is_part(byte)).count();
        (random >= RANDOM).then_some(start..from + random)
    })
}

fn holds(text: &[u8]) -> bool {
    find(text).is_some()
}

/// Takes the caller's token out of headers, cookies and query, wherever no placement of `plan` replaces it anyway.
///
/// # Errors
/// [`InjectError::Token`] when it stands in the path of a service that takes no key there: nothing sensible is left of
/// such a path without it.
pub fn withhold_token(parts: &mut Parts, plan: &Plan) -> Result<(), InjectError> {
    if plan.path.is_none() && holds(parts.uri.path().as_bytes()) {
        return Err(InjectError::Token);
    }
    if parts.uri.query().is_some_and(|query| holds(query.as_bytes())) {
        parts.uri = without_pairs(&parts.uri)?;
    }
    if parts.headers.get_all(COOKIE).iter().any(|line| holds(line.as_bytes())) {
        drop_cookies(&mut parts.headers);
    }
    strip_proof(&mut parts.headers, plan, PREFIX);
    Ok(())
}

/// The URI without the pairs of its query that hold a token.
fn without_pairs(uri: &Uri) -> Result<Uri, InjectError> {
    let query = uri.query().unwrap_or_default();
    let kept: Vec<&str> = query.split('&').filter(|pair| !holds(pair.as_bytes())).collect();
    let target = if kept.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), kept.join("&")) };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| InjectError::Target)?);
    Uri::from_parts(parts).map_err(|_| InjectError::Target)
}

/// Drops the cookies that hold a token; a line of which nothing is left goes whole.
fn drop_cookies(headers: &mut HeaderMap) {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| {
        let kept: Vec<&[u8]> = line.as_bytes().split(|byte| *byte == b';').filter(|pair| !holds(pair)).collect();
        HeaderValue::from_bytes(kept.join(&b';').trim_ascii()).ok().filter(|line| !line.is_empty())
    });
    let mut lines: Vec<HeaderValue> = lines.collect();
    if lines.is_empty() {
        retain(headers, |name| *name != COOKIE);
        return;
    }
    // `insert` keeps the field's place among the others.
    headers.insert(COOKIE, lines.remove(0));
    for line in lines {
        headers.append(COOKIE, line);
    }
}

/// `path` with `skc_…` in place of a caller's token, for what is written down.
pub fn mask_token(path: &str) -> Cow<'_, str> {
    let Some(found) = find(path.as_bytes()) else { return Cow::Borrowed(path) };
    let before = path.get(..found.start).unwrap_or_default();
    let after = path.get(found.end..).unwrap_or_default();
    Cow::Owned(format!("{before}skc_…{}", mask_token(after)))
}
