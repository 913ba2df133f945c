//! Machines that are not this one: which places they have, and what is done there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::places::{Certificate, Machine, Place};
use super::plan::Step;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nQUJD\nREVG\n-----END CERTIFICATE-----\n";

/// A machine with these folders and programs.
fn machine(root: &Path, folders: &[&str], programs: &[&str]) -> Machine {
    for folder in folders.iter().chain(&["bin", "home"]) {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for program in programs {
        let path = root.join("bin").join(program);
        fs::write(&path, "#!/bin/sh\nexit 0\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = vec![root.join("bin")];
    Machine { root: root.to_owned(), path, home: Some(root.join("home")), java_home: None }
}

fn certificate(root: &Path) -> Certificate {
    let file = root.join("sidekey-CA-1.pem");
    Certificate { name: "sidekey CA 1".into(), alias: "sidekey-CA-1".into(), pem: PEM.into(), file }
}

/// What is done, as a person would type it, with `ROOT` for the machine's root.
fn shown(steps: &[Step], root: &Path) -> Vec<String> {
    steps.iter().map(|step| step.to_string().replace(&root.display().to_string(), "ROOT")).collect()
}

#[test]
fn each_system_has_its_own_place_and_its_own_steps() {
    const ANCHORS: &str = "etc/pki/ca-trust/source/anchors";
    const LOCAL: &str = "usr/local/share/ca-certificates";
    let add = "security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ROOT/sidekey-CA-1.pem";
    let delete = "security delete-certificate -c 'sidekey CA 1' -t /Library/Keychains/System.keychain";
    for (name, folder, program, place, trust, distrust) in [
        (
            "fedora",
            ANCHORS,
            "update-ca-trust",
            Place::Fedora,
            vec!["write ROOT/etc/pki/ca-trust/source/anchors/sidekey-CA-1.crt", "update-ca-trust"],
            vec!["rm -f ROOT/etc/pki/ca-trust/source/anchors/sidekey-CA-1.crt", "update-ca-trust"],
        ),
        (
            "alpine",
            LOCAL,
            "update-ca-certificates",
            Place::Debian,
            vec!["write ROOT/usr/local/share/ca-certificates/sidekey-CA-1.crt", "update-ca-certificates"],
            vec!["rm -f ROOT/usr/local/share/ca-certificates/sidekey-CA-1.crt", "update-ca-certificates --fresh"],
        ),
        ("macos", "System/Library/Keychains", "security", Place::Macos, vec![add], vec![delete]),
    ] {
        let root = tempfile::tempdir().unwrap();
        let bare = machine(root.path(), &[folder], &[]);
        assert_eq!(bare.places(), [], "{name}: its program is not there");
        let machine = machine(root.path(), &[folder], &[program]);
        assert_eq!(machine.places(), [place], "{name}");
        let one = [certificate(root.path())];
        assert_eq!(shown(&machine.trust(place, &one), root.path()), trust, "{name}");
        assert_eq!(shown(&machine.distrust(place, &one), root.path()), distrust, "{name}");
    }
}

#[test]
fn a_system_trusts_what_is_in_its_bundle_and_not_what_lies_in_its_folder() {
    for (place, folder, program, bundle) in [
        (
            Place::Debian,
            "usr/local/share/ca-certificates",
            "update-ca-certificates",
            "etc/ssl/certs/ca-certificates.crt",
        ),
        (
            Place::Fedora,
            "etc/pki/ca-trust/source/anchors",
            "update-ca-trust",
            "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        ),
    ] {
        let root = tempfile::tempdir().unwrap();
        let machine = machine(root.path(), &[folder], &[program]);
        let one = certificate(root.path());
        fs::write(root.path().join(folder).join("sidekey-CA-1.crt"), PEM).unwrap();
        assert!(!machine.trusts(place, &one), "its list was not made anew");
        let bundle = root.path().join(bundle);
        fs::create_dir_all(bundle.parent().unwrap()).unwrap();
        fs::write(bundle, format!("# another\n-----BEGIN CERTIFICATE-----\nWFla\n-----END CERTIFICATE-----\n{PEM}"))
            .unwrap();
        assert!(machine.trusts(place, &one));
    }
}
