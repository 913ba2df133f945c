//! The door of one run: a port of this machine at which the run's token is shown in the place of programs that cannot show one
//! themselves (Java takes no user from a proxy setting). What comes in there goes on to the proxy with the token.
//!
//! Invariant: only processes of the same user of this machine are let in: those can read the run's environment, and the token in
//! it, anyway. Where the system does not say whose a connection is (`/proc/net/tcp`), there is no such door.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::client::conn::http1 as outgoing;
use hyper::server::conn::http1 as incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::vault::Token;

type Body = BoxBody<Bytes, hyper::Error>;

/// The door, open and not yet attended.
pub(super) struct Relay {
    listener: std::net::TcpListener,
    onward: Arc<Onward>,
}

/// Where connections go on to, and as whom.
struct Onward {
    proxy: SocketAddr,
    proof: HeaderValue,
    here: SocketAddrV4,
}

impl Relay {
    /// Opens a door to the proxy at `proxy` for whose token this is; none where it could not be guarded.
    ///
    /// # Errors
    /// When no port can be opened.
    pub(super) fn open(proxy: SocketAddr, token: &Token) -> anyhow::Result<Option<Self>> {
        if fs::metadata(TABLES[0]).is_err() {
            return Ok(None);
        }
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let here = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port());
        let mut proof = HeaderValue::try_from(format!("Bearer {}", token.reveal()))?;
        proof.set_sensitive(true);
        Ok(Some(Self { listener, onward: Arc::new(Onward { proxy, proof, here }) }))
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::V4(self.onward.here)
    }

    /// Lets connections through from now on, for as long as the runtime lives.
    ///
    /// # Errors
    /// When the port cannot be put into this runtime.
    pub(super) fn attend(self) -> io::Result<()> {
        let (listener, onward) = (TcpListener::from_std(self.listener)?, self.onward);
        tokio::spawn(async move {
            loop {
                let Ok((stream, peer)) = listener.accept().await else {
                    // Out of file descriptors: waiting a moment is all that helps.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                };
                let _best_effort = stream.set_nodelay(true);
                tokio::spawn(let_through(stream, peer, Arc::clone(&onward)));
            }
        });
        Ok(())
    }
}

/// One connection, until it ends.
async fn let_through(stream: TcpStream, peer: SocketAddr, onward: Arc<Onward>) {
    let is_own = matches!(peer, SocketAddr::V4(peer) if is_own(peer, onward.here));
    let service = service_fn(move |request: Request<Incoming>| {
        let onward = Arc::clone(&onward);
        async move {
            // A web page can send a request to a port, but none that is meant for a proxy.
            if !is_own || request.uri().authority().is_none() {
                return Ok(refusal(StatusCode::FORBIDDEN, STRANGER));
            }
            let answer = pass(request, &onward).await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|error| refusal(StatusCode::BAD_GATEWAY, &error.to_string())))
        }
    });
    // Who hung up is nobody's business.
    let _ended = incoming::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

const STRANGER: &str = "this port is a proxy for the programs of one `sidekey run`, and for its user alone";

fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(format!("{why}\n"))).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed());
    *answer.status_mut() = status;
    answer
}

/// One request, over a connection of its own: programs ask here for tunnels, and for little else.
async fn pass(mut request: Request<Incoming>, onward: &Onward) -> anyhow::Result<Response<Body>> {
    let stream = TcpStream::connect(onward.proxy).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        outgoing::Builder::new().preserve_header_case(true).handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    request.headers_mut().insert(PROXY_AUTHORIZATION, onward.proof.clone());
    let client = (request.method() == Method::CONNECT).then(|| hyper::upgrade::on(&mut request));
    let mut answer = sender.send_request(request).await?;
    if let Some(client) = client.filter(|_| answer.status().is_success()) {
        tokio::spawn(join(client, hyper::upgrade::on(&mut answer)));
    }
    Ok(answer.map(BodyExt::boxed))
}

/// Carries a tunnel's bytes both ways.
async fn join(client: OnUpgrade, proxy: OnUpgrade) {
    if let Ok((client, proxy)) = tokio::try_join!(client, proxy) {
        let _ended = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(proxy)).await;
    }
}

/// Where Linux lists connections and whose they are. A program's socket may be one of IPv6 that speaks IPv4.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Whether the other end of the connection from `peer` to `here` is a socket of a process of our own user.
fn is_own(peer: SocketAddrV4, here: SocketAddrV4) -> bool {
    let user = rustix::process::geteuid().as_raw();
    TABLES.iter().any(|table| fs::read_to_string(table).is_ok_and(|text| owner(&text, peer, here) == Some(user)))
}

/// The user who has the socket from `peer` to `here` open, by one of these tables (proc(5)). A socket that its process has
/// closed already is shown as root's; it has no inode, and is nobody's here.
fn owner(table: &str, peer: SocketAddrV4, here: SocketAddrV4) -> Option<u32> {
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let &[_, local, remote, state, _, _, _, user, _, inode, ..] = fields.as_slice() else { return None };
        let is_it = is_written(local, peer) && is_written(remote, here) && state == ESTABLISHED && inode != "0";
        is_it.then(|| user.parse().ok()).flatten()
    })
}

const ESTABLISHED: &str = "01";

/// Whether `text` is how the tables write `address`: bytes in the machine's own order, an IPv4 address at an IPv6 one's end.
fn is_written(text: &str, address: SocketAddrV4) -> bool {
    let (ip, port) = (u32::from_ne_bytes(address.ip().octets()), address.port());
    let mapped = u32::from_ne_bytes([0, 0, 0xff, 0xff]);
    text == format!("{ip:08X}:{port:04X}") || text == format!("{:016X}{mapped:08X}{ip:08X}:{port:04X}", 0)
}

#[cfg(test)]
mod tests;
