//! What finding the service of a request costs, by name and by host, among few services and among very many.

#![allow(missing_docs, reason = "a bench may stop at what it was given")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use sidekey::domain::{HostPattern, Scheme, Service};
use sidekey::route::{Routes, RoutesBuilder, Target};

mod world;

/// Services called `service-N` at `api.service-N.example.com`, each with a wildcard below that.
fn routes(count: usize) -> Routes<Service> {
    let mut builder = RoutesBuilder::default();
    for n in 0..count {
        let at = format!("api.service-{n}.example.com");
        let mut service = world::service(&format!("service-{n}"), &at, vec![world::bearer()]);
        service.hosts.push((HostPattern::AnyLabel(world::host(&at)), None));
        builder.service(&service.clone(), &Arc::new(service));
    }
    builder.build()
}

fn finding(c: &mut Criterion) {
    for count in [10, 100_000] {
        let routes = routes(count);
        let last = count - 1;
        let name = format!("service-{last}");
        let at = |host: String| Target::Hosted { host: world::host(&host), port: Some(443), scheme: Scheme::Https };
        let targets = [
            ("by name", Target::Named { rest: name.len() + 1, name: name.into() }),
            ("by host", at(format!("api.service-{last}.example.com"))),
            ("by wildcard", at(format!("eu.api.service-{last}.example.com"))),
            ("no such host", at("api.elsewhere.example.com".to_owned())),
        ];
        for (title, target) in targets {
            assert_eq!(routes.find(&target, "/v1/charges").is_some(), title != "no such host");
            c.bench_function(&format!("route/{title} among {count}"), |b| {
                b.iter(|| routes.find(black_box(&target), black_box("/v1/charges")).map(|routed| routed.host));
            });
        }
    }
}

criterion_group!(benches, finding);
criterion_main!(benches);
