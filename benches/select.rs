//! What choosing the key of a request costs, for a caller whose owner is in three teams, among few keys of one service and
//! among very many.

#![allow(missing_docs, clippy::expect_used, reason = "a bench may stop at what it was given")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use sidekey::access::{Candidate, Credentials, Proof, Request, Selection, Step};
use sidekey::domain::{Bounds, Credential, Host, Sealed, Share, TeamId};

mod world;

struct Key(Credential);

impl Candidate for Key {
    type Bounded = Box<Bounds>;

    fn credential(&self) -> &Credential {
        &self.0
    }

    fn bounded(&self, _: usize) -> Option<&Arc<Self::Bounded>> {
        None
    }

    fn serves(&self, _: &Host) -> bool {
        true
    }
}

/// `count` keys of the service `stripe`, all but one of other people and shared with their teams; the one is `shares`'.
fn keys(count: usize, owner: &str, shares: Vec<Share>) -> Credentials<Key> {
    let sealed = Arc::new(Sealed { master: 1, wrapped_key: Box::default(), fields: Box::default() });
    let others = (1..count).map(|n| {
        let team = Share::Team(TeamId::new(&format!("team-{n}")));
        world::credential(&format!("key-{n}"), "stripe", &format!("user-{n}"), vec![team])
    });
    let own = world::credential("key-0", "stripe", owner, shares);
    let all = others.chain([own]).map(|key| Arc::new(Key(Credential { sealed: Some(Arc::clone(&sealed)), ..key })));
    Credentials::new(all)
}

fn choosing(c: &mut Criterion) {
    let callers = world::callers(1);
    let proof = Proof::Token { digest: world::digest(0), name: None };
    let known = callers.identify(&proof, &world::peer(), 1_800_000_000).expect("a caller");
    let service = world::name("stripe");
    let team = || vec![Share::Team(TeamId::new("all"))];
    for count in [10, 100_000] {
        let cases = [
            ("the owner's own", keys(count, "user-0", vec![]), None, Step::Personal),
            ("a team's", keys(count, "admin", team()), None, Step::SharedWithTeam),
            ("everyone's", keys(count, "admin", vec![Share::Everyone]), None, Step::SharedWithEveryone),
            ("a team's by name", keys(count, "admin", team()), Some("key-0"), Step::Named),
        ];
        for (title, keys, named, expected) in cases {
            let request = Request { known, service: &service, named, host: None, now: 1_800_000_000 };
            assert!(matches!(keys.select(&request), Selection::Chosen(_, step, _) if step == expected));
            c.bench_function(&format!("select/{title} among {count}"), |b| {
                b.iter(|| matches!(keys.select(black_box(&request)), Selection::Chosen(..)));
            });
        }
    }
}

criterion_group!(benches, choosing);
criterion_main!(benches);
