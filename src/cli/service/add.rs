//! `sidekey service add`: a custom API in the store, or a change to a built-in service.

use clap::Args;

use super::flags::{Described, holes};
use super::keep::{Asking, Way, announce, keep};
use crate::cli::failure::wrong_use;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;
use crate::record::{Auth, AuthList, ServiceRecord, to_table};

const EXAMPLES: &str = "\
Examples:
  sidekey service add billing --base-url https://billing.example.com/api --header X-API-Key
  sidekey service add weather --base-url https://api.weather.example --query appid
  sidekey service add forge --base-url https://forge.example.com --header Authorization --prefix 'token '
  sidekey service add sms --base-url https://sms.example.com --basic '{account}:{token}'
  sidekey service add desk --base-url 'https://{tenant}.desk.example.com' --bearer --allow 'GET /v1/**'
  sidekey service add billing --base-url https://billing.example.com --bearer --toml >> proxy.toml";

/// Add your own API
///
/// Keeps a service in the store: where it is and where its key goes. A running proxy knows it within one second, and
/// `sidekey key add NAME` adds its key. A built-in service of the same name is overridden key by key, and a table
/// [service.NAME] in proxy.toml counts before the store. On a terminal, what is needed and not given is asked for.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// What to call it: the first part of its path at the proxy
    name: Name,
    #[command(flatten)]
    described: Box<Described>,
    /// Print the table for proxy.toml instead; nothing is stored
    #[arg(long, visible_alias = "dry-run", conflicts_with = "json")]
    toml: bool,
    /// Do not ask when keys of this name exist that would go to this address
    #[arg(long)]
    yes: bool,
    /// Print JSON: {"version":1,"items":[…]} with the one service
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let (name, described) = (&arguments.name, &arguments.described);
    let mut record = described.record(session.environment.folder())?;
    if described.is_empty() && session.terminal.answers() {
        record = asked(name, session)?;
    }
    if arguments.toml {
        let config = session.load()?.config;
        let entry = config.with_record(name, &record);
        entry.map_err(|why| wrong_use(format!("the service `{name}`: {why}")))?;
        return Ok(session.screen.say(to_table(name, &record).trim_end())?);
    }
    let opened = Opened::or_make(session)?.ready()?;
    if record.base_url.is_none() && opened.config.service(name.as_str()).is_none() {
        return Err(wrong_use(format!("where is `{name}`? give --base-url https://HOST/PATH")));
    }
    if opened.operations.kept_record(name)?.is_some() {
        let text =
            format!("there is a service `{name}` in the store already: `sidekey service edit {name}` changes it");
        return Err(wrong_use(text));
    }
    let entry = keep(&opened, (name, &record), Way::Add, Asking::unless(arguments.yes), session)?;
    announce("Added", &entry, &opened, arguments.json, session)
}

/// Asks for what every service needs.
fn asked(name: &Name, session: &mut Session) -> anyhow::Result<ServiceRecord> {
    let terminal = &mut session.terminal;
    let base_url = terminal.ask(&format!("Where is {name}, such as https://api.example.com/v1? "))?;
    let location =
        terminal.ask("Where does its key go: bearer, header, query, basic, cookie, path or none? [bearer] ")?;
    let mut auth = Auth { location: Some(location.trim().to_lowercase()), ..Auth::default() };
    let mut more = |question: &str| -> std::io::Result<Option<String>> {
        let answer = terminal.ask(question)?;
        Ok(Some(answer).filter(|answer| !answer.trim().is_empty()))
    };
    match location.trim() {
        "" => auth.location = Some("bearer".to_owned()),
        "header" => {
            auth.name = more("The header's name, such as X-API-Key: ")?;
            auth.prefix = more("What stands before the key there, such as `Token ` (nothing): ")?;
        }
        "query" => auth.name = more("The parameter's name, such as api_key: ")?,
        "cookie" => auth.name = more("The cookie's name: ")?,
        "basic" => {
            auth.username = more("The user name, such as {username} or {key}: ")?;
            auth.password = more("The password, such as {password} (nothing): ")?;
        }
        "path" => auth.template = more("What is put before the path, such as /bot{key}: ")?,
        _ => {}
    }
    let auth = (location.trim() != "none").then_some(AuthList::One(auth));
    let base_url = base_url.trim().to_owned();
    let vars = Some(holes([&base_url])).filter(|vars| !vars.is_empty());
    Ok(ServiceRecord { base_url: Some(base_url), auth, vars, ..ServiceRecord::default() })
}
