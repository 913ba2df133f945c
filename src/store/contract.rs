//! What every store must do, as one suite: each function is given an empty store of any kind. `sealed` values here are
//! arbitrary bytes, as a store never opens them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::domain::{Name, Source, TeamId};

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn sealed(master: u32, fill: u8) -> Sealed {
    let fields = [("sid", 40), ("token", 132)].map(|(field, len)| (name(field), vec![fill; len].into()));
    Sealed { master, wrapped_key: vec![fill; 92].into(), fields: fields.into() }
}

pub(super) fn credential(id: &str, called: &str, owner: &str) -> Credential {
    Credential {
        id: CredentialId::new(id),
        name: name(called),
        owner: UserId::new(owner),
        service: name("stripe"),
        environment: Some(name("prod")),
        shares: vec![Share::Everyone],
        variables: BTreeMap::from([(name("tenant"), "acme \"x\" é".to_owned())]),
        expires: Some(2_000_000_000),
        version: 1,
        sealed: Some(Arc::new(sealed(1, 1))),
        source: Source::Store,
    }
}

fn user(id: &str, called: &str) -> User {
    User { id: UserId::new(id), name: name(called), teams: Vec::new() }
}

fn caller(id: &str, called: &str, owner: &str, token: u8) -> Caller {
    let (id, owner) = (CallerId::new(id), UserId::new(owner));
    Caller { id, name: name(called), owner, environment: Some(name("dev")), token_digest: Some([token; 32]) }
}

pub(super) fn adopt(store: &dyn Store) {
    let record = MasterRecord { id: 1, check: [1; 32], derivation: None };
    assert_eq!(store.adopt_master(&record, 5).unwrap(), record);
}

fn id(text: &str) -> CredentialId {
    CredentialId::new(text)
}

fn only(store: &dyn Store) -> Credential {
    let mut credentials = store.inventory().unwrap().credentials;
    assert_eq!(credentials.len(), 1);
    credentials.remove(0)
}

pub(super) fn a_fresh_store_knows_local_and_nothing_else(store: &dyn Store) {
    let inventory = store.inventory().unwrap();
    assert_eq!(inventory.users, [user(LOCAL, LOCAL)]);
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
    let receipt = store.add_credential(&given, 10).unwrap();
    let owner = Some(UserId::new(LOCAL));
    let expected = Receipt {
        act: Act::CredentialAdded,
        id: "c1".into(),
        name: "main".into(),
        owner,
        version: Some(1),
        with: None,
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
    assert_eq!(history.listed.credential.shares, [Share::Everyone]);
}

pub(super) fn names_are_unique_per_owner_among_the_living(store: &dyn Store) {
    adopt(store);
    store.add_user(&user("u2", "ada"), 1).unwrap();
    store.add_credential(&credential("c1", "main", LOCAL), 10).unwrap();
    store.add_credential(&credential("c2", "main", "u2"), 10).unwrap();
    let again = store.add_credential(&credential("c3", "main", LOCAL), 11).unwrap_err();
    assert!(matches!(again, StoreError::NameTaken { what: "credential", .. }), "{again}");
    store.delete_credential(&id("c1"), 12).unwrap();
    store.add_credential(&credential("c3", "main", LOCAL), 13).unwrap();
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
    unknown(store.add_credential(&credential("c1", "main", "nobody"), 1).unwrap_err(), "user");
    let mut shared = credential("c1", "main", LOCAL);
    shared.shares = vec![Share::Caller(CallerId::new("nobody"))];
    unknown(store.add_credential(&shared, 1).unwrap_err(), "caller");
    unknown(store.rotate_credential(&id("c1"), 2, &sealed(1, 2), 1).unwrap_err(), "credential");
    unknown(store.roll_back_credential(&id("c1"), 1).unwrap_err(), "credential");
    unknown(store.delete_credential(&id("c1"), 1).unwrap_err(), "credential");
    unknown(store.restore_credential(&id("c1"), 1).unwrap_err(), "credential");
    unknown(store.credential(&id("c1")).unwrap_err(), "credential");
    unknown(store.add_caller(&caller("k1", "etl", "nobody", 1), 1).unwrap_err(), "user");
    unknown(store.rotate_caller(&CallerId::new("k1"), [1; 32], 1).unwrap_err(), "caller");
    unknown(store.delete_caller(&CallerId::new("k1"), 1).unwrap_err(), "caller");
    unknown(store.user(&UserId::new("u9")).unwrap_err(), "user");
    let mut bare = credential("c1", "main", LOCAL);
    bare.sealed = None;
    assert!(matches!(store.add_credential(&bare, 1).unwrap_err(), StoreError::Unsealed(_)));
    assert_eq!(store.change_counter().unwrap(), before);
    assert!(store.inventory().unwrap().credentials.is_empty());
}

pub(super) fn rotation_and_rollback_move_the_current_version(store: &dyn Store) {
    adopt(store);
    store.add_credential(&credential("c1", "main", LOCAL), 10).unwrap();
    let rotate = |number, at| store.rotate_credential(&id("c1"), number, &sealed(1, u8::try_from(number).unwrap()), at);
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

pub(super) fn deletion_hides_restores_and_in_the_end_destroys(store: &dyn Store) {
    adopt(store);
    store.add_credential(&credential("c1", "main", LOCAL), 10).unwrap();
    store.rotate_credential(&id("c1"), 2, &sealed(1, 2), 20).unwrap();
    store.delete_credential(&id("c1"), 100).unwrap();
    assert!(store.inventory().unwrap().credentials.is_empty());
    assert!(store.credentials(&CredentialFilter::default()).unwrap().is_empty());
    let deleted = CredentialFilter { deleted: true, ..CredentialFilter::default() };
    assert_eq!(store.credentials(&deleted).unwrap()[0].deleted_at, Some(100));
    assert!(matches!(store.delete_credential(&id("c1"), 101).unwrap_err(), StoreError::Unknown { .. }));
    assert_eq!(store.purge(100, 102).unwrap(), 0);
    store.restore_credential(&id("c1"), 103).unwrap();
    assert_eq!(only(store).version, 2);
    store.delete_credential(&id("c1"), 200).unwrap();
    assert_eq!(store.purge(201, 900).unwrap(), 2);
    assert_eq!(store.purge(201, 901).unwrap(), 0);
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
    store.add_credential(&credential("c1", "b", LOCAL), 1).unwrap();
    store.add_credential(&credential("c2", "a", "u2"), 1).unwrap();
    let other = Credential { service: name("github"), environment: None, ..credential("c3", "c", LOCAL) };
    store.add_credential(&other, 1).unwrap();
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
    store.add_credential(&Credential { shares: Vec::new(), ..credential("c1", "main", LOCAL) }, 1).unwrap();
    let with = [Share::User(UserId::new("u2")), Share::Caller(CallerId::new("k1")), Share::Everyone];
    for share in with.iter().chain(&with) {
        store.share(&id("c1"), share, 2).unwrap();
    }
    let mut shares = only(store).shares;
    shares.sort();
    assert_eq!(shares, with.iter().cloned().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>());
    assert_eq!(store.unshare(&id("c1"), &with[0], 3).unwrap().with.as_deref(), Some("user:u2"));
    assert!(matches!(store.unshare(&id("c1"), &with[0], 3).unwrap_err(), StoreError::Unknown { what: "share", .. }));
    let stranger = Share::Team(TeamId::new("t9"));
    assert!(matches!(store.share(&id("c1"), &stranger, 3).unwrap_err(), StoreError::Unknown { what: "team", .. }));
    store.delete_caller(&CallerId::new("k1"), 4).unwrap();
    assert_eq!(only(store).shares, [Share::Everyone]);
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
    store.rotate_caller(&given.id, [9; 32], 20).unwrap();
    assert_eq!(find().caller.token_digest, Some([9; 32]));
    store.delete_caller(&given.id, 30).unwrap();
    assert_eq!(store.callers().unwrap().len(), 1);
    store.add_caller(&caller("k3", "etl", LOCAL, 9), 40).unwrap();
    assert!(matches!(store.delete_caller(&CallerId::new(LOCAL), 50).unwrap_err(), StoreError::Fixed(_)));
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
    store.add_credential(&credential("c1", "main", LOCAL), 1).unwrap();
    moved("add");
    store.rotate_credential(&id("c1"), 2, &sealed(1, 2), 2).unwrap();
    moved("rotate");
    store.roll_back_credential(&id("c1"), 3).unwrap();
    moved("roll back");
    store.unshare(&id("c1"), &Share::Everyone, 3).unwrap();
    moved("unshare");
    store.share(&id("c1"), &Share::Everyone, 3).unwrap();
    moved("share");
    store.delete_credential(&id("c1"), 4).unwrap();
    moved("delete");
    store.restore_credential(&id("c1"), 5).unwrap();
    moved("restore");
    store.add_user(&user("u2", "ada"), 6).unwrap();
    moved("add user");
    store.add_caller(&caller("k1", "etl", "u2", 1), 6).unwrap();
    moved("add caller");
    store.rotate_caller(&CallerId::new("k1"), [2; 32], 6).unwrap();
    moved("rotate caller");
    store.delete_caller(&CallerId::new("k1"), 7).unwrap();
    moved("delete caller");
}

pub(super) fn the_first_master_key_stays_until_everything_is_under_the_next(store: &dyn Store) {
    adopt(store);
    let second = MasterRecord { id: 1, check: [2; 32], derivation: Some("x".into()) };
    assert_eq!(store.adopt_master(&second, 6).unwrap().check, [1; 32]);
    store.add_credential(&credential("c1", "main", LOCAL), 10).unwrap();
    store.rotate_credential(&id("c1"), 2, &sealed(1, 2), 20).unwrap();
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
    let next = MasterRecord { id: 2, check: [3; 32], derivation: None };
    let mut partial = contents.clone();
    partial.versions.pop();
    assert!(matches!(store.replace_master(&next, partial, 30).unwrap_err(), StoreError::Moved(_)));
    assert_eq!((store.master().unwrap().unwrap().id, only(store).sealed.unwrap().master), (1, 1));
    store.replace_master(&next, contents.clone(), 30).unwrap();
    assert_eq!(store.master().unwrap(), Some(next.clone()));
    let rewrapped = only(store).sealed.unwrap();
    assert_eq!((rewrapped.master, rewrapped.wrapped_key[0], rewrapped.fields[0].1[0]), (2, 22, 2));
    assert!(matches!(store.replace_master(&next, contents, 31).unwrap_err(), StoreError::Moved(_)));
    // A process that has not followed yet seals with the former key.
    let late = store.rotate_credential(&id("c1"), 3, &sealed(1, 3), 40).unwrap_err();
    assert!(matches!(late, StoreError::Moved(_)), "{late}");
    store.check_integrity().unwrap();
}
