//! `sidekey key add`: a new key for a service.

use anyhow::Context as _;
use clap::Args;

use crate::cli::acts::{Acts, Done};
use crate::cli::failure::wrong_use;
use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::show_facts;
use crate::cli::values::Source;
use crate::cli::{variables, ways};
use crate::config::CallersMode;
use crate::domain::{Credential, Name, Service, UserId};
use crate::inject::Plan;
use crate::store::CredentialFilter;
use crate::vault::{NewCredential, Vault};

const EXAMPLES: &str = "\
Examples:
  sidekey key add stripe
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
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let expires = arguments.expires.as_deref().map(|text| expires(text, session.now())).transpose()?;
    let opened = Opened::or_make(session)?;
    let acts = Acts::open(&opened.config)?;
    let service = &opened.service(&arguments.service)?.service;
    let owner = opened.owner(arguments.owner.as_ref())?;
    let name = match &arguments.name {
        Some(name) => untaken(name, &owner.id, &opened)?,
        None => free_name(service, &owner.id, &opened.vault)?,
    };
    let variables = variables::complete(service, &arguments.vars, session)?;
    Plan::compile(service, &variables)
        .map_err(|error| wrong_use(format!("no key of `{}` could be used: {error}", service.name)))?;
    let fields = arguments.source.read(service, session)?;
    let new = NewCredential {
        name,
        owner: owner.id.clone(),
        service: service.name.clone(),
        environment: arguments.env.clone(),
        variables,
        expires,
        shares: Vec::new(),
    };
    let (credential, receipt) = opened.vault.add(new, &fields)?;
    let details = [("service", service.name.as_str()), ("owner", owner.name.as_str())];
    acts.record(&Done { act: "key.add", receipt: &receipt, details: &details }, session)?;
    announce(&credential, owner.name.as_str(), &opened, service, session)
}

fn expires(text: &str, now: i64) -> anyhow::Result<i64> {
    let at = moment::expiry(text, now).ok_or_else(|| {
        wrong_use("--expires takes a date such as 2027-03-31, a moment such as 2027-03-31T12:00:00Z, or a duration such as 90d")
    })?;
    if at <= now { Err(wrong_use("--expires lies in the past")) } else { Ok(at) }
}

/// Whether `name` is free; asked before the person types a value.
fn untaken(name: &Name, owner: &UserId, opened: &Opened) -> anyhow::Result<Name> {
    if opened.declared(name).is_some() {
        return Err(wrong_use(format!("proxy.toml declares a [credential.{name}]: choose another name")));
    }
    if opened.vault.find(name, Some(owner)).is_ok() {
        return Err(wrong_use(format!(
            "there is a key `{name}` already: `sidekey key rotate {name}` gives it a new value, --name adds another key"
        )));
    }
    Ok(name.clone())
}

/// The service's name, or with the first number that is free.
fn free_name(service: &Service, owner: &UserId, vault: &Vault) -> anyhow::Result<Name> {
    let filter = CredentialFilter { owner: Some(owner.clone()), ..CredentialFilter::default() };
    let taken: Vec<Name> = vault.list(&filter)?.into_iter().map(|listed| listed.credential.name).collect();
    let numbered = (2_u32..).map(|number| Name::new(&format!("{}-{number}", service.name)));
    let mut names = std::iter::once(Ok(service.name.clone())).chain(numbered);
    let free = names.find(|name| name.as_ref().map_or(true, |name| !taken.contains(name)));
    free.unwrap_or_else(|| Ok(service.name.clone())).context("the service's name is too long to number; give --name")
}

/// Says what was added, where the key goes and how to use it.
fn announce(
    credential: &Credential,
    owner: &str,
    opened: &Opened,
    service: &Service,
    session: &mut Session,
) -> anyhow::Result<()> {
    let screen = &mut session.screen;
    let environment = credential.environment.as_ref().map(|name| format!(", environment {name}")).unwrap_or_default();
    let until = credential.expires.map(|at| format!(", until {} UTC", moment::shown(at))).unwrap_or_default();
    screen.say(format!(
        "Added the key `{}` for {} (owner {owner}{environment}{until}).",
        credential.name, service.title
    ))?;
    screen.say("")?;
    let hosts = ways::hosts(service, &credential.variables);
    let to = hosts.first().cloned().unwrap_or_default();
    let goes = format!("{}\nto {to}", ways::places(service));
    let pinned = format!("{}\nand is never sent anywhere else", ways::hosts_in_short(service, &credential.variables));
    show_facts(&[("key goes", goes), ("pinned to", pinned)], screen)?;
    screen.say("")?;
    screen.say("Call the service without the key, in one of two ways:")?;
    show_facts(&ways::ways(&opened.config, service, &credential.variables), screen)?;
    if opened.config.callers == CallersMode::Token {
        screen.say("")?;
        screen.say(
            "Callers prove who they are by a token: `sidekey caller add NAME` makes one and shows where it goes.",
        )?;
    }
    Ok(())
}
