//! Whether the proxy and the console answer where the configuration says that they listen.

use std::net::SocketAddr;

use crate::cli::local;
use crate::config::{Config, ListenAddress};

use super::finding::{Finding, Findings};

const CHECK: &str = "listener";

/// Asks at every address. Returns the first TCP address of the proxy that answered, as this machine reaches it.
pub(super) fn examine(config: &Config, findings: &mut Findings) -> Option<SocketAddr> {
    let mut answered = None;
    for address in &config.listen.proxy {
        let finding = ask(address, "proxy");
        if let (ListenAddress::Tcp(tcp), true) = (address, finding.mend.is_none()) {
            answered = answered.or(Some(local::reached(*tcp)));
        }
        findings.add(finding);
    }
    if let Some(address) = &config.listen.console {
        findings.add(ask(address, "console"));
    }
    answered
}

fn ask(address: &ListenAddress, which: &str) -> Finding {
    let finding = match local::is_ready(address) {
        Ok(()) => Finding::fine(CHECK, format!("ready at {address}")),
        Err(error) => {
            Finding::problem(CHECK, format!("nothing is ready at {address}: {error:#}")).mended_by("sidekey up")
        }
    };
    finding.of(which)
}
