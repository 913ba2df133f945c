//! Where authorities are trusted on a machine: the system's own store, and those of programs that have their own. Says what
//! there is and which steps put a certificate there or take it away; does none of them.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::plan::Step;

/// A place where authorities are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Place {
    /// Debian, Ubuntu, Alpine: /usr/local/share/ca-certificates
    Debian,
    /// Fedora, Red Hat: /etc/pki/ca-trust/source/anchors
    Fedora,
    /// The keychain of macOS
    Macos,
    /// NSS: Chromium and Firefox on Linux
    Nss,
    /// The key store of Java
    Java,
}

/// What is looked at to find the places of a machine.
pub(super) struct Machine {
    /// Where the root of its files is; `/` but in tests.
    pub(super) root: PathBuf,
    /// The folders of programs, in their order.
    pub(super) path: Vec<PathBuf>,
    /// The folder of the person.
    pub(super) home: Option<PathBuf>,
    /// Where Java is, when that is said.
    pub(super) java_home: Option<PathBuf>,
}

/// A certificate to be trusted or not any more.
pub(super) struct Certificate {
    /// Its name in the lists that people see.
    pub(super) name: String,
    /// What files and entries are called: its name without spaces.
    pub(super) alias: String,
    /// It, as PEM.
    pub(super) pem: String,
    /// A file that holds it.
    pub(super) file: PathBuf,
}

const DEBIAN: &str = "usr/local/share/ca-certificates";
const FEDORA: &str = "etc/pki/ca-trust/source/anchors";
pub(super) const KEYCHAIN: &str = "/Library/Keychains/System.keychain";

impl Machine {
    /// The places that this machine has.
    pub(super) fn places(&self) -> Vec<Place> {
        let has = |place: &Place| match place {
            Place::Debian => self.debian().is_some(),
            Place::Fedora => self.fedora().is_some(),
            Place::Macos => self.program("security").is_some() && self.root.join("System/Library/Keychains").is_dir(),
            Place::Nss => self.program("certutil").is_some() && !self.databases().is_empty(),
            Place::Java => self.keytool().is_some(),
        };
        Place::value_variants().iter().copied().filter(has).collect()
    }

    /// The steps that have `place` trust `certificates`.
    pub(super) fn trust(&self, place: Place, certificates: &[Certificate]) -> Vec<Step> {
        let mut steps: Vec<Step> = certificates.iter().flat_map(|one| self.trust_one(place, one)).collect();
        steps.extend(refresh(place));
        steps
    }

    /// The steps that have `place` trust `certificates` no more.
    pub(super) fn distrust(&self, place: Place, certificates: &[Certificate]) -> Vec<Step> {
        let mut steps: Vec<Step> = certificates.iter().flat_map(|one| self.distrust_one(place, one)).collect();
        steps.extend(match place {
            // Without it, what points to the removed file stays.
            Place::Debian => Some(Step::run(["update-ca-certificates", "--fresh"])),
            place => refresh(place),
        });
        steps
    }

    fn trust_one(&self, place: Place, one: &Certificate) -> Vec<Step> {
        let file = one.file.display().to_string();
        match place {
            Place::Debian | Place::Fedora => vec![Step::Write { path: self.anchor(place, one), text: one.pem.clone() }],
            Place::Macos => {
                let security = ["security", "add-trusted-cert", "-d", "-r", "trustRoot", "-k", KEYCHAIN, &file];
                vec![Step::run(security)]
            }
            Place::Nss => self
                .databases()
                .iter()
                .map(|db| Step::run(["certutil", "-A", "-d", db, "-t", "C,,", "-n", &one.name, "-i", &file]))
                .collect(),
            Place::Java => {
                let Some(keytool) = self.keytool().map(|path| path.display().to_string()) else { return Vec::new() };
                let options = ["-importcert", "-noprompt", "-trustcacerts", "-cacerts", "-storepass", "changeit"];
                vec![Step::run(
                    [keytool.as_str()].into_iter().chain(options).chain(["-alias", &one.alias, "-file", &file]),
                )]
            }
        }
    }

    fn distrust_one(&self, place: Place, one: &Certificate) -> Vec<Step> {
        match place {
            Place::Debian | Place::Fedora => vec![Step::Remove(self.anchor(place, one))],
            Place::Macos => vec![Step::run(["security", "delete-certificate", "-c", &one.name, "-t", KEYCHAIN])],
            Place::Nss => {
                self.databases().iter().map(|db| Step::run(["certutil", "-D", "-d", db, "-n", &one.name])).collect()
            }
            Place::Java => {
                let Some(keytool) = self.keytool().map(|path| path.display().to_string()) else { return Vec::new() };
                let delete = ["-delete", "-cacerts", "-storepass", "changeit", "-alias"];
                let argv = |alias: &str| {
                    [keytool.as_str()].into_iter().chain(delete).chain([alias]).map(str::to_owned).collect()
                };
                // Debian gives Java a copy of what its own store has, and does not take it away again.
                vec![Step::Run(argv(&one.alias)), Step::Try(argv(&format!("debian:{}.pem", one.alias)))]
            }
        }
    }

    fn anchor(&self, place: Place, one: &Certificate) -> PathBuf {
        // Debian looks at files of this ending alone.
        let folder = if place == Place::Debian { DEBIAN } else { FEDORA };
        self.root.join(folder).join(format!("{}.crt", one.alias))
    }

    fn debian(&self) -> Option<PathBuf> {
        self.program("update-ca-certificates").filter(|_| self.root.join(DEBIAN).is_dir())
    }

    fn fedora(&self) -> Option<PathBuf> {
        self.program("update-ca-trust").filter(|_| self.root.join(FEDORA).is_dir())
    }

    /// The databases of NSS: the shared one, and one for each profile of Firefox.
    pub(super) fn databases(&self) -> Vec<String> {
        let Some(home) = &self.home else { return Vec::new() };
        let profiles = std::fs::read_dir(home.join(".mozilla/firefox"));
        let profiles = profiles.into_iter().flatten().flatten().map(|entry| entry.path());
        let mut all: Vec<PathBuf> = profiles.chain([home.join(".pki/nssdb")]).collect();
        all.retain(|folder| folder.join("cert9.db").is_file());
        all.sort();
        all.iter().map(|folder| format!("sql:{}", folder.display())).collect()
    }

    /// Java's own program for its stores.
    pub(super) fn keytool(&self) -> Option<PathBuf> {
        let named = self.java_home.as_ref().map(|home| home.join("bin/keytool")).filter(|path| path.is_file());
        named.or_else(|| self.program("keytool"))
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        self.path.iter().map(|folder: &PathBuf| Path::join(folder, name)).find(|path| path.is_file())
    }
}

/// What makes the system look at its folder again.
fn refresh(place: Place) -> Option<Step> {
    match place {
        Place::Debian => Some(Step::run(["update-ca-certificates"])),
        Place::Fedora => Some(Step::run(["update-ca-trust"])),
        Place::Macos | Place::Nss | Place::Java => None,
    }
}
