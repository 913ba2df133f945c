//! Requests that a web page sends, by script or by DNS rebinding, are refused at the local doors: a key must not be usable
//! by whatever page is open in a browser on the same machine.

use http::HeaderMap;
use http::header::{HeaderName, ORIGIN};

use crate::domain::Host;
use crate::pipeline::{CallerFault, Signs};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a web page's request, unless its origin is listed in `browser_origins`. `host` is the one it names; none for an
/// IP address or when it names none.
pub(super) fn refuse(
    headers: &HeaderMap,
    signs: Signs,
    host: Option<&Host>,
    allowed: &[String],
) -> Result<(), CallerFault> {
    if signs.has(Signs::BROWSER) {
        if let Some(origin) = headers.get(ORIGIN) {
            let listed = allowed.iter().any(|entry| origin.as_bytes() == entry.as_bytes());
            return if listed { Ok(()) } else { Err(CallerFault::Browser(ORIGIN_REFUSED)) };
        }
        // `none` means that a person asked for it: typed it, or opened a bookmark.
        if headers.get(FETCH_SITE).is_some_and(|site| site != "none") {
            return Err(CallerFault::Browser(ORIGIN_REFUSED));
        }
    }
    match host {
        Some(host) if !is_local(host) => Err(CallerFault::Browser(HOST_REFUSED)),
        _ => Ok(()),
    }
}

const ORIGIN_REFUSED: &str = "A web page sent this request, and web pages may not use the keys of this proxy. If this page is yours, list its origin in `browser_origins` under [listen].";
const HOST_REFUSED: &str = "The Host of this request is neither an address nor a local name, as in an attack by DNS rebinding. Use an IP address, `localhost`, a name without dots, or a name under .localhost, .local or .internal.";

/// Whether the `Host` of a request, with or without a port, is an address or a name that no stranger can register.
pub fn is_local_authority(authority: &str) -> bool {
    let parsed = authority.parse::<http::uri::Authority>();
    parsed.is_ok_and(|authority| Host::new(authority.host()).is_ok_and(|host| is_local(&host)))
}

/// Names that no stranger can register and point at this machine.
fn is_local(host: &Host) -> bool {
    const SUFFIXES: [&str; 3] = [".localhost", ".local", ".internal"];
    let text = host.as_str();
    host.ip().is_some() || !text.contains('.') || SUFFIXES.iter().any(|suffix| text.ends_with(suffix))
}
