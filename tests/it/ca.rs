//! The certificate authority by the command line: what is handed out, what is installed where, how it is replaced.

use std::fs;
use std::process::Command;

use crate::world::{World, eventually, skip};

fn certificates(pem: &str) -> usize {
    pem.matches("-----BEGIN CERTIFICATE-----").count()
}

fn show(world: &World) -> Vec<serde_json::Value> {
    let text = world.sidekey(["ca", "show", "--json"]).run().succeeds();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["items"].as_array().unwrap().clone()
}

/// A folder with programs of these names, which write down how they were called and fail when a file `NAME.fails` is there.
fn programs(world: &World, names: &[&str]) -> String {
    for name in names {
        let log = world.path("called");
        let script = format!("#!/bin/sh\necho {name} \"$@\" >> '{}'\n[ ! -e \"$0.fails\" ]\n", log.display());
        world.program(&format!("bin/{name}"), &script);
    }
    world.path("bin").to_string_lossy().into_owned()
}

#[test]
fn the_first_start_makes_an_authority_and_hands_it_out() {
    let world = World::new().serve();
    let pem = world.ca_pem();
    assert_eq!(certificates(&pem), 1);
    assert_eq!(world.sidekey(["ca", "export"]).run().succeeds(), pem);
    let shown = show(&world);
    assert_eq!((shown.len(), &shown[0]["state"], &shown[0]["hosts"]), (1, &"signing".into(), &serde_json::json!([])));
    assert_eq!(shown[0]["certificate"], pem.as_str());
    assert_eq!(shown[0]["fingerprint"].as_str().unwrap().len(), 64);
    let acts = world.sidekey(["audit", "tail", "--json"]).run().succeeds();
    assert!(acts.contains("\"ca.add\""), "{acts}");
    let database = fs::read(world.path("data/sidekey.db")).unwrap();
    assert!(
        !database.windows(8).any(|bytes| bytes == b"\x02\x01\x01\x04\x20\x00\x00\x00"),
        "no key lies there in the clear"
    );
}

#[test]
fn a_bundle_is_what_the_system_trusts_and_the_authority() {
    let world = World::new();
    let own = world.sidekey(["ca", "export"]).run().succeeds();
    let system = world.file("system.pem", &own);
    // Any certificate stands for what a system trusts.
    let other = World::new().sidekey(["ca", "export"]).run().succeeds();
    fs::write(&system, &other).unwrap();
    let file = system.to_string_lossy().into_owned();
    let run = world.sidekey(["ca", "export", "--bundle", "--output", "bundle.pem"]).env("SSL_CERT_FILE", &file);
    run.env("SSL_CERT_DIR", "/nowhere").run().succeeds();
    assert_eq!(fs::read_to_string(world.path("bundle.pem")).unwrap(), format!("{other}{own}"));
}

#[test]
fn a_rotation_hands_out_both_and_takes_over_when_it_is_told() {
    let world = World::new().serve();
    let before = world.ca_pem();
    let said = world.sidekey(["ca", "rotate", "--overlap", "7d"]).run().succeeds();
    assert!(said.contains("signs from") && said.contains("sidekey ca install"), "{said}");
    eventually("the proxy hands out both", || certificates(&world.ca_pem()) == 2);
    assert!(world.ca_pem().starts_with(&before));
    assert_eq!(show(&world).iter().map(|one| one["state"].as_str().unwrap()).collect::<Vec<_>>(), ["signing", "next"]);
    let again = world.sidekey(["ca", "rotate"]).run();
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("--now"), "{}", again.stderr);
    world.sidekey(["ca", "rotate", "--now"]).run().succeeds();
    eventually("the new one alone is handed out", || certificates(&world.ca_pem()) == 1);
    assert!(!world.ca_pem().contains(&before));
}

#[test]
fn another_master_key_and_a_backup_bring_the_authority_along() {
    let mut world = World::new().serve();
    let pem = world.ca_pem();
    world.sidekey(["master", "rotate"]).run().succeeds();
    world.sidekey(["backup", "all.tar", "--with-master-key"]).run().succeeds();
    world.stop();
    fs::remove_dir_all(world.path("data")).unwrap();
    world.sidekey(["restore", "all.tar"]).run().succeeds();
    world.start(&[]);
    assert_eq!(world.ca_pem(), pem);
    assert!(!world.log().contains("cannot be used"), "{}", world.log());
}

#[test]
fn what_an_installation_would_do_is_shown_and_not_done() {
    let world = World::new();
    let bin = programs(&world, &["certutil", "keytool"]);
    world.file(".pki/nssdb/cert9.db", "");
    world.file(".mozilla/firefox/x.default/cert9.db", "");
    let run = |args: &[&str]| world.sidekey(args.iter().copied()).env("PATH", &bin).run().succeeds();
    let told = run(&["ca", "install", "--dry-run", "--to", "nss", "--to", "java"]);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].contains("certutil -A -d") && lines[0].contains("x.default"), "{told}");
    assert!(lines[1].contains(".pki/nssdb -t C,, -n 'sidekey CA "), "{told}");
    assert!(lines[2].contains("keytool -importcert") && lines[2].contains("-alias sidekey-CA-"), "{told}");
    assert!(!world.path("called").exists(), "nothing was called");
    let absent = world.sidekey(["ca", "install", "--to", "macos"]).env("PATH", &bin).run();
    assert_eq!(absent.code, Some(1));
    assert!(absent.stderr.contains("not installed"), "{}", absent.stderr);
}

#[test]
fn an_installation_is_done_and_undone_where_it_is_possible() {
    let world = World::new();
    let bin = programs(&world, &["certutil", "keytool"]);
    let path = format!("{bin}:/bin:/usr/bin");
    world.file(".pki/nssdb/cert9.db", "");
    let run = |args: &[&str]| world.sidekey(args.iter().copied()).env("PATH", &path).run();
    run(&["ca", "install", "--to", "nss", "--to", "java"]).succeeds();
    let called = fs::read_to_string(world.path("called")).unwrap();
    assert_eq!(called.lines().count(), 2, "{called}");
    let file = called.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(fs::read_to_string(&file).unwrap(), world.sidekey(["ca", "export"]).run().succeeds());
    // What is replaced meanwhile is taken away too.
    world.sidekey(["ca", "rotate", "--now"]).run().succeeds();
    fs::remove_file(world.path("called")).unwrap();
    world.file("bin/keytool.fails", "");
    let half = run(&["ca", "uninstall", "--from", "nss", "--from", "java"]);
    assert_eq!(half.code, Some(1), "{half:?}");
    assert!(
        half.stdout.contains("done") && half.stdout.contains("failed") && half.stderr.contains("2 of 6"),
        "{half:?}"
    );
    let called = fs::read_to_string(world.path("called")).unwrap();
    assert_eq!((called.matches("certutil -D").count(), called.matches("keytool -delete").count()), (2, 4), "{called}");
}

#[test]
fn an_authority_is_limited_to_the_hosts_that_are_listed() {
    let world = World::new().toml("[intercept]\nhosts = [\"api.test\", \"*.below.test\"]").serve();
    assert_eq!(show(&world)[0]["hosts"], serde_json::json!(["api.test", "*.below.test"]));
    for bad in ["hosts = []", "hosts = [\"https://api.test\"]", "hosts = [\"*.10.0.0.7\"]"] {
        let world = World::new().toml(&format!("[intercept]\n{bad}"));
        let refused = world.sidekey(["check"]).run();
        assert_eq!(refused.code, Some(2), "{bad}");
        assert!(refused.stderr.contains("proxy.toml:6:"), "{}", refused.stderr);
    }
}

/// Whether a program is there, and its standard output.
fn told(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What the doctor says of a place where authorities are trusted.
fn trusts(world: &World, place: &str, java_home: &str) -> bool {
    let run = world.sidekey(["doctor", "--json", "--only", &format!("system_trust:{place}")]);
    let text = run.env("JAVA_HOME", java_home).run().succeeds();
    text.contains("it trusts the authority")
}

#[test]
fn nss_trusts_what_is_installed_there_and_no_more_when_it_is_taken_away() {
    let world = World::new();
    let database = format!("sql:{}", world.path(".pki/nssdb").display());
    fs::create_dir_all(world.path(".pki/nssdb")).unwrap();
    if told("certutil", &["-N", "-d", &database, "--empty-password"]).is_none() {
        return skip("NSS's certutil is not installed");
    }
    world.sidekey(["ca", "show"]).run().succeeds();
    assert!(!trusts(&world, "nss", ""));
    world.sidekey(["ca", "install", "--to", "nss"]).run().succeeds();
    let name = show(&world)[0]["name"].as_str().unwrap().to_owned();
    let listed = told("certutil", &["-L", "-d", &database]).unwrap();
    assert!(listed.contains(&name) && listed.contains("C,,"), "{listed}");
    let valid = told("certutil", &["-V", "-d", &database, "-n", &name, "-u", "L"]).unwrap();
    assert!(valid.contains("certificate is valid"), "{valid}");
    assert!(trusts(&world, "nss", ""));
    world.sidekey(["ca", "rotate", "--now"]).run().succeeds();
    assert!(!trusts(&world, "nss", ""), "it trusts a former one alone");
    world.sidekey(["ca", "install", "--to", "nss"]).run().succeeds();
    assert!(trusts(&world, "nss", ""));
    world.sidekey(["ca", "uninstall", "--from", "nss"]).run().succeeds();
    assert!(!told("certutil", &["-L", "-d", &database]).unwrap().contains("sidekey"), "the former too");
}

#[test]
fn java_trusts_what_is_installed_there_and_no_more_when_it_is_taken_away() {
    let find = "readlink -f \"$(command -v keytool)\"";
    let Some(keytool) = told("sh", &["-c", find]).filter(|path| path.trim_end().ends_with("/bin/keytool")) else {
        return skip("Java's keytool is not installed");
    };
    let world = World::new();
    // A Java of its own, so that the machine's is left alone.
    let home = world.path("java").display().to_string();
    let copy = "from=${1%/bin/keytool}; cp -al \"$from\" \"$2\" 2>/dev/null || cp -a \"$from\" \"$2\"
        store=$2/lib/security/cacerts; cat \"$from/lib/security/cacerts\" > \"$2/store\"; rm -f \"$store\"; mv \"$2/store\" \"$store\"";
    told("sh", &["-euc", copy, "sh", keytool.trim_end(), &home]).expect("Java can be copied");
    let list = || told(&format!("{home}/bin/keytool"), &["-list", "-cacerts", "-storepass", "changeit"]).unwrap();
    let run = |args: &[&str]| world.sidekey(args.iter().copied()).env("JAVA_HOME", &home).run().succeeds();
    run(&["ca", "show"]);
    let before = list();
    assert!(!trusts(&world, "java", &home));
    run(&["ca", "install", "--to", "java"]);
    assert!(list().contains("sidekey-ca-"), "{}", list());
    assert!(trusts(&world, "java", &home));
    run(&["ca", "uninstall", "--from", "java"]);
    assert_eq!(list().matches("trustedCertEntry").count(), before.matches("trustedCertEntry").count());
    assert!(!trusts(&world, "java", &home));
}

/// As Python from 3.13 on does by itself.
const STRICT: &str = "
import ssl, sys, urllib.request
context = ssl.create_default_context()
context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
print(urllib.request.urlopen('https://sidekey.invalid/-/whoami', context=context).read().decode())
";

#[test]
fn a_strict_verifier_believes_the_certificates() {
    if told("python3", &["-c", "import ssl; ssl.VERIFY_X509_PARTIAL_CHAIN"]).is_none() {
        return skip("there is no Python whose ssl verifies strictly");
    }
    for limits in ["", "[intercept]\nhosts = [\"api.test\", \"10.0.0.7\"]\n"] {
        let world = World::new().toml(limits).serve();
        let told = world.sidekey(["run", "--", "python3", "-c", STRICT]).run().succeeds();
        assert!(told.contains("\"caller\":\"local\""), "{told}");
    }
}
