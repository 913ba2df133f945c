//! Reading API descriptions: OpenAPI 3.0 to 3.2 and 2.0 (Swagger), JSON or YAML. Bytes go in, a draft of a service record
//! comes out, with a note on everything that was assumed. Pure: no file, no network, no clock; a reference to another
//! document is noted and never followed.
//!
//! Invariants: no document makes it panic or takes unbounded memory or time; what is wrong where nothing of ours depends
//! on it does not matter; a draft with a base URL compiles.

mod error;
mod limits;
mod notes;
mod operations;
mod rules;
mod security;
mod servers;
mod settle;
mod template;
mod tree;
mod verify;
mod walk;

use serde_json::Value;

use crate::domain::Name;
use crate::record::{AuthList, ServiceRecord, UpstreamRecord};

pub use error::ReadError;
pub use notes::Note;

use notes::Notes;
use walk::Walk;

/// The largest document that is read, in bytes.
pub const LARGEST: usize = 16 << 20;

/// The longest title that is taken over, in characters.
const LONGEST_TITLE: usize = 80;

/// What a description says of its service, as far as sidekey needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What the service may be called, from the title or else the host; none when neither gives a name.
    pub name: Option<Name>,
    /// The record. Without a `base_url` when the document names no host.
    pub record: ServiceRecord,
    /// One `allow` rule for each method and path, for who wants them.
    pub rules: Vec<String>,
    /// What was assumed, and where; at most 50.
    pub notes: Vec<Note>,
    /// What the document says it is: `OpenAPI 3.1.0`, `Swagger 2.0`.
    pub dialect: String,
    /// How many operations it has.
    pub operations: usize,
}

/// What is known better than the document tells.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'a> {
    /// Where the API is.
    pub base_url: Option<&'a str>,
    /// Where its key goes.
    pub auth: Option<&'a AuthList>,
}

/// Reads a description.
///
/// # Errors
/// When it is larger than [`LARGEST`], no text, neither JSON nor YAML, nested or expanding without measure, or no
/// description of an HTTP API.
pub fn read(bytes: &[u8], given: Given<'_>) -> Result<Draft, ReadError> {
    let tree = tree::parse(bytes)?;
    let mut notes = Notes::default();
    let dialect = dialect(&tree.root, &mut notes)?;
    for at in &tree.repeated {
        notes.add(at, "a key that stands there twice", "the last one counts");
    }
    let mut walk = Walk { root: &tree.root, version: dialect.version, notes };
    let place = given.base_url.map_or_else(|| servers::of(&mut walk), servers::given);
    let operations = operations::of(&mut walk, &place);
    let chosen = given.auth.map_or_else(|| security::of(&mut walk, &operations), security::given);
    let record = ServiceRecord {
        title: title(&tree.root),
        docs: docs(&tree.root),
        base_url: place.base_url,
        hosts: place.hosts,
        vars: Some(place.vars).filter(|vars| !vars.is_empty()),
        auth: chosen.auth,
        upstream: place
            .allow_private
            .then(|| UpstreamRecord { allow_private: Some(true), ..UpstreamRecord::default() }),
        verify: verify::of(&operations, &chosen.keys, &place.path),
        limits: limits::of(&mut walk, &operations),
        ..ServiceRecord::default()
    };
    let name = name(record.title.as_deref(), record.base_url.as_deref());
    let rules = rules::of(&mut walk, &operations, &place.path);
    let mut notes = walk.notes;
    let record = settle::settle(record, &mut notes);
    Ok(Draft { name, record, rules, notes: notes.into_vec(), dialect: dialect.words, operations: operations.len() })
}

/// Which of the two shapes a document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// Swagger 2.0: `host`, `basePath`, `securityDefinitions`.
    Two,
    /// OpenAPI 3: `servers`, `components`.
    Three,
}

/// What a document is.
struct Dialect {
    version: Version,
    words: String,
}

/// Tells what the document is; a missing or odd version is guessed from what else stands there.
fn dialect(root: &Value, notes: &mut Notes) -> Result<Dialect, ReadError> {
    let known = root.as_object().ok_or(ReadError::Foreign("its top is no table of keys"))?;
    let version = |key: &str| known.get(key).and_then(walk::text);
    if let Some(version) = version("openapi") {
        if !version.starts_with("3.") && version != "3" {
            notes.add("/openapi", format!("the version {version}, which is not known"), "read as OpenAPI 3");
        }
        return Ok(Dialect { version: Version::Three, words: format!("OpenAPI {version}") });
    }
    if let Some(version) = version("swagger") {
        if !version.starts_with('2') {
            notes.add("/swagger", format!("the version {version}, which is not known"), "read as Swagger 2.0");
        }
        return Ok(Dialect { version: Version::Two, words: format!("Swagger {version}") });
    }
    let foreign = [
        ("swaggerVersion", "it is Swagger 1, which came in several files; convert it to OpenAPI 3 first"),
        ("asyncapi", "it is an AsyncAPI document, which describes messages and no HTTP API"),
        ("arazzo", "it is an Arazzo document, which describes workflows over APIs that are described elsewhere"),
        ("overlay", "it is an OpenAPI overlay: apply it to its description first"),
        ("discoveryVersion", "it is a Google API discovery document; convert it to OpenAPI 3 first"),
        ("item", "it looks like a Postman collection; export it as OpenAPI 3"),
    ];
    if let Some((_, what)) = foreign.iter().find(|(key, _)| known.contains_key(*key)) {
        return Err(ReadError::Foreign(what));
    }
    if !known.get("paths").is_some_and(Value::is_object) {
        return Err(ReadError::Foreign("it has neither `openapi` nor `swagger` nor `paths`"));
    }
    let old = ["host", "basePath", "securityDefinitions"].iter().any(|key| known.contains_key(*key));
    let (version, words) = if old { (Version::Two, "Swagger 2.0") } else { (Version::Three, "OpenAPI 3") };
    notes.add("", "neither `openapi` nor `swagger` says what it is", format!("read as {words}"));
    Ok(Dialect { version, words: words.to_owned() })
}

/// The title for people; none when it says only that it is an API.
fn title(root: &Value) -> Option<String> {
    let text = walk::text(root.pointer("/info/title")?).filter(|text| !telling_words(text).is_empty())?;
    let short: String = text.chars().take(LONGEST_TITLE).collect();
    Some(short.trim().to_owned()).filter(|title| !title.is_empty())
}

/// Where the documentation is.
fn docs(root: &Value) -> Option<String> {
    let text = walk::text(root.pointer("/externalDocs/url")?)?;
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    is_web.then_some(text)
}

/// Words that say that it is an API and not which one.
const EMPTY_WORDS: [&str; 17] = [
    "the",
    "a",
    "of",
    "for",
    "api",
    "apis",
    "rest",
    "restful",
    "http",
    "web",
    "openapi",
    "swagger",
    "specification",
    "spec",
    "reference",
    "documentation",
    "public",
];

/// More words than these are a sentence and no name.
const MOST_WORDS: usize = 3;

/// A name from the title, when that is short, else from the host's most telling label.
fn name(title: Option<&str>, base_url: Option<&str>) -> Option<Name> {
    let words = title.map(telling_words).unwrap_or_default();
    let of_title = || Name::new(&words.join("-")).ok();
    let of_host = || {
        let (_, rest) = base_url?.split_once("://")?;
        let host = rest.split(['/', ':']).next()?;
        let labels: Vec<&str> = host.split('.').collect();
        let telling = labels.len().checked_sub(2).and_then(|at| labels.get(at)).or_else(|| labels.first())?;
        Name::new(&telling.to_lowercase()).ok()
    };
    let (first, second) = if words.len() > MOST_WORDS { (of_host(), of_title()) } else { (of_title(), of_host()) };
    first.or(second)
}

/// The words of a title that say which API it is.
fn telling_words(title: &str) -> Vec<String> {
    let lower = title.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').map(|word| word.trim_matches('.'));
    let is_version = |word: &str| {
        let digits = word.strip_prefix('v').unwrap_or(word);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    };
    let telling = words.filter(|word| !word.is_empty() && !EMPTY_WORDS.contains(word) && !is_version(word));
    telling.map(|word| word.replace('.', "-")).collect()
}

#[cfg(test)]
mod tests;
