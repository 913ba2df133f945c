//! The keys that proxy.toml declares: read where they are kept, sealed, and read again when there is reason to. Files and
//! variables are read whenever a snapshot is made; a command, which may be slow or ask a person, only when the operator
//! reloads or its own table changed.

use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::config::{Config, DeclaredCredential, Environment, ValueSource};
use crate::domain::{Credential, Fields, Name, Source, SourceKind};
use crate::vault::Vault;
use crate::vault::declared::{Declared, DeclaredError, DeclaredValue};

/// Which commands are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commands {
    /// All: at the start, when proxy.toml was read again, on SIGHUP.
    All,
    /// Those whose table is new or another than before; the others keep what they gave.
    Changed,
}

/// What was read last.
#[derive(Default)]
pub(super) struct DeclaredKeys(Mutex<Former>);

#[derive(Default)]
struct Former {
    /// Counts the readings: their version.
    version: u32,
    keys: Vec<(DeclaredCredential, Credential)>,
}

impl DeclaredKeys {
    /// The declared credentials, read and sealed. One that cannot be read has no value, and says why in the log.
    pub(super) fn read(
        &self,
        config: &Config,
        environment: &Environment,
        vault: &Vault,
        commands: Commands,
    ) -> Vec<Credential> {
        let mut former = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        former.version = former.version.saturating_add(1);
        let read = |declared: &DeclaredCredential| {
            let kept = (commands == Commands::Changed && has_command(declared))
                .then(|| former.keys.iter().find(|(table, _)| table == declared))
                .flatten();
            let credential = kept.map_or_else(
                || read(declared, environment, vault, former.version),
                |(_, credential)| credential.clone(),
            );
            (declared.clone(), credential)
        };
        former.keys = config.credentials.iter().map(read).collect();
        former.keys.iter().map(|(_, credential)| credential.clone()).collect()
    }
}

fn has_command(declared: &DeclaredCredential) -> bool {
    declared.fields.iter().any(|(_, source)| matches!(source, ValueSource::Command(_)))
}

fn read(declared: &DeclaredCredential, environment: &Environment, vault: &Vault, version: u32) -> Credential {
    let mut credential = declared.credential(version);
    let fields = match places(declared, environment).read() {
        Ok(fields) => fields,
        Err(error) => {
            credential.source = Source::Declared { dry: Some(error.kind) };
            let error = format!("{:#}", anyhow::Error::new(error));
            tracing::error!(credential = %declared.name, error, "a declared credential has no value");
            return credential;
        }
    };
    match vault.seal_declared(&credential, &fields) {
        Ok(sealed) => credential.sealed = Some(Arc::new(sealed)),
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::new(error));
            tracing::error!(credential = %declared.name, error, "a declared credential has no value");
        }
    }
    credential
}

/// Where the fields of a declared key are, with the environment's part filled in.
fn places(declared: &DeclaredCredential, environment: &Environment) -> Declared {
    let place = |(field, source): &(Name, ValueSource)| {
        let value = match source {
            ValueSource::Env(name) => {
                let value = environment.filled(name).map(|value| Zeroizing::new(value.to_owned()));
                DeclaredValue::Env { name: name.clone(), value }
            }
            ValueSource::File(path) => DeclaredValue::File(path.clone()),
            ValueSource::Command(argv) => DeclaredValue::Command(argv.clone()),
        };
        (field.clone(), value)
    };
    let fields = declared.fields.iter().map(place).collect();
    Declared { name: declared.name.clone(), service: declared.service.clone(), fields }
}

/// The value of a declared key, read from its place now.
///
/// # Errors
/// When it cannot be read, or is one that no request can carry.
pub fn declared_value(declared: &DeclaredCredential, environment: &Environment) -> Result<Fields, DeclaredError> {
    places(declared, environment).read()
}

/// Why a declared key would have no value, as far as a look at places of these `kinds` tells; nothing is run.
///
/// # Errors
/// When one of them yields no value.
pub fn look_at_declared(
    declared: &DeclaredCredential,
    environment: &Environment,
    kinds: &[SourceKind],
) -> Result<(), DeclaredError> {
    places(declared, environment).look(kinds)
}
