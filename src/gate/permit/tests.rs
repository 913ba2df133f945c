//! Whole ways through the gates on paused time: that all of them pass a request or none is used up by it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::hall::Rejection;
use super::super::refused::{Crowd, LimitOf};
use super::*;
use crate::access::{self, Callers, Credentials, Known, Request, Sightings};
use crate::crypto::digest;
use crate::domain::*;
use crate::throttle::state::{Mode, Phase};
use crate::throttle::{Bucket, Class};

struct Key(Credential);

struct Unbounded(Bounds);

impl AsRef<Bounds> for Unbounded {
    fn as_ref(&self) -> &Bounds {
        &self.0
    }
}

impl Candidate for Key {
    type Bounded = Unbounded;

    fn bounded(&self, _share: usize) -> Option<&Arc<Unbounded>> {
        None
    }

    fn credential(&self) -> &Credential {
        &self.0
    }

    fn serves(&self, _host: &Host) -> bool {
        true
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn grant(caller: &str) -> Grant<Key> {
    let user = User { id: UserId::new("ada"), name: name("ada"), role: Role::Member, teams: vec![TeamId::new("data")] };
    let asks = Caller {
        id: CallerId::new(caller),
        name: name(caller),
        owner: UserId::new("ada"),
        environment: None,
        token_digest: None,
        former: None,
        perimeter: Perimeter::default(),
        weight: Weight::ONE,
    };
    let sealed = Sealed { master: 1, wrapped_key: Box::new([]), fields: Box::new([]) };
    let key = Key(Credential {
        limit_owner: None,
        pool: None,
        id: CredentialId::new("prod"),
        name: name("prod"),
        owner: UserId::new("ada"),
        service: name("stripe"),
        environment: None,
        shares: Vec::new(),
        variables: BTreeMap::new(),
        expires: None,
        version: 1,
        sealed: Some(Arc::new(sealed)),
        source: Source::Store,
    });
    let callers = Callers::new(vec![user], vec![asks], None, digest::sha256, &Sightings::default());
    let known: &Arc<Known> = callers.named(caller).unwrap();
    let keys = Credentials::new([Arc::new(key)]);
    let request = Request { known, service: &name("stripe"), named: None, host: None, now: 1_000 };
    access::grant(&keys, known, &request).unwrap()
}

/// Everything that one service has.
struct Ways {
    gates: Gates,
    family: Family,
    owner: Arc<Owner>,
    levels: Option<Arc<Levels>>,
    service: Option<Arc<Gate>>,
    quotas: Option<Arc<OwnerQuotas>>,
    pins: Arc<Pins>,
}

fn level(text: (u32, u64), burst: u32) -> Level {
    let rate = Rate { count: text.0.try_into().unwrap(), period: Duration::from_secs(text.1) };
    Level { rate, burst: burst.try_into().ok() }
}

impl Ways {
    fn new(limits: Limits, gating: &Gating) -> Self {
        let (gates, family, stripe) = (Gates::default(), Family::default(), name("stripe"));
        Self {
            owner: gates.owner(&stripe, "acme", Mode::Enforce, &family).unwrap(),
            levels: gates.levels(&stripe, gating),
            service: gates.of(&stripe, limits, gating.dearest()),
            quotas: gates.quotas_of(&stripe, "acme", &gating.quotas),
            pins: gates.pins(&stripe),
            gates,
            family,
        }
    }

    fn course<'a>(&'a self, path: &'a str, patience: u64) -> Course<'a> {
        Course {
            gates: &self.gates,
            share: None,
            levels: self.levels.as_ref(),
            owner: Some(&self.owner),
            owner_name: "acme",
            pins: &self.pins,
            quotas: self.quotas.as_ref(),
            service: self.service.as_ref(),
            family: &self.family,
            method: "GET",
            path,
            cost: 1,
            tokens: 0,
            most_tokens: 0,
            is_repeatable: true,
            patience: Duration::from_secs(patience),
            is_resend: false,
        }
    }

    async fn admit(&self, caller: &str, path: &str, patience: u64) -> Result<Permit<Key>, Refused> {
        admit(&self.course(path, patience), grant(caller)).await
    }

    /// Whose limit refuses a request at once.
    async fn refused_by(&self, caller: &str, path: &str) -> Option<LimitOf> {
        match self.admit(caller, path, 0).await {
            Err(Refused::Limit { of, .. }) => Some(of),
            Err(other) => panic!("{other}"),
            Ok(mut permit) => {
                permit.sent();
                None
            }
        }
    }
}

fn hourly(limits: (u32, u32)) -> Limits {
    let Level { rate, burst } = level((limits.0, 3_600), limits.1);
    Limits { rate: Some(rate), burst, ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn what_one_limit_refuses_uses_up_no_other() {
    let gating = Gating { per_caller: Some(level((5, 3_600), 5)), ..Gating::default() };
    let ways = Ways::new(hourly((1, 1)), &gating);
    assert_eq!(ways.refused_by("etl", "/").await, None);
    for _ in 0..20 {
        assert_eq!(ways.refused_by("etl", "/").await, Some(LimitOf::Service), "the caller has four left");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_never_sent_is_given_back_by_every_limit_and_quota() {
    let quotas = Quotas { each: vec![Quota { count: 1.try_into().unwrap(), per: Period::Day }], ..Quotas::default() };
    let one = Some(level((1, 3_600), 1));
    let gating = Gating { per_caller: one, per_owner: one, quotas, ..Gating::default() };
    let ways = Ways::new(hourly((1, 1)), &gating);
    for n in 0..10 {
        let mut permit = ways.admit("etl", "/", 0).await.unwrap();
        if n % 2 == 0 {
            // It was thought to be sent, and no connection came about.
            permit.sent();
            permit.unsent();
        }
    }
    assert_eq!(ways.refused_by("etl", "/").await, None);
    assert_eq!(ways.refused_by("etl", "/").await, Some(LimitOf::Quota));
}

#[tokio::test(start_paused = true)]
async fn each_level_has_a_rate_of_its_own_with_its_burst() {
    let search = (Rule::parse("GET /search/**").unwrap(), level((2, 60), 2));
    let dear = (Rule::parse("GET /dear").unwrap(), level((1, 60), 1));
    let gating = Gating {
        per_caller: Some(level((4, 60), 4)),
        per_team: Some(level((6, 60), 6)),
        per_route: vec![search, dear],
        per_owner: Some(level((7, 60), 7)),
        ..Gating::default()
    };
    let ways = Ways::new(Limits::default(), &gating);
    for _ in 0..2 {
        assert_eq!(ways.refused_by("etl", "/search/things").await, None);
    }
    assert_eq!(ways.refused_by("etl", "/search/things").await, Some(LimitOf::Route));
    for _ in 0..2 {
        assert_eq!(ways.refused_by("etl", "/things").await, None);
    }
    assert_eq!(ways.refused_by("etl", "/things").await, Some(LimitOf::Caller), "four of it");
    for _ in 0..2 {
        assert_eq!(ways.refused_by("report", "/things").await, None);
    }
    assert_eq!(ways.refused_by("report", "/things").await, Some(LimitOf::Team), "six of both");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(ways.refused_by("report", "/things").await, None);
    let ways = Ways::new(Limits::default(), &Gating { per_team: None, ..gating });
    for caller in ["a", "b", "c", "d", "e"] {
        assert_eq!(ways.refused_by(caller, "/things").await, None);
    }
    assert_eq!(ways.refused_by("f", "/search/things").await, None);
    assert_eq!(ways.refused_by("g", "/dear").await, None);
    let routes: BTreeSet<String> =
        ways.gates.views().iter().filter_map(|view| Some(view.label.shown_bucket()?.into())).collect();
    assert_eq!(routes.len(), 2, "one owner's routes are told apart: {routes:?}");
    assert_eq!(ways.refused_by("h", "/things").await, Some(LimitOf::Owner), "seven of all");
}

#[tokio::test(start_paused = true)]
async fn no_more_are_under_way_than_the_process_may_have() {
    let ways = Ways::new(hourly((2, 2)), &Gating::default());
    let all: Vec<_> = (0..20_000).map(|_| ways.gates.hall().begin(&name("stripe")).unwrap()).collect();
    for _ in 0..3 {
        assert!(matches!(
            ways.admit("etl", "/", 30).await,
            Err(Refused::Full { crowd: Crowd::UnderWay, most: 20_000, .. })
        ));
    }
    assert!(ways.gates.rejections().contains(&(name("stripe"), Rejection::InFlight, 3)));
    drop(all);
    for _ in 0..2 {
        ways.admit("etl", "/", 0).await.unwrap().sent();
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_a_bucket_does_not_wait_in_front_of_its_owners_gate() {
    let mut ways = Ways::new(Limits::default(), &Gating::default());
    let buckets = Signals {
        buckets: vec![RouteBucket { name: "search".into(), routes: vec![Rule::parse("GET /search").unwrap()] }],
        family: Some(HeaderFamily::RetryAfter),
        ..Signals::default()
    };
    ways.family = Family::new(&buckets);
    let refusal = |wait| Reading { wait: Some(Duration::from_secs(wait)), ..Reading::plain(Class::Throttled) };
    let bucket = ways.owner.gate_of(Bucket::new("search").unwrap()).unwrap();
    bucket.overhear(&refusal(2), &name("prod"), false);
    ways.owner.all.overhear(&refusal(20), &name("prod"), false);
    let ways = Arc::new(ways);
    let waiting: Vec<_> = (0..3)
        .map(|n| {
            let ways = Arc::clone(&ways);
            tokio::spawn(async move { ways.admit(&format!("c{n}"), "/search", 30).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(matches!(bucket.view().phase, Phase::Closed { .. }), "{:?}", bucket.view());
    assert_eq!(bucket.view().under_way, 0, "nobody holds what all wait for");
    tokio::time::sleep(Duration::from_secs(8)).await;
    let both = [bucket.view(), ways.owner.all.view()];
    assert!(both.iter().all(|view| view.phase == Phase::Probing && view.under_way == 1), "{both:?}");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn the_outlook_is_what_comes_of_it_and_uses_nothing_up() {
    let quotas = Quotas { each: vec![Quota { count: 5.try_into().unwrap(), per: Period::Day }], ..Quotas::default() };
    let gating = Gating { per_caller: Some(level((6, 60), 2)), quotas, ..Gating::default() };
    let ways = Ways::new(hourly((60, 3)), &gating);
    let outlook = |course: &Course<'_>| super::super::outlook(course, &grant("etl"));
    for _ in 0..2 {
        for _ in 0..9 {
            assert_eq!(outlook(&ways.course("/", 0)), Ok(Duration::ZERO));
        }
        assert_eq!(ways.refused_by("etl", "/").await, None);
    }
    let wait = outlook(&ways.course("/", 30)).unwrap();
    assert!(wait > Duration::from_secs(8) && wait <= Duration::from_secs(10), "the caller's rate: {wait:?}");
    let refused = |course: &Course<'_>| match outlook(course).unwrap_err() {
        Refused::Limit { of, wait, .. } => (of, wait.as_millis().div_ceil(1_000)),
        other => panic!("{other}"),
    };
    assert_eq!(refused(&ways.course("/", 0)), (LimitOf::Caller, 10));
    assert_eq!(ways.refused_by("report", "/").await, None);
    assert_eq!(refused(&ways.course("/", 0)), (LimitOf::Service, 60), "the one that holds it longest");
    let dear = Course { cost: 3, ..ways.course("/", 120) };
    assert_eq!(refused(&dear).0, LimitOf::Quota, "two are left");
    assert!(ways.gates.rejections().iter().all(|(_, _, count)| *count == 1), "who asks is not counted");
}

/// The name of the limit that refuses a request at once, and for how many seconds.
async fn refusal(ways: &Ways, path: &str) -> (String, u64) {
    let Err(Refused::Limit { policy, of, wait, .. }) = ways.admit("etl", path, 0).await else { panic!("admitted") };
    (format!("{} {policy}", of.as_str()), wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

#[tokio::test(start_paused = true)]
async fn of_several_limits_that_hold_a_request_the_longest_is_told() {
    let gating = Gating { per_caller: Some(level((2, 1), 1)), ..Gating::default() };
    let Level { rate, .. } = level((2, 60), 1);
    let ways = Ways::new(Limits { rate: Some(rate), ..Limits::default() }, &gating);
    assert_eq!(ways.refused_by("etl", "/").await, None);
    assert_eq!(refusal(&ways, "/").await, ("service 2/60s".to_owned(), 30));
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(refusal(&ways, "/").await, ("service 2/60s".to_owned(), 1));
    let counted = |ways: &Ways| ways.gates.rejections().iter().map(|(_, _, count)| count).sum::<u64>();
    assert_eq!(counted(&ways), 2, "once for each request");
    // Pins too, where each request counts once.
    let ways = Ways::new(Limits::default(), &Gating::default());
    let pin = |owner: Option<&str>, count: u32, seconds| {
        let to = PinnedTo { service: name("stripe"), owner: owner.map(str::to_owned), bucket: None };
        Pin { to, rate: Some(level((count, seconds), 1).rate), concurrency: None, until: None }
    };
    ways.gates.pin(&[pin(Some("acme"), 2, 1), pin(None, 3, 60)]);
    let dear = Course { cost: 4, ..ways.course("/", 0) };
    admit(&dear, grant("etl")).await.unwrap().sent();
    assert_eq!(refusal(&ways, "/").await, ("pin 3/60s".to_owned(), 20));
    let Err(Refused::Limit { wait, .. }) = admit(&dear, grant("etl")).await else { panic!("admitted") };
    assert_eq!(wait, Duration::from_secs(20));
    // And what a key of a pool is passed over for.
    let told = foretell(&ways.course("/", 0), &grant("etl")).and_then(|refused| refused.wait());
    assert_eq!(told, Some(Duration::from_secs(20)));
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_front_of_one_gate_is_under_way_at_no_other() {
    let gating = Gating { per_caller: Some(level((100, 1), 100)), ..Gating::default() };
    let ways = Arc::new(Ways::new(hourly((120, 1)), &gating));
    let first = ways.admit("etl", "/", 0).await.unwrap();
    let waiting = |patience| {
        let ways = Arc::clone(&ways);
        tokio::spawn(async move { ways.admit("etl", "/", patience).await })
    };
    let (served, gone) = (waiting(100), waiting(119));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let under_way = |ways: &Ways| {
        let views = ways.gates.views();
        let of = |of| views.iter().filter(|view| view.label.of == of).map(|view| view.under_way).sum::<u32>();
        [of(LimitOf::Caller), of(LimitOf::Upstream), of(LimitOf::Service)]
    };
    assert_eq!((under_way(&ways), ways.gates.waiting()), ([1, 1, 1], 2));
    gone.abort();
    let permit = served.await.unwrap().unwrap();
    assert_eq!(under_way(&ways), [2, 2, 2]);
    drop((permit, first));
    assert_eq!(under_way(&ways), [0, 0, 0]);
}
