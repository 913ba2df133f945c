//! A client of the proxy's own pages at its own address: whether it is there, is ready, knows who asks. It carries nothing to a
//! service and knows none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::config::{Config, ListenAddress};
use crate::vault::Token;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The most of an answer that is read, in bytes.
const MOST: usize = 64 * 1024;
/// How long the proxy may take to know a fresh token.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is asked. It looks at the store four times a second, and each asking too early is a refusal in the audit.
const STEP: Duration = Duration::from_millis(300);

/// What was answered.
#[derive(Debug)]
pub(super) struct Page {
    /// The status.
    pub(super) status: StatusCode,
    /// The text.
    pub(super) text: String,
}

/// Reads one of the pages under `/-/` at `address`, as whom `token` is for.
///
/// # Errors
/// When nobody answers there within five seconds, or what answers speaks no HTTP.
pub(super) fn read(address: &ListenAddress, page: &str, token: Option<&Token>) -> anyhow::Result<Page> {
    let mut request = Request::get(page).header(HOST, "localhost");
    if let Some(token) = token {
        let mut proof = HeaderValue::try_from(format!("Bearer {}", token.reveal()))?;
        proof.set_sensitive(true);
        request = request.header(PROXY_AUTHORIZATION, proof);
    }
    let request = request.body(Empty::new())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answered = runtime.block_on(async { tokio::time::timeout(LIMIT, ask(address, request)).await });
    answered.unwrap_or_else(|_| bail!("no answer within {} s", LIMIT.as_secs()))
}

async fn ask(address: &ListenAddress, request: Request<Empty<Bytes>>) -> anyhow::Result<Page> {
    match address {
        ListenAddress::Tcp(address) => exchange(TcpStream::connect(reached(*address)).await?, request).await,
        ListenAddress::Unix(path) => exchange(UnixStream::connect(path).await?, request).await,
    }
}

/// Where this machine reaches what listens at `address`: who listens everywhere is reached on the loopback address.
pub(super) fn reached(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let v4 = address.is_ipv4();
        address.set_ip(if v4 { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) });
    }
    address
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> anyhow::Result<Page> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST).collect().await.map_err(|error| anyhow::anyhow!(error))?;
    connection.abort();
    Ok(Page { status, text: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
}

/// Asks at the first of the proxy's addresses whether it is ready.
///
/// # Errors
/// When nobody answers there, or the answer is that it is not.
pub(super) fn must_be_ready(config: &Config) -> anyhow::Result<()> {
    let Some(address) = config.listen.proxy.first() else { bail!("the proxy has no address") };
    is_ready(address).with_context(|| {
        format!("the proxy is not ready at {address}; start it with `sidekey serve`, or look into its log")
    })
}

/// Asks at `address` whether what listens there is ready.
///
/// # Errors
/// As [`must_be_ready`].
pub(super) fn is_ready(address: &ListenAddress) -> anyhow::Result<()> {
    let Page { status, text } = read(address, "/-/ready", None)?;
    ensure!(status == StatusCode::OK, "it answers {status}: {}", text.trim());
    Ok(())
}

/// Whether a sidekey answers at `address`: its live page says `ok` and nothing more.
pub(super) fn is_sidekey(address: &ListenAddress) -> bool {
    read(address, "/-/health", None).is_ok_and(|page| page.status == StatusCode::OK && page.text == "ok\n")
}

/// Whether a proxy answers at one of the addresses of the configuration; none when no address is known before it listens.
pub(super) fn is_running(config: &Config) -> Option<bool> {
    let is_fixed = |address: &&ListenAddress| !matches!(address, ListenAddress::Tcp(address) if address.port() == 0);
    let mut fixed = config.listen.proxy.iter().filter(is_fixed).peekable();
    fixed.peek()?;
    Some(fixed.any(is_sidekey))
}

/// Waits until the proxy at `address` knows who asks.
///
/// # Errors
/// When there is no proxy, or it does not know the token within five seconds.
pub(super) fn wait_until_known(address: SocketAddr, token: Option<&Token>) -> anyhow::Result<()> {
    let mut left = PATIENCE;
    let listens = ListenAddress::Tcp(address);
    loop {
        if token.is_some() {
            std::thread::sleep(STEP);
        }
        let answer = read(&listens, "/-/whoami", token)
            .with_context(|| format!("no proxy answers on {address}; start it by `sidekey up`, in another terminal"))?;
        if answer.status == StatusCode::OK {
            return Ok(());
        }
        ensure!(!left.is_zero(), "the proxy on {address} does not know this caller: is it one of another store?");
        left = left.saturating_sub(STEP);
    }
}
