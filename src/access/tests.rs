//! The selection order as a table, proofs, and rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::crypto::digest;
use crate::domain::*;

struct Entry {
    credential: Credential,
    host: Option<Host>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.credential.name)
    }
}

impl Candidate for Entry {
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
            id: CredentialId::new(id),
            name: name(id),
            owner: UserId::new(owner),
            service: name("stripe"),
            environment: None,
            shares: shares.to_vec(),
            variables: BTreeMap::new(),
            expires: None,
            version: 1,
            sealed: Some(Arc::new(sealed)),
            source: Source::Store,
        },
        host: None,
    }
}

fn ada() -> Vec<User> {
    vec![
        User { id: UserId::new("ada"), name: name("ada"), teams: vec![TeamId::new("data"), TeamId::new("ops")] },
        User { id: UserId::new("bob"), name: name("bob"), teams: vec![] },
    ]
}

fn etl(environment: Option<&str>) -> Caller {
    Caller {
        id: CallerId::new("etl"),
        name: name("etl"),
        owner: UserId::new("ada"),
        environment: environment.map(name),
        token_digest: Some(digest::sha256(b"skc_etl")),
    }
}

fn known(environment: Option<&str>) -> Arc<Known> {
    let table = Callers::new(ada(), vec![etl(environment)], None, digest::sha256);
    Arc::clone(table.named("etl").unwrap())
}

fn outcome(keys: Vec<Entry>, known: &Known, named: Option<&str>, host: Option<&Host>) -> String {
    let table = Credentials::new(keys.into_iter().map(Arc::new));
    let service = name("stripe");
    match table.select(&Request { known, service: &service, named, host, now: 1_000 }) {
        Selection::Chosen(c, step) => format!("{} {step:?}", c.credential().name),
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
        let all =
            keys.iter().map(|(_, k)| key(k.credential.id.as_str(), k.credential.owner.as_str(), &k.credential.shares));
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
    let table = Callers::new(ada(), vec![etl(None)], None, digest::sha256);
    let token =
        |name: Option<&[u8]>| Proof::Token { digest: digest::sha256(b"skc_etl"), name: name.map(digest::sha256) };
    assert_eq!(table.identify(&token(None)).unwrap().caller.name.as_str(), "etl");
    assert_eq!(table.identify(&token(Some(b"etl"))).unwrap().caller.name.as_str(), "etl");
    assert_eq!(table.identify(&token(Some(b"other"))).unwrap_err(), Unidentified::Wrong);
    let wrong = Proof::Token { digest: digest::sha256(b"skc_other"), name: None };
    assert_eq!(table.identify(&wrong).unwrap_err(), Unidentified::Wrong);
    assert_eq!(table.identify(&Proof::None).unwrap_err(), Unidentified::Absent);
    assert_eq!(table.identify(&Proof::Unreadable).unwrap_err(), Unidentified::Wrong);
}

#[test]
fn open_mode_gives_callers_without_proof_a_name() {
    let table = Callers::new(ada(), vec![etl(None)], Some(&CallerId::new("etl")), digest::sha256);
    assert_eq!(table.identify(&Proof::None).unwrap().caller.name.as_str(), "etl");
    assert!(table.identify(&Proof::Unreadable).is_err());
}

#[test]
fn no_rules_admit_everything_and_empty_rules_nothing() {
    let rules = [Rule::parse("GET /v1/**").unwrap()];
    assert!(rules_admit(None, "DELETE", "/x"));
    assert!(!rules_admit(Some(&[]), "GET", "/v1"));
    assert!(rules_admit(Some(&rules), "GET", "/v1/x"));
    assert!(!rules_admit(Some(&rules), "POST", "/v1/x"));
}
