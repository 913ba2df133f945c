//! The built-in services: one TOML file each in `services/`, embedded in the binary, and the loader that reads them.
//! The files are the source of truth and hold facts alone; here is no knowledge of any single service, and neither
//! folder nor network is touched. Invariant, held by the tests: every file is in the table, parses, and compiles into
//! a service.

mod index;

use crate::record::ServiceRecord;

use index::SERVICES;

/// The names of all built-in services, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().map(|(name, _)| *name)
}

/// The file of the service `name` as it was written.
pub fn text(name: &str) -> Option<&'static str> {
    let at = SERVICES.binary_search_by(|(other, _)| (*other).cmp(name)).ok()?;
    SERVICES.get(at).map(|(_, text)| *text)
}

/// The record of the service `name`; none when there is no such service.
pub fn record(name: &str) -> Option<ServiceRecord> {
    parse(text(name)?)
}

/// All records with their names, sorted by name. Parses every file, some milliseconds in all: meant for a start, not
/// for a request.
pub fn records() -> impl Iterator<Item = (&'static str, ServiceRecord)> {
    SERVICES.iter().filter_map(|(name, text)| Some((*name, parse(text)?)))
}

/// The services that `query` means, best first: every word of it must occur in the name, the title, an alias or the
/// category, whatever the case. An empty query means all of them.
pub fn search(query: &str) -> Vec<(&'static str, ServiceRecord)> {
    let query = query.to_lowercase();
    let words: Vec<&str> = query.split_whitespace().collect();
    let mut found: Vec<(Fit, &'static str, ServiceRecord)> = records()
        .filter_map(|(name, record)| {
            let worst = words.iter().map(|word| fit(word, name, &record)).max().unwrap_or(Fit::Exact);
            let whole = fit(query.trim(), name, &record);
            (worst != Fit::None).then_some((worst.min(whole), name, record))
        })
        .collect();
    // A stable sort: services of the same fit stay in the order of their names.
    found.sort_by_key(|(fit, ..)| *fit);
    found.into_iter().map(|(_, name, record)| (name, record)).collect()
}

/// How well a service fits what was searched for, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It is the name, the title or an alias.
    Exact,
    /// The name or the title begins with it.
    Start,
    /// A word of the name, the title or an alias begins with it.
    Word,
    /// It is the category.
    Category,
    /// It occurs somewhere in the name, the title, an alias or the category.
    Inside,
    /// It does not occur.
    None,
}

/// How well `text`, in lower case, fits a service.
fn fit(text: &str, name: &str, record: &ServiceRecord) -> Fit {
    let title = record.title.as_deref().unwrap_or(name).to_lowercase();
    let aliases: Vec<String> = record.aliases.iter().flatten().map(|alias| alias.to_lowercase()).collect();
    let category = record.category.as_deref().unwrap_or_default();
    let labels = || [name, title.as_str()].into_iter().chain(aliases.iter().map(String::as_str));
    let word_starts = |label: &str| label.split(|c: char| !c.is_alphanumeric()).any(|word| word.starts_with(text));
    if labels().any(|label| label == text) {
        Fit::Exact
    } else if name.starts_with(text) || title.starts_with(text) {
        Fit::Start
    } else if labels().any(word_starts) {
        Fit::Word
    } else if category == text {
        Fit::Category
    } else if labels().chain([category]).any(|label| label.contains(text)) {
        Fit::Inside
    } else {
        Fit::None
    }
}

/// Reads a file's text. The tests hold that every embedded file can be read, so none is ever left out.
fn parse(text: &str) -> Option<ServiceRecord> {
    toml::from_str(text).ok()
}

#[cfg(test)]
mod tests;
