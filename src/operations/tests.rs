//! Who sees and may do what, on a real store in a temporary folder.

mod services;

use std::collections::BTreeMap;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::audit::{self, Filter, Recorded};
use crate::config::Environment;
use crate::domain::{Bounds, Fields, Name, Perimeter, Role, Secret, SystemClock, User, Weight};
use crate::keys::MasterKeySource;
use crate::store::Sqlite;

/// What nothing may ever show.
const CANARY: &str = "sk_live_C4nary0000000000000000000001";

struct House {
    operations: Operations,
    operator: Actor,
    folder: TempDir,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn by_name(text: &str) -> KeyRef {
    KeyRef::Named { name: name(text), owner: None }
}

fn value() -> Fields {
    Fields::new(vec![(name(Fields::SINGLE), Secret::new(CANARY.as_bytes().to_vec()))])
}

impl House {
    fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("proxy.toml"), toml).unwrap();
        let environment = Environment::of_pairs([]).in_folder(folder.path());
        let config = Arc::new(Config::load(None, &environment).unwrap().config);
        let clock = Arc::new(SystemClock);
        let source = MasterKeySource::File(folder.path().join("data/master.key"));
        let store = Arc::new(Sqlite::open(&config.store).unwrap());
        let vault = Arc::new(Vault::open(store, &source, clock.clone()).unwrap());
        let acts = Acts::of(&config);
        let operator = Actor::Operator { name: "nina".to_owned() };
        Self { operations: Operations::new(config, vault, acts, clock), operator, folder }
    }

    fn user(&self, called: &str) -> User {
        self.operations.vault.add_user(&name(called), Role::Member).unwrap().0
    }

    fn key(&self, actor: &Actor, service: &str, called: &str) -> Result<KeyView, OperationError> {
        let (service, called) = (name(service), Some(name(called)));
        let new = NewKey { service, name: called, owner: None, environment: None, expires: None };
        self.operations.add_key(actor, self.operations.draft_key(actor, new)?, &value())
    }

    fn share(&self, key: &KeyView, with: &str) {
        self.operations
            .share_key(&self.operator, &key.reference(), &[with.parse().unwrap()], &Bounds::default())
            .unwrap();
    }

    fn seen(&self, actor: &Actor) -> Vec<String> {
        let keys = self.operations.keys(actor, &KeyFilter::default()).unwrap();
        keys.into_iter().map(|key| key.name.to_string()).collect()
    }

    /// Every act in the audit, as `actor act object`.
    fn acts(&self) -> Vec<String> {
        let records = audit::read(&self.folder.path().join("data/audit"), Filter::default()).unwrap();
        let act = |record: audit::Record| match record.line {
            Recorded::Act(act) => Some(format!("{} {} {}", act.actor, act.act, act.object)),
            _ => None,
        };
        records.filter_map(|record| act(record.unwrap())).collect()
    }
}

fn new_caller(name: Name, owner: Option<Name>) -> NewCaller {
    NewCaller { name, owner, environment: None, perimeter: Perimeter::default(), weight: Weight::ONE }
}

fn code<T: std::fmt::Debug>(result: Result<T, OperationError>) -> ErrorCode {
    result.unwrap_err().code()
}

#[test]
fn a_member_sees_its_own_keys_and_what_is_shared_with_it_and_nothing_else() {
    let house = House::new("");
    let (ada, bob) = (house.user("ada"), house.user("bob"));
    let (ada_acts, bob_acts) = (Actor::Member(ada.clone()), Actor::Member(bob));
    house.key(&ada_acts, "stripe", "hers").unwrap();
    let shared = house.key(&bob_acts, "github", "shared").unwrap();
    let personal = house.key(&bob_acts, "stripe", "personal").unwrap();
    house.share(&shared, "user:ada");
    assert_eq!(house.seen(&ada_acts), ["hers", "shared"]);
    assert_eq!(house.seen(&bob_acts), ["personal", "shared"]);
    assert_eq!(house.seen(&Actor::Admin(ada)), ["hers", "personal", "shared"]);
    assert_eq!(house.seen(&house.operator), ["hers", "personal", "shared"]);
    let unknown = |which: &KeyRef| house.operations.key(&ada_acts, which).unwrap_err().to_string();
    assert_eq!(
        unknown(&by_name("personal")).replace("personal", "no-such"),
        unknown(&by_name("no-such")),
        "a stranger's key differs from none"
    );
    assert_eq!(code(house.operations.key(&ada_acts, &personal.reference())), ErrorCode::NotFound);
    assert_eq!(code(house.operations.rotate_key(&ada_acts, &by_name("personal"), &value(), None)), ErrorCode::NotFound);
}

#[test]
fn of_a_key_that_is_shared_with_it_a_member_sees_what_it_needs_and_changes_nothing() {
    let house = House::new("");
    let (ada, bob) = (house.user("ada"), house.user("bob"));
    let (ada_acts, bob_acts) = (Actor::Member(ada.clone()), Actor::Member(bob.clone()));
    let shared = house.key(&bob_acts, "github", "shared").unwrap();
    house.share(&shared, "user:ada");
    house.user("eve");
    house.share(&shared, "user:eve");
    let seen = house.operations.key(&ada_acts, &by_name("shared")).unwrap();
    assert_eq!(seen.key.shared_with, ["user:ada"], "with whom else is none of her business");
    assert_eq!((&seen.key.variables, &seen.key.version, &seen.versions), (&None, &None, &None));
    assert_eq!(house.operations.key(&bob_acts, &by_name("shared")).unwrap().versions.unwrap().len(), 1);
    assert_eq!(code(house.operations.rotate_key(&ada_acts, &by_name("shared"), &value(), None)), ErrorCode::Forbidden);
    assert_eq!(code(house.operations.roll_back_key(&ada_acts, &by_name("shared"))), ErrorCode::Forbidden);
    assert_eq!(code(house.operations.delete_key(&ada_acts, &by_name("shared"))), ErrorCode::Forbidden);
    assert_eq!(code(house.operations.key_uses(&ada_acts, &by_name("shared"), 0)), ErrorCode::Forbidden);
    house.operations.rotate_key(&Actor::Admin(ada), &by_name("shared"), &value(), None).unwrap();
}

#[test]
fn a_member_sees_what_reaches_it_by_a_team_its_callers_or_everyone() {
    let house = House::new("");
    let (operations, operator) = (&house.operations, &house.operator);
    house.user("ada");
    operations.add_team(operator, &name("data"), &[name("ada")]).unwrap();
    for (called, owner) in [("etl", "ada"), ("other", "local")] {
        let new = new_caller(name(called), Some(name(owner)));
        operations.add_caller(operator, &new).unwrap();
    }
    for (key, with) in [("a", "team:data"), ("b", "caller:etl"), ("c", "everyone"), ("d", "caller:other")] {
        house.share(&house.key(operator, "stripe", key).unwrap(), with);
    }
    let ada = || Actor::of(operations.user_named(&name("ada")).unwrap());
    let keys = operations.keys(&ada(), &KeyFilter::default()).unwrap();
    let seen: Vec<_> = keys.iter().map(|key| (key.name.as_str(), key.shared_with[0].as_str())).collect();
    assert_eq!(seen, [("a", "team:data"), ("b", "caller:etl"), ("c", "everyone")]);
    let through = |party: &str| {
        let filter = KeyFilter { shared_with: Some(party.parse().unwrap()), ..KeyFilter::default() };
        operations.keys(&ada(), &filter).map(|keys| keys.iter().map(|key| key.name.to_string()).collect::<String>())
    };
    assert_eq!((through("team:data").unwrap(), through("caller:other").unwrap()), ("a".into(), String::new()));
    assert_eq!(code(through("team:none")), ErrorCode::NotFound);
    operations.remove_members(operator, &name("data"), &[name("ada")]).unwrap();
    assert_eq!(house.seen(&ada()), ["b", "c"]);
}

#[test]
fn shares_are_made_and_ended_by_who_owns_the_key() {
    let house = House::new("[credential.declared]\nservice = \"stripe\"\nenv = \"STRIPE\"\n");
    let (operations, operator) = (&house.operations, &house.operator);
    let (ada, bob) = (Actor::Member(house.user("ada")), Actor::Member(house.user("bob")));
    house.key(&ada, "stripe", "hers").unwrap();
    let with = |text: &str| -> Vec<Party> { text.split(' ').map(|party| party.parse().unwrap()).collect() };
    let hers = by_name("hers");
    let shared = operations.share_key(&ada, &hers, &with("user:bob everyone"), &Bounds::default()).unwrap();
    assert_eq!(shared.shared_with, ["everyone", "user:bob"]);
    assert_eq!(code(operations.share_key(&bob, &hers, &with("user:bob"), &Bounds::default())), ErrorCode::Forbidden);
    assert_eq!(
        code(operations.share_key(&ada, &hers, &with("everyone team:none"), &Bounds::default())),
        ErrorCode::NotFound
    );
    assert_eq!(
        code(operations.share_key(operator, &by_name("declared"), &with("user:bob"), &Bounds::default())),
        ErrorCode::Conflict
    );
    operations.unshare_key(&ada, &hers, &with("everyone")).unwrap();
    let again = operations.unshare_key(&ada, &hers, &with("everyone")).unwrap_err();
    assert_eq!(
        (again.code(), again.to_string().as_str()),
        (ErrorCode::NotFound, "there is no share `hers with everyone`")
    );
    operations.unshare_key(operator, &hers, &with("user:bob")).unwrap();
    assert!(house.seen(&bob).iter().all(|key| key == "declared"));
    for wrong in ["", "bob", "user:", "user:Bob", "group:x", "everyone:x"] {
        assert!(wrong.parse::<Party>().is_err(), "{wrong}");
    }
}

#[test]
fn a_key_gets_another_name_environment_and_expiry() {
    let house = House::new("[credential.declared]\nservice = \"stripe\"\nenv = \"STRIPE\"\n");
    let ada = Actor::Member(house.user("ada"));
    house.key(&ada, "stripe", "hers").unwrap();
    house.key(&ada, "stripe", "other").unwrap();
    let edit = |called: &str, edit: KeyEdit| house.operations.edit_key(&ada, &by_name(called), edit);
    let named = |text: &str| KeyEdit { name: Some(name(text)), ..KeyEdit::default() };
    let changed = edit("hers", KeyEdit { environment: Some(Some(name("prod"))), ..named("main") }).unwrap();
    assert_eq!((changed.name, changed.environment, changed.version), (name("main"), Some(name("prod")), Some(1)));
    assert_eq!(code(edit("main", named("other"))), ErrorCode::NameTaken);
    assert_eq!(code(edit("main", named("declared"))), ErrorCode::NameTaken);
    assert_eq!(code(edit("hers", named("x"))), ErrorCode::NotFound);
    assert_eq!(code(edit("main", KeyEdit { expires: Some(Some(1)), ..KeyEdit::default() })), ErrorCode::Invalid);
    let eve = Actor::Member(house.user("eve"));
    assert_eq!(code(house.operations.edit_key(&eve, &by_name("main"), named("x"))), ErrorCode::NotFound);
}

#[test]
fn a_member_makes_things_for_itself_alone() {
    let house = House::new("");
    let (ada, _) = (house.user("ada"), house.user("bob"));
    let ada_acts = Actor::Member(ada.clone());
    assert_eq!(house.key(&ada_acts, "stripe", "hers").unwrap().owner, "ada");
    let for_bob =
        || NewKey { service: name("stripe"), name: None, owner: Some(name("bob")), environment: None, expires: None };
    assert_eq!(code(house.operations.draft_key(&ada_acts, for_bob())), ErrorCode::Forbidden);
    house.operations.draft_key(&Actor::Admin(ada), for_bob()).unwrap();
    let caller = |called: &str, owner: &str| new_caller(name(called), Some(name(owner)));
    assert_eq!(code(house.operations.add_caller(&ada_acts, &caller("etl", "bob"))), ErrorCode::Forbidden);
    house.operations.add_caller(&ada_acts, &caller("etl", "ada")).unwrap();
    house.operations.add_caller(&house.operator, &caller("bobs", "bob")).unwrap();
    let seen: Vec<_> = house.operations.callers(&ada_acts).unwrap().into_iter().map(|c| c.name.to_string()).collect();
    assert_eq!(seen, ["etl"]);
    assert_eq!(code(house.operations.rotate_caller(&ada_acts, &name("bobs"), None)), ErrorCode::NotFound);
    assert_eq!(code(house.operations.delete_caller(&ada_acts, &name("bobs"))), ErrorCode::NotFound);
}

#[test]
fn a_caller_gets_a_perimeter_and_its_former_token_an_end() {
    let house = House::new("");
    let ada = Actor::Member(house.user("ada"));
    let operations = &house.operations;
    let perimeter = Perimeter::parse("10.0.0.0/8 uid:7").unwrap();
    let new = NewCaller { perimeter, ..new_caller(name("etl"), None) };
    let shown = operations.add_caller(&ada, &new).unwrap().caller;
    assert_eq!((shown.from, shown.peer_uids, shown.former_token_until), (vec!["10.0.0.0/8".into()], vec![7], None));
    let hour = std::time::Duration::from_secs(3600);
    let rotated = operations.rotate_caller(&ada, &name("etl"), Some(hour)).unwrap().caller;
    let left = rotated.former_token_until.unwrap().as_second() - operations.now();
    assert!((3590..=3600).contains(&left), "{left}");
    let nothing = operations.rotate_caller(&ada, &name("etl"), Some(std::time::Duration::ZERO)).unwrap().caller;
    assert_eq!(nothing.former_token_until, None);
    let edit =
        CallerEdit { environment: Some(Some(name("prod"))), perimeter: Some(Perimeter::default()), weight: None };
    let edited = operations.edit_caller(&ada, &name("etl"), &edit).unwrap();
    assert_eq!((edited.environment, edited.from.len(), edited.peer_uids.len()), (Some(name("prod")), 0, 0));
    let bob = Actor::Member(house.user("bob"));
    assert_eq!(code(operations.edit_caller(&bob, &name("etl"), &edit)), ErrorCode::NotFound);
}

#[test]
fn every_act_is_recorded_with_who_did_it_and_no_value() {
    let house = House::new("");
    let ada = house.user("ada");
    house.key(&Actor::Member(ada.clone()), "stripe", "hers").unwrap();
    house.operations.rotate_key(&house.operator, &by_name("hers"), &value(), None).unwrap();
    house.operations.roll_back_key(&house.operator, &by_name("hers")).unwrap();
    house.share(&house.operations.key(&house.operator, &by_name("hers")).unwrap().key, "everyone");
    house.operations.unshare_key(&house.operator, &by_name("hers"), &[Party::Everyone]).unwrap();
    let edit = KeyEdit { environment: Some(None), ..KeyEdit::default() };
    house.operations.edit_key(&house.operator, &by_name("hers"), edit).unwrap();
    house.operations.delete_key(&Actor::Admin(ada), &by_name("hers")).unwrap();
    let etl = new_caller(name("etl"), None);
    house.operations.add_caller(&house.operator, &etl).unwrap();
    house.operations.rotate_caller(&house.operator, &etl.name, None).unwrap();
    house.operations.edit_caller(&house.operator, &etl.name, &CallerEdit::default()).unwrap();
    house.operations.delete_caller(&house.operator, &etl.name).unwrap();
    assert_eq!(
        house.acts(),
        [
            "user:ada key.add hers",
            "nina key.rotate hers",
            "nina key.rollback hers",
            "nina key.share hers",
            "nina key.unshare hers",
            "nina key.edit hers",
            "user:ada key.delete hers",
            "nina caller.add etl",
            "nina caller.rotate etl",
            "nina caller.edit etl",
            "nina caller.delete etl",
        ]
    );
}

#[test]
fn users_and_teams_are_for_administrators_to_change_and_for_all_to_know() {
    let house = House::new("");
    let (ada, bob) = (house.user("ada"), house.user("bob"));
    let operations = &house.operations;
    let (admin, member) = (Actor::Admin(ada), Actor::Member(bob));
    let (eve, data) = (name("eve"), name("data"));
    let mut refused = vec![
        code(operations.add_user(&member, &eve, Role::Admin)),
        code(operations.set_role(&member, &name("bob"), Role::Admin)),
        code(operations.delete_user(&member, &name("ada"), None)),
        code(operations.add_team(&member, &data, &[])),
    ];
    operations.add_user(&admin, &eve, Role::Member).unwrap();
    operations.add_team(&admin, &data, &[name("bob")]).unwrap();
    refused.push(code(operations.add_members(&member, &data, std::slice::from_ref(&eve))));
    refused.push(code(operations.remove_members(&member, &data, &[name("bob")])));
    refused.push(code(operations.delete_team(&member, &data)));
    refused.push(code(operations.shares_of_team(&member, &data)));
    // Somebody who administers is always left.
    refused.push(code(operations.set_role(&admin, &name("ada"), Role::Member)));
    refused.push(code(operations.delete_user(&admin, &name("ada"), None)));
    assert_eq!(refused, [ErrorCode::Forbidden; 10]);
    let seen = operations.users(&member).unwrap();
    let shown: Vec<_> = seen.iter().map(|user| (user.name.as_str(), user.role, user.keys)).collect();
    let expected =
        [("ada", "member", None), ("bob", "member", Some(0)), ("eve", "member", None), ("local", "admin", None)];
    assert_eq!(shown, expected);
    assert_eq!(operations.teams(&member).unwrap()[0].members, ["bob"]);
    operations.set_role(&admin, &eve, Role::Admin).unwrap();
    assert_eq!(operations.add_members(&admin, &data, std::slice::from_ref(&eve)).unwrap().members, ["bob", "eve"]);
    assert_eq!(operations.remove_members(&admin, &data, &[name("bob")]).unwrap().members, ["eve"]);
    operations.delete_team(&admin, &data).unwrap();
    let eve_id = operations.user_named(&eve).unwrap().id;
    assert!(matches!(operations.actor(&eve_id).unwrap(), Actor::Admin(user) if user.name == eve));
    operations.delete_user(&admin, &eve, Some(&name("bob"))).unwrap();
    assert_eq!(code(operations.actor(&eve_id)), ErrorCode::NotFound);
    assert_eq!(
        house.acts(),
        [
            "user:ada user.add eve",
            "user:ada team.add data",
            "user:ada team.add_member data",
            "user:ada user.role eve",
            "user:ada team.add_member data",
            "user:ada team.remove_member data",
            "user:ada team.delete data",
            "user:ada user.delete eve",
        ]
    );
}

#[test]
fn who_leaves_hands_everything_over_or_stays() {
    let house = House::new("");
    let (ada, _) = (house.user("ada"), house.user("bob"));
    let operations = &house.operations;
    house.key(&Actor::Member(ada.clone()), "stripe", "main").unwrap();
    let etl = new_caller(name("etl"), Some(name("ada")));
    operations.add_caller(&house.operator, &etl).unwrap();
    let leave = |heir: Option<&str>| operations.delete_user(&house.operator, &name("ada"), heir.map(name).as_ref());
    let kept = leave(None).unwrap_err();
    assert_eq!(kept.code(), ErrorCode::Conflict);
    assert!(kept.to_string().contains("key `main`, the caller `etl`"), "{kept}");
    assert_eq!(code(leave(Some("nobody"))), ErrorCode::NotFound);
    assert_eq!(code(leave(Some("ada"))), ErrorCode::Invalid);
    leave(Some("bob")).unwrap();
    assert_eq!(operations.key(&house.operator, &by_name("main")).unwrap().key.owner, "bob");
    assert_eq!(operations.caller(&house.operator, &name("etl")).unwrap().owner, name("bob"));
    assert_eq!(code(operations.delete_user(&house.operator, &name("local"), None)), ErrorCode::Conflict);
}

#[test]
fn nothing_is_changed_while_it_cannot_be_recorded() {
    let house = House::new("");
    std::fs::write(house.folder.path().join("data/audit"), "no folder").unwrap();
    let refused = house.key(&house.operator, "stripe", "main").unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable, "{refused}");
    assert!(house.seen(&house.operator).is_empty());
    let etl = new_caller(name("etl"), None);
    assert_eq!(code(house.operations.add_caller(&house.operator, &etl)), ErrorCode::Unavailable);
    assert_eq!(house.operations.callers(&house.operator).unwrap().len(), 1);
}

#[test]
fn refusals_have_codes() {
    let house = House::new("[credential.main]\nservice = \"stripe\"\nenv = \"STRIPE\"\n");
    let operator = &house.operator;
    assert_eq!(code(house.key(operator, "strip", "x")), ErrorCode::NotFound);
    assert_eq!(code(house.key(operator, "stripe", "main")), ErrorCode::NameTaken);
    house.key(operator, "stripe", "x").unwrap();
    assert_eq!(code(house.key(operator, "stripe", "x")), ErrorCode::NameTaken);
    assert_eq!(code(house.operations.rotate_key(operator, &by_name("main"), &value(), None)), ErrorCode::Conflict);
    assert_eq!(code(house.operations.roll_back_key(operator, &by_name("x"))), ErrorCode::Conflict);
    assert_eq!(code(house.operations.delete_caller(operator, &name("local"))), ErrorCode::Conflict);
    let ada = Actor::Admin(house.user("ada"));
    house.key(&ada, "stripe", "x").unwrap();
    let unclear = house.operations.key(operator, &by_name("x")).unwrap_err();
    assert_eq!(unclear.code(), ErrorCode::Ambiguous);
    assert!(unclear.to_string().contains("(local, ada)"), "{unclear}");
    let hers = KeyRef::Named { name: name("x"), owner: Some(name("ada")) };
    assert_eq!(house.operations.key(operator, &hers).unwrap().key.owner, "ada");
    let past = NewKey { service: name("stripe"), name: None, owner: None, environment: None, expires: Some(1) };
    assert_eq!(code(house.operations.draft_key(operator, past)), ErrorCode::Invalid);
    assert_eq!(house.operations.key(operator, &by_name("main")).unwrap().key.source, "declared");
}

#[test]
fn variables_are_pinned_before_the_value_is_there() {
    let house = House::new("");
    let new = NewKey { service: name("zendesk"), name: None, owner: None, environment: None, expires: None };
    let mut draft = house.operations.draft_key(&house.operator, new).unwrap();
    let given = |pairs: &[(&str, &str)]| -> BTreeMap<Name, String> {
        pairs.iter().map(|(variable, value)| (name(variable), (*value).to_owned())).collect()
    };
    for wrong in [
        given(&[("tenant", "acme")]),
        given(&[("subdomain", "acme")]),
        given(&[("subdomain", ""), ("email", "a@example.com")]),
        given(&[("subdomain", "evil.example/"), ("email", "a@example.com")]),
    ] {
        assert_eq!(code(draft.pin(wrong)), ErrorCode::Invalid);
    }
    assert_eq!(code(house.operations.add_key(&house.operator, draft.clone(), &value())), ErrorCode::Invalid);
    draft.pin(given(&[("subdomain", "acme"), ("email", "a@example.com")])).unwrap();
    let key = house.operations.add_key(&house.operator, draft, &value()).unwrap();
    assert_eq!(key.variables.unwrap()["subdomain"], "acme");
}

#[test]
fn the_actor_is_found_in_the_user_database() {
    let database = "root:x:0:0:root:/:/bin/sh\nbroken\nnina:x:1000:1000::/srv/nina:/bin/sh\n";
    assert_eq!(actor::name_of(1000, database).as_deref(), Some("nina"));
    assert_eq!(actor::name_of(7, database), None);
}

#[test]
fn what_was_done_and_could_not_be_recorded_is_recorded_later_and_once() {
    let house = House::new("");
    let key = house.key(&house.operator, "stripe", "main").unwrap();
    let (audit, aside) = (house.folder.path().join("data/audit"), house.folder.path().join("data/aside"));
    std::fs::rename(&audit, &aside).unwrap();
    std::fs::write(&audit, "no folder").unwrap();
    let refused = house.operations.rotate_key(&house.operator, &key.reference(), &value(), None).unwrap_err();
    assert!(matches!(refused, OperationError::Unrecorded { .. }), "{refused}");
    assert!(house.operations.record_left().is_err());
    std::fs::remove_file(&audit).unwrap();
    std::fs::rename(&aside, &audit).unwrap();
    assert_eq!(house.acts(), ["nina key.add main"]);
    house.operations.record_left().unwrap();
    house.operations.record_left().unwrap();
    house.operations.delete_key(&house.operator, &key.reference()).unwrap();
    assert_eq!(house.acts(), ["nina key.add main", "nina key.rotate main", "nina key.delete main"]);
    assert!(house.operations.vault.store().unrecorded().unwrap().is_empty());
}

#[test]
fn an_authority_takes_over_after_its_overlap_or_when_somebody_says_so() {
    let house = House::new("");
    let operations = &house.operations;
    let states = || -> Vec<_> { operations.authorities().unwrap().iter().map(|one| one.state).collect() };
    operations.ensure_authority(&house.operator).unwrap();
    operations.ensure_authority(&house.operator).unwrap();
    assert_eq!(states(), [AuthorityState::Signing]);
    let member = Actor::of(house.user("ada"));
    let refused = operations.rotate_authority(&member, Overlap::None).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Forbidden);
    operations.rotate_authority(&house.operator, Overlap::Seconds(3600)).unwrap();
    assert_eq!(states(), [AuthorityState::Signing, AuthorityState::Next]);
    assert_eq!(operations.retire_authorities(&house.operator).unwrap(), 0, "it still signs");
    let again = operations.rotate_authority(&house.operator, Overlap::Seconds(60)).unwrap_err();
    assert!(again.to_string().contains("sidekey ca rotate --now"), "{again}");
    operations.rotate_authority(&house.operator, Overlap::None).unwrap();
    assert_eq!(states(), [AuthorityState::Replaced, AuthorityState::Signing]);
    assert_eq!(operations.retire_authorities(&house.operator).unwrap(), 1);
    assert_eq!(states(), [AuthorityState::Signing]);
    let (acts, _) = audit::tail(&house.folder.path().join("data/audit"), 10, Filter::default()).unwrap();
    let acts: Vec<_> = acts
        .iter()
        .filter_map(|r| if let Recorded::Act(act) = &r.line { Some(act.act.as_str()) } else { None })
        .collect();
    assert_eq!(acts, ["ca.add", "ca.rotate", "ca.rotate", "ca.retire"]);
}
