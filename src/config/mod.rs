//! proxy.toml, and the only reader of the environment. A text becomes a tree with places, `${VAR}` is expanded, the shape
//! is checked against the schema, and the rest is compiled; every error of a file is found in one run and shown with its
//! line, and no message holds a value that may be a secret. It opens nothing but the file, and keeps nothing.

mod compile;
mod environment;
mod events;
mod gates;
mod locate;
mod report;
mod schema;
mod services;
mod settings;
mod shape;
mod stored;
mod tree;
mod watch;
mod wire;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::catalogue;
use crate::crypto::digest::{LEN, sha256};
use crate::domain::Name;
use crate::record::{Faults, KeyPath, RecordError};

pub use environment::Environment;
pub use report::{ConfigError, ConfigErrors, Invalid};
pub use schema::schema;
pub use settings::{
    CallersMode, Config, DeclaredCredential, Listen, ListenAddress, ParentProxies, ServiceEntry, Unmatched,
    ValueSource, Webhook,
};
pub use stored::{LeftOut, WhyLeftOut};
pub use watch::{Changed, Watch};

use compile::Context;
use services::Catalogue;
use tree::Fault;
use wire::FileRecord;

#[cfg(test)]
mod tests;

/// A configuration and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file's absolute path; none when the built-in defaults are used.
    pub path: Option<PathBuf>,
    /// SHA-256 of the file's bytes, to tell whether it has changed; of nothing for the defaults.
    pub text_digest: [u8; LEN],
}

impl Config {
    /// Finds, reads and compiles the file: `explicit`, else the first of `proxy.toml` in the current folder,
    /// `$XDG_CONFIG_HOME/sidekey/proxy.toml` (or below `~/.config`) and `/etc/sidekey/proxy.toml`, else the defaults.
    ///
    /// # Errors
    /// When a file cannot be read, and with everything that is wrong in it.
    pub fn load(explicit: Option<&Path>, environment: &Environment) -> Result<Loaded, ConfigErrors> {
        let catalogue = built_in();
        let Some(found) = locate::find(explicit, environment)? else {
            let folder = environment.folder();
            let config =
                compiled("", "the defaults", folder, environment, &catalogue).map_err(ConfigErrors::Invalid)?;
            return Ok(Loaded { config, path: None, text_digest: sha256(b"") });
        };
        let shown = found.shown.display().to_string();
        let folder = found.path.parent().unwrap_or(environment.folder());
        let config = match std::str::from_utf8(&found.bytes) {
            Ok(text) => compiled(text, &shown, folder, environment, &catalogue),
            Err(error) => Err(not_utf8(&found.bytes, error.valid_up_to(), shown)),
        };
        let config = config.map_err(ConfigErrors::Invalid)?;
        Ok(Loaded { config, path: Some(found.path), text_digest: sha256(&found.bytes) })
    }
}

/// The built-in services; the one place where the catalogue is asked.
fn built_in() -> Catalogue {
    catalogue::records().filter_map(|(name, record)| Some((Name::new(name).ok()?, record))).collect()
}

/// Compiles a text. `shown` is what errors call the file; relative paths start at `folder`.
fn compiled(
    text: &str,
    shown: &str,
    folder: &Path,
    environment: &Environment,
    catalogue: &Catalogue,
) -> Result<Config, Invalid> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        let tree = tree::build(text, &document, environment, &mut Vec::new());
        let faults = syntax.iter().map(syntax_fault).collect();
        return Err(Invalid::syntax(shown.to_owned(), text, faults, &tree));
    }
    let mut faults = Vec::new();
    let tree = tree::build(text, &document, environment, &mut faults);
    let shape = shape::check(&tree, &mut faults);
    let mut found = Faults::default();
    let config = if let Ok(file) = serde_json::from_value::<FileRecord>(shape.json) {
        let context = Context { folder, environment, catalogue, cut: &shape.cut };
        Some(compile::compile(&file, &context, &mut found))
    } else {
        // The schema admits only what the structs take; this is here so that a difference can never pass unseen.
        found.add(KeyPath::root(), "the file does not have the expected form", "compare it with proxy.schema.json");
        None
    };
    let semantic = found.into_vec().into_iter().filter(|error| !follows_from_cut(&error.path, &shape.cut));
    faults.extend(semantic.map(|error| Fault { span: tree.place_of(&error), error }));
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(Invalid::new(shown.to_owned(), text, faults, &tree)),
    }
}

/// Whether an error at `path` may only be the consequence of something that was already reported and left out. A service
/// as a whole is never: what is said of it does not depend on one key.
fn follows_from_cut(path: &KeyPath, cut: &BTreeSet<KeyPath>) -> bool {
    let whole = path.steps().is_empty() || path.steps().len() == 2 && path.is_within(&KeyPath::root().key("service"));
    cut.iter().any(|cut| path.is_within(cut) || !whole && cut.is_within(path))
}

/// A syntax error of the parser, whose messages quote nothing.
fn syntax_fault(error: &toml::de::Error) -> Fault {
    let fix = "correct the TOML here: `key = value`, texts in quotes, each key once".to_owned();
    let error_here = RecordError { path: KeyPath::root(), problem: error.message().to_owned(), found: None, fix };
    Fault { span: error.span().unwrap_or(0..0), error: error_here }
}

/// The report for a file that is no text.
fn not_utf8(bytes: &[u8], valid: usize, shown: String) -> Invalid {
    let text = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let tree = tree::Node { key: None, span: 0..0, expanded: false, value: tree::Value::Table(Vec::new()) };
    let fix = "save the file as UTF-8".to_owned();
    let problem = "a byte here is no UTF-8 text".to_owned();
    let error = RecordError { path: KeyPath::root(), problem, found: None, fix };
    Invalid::syntax(shown, &text, vec![Fault { span: valid..valid, error }], &tree)
}
