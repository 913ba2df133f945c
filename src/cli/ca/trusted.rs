//! Which of the places where a machine trusts authorities trust sidekey's. Looks, and changes nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::install::{FOLDER, certificate, former, machine};
use super::places::{Certificate, KEYCHAIN, Machine, Place};
use crate::cli::session::Session;
use crate::config::Config;
use crate::operations::AuthorityView;

/// What a place trusts of what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct PlaceTrusts {
    /// The place, as `sidekey ca install --to` calls it.
    pub(in crate::cli) place: &'static str,
    /// How many of the authorities that are to be trusted are.
    pub(in crate::cli) trusted: usize,
    /// Whether it trusts a former one: clients here rely on it.
    pub(in crate::cli) former: bool,
}

/// The places of this machine, and what each trusts of `authorities`.
pub(in crate::cli) fn looked_at(config: &Config, authorities: &[AuthorityView], session: &Session) -> Vec<PlaceTrusts> {
    let (machine, folder) = (machine(session), config.data.join(FOLDER));
    let certificates: Vec<_> = authorities.iter().map(|authority| certificate(authority, &folder)).collect();
    let replaced = former(&folder, &certificates);
    let look = |place: Place| PlaceTrusts {
        place: place.word(),
        trusted: certificates.iter().filter(|one| machine.trusts(place, one)).count(),
        former: replaced.iter().any(|one| machine.trusts(place, one)),
    };
    machine.places().into_iter().map(look).collect()
}

impl Place {
    /// Its word on the command line.
    const fn word(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::Fedora => "fedora",
            Self::Macos => "macos",
            Self::Nss => "nss",
            Self::Java => "java",
        }
    }
}

impl Machine {
    /// Whether `place` trusts the certificate.
    pub(super) fn trusts(&self, place: Place, one: &Certificate) -> bool {
        match place {
            Place::Debian => self.is_within("etc/ssl/certs/ca-certificates.crt", one),
            Place::Fedora => self.is_within("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", one),
            Place::Macos => succeeds("security".as_ref(), &["find-certificate", "-c", &one.name, KEYCHAIN]),
            Place::Nss => {
                let databases = self.databases();
                databases.iter().all(|db| succeeds("certutil".as_ref(), &["-L", "-d", db, "-n", &one.name]))
            }
            Place::Java => self.keytool().is_some_and(|keytool| {
                // Debian gives Java a copy of what its own store has, under a name of its own.
                [one.alias.clone(), format!("debian:{}.pem", one.alias)]
                    .iter()
                    .any(|alias| succeeds(&keytool, &["-list", "-cacerts", "-storepass", "changeit", "-alias", alias]))
            }),
        }
    }

    /// Whether the system's bundle holds it: its own folder alone does not count.
    fn is_within(&self, bundle: &str, one: &Certificate) -> bool {
        let lines: Vec<&str> = one.pem.lines().filter(|line| !line.starts_with("-----")).collect();
        fs::read_to_string(self.root.join(bundle)).is_ok_and(|text| text.contains(&lines.join("\n")))
    }
}

fn succeeds(program: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
