//! The parent proxy (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`): for which origins it stands between, and the
//! `CONNECT` handshake with it. The values come from `config`; nothing here reads the environment. Its credentials are in no
//! log, error or `Debug`.

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::domain::{Host, Origin, Scheme};

/// How long an answer to `CONNECT` may be, in bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// The proxy variables as they were set; empty and absent mean the same.
#[derive(Clone, Default)]
pub struct ParentSettings {
    /// `HTTPS_PROXY`: for https upstreams.
    pub https: Option<String>,
    /// `HTTP_PROXY`: for http upstreams.
    pub http: Option<String>,
    /// `ALL_PROXY`: where the other two are not set.
    pub all: Option<String>,
    /// `NO_PROXY`: hosts, `.suffixes`, addresses and networks that are dialled directly, separated by commas; `*` for all.
    pub no: Option<String>,
}

impl fmt::Debug for ParentSettings {
    /// The URLs may hold a password, so only which are set is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParentSettings")
            .field("https", &self.https.is_some())
            .field("http", &self.http.is_some())
            .field("all", &self.all.is_some())
            .field("no", &self.no)
            .finish()
    }
}

/// Why a parent proxy cannot be used. Never with its URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ParentError {
    /// A variable is no URL of an HTTP proxy.
    #[error(
        "{variable} is not the URL of an HTTP proxy; write http://host:port or https://host:port (SOCKS is not spoken)"
    )]
    Url {
        /// Which one.
        variable: &'static str,
    },
    /// It demands a password, or another one.
    #[error("the parent proxy demands other credentials (407); put name and password into the proxy URL")]
    Credentials,
    /// It refused.
    #[error("the parent proxy refused to connect with status {0}; allow the host there, or add it to NO_PROXY")]
    Status(u16),
    /// It answered something else.
    #[error("the parent proxy did not answer CONNECT as an HTTP proxy does: {0}; check the port in the proxy URL")]
    Answer(&'static str),
    /// The connection to it broke.
    #[error("the connection to the parent proxy broke")]
    Broken(#[source] std::io::Error),
}

/// The parent proxies, and which origins go around them.
pub struct Parent {
    matcher: Matcher,
    tls: Arc<ClientConfig>,
}

/// One parent proxy, for one origin.
pub(super) struct Hop {
    /// TLS to the proxy itself or not, and where it is.
    pub(super) origin: Origin,
    /// `Basic` of its URL's userinfo.
    pub(super) authorization: Option<HeaderValue>,
}

impl Parent {
    /// From the variables; `None` when no proxy is set. `tls` is for proxies that are spoken to over TLS; its ALPN must be
    /// `http/1.1` ([`Http2::Never`](crate::domain::Http2::Never)).
    ///
    /// # Errors
    /// [`ParentError::Url`]: a typing error must not silently mean a direct connection.
    pub fn new(settings: &ParentSettings, tls: Arc<ClientConfig>) -> Result<Option<Self>, ParentError> {
        let given = |value: &Option<String>| value.as_deref().map(str::trim).unwrap_or_default().to_owned();
        let values = [
            ("HTTPS_PROXY", given(&settings.https)),
            ("HTTP_PROXY", given(&settings.http)),
            ("ALL_PROXY", given(&settings.all)),
        ];
        for (variable, value) in &values {
            let alone = Matcher::builder().all(value.as_str()).build();
            let hop = alone.intercept(&Uri::from_static("https://upstream.invalid/"));
            if !value.is_empty() && hop.and_then(|found| hop_of(found.uri(), None)).is_none() {
                return Err(ParentError::Url { variable });
            }
        }
        if values.iter().all(|(_, value)| value.is_empty()) {
            return Ok(None);
        }
        let [(_, https), (_, http), (_, all)] = values;
        let no = go_around(settings.no.as_deref().unwrap_or_default());
        Ok(Some(Self { matcher: Matcher::builder().https(https).http(http).all(all).no(no).build(), tls }))
    }

    /// The proxy in front of `origin`, if any. This machine's own names never go through one: there they would mean the
    /// proxy's machine.
    pub(super) fn hop(&self, origin: &Origin) -> Option<Hop> {
        let host = origin.host.as_str();
        if host == "localhost" || host.ends_with(".localhost") || origin.host.ip().is_some_and(|ip| ip.is_loopback()) {
            return None;
        }
        let url = format!("{}://{}/", origin.scheme.as_str(), origin.authority());
        let found = self.matcher.intercept(&url.parse().ok()?)?;
        hop_of(found.uri(), found.basic_auth())
    }

    /// The TLS configuration towards the proxy itself.
    pub(super) fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }
}

impl fmt::Debug for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parent(…)")
    }
}

fn hop_of(uri: &Uri, authorization: Option<&HeaderValue>) -> Option<Hop> {
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => return None,
    };
    let host = Host::new(uri.host()?).ok()?;
    let mut authorization = authorization.cloned();
    if let Some(value) = &mut authorization {
        value.set_sensitive(true);
    }
    Some(Hop { origin: Origin { scheme, host, port: uri.port_u16().unwrap_or(scheme.default_port()) }, authorization })
}

/// Whether a program that heeds `NO_PROXY` calls `origin` directly when that is `no`.
pub fn goes_around(no: &str, origin: &Origin) -> bool {
    let matcher = Matcher::builder().all("http://proxy.invalid").no(go_around(no)).build();
    let url = format!("{}://{}/", origin.scheme.as_str(), origin.authority());
    url.parse().is_ok_and(|url| matcher.intercept(&url).is_none())
}

/// `NO_PROXY` in the one spelling that the matcher knows: `*.suffix`, which people also write, is `.suffix`.
fn go_around(text: &str) -> String {
    let entries = text.split(',').map(str::trim);
    entries
        .map(|entry| if entry.starts_with("*.") { entry.trim_start_matches('*') } else { entry })
        .collect::<Vec<_>>()
        .join(",")
}

/// Asks the proxy at the other end of `stream` for a tunnel to `origin` (RFC 9110 §9.3.6). Afterwards the stream's bytes are
/// the upstream's; a proxy that sends some before we have spoken is refused, since nobody could tell whose they are.
pub(super) async fn connect<S>(
    stream: &mut S,
    origin: &Origin,
    authorization: Option<&HeaderValue>,
) -> Result<(), ParentError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let authority = format!("{}:{}", origin.host, origin.port);
    let head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    let room = head.len() + 32 + authorization.map_or(0, HeaderValue::len);
    let mut request = Zeroizing::new(Vec::with_capacity(room));
    request.extend_from_slice(head.as_bytes());
    if let Some(value) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await.map_err(ParentError::Broken)?;
    stream.flush().await.map_err(ParentError::Broken)?;
    match read_status(stream).await? {
        200..=299 => Ok(()),
        407 => Err(ParentError::Credentials),
        status => Err(ParentError::Status(status)),
    }
}

/// Reads the answer's head, and not a byte more than it.
async fn read_status<S: AsyncRead + Unpin>(stream: &mut S) -> Result<u16, ParentError> {
    let mut head = Vec::with_capacity(512);
    loop {
        let read = stream.read_buf(&mut head).await.map_err(ParentError::Broken)?;
        if read == 0 {
            return Err(ParentError::Answer("it closed the connection"));
        }
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            let status = status(&head).ok_or(ParentError::Answer("its first line is no HTTP status line"))?;
            if (200..300).contains(&status) && head.len() > end + 4 {
                return Err(ParentError::Answer("it sent bytes behind its answer"));
            }
            return Ok(status);
        }
        if !b"HTTP/1.".iter().zip(&head).all(|(a, b)| a == b) {
            return Err(ParentError::Answer("its first line is no HTTP status line"));
        }
        if head.len() > MAX_ANSWER {
            return Err(ParentError::Answer("its answer is too long"));
        }
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.strip_prefix(b"HTTP/1.0 ").or_else(|| head.strip_prefix(b"HTTP/1.1 "))?;
    let digits = std::str::from_utf8(line.get(..3)?).ok()?;
    let ends = line.get(3).is_some_and(|b| matches!(b, b' ' | b'\r'));
    digits.parse().ok().filter(|status| ends && (100..600).contains(status))
}
