//! How the buckets of an owner are told apart, and what closes all of them.

use std::time::Duration;

use super::*;
use crate::domain::{HeaderFamily, Rate, RouteBucket, Rule, Signals};
use crate::gate::Gates;
use crate::throttle::Dimension;
use crate::throttle::state::{Admission, Load, Phase, Ticket};

fn family(family: HeaderFamily) -> Family {
    let rate = Some(Rate { count: NonZeroU32::new(50).unwrap(), period: Duration::from_secs(1) });
    Family::new(&Signals { family: Some(family), rate, ..Signals::default() })
}

fn owner(family: &Family) -> Arc<Owner> {
    owner_of(&Gates::default(), "acme", family)
}

fn owner_of(gates: &Gates, name: &str, family: &Family) -> Arc<Owner> {
    gates.owner(&ServiceName::new("api").unwrap(), name, Mode::Enforce, family).unwrap()
}

/// Hears an answer to a request of `route` that passed the owner's gate, and that of its bucket where it is known.
fn hear(owner: &Owner, route: Route, reading: &Reading) {
    hear_since(owner, route, reading, owner.closures());
}

fn throttled(bucket: Option<&str>, scope: Scope) -> Reading {
    let bucket = bucket.and_then(Bucket::new);
    Reading { wait: Some(Duration::from_secs(20)), bucket, scope, ..Reading::plain(Class::Throttled) }
}

fn is_closed(gate: &Gate) -> bool {
    matches!(gate.view().phase, Phase::Closed { .. })
}

#[tokio::test(start_paused = true)]
async fn a_bucket_of_discord_is_one_for_each_channel_guild_and_webhook() {
    let discord = family(HeaderFamily::Discord);
    let owner = owner(&discord);
    let of = |path: &str| Route::of(&discord, "POST", path);
    // discord.com/developers/docs/topics/rate-limits: a hash of 32 digits, and top-level resources count by themselves.
    let hash = "80c17d2f203122d936070c88c8d10f33";
    let (one, other) =
        (of("/api/v10/channels/1111111111111111111/messages"), of("/api/v10/channels/2222222222222222222/messages"));
    assert!(owner.bucket_of(one).is_none(), "unknown until an answer names it");
    hear(&owner, one, &throttled(Some(hash), Scope::Bucket));
    assert!(is_closed(&owner.bucket_of(one).unwrap()));
    assert!(owner.bucket_of(other).is_none(), "another channel");
    hear(&owner, other, &Reading { bucket: Bucket::new(hash), ..Reading::plain(Class::Fine) });
    assert!(!is_closed(&owner.bucket_of(other).unwrap()));
    assert!(!is_closed(&owner.all));
    // Two messages of one channel are one route, two webhooks are not.
    assert_eq!(of("/api/v10/channels/1/messages/5"), of("/api/v10/channels/1/messages/6"));
    assert_ne!(of("/api/v10/webhooks/1/token"), of("/api/v10/webhooks/2/token"));
    assert_ne!(of("/api/v10/guilds/1/members/7"), of("/api/v10/guilds/2/members/7"));
    assert_eq!(of("/api/v10/users/1"), of("/api/v10/users/2"));
}

#[tokio::test(start_paused = true)]
async fn a_burst_limit_of_jira_closes_its_method_and_endpoint_alone() {
    let jira = family(HeaderFamily::XRateLimit);
    let owner = owner(&jira);
    let of = |method: &str, path: &str| Route::of(&jira, method, path);
    let issue = of("GET", "/rest/api/3/issue/ABC-1");
    hear(&owner, issue, &throttled(None, Scope::Route));
    assert!(is_closed(&owner.bucket_of(of("GET", "/rest/api/3/issue/XYZ-99")).unwrap()), "identifiers aside");
    assert!(owner.bucket_of(of("PUT", "/rest/api/3/issue/ABC-1")).is_none());
    assert!(owner.bucket_of(of("GET", "/rest/api/3/search")).is_none());
    assert!(!is_closed(&owner.all));
}

/// The same of a request that passed when so many closures were known.
fn hear_since(owner: &Owner, route: Route, reading: &Reading, closures: u32) {
    owner.hear(Passed { all: None, bucket: None, route, closures }, reading, &Name::new("prod").unwrap());
}

#[tokio::test(start_paused = true)]
async fn answers_to_what_was_sent_before_its_bucket_was_known_change_nothing_after_the_closure() {
    let discord = family(HeaderFamily::Discord);
    let owner = owner(&discord);
    let route = Route::of(&discord, "GET", "/api/v10/channels/1/messages");
    let named = |class, wait: Option<u64>| {
        let bucket = Bucket::new("abc");
        Reading { wait: wait.map(Duration::from_secs), bucket, trusted: true, ..Reading::plain(class) }
    };
    let before = owner.closures();
    hear_since(&owner, route, &named(Class::Throttled, Some(2)), before);
    let gate = owner.bucket_of(route).unwrap();
    tokio::time::advance(Duration::from_secs(3)).await;
    let Admission::Go(ticket) = gate.lock().state.admit(now(), Load::default()) else { panic!("no probe") };
    gate.count_in();
    let mut probe = Pass::new(Arc::clone(&gate), ticket, 1, None);
    probe.answered(&Reading::plain(Class::Fine), &Name::new("prod").unwrap());
    assert_eq!(gate.view().phase, Phase::SlowStart);
    for _ in 0..50 {
        hear_since(&owner, route, &named(Class::Fine, None), before);
    }
    let most = Load { unanswered: 2, ..Load::default() };
    assert!(!matches!(gate.lock().state.admit(now(), most), Admission::Go(_)), "late successes open it no wider");
    hear_since(&owner, route, &named(Class::Throttled, Some(2)), before);
    assert!(is_closed(&gate) && gate.view().closures == 1, "a late refusal is heeded, and is no closure of its own");
    assert_eq!(owner.closures(), before + 1);
}

/// Hears an answer to a request of `route` that passed the owner's gate and that of its route.
fn hear_at_both(owner: &Owner, route: Route, reading: &Reading) {
    let pass = |gate: &Arc<Gate>| {
        gate.count_in();
        Pass::new(Arc::clone(gate), Ticket::of_episode(0), 1, None)
    };
    let (mut all, mut own) = (pass(&owner.all), pass(&owner.bucket_of(route).unwrap()));
    let closures = owner.closures();
    let passed = Passed { all: Some(&mut all), bucket: Some(&mut own), route, closures };
    owner.hear(passed, reading, &Name::new("prod").unwrap());
}

/// So many are left of 40 for nine seconds.
fn left(left: u64) -> Reading {
    let limit = Dimension { limit: Some(40), remaining: Some(left), ..Dimension::new("requests") };
    let limit = Dimension { reset: Some(Duration::from_secs(9)), ..limit };
    Reading { trusted: true, ..Reading::of(Class::Fine, [limit]) }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_all_requests_does_not_go_to_the_gate_of_a_route() {
    let jira = family(HeaderFamily::XRateLimit);
    let owner = owner(&jira);
    let issue = Route::of(&jira, "GET", "/rest/api/3/issue/ABC-1");
    hear(&owner, issue, &throttled(None, Scope::Route));
    tokio::time::advance(Duration::from_secs(23)).await;
    hear_at_both(&owner, issue, &left(0));
    assert!(is_closed(&owner.all));
    assert!(owner.bucket_of(issue).unwrap().view().windows.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_one_bucket_takes_nothing_of_another() {
    let graphql = RouteBucket { name: "graphql".into(), routes: vec![Rule::parse("POST /graphql.json").unwrap()] };
    let signals = Signals { family: Some(HeaderFamily::Shopify), buckets: vec![graphql], ..Signals::default() };
    let shopify = Family::new(&signals);
    let owner = owner(&shopify);
    let mut all = Pass::new(Arc::clone(&owner.all), Ticket::of_episode(0), 1, None);
    owner.all.count_in();
    all.answered(&left(8), &Name::new("prod").unwrap());
    let graphql = Route::of(&shopify, "POST", "/graphql.json");
    hear_at_both(&owner, graphql, &Reading::plain(Class::Fine));
    assert_eq!(owner.all.view().windows[0].left, 8);
    hear_at_both(&owner, graphql, &throttled(None, Scope::Bucket));
    assert!(is_closed(&owner.bucket_of(graphql).unwrap()) && !is_closed(&owner.all));
}

#[tokio::test(start_paused = true)]
async fn too_much_that_discord_calls_invalid_stops_everything_before_discord_does() {
    let discord = family(HeaderFamily::Discord);
    // It counts by address, whichever bot it is.
    let gates = Gates::default();
    let bots = ["one", "other"].map(|name| owner_of(&gates, name, &discord));
    let refused = Reading { is_invalid: true, ..Reading::plain(Class::Auth) };
    for n in 0..4_999 {
        hear(&bots[n % 2], Route::Any, &refused);
    }
    hear(&bots[0], Route::Any, &Reading::plain(Class::Auth));
    assert!(!bots.iter().any(|bot| is_closed(&bot.all)));
    tokio::time::advance(Duration::from_secs(400)).await;
    hear(&bots[0], Route::Any, &refused);
    for bot in &bots {
        let view = bot.all.view();
        assert_eq!(view.why.map(|(class, _)| class), Some(Class::Exhausted));
        assert!(view.closed_for >= Duration::from_secs(200) && view.closed_for <= Duration::from_secs(203), "{view:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_holds_for_all_requests_of_discord_is_kept_before_it_is_met() {
    let owner = owner(&family(HeaderFamily::Discord));
    assert_eq!(owner.all.limits().rate.map(|rate| rate.to_string()).as_deref(), Some("50/s"));
    assert_eq!(owner.all.limits().burst.map(NonZeroU32::get), Some(5));
    assert!(
        super::tests::owner(&family(HeaderFamily::GitHub)).all.limits().rate.is_none(),
        "published is not enforced"
    );
}

#[tokio::test(start_paused = true)]
async fn where_there_are_too_many_buckets_those_with_nothing_to_remember_make_room() {
    let discord = family(HeaderFamily::Discord);
    let owner = owner(&discord);
    for n in 0..MOST_BUCKETS {
        assert!(owner.gate_of(Bucket::new(&format!("b{n}")).unwrap()).is_some());
    }
    owner.gate_of(Bucket::new("b7").unwrap()).unwrap().overhear(
        &throttled(None, Scope::Bucket),
        &Name::new("prod").unwrap(),
        false,
    );
    assert!(owner.gate_of(Bucket::new("fresh").unwrap()).is_some());
    assert_eq!(owner.gates().len(), 3, "the owner's, the closed one and the new one");
}
