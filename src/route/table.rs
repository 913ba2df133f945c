//! The compiled table of names and hosts. Built once per snapshot; a lookup is one or two hash probes.

use std::sync::Arc;

use crate::domain::{Host, Name, Part, Service, Table, Template};

use super::Target;

/// A host belongs to a service when port and path fit too.
#[derive(Debug)]
struct Claim<S> {
    port: Option<u16>,
    prefix: Box<str>,
    service: Arc<S>,
}

/// The services by name and by host. `S` is what a snapshot keeps per service.
#[derive(Debug)]
pub struct Routes<S> {
    names: Table<Name, Arc<S>>,
    exact: Table<Host, Vec<Claim<S>>>,
    /// By what follows the first label.
    suffix: Table<Host, Vec<Claim<S>>>,
}

/// A service that was found.
#[derive(Debug)]
pub struct Routed<'a, S> {
    /// It.
    pub service: &'a Arc<S>,
    /// The host that the client named, at the proxy doors: the credential's host must be the same.
    pub host: Option<&'a Host>,
}

impl<S> Routes<S> {
    /// Finds the service of `target`. `path` is the path as it will be matched, without the query.
    pub fn find<'a>(&'a self, target: &'a Target, path: &str) -> Option<Routed<'a, S>> {
        match target {
            Target::Named { name, .. } => {
                let service = self.names.get(&**name)?;
                Some(Routed { service, host: None })
            }
            Target::Hosted { host, port, .. } => {
                let service = self.exact.get(host).and_then(|claims| pick(claims, *port, path)).or_else(|| {
                    let (_, rest) = host.as_str().split_once('.')?;
                    pick(self.suffix.get(rest)?, *port, path)
                })?;
                Some(Routed { service, host: Some(host) })
            }
        }
    }

    /// The service called `name`.
    pub fn named(&self, name: &str) -> Option<&Arc<S>> {
        self.names.get(name)
    }

    /// Every service.
    pub fn services(&self) -> impl Iterator<Item = &Arc<S>> {
        self.names.values()
    }

    /// Whether any service claims `host` with `port`, whatever the path; for CONNECT, which has no path.
    pub fn claims(&self, host: &Host, port: Option<u16>) -> bool {
        let below = || host.as_str().split_once('.').and_then(|(_, rest)| self.suffix.get(rest));
        let of = |claims: &Vec<Claim<S>>| claims.iter().any(|claim| is_own(port) || claim.port == port);
        self.exact.get(host).is_some_and(of) || below().is_some_and(of)
    }
}

/// The claim with the longest fitting prefix. No port, 80 and 443 all mean the service's own port.
fn pick<'a, S>(claims: &'a [Claim<S>], port: Option<u16>, path: &str) -> Option<&'a Arc<S>> {
    let own = is_own(port);
    claims
        .iter()
        .filter(|claim| own || claim.port == port)
        .filter(|claim| within(&claim.prefix, path))
        .max_by_key(|claim| claim.prefix.len())
        .map(|claim| &claim.service)
}

/// Whether `port` means the service's own, whichever that is.
fn is_own(port: Option<u16>) -> bool {
    matches!(port, None | Some(80 | 443))
}

/// Whether `path` is `prefix` or lies below it.
fn within(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.is_empty())
}

/// Collects services and hosts. What is added first wins where two claim the same host, port and prefix.
#[derive(Debug)]
pub struct RoutesBuilder<S> {
    routes: Routes<S>,
}

impl<S> Default for RoutesBuilder<S> {
    fn default() -> Self {
        Self { routes: Routes { names: Table::default(), exact: Table::default(), suffix: Table::default() } }
    }
}

impl<S> RoutesBuilder<S> {
    /// Adds a service with its hosts.
    pub fn service(&mut self, service: &Service, entry: &Arc<S>) {
        self.routes.names.insert(service.name.clone(), Arc::clone(entry));
        for (pattern, port) in &service.hosts {
            let port = port.unwrap_or(service.base.port);
            match pattern {
                crate::domain::HostPattern::Exact(host) => self.host(service, entry, host.clone(), port),
                crate::domain::HostPattern::AnyLabel(rest) => self.below(service, entry, rest.clone(), port),
                crate::domain::HostPattern::Tenant(template) => {
                    if let Some(rest) = after_first_label(template) {
                        self.below(service, entry, rest, port);
                    }
                }
            }
        }
    }

    /// Adds a host that a credential pinned.
    pub fn host(&mut self, service: &Service, entry: &Arc<S>, host: Host, port: u16) {
        let claims = self.routes.exact.entry(host).or_default();
        claim(claims, service, entry, port);
    }

    fn below(&mut self, service: &Service, entry: &Arc<S>, rest: Host, port: u16) {
        let claims = self.routes.suffix.entry(rest).or_default();
        claim(claims, service, entry, port);
    }

    /// The table.
    pub fn build(self) -> Routes<S> {
        self.routes
    }
}

fn claim<S>(claims: &mut Vec<Claim<S>>, service: &Service, entry: &Arc<S>, port: u16) {
    let whole: [Box<str>; 1] = ["".into()];
    let prefixes = if service.paths.is_empty() { &whole[..] } else { &service.paths[..] };
    for prefix in prefixes {
        let prefix = prefix.trim_end_matches('/');
        let taken = claims.iter().any(|c| c.port == Some(port) && &*c.prefix == prefix);
        if !taken {
            claims.push(Claim { port: Some(port), prefix: prefix.into(), service: Arc::clone(entry) });
        }
    }
}

/// `{tenant}.suffix` → `suffix`. A template with holes elsewhere matches only the hosts that credentials pin.
fn after_first_label(template: &Template) -> Option<Host> {
    match template.parts() {
        [Part::Hole(_), Part::Literal(rest)] => Host::new(rest.strip_prefix('.')?).ok(),
        _ => None,
    }
}
