//! From a request as it came to an `Inbound`: which door, which target, which proof. The only place that parses targets.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Uri, Version};

use crate::domain::{Host, Scheme};
use crate::pipeline::{CallerFault, Signs, Snapshot};
pub(super) use crate::route::Door;
use crate::route::Target;

use super::tunnel::Inside;
use super::{browser, proof};
use crate::access::Proof;

/// Where a request goes, and what its caller showed.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) door: Door,
    pub(super) target: Target,
    pub(super) proof: Proof,
    pub(super) signs: Signs,
}

/// What a listener knows of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here {
    /// Its port; none for a Unix socket.
    pub(super) port: Option<u16>,
}

const UNPARSABLE: CallerFault = CallerFault::Malformed(
    "The request target cannot be read as a URL, an absolute path or `host:port`. Check the URL that the client was given.",
);

const SEVERAL_HOSTS: CallerFault =
    CallerFault::Malformed("The request has several Host lines; exactly one is allowed (RFC 9112 §3.2).");
const NO_HOST: CallerFault =
    CallerFault::Malformed("The request has no Host line, which HTTP/1.1 demands (RFC 9112 §3.2).");

/// Two readers of such a request may disagree on where it ends, and on what is the next one.
pub(super) const TWO_LENGTHS: CallerFault = CallerFault::Malformed(
    "The request gives the length of its body twice, by Content-Length and by Transfer-Encoding (RFC 9112 §6.1). Send one of the two.",
);

/// Tells the door and reads the target.
pub(super) fn enter(parts: &Parts, here: Here, view: &Snapshot) -> Result<Entered, (Door, CallerFault)> {
    let signs = Signs::of(&parts.headers);
    if parts.method == Method::CONNECT {
        let target = connect_target(&parts.uri).map_err(|fault| (Door::Connect, fault))?;
        refuse_content(parts).map_err(|fault| (Door::Connect, fault))?;
        let proof = proof::at_proxy_door(&parts.headers, signs);
        return Ok(Entered { door: Door::Connect, target, proof, signs });
    }
    // At HTTP/2 every target has scheme and authority (RFC 9113 §8.3.1); there only a foreign authority means the proxy door.
    match parts.uri.authority() {
        Some(authority) if !is_here(authority.host(), authority.port_u16(), here) => {
            let target = absolute_target(&parts.uri).map_err(|fault| (Door::Forward, fault))?;
            refuse_trace(parts).map_err(|fault| (Door::Forward, fault))?;
            let proof = proof::at_proxy_door(&parts.headers, signs);
            Ok(Entered { door: Door::Forward, target, proof, signs })
        }
        _ => local(parts, signs, view),
    }
}

/// The door within an opened tunnel: where a request goes, and who sends it, was said by the CONNECT. Where it goes to sidekey
/// itself, there are its own pages alone.
pub(super) fn within(parts: &Parts, inside: &Inside) -> Result<Entered, (Door, CallerFault)> {
    let signs = Signs::of(&parts.headers);
    let checked = refuse_trace(parts).and_then(|()| refuse_others(parts, signs, inside));
    checked.map_err(|fault| (inside.door, fault))?;
    let Inside { door, host, port, scheme, proof } = inside;
    let target = Target::Hosted { host: host.clone(), port: Some(*port), scheme: *scheme };
    Ok(Entered { door: *door, target, proof: *proof, signs })
}

/// A request that names another host than its tunnel would be checked as one thing and meant as another.
fn refuse_others(parts: &Parts, signs: Signs, inside: &Inside) -> Result<(), CallerFault> {
    if parts.method == Method::CONNECT {
        return Err(CallerFault::Malformed(
            "There is a tunnel already. Send the next CONNECT on a connection of its own.",
        ));
    }
    let other = CallerFault::Malformed(
        "The request names another host than the tunnel that it came through. Open a tunnel for each host.",
    );
    let named = parts.uri.authority();
    if named.is_some_and(|authority| !inside.is_named(authority.as_str())) {
        return Err(other);
    }
    if !signs.has(Signs::HOST) {
        let bare = named.is_none() && parts.version == Version::HTTP_11;
        return if bare { Err(NO_HOST) } else { Ok(()) };
    }
    let mut lines = parts.headers.get_all(HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(SEVERAL_HOSTS);
    }
    let same = line.is_none_or(|line| line.to_str().is_ok_and(|line| inside.is_named(line)));
    if same { Ok(()) } else { Err(other) }
}

impl Inside {
    /// Whether `authority`, with or without a port, is the one that the tunnel leads to.
    fn is_named(&self, authority: &str) -> bool {
        let host = without_port(authority);
        let port = authority.get(host.len()..).and_then(|rest| rest.strip_prefix(':'));
        let same_port = match port {
            None => matches!(self.port, 80 | 443),
            Some(port) => port.parse() == Ok(self.port),
        };
        same_port
            && (host.eq_ignore_ascii_case(self.host.as_str()) || Host::new(host).is_ok_and(|host| host == self.host))
    }
}

/// Loopback or `localhost` with this listener's port: the client reached its own proxy through the proxy settings.
fn is_here(host: &str, port: Option<u16>, here: Here) -> bool {
    let Ok(host) = Host::new(host) else { return false };
    let local = host.as_str() == "localhost"
        || host.as_str().ends_with(".localhost")
        || host.ip().is_some_and(|ip| ip.is_loopback() || ip.is_unspecified());
    local && (here.port.is_none() || port.unwrap_or(80) == here.port.unwrap_or(80))
}

fn refuse_trace(parts: &Parts) -> Result<(), CallerFault> {
    if parts.method == Method::TRACE {
        // It would send the injected key back to the caller (RFC 9110 §9.3.8).
        return Err(CallerFault::Malformed(
            "TRACE is refused, because its answer would repeat the key. Use another method.",
        ));
    }
    Ok(())
}

/// What follows CONNECT is the tunnel's, and a body would be taken for its first bytes (RFC 9110 §9.3.6).
fn refuse_content(parts: &Parts) -> Result<(), CallerFault> {
    let mut lengths = parts.headers.get_all(CONTENT_LENGTH).iter();
    if parts.headers.contains_key(TRANSFER_ENCODING) || lengths.any(|length| length != "0") {
        return Err(CallerFault::Malformed(
            "CONNECT has no body. Send it without Content-Length and Transfer-Encoding.",
        ));
    }
    Ok(())
}

/// The path and host doors, and sidekey's own pages.
fn local(parts: &Parts, signs: Signs, view: &Snapshot) -> Result<Entered, (Door, CallerFault)> {
    let host = local_host(parts).map_err(|fault| (Door::Path, fault))?;
    let path = parts.uri.path();
    let service = host.as_ref().and_then(|host| host.as_str().strip_suffix(".localhost"));
    let door = if path.starts_with("/-/") {
        Door::Own
    } else if service.is_some() {
        Door::Host
    } else {
        Door::Path
    };
    let checked =
        browser::refuse(&parts.headers, signs, host.as_ref(), &view.browser_origins).and_then(|()| refuse_trace(parts));
    checked.map_err(|fault| (door, fault))?;
    let proof = proof::at_local_door(&parts.headers, &parts.uri, signs, view.callers.have_tokens());
    let target = if let (Door::Host, Some(name)) = (door, service) {
        Target::Named { name: name.into(), rest: 0 }
    } else {
        let name = path.strip_prefix('/').and_then(|rest| rest.split('/').next()).unwrap_or_default();
        Target::Named { name: name.into(), rest: name.len() + 1 }
    };
    Ok(Entered { door, target, proof, signs })
}

/// The host that a local request names: its authority, else its one `Host` line; none for an IPv4 address.
fn local_host(parts: &Parts) -> Result<Option<Host>, CallerFault> {
    let mut lines = parts.headers.get_all(HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(SEVERAL_HOSTS);
    }
    let text = match (parts.uri.host(), line) {
        (Some(host), _) => host,
        (None, Some(line)) => {
            let line = line.to_str().map_err(|_| UNPARSABLE)?;
            without_port(line)
        }
        (None, None) if parts.version == Version::HTTP_11 => {
            return Err(NO_HOST);
        }
        (None, None) => return Ok(None),
    };
    // By far the most common, and neither can be a stranger's name.
    let is_ipv4 = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if text.is_empty() || is_ipv4 {
        return Ok(None);
    }
    Host::new(text).map(Some).map_err(|_| UNPARSABLE)
}

fn without_port(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => text,
    }
}

fn absolute_target(uri: &Uri) -> Result<Target, CallerFault> {
    let authority = uri.authority().ok_or(UNPARSABLE)?;
    if authority.as_str().contains('@') {
        return Err(USERINFO);
    }
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => return Err(CallerFault::Malformed("Only http and https URLs can be called through this proxy.")),
    };
    let host = Host::new(authority.host()).map_err(|_| UNPARSABLE)?;
    Ok(Target::Hosted { host, port: port(authority)?, scheme })
}

const USERINFO: CallerFault = CallerFault::Malformed(
    "The URL carries a user name or password. sidekey adds the key itself: call the URL without them.",
);

fn connect_target(uri: &Uri) -> Result<Target, CallerFault> {
    let authority = uri.authority().ok_or(UNPARSABLE)?;
    if authority.as_str().contains('@') {
        return Err(USERINFO);
    }
    let host = Host::new(authority.host()).map_err(|_| UNPARSABLE)?;
    // RFC 9110 §9.3.6: the port is part of the target.
    let port = port(authority)?.ok_or(UNPARSABLE)?;
    Ok(Target::Hosted { host, port: Some(port), scheme: Scheme::Https })
}

fn port(authority: &http::uri::Authority) -> Result<Option<u16>, CallerFault> {
    // `Authority::port` takes a port that is too large for none at all.
    let written = authority.as_str().get(authority.host().len()..).unwrap_or_default();
    match written.strip_prefix(':') {
        None | Some("") => Ok(None),
        Some(digits) => digits.parse().ok().filter(|port| *port > 0).map(Some).ok_or(UNPARSABLE),
    }
}
