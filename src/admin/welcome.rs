//! Plain pages for people who come with a browser: what is here, and what to do with a login link.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Admin;
use super::problem::Problem;

const WELCOME: &str = "\
sidekey: the console's address.

  /api/v1                  the admin API: users, teams, callers, keys, services, audit
  /api/v1/openapi.json     its description, OpenAPI 3.1
  /metrics                 for Prometheus
  /-/health, /-/ready      for whoever watches over the process

Programs show a token:

  sidekey token add NAME
  curl -H 'Authorization: Bearer ska_...' http://HOST:PORT/api/v1/keys

Browsers open a session with the one-time code of `sidekey login`: POST {\"code\":\"sko_...\"} to /api/v1/session.
";

const LOGIN: &str = "\
sidekey: this link holds a one-time login code, after the `#`.

There are no pages to log in to yet. The code opens a session of the admin API, once and within ten minutes:

  curl -c cookies -H 'Content-Type: application/json' -d '{\"code\":\"sko_...\"}' http://HOST:PORT/api/v1/session
  curl -b cookies http://HOST:PORT/api/v1/whoami

What the API offers: /api/v1/openapi.json. `sidekey login` makes another link, `sidekey token add NAME` a token for programs.
";

pub(super) fn pages() -> Router<Arc<Admin>> {
    Router::new().route("/", get(|| async { WELCOME })).route("/login", get(|| async { LOGIN }))
}

/// What every other path gets.
pub(super) async fn nothing_here(request: Request) -> Response {
    let path = request.uri().path();
    let text = "there is nothing at this path; /api/v1/openapi.json describes what is";
    let problem = Problem::not_found(text);
    if path.starts_with("/api") {
        return problem.into_response();
    }
    (problem.status, "nothing here: /api/v1, /metrics, /-/health, /-/ready\n").into_response()
}
