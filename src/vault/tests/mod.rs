//! The whole life of a credential through a real store, master keys that are right, wrong, rotated and half rotated, and
//! values that are kept elsewhere.

mod slots;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::declared::{Declared, DeclaredValue, Unreadable};
use super::*;
use crate::domain::{CredentialId, KeyPlace, Name, Perimeter, Role, Source, SystemClock, UserId, Weight};
use crate::keys::KeyError;
use crate::seal::SealError;
use crate::store::{InUse, LOCAL, Receipt, Sqlite, StoreError};

/// A clock that stands still until it is moved.
struct Still(Mutex<Duration>);

impl Still {
    fn advance(&self, seconds: i64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds.unsigned_abs());
    }
}

impl Clock for Still {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

struct World {
    folder: TempDir,
    clock: Arc<Still>,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(Still(Mutex::new(Duration::from_secs(1_800_000_000)))),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    fn files(&self) -> Vec<String> {
        let listed = fs::read_dir(self.folder.path().join("data")).unwrap();
        let mut names: Vec<_> = listed.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn key(&self) -> MasterKeySource {
        MasterKeySource::File(self.path("master.key"))
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(Sqlite::open(&self.path("sidekey.db")).unwrap())
    }

    fn open(&self, source: &MasterKeySource) -> Result<Vault, VaultError> {
        Vault::open(self.store(), source, Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    fn vault(&self) -> Vault {
        self.open(&self.key()).unwrap()
    }
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn value(text: &str) -> Fields {
    Fields::new(vec![(name(Fields::SINGLE), Secret::new(text.as_bytes().to_vec()))])
}

pub(super) fn stripe(called: &str) -> NewCredential {
    NewCredential {
        limit_owner: None,
        pool: None,
        name: name(called),
        owner: UserId::new(LOCAL),
        service: name("stripe"),
        environment: None,
        variables: BTreeMap::new(),
        expires: None,
        shares: Vec::new(),
        rotate_every: None,
    }
}

pub(super) fn opened(vault: &Vault, credential: &Credential) -> String {
    let fields = vault.open_kept(credential, &KeptOpener::default()).unwrap();
    String::from_utf8(fields.get(Fields::SINGLE).unwrap().expose().to_vec()).unwrap()
}

fn current(vault: &Vault) -> Credential {
    vault.inventory().unwrap().credentials.remove(0)
}

fn env(bytes: &[u8]) -> MasterKeySource {
    MasterKeySource::Env { name: "KEY".into(), value: Zeroizing::new(STANDARD.encode(bytes)) }
}

/// Rotates the master key of a store whose only slot is the one that `present` opens.
fn rotate(vault: &Vault, present: &MasterKeySource, next: &MasterKeySource) -> Result<Receipt, VaultError> {
    let look = |place: &KeyPlace| -> Result<MasterKeySource, String> { panic!("{place} is looked for") };
    let rotation = MasterRotation { present, next, look: &look, out_of_reach: OutOfReach::Refuse };
    vault.rotate_master(&rotation).map(|(receipt, ended)| {
        assert!(ended.is_empty());
        receipt
    })
}

#[test]
fn a_credential_lives_from_adding_to_destruction() {
    let world = World::new();
    let vault = world.vault();
    let (credential, receipt) = vault.add(stripe("main"), &value("one")).unwrap();
    assert_eq!((receipt.act.as_str(), receipt.at), ("credential.added", 1_800_000_000));
    assert_eq!(opened(&vault, &credential), "one");
    assert_eq!(opened(&vault, &vault.rotate(&credential.id, &value("two")).unwrap().0), "two");
    let held = current(&vault);
    vault.rotate(&credential.id, &value("three")).unwrap();
    // A request that took its snapshot before still opens the value that it saw.
    assert_eq!((opened(&vault, &held), opened(&vault, &current(&vault))), ("two".into(), "three".into()));
    let (back, _) = vault.rollback(&credential.id).unwrap();
    assert_eq!((back.version, opened(&vault, &back)), (2, "two".into()));
    vault.delete(&credential.id).unwrap();
    assert!(vault.inventory().unwrap().credentials.is_empty());
    world.clock.advance(KEPT_AFTER_DELETION - 1);
    assert!(vault.purge().unwrap().is_empty());
    let deleted = vault.find_deleted(&name("main"), None).unwrap().credential.id;
    vault.restore(&deleted).unwrap();
    assert_eq!(opened(&vault, &current(&vault)), "two");
    vault.delete(&credential.id).unwrap();
    world.clock.advance(KEPT_AFTER_DELETION + 1);
    assert_eq!(vault.purge().unwrap().len(), 1);
    let gone = vault.show(&credential.id).unwrap().listed.credential;
    assert!(matches!(vault.open_kept(&gone, &KeptOpener::default()).unwrap_err(), VaultError::NoValue(_)));
}

#[test]
fn a_vault_opens_again_with_its_key_and_refuses_any_other() {
    let world = World::new();
    world.vault().add(stripe("main"), &value("one")).unwrap();
    let vault = world.vault();
    assert_eq!(opened(&vault, &current(&vault)), "one");
    drop(vault);
    let wrong = world.open(&env(&[9; 32])).unwrap_err();
    assert!(matches!(wrong, VaultError::WrongMaster { .. }), "{wrong}");
    assert!(wrong.to_string().contains("environment variable `KEY`"), "{wrong}");
    fs::remove_file(world.path("master.key")).unwrap();
    let absent = world.open(&world.key()).unwrap_err();
    assert!(matches!(absent, VaultError::OutOfReach { source: KeyError::Absent { .. }, .. }), "{absent}");
    assert!(absent.to_string().contains("`file` (file)"), "{absent}");
    assert!(!world.path("master.key").exists());
}

#[test]
fn many_that_start_at_once_on_nothing_end_with_one_store_and_one_key() {
    for source in [None, Some(env(&[1; 32]))] {
        let world = World::new();
        let source = source.unwrap_or_else(|| world.key());
        std::thread::scope(|scope| {
            for i in 0..8 {
                let (world, source) = (&world, &source);
                scope.spawn(move || {
                    let vault = world.open(source).unwrap();
                    let (added, _) = vault.add(stripe(&format!("k{i}")), &value("v")).unwrap();
                    assert_eq!(opened(&vault, &added), "v");
                });
            }
        });
        let vault = world.open(&source).unwrap();
        let credentials = vault.inventory().unwrap().credentials;
        assert_eq!(credentials.iter().filter(|credential| opened(&vault, credential) == "v").count(), 8);
    }
}

#[test]
fn a_passphrase_opens_what_it_sealed_and_another_does_not() {
    let world = World::new();
    let passphrase =
        |text: &str| MasterKeySource::Passphrase { name: "PASS".into(), value: Zeroizing::new(text.to_owned()) };
    world.open(&passphrase("correct horse battery")).unwrap().add(stripe("main"), &value("one")).unwrap();
    let vault = world.open(&passphrase("correct horse battery")).unwrap();
    assert_eq!(opened(&vault, &current(&vault)), "one");
    assert!(matches!(world.open(&passphrase("correct horse batterz")), Err(VaultError::WrongMaster { .. })));
    let other = world.open(&env(&[1; 32])).unwrap_err();
    assert!(matches!(&other, VaultError::WrongMaster { slots, .. } if slots == "`passphrase` (passphrase)"), "{other}");
}

#[test]
fn an_authority_signs_on_under_another_master_key_and_beside_no_other_certificate() {
    let world = World::new();
    let vault = world.vault();
    vault.add_authority(&[], 0, None).unwrap();
    let stored = vault.authorities().unwrap().remove(0);
    let known = *vault.open_authority(stored.clone()).unwrap().fingerprint();
    assert_eq!(known, stored.fingerprint);
    let follower = world.vault();
    rotate(&vault, &world.key(), &world.key()).unwrap();
    let rewrapped = vault.authorities().unwrap().remove(0);
    assert_eq!((rewrapped.key.master, &rewrapped.certificate), (2, &stored.certificate));
    assert_eq!(vault.open_authority(rewrapped.clone()).unwrap().fingerprint(), &known);
    assert_eq!(vault.open_authority(stored).unwrap().fingerprint(), &known, "what was read before still opens");
    let late = follower.open_authority(rewrapped.clone()).unwrap_err();
    assert!(matches!(late, VaultError::Store(StoreError::Moved(_))), "{late}");
    let mut changed = rewrapped;
    changed.certificate[20] ^= 1;
    assert!(matches!(vault.open_authority(changed), Err(VaultError::Labelled(_))));
    assert_eq!(vault.unopenable().unwrap(), (1, Vec::new()));
}

#[test]
fn a_rotated_master_key_opens_everything_and_the_former_nothing() {
    let world = World::new();
    let vault = world.vault();
    let (credential, _) = vault.add(stripe("main"), &value("one")).unwrap();
    vault.rotate(&credential.id, &value("two")).unwrap();
    vault.keep_labelled("ca", &Secret::new(b"pem".to_vec())).unwrap();
    let follower = world.vault();
    let (held, former) = (current(&follower), fs::read(world.path("master.key")).unwrap());

    let receipt = rotate(&vault, &world.key(), &world.key()).unwrap();
    assert_eq!((receipt.act.as_str(), receipt.version), ("master.rotated", Some(2)));
    assert_ne!(fs::read(world.path("master.key")).unwrap(), former);
    assert_eq!(world.files(), ["master.key", "sidekey.db", "sidekey.db-shm", "sidekey.db-wal"]);
    assert_eq!(opened(&vault, &current(&vault)), "two");

    let stale = rotate(&follower, &world.key(), &env(&[3; 32])).unwrap_err();
    assert!(matches!(stale, VaultError::Store(StoreError::Moved(_))), "{stale}");
    // The other process: late writes are refused until it follows, then old and new snapshots open.
    let late = follower.rotate(&credential.id, &value("late")).unwrap_err();
    assert!(matches!(late, VaultError::Store(StoreError::Moved(_))), "{late}");
    follower.refresh_master(&world.key()).unwrap();
    assert_eq!((opened(&follower, &held), opened(&follower, &current(&follower))), ("two".into(), "two".into()));
    follower.rotate(&credential.id, &value("three")).unwrap();

    let again = world.vault();
    assert_eq!(opened(&again, &again.rollback(&credential.id).unwrap().0), "two");
    assert_eq!(again.labelled("ca").unwrap().unwrap().expose(), b"pem");
    fs::write(world.path("master.key"), former).unwrap();
    assert!(matches!(world.open(&world.key()), Err(VaultError::WrongMaster { .. })));
}

#[test]
fn a_rotation_cut_off_before_the_file_was_replaced_is_finished_at_the_next_opening() {
    let world = World::new();
    let vault = world.vault();
    vault.add(stripe("main"), &value("one")).unwrap();
    let former = fs::read(world.path("master.key")).unwrap();
    rotate(&vault, &world.key(), &world.key()).unwrap();
    drop(vault);
    // As after a crash between the store's commit and the rename.
    let check = world.store().master().unwrap().unwrap().check;
    let staged = format!("master.key.{}.next", &crate::crypto::digest::hex(&check)[..16]);
    fs::rename(world.path("master.key"), world.path(&staged)).unwrap();
    fs::write(world.path("master.key"), former).unwrap();
    fs::set_permissions(world.path("master.key"), Permissions::from_mode(0o600)).unwrap();
    let vault = world.vault();
    assert_eq!(opened(&vault, &current(&vault)), "one");
    drop(vault);
    assert_eq!(world.files(), ["master.key", "sidekey.db"]);
    world.vault();
}

#[test]
fn of_two_rotations_at_once_one_wins_and_its_key_is_the_files() {
    let world = World::new();
    let (one, two) = (world.vault(), world.vault());
    one.add(stripe("main"), &value("one")).unwrap();
    std::thread::scope(|scope| {
        let rotations = [&one, &two].map(|vault| scope.spawn(|| rotate(vault, &world.key(), &world.key())));
        let outcomes = rotations.map(|rotation| rotation.join().unwrap());
        assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
    });
    drop((one, two));
    let vault = world.vault();
    assert_eq!(opened(&vault, &current(&vault)), "one");
    drop(vault);
    assert_eq!(world.files(), ["master.key", "sidekey.db"]);
}

#[test]
fn a_master_key_moves_between_kinds_of_sources_and_overwrites_no_other_file() {
    let world = World::new();
    let vault = world.open(&env(&[1; 32])).unwrap();
    vault.add(stripe("main"), &value("one")).unwrap();
    fs::write(world.path("master.key"), STANDARD.encode([5; 32])).unwrap();
    fs::set_permissions(world.path("master.key"), Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(rotate(&vault, &env(&[1; 32]), &world.key()).unwrap_err(), VaultError::MasterFileTaken(_)));
    fs::remove_file(world.path("master.key")).unwrap();
    rotate(&vault, &env(&[1; 32]), &world.key()).unwrap();
    assert_eq!(opened(&world.vault(), &current(&vault)), "one");
    let same = rotate(&vault, &world.key(), &world.key()).map(|receipt| receipt.version);
    assert_eq!(same.unwrap(), Some(3));
    rotate(&vault, &world.key(), &env(&[2; 32])).unwrap();
    assert!(matches!(rotate(&vault, &env(&[2; 32]), &env(&[2; 32])).unwrap_err(), VaultError::SlotThere { .. }));
    let vault = world.open(&env(&[2; 32])).unwrap();
    assert_eq!(opened(&vault, &current(&vault)), "one");
}

#[test]
fn what_a_user_leaves_opens_for_its_heir_in_every_version() {
    let world = World::new();
    let vault = world.vault();
    let (ada, _) = vault.add_user(&name("ada"), Role::Member).unwrap();
    let (bob, _) = vault.add_user(&name("bob"), Role::Member).unwrap();
    let (key, _) = vault.add(NewCredential { owner: ada.id.clone(), ..stripe("main") }, &value("one")).unwrap();
    vault.rotate(&key.id, &value("two")).unwrap();
    let (gone, _) = vault.add(NewCredential { owner: ada.id.clone(), ..stripe("old") }, &value("three")).unwrap();
    vault.delete(&gone.id).unwrap();
    vault.add(stripe("other"), &value("four")).unwrap();
    let refused = vault.delete_user(&ada.id, None).unwrap_err().to_string();
    assert!(refused.contains("`main`") && refused.contains("--give-to"), "{refused}");
    vault.delete_user(&ada.id, Some(&bob.id)).unwrap();
    let find = |id: &CredentialId| vault.show(id).unwrap().listed.credential;
    assert_eq!((find(&key.id).owner, opened(&vault, &find(&key.id))), (bob.id.clone(), "two".into()));
    assert_eq!(opened(&vault, &vault.rollback(&key.id).unwrap().0), "one");
    vault.restore(&gone.id).unwrap();
    assert_eq!(opened(&vault, &find(&gone.id)), "three");
    assert_eq!(vault.users().unwrap().len(), 2);
}

#[test]
fn a_callers_token_is_shown_once_and_stored_as_its_digest() {
    let world = World::new();
    let vault = world.vault();
    let (caller, token, _) =
        vault.add_caller(&name("etl"), &UserId::new(LOCAL), None, Perimeter::default(), Weight::ONE).unwrap();
    assert!(token.reveal().starts_with(TOKEN_PREFIX) && token.reveal().len() == 47, "{}", token.reveal());
    assert_eq!(format!("{token:?}"), "Token(…)");
    let stored = || vault.caller_named(&name("etl")).unwrap().caller.token_digest;
    assert_eq!(stored(), Some(token.digest()));
    let (next, _) = vault.rotate_caller(&caller.id, None).unwrap();
    assert_ne!(next.digest(), token.digest());
    assert_eq!(stored(), Some(next.digest()));
    let file = fs::read(world.path("sidekey.db-wal")).unwrap();
    assert!(!file.windows(43).any(|w| w == &token.reveal().as_bytes()[4..]));
    vault.delete_caller(&caller.id).unwrap();
    assert!(vault.caller_named(&name("etl")).is_err());
}

#[test]
fn tampering_with_the_store_shows_when_the_value_is_opened() {
    let world = World::new();
    let vault = world.vault();
    let (mut one, _) = vault.add(stripe("one"), &value("1")).unwrap();
    let (two, _) = vault.add(stripe("two"), &value("2")).unwrap();
    one.sealed = two.sealed;
    let error = vault.open_kept(&one, &KeptOpener::default()).unwrap_err();
    assert!(matches!(error, VaultError::Seal { source: SealError::Wrap, .. }), "{error}");
}

#[test]
fn nothing_is_added_without_a_value_or_with_one_that_no_header_can_carry() {
    let world = World::new();
    let vault = world.vault();
    assert!(matches!(vault.add(stripe("main"), &Fields::new(Vec::new())), Err(VaultError::NoFields(_))));
    let unfit = vault.add(stripe("main"), &value("can\r\nary")).unwrap_err();
    assert!(matches!(unfit, VaultError::Seal { source: SealError::Unfit(..), .. }), "{unfit}");
    assert!(vault.inventory().unwrap().credentials.is_empty());
}

fn declared(fields: Vec<(&str, DeclaredValue)>) -> Declared {
    let fields = fields.into_iter().map(|(field, place)| (name(field), place)).collect();
    Declared { name: name("billing-prod"), service: name("billing"), fields }
}

fn sh(script: &str) -> DeclaredValue {
    DeclaredValue::Command(vec!["sh".into(), "-c".into(), script.into()])
}

#[test]
fn declared_values_are_read_from_everywhere_and_open_like_stored_ones() {
    let world = World::new();
    let vault = world.vault();
    let path = world.path("billing");
    fs::write(&path, "from-file\n").unwrap();
    let value = Zeroizing::new("from-env".to_owned());
    let declared = declared(vec![
        ("a", DeclaredValue::Env { name: "BILLING".into(), value: Some(value) }),
        ("b", DeclaredValue::File(path.clone())),
        ("c", sh("echo from-command")),
    ]);
    let fields = declared.read().unwrap();
    let mut credential = Credential {
        limit_owner: None,
        pool: None,
        id: CredentialId::new("declared:billing-prod"),
        name: declared.name.clone(),
        owner: UserId::new(LOCAL),
        service: declared.service.clone(),
        environment: None,
        shares: Vec::new(),
        variables: BTreeMap::new(),
        expires: None,
        version: 1,
        sealed: None,
        source: Source::Declared { dry: None },
    };
    credential.sealed = Some(Arc::new(vault.seal_declared(&credential, &fields).unwrap()));
    let opened = vault.open_kept(&credential, &KeptOpener::default()).unwrap();
    for (field, wanted) in [("a", "from-env"), ("b", "from-file"), ("c", "from-command")] {
        assert_eq!(opened.get(field).unwrap().expose(), wanted.as_bytes());
    }

    let before = declared.stamps();
    assert_eq!(before, declared.stamps());
    fs::write(&path, "longer-than-before").unwrap();
    assert_ne!(before, declared.stamps());
    fs::remove_file(&path).unwrap();
    assert_eq!(declared.stamps(), [None]);
}

#[test]
fn declared_values_that_cannot_be_used_are_refused_without_showing_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = |content: &[u8]| {
        let path = folder.path().join("value");
        fs::write(&path, content).unwrap();
        DeclaredValue::File(path)
    };
    let why = |place: DeclaredValue| {
        let error = declared(vec![("key", place)]).read().unwrap_err();
        let text = format!("{error}: {} {error:?}", error.source);
        assert!(text.contains("billing-prod") && text.contains("`key`") && !text.contains("canary"), "{text}");
        error.source
    };
    assert!(matches!(why(file(b"")), Unreadable::Value(ValueError::Empty)));
    assert!(matches!(why(file(b"canary\nsecond\n")), Unreadable::Value(ValueError::Control { .. })));
    assert!(matches!(why(file(&vec![b'x'; 64 * 1024 + 1])), Unreadable::Value(ValueError::TooLong)));
    assert!(declared(vec![("key", file(&vec![b'x'; 64 * 1024]))]).read().is_ok());
    assert!(matches!(why(DeclaredValue::File(Path::new("/nonexistent/x").into())), Unreadable::File(_)));
    assert!(matches!(why(sh("echo canary; echo locked >&2; exit 3")), Unreadable::Command(_)));
}

/// Changes the services' rows and proofs as somebody who can write the file would.
fn tamper(world: &World, sql: &str) {
    let connection = rusqlite::Connection::open(world.path("sidekey.db")).unwrap();
    assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
}

fn told_apart(vault: &Vault) -> (Vec<String>, Vec<String>) {
    let services = vault.services().unwrap();
    let genuine = services.genuine.iter().map(|service| service.name.to_string());
    (genuine.collect(), services.forged.iter().map(ToString::to_string).collect())
}

#[test]
fn a_service_that_was_not_written_with_the_master_key_does_not_count() {
    let one = "UPDATE services SET record = 'base_url = \"https://evil.example\"' WHERE name = 'billing'";
    let table = [
        one,
        "INSERT INTO services VALUES ('billing', 'base_url = \"https://evil.example\"', 1, 1, 1) ON CONFLICT DO UPDATE SET record = excluded.record",
        "DELETE FROM labelled WHERE label = 'service/billing'",
        "UPDATE labelled SET sealed = zeroblob(60) WHERE label = 'service/billing'",
        "UPDATE labelled SET sealed = (SELECT sealed FROM labelled WHERE label = 'service/other') WHERE label = 'service/billing'",
        "UPDATE services SET record = (SELECT record FROM services WHERE name = 'other') WHERE name = 'billing'",
    ];
    for sql in table {
        let world = World::new();
        let vault = world.vault();
        for (name, record) in
            [("billing", "base_url = \"https://billing.example\""), ("other", "base_url = \"https://o.example\"")]
        {
            vault.add_service(&Name::new(name).unwrap(), record).unwrap();
        }
        assert_eq!(told_apart(&vault), (vec!["billing".to_owned(), "other".to_owned()], vec![]));
        tamper(&world, sql);
        assert_eq!(told_apart(&vault), (vec!["other".to_owned()], vec!["billing".to_owned()]), "{sql}");
        vault.delete_service(&Name::new("billing").unwrap(), InUse::Refuse).unwrap();
        vault.add_service(&Name::new("billing").unwrap(), "title = \"again\"").unwrap();
        assert_eq!(told_apart(&vault).1, Vec::<String>::new());
    }
}

#[test]
fn services_count_on_under_another_master_key() {
    let world = World::new();
    let vault = world.vault();
    let billing = Name::new("billing").unwrap();
    vault.add_service(&billing, "a = 1").unwrap();
    let follower = world.vault();
    rotate(&vault, &world.key(), &world.key()).unwrap();
    assert_eq!(told_apart(&vault).0, ["billing"]);
    let behind = follower.services().unwrap_err();
    assert!(matches!(behind, VaultError::Store(StoreError::Moved(_))), "it waits for the key: {behind}");
    follower.refresh_master(&world.key()).unwrap();
    assert_eq!(told_apart(&follower).0, ["billing"]);
    follower.change_service(&billing, 1, "a = 2").unwrap();
    assert_eq!(told_apart(&vault).0, ["billing"]);
}
