//! What a caller shows of itself: Proxy-Authorization, or its token where the service's own key would stand. A token is
//! turned into its digest here and nowhere kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Uri};
use zeroize::Zeroizing;

use crate::access::Proof;
use crate::crypto::digest::sha256;
use crate::pipeline::Signs;

/// What every caller token begins with.
const TOKEN: &str = "skc_";

/// At the proxy doors: Proxy-Authorization alone.
pub(super) fn at_proxy_door(headers: &HeaderMap, signs: Signs) -> Proof {
    if !signs.has(Signs::PROXY_AUTHORIZATION) {
        return Proof::None;
    }
    headers.get(PROXY_AUTHORIZATION).map_or(Proof::None, |value| authorization(value).unwrap_or(Proof::Unreadable))
}

/// At the other doors: Proxy-Authorization, else a caller token anywhere a key may stand: Authorization (Bearer, Basic or
/// another scheme), any other header's value, a query value. A key that is no token of ours is no proof, and is replaced.
/// Where no caller has a token there is nothing to look for.
pub(super) fn at_local_door(headers: &HeaderMap, uri: &Uri, signs: Signs, have_tokens: bool) -> Proof {
    if signs.has(Signs::PROXY_AUTHORIZATION) {
        return at_proxy_door(headers, signs);
    }
    if !have_tokens {
        return Proof::None;
    }
    if signs.has(Signs::AUTHORIZATION)
        && let Some(proof) = headers.get(AUTHORIZATION).and_then(authorization)
    {
        return proof;
    }
    let bytes = TOKEN.as_bytes();
    let in_headers = headers.values().filter_map(|value| {
        let at = value.as_bytes().windows(bytes.len()).position(|window| window == bytes)?;
        value.to_str().ok()?.get(at..)
    });
    let in_query = uri.query().into_iter().flat_map(|query| query.split('&')).filter_map(|pair| {
        let (_, value) = pair.split_once('=')?;
        value.starts_with(TOKEN).then_some(value)
    });
    let in_path = uri.path().split('/').filter_map(|segment| segment.find(TOKEN).and_then(|at| segment.get(at..)));
    in_headers.chain(in_query).chain(in_path).find_map(token).unwrap_or(Proof::None)
}

/// Basic `name:token` (RFC 7617), or any other scheme with the token as its credentials.
fn authorization(value: &HeaderValue) -> Option<Proof> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if !scheme.eq_ignore_ascii_case("basic") {
        return token(rest);
    }
    let decoded = Zeroizing::new(STANDARD.decode(rest).ok()?);
    let (name, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    if secret.starts_with(TOKEN) {
        let name = (!name.is_empty()).then(|| sha256(name.as_bytes()));
        return Some(Proof::Token { digest: sha256(secret.as_bytes()), name });
    }
    // As the user name alone, where a service takes its key there.
    token(name)
}

/// The proof of the token that `text` begins with.
fn token(text: &str) -> Option<Proof> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-')).unwrap_or(text.len());
    let token = text.get(..end)?;
    token.starts_with(TOKEN).then(|| Proof::Token { digest: sha256(token.as_bytes()), name: None })
}
