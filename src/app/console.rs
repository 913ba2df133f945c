//! The console's listener: metrics for Prometheus and liveness, and everything else by the admin API. Knows nothing of the
//! request path.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::admin::Admin;
use crate::config::{Environment, ListenAddress};
use crate::crypto::random;
use crate::domain::{KeyPlace, SystemClock};
use crate::listen::{self, Bound, Inherited};
use crate::metrics::Format;

use super::parts::{self, Parts};

/// Opens the console's address.
pub(super) fn bind(address: &ListenAddress, inherited: &mut Inherited) -> anyhow::Result<Bound> {
    let mut opened = super::open(address, 1, inherited).with_context(|| {
        format!("cannot listen on {address} for the console; choose another under [listen] console")
    })?;
    opened.pop().context("no listener for the console")
}

/// What the console's connections are answered with.
#[derive(Clone)]
struct Console {
    parts: Arc<Parts>,
    api: Router,
}

/// Serves until `stop`.
pub(super) async fn serve(bound: Bound, parts: Arc<Parts>, environment: Environment, stop: CancellationToken) {
    let Ok(origin) = random::bytes() else {
        tracing::error!("there is no randomness: the console is not served");
        return;
    };
    let (operations, line) = (Arc::clone(&parts.operations), Arc::clone(&parts.line));
    let probe = Arc::clone(&parts.probe);
    let look = move |place: &KeyPlace| parts::key_source(place, &environment).map_err(|error| error.to_string());
    let admin = Admin::new(
        operations,
        line,
        probe,
        Arc::new(look),
        Arc::new(SystemClock),
        listen::is_local_authority,
        u64::from_le_bytes(origin),
    );
    let console = Console { parts, api: Arc::new(admin).router() };
    if let Err(error) = accept(bound, &console, &stop).await {
        tracing::error!(%error, "the console's listener ended");
    }
}

async fn accept(bound: Bound, console: &Console, stop: &CancellationToken) -> io::Result<()> {
    match bound {
        Bound::Tcp(listener) => {
            let listener = TcpListener::from_std(listener)?;
            while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
                start(accepted?.0, console);
            }
        }
        Bound::Unix(listener, _) => {
            let listener = UnixListener::from_std(listener)?;
            while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
                start(accepted?.0, console);
            }
        }
    }
    Ok(())
}

fn start(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, console: &Console) {
    let console = console.clone();
    tokio::spawn(async move {
        let service = service_fn(move |request| {
            let console = console.clone();
            async move { Ok::<_, Infallible>(answer(request, console).await) }
        });
        let served =
            http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        if let Err(error) = served {
            tracing::debug!(%error, "a console connection ended");
        }
    });
}

async fn answer(request: Request<Incoming>, console: Console) -> Response<Body> {
    let is_api = request.uri().path().starts_with("/api/");
    if !is_api && !named_locally(&request) {
        return text(StatusCode::FORBIDDEN, "use an IP address or a local name to reach the console\n".into());
    }
    let parts = &console.parts;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/metrics" | "/-/health" | "/-/ready" if !reads => {
            text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n".into())
        }
        "/metrics" => {
            let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
            let format = Format::from_accept(accept);
            let mut answer = text(StatusCode::OK, parts.exposition(format));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
            answer
        }
        "/-/health" => text(StatusCode::OK, "ok\n".into()),
        "/-/ready" => match parts.line.readiness() {
            Ok(()) => text(StatusCode::OK, "ready\n".into()),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        _ => match console.api.oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        },
    }
}

/// DNS rebinding: a page's own name must not reach the console.
fn named_locally(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    listen::is_local_authority(host)
}

fn text(status: StatusCode, body: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
