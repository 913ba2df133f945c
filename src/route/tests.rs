//! Tables for finding a service by name and by host.

use std::sync::Arc;

use super::*;
use crate::domain::{
    BaseUrl, Host, HostPattern, Limits, Name, Retry, Scheme, Service, Template, Timeouts, UpstreamOptions,
};

fn service(name: &str, hosts: Vec<(HostPattern, Option<u16>)>, paths: &[&str]) -> Service {
    let template = |text: &str| Template::parse(text).unwrap();
    Service {
        name: Name::new(name).unwrap(),
        title: name.into(),
        built_in: false,
        declared: false,
        stored: false,
        base: BaseUrl { scheme: Scheme::Https, host: template("x.example"), port: 443, path: template("") },
        hosts,
        paths: paths.iter().map(|p| (*p).into()).collect(),
        auth: Vec::new(),
        headers: Vec::new(),
        allowed: crate::domain::Allowed::default(),
        limits: Limits::default(),
        gating: crate::domain::Gating::default(),
        retry: Retry::default(),
        timeouts: Timeouts::default(),
        upstream: UpstreamOptions::default(),
        allow_plaintext: false,
        variables: Vec::new(),
        verify: None,
        signals: crate::domain::Signals::default(),
        docs: None,
        key_url: None,
        key_help: None,
        env: Vec::new(),
        aliases: Vec::new(),
        category: None,
    }
}

fn exact(host: &str) -> (HostPattern, Option<u16>) {
    (HostPattern::Exact(Host::new(host).unwrap()), None)
}

fn routes() -> Routes<String> {
    let mut builder = RoutesBuilder::default();
    let tenant = Template::parse("{site}.atlassian.net").unwrap();
    for s in [
        service(
            "stripe",
            vec![exact("api.stripe.com"), (HostPattern::Exact(Host::new("api.stripe.com").unwrap()), Some(8443))],
            &[],
        ),
        service("jira", vec![(HostPattern::Tenant(tenant.clone()), None)], &[]),
        service("confluence", vec![(HostPattern::Tenant(tenant), None)], &["/wiki"]),
        service("wild", vec![(HostPattern::AnyLabel(Host::new("wild.example").unwrap()), None)], &[]),
        service("late", vec![exact("api.stripe.com")], &[]),
    ] {
        builder.service(&s, &Arc::new(s.name.to_string()));
    }
    builder.build()
}

fn hosted(host: &str, port: Option<u16>) -> Target {
    Target::Hosted { host: Host::new(host).unwrap(), port, scheme: Scheme::Https }
}

#[test]
fn a_host_belongs_to_the_service_that_lists_it_and_to_no_other() {
    let routes = routes();
    let table = [
        (hosted("api.stripe.com", None), "/v1", Some("stripe")),
        (hosted("API.stripe.com.", Some(80)), "/v1", Some("stripe")),
        (hosted("api.stripe.com", Some(443)), "/v1", Some("stripe")),
        (hosted("api.stripe.com", Some(8443)), "/v1", Some("stripe")),
        (hosted("api.stripe.com", Some(8080)), "/v1", None),
        (hosted("api.stripe.comevil.net", None), "/v1", None),
        (hosted("evil-api.stripe.com", None), "/v1", None),
        (hosted("x.api.stripe.com", None), "/v1", None),
        (hosted("stripe.com", None), "/v1", None),
        (hosted("acme.atlassian.net", None), "/rest/api", Some("jira")),
        (hosted("acme.atlassian.net", None), "/wiki/api", Some("confluence")),
        (hosted("acme.atlassian.net", None), "/wiki", Some("confluence")),
        (hosted("acme.atlassian.net", None), "/wikipedia", Some("jira")),
        (hosted("a.b.atlassian.net", None), "/", None),
        (hosted("atlassian.net", None), "/", None),
        (hosted("one.wild.example", None), "/", Some("wild")),
        (hosted("two.one.wild.example", None), "/", None),
        (hosted("wild.example", None), "/", None),
        (Target::Named { name: "stripe".into(), rest: 7 }, "/v1", Some("stripe")),
        (Target::Named { name: "nosuch".into(), rest: 7 }, "/v1", None),
    ];
    for (target, path, expected) in table {
        let found = routes.find(&target, path).map(|routed| routed.service.as_str());
        assert_eq!(found, expected, "{target:?} {path}");
    }
}

#[test]
fn a_host_pinned_by_a_credential_is_found_exactly() {
    let mut builder = RoutesBuilder::default();
    let hosted_itself =
        service("gitea", vec![(HostPattern::Tenant(Template::parse("{hostname}").unwrap()), None)], &[]);
    let entry = Arc::new("gitea".to_owned());
    builder.service(&hosted_itself, &entry);
    builder.host(&hosted_itself, &entry, Host::new("git.example").unwrap(), 443);
    let routes = builder.build();
    assert!(routes.find(&hosted("git.example", None), "/").is_some());
    assert!(routes.find(&hosted("other.example", None), "/").is_none());
    assert!(routes.claims(&Host::new("git.example").unwrap(), Some(443)));
    assert!(!routes.claims(&Host::new("git.example").unwrap(), Some(8443)));
    assert!(!routes.claims(&Host::new("other.example").unwrap(), None));
}
