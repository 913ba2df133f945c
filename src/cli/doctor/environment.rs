//! What this shell gives to programs that are started in it: the proxy that they call through, what they call without it, and
//! how many files a process may open.

use std::net::SocketAddr;

use rustix::process::{Resource, getrlimit};

use crate::cli::around;
use crate::cli::session::Session;
use crate::cli::ways::proxy_address;
use crate::config::{Config, Environment};
use crate::operations::KeyView;

use super::finding::{Finding, Findings};

/// Each call takes two connections, and idle ones stay a while.
const FEW: u64 = 4096;

/// How many files a process may open. The proxy takes all that it may have.
pub(super) fn open_files(findings: &mut Findings) {
    let check = "open_files";
    findings.add(match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < FEW => {
            let found = format!("a process started here may open {most} files, two of which each call takes");
            Finding::warning(check, found).mended_by("ulimit -Hn 65536")
        }
        Some(most) => Finding::fine(check, format!("a process started here may open {most}")),
        None => Finding::fine(check, "a process started here may open any number"),
    });
}

/// The variables that name a proxy, as they are set in this shell: name, and the proxy's host and port.
fn proxies(environment: &Environment) -> impl Iterator<Item = (&'static str, &str)> {
    let names = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    names.into_iter().filter_map(|name| Some((name, authority_of(environment.filled(name)?))))
}

/// Whether `authority` is where this machine reaches the proxy.
fn is_proxy(authority: &str, proxy: SocketAddr) -> bool {
    authority == proxy.to_string() || proxy.ip().is_loopback() && authority == format!("localhost:{}", proxy.port())
}

/// Whether a variable names this very proxy: then it is set for others than the proxy itself.
pub(super) fn leads_here(config: &Config, environment: &Environment) -> bool {
    let proxy = proxy_address(&config.listen.proxy);
    proxy.is_some_and(|proxy| proxies(environment).any(|(_, authority)| is_proxy(authority, proxy)))
}

/// Whether programs started in this shell call through the proxy.
pub(super) fn variables(config: &Config, session: &Session, findings: &mut Findings) {
    let check = "proxy_variables";
    let Some(proxy) = proxy_address(&config.listen.proxy) else {
        return findings.add(Finding::unchecked(check, "the proxy listens on Unix sockets alone"));
    };
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        proxies(&session.environment).partition(|(_, authority)| is_proxy(authority, proxy));
    findings.add(match (here.as_slice(), elsewhere.as_slice()) {
        ([], []) => {
            Finding::fine(check, "none is set in this shell: programs call through the proxy under `sidekey run`")
        }
        (here, []) => {
            let names: Vec<_> = here.iter().map(|(name, _)| *name).collect();
            Finding::fine(check, format!("{} name this proxy", names.join(", ")))
        }
        (_, elsewhere) => {
            let named = elsewhere.iter().map(|(name, authority)| format!("{name} names {authority}"));
            let found = format!("{}; this proxy is {proxy}", named.collect::<Vec<_>>().join(", "));
            Finding::warning(check, found).mended_by(r#"eval "$(sidekey env)""#)
        }
    });
}

/// Host and port of a proxy's URL, without name and password.
fn authority_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, authority)| authority)
}

/// Whether `NO_PROXY` lets calls of services go around the proxy.
pub(super) fn no_proxy(config: &Config, keys: &[KeyView], session: &Session, findings: &mut Findings) {
    let check = "no_proxy";
    let no = around::present(&session.environment);
    let lost = around::lost(config, keys, &no);
    if lost.is_empty() {
        let found =
            if no.is_empty() { "it is not set in this shell" } else { "it lets no service go around the proxy" };
        return findings.add(Finding::fine(check, found));
    }
    for (service, host) in lost {
        let found = format!("NO_PROXY in this shell has {host} called without the proxy, and so without a key");
        findings.add(Finding::problem(check, found).of(service.to_string()).mended_by("unset NO_PROXY no_proxy"));
    }
}

#[cfg(test)]
mod tests {
    use super::authority_of;

    #[test]
    fn a_proxy_url_is_shown_without_name_and_password() {
        for (url, shown) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://etl:skc_x@127.0.0.1:8080/", "127.0.0.1:8080"),
            ("proxy.corp:3128", "proxy.corp:3128"),
            ("http://a:b@c@[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(authority_of(url), shown);
        }
    }
}
