//! The request that is asked about: a method and a URL as a client would write them, read as the doors would read them.

use http::{Method, Uri};

use crate::domain::{Host, Scheme};
use crate::route::{Door, Target};

/// A request to explain.
#[derive(Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// As it was written, without a query.
    pub shown: String,
    /// At which door it would arrive.
    pub door: Door,
    /// Where it would go.
    pub target: Target,
    /// The path as the client would send it, without the query.
    pub path: String,
    /// The URL begins with `https://`: as it stands, a client sends it through a tunnel that sidekey does not open.
    pub is_tunnelled: bool,
}

/// Reads it.
///
/// # Errors
/// In words, when it is no request that a door would take.
pub fn read(method: &str, url: &str) -> Result<Asked, String> {
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| "the method has a character that no method has")?;
    if matches!(method, Method::CONNECT | Method::TRACE) {
        return Err(format!("{method} cannot be explained: ask about the request inside, such as GET"));
    }
    let uri: Uri =
        url.parse().map_err(|_| "the URL cannot be read; write it like https://host/path or /service/path")?;
    let path = if uri.path().is_empty() { "/" } else { uri.path() }.to_owned();
    let shown = url.split(['?', '#']).next().unwrap_or_default().to_owned();
    let (door, target) = match uri.authority() {
        None if uri.path().starts_with('/') => (Door::Path, by_path(&path)),
        None => {
            return Err("write the URL with its scheme, like https://host/path, or a path like /service/path".into());
        }
        Some(authority) if authority.as_str().contains('@') => {
            return Err("the URL carries a user name or password; sidekey adds the key itself, leave them out".into());
        }
        Some(authority) => {
            let host = Host::new(authority.host()).map_err(|error| error.to_string())?;
            by_host(host, authority.port_u16(), uri.scheme_str(), &path)?
        }
    };
    let is_tunnelled = matches!(target, Target::Hosted { scheme: Scheme::Https, .. });
    Ok(Asked { method, shown, door, target, path, is_tunnelled })
}

fn by_host(host: Host, port: Option<u16>, scheme: Option<&str>, path: &str) -> Result<(Door, Target), String> {
    if let Some(name) = host.as_str().strip_suffix(".localhost") {
        return Ok((Door::Host, Target::Named { name: name.into(), rest: 0 }));
    }
    if host.as_str() == "localhost" || host.ip().is_some_and(|ip| ip.is_loopback() || ip.is_unspecified()) {
        return Ok((Door::Path, by_path(path)));
    }
    let scheme = match scheme {
        Some("https") => Scheme::Https,
        Some("http") => Scheme::Http,
        _ => return Err("only http and https URLs can be called".into()),
    };
    Ok((Door::Forward, Target::Hosted { host, port, scheme }))
}

fn by_path(path: &str) -> Target {
    let name = path.strip_prefix('/').and_then(|rest| rest.split('/').next()).unwrap_or_default();
    Target::Named { name: name.into(), rest: name.len() + 1 }
}
