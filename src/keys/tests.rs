//! Every source, right and wrong, and what a command may do.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use super::*;

fn env(value: &str) -> MasterKeySource {
    MasterKeySource::Env { name: "SIDEKEY_MASTER_KEY".into(), value: Zeroizing::new(value.to_owned()) }
}

fn sh(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_key_file_is_made_once_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("master.key");
    let source = MasterKeySource::File(path.clone());
    assert!(matches!(read(&source, None).unwrap_err(), KeyError::Absent { .. }));
    let (made, derivation) = create(&source).unwrap();
    assert!(derivation.is_none());
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(*read(&source, None).unwrap(), *made);
    assert_eq!(*create(&source).unwrap().0, *made);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn two_that_make_the_key_file_at_once_end_with_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let source = MasterKeySource::File(folder.path().join("master.key"));
    let keys: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| *create(&source).unwrap().0)).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_key_file_that_others_can_read_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let link = folder.path().join("link.key");
    create(&MasterKeySource::File(path.clone())).unwrap();
    symlink(&path, &link).unwrap();
    assert!(read(&MasterKeySource::File(link.clone()), None).is_ok());
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    for named in [&path, &link] {
        let refused = read(&MasterKeySource::File(named.clone()), None).unwrap_err().to_string();
        assert!(refused.contains("chmod 600") && refused.contains("0640"), "{refused}");
    }
}

#[test]
fn a_staged_key_takes_the_files_place_and_a_link_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("master.key"), folder.path().join("link.key"));
    create(&MasterKeySource::File(path.clone())).unwrap();
    symlink(&path, &link).unwrap();
    assert!(read_staged(&link, "a").unwrap().is_none());
    let (lost, staged) = (fresh().unwrap(), fresh().unwrap());
    stage(&link, "b", &lost).unwrap();
    stage(&link, "a", &staged).unwrap();
    assert!(stage(&link, "a", &lost).is_err());
    drop_staged(&link, "b");
    assert_eq!(*read_staged(&link, "a").unwrap().unwrap(), *staged);
    place_staged(&link, "a").unwrap();
    place_staged(&link, "a").unwrap();
    assert_eq!(*read(&MasterKeySource::File(path.clone()), None).unwrap(), *staged);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn keys_are_base64_of_32_bytes_with_or_without_padding_and_space() {
    let text = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    for good in [text.to_owned(), format!(" {text}\n"), text.trim_end_matches('=').to_owned()] {
        assert_eq!(*read(&env(&good), None).unwrap(), [1; 32], "{good:?}");
    }
    for bad in ["", "canary", "AQEB", &format!("{text}{text}"), &text.replace('A', "!"), &"A".repeat(2000)] {
        let refused = read(&env(bad), None).unwrap_err();
        let text = format!("{refused} {refused:?}");
        assert!(text.contains("SIDEKEY_MASTER_KEY") && text.contains("openssl rand -base64 32"), "{text}");
        assert!(bad.is_empty() || !text.contains(bad), "{text}");
    }
    assert!(!format!("{:?}", env("canary")).contains("canary"));
}

#[test]
fn a_derivation_survives_being_written_and_bounds_its_cost() {
    let fresh = Derivation::fresh().unwrap();
    assert_eq!(Derivation::parse(&fresh.to_string()).unwrap(), fresh);
    let salt = "BwcHBwcHBwcHBwcHBwcHBw";
    for bad in [
        String::new(),
        format!("argon2i:64:1:1:{salt}"),
        format!("argon2id:64:1:{salt}"),
        format!("argon2id:64:1:1:{salt}:x"),
        format!("argon2id:99999999:1:1:{salt}"),
        format!("argon2id:64:101:1:{salt}"),
        "argon2id:64:1:1:BwcH".to_owned(),
    ] {
        assert!(matches!(Derivation::parse(&bad), Err(KeyError::Derivation(_))), "{bad}");
    }
}

#[test]
fn a_passphrase_gives_the_same_key_with_the_same_derivation() {
    let source = |text: &str| MasterKeySource::Passphrase { name: "P".into(), value: Zeroizing::new(text.into()) };
    let derivation = Derivation::cheap();
    let key = |text: &str| read(&source(text), Some(&derivation));
    assert_eq!(*key("correct horse").unwrap(), *key("correct horse").unwrap());
    assert_ne!(*key("correct horse").unwrap(), *key("correct horsf").unwrap());
    assert!(matches!(key("short").unwrap_err(), KeyError::ShortPassphrase { .. }));
    assert!(matches!(read(&source("correct horse"), None).unwrap_err(), KeyError::OtherKind { .. }));
    assert!(matches!(read(&env("x"), Some(&derivation)).unwrap_err(), KeyError::OtherKind { .. }));
}

#[test]
fn a_command_prints_the_key_and_nothing_of_it_shows_when_it_fails() {
    let good = MasterKeySource::Command(sh("echo AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="));
    assert_eq!(*read(&good, None).unwrap(), [1; 32]);
    let bad = MasterKeySource::Command(sh("echo canary"));
    assert!(!format!("{:?}", read(&bad, None).unwrap_err()).contains("canary"));
    let run = |script: &str| command::run(&sh(script), Duration::from_secs(20)).unwrap_err();
    let failed = run("echo canary; printf 'vault is\\033[1m locked\\n' >&2; exit 3").to_string();
    assert!(failed.contains("vault is [1m locked") && failed.contains("exit status: 3"), "{failed}");
    assert!(!failed.contains("canary") && !failed.contains('\x1b'));
    assert!(matches!(run("head -c 70000 /dev/zero"), CommandError::TooLong { .. }));
    let absent = command::run(&["/nonexistent/x".to_owned()], Duration::from_secs(20)).unwrap_err();
    assert!(matches!(absent, CommandError::Start { .. }));
    assert!(matches!(command::run(&[], Duration::ZERO), Err(CommandError::Empty)));
}

#[test]
fn a_command_that_does_not_end_is_ended() {
    let brief = Duration::from_millis(30);
    for script in ["exec sleep 60", "exec sleep 60 >/dev/null 2>&1"] {
        let slow = command::run(&sh(script), brief).unwrap_err();
        assert!(matches!(slow, CommandError::Slow { .. }), "{slow}");
    }
}
