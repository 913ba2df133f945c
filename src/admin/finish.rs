//! The outermost layer: every request gets an identifier and a deadline, every problem its document, every answer the headers
//! that keep it out of caches and frames.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::problem::Problem;
use super::{Admin, BASE};

/// How long a request may take, its body included.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long what reads or writes everything may take until its answer begins. What comes and goes meanwhile must not stand
/// still (`stream`).
const LONG_DEADLINE: Duration = Duration::from_secs(60 * 60);
/// What takes long, under the API's own path.
const LONG: [&str; 4] = ["/backup", "/restore", "/audit/verify", "/audit/export"];
/// What is answered in a form of its own, whatever is accepted.
const OWN_FORM: [&str; 3] = ["/backup", "/audit/export", "/ca.pem"];
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

pub(super) async fn finish(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let id = admin.next_id().to_string();
    let path = request.uri().path();
    let is_api = path.starts_with("/api");
    let within = path.strip_prefix(BASE).unwrap_or_default();
    let deadline = if LONG.contains(&within) { LONG_DEADLINE } else { DEADLINE };
    let mut answer = if is_api && !OWN_FORM.contains(&within) && !takes_json(request.headers()) {
        let text = "answers are application/json and problems application/problem+json; accept these";
        problem_answer(&Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", text), &id, HeaderMap::new())
    } else {
        let answer = tokio::time::timeout(deadline, next.run(request)).await;
        let late = "the request took too long; whether it was done, the audit log knows";
        let answered = answer.unwrap_or_else(|_| {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", late);
            axum::response::IntoResponse::into_response(problem)
        });
        with_document(answered, &id)
    };
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    answer
}

/// Whether JSON is among what is accepted.
fn takes_json(headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(ACCEPT).iter().peekable();
    if named.peek().is_none() {
        return true;
    }
    let kinds = ["*/*", "application/*", "application/json", "application/problem+json"];
    let fits = |kind: &str| kinds.contains(&kind.split(';').next().unwrap_or_default().trim().to_lowercase().as_str());
    named.any(|value| value.to_str().is_ok_and(|text| text.trim().is_empty() || text.split(',').any(fits)))
}

/// What went wrong as a document; what went well as it is.
fn with_document(mut answer: Response, id: &str) -> Response {
    let problem = answer.extensions_mut().remove::<Problem>().or_else(|| unsaid(&answer));
    match problem {
        Some(problem) => problem_answer(&problem, id, std::mem::take(answer.headers_mut())),
        None => answer,
    }
}

/// The problem that the router itself saw and said nothing of.
fn unsaid(answer: &Response) -> Option<Problem> {
    (answer.status() == StatusCode::METHOD_NOT_ALLOWED).then(|| {
        let text = "this path has other methods; the header Allow names them";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text)
    })
}

fn problem_answer(problem: &Problem, id: &str, former: HeaderMap) -> Response {
    let mut answer = Response::new(Body::from(problem.document(id).to_string()));
    *answer.status_mut() = problem.status;
    let headers = answer.headers_mut();
    headers.extend(former.into_iter().filter_map(|(name, value)| Some((name.filter(|name| *name == ALLOW)?, value))));
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, PROBLEM);
    match problem.status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sidekey\""));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    answer
}
