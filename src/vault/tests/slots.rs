//! One master key, reached from several places: each alone, none when it is gone, and through rotations.

use super::*;
use crate::keys::Derivation;
use crate::seal::MasterKey;
use crate::store::MasterRecord;

fn passphrase(text: &str) -> MasterKeySource {
    MasterKeySource::Passphrase { name: "PASS".into(), value: Zeroizing::new(text.to_owned()) }
}

fn printed(bytes: &[u8]) -> MasterKeySource {
    MasterKeySource::Command(vec!["echo".into(), STANDARD.encode(bytes)])
}

/// Looks at places as the program does, with these passphrases and keys in variables.
fn look(place: &KeyPlace) -> Result<MasterKeySource, String> {
    match place {
        KeyPlace::File(path) => Ok(MasterKeySource::File(path.clone())),
        KeyPlace::Command(argv) => Ok(MasterKeySource::Command(argv.clone())),
        KeyPlace::PassphraseEnv(_) => Ok(passphrase("correct horse battery")),
        KeyPlace::Env(name) => Err(format!("the environment variable `{name}` is not set")),
    }
}

fn rotate(vault: &Vault, source: &MasterKeySource, out_of_reach: OutOfReach) -> Result<Vec<Name>, VaultError> {
    let rotation = MasterRotation { present: source, next: source, look: &look, out_of_reach };
    vault.rotate_master(&rotation).map(|(_, ended)| ended)
}

fn names(vault: &Vault) -> Vec<String> {
    vault.slots().unwrap().into_iter().map(|slot| slot.name.to_string()).collect()
}

#[test]
fn every_slot_opens_the_store_and_a_removed_one_does_not() {
    let world = World::new();
    let vault = world.vault();
    vault.add(stripe("main"), &value("one")).unwrap();
    let stick = MasterKeySource::File(world.path("stick.key"));
    let others = [passphrase("correct horse battery"), env(&[1; 32]), printed(&[2; 32]), stick.clone()];
    for source in &others {
        let called = (source.place() == stick.place()).then(|| name("stick"));
        vault.add_slot(&world.key(), called, source).unwrap();
    }
    assert_eq!(names(&vault), ["command", "env", "file", "passphrase", "stick"]);
    let places: Vec<_> = vault.slots().unwrap().into_iter().map(|slot| slot.place.unwrap().to_string()).collect();
    assert_eq!(places[0], "the command `echo`");
    assert_eq!(places[4], format!("the file `{}`", world.path("stick.key").display()));
    for source in others.iter().chain([&world.key()]) {
        let again = world.open(source).unwrap();
        assert_eq!(opened(&again, &current(&again)), "one", "{source}");
    }
    // The same key serves from another place that yields it.
    assert!(world.open(&printed(&[1; 32])).is_ok());
    vault.remove_slot(&world.key(), &name("env")).unwrap();
    let wrong = world.open(&env(&[1; 32])).unwrap_err().to_string();
    for said in ["`command` (command)", "`passphrase` (passphrase)", "`stick` (file)"] {
        assert!(wrong.contains(said), "{wrong}");
    }
    assert!(!wrong.contains("`env`") && !wrong.contains(&STANDARD.encode([1; 32])), "{wrong}");
}

#[test]
fn the_last_slot_and_the_one_in_use_stay_and_none_is_made_twice() {
    let world = World::new();
    let vault = world.vault();
    let refused = |result: Result<Receipt, VaultError>| result.unwrap_err();
    assert!(matches!(refused(vault.remove_slot(&world.key(), &name("file"))), VaultError::LastSlot(_)));
    let again = refused(vault.add_slot(&world.key(), Some(name("two")), &world.key()));
    assert!(matches!(&again, VaultError::SlotThere { slot, .. } if slot.as_str() == "file"), "{again}");
    vault.add_slot(&world.key(), None, &env(&[1; 32])).unwrap();
    let taken = refused(vault.add_slot(&world.key(), None, &env(&[2; 32])));
    assert!(matches!(taken, VaultError::Store(StoreError::NameTaken { .. })), "{taken}");
    assert!(matches!(refused(vault.remove_slot(&world.key(), &name("file"))), VaultError::SlotInUse { .. }));
    let unknown = refused(vault.remove_slot(&world.key(), &name("other")));
    assert!(matches!(unknown, VaultError::Store(StoreError::Unknown { .. })), "{unknown}");
    let stranger = refused(vault.add_slot(&env(&[7; 32]), Some(name("x")), &env(&[8; 32])));
    assert!(matches!(stranger, VaultError::WrongMaster { .. }), "{stranger}");
    for number in 2..MOST_SLOTS {
        let bytes = [u8::try_from(number).unwrap() + 10; 32];
        vault.add_slot(&world.key(), Some(name(&format!("s{number}"))), &env(&bytes)).unwrap();
    }
    assert!(matches!(refused(vault.add_slot(&world.key(), None, &printed(&[9; 32]))), VaultError::TooManySlots));
}

#[test]
fn a_rotation_puts_the_new_master_key_into_every_slot_it_reaches_and_gives_up_no_other_unasked() {
    let world = World::new();
    let vault = world.vault();
    vault.add(stripe("main"), &value("one")).unwrap();
    vault.add_slot(&world.key(), None, &passphrase("correct horse battery")).unwrap();
    vault.add_slot(&world.key(), None, &printed(&[2; 32])).unwrap();
    let follower = world.open(&printed(&[2; 32])).unwrap();
    assert!(rotate(&vault, &world.key(), OutOfReach::Refuse).unwrap().is_empty());
    for source in [passphrase("correct horse battery"), printed(&[2; 32]), world.key()] {
        let again = world.open(&source).unwrap();
        assert_eq!(opened(&again, &current(&again)), "one", "{source}");
    }
    follower.refresh_master(&printed(&[2; 32])).unwrap();
    assert_eq!(opened(&follower, &current(&follower)), "one");

    vault.add_slot(&world.key(), None, &env(&[1; 32])).unwrap();
    let key = fs::read(world.path("master.key")).unwrap();
    let refused = rotate(&vault, &world.key(), OutOfReach::Refuse).unwrap_err().to_string();
    assert!(refused.contains("`env`: the environment variable `KEY` is not set"), "{refused}");
    assert!(refused.contains("--drop-slots"), "{refused}");
    assert_eq!((fs::read(world.path("master.key")).unwrap(), names(&vault).len()), (key, 4));
    assert!(world.open(&env(&[1; 32])).is_ok());

    assert_eq!(rotate(&vault, &world.key(), OutOfReach::Drop).unwrap(), [name("env")]);
    assert_eq!(names(&vault), ["command", "file", "passphrase"]);
    assert!(matches!(world.open(&env(&[1; 32])).unwrap_err(), VaultError::WrongMaster { .. }));
    assert!(world.open(&printed(&[2; 32])).is_ok());
}

#[test]
fn a_key_that_was_exchanged_at_its_place_is_not_what_the_slot_is_wrapped_by() {
    let world = World::new();
    let (vault, stick) = (world.vault(), MasterKeySource::File(world.path("stick.key")));
    vault.add_slot(&world.key(), Some(name("stick")), &stick).unwrap();
    fs::write(world.path("stick.key"), STANDARD.encode([5; 32])).unwrap();
    let refused = rotate(&vault, &world.key(), OutOfReach::Refuse).unwrap_err().to_string();
    assert!(refused.contains("`stick`") && refused.contains("does not open it"), "{refused}");
}

#[test]
fn a_slot_moved_renamed_or_pointed_elsewhere_in_the_file_does_not_count() {
    let world = World::new();
    let vault = world.vault();
    vault.add_slot(&world.key(), None, &printed(&[2; 32])).unwrap();
    let connection = rusqlite::Connection::open(world.path("sidekey.db")).unwrap();
    // Where a program is named that a rotation would run.
    connection.execute("UPDATE slots SET place = x'6576696c' WHERE name = 'command'", []).unwrap();
    assert_eq!(vault.slots().unwrap()[0].place, None);
    let refused = rotate(&vault, &world.key(), OutOfReach::Refuse).unwrap_err().to_string();
    assert!(refused.contains("not written with the master key"), "{refused}");
    connection.execute("UPDATE slots SET name = 'other' WHERE name = 'command'", []).unwrap();
    assert!(matches!(world.open(&printed(&[2; 32])).unwrap_err(), VaultError::WrongMaster { .. }));
    assert!(world.open(&world.key()).is_ok());

    let other = World::new();
    other.vault().add_slot(&other.key(), None, &printed(&[2; 32])).unwrap();
    connection.execute("ATTACH ?1 AS theirs", [other.path("sidekey.db").display().to_string()]).unwrap();
    connection.execute("INSERT INTO slots SELECT * FROM theirs.slots WHERE name = 'command'", []).unwrap();
    assert!(matches!(world.open(&printed(&[2; 32])).unwrap_err(), VaultError::WrongMaster { .. }));
}

/// A store as it was before there were slots: what the place yields is the master key.
fn without_slots(world: &World, bytes: &[u8; 32], derivation: Option<String>) {
    let check = *MasterKey::new(1, bytes).unwrap().check();
    let record = MasterRecord { id: 1, check, derivation, slots: Vec::new() };
    world.store().adopt_master(&record, 5).unwrap();
}

#[test]
fn a_store_from_before_there_were_slots_gets_one_when_it_is_opened() {
    let derivation = Derivation::fresh().unwrap();
    let derived = crate::keys::read(&passphrase("correct horse battery"), Some(&derivation)).unwrap();
    let table = [
        (env(&[3; 32]), [3; 32], None, "env"),
        (passphrase("correct horse battery"), *derived, Some(derivation.to_string()), "passphrase"),
    ];
    for (source, bytes, derivation, called) in table {
        let world = World::new();
        without_slots(&world, &bytes, derivation);
        assert!(matches!(world.open(&env(&[4; 32])).unwrap_err(), VaultError::WrongMaster { .. }));
        let vault = world.open(&source).unwrap();
        vault.add(stripe("main"), &value("one")).unwrap();
        assert_eq!(names(&vault), [called]);
        vault.add_slot(&source, Some(name("two")), &printed(&[2; 32])).unwrap();
        for source in [source, printed(&[2; 32])] {
            let again = world.open(&source).unwrap();
            assert_eq!(opened(&again, &current(&again)), "one", "{source}");
        }
    }
}
