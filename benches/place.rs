//! What placing one credential costs: a typical request of ten headers, and the same with nothing to strip.

#![allow(clippy::expect_used, missing_docs, reason = "a bench may stop at what it was given")]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::Request;
use http::request::Parts;
use sidekey::domain::{
    BaseUrl, Fields, Limits, Name, Placement, Retry, Scheme, Secret, Service, Template, Timeouts, UpstreamOptions,
};
use sidekey::inject::{Mount, Plan, place};

// As in the binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn template(text: &str) -> Template {
    Template::parse(text).expect("a template")
}

fn plan(auth: Vec<Placement>) -> Plan {
    let service = Service {
        name: name("bench"),
        title: String::new(),
        built_in: false,
        declared: true,
        base: BaseUrl { scheme: Scheme::Https, host: template("api.example.com"), port: 443, path: template("") },
        hosts: vec![],
        paths: vec![],
        auth,
        headers: vec![],
        allow: None,
        limits: Limits::default(),
        retry: Retry::default(),
        timeouts: Timeouts::default(),
        upstream: UpstreamOptions::default(),
        allow_plaintext: false,
        variables: vec![],
        verify: None,
        family: None,
        docs: None,
        key_url: None,
        key_help: None,
        env: vec![],
        aliases: vec![],
        category: None,
    };
    Plan::compile(&service, &BTreeMap::new()).expect("a plan")
}

fn request(connection: bool) -> Parts {
    let mut request = Request::builder()
        .uri("/v1/charges?limit=10&starting_after=ch_1N2")
        .header("host", "127.0.0.1:8080")
        .header("user-agent", "python-requests/2.32.3")
        .header("accept-encoding", "gzip, deflate, br")
        .header("accept", "application/json")
        .header("x-request-source", "nightly")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .header("idempotency-key", "9c5f1f0a")
        .header("content-type", "application/json")
        .header("content-length", "120");
    if connection {
        request = request.header("connection", "keep-alive");
    }
    request.header("authorization", "Bearer placeholder").body(()).expect("a request").into_parts().0
}

fn placements(c: &mut Criterion) {
    let fields = Fields::new(vec![(name("key"), Secret::new(b"sk_live_0123456789abcdef0123456789abcdef".to_vec()))]);
    let bearer = || Placement::Header {
        name: http::header::AUTHORIZATION,
        spelled: "Authorization".into(),
        value: template("Bearer {key}"),
    };
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
