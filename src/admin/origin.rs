//! Web pages: the API answers those of its own origin alone. A stranger's page in a browser on the same machine must neither
//! use a session nor open one; a name that somebody points at this machine (DNS rebinding) must not reach it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName, StatusCode};

use super::Admin;
use super::problem::Problem;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where a request comes from, as far as its headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A page of this very origin.
    Own,
    /// A page of another origin.
    Foreign,
    /// Nothing says that a page sent it.
    Unsaid,
}

/// Where the request with these headers comes from.
pub(super) fn source(headers: &HeaderMap) -> Source {
    if let Some(site) = headers.get(FETCH_SITE) {
        match site.as_bytes() {
            b"same-origin" => return own_unless_named_otherwise(headers),
            // A person asked for it: typed it, or opened a bookmark.
            b"none" => {}
            _ => return Source::Foreign,
        }
    }
    if headers.contains_key(ORIGIN) { own_unless_named_otherwise(headers) } else { Source::Unsaid }
}

fn own_unless_named_otherwise(headers: &HeaderMap) -> Source {
    let Some(origin) = headers.get(ORIGIN) else { return Source::Own };
    let named = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_own = named.zip(host).is_some_and(|(named, host)| named.eq_ignore_ascii_case(host));
    if is_own { Source::Own } else { Source::Foreign }
}

/// Refuses what a stranger's page sent, or a page whose name was pointed here.
pub(super) async fn refuse_strangers(
    State(admin): State<Arc<Admin>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !(admin.is_local)(host) {
        return Err(refusal(
            "the Host of this request is neither an address nor a local name, as in an attack by DNS rebinding",
        ));
    }
    if source(request.headers()) == Source::Foreign {
        return Err(refusal("a web page of another origin sent this request, and those may not use this API"));
    }
    Ok(next.run(request).await)
}

/// The refusal of a web page's request.
pub(super) fn refusal(text: &'static str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "browser_refused", text)
}
