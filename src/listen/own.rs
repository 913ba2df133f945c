//! sidekey's own pages on the proxy port, under `/-/`: alive, ready, who am I. They carry no request anywhere.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};

use crate::pipeline::{CallerFault, Inbound, Line, ReplyBody, Trail, refuse};

/// Answers a request for one of sidekey's own pages.
pub(super) fn serve(line: &Arc<Line>, inbound: &Inbound, mut trail: Trail) -> Response<ReplyBody> {
    let page = inbound.parts.uri.path();
    if !matches!(inbound.parts.method, Method::GET | Method::HEAD) {
        return refuse(&CallerFault::Malformed("sidekey's own pages are read with GET.").into(), trail);
    }
    match page {
        "/-/health" => text(StatusCode::OK, "ok\n".into(), trail),
        "/-/ready" => match line.readiness() {
            Ok(()) => text(StatusCode::OK, "ready\n".into(), trail),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"), trail),
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
