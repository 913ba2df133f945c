//! `sidekey key add`: a new key for a service.

use std::time::Duration;

use clap::Args;

use super::verify;
use crate::app;
use crate::cli::failure::wrong_use;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::show_facts;
use crate::cli::values::Source;
use crate::cli::{variables, ways};
use crate::config::{CallersMode, Config};
use crate::domain::{Name, Service};
use crate::operations::{ErrorCode, KeyView, NewKey, OperationError, Verdict};

const EXAMPLES: &str = "\
Examples:
  sidekey key add stripe
  sidekey key add openai --verify --rotate-every 90d
  sidekey key add stripe --name stripe-staging --env staging --expires 2027-03-31
  pass show github | sidekey key add github --stdin
  printf 'account_sid=%s\\nauth_token=%s\\n' \"$SID\" \"$TOKEN\" | sidekey key add twilio --stdin
  sidekey key add zendesk --var subdomain=acme --var email=agent@example.com --from-file token.txt";

/// Add a key for a service
///
/// Seals the key's value in the store. The value is asked for, one question a field, unless --stdin, --from-env or --from-file
/// says where it comes from; it is never an argument. A service with an address for each customer asks for its variables too,
/// and the key is only ever sent to the hosts that they make.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The service that the key is for
    service: Name,
    /// What to call the key [default: the service's name, or SERVICE-2 and so on when that is taken]
    #[arg(long)]
    name: Option<Name>,
    /// Only callers of this environment, or of none, may use it
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Option<Name>,
    /// When it expires: a date (that day is still good), an RFC 3339 moment, or a duration such as 90d
    #[arg(long, value_name = "DATE")]
    expires: Option<String>,
    /// The user it belongs to [default: local]
    #[arg(long, value_name = "USER")]
    owner: Option<Name>,
    /// A value for one of the service's variables; repeatable
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variables::pair)]
    vars: Vec<(Name, String)>,
    /// Remind of a new value after so long, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = super::span)]
    rotate_every: Option<Duration>,
    /// Whom the service counts when this key is used; keys with the same name here share what is learnt of its limits
    /// [default: the key itself]
    #[arg(long, value_name = "NAME")]
    limit_owner: Option<Name>,
    /// Keys with the same name here stand in for each other: another is used when the limit of the first is used up. Whether
    /// the service's terms allow that is yours to know
    #[arg(long, value_name = "NAME")]
    pool: Option<Name>,
    /// Try the value at the service first; when it does not work, nothing is added
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let expires = arguments.expires.as_deref().map(|text| super::read_expiry(text, session.now())).transpose()?;
    let Opened { config, operations, actor } = Opened::or_make(session)?;
    let new = NewKey {
        service: arguments.service.clone(),
        name: arguments.name.clone(),
        owner: arguments.owner.clone(),
        environment: arguments.env.clone(),
        expires,
    };
    let mut draft = operations.draft_key(&actor, new).map_err(|error| match (error.code(), &arguments.name) {
        (ErrorCode::NameTaken, Some(name)) if !matches!(error, OperationError::TakenByDeclared(_)) => wrong_use(format!(
            "there is a key `{name}` already: `sidekey key rotate {name}` gives it a new value, --name adds another key"
        )),
        _ => error.into(),
    })?;
    let service = draft.service().clone();
    draft.pin(variables::complete(&service, &arguments.vars, session)?)?;
    if let Some(every) = arguments.rotate_every {
        draft.remind_after(every);
    }
    if let Some(owner) = &arguments.limit_owner {
        draft.belong_to(owner.clone());
    }
    if let Some(pool) = &arguments.pool {
        draft.join(pool.clone());
    }
    let fields = arguments.source.read(&service, session)?;
    if arguments.verify {
        let verification = operations.try_draft(&draft, &fields, &app::probe(&config)?)?;
        session.screen.say(verify::told(&verification, "the value"))?;
        if verification.verdict != Verdict::Works {
            session.screen.note("Nothing was added.")?;
        }
        verify::must_work(&verification)?;
    }
    let key = operations.add_key(&actor, draft, &fields)?;
    announce(&key, &config, &service, session)?;
    if arguments.verify || service.verify.is_none() || !session.terminal.answers() {
        return Ok(());
    }
    session.screen.say("")?;
    if session.confirms(&format!("Try the key at {} now?", service.title))? {
        let verification = operations.verify_key(&actor, &key.reference(), &app::probe(&config)?)?;
        session.screen.say(verify::told(&verification, "the key"))?;
    }
    Ok(())
}

/// Says what was added, where the key goes and how to use it.
fn announce(key: &KeyView, config: &Config, service: &Service, session: &mut Session) -> anyhow::Result<()> {
    let screen = &mut session.screen;
    screen.say(format!("Added the key `{}` for {} ({}).", key.name, service.title, super::in_short(key)))?;
    screen.say("")?;
    let variables = key.variables.clone().unwrap_or_default();
    let hosts = ways::hosts(service, &variables);
    let to = hosts.first().cloned().unwrap_or_default();
    let goes = format!("{}\nto {to}", ways::places(service));
    let pinned = format!("{}\nand is never sent anywhere else", ways::hosts_in_short(service, &variables));
    show_facts(&[("key goes", goes), ("pinned to", pinned)], screen)?;
    screen.say("")?;
    screen.say("Call the service without the key, in one of these ways:")?;
    show_facts(&ways::ways(config, service, &variables), screen)?;
    if config.callers == CallersMode::Token {
        screen.say("")?;
        screen.say(
            "Callers prove who they are by a token: `sidekey caller add NAME` makes one and shows where it goes.",
        )?;
    }
    Ok(())
}
