//! `sidekey service search`: by parts of names, titles, aliases, categories and hosts.

use clap::Args;

use crate::cli::opened;
use crate::cli::session::Session;
use crate::domain::Service;
use crate::record::nearest;

const EXAMPLES: &str = "\
Examples:
  sidekey service search mail
  sidekey service search 'language model'      every word must be found
  sidekey service search api.stripe.com        by host";

/// Find services by words
///
/// Looks in names, titles, aliases, categories and hosts. Every word must be found somewhere; case does not matter.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// What to look for
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let config = opened::with_stored(session)?;
    let words = words(&arguments.words);
    let mut found: Vec<(usize, &Service)> =
        config.services.iter().filter_map(|entry| Some((distance(&entry.service, &words)?, &*entry.service))).collect();
    found.sort_by_key(|(distance, service)| (*distance, service.name.clone()));
    let known = config.services.iter().map(|entry| entry.service.name.as_str());
    let meant = words.first().and_then(|word| nearest(word, known));
    let empty = match meant {
        Some(name) => format!("Nothing was found. Did you mean `{name}`?"),
        None => {
            "Nothing was found. Your own API becomes a service by `sidekey service add` or `sidekey service import`."
                .to_owned()
        }
    };
    let list = super::listed(found.into_iter().map(|(_, service)| service), &empty);
    Ok(list.show(arguments.json, &mut session.screen)?)
}

/// The single words in lower case.
pub(super) fn words(texts: &[String]) -> Vec<String> {
    texts.iter().flat_map(|text| text.split_whitespace()).map(str::to_lowercase).collect()
}

/// How far a service is from what was looked for: 0 when a word is its name, 1 for its title or an alias, 2 for anything
/// else; none when a word is not found at all.
pub(super) fn distance(service: &Service, words: &[String]) -> Option<usize> {
    let name = service.name.as_str();
    let near: Vec<String> =
        std::iter::once(&service.title).chain(&service.aliases).map(|text| text.to_lowercase()).collect();
    let far = crate::cli::ways::hosts(service, &std::collections::BTreeMap::new());
    let category = service.category.as_deref().unwrap_or_default().to_lowercase();
    let of_word = |word: &String| {
        if name == word {
            Some(0)
        } else if name.contains(word.as_str()) || near.iter().any(|text| text.contains(word.as_str())) {
            Some(1)
        } else {
            let found = category.contains(word.as_str()) || far.iter().any(|host| host.contains(word.as_str()));
            found.then_some(2)
        }
    };
    words.iter().map(of_word).sum()
}
