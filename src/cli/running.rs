//! Asks the proxy that a configuration starts whether it is ready, at its own address: for health probes in images that have
//! no other client, and for whoever wants to know.

use std::time::Duration;

use anyhow::{Context as _, bail};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::config::{Config, ListenAddress};

/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Asks at the first of the proxy's addresses.
///
/// # Errors
/// When nobody answers there within two seconds, or the answer is that it is not ready.
pub(super) fn ask(config: &Config) -> anyhow::Result<()> {
    let Some(address) = config.listen.proxy.first() else { bail!("the proxy has no address") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answered = runtime.block_on(async { tokio::time::timeout(LIMIT, ready(address)).await });
    answered.unwrap_or_else(|_| bail!("no answer within {} s", LIMIT.as_secs())).with_context(|| {
        format!("the proxy is not ready at {address}; start it with `sidekey serve`, or look into its log")
    })
}

async fn ready(address: &ListenAddress) -> anyhow::Result<()> {
    match address {
        ListenAddress::Tcp(address) => {
            // Who listens everywhere is reached on the loopback address.
            let host = match address.ip() {
                ip if !ip.is_unspecified() => ip,
                ip if ip.is_ipv4() => std::net::Ipv4Addr::LOCALHOST.into(),
                _ => std::net::Ipv6Addr::LOCALHOST.into(),
            };
            get(TcpStream::connect((host, address.port())).await?).await
        }
        ListenAddress::Unix(path) => get(UnixStream::connect(path).await?).await,
    }
}

async fn get(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> anyhow::Result<()> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/-/ready").header("host", "localhost").body(Empty::<bytes::Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let text = answer.into_body().collect().await?.to_bytes();
    connection.abort();
    if status == StatusCode::OK {
        return Ok(());
    }
    bail!("it answers {status}: {}", String::from_utf8_lossy(&text).trim())
}
