//! WebSocket and the like on one stream of an HTTP/2 connection (extended CONNECT, RFC 8441), as the request for an upgrade
//! that HTTP/1.1 has for it: so it takes the same way, and the key stands in the handshake that the upstream sees.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, COOKIE, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Version};
use hyper::ext::Protocol;

use crate::crypto::random;
use crate::pipeline::ReplyBody;

/// Whether a request came as an extended CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Extended,
}

/// Turns an extended CONNECT into the GET with `Upgrade` that stands for it; leaves every other request as it is.
pub(super) fn unfold(parts: &mut Parts) -> Form {
    let protocol = parts.extensions.remove::<Protocol>().filter(|_| parts.method == Method::CONNECT);
    let Some(protocol) = protocol.and_then(|protocol| HeaderValue::from_str(protocol.as_str()).ok()) else {
        return Form::Plain;
    };
    parts.method = Method::GET;
    parts.version = Version::HTTP_11;
    let headers = &mut parts.headers;
    // HTTP/2 may split cookies over several lines, HTTP/1.1 may not (RFC 9113 §8.2.3).
    let cookies: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
    if protocol.as_bytes().eq_ignore_ascii_case(b"websocket") {
        // HTTP/2 needs no such key; the server of an HTTP/1.1 handshake does (RFC 6455 §4.1).
        let key = random::bytes::<16>().map(|bytes| HeaderValue::from_str(&STANDARD.encode(bytes)));
        if let Ok(Ok(key)) = key {
            headers.insert(SEC_WEBSOCKET_KEY, key);
        }
    }
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, protocol);
    Form::Extended
}

/// Turns the answer to an upgrade into that to the extended CONNECT. An upstream that did not switch cannot have said yes.
pub(super) fn fold(answer: &mut Response<ReplyBody>) {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        *answer.status_mut() = StatusCode::OK;
        for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
            answer.headers_mut().remove(name);
        }
    } else if answer.status().is_success() {
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        let failed = HeaderValue::from_static("sidekey; error=http_upgrade_failed");
        answer.headers_mut().insert(HeaderName::from_static("proxy-status"), failed);
    }
}
