//! What counting one request costs.

#![allow(clippy::expect_used, reason = "a measurement that cannot start should stop")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sidekey::domain::Name;
use sidekey::metrics::{AnsweredBy, Format, Metrics, Observation};

fn observe(c: &mut Criterion) {
    let metrics = Metrics::new(2, Duration::ZERO);
    let service = metrics.service(&Name::new("stripe").expect("a name"));
    let seen = Observation {
        status: 200,
        answered_by: AnsweredBy::Upstream,
        resends: 0,
        bytes_in: 512,
        bytes_out: 2048,
        wait: Duration::ZERO,
        upstream: Duration::from_micros(81_234),
        total: Duration::from_micros(82_001),
    };
    c.bench_function("metrics/observe", |b| b.iter(|| service.observe(0, black_box(&seen))));
    c.bench_function("metrics/in flight up and down", |b| {
        b.iter(|| {
            metrics.in_flight().up(0);
            metrics.in_flight().down(0);
        });
    });
    for n in 0..1000 {
        metrics.service(&Name::new(&format!("service-{n}")).expect("a name")).observe(0, &seen);
    }
    c.bench_function("metrics/encode 1001 services", |b| b.iter(|| black_box(metrics.encode(Format::OpenMetrics))));
}

criterion_group!(benches, observe);
criterion_main!(benches);
