//! The contract against SQLite, and what is SQLite's own: files, permissions, other processes, damage, a full disk, size.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;

use super::contract::{self, adopt, credential, name, sealed};
use super::*;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("sidekey.db");
    (folder, path)
}

macro_rules! contract_for_sqlite {
    ($($test:ident),* $(,)?) => { $(
        #[test]
        fn $test() {
            let (_folder, path) = place();
            contract::$test(&Sqlite::open(&path).unwrap());
        }
    )* };
}

contract_for_sqlite!(
    a_fresh_store_knows_local_and_nothing_else,
    a_credential_comes_back_as_it_was_added,
    names_are_unique_per_owner_among_the_living,
    what_refers_to_nothing_is_refused_and_changes_nothing,
    rotation_and_rollback_move_the_current_version,
    edits_change_what_they_say_and_nothing_else,
    deletion_hides_restores_and_in_the_end_destroys,
    lists_follow_every_filter,
    shares_are_kept_once_and_ended,
    what_a_share_may_be_used_for_is_kept_and_replaced,
    what_was_used_of_a_quota_is_kept_as_long_as_its_share,
    gates_are_noted_in_place_of_those_before_and_resets_are_taken_once,
    a_limit_owner_is_kept_and_taken_away,
    a_pool_is_kept_and_a_running_proxy_follows_it,
    limits_are_pinned_in_place_of_those_before_and_taken_back,
    what_limit_owners_used_of_quotas_is_kept,
    callers_come_and_go_with_their_tokens,
    a_former_token_is_kept_for_its_overlap_and_only_one,
    the_token_of_a_run_goes_with_its_time_its_end_or_its_caller,
    a_caller_gets_another_environment_and_perimeter,
    users_and_teams_come_and_go,
    the_user_local_stays_as_it_is,
    what_was_shared_with_a_user_or_a_team_ends_with_it,
    a_user_leaves_nothing_without_an_owner,
    a_deleted_key_stays_away_when_its_owner_is_gone,
    services_come_and_go_as_they_were_given,
    a_services_proof_comes_and_goes_with_its_record,
    a_service_stays_while_a_living_key_is_for_it,
    passes_come_and_go_with_their_users,
    authorities_come_one_after_the_other_and_go_with_their_keys,
    every_change_moves_the_counter,
    an_act_is_written_down_with_its_change_and_with_no_other,
    what_was_touched_since_a_moment_is_told_and_nothing_else,
    pages_together_are_the_whole_list,
    the_first_master_key_stays_until_everything_is_under_the_next,
    slots_change_all_at_once_and_only_from_what_was_read,
    another_stores_contents_take_the_place_of_these_at_once,
);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn folder_and_files_are_made_for_their_owner_alone() {
    let (_folder, path) = place();
    let store = Sqlite::open(&path).unwrap();
    adopt(&store);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(Path::new(&format!("{}{suffix}", path.display()))), 0o600, "{suffix}");
    }
}

#[test]
fn a_folder_or_file_that_others_can_reach_is_refused_with_the_way_out() {
    let (_folder, path) = place();
    drop(Sqlite::open(&path).unwrap());
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let refused = Sqlite::open(&path).unwrap_err().to_string();
    assert!(refused.contains("mode 0640") && refused.contains(&format!("chmod 600 '{}'", path.display())), "{refused}");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    let refused = Sqlite::open(&path).unwrap_err().to_string();
    assert!(refused.contains("mode 0755") && refused.contains("chmod 700"), "{refused}");
}

#[test]
fn a_newer_or_foreign_database_is_refused_and_left_alone() {
    let (_folder, path) = place();
    drop(Sqlite::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let refused = Sqlite::open(&path).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 99, known: super::sqlite::NEWEST, .. }), "{refused}");

    let other = path.with_file_name("other.db");
    let connection = Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1);").unwrap();
    drop(connection);
    fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(Sqlite::open(&other).unwrap_err(), StoreError::Foreign { .. }));
    let connection = Connection::open(&other).unwrap();
    assert_eq!(connection.query_row("SELECT x FROM theirs", [], |row| row.get::<_, i64>(0)).unwrap(), 1);

    let text = path.with_file_name("text.db");
    fs::write(&text, "this is no database at all, but long enough to be looked at".repeat(20)).unwrap();
    fs::set_permissions(&text, Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(Sqlite::open(&text).unwrap_err(), StoreError::Corrupt(_)));
}

/// A store as the first version of the program made it, with something of everything in it.
fn first_shape(path: &Path) {
    drop(Sqlite::open(path).unwrap());
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", path.display()));
    }
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(include_str!("sqlite/0001.sql")).unwrap();
    connection.pragma_update(None, "application_id", 0x736b_6579).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let rows = "
        INSERT INTO users (id, name, created_at) VALUES ('u2', 'ada', 5);
        INSERT INTO teams (id, name, created_at) VALUES ('t1', 'data', 5);
        INSERT INTO team_members VALUES ('t1', 'u2', 5);
        INSERT INTO callers VALUES ('k1', 'etl', 'u2', 'prod', zeroblob(32), 5, 6, NULL);
        INSERT INTO master_keys VALUES (1, zeroblob(32), NULL, 5);
        BEGIN;
        INSERT INTO credentials VALUES ('c1', 'main', 'u2', 'stripe', NULL, '{}', NULL, 5, 1, NULL);
        INSERT INTO versions VALUES ('c1', 1, NULL, 1, zeroblob(92), x'036b657900000001ff', 5, NULL, NULL);
        INSERT INTO shares VALUES ('c1', 'team', 't1', 5);
        COMMIT;";
    connection.execute_batch(rows).unwrap();
    drop(connection);
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_store_of_the_first_shape_is_brought_to_the_newest_with_all_that_is_in_it() {
    let (_folder, path) = place();
    first_shape(&path);
    let store = Sqlite::open(&path).unwrap();
    let inventory = store.inventory().unwrap();
    let roles: Vec<_> = inventory.users.iter().map(|user| (user.name.as_str(), user.role)).collect();
    assert_eq!(roles, [("ada", Role::Member), ("local", Role::Admin)]);
    assert_eq!(inventory.users[0].teams, [TeamId::new("t1")]);
    let etl = inventory.callers.iter().find(|caller| caller.name.as_str() == "etl").unwrap();
    assert_eq!((etl.token_digest, etl.former, etl.perimeter.is_open()), (Some([0; 32]), None, true));
    assert_eq!(inventory.credentials[0].shares, [Share::Team(TeamId::new("t1")).into()]);
    assert_eq!(&*inventory.credentials[0].sealed.as_ref().unwrap().fields[0].1, [0xff]);
    store.check_integrity().unwrap();
    drop(store);
    let connection = Connection::open(&path).unwrap();
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, super::sqlite::NEWEST);
}

#[test]
fn network_filesystems_are_known_by_their_numbers() {
    assert_eq!(super::sqlite::network(0x6969), Some("NFS"));
    assert_eq!(super::sqlite::network(i64::from(0xff53_4d42_u32.cast_signed())), Some("SMB"));
    assert_eq!(super::sqlite::network(0xef53), None);
}

#[test]
fn a_change_by_one_process_is_seen_by_another_at_once() {
    let (_folder, path) = place();
    let (one, two) = (Sqlite::open(&path).unwrap(), Sqlite::open(&path).unwrap());
    adopt(&one);
    let before = two.change_counter().unwrap();
    one.add_credential(&credential("c1", "main", LOCAL), None, 1).unwrap();
    assert_ne!(two.change_counter().unwrap(), before);
    assert_eq!(two.inventory().unwrap().credentials.len(), 1);
}

#[test]
fn many_writers_in_two_processes_lose_nothing() {
    let (_folder, path) = place();
    let stores = [Arc::new(Sqlite::open(&path).unwrap()), Arc::new(Sqlite::open(&path).unwrap())];
    adopt(&*stores[0]);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let store = Arc::clone(&stores[thread % 2]);
            scope.spawn(move || {
                for i in 0..15 {
                    let id = format!("c{thread}-{i}");
                    store.add_credential(&credential(&id, &id, LOCAL), None, 1).unwrap();
                }
            });
        }
    });
    assert_eq!(stores[0].inventory().unwrap().credentials.len(), 90);
    assert_eq!(stores[1].inventory().unwrap().credentials.len(), 90);
}

#[test]
fn a_full_store_reports_it_and_stays_whole() {
    let (_folder, path) = place();
    let store = Sqlite::open(&path).unwrap();
    adopt(&store);
    store.limit_pages(60);
    let mut added = 0;
    let error = loop {
        let id = format!("c{added}");
        match store.add_credential(&credential(&id, &id, LOCAL), None, 1) {
            Ok(_) => added += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    assert!(error.to_string().contains("nothing was changed"));
    assert_eq!(store.inventory().unwrap().credentials.len(), added);
    store.check_integrity().unwrap();
    store.limit_pages(1_000_000);
    store.add_credential(&credential("after", "after", LOCAL), None, 1).unwrap();
}

#[test]
fn a_damaged_store_is_reported_not_trusted() {
    let (_folder, path) = place();
    let store = Sqlite::open(&path).unwrap();
    adopt(&store);
    for i in 0..200 {
        let id = format!("c{i}");
        store.add_credential(&credential(&id, &id, LOCAL), None, 1).unwrap();
    }
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let outcome = Sqlite::open(&path).and_then(|store| store.check_integrity());
    assert!(matches!(outcome, Err(StoreError::Corrupt(_))), "{outcome:?}");
}

#[test]
fn contents_under_another_master_key_come_with_it_under_a_number_of_its_own() {
    let (_one, path) = place();
    let (_two, elsewhere) = place();
    let (store, other) = (Sqlite::open(&path).unwrap(), Sqlite::open(&elsewhere).unwrap());
    adopt(&store);
    let record = MasterRecord { check: [9; 32], ..store.master().unwrap().unwrap() };
    other.adopt_master(&record, 1).unwrap();
    other.add_credential(&credential("c1", "main", LOCAL), None, 1).unwrap();
    other.keep_labelled(&LabelledValue { label: "ca".into(), master: 1, sealed: vec![7] }).unwrap();
    let (from, former) = (path.with_file_name("copy.db"), path.with_file_name("former.db"));
    other.copy_to(&from).unwrap();
    store.take_over(&Takeover { from: from.clone(), former, called: String::new() }, 2).unwrap();
    let number = |store: &Sqlite| store.master().unwrap().unwrap().id;
    assert_eq!((number(&store), number(&other)), (2, 1));
    assert_eq!(store.master().unwrap().unwrap(), MasterRecord { id: 2, ..record });
    let contents = store.sealed_contents().unwrap();
    assert_eq!((contents.versions[0].sealed.master, contents.labelled[0].master), (2, 2));
    store.check_integrity().unwrap();
    // The same contents again bring the key that is there.
    let former = path.with_file_name("again.db");
    store.take_over(&Takeover { from, former: former.clone(), called: String::new() }, 3).unwrap();
    assert_eq!(number(&store), 2);
    assert_eq!(mode(&former), 0o600);
}

#[test]
fn a_store_without_room_for_other_contents_keeps_its_own() {
    let (_folder, path) = place();
    let store = Sqlite::open(&path).unwrap();
    adopt(&store);
    for i in 0..50 {
        let id = format!("c{i}");
        store.add_credential(&credential(&id, &id, LOCAL), None, 1).unwrap();
    }
    let (from, former) = (path.with_file_name("copy.db"), path.with_file_name("former.db"));
    store.copy_to(&from).unwrap();
    for i in 0..50 {
        store.delete_credential(&CredentialId::new(&format!("c{i}")), 2).unwrap();
    }
    store.purge(3, 3).unwrap();
    store.limit_pages(60);
    let takeover = Takeover { from, former, called: String::new() };
    let refused = store.take_over(&takeover, 4).map(drop);
    store.limit_pages(1_000_000);
    if let Err(error) = &refused {
        assert!(matches!(error, StoreError::Full(_)), "{error}");
        assert!(store.inventory().unwrap().credentials.is_empty());
        fs::remove_file(&takeover.former).unwrap();
        store.take_over(&takeover, 5).unwrap();
    }
    assert_eq!(store.inventory().unwrap().credentials.len(), 50);
}

#[test]
fn destroyed_values_leave_no_bytes_in_any_file() {
    let (_folder, path) = place();
    let store = Sqlite::open(&path).unwrap();
    adopt(&store);
    let mut given = credential("c1", "main", LOCAL);
    let canary = b"ciphertext-canary-4711".to_vec();
    given.sealed = Some(Arc::new(Sealed { fields: [(name("key"), canary.clone().into())].into(), ..sealed(1, 1) }));
    store.add_credential(&given, None, 1).unwrap();
    store.delete_credential(&given.id, 2).unwrap();
    let found = |path: &Path| {
        let folder = fs::read_dir(path.parent().unwrap()).unwrap();
        folder.flatten().any(|file| fs::read(file.path()).unwrap().windows(canary.len()).any(|w| w == canary))
    };
    assert!(found(&path));
    assert_eq!(store.purge(3, 3).unwrap().len(), 1);
    assert!(!found(&path));
}

#[test]
fn a_row_that_does_not_read_as_one_is_damage() {
    for fields in [&b"\x03ke"[..], b"\x03key\0\0\0\x09x", b"\x03KEY\0\0\0\x01x", b"\0\0\0\0\0"] {
        assert!(super::sqlite::fields(fields).is_err(), "{fields:?}");
    }
}

#[test]
fn a_hundred_thousand_credentials_load_at_once() {
    let (_folder, path) = place();
    let store = Sqlite::open(&path).unwrap();
    adopt(&store);
    drop(store);
    fill(&path, 100_000);
    let store = Sqlite::open(&path).unwrap();
    let clock = crate::domain::SystemClock;
    let start = crate::domain::Clock::now(&clock);
    let inventory = store.inventory().unwrap();
    println!("100,000 credentials loaded in {:?}", start.elapsed());
    assert_eq!(inventory.credentials.len(), 100_000);
}

/// Straight into the tables, as adding one by one would sync 100,000 times.
fn fill(path: &Path, count: u32) {
    let mut connection = Connection::open(path).unwrap();
    let transaction = connection.transaction().unwrap();
    {
        let mut credentials = transaction
            .prepare(
                "INSERT INTO credentials (id, name, owner, service, environment, variables, created_at, current)
                 VALUES (?1, ?2, 'local', 'stripe', 'prod', '{}', 1, 1)",
            )
            .unwrap();
        let mut versions = transaction
            .prepare(
                "INSERT INTO versions (credential, number, master, wrapped_key, fields, created_at)
                 VALUES (?1, 1, 1, ?2, ?3, 1)",
            )
            .unwrap();
        let mut fields = vec![3];
        fields.extend_from_slice(b"key\0\0\0\x80");
        fields.extend_from_slice(&[9; 128]);
        for i in 0..count {
            let id = format!("01932c1e-5f3a-7c52-9d1e-{i:012x}");
            credentials.execute([&id, &format!("key-{i}")]).unwrap();
            versions.execute(rusqlite::params![id, [8_u8; 92].as_slice(), fields]).unwrap();
        }
    }
    transaction.commit().unwrap();
}
