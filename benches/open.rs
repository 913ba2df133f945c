//! What the request path pays for a value: opening one credential, of one field and of two.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sidekey::domain::{CredentialId, Fields, Name, Secret, UserId};
use sidekey::seal::{MasterKey, SealContext, open, seal};

fn openings(criterion: &mut Criterion) {
    let Ok(master) = MasterKey::new(1, &[7; 32]) else { return };
    let (credential, owner) = (CredentialId::new("01932c1e-5f3a-7c52-9d1e-3a64a1f0b7c2"), UserId::new("local"));
    let Ok(service) = Name::new("stripe") else { return };
    let context = SealContext { credential: &credential, owner: &owner, service: &service, version: 1 };
    for (label, names) in [("one field of 100 bytes", &["key"][..]), ("two fields of 100 bytes", &["sid", "token"][..])]
    {
        let fields = names.iter().filter_map(|n| Some((Name::new(n).ok()?, Secret::new(vec![b'x'; 100])))).collect();
        let Ok(sealed) = seal(&master, &context, &Fields::new(fields)) else { return };
        criterion.bench_function(&format!("open {label}"), |bench| {
            bench.iter(|| open(black_box(&master), black_box(&context), black_box(&sealed)));
        });
    }
}

criterion_group!(benches, openings);
criterion_main!(benches);
