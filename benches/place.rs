//! What placing one credential costs: a typical request of ten headers, and the same with nothing to strip.

#![allow(clippy::expect_used, missing_docs, reason = "a bench may stop at what it was given")]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::HeaderValue;
use http::header::CONNECTION;
use http::request::Parts;
use sidekey::domain::{Fields, Placement, Secret};
use sidekey::inject::{Mount, Plan, place};

use world::{bearer, name, template};

mod world;

// As in the binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn plan(auth: Vec<Placement>) -> Plan {
    Plan::compile(&world::service("bench", "api.example.com", auth), &BTreeMap::new()).expect("a plan")
}

fn request(connection: bool) -> Parts {
    let mut parts = world::request("/v1/charges?limit=10&starting_after=ch_1N2");
    if connection {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
    }
    parts
}

fn placements(c: &mut Criterion) {
    let fields = Fields::new(vec![(name("key"), Secret::new(b"sk_live_0123456789abcdef0123456789abcdef".to_vec()))]);
    let query = || Placement::Query { name: "api_key".into(), value: template("{key}") };
    let cases = [
        ("header, connection to strip", vec![bearer()], true),
        ("header, nothing to strip", vec![bearer()], false),
        ("query, nothing to strip", vec![query()], false),
    ];
    for (title, auth, connection) in cases {
        let plan = plan(auth);
        c.bench_function(title, |b| {
            b.iter_batched(
                || request(connection),
                |parts| place(parts, Mount::Origin(plan.upstream()), black_box(&plan), &fields),
                // Small batches: in the proxy the headers have just been parsed and are in the cache.
                BatchSize::NumIterations(32),
            );
        });
    }
}

criterion_group!(benches, placements);
criterion_main!(benches);
