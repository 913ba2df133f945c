//! Taking out what belongs to one connection or to sidekey itself (RFC 9110 §7.6.1): one look that finds out whether there
//! is anything to do, and a rebuild only when something has to go. It knows nothing of credentials, except the names of
//! the headers they go into, to catch spellings that a server may confuse with them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, COOKIE, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use zeroize::Zeroizing;

use super::outbound::retain;
use super::{InjectError, Plan, cookie};

/// What a header is to a proxy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The upstream's business.
    EndToEnd,
    /// Never goes upstream.
    Doomed,
    /// Each with a rule of its own.
    Connection,
    Te,
    Upgrade,
    Coding,
}

fn kind(name: &HeaderName) -> Kind {
    match name.as_str() {
        "connection" => Kind::Connection,
        "te" => Kind::Te,
        "upgrade" => Kind::Upgrade,
        "transfer-encoding" => Kind::Coding,
        "keep-alive" | "http2-settings" => Kind::Doomed,
        text if text.starts_with("proxy-") || text.starts_with("sidekey-") => Kind::Doomed,
        _ => Kind::EndToEnd,
    }
}

/// Whether HTTP itself sets this header, so that neither a key nor a fixed header can stand there.
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    kind(name) != Kind::EndToEnd || matches!(name.as_str(), "host" | "content-length" | "trailer" | "expect")
}

/// Whether a `Connection` nomination of this header is ignored. RFC 9110 §7.6.1 forbids to nominate fields that are meant
/// for the recipient of the content; obeying would let a caller take away the framing, the host or the meaning of a body
/// after they were checked.
fn is_essential(name: &str) -> bool {
    let starts = |prefix: &str| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    ["host", "cache-control", "expect", "trailer"].iter().any(|e| name.eq_ignore_ascii_case(e)) || starts("content-")
}

/// What one look over the headers found.
#[derive(Default)]
struct Seen {
    /// Something that goes whatever else is there.
    doomed: bool,
    /// `Connection`, `TE` or `Upgrade`, which must be looked at more closely.
    hop: bool,
    coding: bool,
    cookies: usize,
}

impl Seen {
    fn look(headers: &HeaderMap, shadowed: &[HeaderName]) -> Self {
        let mut seen = Self::default();
        for name in headers.keys() {
            match kind(name) {
                Kind::EndToEnd => seen.doomed |= shadows(name, shadowed),
                Kind::Doomed => seen.doomed = true,
                Kind::Coding => seen.coding = true,
                Kind::Connection | Kind::Te | Kind::Upgrade => seen.hop = true,
            }
            if *name == COOKIE {
                seen.cookies = headers.get_all(COOKIE).iter().count();
            }
        }
        seen
    }
}

/// What the `Connection` lines say.
#[derive(Default)]
struct Options {
    upgrade: bool,
    te: bool,
    nominated: Vec<HeaderName>,
}

impl Options {
    fn read(headers: &HeaderMap) -> Self {
        let mut options = Self::default();
        for token in tokens(headers, CONNECTION) {
            if token.eq_ignore_ascii_case("upgrade") {
                options.upgrade = true;
            } else if token.eq_ignore_ascii_case("te") {
                options.te = true;
            } else if !is_essential(token) && headers.contains_key(token) {
                // Looked up rather than compared with every header: a long list costs no more than its length.
                let name = HeaderName::from_bytes(token.as_bytes()).ok();
                options.nominated.extend(name.filter(|n| kind(n) == Kind::EndToEnd && !options.nominated.contains(n)));
            }
        }
        options
    }
}

/// Removes hop-by-hop fields, those named by `Connection`, `Proxy-*` and `Sidekey-*`. Returns whether the request asks to
/// change the protocol; then `Connection: Upgrade` and `Upgrade` stay.
///
/// # Errors
/// [`InjectError::TransferCoding`]: without its label a body in another coding would arrive as garbage.
pub(super) fn strip(headers: &mut HeaderMap, version: Version, shadowed: &[HeaderName]) -> Result<bool, InjectError> {
    let seen = Seen::look(headers, shadowed);
    if seen.cookies > 1 && version == Version::HTTP_2 {
        cookie::join(headers);
    }
    if seen.coding {
        // `chunked` is how this body is framed on both sides; it stays so that a GET with a body keeps it.
        if !is_chunked(headers) {
            return Err(InjectError::TransferCoding);
        }
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Ok((seen.hop || seen.doomed) && strip_hops(headers, version, shadowed, seen.doomed))
}

/// The part of [`strip`] that most callers' requests without a `Connection` never come to.
fn strip_hops(headers: &mut HeaderMap, version: Version, shadowed: &[HeaderName], doomed: bool) -> bool {
    let options = Options::read(headers);
    let upgrade = options.upgrade && version == Version::HTTP_11 && may_upgrade(headers);
    let trailers = accepts_trailers(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    let connection = match (upgrade, trailers && options.te) {
        (true, true) => Some("Upgrade, TE"),
        (true, false) => Some("Upgrade"),
        (false, true) => Some("TE"),
        (false, false) => None,
    };
    if let Some(value) = connection {
        headers.insert(CONNECTION, HeaderValue::from_static(value));
    }
    let leaves = |name: &HeaderName| match kind(name) {
        Kind::EndToEnd => shadows(name, shadowed) || options.nominated.contains(name),
        Kind::Doomed => true,
        Kind::Connection => connection.is_none(),
        Kind::Te => !trailers,
        Kind::Upgrade => !upgrade,
        Kind::Coding => false,
    };
    let goes = |name, stays: bool| !stays && headers.contains_key(name);
    if doomed
        || !options.nominated.is_empty()
        || goes(CONNECTION, connection.is_some())
        || goes(TE, trailers)
        || goes(UPGRADE, upgrade)
    {
        retain(headers, |name| !leaves(name));
    }
    upgrade
}

/// Removes from a caller's request trailers what may not stand there (RFC 9110 §6.5.1): framing, routing and connection
/// fields, and whatever stands at the credential's place, since some servers merge trailers into the headers.
pub fn strip_trailers(trailers: &mut HeaderMap, plan: Option<&Plan>) {
    let shadowed = plan.map_or(&[][..], |plan| &plan.shadowed);
    let leaves = |name: &HeaderName| {
        is_reserved(name)
            || shadowed.contains(name)
            || shadows(name, shadowed)
            || matches!(
                name.as_str(),
                "authorization" | "cookie" | "content-encoding" | "content-type" | "content-range"
            )
    };
    if trailers.keys().any(leaves) {
        retain(trailers, |name| !leaves(name));
    }
}

/// Removes headers in which a caller's proof stands where this credential does not go, and so would not replace it: the
/// token is between the caller and us. `mark` is what every token begins with.
pub(super) fn strip_proof(headers: &mut HeaderMap, plan: &Plan, mark: &[u8]) {
    let marked = |bytes: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
    let shows = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        marked(bytes)
            || bytes.split_at_checked(6).is_some_and(|(scheme, rest)| {
                scheme.eq_ignore_ascii_case(b"basic ")
                    && STANDARD.decode(rest.trim_ascii()).is_ok_and(|decoded| marked(&Zeroizing::new(decoded)))
            })
    };
    let leaves = |name: &HeaderName| !plan.shadowed.contains(name) && headers.get_all(name).iter().any(shows);
    let doomed: Vec<HeaderName> = headers.keys().filter(|name| leaves(name)).cloned().collect();
    if !doomed.is_empty() {
        retain(headers, |name| !doomed.contains(name));
    }
}

/// Whether servers that turn names into variables (CGI, WSGI) take this header for one that we place: `X_Api_Key`.
fn shadows(name: &HeaderName, shadowed: &[HeaderName]) -> bool {
    let text = name.as_str();
    let dash = |b: u8| if b == b'_' { b'-' } else { b };
    // The length rules out nearly every header at the cost of one comparison.
    shadowed.iter().map(HeaderName::as_str).any(|ours| {
        ours.len() == text.len() && ours != text && ours.bytes().zip(text.bytes()).all(|(a, b)| dash(a) == dash(b))
    })
}

/// Whether `TE` has `trailers`, the only member that a proxy may pass on.
fn accepts_trailers(headers: &HeaderMap) -> bool {
    tokens(headers, TE)
        .any(|member| member.split(';').next().is_some_and(|m| m.trim().eq_ignore_ascii_case("trailers")))
}

/// Whether `Transfer-Encoding` is `chunked`, once, and nothing else.
fn is_chunked(headers: &HeaderMap) -> bool {
    let mut codings = tokens(headers, TRANSFER_ENCODING);
    codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) && codings.next().is_none()
}

/// Whether every protocol of `Upgrade` is one that leaves HTTP. An upgrade to another HTTP would open a second, unwatched
/// way for requests (`h2c` smuggling), one to TLS would hide them.
fn may_upgrade(headers: &HeaderMap) -> bool {
    let mut any = false;
    for protocol in tokens(headers, UPGRADE) {
        let name = protocol.split('/').next().unwrap_or(protocol);
        if ["h2c", "h2", "h3", "http", "tls"].iter().any(|p| name.eq_ignore_ascii_case(p)) {
            return false;
        }
        any = true;
    }
    any
}

/// The comma-separated members of all lines of a field, without surrounding white space and empty ones.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|b| *b == b','))
        .filter_map(|token| std::str::from_utf8(token.trim_ascii()).ok())
        .filter(|token| !token.is_empty())
}
