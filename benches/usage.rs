//! What counting one call for usage costs on the core that carries it.

#![allow(clippy::expect_used, reason = "a measurement that cannot start should stop")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::Method;
use sidekey::domain::{CallerId, CredentialId, Name};
use sidekey::usage::{Call, Tallies, count, sweep};

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// A key.
fn credential(number: u64) -> (CredentialId, Name) {
    (CredentialId::new(&format!("01938f5e-8c2d-7d10-9e77-{number:012x}")), name(&format!("key-{number}")))
}

fn call<'a>(key: &'a (CredentialId, Name), service: &'a Name, caller: &'a (CallerId, Name), path: &'a str) -> Call<'a> {
    Call {
        at: Duration::from_secs(1_764_000_000),
        credential: Some((&key.0, &key.1)),
        caller: Some((&caller.0, &caller.1)),
        service: Some(service),
        method: &Method::POST,
        path,
        status: 200,
        code: None,
        attempts: 1,
        turned_down: 0,
        bytes_in: 512,
        bytes_out: 2048,
        wait: Duration::ZERO,
        took: Duration::from_micros(82_001),
    }
}

/// The memory that the process holds, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel's account of this process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

fn counting(c: &mut Criterion) {
    let tallies = Tallies::default();
    tallies.enter();
    let etl = (CallerId::new("01938f5e-7b1c-7a52-b8a1-3f0e8f0b6c11"), name("nightly-etl"));
    let (key, stripe) = (credential(1), name("stripe"));
    for (what, path) in [
        ("a short path", "/v1/charges"),
        ("a path of 55 bytes with an identifier", "/v1/payment_intents/pi_3MtwBwLkdIwHu7ix28a3tqPa/confirm"),
        (
            "a path of 120 bytes",
            "/v1/projects/acme-production/locations/europe-west1/datasets/events/tables/01938f5e-7b1c-7a52-b8a1-3f0e8f0b6c11/rows/stream",
        ),
    ] {
        let call = call(&key, &stripe, &etl, path);
        c.bench_function(&format!("usage/count, {what}"), |b| b.iter(|| count(black_box(&call))));
    }
    let keys: Vec<(CredentialId, Name)> = (0..1000).map(credential).collect();
    let mut turn = keys.iter().cycle();
    c.bench_function("usage/count, 1000 keys in turn", |b| {
        b.iter(|| {
            let key = turn.next().expect("a key");
            count(black_box(&call(key, &stripe, &etl, "/v1/payment_intents/pi_3MtwBwLkdIwHu7ix28a3tqPa")));
        });
    });
    sweep();
    tallies.take();
    let before = resident();
    let keys: Vec<(CredentialId, Name)> = (0..100_000).map(credential).collect();
    let with_keys = resident();
    for _ in 0..10 {
        for (number, key) in keys.iter().enumerate() {
            count(&call(key, &stripe, &etl, "/v1/charges"));
            // The control thread comes by every two seconds; a core carries at most so many meanwhile.
            if number % 40_000 == 0 {
                tallies.take();
            }
        }
    }
    let full = resident();
    sweep();
    let last = tallies.take();
    println!(
        "100,000 keys: {} KiB for the keys themselves, {} KiB for counting them, {} uncounted",
        with_keys - before,
        full.saturating_sub(with_keys),
        last.uncounted,
    );
}

criterion_group!(benches, counting);
criterion_main!(benches);
