//! One connection to an upstream: resolve, let the guard judge every address, connect to the judged address, shake hands.
//! It does not pool, send requests or retry. One deadline covers all stages.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::{DialError, Stage};
use super::guard::{AddressRefused, Guard, Permission};
use super::parent::{self, Hop, Parent, ParentError};
use super::pieces::Pieces;
use super::stream::{Stream, Tcp};
use super::tls::{TlsConfigs, TlsFault, TlsSetupError, server_name};
use crate::domain::{ConnectTo, Host, Http2, Origin, Scheme, UpstreamOptions};

/// How long one address may keep silent before the next is tried beside it (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);
/// How many addresses of one name are tried.
const MAX_ADDRESSES: usize = 8;
/// How many names are resolved at the same time; each takes a blocking thread until the system's resolver gives up.
const MAX_LOOKUPS: usize = 32;

/// What is put on the TCP connection to the upstream.
#[derive(Debug, Clone)]
pub enum Layer {
    /// HTTP in the clear.
    Plain,
    /// TLS with this trust and ALPN.
    Tls(Arc<ClientConfig>),
    /// Nothing: the bytes are the caller's own, as in a tunnel. A parent proxy is always asked to `CONNECT`.
    Bytes,
}

/// How one upstream is reached. Made when a snapshot is built.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Where the request goes; its host is checked against the certificate.
    pub origin: Origin,
    /// Dial this instead of resolving the host; never through a parent proxy.
    pub connect_to: Option<ConnectTo>,
    /// What is put on the TCP connection.
    pub layer: Layer,
    /// Whether HTTP/2 is spoken; the layer's TLS was made for the same.
    pub http2: Http2,
    /// Whether private addresses may be dialled.
    pub allow_private: bool,
    /// For resolving, connecting and both handshakes together.
    pub timeout: Duration,
}

impl Reach {
    /// From a service's options. Reads its `ca` file.
    ///
    /// # Errors
    /// [`TlsSetupError`] when the `ca` file cannot be used.
    pub fn new(
        origin: Origin,
        options: &UpstreamOptions,
        timeout: Duration,
        configs: &TlsConfigs,
    ) -> Result<Self, TlsSetupError> {
        let layer = match origin.scheme {
            Scheme::Https => Layer::Tls(configs.config(options.ca.as_deref(), options.http2)?),
            Scheme::Http => Layer::Plain,
        };
        let (connect_to, http2) = (options.connect_to.clone(), options.http2);
        Ok(Self { origin, connect_to, layer, http2, allow_private: options.allow_private, timeout })
    }

    /// For a tunnel of the caller's own bytes to a host that belongs to no service; public addresses only.
    pub fn tunnel(origin: Origin, timeout: Duration) -> Self {
        Self { origin, connect_to: None, layer: Layer::Bytes, http2: Http2::Never, allow_private: false, timeout }
    }

    /// What is dialled when there is no parent proxy, and what is allowed there. Only `connect_to` counts as written by the
    /// operator: an address as host may come from a tenant variable, which the key's owner pins.
    fn destination(&self) -> (Destination<'_>, Permission) {
        let destination = match &self.connect_to {
            Some(ConnectTo::Address(address)) => Destination::Address(*address),
            Some(ConnectTo::Name(host, port)) => Destination::of(host, *port),
            None => Destination::of(&self.origin.host, self.origin.port),
        };
        let written = matches!(self.connect_to, Some(ConnectTo::Address(_)));
        (destination, Permission::of(self.allow_private, written))
    }
}

/// A name to resolve, or an address as it stands.
enum Destination<'a> {
    Address(SocketAddr),
    Name(&'a str, u16),
}

impl<'a> Destination<'a> {
    fn of(host: &'a Host, port: u16) -> Self {
        host.ip().map_or(Self::Name(host.as_str(), port), |ip| Self::Address(SocketAddr::new(ip, port)))
    }
}

/// What is spoken on a dialled connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A connection that is ready for a request.
#[derive(Debug)]
pub struct Dialed {
    /// The bytes.
    pub stream: Stream,
    /// What ALPN agreed on, or prior knowledge says.
    pub protocol: Protocol,
    /// Whom we are connected to: the upstream's checked address, or the parent proxy's.
    pub peer: SocketAddr,
    /// Set when the peer is a parent proxy that forwards plain HTTP: requests are sent in absolute-form with this
    /// `Proxy-Authorization` ([`Outbound::into_forward_parts`](crate::inject::Outbound::into_forward_parts)).
    pub forward: Option<Forward>,
}

/// What a parent proxy wants with every forwarded request.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Its `Proxy-Authorization`, marked sensitive.
    pub authorization: Option<HeaderValue>,
}

/// Makes connections. One for the process; it holds no connection itself.
#[derive(Debug)]
pub struct Dialer {
    guard: Guard,
    parent: Option<Parent>,
    lookups: Arc<Semaphore>,
}

impl Dialer {
    /// With the guard that knows our listeners, and the parent proxy if there is one.
    pub fn new(guard: Guard, parent: Option<Parent>) -> Self {
        Self { guard, parent, lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }

    /// Connects to `reach`.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(&self, reach: &Reach) -> Result<Dialed, DialError> {
        let patience =
            Patience { host: &reach.origin.host, after: reach.timeout, until: Instant::now() + reach.timeout };
        // An operator who writes `connect_to` says exactly where to connect.
        let hop =
            self.parent.as_ref().filter(|_| reach.connect_to.is_none()).and_then(|p| Some((p, p.hop(&reach.origin)?)));
        match hop {
            Some((parent, hop)) => self.through(parent, hop, reach, &patience).await,
            None => self.directly(reach, &patience).await,
        }
    }

    async fn directly(&self, reach: &Reach, patience: &Patience<'_>) -> Result<Dialed, DialError> {
        let (destination, permission) = reach.destination();
        let addresses = self.resolve(&destination, patience).await?;
        let judged = addresses.into_iter().map(|address| self.guard.check(address, permission).map(|()| address));
        let (tcp, peer) = connect_any(&admitted(judged, patience)?, patience).await?;
        let wrap = |stream| Stream::Tls(Box::new(Pieces::from(stream)));
        finish(tcp, reach, patience, Stream::Tcp, wrap).await.map(|ready| ready.at(peer))
    }

    /// Through a parent proxy. The proxy resolves the name, so what an address in the URL says is all that can be judged.
    async fn through(
        &self,
        parent: &Parent,
        hop: Hop,
        reach: &Reach,
        patience: &Patience<'_>,
    ) -> Result<Dialed, DialError> {
        if let (Destination::Address(address), permission) = reach.destination() {
            self.guard.check(address, permission).map_err(|why| patience.refused(why))?;
        }
        let addresses = self.resolve(&Destination::of(&hop.origin.host, hop.origin.port), patience).await?;
        let judged = addresses.into_iter().map(|address| self.guard.check_loop(address).map(|()| address));
        let (tcp, peer) = connect_any(&admitted(judged, patience)?, patience).await?;
        if hop.origin.scheme == Scheme::Http {
            let wrap = |stream| Stream::Tls(Box::new(Pieces::from(stream)));
            return beyond(tcp, hop, reach, patience, Stream::Tcp, wrap).await.map(|ready| ready.at(peer));
        }
        let (tls, _) = handshake(tcp, &hop.origin.host, parent.tls(), Http2::Never, patience).await?;
        let plain = |stream| Stream::Tls(Box::new(Pieces::from(stream)));
        let wrap = |stream| Stream::Nested(Box::new(Pieces::from(stream)));
        beyond(tls, hop, reach, patience, plain, wrap).await.map(|ready| ready.at(peer))
    }

    /// The addresses of `destination`, in the resolver's order (RFC 6724).
    async fn resolve(
        &self,
        destination: &Destination<'_>,
        patience: &Patience<'_>,
    ) -> Result<Vec<SocketAddr>, DialError> {
        let (name, port) = match destination {
            Destination::Address(address) => return Ok(vec![*address]),
            Destination::Name(name, port) => ((*name).to_owned(), *port),
        };
        let lookups = Arc::clone(&self.lookups);
        // The system's resolver cannot be interrupted. As a task of its own it keeps its place among the lookups until it
        // is really done, so that a dead name server costs so many threads and no more.
        let lookup = tokio::spawn(async move {
            let _place = lookups.acquire_owned().await;
            tokio::net::lookup_host((name, port)).await.map(|found| found.take(MAX_ADDRESSES).collect::<Vec<_>>())
        });
        let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let found = patience.within(Stage::Resolve, lookup).await?;
        let found = found.unwrap_or_else(|_| Err(io::Error::other("the lookup was stopped")));
        found
            .and_then(|addresses| if addresses.is_empty() { Err(none()) } else { Ok(addresses) })
            .map_err(|source| DialError::Resolve { host: patience.host.to_string(), source })
    }
}

/// The deadline of one dial, and the name to complain about.
struct Patience<'a> {
    host: &'a Host,
    after: Duration,
    until: Instant,
}

impl Patience<'_> {
    async fn within<T>(&self, stage: Stage, work: impl Future<Output = T>) -> Result<T, DialError> {
        let timeout = |_| DialError::Timeout { host: self.host.to_string(), stage, after: self.after };
        timeout_at(self.until, work).await.map_err(timeout)
    }

    async fn tunnel(&self, work: impl Future<Output = Result<(), ParentError>>) -> Result<(), DialError> {
        let done = self.within(Stage::Parent, work).await?;
        done.map_err(|why| DialError::Parent { host: self.host.to_string(), why })
    }

    fn refused(&self, why: AddressRefused) -> DialError {
        let host = self.host.to_string();
        match why {
            AddressRefused::Ourselves { .. } => DialError::Loop { host, why },
            AddressRefused::Range { .. } => DialError::Refused { host, why },
        }
    }
}

/// The addresses that the guard let pass; the first refusal when there is none. A name with good and refused addresses is
/// dialled at the good ones.
fn admitted(
    judged: impl Iterator<Item = Result<SocketAddr, AddressRefused>>,
    patience: &Patience<'_>,
) -> Result<Vec<SocketAddr>, DialError> {
    let mut first = None;
    let mut addresses = Vec::new();
    for one in judged {
        match one {
            Ok(address) => addresses.push(address),
            Err(why) => first = first.or(Some(why)),
        }
    }
    match first {
        Some(why) if addresses.is_empty() => Err(patience.refused(why)),
        _ => Ok(addresses),
    }
}

/// Tries the addresses in order, the next when the one before has failed or kept silent for [`STAGGER`].
async fn connect_any(addresses: &[SocketAddr], patience: &Patience<'_>) -> Result<(Tcp, SocketAddr), DialError> {
    let race = async {
        let mut attempts = JoinSet::new();
        let mut waiting = addresses.iter().copied();
        let mut failed = None;
        loop {
            let more = waiting.next().map(|address| attempts.spawn(connect(address))).is_some();
            if attempts.is_empty() {
                return Err(failed);
            }
            tokio::select! {
                Some(ended) = attempts.join_next() => match ended {
                    Ok((address, Ok(stream))) => return Ok((Tcp::from(stream), address)),
                    Ok((address, Err(source))) => failed = Some((address, source)),
                    Err(_) => {}
                },
                () = sleep(STAGGER), if more => {}
            }
        }
    };
    match patience.within(Stage::Connect, race).await? {
        Ok(connected) => Ok(connected),
        Err(Some((address, source))) => Err(DialError::Connect { host: patience.host.to_string(), address, source }),
        Err(None) => Err(DialError::Resolve {
            host: patience.host.to_string(),
            source: io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
        }),
    }
}

async fn connect(address: SocketAddr) -> (SocketAddr, io::Result<TcpStream>) {
    let connected = TcpStream::connect(address).await.and_then(|stream| {
        stream.set_nodelay(true)?;
        // A pooled or streaming connection whose peer has vanished without a word is noticed after about two minutes.
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        Ok(stream)
    });
    (address, connected)
}

/// A connection that is ready, but for the address at its other end.
struct Ready {
    stream: Stream,
    protocol: Protocol,
    forward: Option<Forward>,
}

impl Ready {
    fn at(self, peer: SocketAddr) -> Dialed {
        Dialed { stream: self.stream, protocol: self.protocol, peer, forward: self.forward }
    }
}

/// From a connection to a parent proxy to one that is ready for requests.
///
/// Plain HTTP is sent to the proxy in absolute-form: widespread proxies allow `CONNECT` to port 443 only. HTTP/2 by prior
/// knowledge has no absolute-form, so there it is `CONNECT` nevertheless.
async fn beyond<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    hop: Hop,
    reach: &Reach,
    patience: &Patience<'_>,
    plain: impl FnOnce(S) -> Stream,
    wrap: impl FnOnce(TlsStream<S>) -> Stream,
) -> Result<Ready, DialError> {
    if matches!(reach.layer, Layer::Plain) && reach.http2 != Http2::Always {
        let forward = Some(Forward { authorization: hop.authorization });
        return Ok(Ready { stream: plain(stream), protocol: Protocol::Http1, forward });
    }
    patience.tunnel(parent::connect(&mut stream, &reach.origin, hop.authorization.as_ref())).await?;
    finish(stream, reach, patience, plain, wrap).await
}

/// From bytes that reach the upstream to a connection that is ready: TLS where the origin wants it.
async fn finish<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    reach: &Reach,
    patience: &Patience<'_>,
    plain: impl FnOnce(S) -> Stream,
    wrap: impl FnOnce(TlsStream<S>) -> Stream,
) -> Result<Ready, DialError> {
    let Layer::Tls(config) = &reach.layer else {
        // Without TLS there is no ALPN: HTTP/2 only by prior knowledge (RFC 9113 §3.3).
        let protocol = if reach.http2 == Http2::Always { Protocol::Http2 } else { Protocol::Http1 };
        return Ok(Ready { stream: plain(stream), protocol, forward: None });
    };
    let (stream, protocol) = handshake(stream, &reach.origin.host, config, reach.http2, patience).await?;
    Ok(Ready { stream: wrap(stream), protocol, forward: None })
}

async fn handshake<S>(
    stream: S,
    host: &Host,
    config: &Arc<ClientConfig>,
    http2: Http2,
    patience: &Patience<'_>,
) -> Result<(TlsStream<S>, Protocol), DialError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |fault| DialError::Tls { host: host.to_string(), fault };
    let name = server_name(host.as_str()).map_err(failed)?;
    let shaking = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    let stream = patience.within(Stage::Handshake, shaking).await?.map_err(|error| failed(TlsFault::of(&error)))?;
    let protocol = match (stream.get_ref().1.alpn_protocol(), http2) {
        (Some(b"h2"), _) => Protocol::Http2,
        (_, Http2::Always) => return Err(failed(TlsFault::NoHttp2)),
        _ => Protocol::Http1,
    };
    Ok((stream, protocol))
}
