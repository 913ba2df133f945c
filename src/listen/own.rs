//! sidekey's own pages on the proxy port, under `/-/`: alive, ready, who am I, what to trust. They are there too within a
//! tunnel to `sidekey.invalid`. They carry no request anywhere.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};

use crate::domain::{Clock, SystemClock};
use crate::pipeline::{CallerFault, Inbound, OurFault, ReplyBody, Trail, refuse};

use super::connection::Shared;

/// Answers a request for one of sidekey's own pages.
pub(super) fn serve(shared: &Shared, inbound: &Inbound, mut trail: Trail) -> Response<ReplyBody> {
    let Shared { line, mint } = shared;
    let path = inbound.parts.uri.path();
    if !matches!(inbound.parts.method, Method::GET | Method::HEAD) {
        return refuse(&CallerFault::Malformed("sidekey's own pages are read with GET.").into(), trail);
    }
    match path {
        "/-/health" => text(StatusCode::OK, "ok\n".into(), trail),
        "/-/ready" => match line.readiness() {
            Ok(()) => text(StatusCode::OK, "ready\n".into(), trail),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"), trail),
        },
        "/-/ca.pem" => match mint.trust(unix_seconds()) {
            none if none.is_empty() => refuse(&OurFault::Authority.into(), trail),
            certificates => page(StatusCode::OK, "application/pem-certificate-chain", certificates, trail),
        },
        "/-/whoami" => match line.introduce(inbound, &mut trail) {
            Ok(who) => json(&who, trail),
            Err(fault) => refuse(&fault, trail),
        },
        _ => {
            let mut answer = refuse(&CallerFault::NoSuchService("-".into()).into(), trail);
            *answer.status_mut() = StatusCode::NOT_FOUND;
            answer
        }
    }
}

/// What time it is.
pub(super) fn unix_seconds() -> i64 {
    i64::try_from(SystemClock.wall().as_secs()).unwrap_or(i64::MAX)
}

fn text(status: StatusCode, body: String, trail: Trail) -> Response<ReplyBody> {
    page(status, "text/plain; charset=utf-8", body, trail)
}

fn json(value: &serde_json::Value, trail: Trail) -> Response<ReplyBody> {
    page(StatusCode::OK, "application/json", format!("{value}\n"), trail)
}

fn page(status: StatusCode, kind: &'static str, body: String, mut trail: Trail) -> Response<ReplyBody> {
    trail.opened(status);
    let mut answer = Response::new(ReplyBody::own(Bytes::from(body), trail));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
