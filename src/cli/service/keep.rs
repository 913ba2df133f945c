//! The way into the store that adding, editing and importing share: what the change overrides is told, what it does to keys
//! is asked, then it is done and shown.

use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::{show_facts, show_items};
use crate::cli::ways;
use crate::config::ServiceEntry;
use crate::domain::Name;
use crate::operations::{Consent, OperationError};
use crate::record::ServiceRecord;

/// What becomes of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It is a new one.
    Add,
    /// It takes the place of this revision.
    Replace(u32),
}

/// Whether to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    /// When there is something to agree to.
    Needed,
    /// Not at all: the command line agreed.
    Not,
}

impl Asking {
    /// As `--yes` says.
    pub(super) fn unless(yes: bool) -> Self {
        if yes { Self::Not } else { Self::Needed }
    }
}

/// Keeps `record` as the service `name`.
///
/// # Errors
/// When it cannot be, or the person does not agree to what it does to keys.
pub(super) fn keep(
    opened: &Opened,
    (name, record): (&Name, &ServiceRecord),
    way: Way,
    asking: Asking,
    session: &mut Session,
) -> anyhow::Result<ServiceEntry> {
    let (operations, actor) = (&opened.operations, &opened.actor);
    let change = operations.weigh_service(actor, name, record)?;
    for tell in &change.tells {
        session.screen.note(tell)?;
    }
    if !change.concerned.is_empty() && asking == Asking::Needed {
        let keys: Vec<String> = change.concerned.iter().map(ToString::to_string).collect();
        if !session.terminal.answers() {
            return Err(OperationError::ConcernsKeys { service: name.clone(), keys }.into());
        }
        session.screen.note(format!("The change concerns these keys:\n  {}", keys.join("\n  ")))?;
        if !session.confirms(&format!("Change `{name}`?"))? {
            anyhow::bail!("nothing was changed");
        }
    }
    let told = !change.concerned.is_empty() || asking == Asking::Not;
    let consent = if told { Consent::Given } else { Consent::Absent };
    let done = match way {
        Way::Add => operations.add_service(actor, name, record, consent)?,
        Way::Replace(former) => operations.change_service(actor, name, former, record, consent)?,
    };
    Ok(done.entry)
}

/// Shows what was kept.
pub(super) fn announce(
    done: &str,
    entry: &ServiceEntry,
    opened: &Opened,
    as_json: bool,
    session: &mut Session,
) -> anyhow::Result<()> {
    let service = &entry.service;
    if as_json {
        return Ok(show_items(&[super::item(service)], &mut session.screen)?);
    }
    let screen = &mut session.screen;
    screen.say(format!("{done} the service `{}` ({}).", service.name, service.title))?;
    screen.say("")?;
    let none = std::collections::BTreeMap::new();
    let mut facts = vec![("key goes", ways::places(service)), ("hosts", ways::hosts_in_short(service, &none))];
    if !service.auth.is_empty() {
        facts.push(("add a key", format!("sidekey key add {}", service.name)));
    }
    facts.extend(ways::ways(&opened.config, service, &none));
    Ok(show_facts(&facts, screen)?)
}
