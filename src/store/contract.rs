//! What every store must do, as one suite: each function is given an empty store of any kind. `sealed` values here are
//! arbitrary bytes, as a store never opens them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::{
    Allowed, Bounds, FormerToken, GateReset, Name, NotedGate, OwnerQuotaUse, Perimeter, Period, Pin, PinnedTo, Quota,
    Rate, Rule, SlotKind, Source, Weight,
};

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn sealed(master: u32, fill: u8) -> Sealed {
    let fields = [("sid", 40), ("token", 132)].map(|(field, len)| (name(field), vec![fill; len].into()));
    Sealed { master, wrapped_key: vec![fill; 92].into(), fields: fields.into() }
}

pub(super) fn credential(id: &str, called: &str, owner: &str) -> Credential {
    Credential {
        limit_owner: None,
        pool: None,
        id: CredentialId::new(id),
        name: name(called),
        owner: UserId::new(owner),
        service: name("stripe"),
        environment: Some(name("prod")),
        shares: vec![Share::Everyone.into()],
        variables: BTreeMap::from([(name("tenant"), "acme \"x\" é".to_owned())]),
        expires: Some(2_000_000_000),
        version: 1,
        sealed: Some(Arc::new(sealed(1, 1))),
        source: Source::Store,
    }
}

fn user(id: &str, called: &str) -> User {
    User { id: UserId::new(id), name: name(called), role: Role::Member, teams: Vec::new() }
}

fn team(id: &str, called: &str) -> Team {
    Team { id: TeamId::new(id), name: name(called) }
}

fn caller(id: &str, called: &str, owner: &str, token: u8) -> Caller {
    let (id, owner) = (CallerId::new(id), UserId::new(owner));
    Caller {
        id,
        name: name(called),
        owner,
        environment: Some(name("dev")),
        token_digest: Some([token; 32]),
        former: None,
        perimeter: Perimeter::parse("10.0.0.0/8 uid:7").unwrap(),
        weight: Weight::new(3).unwrap(),
    }
}

/// A master key with a slot of each of these names.
fn master(id: u32, fill: u8, slots: &[&str]) -> MasterRecord {
    let slot = |called: &&str| Slot {
        name: name(called),
        kind: SlotKind::Passphrase,
        derivation: Some("salt".into()),
        wrapped: vec![fill; 60],
        place: vec![fill],
        created_at: 4,
    };
    MasterRecord { id, check: [fill; 32], derivation: None, slots: slots.iter().map(slot).collect() }
}

pub(super) fn adopt(store: &dyn Store) {
    assert_eq!(store.adopt_master(&master(1, 1, &["file"]), 5).unwrap(), master(1, 1, &["file"]));
}

fn id(text: &str) -> CredentialId {
    CredentialId::new(text)
}

fn only(store: &dyn Store) -> Credential {
    let mut credentials = store.inventory().unwrap().credentials;
    assert_eq!(credentials.len(), 1);
    credentials.remove(0)
}

fn shares_of(store: &dyn Store) -> BTreeSet<Share> {
    only(store).shares.into_iter().map(|shared| shared.with).collect()
}

pub(super) fn a_fresh_store_knows_local_and_nothing_else(store: &dyn Store) {
    let inventory = store.inventory().unwrap();
    assert_eq!(inventory.users, [User { role: Role::Admin, ..user(LOCAL, LOCAL) }]);
    assert_eq!(inventory.callers.len(), 1);
    assert_eq!(inventory.callers[0].id.as_str(), LOCAL);
    assert_eq!(inventory.callers[0].token_digest, None);
    assert!(inventory.credentials.is_empty() && inventory.teams.is_empty());
    assert_eq!(store.master().unwrap(), None);
    store.check_integrity().unwrap();
}

pub(super) fn a_credential_comes_back_as_it_was_added(store: &dyn Store) {
    adopt(store);
    let given = credential("c1", "main", LOCAL);
    let receipt = store.add_credential(&given, None, 10).unwrap();
    let owner = Some(UserId::new(LOCAL));
    let expected = Receipt {
        act: Act::CredentialAdded,
        id: "c1".into(),
        name: "main".into(),
        owner,
        version: Some(1),
        with: None,
        details: Vec::new(),
        at: 10,
    };
    assert_eq!(receipt, expected);
    let found = only(store);
    assert_eq!(format!("{found:?}"), format!("{given:?}"));
    assert_eq!(found.sealed, given.sealed);
    let history = store.credential(&given.id).unwrap();
    assert_eq!((history.listed.created_at, history.listed.value_since, history.listed.deleted_at), (10, 10, None));
    let first = VersionRow { number: 1, replaced: None, created_at: 10, retired_at: None, destroyed_at: None };
    assert_eq!(history.versions, [first]);
    assert_eq!(history.listed.credential.shares, [Share::Everyone.into()]);
}

pub(super) fn names_are_unique_per_owner_among_the_living(store: &dyn Store) {
    adopt(store);
    store.add_user(&user("u2", "ada"), 1).unwrap();
    store.add_credential(&credential("c1", "main", LOCAL), None, 10).unwrap();
    store.add_credential(&credential("c2", "main", "u2"), None, 10).unwrap();
    let again = store.add_credential(&credential("c3", "main", LOCAL), None, 11).unwrap_err();
    assert!(matches!(again, StoreError::NameTaken { what: "credential", .. }), "{again}");
    store.delete_credential(&id("c1"), 12).unwrap();
    store.add_credential(&credential("c3", "main", LOCAL), None, 13).unwrap();
    let back = store.restore_credential(&id("c1"), 14).unwrap_err();
    assert!(matches!(back, StoreError::NameTaken { .. }), "{back}");
    assert!(matches!(store.add_user(&user("u3", "ada"), 1).unwrap_err(), StoreError::NameTaken { what: "user", .. }));
}

pub(super) fn what_refers_to_nothing_is_refused_and_changes_nothing(store: &dyn Store) {
    adopt(store);
    let before = store.change_counter().unwrap();
    let unknown = |error: StoreError, wanted: &str| match error {
        StoreError::Unknown { what, .. } => assert_eq!(what, wanted),
        other => panic!("{other}"),
    };
    unknown(store.add_credential(&credential("c1", "main", "nobody"), None, 1).unwrap_err(), "user");
    let mut shared = credential("c1", "main", LOCAL);
    shared.shares = vec![Share::Caller(CallerId::new("nobody")).into()];
    unknown(store.add_credential(&shared, None, 1).unwrap_err(), "caller");
    unknown(store.rotate_credential(&id("c1"), 2, &sealed(1, 2), None, 1).unwrap_err(), "credential");
    unknown(store.roll_back_credential(&id("c1"), 1).unwrap_err(), "credential");
    unknown(store.edit_credential(&id("c1"), &CredentialEdit::default(), 1).unwrap_err(), "credential");
    unknown(store.delete_credential(&id("c1"), 1).unwrap_err(), "credential");
    unknown(store.restore_credential(&id("c1"), 1).unwrap_err(), "credential");
    unknown(store.credential(&id("c1")).unwrap_err(), "credential");
    unknown(store.add_caller(&caller("k1", "etl", "nobody", 1), 1).unwrap_err(), "user");
    unknown(store.rotate_caller(&CallerId::new("k1"), [1; 32], None, 1).unwrap_err(), "caller");
    unknown(store.edit_caller(&CallerId::new("k1"), &CallerEdit::default(), 1).unwrap_err(), "caller");
    unknown(store.delete_caller(&CallerId::new("k1"), 1).unwrap_err(), "caller");
    let (nobody, none) = (UserId::new("u9"), TeamId::new("t9"));
    unknown(store.set_role(&nobody, Role::Admin, 1).unwrap_err(), "user");
    unknown(store.delete_user(&nobody, None, 1).unwrap_err(), "user");
    unknown(store.delete_team(&none, 1).unwrap_err(), "team");
    unknown(store.add_member(&none, &UserId::new(LOCAL), 1).unwrap_err(), "team");
    unknown(store.remove_member(&none, &UserId::new(LOCAL), 1).unwrap_err(), "team");
    let mut bare = credential("c1", "main", LOCAL);
    bare.sealed = None;
    assert!(matches!(store.add_credential(&bare, None, 1).unwrap_err(), StoreError::Unsealed(_)));
    assert_eq!(store.change_counter().unwrap(), before);
    assert!(store.inventory().unwrap().credentials.is_empty());
}

pub(super) fn rotation_and_rollback_move_the_current_version(store: &dyn Store) {
    adopt(store);
    store.add_credential(&credential("c1", "main", LOCAL), None, 10).unwrap();
    let rotate =
        |number, at| store.rotate_credential(&id("c1"), number, &sealed(1, u8::try_from(number).unwrap()), None, at);
    let current = || (only(store).version, only(store).sealed.unwrap().wrapped_key[0]);
    assert_eq!(rotate(2, 20).unwrap().version, Some(2));
    assert_eq!(current(), (2, 2));
    rotate(3, 30).unwrap();
    let back = store.roll_back_credential(&id("c1"), 40).unwrap();
    assert_eq!((back.act, back.version, current()), (Act::CredentialRolledBack, Some(2), (2, 2)));
    // Numbers are never given twice, and the version that was rolled back from is not returned to.
    assert!(matches!(rotate(3, 50).unwrap_err(), StoreError::Moved(_)));
    rotate(4, 50).unwrap();
    assert_eq!(store.roll_back_credential(&id("c1"), 60).unwrap().version, Some(2));
    assert_eq!(store.roll_back_credential(&id("c1"), 70).unwrap().version, Some(1));
    let end = store.roll_back_credential(&id("c1"), 80).unwrap_err();
    assert!(matches!(end, StoreError::NothingBefore { version: 1, .. }), "{end}");
    let versions = store.credential(&id("c1")).unwrap().versions;
    let shape: Vec<_> = versions.iter().map(|v| (v.number, v.replaced, v.retired_at)).collect();
    assert_eq!(shape, [(1, None, None), (2, Some(1), Some(70)), (3, Some(2), Some(40)), (4, Some(2), Some(60))]);
    assert_eq!(store.credential(&id("c1")).unwrap().next_number(), 5);
    store.check_integrity().unwrap();
}

pub(super) fn edits_change_what_they_say_and_nothing_else(store: &dyn Store) {
    adopt(store);
    store.add_credential(&credential("c1", "main", LOCAL), None, 10).unwrap();
    store.add_credential(&credential("c2", "other", LOCAL), None, 10).unwrap();
    let edit = |edit: CredentialEdit| store.edit_credential(&id("c1"), &edit, 20);
    let shown = || {
        let found = store.credential(&id("c1")).unwrap().listed.credential;
        (found.name.to_string(), found.environment.map(|name| name.to_string()), found.expires, found.version)
    };
    let (prod, expires) = (Some("prod".to_owned()), Some(2_000_000_000));
    edit(CredentialEdit::default()).unwrap();
    assert_eq!(shown(), ("main".into(), prod.clone(), expires, 1));
    let receipt = edit(CredentialEdit { name: Some(name("first")), ..Default::default() }).unwrap();
    assert_eq!((receipt.act, receipt.name.as_str()), (Act::CredentialEdited, "first"));
    edit(CredentialEdit { name: Some(name("first")), expires: Some(Some(7)), ..Default::default() }).unwrap();
    assert_eq!(shown(), ("first".into(), prod, Some(7), 1));
    edit(CredentialEdit { environment: Some(None), expires: Some(None), ..Default::default() }).unwrap();
    assert_eq!(shown(), ("first".into(), None, None, 1));
    let taken = edit(CredentialEdit { name: Some(name("other")), expires: Some(Some(9)), ..Default::default() });
    assert!(matches!(taken.unwrap_err(), StoreError::NameTaken { what: "credential", .. }));
    assert_eq!(shown(), ("first".into(), None, None, 1), "what failed has changed nothing");
}

pub(super) fn deletion_hides_restores_and_in_the_end_destroys(store: &dyn Store) {
    adopt(store);
    store.add_credential(&credential("c1", "main", LOCAL), None, 10).unwrap();
    store.rotate_credential(&id("c1"), 2, &sealed(1, 2), None, 20).unwrap();
    store.delete_credential(&id("c1"), 100).unwrap();
    assert!(store.inventory().unwrap().credentials.is_empty());
    assert!(store.credentials(&CredentialFilter::default()).unwrap().is_empty());
    let deleted = CredentialFilter { deleted: true, ..CredentialFilter::default() };
    assert_eq!(store.credentials(&deleted).unwrap()[0].deleted_at, Some(100));
    assert!(matches!(store.delete_credential(&id("c1"), 101).unwrap_err(), StoreError::Unknown { .. }));
    assert!(store.purge(100, 102).unwrap().is_empty());
    store.restore_credential(&id("c1"), 103).unwrap();
    assert_eq!(only(store).version, 2);
    store.delete_credential(&id("c1"), 200).unwrap();
    let destroyed = store.purge(201, 900).unwrap();
    assert_eq!(destroyed.len(), 1);
    assert_eq!(destroyed[0].details[0], ("service".to_owned(), "stripe".to_owned()));
    assert!(store.purge(201, 901).unwrap().is_empty());
    assert!(matches!(store.restore_credential(&id("c1"), 902).unwrap_err(), StoreError::Destroyed(_)));
    let history = store.credential(&id("c1")).unwrap();
    assert!(history.listed.credential.sealed.is_none());
    assert!(history.versions.iter().all(|version| version.destroyed_at == Some(900)));
    assert!(store.sealed_contents().unwrap().versions.is_empty());
    store.check_integrity().unwrap();
}

pub(super) fn lists_follow_every_filter(store: &dyn Store) {
    adopt(store);
    store.add_user(&user("u2", "ada"), 1).unwrap();
    store.add_credential(&credential("c1", "b", LOCAL), None, 1).unwrap();
    store.add_credential(&credential("c2", "a", "u2"), None, 1).unwrap();
    let other = Credential { service: name("github"), environment: None, ..credential("c3", "c", LOCAL) };
    store.add_credential(&other, None, 1).unwrap();
    let found = |filter: CredentialFilter| {
        let listed = store.credentials(&filter).unwrap();
        listed.into_iter().map(|l| l.credential.name.to_string()).collect::<String>()
    };
    assert_eq!(found(CredentialFilter::default()), "abc");
    assert_eq!(found(CredentialFilter { owner: Some(UserId::new("u2")), ..Default::default() }), "a");
    assert_eq!(found(CredentialFilter { service: Some(name("github")), ..Default::default() }), "c");
    assert_eq!(found(CredentialFilter { environment: Some(name("prod")), ..Default::default() }), "ab");
    assert_eq!(found(CredentialFilter { name: Some(name("b")), ..Default::default() }), "b");
}

pub(super) fn shares_are_kept_once_and_ended(store: &dyn Store) {
    adopt(store);
    store.add_user(&user("u2", "ada"), 1).unwrap();
    store.add_caller(&caller("k1", "etl", "u2", 1), 1).unwrap();
    store.add_credential(&Credential { shares: Vec::new(), ..credential("c1", "main", LOCAL) }, None, 1).unwrap();
    let with = [Share::User(UserId::new("u2")), Share::Caller(CallerId::new("k1")), Share::Everyone];
    for share in with.iter().chain(&with) {
        store.share(&id("c1"), &share.clone().into(), 2).unwrap();
    }
    assert_eq!(shares_of(store), with.iter().cloned().collect::<BTreeSet<_>>());
    assert_eq!(store.unshare(&id("c1"), &with[0], 3).unwrap().with.as_deref(), Some("user:u2"));
    assert!(matches!(store.unshare(&id("c1"), &with[0], 3).unwrap_err(), StoreError::Unknown { what: "share", .. }));
    let stranger = Share::Team(TeamId::new("t9"));
    assert!(matches!(
        store.share(&id("c1"), &stranger.into(), 3).unwrap_err(),
        StoreError::Unknown { what: "team", .. }
    ));
    store.delete_caller(&CallerId::new("k1"), 4).unwrap();
    assert_eq!(only(store).shares, [Share::Everyone.into()]);
}

pub(super) fn what_a_share_may_be_used_for_is_kept_and_replaced(store: &dyn Store) {
    adopt(store);
    store.add_credential(&Credential { shares: Vec::new(), ..credential("c1", "main", LOCAL) }, None, 1).unwrap();
    let rules = ["GET /v1/**", "* /v1/*/x"].map(|rule| Rule::parse(rule).unwrap());
    let rate = Rate { count: 10.try_into().unwrap(), period: Duration::from_secs(60) };
    let quota = Quota { count: 1000.try_into().unwrap(), per: Period::Month };
    let narrow = Bounds {
        allowed: Allowed { rules: Some(rules.into()), read_only: true },
        rate: Some(rate),
        quota: Some(quota),
    };
    let share = |bounds: Option<Bounds>| {
        let shared = Shared { with: Share::Everyone, bounds: bounds.map(Arc::new) };
        store.share(&id("c1"), &shared, 2).unwrap();
        assert_eq!(only(store).shares, std::slice::from_ref(&shared));
        assert_eq!(store.credential(&id("c1")).unwrap().listed.credential.shares, [shared]);
    };
    share(Some(narrow.clone()));
    share(Some(Bounds { allowed: Allowed { rules: Some(Vec::new()), read_only: false }, ..Bounds::default() }));
    share(None);
    store.unshare(&id("c1"), &Share::Everyone, 3).unwrap();
    let shares = vec![Shared { with: Share::Everyone, bounds: Some(Arc::new(narrow)) }];
    store.add_credential(&Credential { shares: shares.clone(), ..credential("c2", "other", LOCAL) }, None, 4).unwrap();
    assert_eq!(store.credential(&id("c2")).unwrap().listed.credential.shares, shares);
}

pub(super) fn what_was_used_of_a_quota_is_kept_as_long_as_its_share(store: &dyn Store) {
    adopt(store);
    store.add_credential(&credential("c1", "main", LOCAL), None, 1).unwrap();
    let counter = store.change_counter().unwrap();
    let of = |share: Share, period, used| QuotaUse { credential: id("c1"), share, period, used };
    let nobody = of(Share::User(UserId::new("u9")), 1, 1);
    store.note_quota_uses(&[of(Share::Everyone, 20_000, 7), nobody]).unwrap();
    assert_eq!(store.quota_uses().unwrap(), [of(Share::Everyone, 20_000, 7)]);
    store.note_quota_uses(&[of(Share::Everyone, 20_001, 1)]).unwrap();
    assert_eq!(store.quota_uses().unwrap(), [of(Share::Everyone, 20_001, 1)]);
    assert_eq!(store.change_counter().unwrap(), counter);
    store.share(&id("c1"), &Share::Everyone.into(), 2).unwrap();
    assert_eq!(store.quota_uses().unwrap().len(), 1, "sharing again is no end");
    store.unshare(&id("c1"), &Share::Everyone, 3).unwrap();
    assert!(store.quota_uses().unwrap().is_empty());
    store.check_integrity().unwrap();
}

pub(super) fn callers_come_and_go_with_their_tokens(store: &dyn Store) {
    let given = caller("k1", "etl", LOCAL, 1);
    let receipt = store.add_caller(&given, 10).unwrap();
    assert_eq!((receipt.act, receipt.owner), (Act::CallerAdded, Some(UserId::new(LOCAL))));
    let taken = store.add_caller(&caller("k2", "etl", LOCAL, 2), 10).unwrap_err();
    assert!(matches!(taken, StoreError::NameTaken { what: "caller", .. }));
    let find = || store.callers().unwrap().into_iter().find(|c| c.caller.id == given.id).unwrap();
    assert_eq!((find().caller, find().owner_name.as_str(), find().last_used_at), (given.clone(), LOCAL, None));
    let counter = store.change_counter().unwrap();
    store.note_callers_used(&[(given.id.clone(), 77), (CallerId::new("gone"), 78)]).unwrap();
    store.note_callers_used(&[(given.id.clone(), 70)]).unwrap();
    assert_eq!((find().last_used_at, store.change_counter().unwrap()), (Some(77), counter));
    store.rotate_caller(&given.id, [9; 32], None, 20).unwrap();
    assert_eq!((find().caller.token_digest, find().caller.former), (Some([9; 32]), None));
    store.delete_caller(&given.id, 30).unwrap();
    assert_eq!(store.callers().unwrap().len(), 1);
    store.add_caller(&caller("k3", "etl", LOCAL, 9), 40).unwrap();
    assert!(matches!(store.delete_caller(&CallerId::new(LOCAL), 50).unwrap_err(), StoreError::Fixed(_)));
}

pub(super) fn a_former_token_is_kept_for_its_overlap_and_only_one(store: &dyn Store) {
    let id = CallerId::new("k1");
    store.add_caller(&caller("k1", "etl", LOCAL, 1), 10).unwrap();
    let find = |id: &CallerId| store.callers().unwrap().into_iter().find(|c| c.caller.id == *id).unwrap().caller;
    store.rotate_caller(&id, [2; 32], Some(100), 20).unwrap();
    assert_eq!(find(&id).former, Some(FormerToken { digest: [1; 32], until: 100 }));
    store.rotate_caller(&id, [3; 32], Some(200), 30).unwrap();
    assert_eq!(find(&id).former, Some(FormerToken { digest: [2; 32], until: 200 }));
    store.rotate_caller(&id, [4; 32], None, 40).unwrap();
    assert_eq!((find(&id).token_digest, find(&id).former), (Some([4; 32]), None));
    // A caller without a token has none that could go on.
    let local = CallerId::new(LOCAL);
    store.rotate_caller(&local, [5; 32], Some(100), 50).unwrap();
    assert_eq!((find(&local).token_digest, find(&local).former), (Some([5; 32]), None));
}

pub(super) fn the_token_of_a_run_goes_with_its_time_its_end_or_its_caller(store: &dyn Store) {
    let run =
        |fill: u8, caller: &str, expires_at| RunToken { caller: CallerId::new(caller), digest: [fill; 32], expires_at };
    let strange = store.add_run(&run(1, "k1", 50), 1).unwrap_err();
    assert!(matches!(strange, StoreError::Unknown { what: "caller", .. }), "{strange}");
    store.add_caller(&caller("k1", "etl", LOCAL, 1), 1).unwrap();
    let receipt = store.add_run(&run(1, "k1", 50), 2).unwrap();
    assert_eq!((receipt.act, receipt.name.as_str()), (Act::RunBegun, "etl"));
    store.add_run(&run(2, "k1", 10), 3).unwrap();
    store.extend_run(&[1; 32], 60).unwrap();
    store.add_run(&run(3, "k1", 90), 10).unwrap();
    let runs = || store.inventory().unwrap().runs;
    assert_eq!(runs(), [run(1, "k1", 60), run(3, "k1", 90)], "what has expired goes when another comes");
    store.end_run(&[1; 32]).unwrap();
    store.end_run(&[1; 32]).unwrap();
    assert_eq!(runs(), [run(3, "k1", 90)]);
    store.delete_caller(&CallerId::new("k1"), 11).unwrap();
    assert!(runs().is_empty());
}

pub(super) fn a_caller_gets_another_environment_and_perimeter(store: &dyn Store) {
    let given = caller("k1", "etl", LOCAL, 1);
    store.add_caller(&given, 10).unwrap();
    let edit = |edit: CallerEdit| {
        let receipt = store.edit_caller(&given.id, &edit, 20).unwrap();
        assert_eq!((receipt.act, receipt.name.as_str()), (Act::CallerEdited, "etl"));
        store.callers().unwrap().into_iter().find(|c| c.caller.id == given.id).unwrap().caller
    };
    assert_eq!(edit(CallerEdit::default()), given);
    let (environment, perimeter) = (Some(name("prod")), Perimeter::parse("2001:db8::/32").unwrap());
    let both = CallerEdit { environment: Some(environment.clone()), perimeter: Some(perimeter.clone()), weight: None };
    assert_eq!(edit(both), Caller { environment, perimeter, ..given.clone() });
    let none = CallerEdit { environment: Some(None), perimeter: Some(Perimeter::default()), weight: Some(Weight::ONE) };
    assert_eq!(
        edit(none),
        Caller { environment: None, perimeter: Perimeter::default(), weight: Weight::ONE, ..given.clone() }
    );
}

pub(super) fn users_and_teams_come_and_go(store: &dyn Store) {
    let (ada, bob, data) = (UserId::new("u2"), UserId::new("u3"), TeamId::new("t1"));
    let receipt = store.add_user(&user("u2", "ada"), 10).unwrap();
    assert_eq!((receipt.act, receipt.name.as_str()), (Act::UserAdded, "ada"));
    store.add_user(&User { role: Role::Admin, ..user("u3", "bob") }, 11).unwrap();
    store.add_team(&team("t1", "data"), 12).unwrap();
    store.add_team(&team("t2", "apps"), 13).unwrap();
    assert!(matches!(store.add_team(&team("t3", "data"), 14).unwrap_err(), StoreError::NameTaken { what: "team", .. }));
    for (team, member) in [(&data, &bob), (&data, &ada), (&data, &ada), (&TeamId::new("t2"), &ada)] {
        let receipt = store.add_member(team, member, 15).unwrap();
        assert_eq!(receipt.with, Some(format!("user:{member}")));
    }
    let members = || -> Vec<(String, Vec<UserId>)> {
        store.teams().unwrap().into_iter().map(|listed| (listed.team.name.to_string(), listed.members)).collect()
    };
    assert_eq!(members(), [("apps".into(), vec![ada.clone()]), ("data".into(), vec![ada.clone(), bob.clone()])]);
    let listed = |id: &UserId| store.users().unwrap().into_iter().find(|listed| listed.user.id == *id);
    let found = listed(&ada).unwrap();
    assert_eq!((found.user.role, found.created_at), (Role::Member, 10));
    assert_eq!(found.user.teams, [TeamId::new("t2"), data.clone()]);
    store.set_role(&ada, Role::Admin, 16).unwrap();
    assert_eq!(listed(&ada).unwrap().user.role, Role::Admin);
    store.remove_member(&data, &ada, 17).unwrap();
    let again = store.remove_member(&data, &ada, 17).unwrap_err();
    assert!(matches!(again, StoreError::Unknown { what: "member", .. }), "{again}");
    store.delete_user(&bob, None, 18).unwrap();
    assert_eq!((listed(&bob), &members()[1].1), (None, &vec![]));
    store.delete_team(&TeamId::new("t2"), 19).unwrap();
    assert_eq!((listed(&ada).unwrap().user.teams, members().len()), (vec![], 1));
    store.add_user(&user("u4", "bob"), 20).unwrap();
    store.add_team(&team("t4", "apps"), 20).unwrap();
    assert!(store.teams().unwrap()[0].members.is_empty(), "a new team of an old name has no members");
}

pub(super) fn the_user_local_stays_as_it_is(store: &dyn Store) {
    let local = UserId::new(LOCAL);
    assert!(matches!(store.delete_user(&local, None, 1).unwrap_err(), StoreError::Fixed(_)));
    assert!(matches!(store.set_role(&local, Role::Member, 1).unwrap_err(), StoreError::Fixed(_)));
}

pub(super) fn what_was_shared_with_a_user_or_a_team_ends_with_it(store: &dyn Store) {
    adopt(store);
    store.add_user(&user("u2", "ada"), 1).unwrap();
    store.add_team(&team("t1", "data"), 1).unwrap();
    let (ada, data) = (Share::User(UserId::new("u2")), Share::Team(TeamId::new("t1")));
    let shares = vec![ada.into(), data.clone().into(), Share::Everyone.into()];
    store.add_credential(&Credential { shares, ..credential("c1", "main", LOCAL) }, None, 1).unwrap();
    store.delete_user(&UserId::new("u2"), None, 2).unwrap();
    assert_eq!(shares_of(store), BTreeSet::from([data, Share::Everyone]));
    store.delete_team(&TeamId::new("t1"), 3).unwrap();
    assert_eq!(only(store).shares, [Share::Everyone.into()]);
}

pub(super) fn a_user_leaves_nothing_without_an_owner(store: &dyn Store) {
    adopt(store);
    let (ada, bob) = (UserId::new("u2"), UserId::new("u3"));
    store.add_user(&user("u2", "ada"), 1).unwrap();
    store.add_user(&user("u3", "bob"), 1).unwrap();
    let with_bob = vec![Share::User(bob.clone()).into(), Share::Everyone.into()];
    store.add_credential(&Credential { shares: with_bob, ..credential("c1", "main", "u2") }, None, 1).unwrap();
    store.rotate_credential(&id("c1"), 2, &sealed(1, 2), None, 2).unwrap();
    store.add_credential(&credential("c2", "old", "u2"), None, 1).unwrap();
    store.delete_credential(&id("c2"), 3).unwrap();
    store.add_caller(&caller("k1", "etl", "u2", 1), 1).unwrap();
    match store.delete_user(&ada, None, 4).unwrap_err() {
        error @ StoreError::StillOwns { .. } => {
            let text = error.to_string();
            assert!(text.contains("key `main`") && text.contains("caller `etl`") && !text.contains("old"), "{text}");
        }
        other => panic!("{other}"),
    }
    let mut versions = store.sealed_contents().unwrap().versions;
    for version in &mut versions {
        (version.owner, version.sealed) = (bob.clone(), sealed(1, 9));
    }
    let give = |heir: &UserId, versions: &[SealedVersion]| {
        let inheritance = Inheritance { heir: heir.clone(), versions: versions.to_vec() };
        store.delete_user(&ada, Some(&inheritance), 5)
    };
    assert!(matches!(give(&bob, &versions[1..]).unwrap_err(), StoreError::Moved(_)), "a version is missing");
    assert!(matches!(give(&ada, &versions).unwrap_err(), StoreError::Unknown { what: "user", .. }));
    assert!(matches!(give(&UserId::new("u9"), &versions).unwrap_err(), StoreError::Unknown { what: "user", .. }));
    store.add_credential(&credential("c3", "main", "u3"), None, 4).unwrap();
    assert!(matches!(give(&bob, &versions).unwrap_err(), StoreError::NameTaken { what: "credential", .. }));
    store.delete_credential(&id("c3"), 4).unwrap();
    assert_eq!(only(store).owner, ada, "what failed has changed nothing");
    let receipt = give(&bob, &versions).unwrap();
    assert_eq!((receipt.act, receipt.with.as_deref()), (Act::UserDeleted, Some("user:u3")));
    let given = only(store);
    assert_eq!((given.owner, given.version, given.sealed.unwrap().wrapped_key[0]), (bob.clone(), 2, 9));
    assert_eq!(given.shares, [Share::Everyone.into()], "what is its own need not be shared with it");
    store.restore_credential(&id("c2"), 6).unwrap();
    assert_eq!(store.credential(&id("c2")).unwrap().listed.credential.owner, bob);
    let etl = store.callers().unwrap().into_iter().find(|listed| listed.caller.id.as_str() == "k1").unwrap();
    assert_eq!((etl.caller.owner, etl.caller.token_digest), (bob, Some([1; 32])));
    store.check_integrity().unwrap();
}

pub(super) fn a_deleted_key_stays_away_when_its_owner_is_gone(store: &dyn Store) {
    adopt(store);
    store.add_user(&user("u2", "ada"), 1).unwrap();
    store.add_credential(&credential("c1", "main", "u2"), None, 1).unwrap();
    store.delete_credential(&id("c1"), 2).unwrap();
    store.delete_user(&UserId::new("u2"), None, 3).unwrap();
    assert!(matches!(store.restore_credential(&id("c1"), 4).unwrap_err(), StoreError::Unknown { what: "user", .. }));
}

fn service(called: &str, record: &str, revision: u32) -> StoredService {
    StoredService { name: name(called), record: record.to_owned(), proof: None, revision, created_at: 0, updated_at: 0 }
}

pub(super) fn services_come_and_go_as_they_were_given(store: &dyn Store) {
    assert!(store.inventory().unwrap().services.is_empty());
    let receipt = store.add_service(&service("billing", "not = even = toml", 0), 10).unwrap();
    assert_eq!((receipt.act, receipt.id.as_str(), receipt.version), (Act::ServiceAdded, "billing", Some(1)));
    let again = store.add_service(&service("billing", "", 0), 11).unwrap_err();
    assert!(matches!(again, StoreError::NameTaken { what: "service", .. }), "{again}");
    store.add_service(&service("archive", "", 0), 11).unwrap();
    let stale = store.change_service(&service("billing", "x", 2), 12).unwrap_err();
    assert!(matches!(stale, StoreError::Moved(_)), "{stale}");
    let receipt = store.change_service(&service("billing", "title = \"Ü\"", 1), 12).unwrap();
    assert_eq!((receipt.act, receipt.version), (Act::ServiceChanged, Some(2)));
    let lost = store.change_service(&service("billing", "y", 1), 13).unwrap_err();
    assert!(matches!(lost, StoreError::Moved(_)), "an edit of what somebody else changed meanwhile: {lost}");
    let found = store.services().unwrap();
    assert_eq!(found, store.inventory().unwrap().services);
    assert_eq!(found.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["archive", "billing"]);
    let expected = StoredService { created_at: 10, updated_at: 12, ..service("billing", "title = \"Ü\"", 2) };
    assert_eq!(found[1], expected);
    let receipt = store.delete_service(&name("billing"), InUse::Refuse, 14).unwrap();
    assert_eq!((receipt.act, receipt.version), (Act::ServiceDeleted, Some(2)));
    for gone in [
        store.delete_service(&name("billing"), InUse::Refuse, 15),
        store.change_service(&service("billing", "x", 2), 15),
    ] {
        assert!(matches!(gone, Err(StoreError::Unknown { what: "stored service", .. })), "{gone:?}");
    }
    store.add_service(&service("billing", "", 0), 16).unwrap();
    assert_eq!(store.services().unwrap()[1].revision, 1);
}

pub(super) fn a_services_proof_comes_and_goes_with_its_record(store: &dyn Store) {
    adopt(store);
    let proof = |fill: u8, master: u32| {
        let label = StoredService::label(&name("billing"));
        Some(LabelledValue { label, master, sealed: vec![fill; 60] })
    };
    let given = StoredService { proof: proof(1, 1), ..service("billing", "a", 0) };
    store.add_service(&given, 1).unwrap();
    assert_eq!(store.services().unwrap()[0].proof, given.proof);
    let other = StoredService { proof: proof(2, 2), ..service("billing", "b", 1) };
    assert!(matches!(store.change_service(&other, 2).unwrap_err(), StoreError::Moved(_)), "another master key's");
    assert_eq!(store.services().unwrap()[0].record, "a", "nothing was changed");
    let next = StoredService { proof: proof(3, 1), ..service("billing", "b", 1) };
    store.change_service(&next, 3).unwrap();
    assert_eq!(store.services().unwrap()[0].proof, next.proof);
    assert_eq!(store.sealed_contents().unwrap().labelled, next.proof.into_iter().collect::<Vec<_>>());
    store.delete_service(&name("billing"), InUse::Refuse, 4).unwrap();
    assert!(store.sealed_contents().unwrap().labelled.is_empty());
}

pub(super) fn a_service_stays_while_a_living_key_is_for_it(store: &dyn Store) {
    adopt(store);
    let stripe = name("stripe");
    store.add_service(&service("stripe", "", 0), 1).unwrap();
    store.add_credential(&credential("c1", "main", LOCAL), None, 2).unwrap();
    match store.delete_service(&stripe, InUse::Refuse, 3).unwrap_err() {
        StoreError::InUse { service, keys } => {
            assert_eq!((service.as_str(), keys), ("stripe", vec!["main".to_owned()]));
        }
        other => panic!("{other}"),
    }
    store.delete_service(&stripe, InUse::Accept, 3).unwrap();
    store.add_service(&service("stripe", "", 0), 3).unwrap();
    store.delete_credential(&id("c1"), 4).unwrap();
    store.delete_service(&stripe, InUse::Refuse, 5).unwrap();
}

pub(super) fn passes_come_and_go_with_their_users(store: &dyn Store) {
    let pass = |id: &str, kind, called: &str, fill, expires_at| Pass {
        id: id.to_owned(),
        kind,
        name: name(called),
        user: UserId::new("u1"),
        digest: [fill; 32],
        created_at: 10,
        expires_at,
    };
    let token = pass("p1", PassKind::Token, "ci", 1, None);
    assert!(matches!(store.add_pass(&token), Err(StoreError::Unknown { what: "user", .. })));
    store.add_user(&user("u1", "ada"), 1).unwrap();
    let receipt = store.add_pass(&token).unwrap();
    assert_eq!((receipt.name.as_str(), receipt.owner), ("ci", Some(UserId::new("u1"))));
    let again = store.add_pass(&pass("p2", PassKind::Token, "ci", 2, None)).unwrap_err();
    assert!(matches!(again, StoreError::NameTaken { what: "token", .. }), "{again}");
    let code = pass("p3", PassKind::Code, "ci", 3, Some(20));
    store.add_pass(&code).unwrap();
    assert_eq!(store.passes(19).unwrap(), [token.clone(), code.clone()]);
    assert_eq!(store.passes(20).unwrap(), std::slice::from_ref(&token), "what has expired is not there");
    let session = |at| Pass { created_at: at, user: UserId::new(LOCAL), ..pass("p4", PassKind::Session, "s", 4, None) };
    assert!(store.redeem_code(&[1; 32], &session(15)).is_err(), "a token is no code");
    assert!(store.redeem_code(&[3; 32], &session(20)).is_err(), "too late");
    store.redeem_code(&[3; 32], &session(15)).unwrap();
    assert!(store.redeem_code(&[3; 32], &session(15)).is_err(), "it works once");
    let found = store.passes(15).unwrap();
    assert_eq!(
        found.iter().map(|pass| (&*pass.id, pass.user.as_str())).collect::<Vec<_>>(),
        [("p1", "u1"), ("p4", "u1")]
    );
    store.end_pass("p4", 16).unwrap();
    assert!(matches!(store.end_pass("p4", 16), Err(StoreError::Unknown { what: "pass", .. })));
    store.delete_user(&UserId::new("u1"), None, 17).unwrap();
    assert!(store.passes(17).unwrap().is_empty(), "a pass does not outlive its user");
}

fn authority(fill: u8, signs_from: i64, master: u32) -> StoredAuthority {
    let label = StoredAuthority::label(&[fill; 32]);
    StoredAuthority {
        fingerprint: [fill; 32],
        name: format!("sidekey CA {fill}"),
        certificate: vec![fill; 300],
        hosts: vec!["api.test".into(), "*.below.test".into()],
        created_at: 10,
        signs_from,
        expires_at: 1000,
        key: LabelledValue { label, master, sealed: vec![fill; 60] },
    }
}

pub(super) fn authorities_come_one_after_the_other_and_go_with_their_keys(store: &dyn Store) {
    adopt(store);
    let (first, second) = (authority(1, 10, 1), StoredAuthority { hosts: Vec::new(), ..authority(2, 50, 1) });
    let foreign = store.add_authority(&authority(1, 10, 2), None).unwrap_err();
    assert!(matches!(foreign, StoreError::Moved(_)), "another master key's: {foreign}");
    let receipt = store.add_authority(&first, None).unwrap();
    assert_eq!((receipt.act, receipt.name.as_str()), (Act::AuthorityAdded, "sidekey CA 1"));
    for after in [None, Some(&[2; 32])] {
        let late = store.add_authority(&second, after).unwrap_err();
        assert!(matches!(late, StoreError::Moved(_)), "somebody was first: {late}");
    }
    store.add_authority(&second, Some(&[1; 32])).unwrap();
    assert_eq!(store.authorities().unwrap(), [first.clone(), second.clone()]);
    assert_eq!(store.inventory().unwrap().authorities, store.authorities().unwrap());
    assert_eq!(store.sealed_contents().unwrap().labelled, [first.key, second.key.clone()]);
    store.hasten_authority(&[2; 32], 20).unwrap();
    let receipt = store.retire_authority(&[1; 32], 21).unwrap();
    assert_eq!((receipt.act, receipt.name.as_str()), (Act::AuthorityRetired, "sidekey CA 1"));
    assert_eq!(store.authorities().unwrap(), [StoredAuthority { signs_from: 20, ..second.clone() }]);
    assert_eq!(store.sealed_contents().unwrap().labelled, [second.key], "no key is left of it");
    for gone in [store.retire_authority(&[1; 32], 22), store.hasten_authority(&[1; 32], 22)] {
        assert!(matches!(gone, Err(StoreError::Unknown { what: "certificate authority", .. })), "{gone:?}");
    }
}

pub(super) fn every_change_moves_the_counter(store: &dyn Store) {
    adopt(store);
    let mut last = store.change_counter().unwrap();
    let mut moved = |what: &str| {
        let now = store.change_counter().unwrap();
        assert!(now != last, "{what}");
        assert_eq!(store.inventory().unwrap().change_counter, now);
        last = now;
    };
    store.add_credential(&credential("c1", "main", LOCAL), None, 1).unwrap();
    moved("add");
    store.rotate_credential(&id("c1"), 2, &sealed(1, 2), None, 2).unwrap();
    moved("rotate");
    store.roll_back_credential(&id("c1"), 3).unwrap();
    moved("roll back");
    store.unshare(&id("c1"), &Share::Everyone, 3).unwrap();
    moved("unshare");
    store.share(&id("c1"), &Share::Everyone.into(), 3).unwrap();
    moved("share");
    store.edit_credential(&id("c1"), &CredentialEdit::default(), 3).unwrap();
    moved("edit");
    store.delete_credential(&id("c1"), 4).unwrap();
    moved("delete");
    store.restore_credential(&id("c1"), 5).unwrap();
    moved("restore");
    store.add_user(&user("u2", "ada"), 6).unwrap();
    moved("add user");
    store.set_role(&UserId::new("u2"), Role::Admin, 6).unwrap();
    moved("set role");
    store.add_team(&team("t1", "data"), 6).unwrap();
    moved("add team");
    store.add_member(&TeamId::new("t1"), &UserId::new("u2"), 6).unwrap();
    moved("add member");
    store.remove_member(&TeamId::new("t1"), &UserId::new("u2"), 6).unwrap();
    moved("remove member");
    store.delete_team(&TeamId::new("t1"), 6).unwrap();
    moved("delete team");
    store.add_caller(&caller("k1", "etl", "u2", 1), 6).unwrap();
    moved("add caller");
    store.rotate_caller(&CallerId::new("k1"), [2; 32], None, 6).unwrap();
    moved("rotate caller");
    store.edit_caller(&CallerId::new("k1"), &CallerEdit::default(), 6).unwrap();
    moved("edit caller");
    let run = RunToken { caller: CallerId::new("k1"), digest: [9; 32], expires_at: 50 };
    store.add_run(&run, 6).unwrap();
    moved("begin run");
    store.extend_run(&run.digest, 60).unwrap();
    moved("extend run");
    store.end_run(&run.digest).unwrap();
    moved("end run");
    store.delete_caller(&CallerId::new("k1"), 7).unwrap();
    moved("delete caller");
    store.delete_user(&UserId::new("u2"), None, 8).unwrap();
    moved("delete user");
    store.add_service(&service("billing", "", 0), 9).unwrap();
    moved("add service");
    store.change_service(&service("billing", "x", 1), 9).unwrap();
    moved("change service");
    store.delete_service(&name("billing"), InUse::Refuse, 9).unwrap();
    moved("delete service");
    store.add_authority(&authority(1, 10, 1), None).unwrap();
    moved("add authority");
    store.hasten_authority(&[1; 32], 11).unwrap();
    moved("hasten authority");
    store.retire_authority(&[1; 32], 12).unwrap();
    moved("retire authority");
}

pub(super) fn the_first_master_key_stays_until_everything_is_under_the_next(store: &dyn Store) {
    adopt(store);
    let first = master(1, 1, &["file"]);
    assert_eq!(store.adopt_master(&master(1, 2, &[]), 6).unwrap(), first);
    store.add_credential(&credential("c1", "main", LOCAL), None, 10).unwrap();
    store.rotate_credential(&id("c1"), 2, &sealed(1, 2), None, 20).unwrap();
    let value = LabelledValue { label: "ca".into(), master: 1, sealed: vec![7] };
    store.keep_labelled(&value).unwrap();
    assert_eq!(store.labelled("ca").unwrap(), Some(value));
    assert_eq!(store.labelled("cb").unwrap(), None);

    let mut contents = store.sealed_contents().unwrap();
    assert_eq!((contents.versions.len(), contents.labelled.len()), (2, 1));
    for version in &mut contents.versions {
        version.sealed = Sealed { master: 2, wrapped_key: vec![22; 92].into(), fields: version.sealed.fields.clone() };
    }
    contents.labelled[0].master = 2;
    let next = master(2, 3, &["env", "file"]);
    let mut partial = contents.clone();
    partial.versions.pop();
    assert!(matches!(store.replace_master(&first, &next, partial, 30).unwrap_err(), StoreError::Moved(_)));
    assert_eq!((store.master().unwrap().as_ref(), only(store).sealed.unwrap().master), (Some(&first), 1));
    store.replace_master(&first, &next, contents.clone(), 30).unwrap();
    assert_eq!(store.master().unwrap(), Some(next.clone()));
    let rewrapped = only(store).sealed.unwrap();
    assert_eq!((rewrapped.master, rewrapped.wrapped_key[0], rewrapped.fields[0].1[0]), (2, 22, 2));
    let third = store.replace_master(&first, &master(3, 4, &["file"]), contents, 31).unwrap_err();
    assert!(matches!(third, StoreError::Moved(_)), "{third}");
    // A process that has not followed yet seals with the former key.
    let late = store.rotate_credential(&id("c1"), 3, &sealed(1, 3), None, 40).unwrap_err();
    assert!(matches!(late, StoreError::Moved(_)), "{late}");
    store.check_integrity().unwrap();
}

pub(super) fn gates_are_noted_in_place_of_those_before_and_resets_are_taken_once(store: &dyn Store) {
    adopt(store);
    let gate = |service: &str, bucket: &str, until| NotedGate {
        service: name(service),
        owner: "acme".to_owned(),
        bucket: bucket.to_owned(),
        until,
        wait: 60,
        shown: "{}".to_owned(),
    };
    assert_eq!(store.noted_gates().unwrap(), (None, Vec::new()));
    let counter = store.change_counter().unwrap();
    store.note_gates(&[gate("stripe", "", Some(2_000)), gate("github", "search", None)], 1_000).unwrap();
    let noted = vec![gate("github", "search", None), gate("stripe", "", Some(2_000))];
    assert_eq!(store.noted_gates().unwrap(), (Some(1_000), noted));
    store.note_gates(&[], 1_001).unwrap();
    assert_eq!(store.noted_gates().unwrap(), (Some(1_001), Vec::new()));
    assert_eq!(store.change_counter().unwrap(), counter, "notes are no change that others follow");
    let reset = |owner: Option<&str>| GateReset {
        service: name("stripe"),
        owner: owner.map(str::to_owned),
        bucket: owner.map(|_| "search".to_owned()),
    };
    let receipt = store.order_gate_reset(&reset(None), 5).unwrap();
    assert_eq!((receipt.act, receipt.name.as_str(), receipt.at), (Act::GateReset, "stripe", 5));
    store.order_gate_reset(&reset(Some("acme")), 6).unwrap();
    assert!(store.change_counter().unwrap() > counter);
    assert_eq!(store.take_gate_resets().unwrap(), [reset(None), reset(Some("acme"))]);
    assert!(store.take_gate_resets().unwrap().is_empty());
    store.check_integrity().unwrap();
}

pub(super) fn a_limit_owner_is_kept_and_taken_away(store: &dyn Store) {
    adopt(store);
    let acme = Some(name("acme"));
    store
        .add_credential(&Credential { limit_owner: acme.clone(), ..credential("c1", "main", LOCAL) }, None, 1)
        .unwrap();
    let kept = || store.inventory().unwrap().credentials[0].limit_owner.clone();
    assert_eq!(kept(), acme);
    store.rotate_credential(&id("c1"), 2, &sealed(1, 2), None, 2).unwrap();
    assert_eq!(kept(), acme, "a new value is of the same account");
    let edit = |limit_owner| CredentialEdit { limit_owner: Some(limit_owner), ..Default::default() };
    store.edit_credential(&id("c1"), &edit(Some(name("other"))), 3).unwrap();
    assert_eq!(kept(), Some(name("other")));
    store.edit_credential(&id("c1"), &edit(None), 4).unwrap();
    assert_eq!(kept(), None);
}

pub(super) fn a_pool_is_kept_and_a_running_proxy_follows_it(store: &dyn Store) {
    adopt(store);
    let batch = Some(name("batch"));
    store.add_credential(&Credential { pool: batch.clone(), ..credential("c1", "main", LOCAL) }, None, 1).unwrap();
    let kept = || store.inventory().unwrap().credentials[0].pool.clone();
    assert_eq!(kept(), batch);
    let counter = store.change_counter().unwrap();
    store.edit_credential(&id("c1"), &CredentialEdit { pool: Some(None), ..Default::default() }, 2).unwrap();
    assert_eq!(kept(), None);
    assert!(store.changes_since(counter).unwrap().touched.contains(&id("c1")));
}

pub(super) fn limits_are_pinned_in_place_of_those_before_and_taken_back(store: &dyn Store) {
    let to = |owner: Option<&str>, bucket: Option<&str>| PinnedTo {
        service: name("stripe"),
        owner: owner.map(str::to_owned),
        bucket: bucket.map(str::to_owned),
    };
    let rate = Rate { count: 100.try_into().unwrap(), period: Duration::from_secs(60) };
    let whole = Pin { to: to(None, None), rate: Some(rate), concurrency: 5.try_into().ok(), until: None };
    let narrow =
        Pin { to: to(Some("acme"), Some("search")), rate: None, concurrency: 1.try_into().ok(), until: Some(50) };
    assert!(store.pins().unwrap().is_empty());
    let receipt = store.pin(&whole, 10).unwrap();
    assert_eq!((receipt.act, receipt.name.as_str(), receipt.at), (Act::GatePinned, "stripe", 10));
    store.pin(&narrow, 11).unwrap();
    assert_eq!(store.pins().unwrap(), [whole.clone(), narrow.clone()]);
    let again = Pin { concurrency: None, ..whole };
    store.pin(&again, 50).unwrap();
    assert_eq!(store.pins().unwrap(), [again], "one for each, and what is over goes");
    assert_eq!(store.unpin(&to(None, None), 51).unwrap().act, Act::GateUnpinned);
    let nothing = store.unpin(&to(None, None), 52).unwrap_err();
    assert!(matches!(nothing, StoreError::Unknown { what: "pinned limit", .. }));
    assert!(store.pins().unwrap().is_empty());
}

pub(super) fn what_limit_owners_used_of_quotas_is_kept(store: &dyn Store) {
    let of = |owner: &str, per, period, used| OwnerQuotaUse {
        service: name("stripe"),
        owner: owner.to_owned(),
        per,
        period,
        used,
    };
    let counter = store.change_counter().unwrap();
    let both = [of("acme", Period::Day, 20_000, 7), of("acme", Period::Month, 680, 9)];
    store.note_owner_quota_uses(&both).unwrap();
    assert_eq!(store.owner_quota_uses().unwrap(), both);
    store.note_owner_quota_uses(&[of("acme", Period::Day, 20_001, 1)]).unwrap();
    assert_eq!(store.owner_quota_uses().unwrap(), [of("acme", Period::Day, 20_001, 1), both[1].clone()]);
    assert_eq!(store.change_counter().unwrap(), counter, "not a change that others follow");
}

pub(super) fn an_act_is_written_down_with_its_change_and_with_no_other(store: &dyn Store) {
    adopt(store);
    let deed = |id: &str, act| Deed {
        id: id.to_owned(),
        time: Duration::from_micros(1_700_000_000_000_001),
        actor: "os:\"ann\"".into(),
        act,
        details: vec![("service".into(), "stripe".into())],
        log_end: LogEnd { segment: 3, offset: 70_000_000 },
    };
    let failing = store.acting(deed("d0", "key.add"));
    assert!(failing.add_credential(&credential("c1", "main", "nobody"), None, 1).is_err());
    assert!(store.unrecorded().unwrap().is_empty(), "what was not done is no act");
    store.acting(deed("d1", "key.add")).add_credential(&credential("c1", "main", LOCAL), Some(9), 1).unwrap();
    assert_eq!(store.credentials(&CredentialFilter::default()).unwrap()[0].rotate_every, Some(9));
    store.rotate_credential(&id("c1"), 2, &sealed(1, 2), None, 2).unwrap();
    let code = Pass {
        id: "p1".into(),
        kind: PassKind::Code,
        name: name("ada"),
        user: UserId::new(LOCAL),
        digest: [7; 32],
        created_at: 3,
        expires_at: None,
    };
    store.acting(deed("d2", "code.add")).add_pass(&code).unwrap();
    let expected = Unrecorded {
        id: "d1".into(),
        time: Duration::from_micros(1_700_000_000_000_001),
        actor: "os:\"ann\"".into(),
        act: "key.add".into(),
        object: "main".into(),
        object_id: "c1".into(),
        details: vec![("service".into(), "stripe".into()), ("version".into(), "1".into())],
        log_end: LogEnd { segment: 3, offset: 70_000_000 },
    };
    let left = store.unrecorded().unwrap();
    assert_eq!(left[0], expected);
    let ids = |left: &[Unrecorded]| left.iter().map(|act| act.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&left), ["d1", "d2"], "a change without a deed leaves nothing, one that nobody follows does");
    store.forget_recorded(&["d1".into(), "d1".into(), "no such".into()]).unwrap();
    assert_eq!(ids(&store.unrecorded().unwrap()), ["d2"]);
    let twice = store.acting(deed("d3", "team.add"));
    twice.add_team(&team("t1", "data"), 3).unwrap();
    assert!(twice.add_team(&team("t2", "ops"), 3).is_err(), "one deed tells of one change");
    assert_eq!(store.teams().unwrap().len(), 1);
    store.delete_credential(&id("c1"), 4).unwrap();
    store.add_credential(&credential("c2", "main", LOCAL), None, 5).unwrap();
    store.delete_credential(&id("c2"), 5).unwrap();
    store.acting(deed("d4", "key.destroy")).purge(9, 10).unwrap();
    assert_eq!(ids(&store.unrecorded().unwrap()), ["d2", "d3", "d4", "d4-1"], "each that was destroyed is told of");
}

pub(super) fn what_was_touched_since_a_moment_is_told_and_nothing_else(store: &dyn Store) {
    adopt(store);
    let at = || store.change_counter().unwrap();
    let since = |counter: u64| {
        let Changes { inventory, touched } = store.changes_since(counter).unwrap();
        assert_eq!(inventory.change_counter, at());
        let ids = |all: Vec<CredentialId>| all.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let living = ids(inventory.credentials.iter().map(|c| c.id.clone()).collect());
        let formers = ids(inventory.formers.iter().map(|f| f.credential.id.clone()).collect());
        (ids(touched.into_iter().collect()), living, formers)
    };
    let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<String>>();
    let one = (set(&["c1"]), set(&["c1"]), set(&[]));
    store.add_user(&user("u2", "ada"), 1).unwrap();
    store.add_team(&team("t1", "data"), 1).unwrap();
    store.add_caller(&caller("k1", "etl", "u2", 1), 1).unwrap();
    for id in ["c1", "c2", "c3"] {
        store.add_credential(&Credential { shares: Vec::new(), ..credential(id, id, "u2") }, None, 1).unwrap();
    }
    assert_eq!(since(0).0, set(&["c1", "c2", "c3"]));
    let before = at();
    assert_eq!(since(before), (set(&[]), set(&[]), set(&[])));
    store.rotate_credential(&id("c1"), 2, &sealed(1, 2), Some(99), 2).unwrap();
    assert_eq!(since(before), (set(&["c1"]), set(&["c1"]), set(&["c1"])));
    let steps: [&dyn Fn() -> Receipt; 8] = [
        &|| store.roll_back_credential(&id("c1"), 3).unwrap(),
        &|| store.share(&id("c1"), &Share::Team(TeamId::new("t1")).into(), 3).unwrap(),
        &|| store.delete_team(&TeamId::new("t1"), 3).unwrap(),
        &|| store.share(&id("c1"), &Share::Caller(CallerId::new("k1")).into(), 3).unwrap(),
        &|| store.delete_caller(&CallerId::new("k1"), 3).unwrap(),
        &|| store.share(&id("c1"), &Share::Everyone.into(), 3).unwrap(),
        &|| store.unshare(&id("c1"), &Share::Everyone, 3).unwrap(),
        &|| {
            let name = Some(name("other"));
            store.edit_credential(&id("c1"), &CredentialEdit { name, ..CredentialEdit::default() }, 3).unwrap()
        },
    ];
    for (number, step) in steps.iter().enumerate() {
        let before = at();
        step();
        assert_eq!(since(before), one, "step {number}");
    }
    let before = at();
    store.delete_credential(&id("c1"), 4).unwrap();
    assert_eq!(since(before), (set(&["c1"]), set(&[]), set(&[])), "what is gone is touched and does not live");
    store.restore_credential(&id("c1"), 5).unwrap();
    assert_eq!(since(before), one);
    let before = at();
    let mut versions = store.sealed_contents().unwrap().versions;
    for version in &mut versions {
        version.owner = UserId::new(LOCAL);
    }
    let inheritance = Inheritance { heir: UserId::new(LOCAL), versions };
    store.delete_user(&UserId::new("u2"), Some(&inheritance), 6).unwrap();
    assert_eq!(since(before).1, set(&["c1", "c2", "c3"]));
    let before = at();
    let mut contents = store.sealed_contents().unwrap();
    for version in &mut contents.versions {
        version.sealed.master = 2;
    }
    store.replace_master(&master(1, 1, &["file"]), &master(2, 3, &["file"]), contents, 30).unwrap();
    assert_eq!(since(before).0, set(&["c1", "c2", "c3"]));
}

pub(super) fn pages_together_are_the_whole_list(store: &dyn Store) {
    adopt(store);
    for (id, name) in [("u2", "ada"), ("u3", "bob")] {
        store.add_user(&user(id, name), 1).unwrap();
    }
    store.add_team(&team("t1", "data"), 1).unwrap();
    store.add_member(&TeamId::new("t1"), &UserId::new("u2"), 1).unwrap();
    store.add_caller(&caller("k1", "etl", "u2", 1), 1).unwrap();
    let shares = [
        Share::Everyone,
        Share::User(UserId::new("u2")),
        Share::Team(TeamId::new("t1")),
        Share::Caller(CallerId::new("k1")),
        Share::User(UserId::new(LOCAL)),
    ];
    for number in 0..25_usize {
        let (id, owner) = (format!("c{number:02}"), ["u2", "u3", LOCAL][number % 3]);
        let (called, shares) = (format!("key-{}", number / 4), vec![shares[number % 5].clone().into()]);
        let service = name(["stripe", "github"][number % 2]);
        store.add_credential(&Credential { service, shares, ..credential(&id, &id, owner) }, None, 1).unwrap();
        let edit = CredentialEdit { name: Some(name(&called)), ..CredentialEdit::default() };
        if store.edit_credential(&CredentialId::new(&id), &edit, 1).is_err() {
            store.delete_credential(&CredentialId::new(&id), 1).unwrap();
        }
    }
    let names: HashMap<UserId, String> =
        store.users().unwrap().into_iter().map(|l| (l.user.id, l.user.name.to_string())).collect();
    let place = |listed: &ListedCredential| {
        let credential = &listed.credential;
        (credential.name.to_string(), names[&credential.owner].clone(), credential.id.to_string())
    };
    let ada = Viewer { user: UserId::new("u2"), teams: vec![TeamId::new("t1")] };
    let seen = |listed: &ListedCredential| {
        let opens = |shared: &Shared| shared.with != Share::User(UserId::new(LOCAL));
        listed.credential.owner.as_str() == "u2" || listed.credential.shares.iter().any(opens)
    };
    let filters = [
        CredentialFilter::default(),
        CredentialFilter { service: Some(name("github")), ..CredentialFilter::default() },
        CredentialFilter { owner: Some(UserId::new("u3")), ..CredentialFilter::default() },
        CredentialFilter { name: Some(name("key-1")), ..CredentialFilter::default() },
    ];
    for filter in filters {
        for viewer in [None, Some(ada.clone())] {
            let mut expected = store.credentials(&filter).unwrap();
            expected.retain(|listed| viewer.is_none() || seen(listed));
            let mut expected: Vec<_> = expected.iter().map(|listed| (place(listed), listed.clone())).collect();
            expected.sort_by(|(one, _), (other, _)| one.cmp(other));
            let mut found: Vec<ListedCredential> = Vec::new();
            loop {
                let after = found.last().map(place);
                let (filter, viewer) = (filter.clone(), viewer.clone());
                let page = store.credential_page(&CredentialPage { filter, viewer, after, most: 3 }).unwrap();
                let is_last = page.len() < 3;
                found.extend(page);
                if is_last {
                    break;
                }
            }
            let whole = |listed: &ListedCredential| format!("{listed:?}");
            let expected: Vec<_> = expected.iter().map(|(_, listed)| whole(listed)).collect();
            assert_eq!(found.iter().map(whole).collect::<Vec<_>>(), expected, "{filter:?} {viewer:?}");
        }
    }
    let of = |id: &str| store.owned(&[UserId::new(id)]).unwrap()[&UserId::new(id)];
    let living = store.credentials(&CredentialFilter::default()).unwrap();
    let count = living.iter().filter(|listed| listed.credential.owner.as_str() == "u2").count();
    assert_eq!((of("u2"), of("nobody")), (Owned { keys: count, callers: 1 }, Owned::default()));
    let caller = Share::Caller(CallerId::new("k1"));
    let wanted = [Share::User(UserId::new("u3")), caller.clone(), Share::Everyone, Share::Team(TeamId::new("gone"))];
    let found = store.named(&wanted).unwrap();
    let etl = Named { share: caller, name: name("etl"), owner: Some(UserId::new("u2")) };
    assert_eq!((found.len(), &found[1], found[0].name.as_str()), (2, &etl, "bob"));
    assert_eq!(store.user(&UserId::new("u2")).unwrap().unwrap().teams, [TeamId::new("t1")]);
    assert_eq!(store.user(&UserId::new("nobody")).unwrap(), None);
}

pub(super) fn slots_change_all_at_once_and_only_from_what_was_read(store: &dyn Store) {
    adopt(store);
    let (first, two) = (master(1, 1, &["file"]), master(1, 1, &["file", "paper"]));
    store.change_slots(&first, &two, 3).unwrap();
    assert_eq!(store.master().unwrap(), Some(two.clone()));
    // Somebody who read before that.
    for late in [master(1, 1, &["env"]), master(1, 1, &["env", "file"])] {
        assert!(matches!(store.change_slots(&first, &late, 3).unwrap_err(), StoreError::Moved(_)));
    }
    let rotated = store.replace_master(&first, &master(2, 2, &["file"]), SealedContents::default(), 9).unwrap_err();
    assert!(matches!(rotated, StoreError::Moved(_)), "{rotated}");
    // Another master key's slots are none of this one's.
    assert!(matches!(store.change_slots(&two, &master(2, 2, &["file"]), 3).unwrap_err(), StoreError::Moved(_)));
    assert_eq!(store.master().unwrap(), Some(two.clone()));
    let counter = store.change_counter().unwrap();
    store.change_slots(&two, &master(1, 1, &["paper"]), 3).unwrap();
    assert_eq!(store.master().unwrap(), Some(master(1, 1, &["paper"])));
    assert_eq!(store.change_counter().unwrap(), counter, "nothing that proxies follow");
    store.check_integrity().unwrap();
}

pub(super) fn another_stores_contents_take_the_place_of_these_at_once(store: &dyn Store) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let deed = |id: &str, act, offset| Deed {
        id: id.to_owned(),
        time: Duration::from_micros(1),
        actor: "ann".into(),
        act,
        details: Vec::new(),
        log_end: LogEnd { segment: 1, offset },
    };
    adopt(store);
    store.add_user(&user("u2", "ada"), 1).unwrap();
    store.acting(deed("early", "key.add", 7)).add_credential(&credential("c1", "main", "u2"), None, 1).unwrap();
    store.share(&id("c1"), &Share::User(UserId::new("u2")).into(), 1).unwrap();
    let before = store.inventory().unwrap();
    store.copy_to(&at("copy.db")).unwrap();
    store.forget_recorded(&["early".into()]).unwrap();

    store.rotate_credential(&id("c1"), 2, &sealed(1, 2), Some(99), 2).unwrap();
    store.acting(deed("late", "key.add", 20)).add_credential(&credential("c2", "more", LOCAL), None, 2).unwrap();
    store.add_caller(&caller("k1", "etl", "u2", 1), 2).unwrap();
    store.add_authority(&authority(1, 10, 1), None).unwrap();
    store.note_gates(&[], 77).unwrap();
    let replaced = store.inventory().unwrap();
    let takeover = Takeover { from: at("copy.db"), former: at("former.db"), called: "monday".into() };
    let receipt = store.acting(deed("restore", "backup.restore", 30)).take_over(&takeover, 9).unwrap();
    assert_eq!((receipt.act, receipt.name.as_str()), (Act::Restored, "monday"));

    let after = store.inventory().unwrap();
    assert!(after.change_counter > replaced.change_counter, "whoever follows looks");
    let since = store.changes_since(replaced.change_counter).unwrap();
    let touched: BTreeSet<_> = since.touched.iter().map(CredentialId::as_str).collect();
    assert_eq!(touched, BTreeSet::from(["c1", "c2"]), "what is gone is touched too");
    assert_eq!(format!("{:?}", since.inventory.credentials), format!("{:?}", before.credentials));
    let counted = |inventory: Inventory| Inventory { change_counter: 0, ..inventory };
    assert_eq!(format!("{:?}", counted(after)), format!("{:?}", counted(before)));
    assert_eq!(store.noted_gates().unwrap().0, Some(77), "what the running proxy notes stays");
    let left = store.unrecorded().unwrap();
    let acts: Vec<_> = left.iter().map(|act| (act.id.as_str(), act.log_end.offset)).collect();
    // The copy cannot know that its act was recorded; the log does, and is asked from the same place.
    assert_eq!(acts, [("late", 20), ("early", 7), ("restore", 30)]);
    store.check_integrity().unwrap();

    // And back again, from what was kept.
    let takeover = Takeover { from: at("former.db"), former: at("again.db"), called: "former".into() };
    store.take_over(&takeover, 10).unwrap();
    let again = store.inventory().unwrap();
    assert_eq!(format!("{:?}", counted(again)), format!("{:?}", counted(replaced)));
    let missing = Takeover { from: at("none.db"), former: at("nowhere.db"), called: String::new() };
    assert!(store.take_over(&missing, 11).is_err());
    assert_eq!(store.inventory().unwrap().credentials.len(), 2, "what failed changed nothing");
    store.take_over(&Takeover { former: at("third.db"), from: at("copy.db"), called: String::new() }, 12).unwrap();
}
