//! The selection order as a table, proofs, and rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::crypto::digest;
use crate::domain::*;

struct Entry {
    credential: Credential,
    host: Option<Host>,
    bounded: Vec<Option<Arc<Bounded>>>,
}

#[derive(Debug, PartialEq)]
struct Bounded(Bounds);

impl AsRef<Bounds> for Bounded {
    fn as_ref(&self) -> &Bounds {
        &self.0
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.credential.name)
    }
}

impl Candidate for Entry {
    type Bounded = Bounded;

    fn bounded(&self, share: usize) -> Option<&Arc<Bounded>> {
        self.bounded.get(share)?.as_ref()
    }

    fn credential(&self) -> &Credential {
        &self.credential
    }

    fn serves(&self, host: &Host) -> bool {
        self.host.as_ref().is_none_or(|own| own == host)
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn key(id: &str, owner: &str, shares: &[Share]) -> Entry {
    let sealed = Sealed { master: 1, wrapped_key: Box::new([]), fields: Box::new([]) };
    Entry {
        credential: Credential {
            limit_owner: None,
            pool: None,
            id: CredentialId::new(id),
            name: name(id),
            owner: UserId::new(owner),
            service: name("stripe"),
            environment: None,
            shares: shares.iter().cloned().map(Shared::from).collect(),
            variables: BTreeMap::new(),
            expires: None,
            version: 1,
            sealed: Some(Arc::new(sealed)),
            source: Source::Store,
        },
        host: None,
        bounded: Vec::new(),
    }
}

fn ada() -> Vec<User> {
    vec![
        User {
            id: UserId::new("ada"),
            name: name("ada"),
            role: Role::Member,
            teams: vec![TeamId::new("data"), TeamId::new("ops")],
        },
        User { id: UserId::new("bob"), name: name("bob"), role: Role::Member, teams: vec![] },
    ]
}

fn etl(environment: Option<&str>) -> Caller {
    Caller {
        id: CallerId::new("etl"),
        name: name("etl"),
        owner: UserId::new("ada"),
        environment: environment.map(name),
        token_digest: Some(digest::sha256(b"skc_etl")),
        former: None,
        perimeter: Perimeter::default(),
        weight: Weight::ONE,
    }
}

fn known(environment: Option<&str>) -> Arc<Known> {
    let table = Callers::new(ada(), vec![etl(environment)], None, digest::sha256, &Sightings::default());
    Arc::clone(table.named("etl").unwrap())
}

fn outcome(keys: Vec<Entry>, known: &Known, named: Option<&str>, host: Option<&Host>) -> String {
    let table = Credentials::new(keys.into_iter().map(Arc::new));
    let service = name("stripe");
    match table.select(&Request { known, service: &service, named, host, now: 1_000 }) {
        Selection::Chosen(c, step, _) => format!("{} {step:?}", c.credential().name),
        Selection::Pooled(step, pool) => {
            let order: Vec<_> = pool.iter().map(|(c, _)| c.credential().name.to_string()).collect();
            format!("{} at {step:?}", order.join(" then "))
        }
        Selection::Missing => "missing".into(),
        Selection::Dry(c) => format!("{} has no value", c.credential().name),
        Selection::NoSuchNamed => "no such".into(),
        Selection::Ambiguous(step, found) => format!("{} at {step:?}", found.len()),
    }
}

#[test]
fn the_selection_order_is_walked_from_personal_to_everyone() {
    let caller = Share::Caller(CallerId::new("etl"));
    let user = Share::User(UserId::new("ada"));
    let team = Share::Team(TeamId::new("ops"));
    let mut keys: Vec<(&str, Entry)> = vec![
        ("SharedWithEveryone", key("e", "bob", &[Share::Everyone])),
        ("SharedWithTeam", key("t", "bob", &[team])),
        ("SharedWithOwner", key("u", "bob", &[user])),
        ("SharedWithCaller", key("c", "bob", &[caller])),
        ("Personal", key("p", "ada", &[])),
    ];
    let known = known(None);
    while !keys.is_empty() {
        let (step, top) = keys.last().unwrap();
        let expected = format!("{} {step}", top.credential.name);
        let again = |k: &Entry| {
            let shares: Vec<Share> = k.credential.shares.iter().map(|shared| shared.with.clone()).collect();
            key(k.credential.id.as_str(), k.credential.owner.as_str(), &shares)
        };
        let all = keys.iter().map(|(_, k)| again(k));
        assert_eq!(outcome(all.collect(), &known, None, None), expected);
        keys.pop();
    }
    assert_eq!(outcome(vec![], &known, None, None), "missing");
}

#[test]
fn a_strangers_personal_key_is_as_if_it_did_not_exist() {
    let known = known(None);
    assert_eq!(outcome(vec![key("x", "bob", &[])], &known, None, None), "missing");
    assert_eq!(outcome(vec![key("x", "bob", &[])], &known, Some("x"), None), "no such");
    assert_eq!(outcome(vec![], &known, Some("x"), None), "no such");
}

#[test]
fn two_keys_on_one_step_are_refused_unless_one_is_named() {
    let known = known(None);
    let two = || vec![key("a", "ada", &[]), key("b", "ada", &[])];
    assert_eq!(outcome(two(), &known, None, None), "2 at Personal");
    assert_eq!(outcome(two(), &known, Some("b"), None), "b Named");
}

#[test]
fn keys_of_one_pool_on_one_step_stand_in_for_each_other_by_name() {
    let pooled = |id: &str, owner: &str, shares: &[Share], pool: &str| {
        let mut entry = key(id, owner, shares);
        entry.credential.pool = Some(name(pool));
        entry
    };
    let known = known(None);
    let mine = |id: &str| pooled(id, "ada", &[], "batch");
    assert_eq!(outcome(vec![mine("c"), mine("a"), mine("b")], &known, None, None), "a then b then c at Personal");
    assert_eq!(outcome(vec![mine("a"), mine("b")], &known, Some("b"), None), "b Named", "a named key is meant alone");
    assert_eq!(outcome(vec![mine("a")], &known, None, None), "a Personal");
    assert_eq!(outcome(vec![mine("a"), key("x", "ada", &[])], &known, None, None), "2 at Personal");
    assert_eq!(outcome(vec![mine("a"), pooled("x", "ada", &[], "other")], &known, None, None), "2 at Personal");
    // A pool does not reach over steps, and a key by two shares is one.
    let everyone = pooled("z", "bob", &[Share::Everyone], "batch");
    assert_eq!(outcome(vec![mine("b"), everyone], &known, None, None), "b Personal");
    let teams = [Share::Team(TeamId::new("data")), Share::Team(TeamId::new("ops"))];
    let shared = |id: &str| pooled(id, "bob", &teams, "batch");
    assert_eq!(outcome(vec![shared("y"), shared("x")], &known, None, None), "x then y at SharedWithTeam");
    let mut expired = mine("a");
    expired.credential.expires = Some(1_000);
    assert_eq!(outcome(vec![expired, mine("b"), mine("c")], &known, None, None), "b then c at Personal");
}

#[test]
fn one_key_shared_with_two_teams_of_the_owner_is_one_candidate() {
    let shares = [Share::Team(TeamId::new("data")), Share::Team(TeamId::new("ops"))];
    assert_eq!(outcome(vec![key("t", "bob", &shares)], &known(None), None, None), "t SharedWithTeam");
}

#[test]
fn environment_expiry_and_host_narrow_the_candidates() {
    let with = |change: fn(&mut Entry)| {
        let mut entry = key("k", "ada", &[]);
        change(&mut entry);
        vec![entry]
    };
    let prod = known(Some("prod"));
    assert_eq!(outcome(with(|e| e.credential.environment = Some(name("prod"))), &prod, None, None), "k Personal");
    assert_eq!(outcome(with(|e| e.credential.environment = Some(name("staging"))), &prod, None, None), "missing");
    assert_eq!(outcome(with(|_| ()), &prod, None, None), "k Personal");
    assert_eq!(outcome(with(|e| e.credential.expires = Some(1_000)), &prod, None, None), "missing");
    assert_eq!(outcome(with(|e| e.credential.expires = Some(1_001)), &prod, None, None), "k Personal");
    let acme = Host::new("acme.example").unwrap();
    let other = Host::new("other.example").unwrap();
    let pinned = || with(|e| e.host = Some(Host::new("acme.example").unwrap()));
    assert_eq!(outcome(pinned(), &prod, None, Some(&acme)), "k Personal");
    assert_eq!(outcome(pinned(), &prod, None, Some(&other)), "missing");
    assert_eq!(outcome(pinned(), &prod, Some("k"), Some(&other)), "no such");
}

fn here() -> Peer {
    Peer::tcp("127.0.0.1:5000".parse().unwrap())
}

fn shown(token: &[u8], name: Option<&[u8]>) -> Proof {
    Proof::Token { digest: digest::sha256(token), name: name.map(digest::sha256) }
}

fn whose<'a>(table: &'a Callers, proof: &Proof, peer: &Peer, now: i64) -> Result<&'a str, Unidentified> {
    table.identify(proof, peer, now).map(|known| known.caller.name.as_str())
}

#[test]
fn a_key_without_a_value_is_told_only_to_who_could_use_it_and_only_when_nothing_else_fits() {
    let dry = |owner: &str, shares: &[Share]| {
        let mut entry = key("dry", owner, shares);
        entry.credential.sealed = None;
        entry
    };
    let known = known(Some("prod"));
    assert_eq!(outcome(vec![dry("ada", &[])], &known, None, None), "dry has no value");
    assert_eq!(outcome(vec![dry("ada", &[])], &known, Some("dry"), None), "dry has no value");
    assert_eq!(outcome(vec![dry("ada", &[])], &known, Some("other"), None), "no such");
    assert_eq!(outcome(vec![dry("bob", &[])], &known, None, None), "missing");
    assert_eq!(outcome(vec![dry("bob", &[])], &known, Some("dry"), None), "no such");
    let other = key("full", "bob", &[Share::Everyone]);
    assert_eq!(outcome(vec![dry("ada", &[]), other], &known, None, None), "full SharedWithEveryone");
    let mut staging = dry("ada", &[]);
    staging.credential.environment = Some(name("staging"));
    let mut expired = dry("ada", &[]);
    expired.credential.expires = Some(1_000);
    assert_eq!(outcome(vec![staging, expired], &known, None, None), "missing");
}

#[test]
fn a_token_proves_its_caller_and_no_other() {
    let table = Callers::new(ada(), vec![etl(None)], None, digest::sha256, &Sightings::default());
    let found = |proof: &Proof| whose(&table, proof, &here(), 1);
    assert_eq!(found(&shown(b"skc_etl", None)), Ok("etl"));
    assert_eq!(found(&shown(b"skc_etl", Some(b"etl"))), Ok("etl"));
    assert_eq!(found(&shown(b"skc_etl", Some(b"other"))), Err(Unidentified::Wrong));
    assert_eq!(found(&shown(b"skc_other", None)), Err(Unidentified::Wrong));
    assert_eq!(found(&Proof::None), Err(Unidentified::Absent));
    assert_eq!(found(&Proof::Unreadable), Err(Unidentified::Wrong));
}

#[test]
fn open_mode_gives_callers_without_proof_a_name() {
    let mut caller = etl(None);
    let open = Some(CallerId::new("etl"));
    let table = |caller: &Caller| {
        Callers::new(ada(), vec![caller.clone()], open.as_ref(), digest::sha256, &Sightings::default())
    };
    assert_eq!(whose(&table(&caller), &Proof::None, &here(), 1), Ok("etl"));
    assert!(whose(&table(&caller), &Proof::Unreadable, &here(), 1).is_err());
    caller.perimeter = Perimeter::parse("uid:7").unwrap();
    assert_eq!(whose(&table(&caller), &Proof::None, &here(), 1), Err(Unidentified::Absent));
    assert_eq!(whose(&table(&caller), &Proof::None, &Peer::unix(Some(7)), 1), Ok("etl"));
}

#[test]
fn a_former_token_goes_on_until_its_time_and_the_operator_learns_whose_it_was() {
    let mut caller = etl(None);
    caller.former = Some(FormerToken { digest: digest::sha256(b"skc_old"), until: 100 });
    let table = Callers::new(ada(), vec![caller], None, digest::sha256, &Sightings::default());
    let old = shown(b"skc_old", Some(b"etl"));
    assert_eq!(whose(&table, &old, &here(), 99), Ok("etl"));
    assert_eq!(whose(&table, &old, &here(), 100), Err(Unidentified::Ended));
    assert_eq!(whose(&table, &shown(b"skc_old", Some(b"other")), &here(), 99), Err(Unidentified::Wrong));
    assert_eq!(whose(&table, &shown(b"skc_etl", None), &here(), 100), Ok("etl"));
    assert_eq!(table.suspect(&old, Unidentified::Ended).unwrap().caller.name.as_str(), "etl");
    assert!(table.suspect(&old, Unidentified::Wrong).is_none());
}

#[test]
fn a_token_counts_only_from_within_its_callers_perimeter() {
    let mut caller = etl(None);
    caller.perimeter = Perimeter::parse("10.0.0.0/8 uid:7").unwrap();
    let table = Callers::new(ada(), vec![caller], None, digest::sha256, &Sightings::default());
    let right = shown(b"skc_etl", None);
    let from = |peer: &Peer| whose(&table, &right, peer, 1);
    assert_eq!(from(&Peer::tcp("10.1.1.1:5000".parse().unwrap())), Ok("etl"));
    assert_eq!(from(&Peer::unix(Some(7))), Ok("etl"));
    for outside in [here(), Peer::unix(Some(8)), Peer::unix(None)] {
        assert_eq!(from(&outside), Err(Unidentified::Outside), "{outside:?}");
    }
    assert_eq!(whose(&table, &shown(b"skc_other", None), &here(), 1), Err(Unidentified::Wrong));
}

#[test]
fn sightings_are_collected_once_and_outlive_a_table() {
    let sightings = Sightings::default();
    let table = || Callers::new(ada(), vec![etl(None)], None, digest::sha256, &sightings);
    let proof = shown(b"skc_etl", None);
    let first = table();
    assert!(sightings.collect().is_empty());
    first.identify(&proof, &here(), 70).unwrap();
    first.identify(&proof, &here(), 60).unwrap();
    let second = table();
    drop(first);
    assert_eq!(sightings.collect(), [(CallerId::new("etl"), 70)]);
    assert!(sightings.collect().is_empty());
    second.identify(&proof, &here(), 80).unwrap();
    first_refusal(&second);
    drop(second);
    assert_eq!(sightings.collect(), [(CallerId::new("etl"), 80)], "what the last table saw is not lost with it");
    assert!(sightings.collect().is_empty());
}

/// A refused proof is no sighting.
fn first_refusal(table: &Callers) {
    assert!(table.identify(&shown(b"skc_etl", Some(b"other")), &here(), 90).is_err());
}

fn bounds(rules: &[&str], read_only: bool) -> Bounds {
    let allow = rules.iter().map(|rule| Rule::parse(rule).unwrap()).collect::<Vec<_>>();
    let allowed = Allowed { rules: (!allow.is_empty()).then_some(allow), read_only };
    Bounds { allowed, ..Bounds::default() }
}

/// A key that is shared in these ways, each with what it may be used for.
fn narrow(id: &str, shares: Vec<(Share, Option<Bounds>)>) -> Entry {
    let (with, bounded): (Vec<Share>, Vec<_>) = shares.into_iter().unzip();
    let bounded = bounded.into_iter().map(|bounds| bounds.map(|bounds| Arc::new(Bounded(bounds)))).collect();
    Entry { bounded, ..key(id, "bob", &with) }
}

/// What comes of a request, and through which bounds it is granted.
fn granted(keys: Vec<Entry>, method: &str, path: &str) -> String {
    let table = Credentials::new(keys.into_iter().map(Arc::new));
    let (known, service) = (known(None), name("stripe"));
    let request = Request { known: &known, service: &service, named: None, host: None, now: 1_000 };
    let mut grant = grant(&table, &known, &request).unwrap();
    if !grant.has_rules() {
        return format!("{} free", grant.candidate().credential().name);
    }
    match grant.share_for(method, path) {
        Ok(share) => {
            grant.hold_to(share);
            format!("{} by {}", grant.candidate().credential().name, grant.bounded().unwrap().0)
        }
        Err(Unauthorized::ShareRules { .. }) => "refused".to_owned(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_share_is_used_only_for_what_it_is_for() {
    let everyone = |bounds: Bounds| vec![narrow("k", vec![(Share::Everyone, Some(bounds))])];
    let read_only = || everyone(bounds(&[], true));
    assert_eq!(granted(read_only(), "GET", "/v1/x"), "k by read-only");
    assert_eq!(granted(read_only(), "HEAD", "/v1/x"), "k by read-only");
    assert_eq!(granted(read_only(), "OPTIONS", "/"), "k by read-only");
    for method in ["POST", "PUT", "PATCH", "DELETE", "get", "PROPFIND"] {
        assert_eq!(granted(read_only(), method, "/v1/x"), "refused", "{method}");
    }
    let both = || everyone(bounds(&["* /v1/**"], true));
    assert_eq!(granted(both(), "GET", "/v1/x"), "k by read-only, * /v1/**");
    assert_eq!(granted(both(), "GET", "/v2/x"), "refused");
    assert_eq!(granted(both(), "POST", "/v1/x"), "refused");
    assert_eq!(granted(vec![key("own", "ada", &[])], "DELETE", "/"), "own free", "the owner's own use is free");
}

#[test]
fn of_several_shares_on_one_step_each_admits_what_it_is_for() {
    let (data, ops) = (Share::Team(TeamId::new("data")), Share::Team(TeamId::new("ops")));
    let two = |first: Option<Bounds>, second: Option<Bounds>| {
        vec![narrow("k", vec![(data.clone(), first), (ops.clone(), second)])]
    };
    let (get, post) = (bounds(&["GET /a"], false), bounds(&["POST /b"], false));
    assert_eq!(granted(two(Some(get.clone()), Some(post.clone())), "GET", "/a"), "k by GET /a");
    assert_eq!(granted(two(Some(get.clone()), Some(post.clone())), "POST", "/b"), "k by POST /b");
    assert_eq!(granted(two(Some(get.clone()), Some(post)), "POST", "/a"), "refused");
    assert_eq!(granted(two(Some(get.clone()), None), "DELETE", "/"), "k free");
    assert_eq!(granted(two(None, Some(get)), "DELETE", "/"), "k free");
}

#[test]
fn the_first_step_that_has_a_key_decides_with_its_bounds() {
    let caller = Share::Caller(CallerId::new("etl"));
    let shares = vec![(Share::Everyone, None), (caller, Some(bounds(&[], true)))];
    assert_eq!(granted(vec![narrow("k", shares)], "POST", "/"), "refused", "a later step widens nothing");
}

#[test]
fn the_token_of_a_run_proves_its_caller_until_its_time_is_over() {
    let runs =
        [(CallerId::new("etl"), digest::sha256(b"skc_run"), 10), (CallerId::new("gone"), digest::sha256(b"skc_x"), 10)];
    let table = Callers::new(ada(), vec![etl(None)], None, digest::sha256, &Sightings::default()).with_runs(runs);
    let proof = shown(b"skc_run", None);
    assert_eq!(whose(&table, &proof, &here(), 9), Ok("etl"));
    assert_eq!(whose(&table, &shown(b"skc_run", Some(b"etl")), &here(), 9), Ok("etl"));
    assert_eq!(whose(&table, &shown(b"skc_run", Some(b"other")), &here(), 9), Err(Unidentified::Wrong));
    assert_eq!(whose(&table, &proof, &here(), 10), Err(Unidentified::Ended));
    assert!(table.suspect(&proof, Unidentified::Ended).is_some());
    assert_eq!(whose(&table, &shown(b"skc_x", None), &here(), 9), Err(Unidentified::Wrong), "its caller is gone");
    assert_eq!(whose(&table, &shown(b"skc_etl", None), &here(), 9), Ok("etl"), "its own token stays");
}
