//! `sidekey run`: a program that calls through the proxy and trusts it, with a token of its own for as long as it runs.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::ca;
use super::failure::{Ended, wrong_use};
use super::local;
use super::opened::Opened;
use super::relay::Relay;
use super::session::Session;
use super::surroundings::{self, Way};
use crate::config::CallersMode;
use crate::domain::Name;
use crate::operations::RUN_LIFE;
use crate::vault::Token;

const EXAMPLES: &str = "\
Examples:
  sidekey run -- python app.py
  sidekey run --as etl -- make deploy
  sidekey run -- curl https://api.openai.com/v1/models

Exit codes:
  that of the command; 128 and the signal's number when a signal ended it; 126 and 127 when it cannot be run or found";

/// Run a command that calls through the proxy
///
/// Sets the proxy variables and those by which programs trust sidekey's certificate authority, in all the spellings that are in
/// use, and words in the place of keys for SDKs that insist on one. With --as, the command has a token for this run alone, which
/// is worth nothing when it ends. Signals are passed on to the command. The proxy must be running.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// As which caller; needed where callers prove who they are
    #[arg(long = "as", value_name = "CALLER")]
    caller: Option<Name>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// How often the token's time is extended.
const EXTEND: Duration = Duration::from_secs(RUN_LIFE.unsigned_abs() / 4);

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = ca::opened(session)?;
    let Some((program, rest)) = arguments.command.split_first() else { return Ok(()) };
    if arguments.caller.is_none() && opened.config.callers == CallersMode::Token {
        return Err(wrong_use("callers prove who they are here: say as which one, --as CALLER"));
    }
    let shown = program.to_string_lossy();
    let begin = |name| opened.operations.begin_run(&opened.actor, name, &shown);
    let token = arguments.caller.as_ref().map(begin).transpose()?;
    let ended = within(&opened, arguments.caller.as_ref().zip(token.as_ref()), (program, rest), session);
    if let Some(token) = &token {
        opened.operations.end_run(token)?;
    }
    Err(Ended(ended?).into())
}

/// Runs the command and gives its exit code.
fn within(
    opened: &Opened,
    caller: Option<(&Name, &Token)>,
    (program, rest): (&OsString, &[OsString]),
    session: &mut Session,
) -> anyhow::Result<u8> {
    let proxy = surroundings::proxy(&opened.config)?;
    let user = caller.map(|(name, token)| format!("{name}:{}@", token.reveal())).unwrap_or_default();
    let relay = caller.map(|(_, token)| Relay::open(proxy, token)).transpose()?.flatten();
    let way = Way { user, mute: relay.as_ref().map(Relay::address) };
    let variables = surroundings::variables(opened, &way, session)?;
    local::wait_until_known(proxy, caller.map(|(_, token)| token))?;
    let mut command = Command::new(program);
    command.args(rest).envs(variables);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = signals()?;
        relay.map(Relay::attend).transpose()?;
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                session.screen.note(format!("error: `{}` cannot be run: {error}", program.display()))?;
                return Ok(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 });
            }
        };
        let extend = || {
            let extended = caller.map_or(Ok(()), |(_, token)| opened.operations.extend_run(token));
            // The command goes on: there are three more tries before the token ends.
            if let Err(error) = extended {
                let _ = session.screen.note(format!("warning: the token's time could not be extended: {error}"));
            }
        };
        Ok(code(attend(child, signals, extend).await?))
    })
}

/// Passes signals on until the command ends, and has its token go on.
async fn attend(
    mut child: Child,
    mut signals: mpsc::UnboundedReceiver<Signal>,
    mut extend: impl FnMut(),
) -> anyhow::Result<ExitStatus> {
    let mut due = tokio::time::interval_at(tokio::time::Instant::now() + EXTEND, EXTEND);
    loop {
        tokio::select! {
            ended = child.wait() => return Ok(ended?),
            Some(signal) = signals.recv() => {
                let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
                // It may have ended this very moment.
                let _gone = pid.map(|pid| kill_process(pid, signal));
            }
            _ = due.tick() => extend(),
        }
    }
}

/// The signals that are passed on. Those that a terminal sends, it sends to the command itself.
fn signals() -> io::Result<mpsc::UnboundedReceiver<Signal>> {
    let (to, from) = mpsc::unbounded_channel();
    let typed = !io::stdin().is_terminal();
    let kinds = [
        (SignalKind::terminate(), Signal::TERM, true),
        (SignalKind::hangup(), Signal::HUP, true),
        (SignalKind::user_defined1(), Signal::USR1, true),
        (SignalKind::user_defined2(), Signal::USR2, true),
        (SignalKind::interrupt(), Signal::INT, typed),
        (SignalKind::quit(), Signal::QUIT, typed),
    ];
    for (kind, number, is_passed) in kinds {
        // Taken over in any case: this process must outlive the command, to end its token.
        let (mut listened, to) = (signal(kind)?, to.clone());
        tokio::spawn(async move {
            while listened.recv().await.is_some() {
                if is_passed && to.send(number).is_err() {
                    return;
                }
            }
        });
    }
    Ok(from)
}

fn code(status: ExitStatus) -> u8 {
    let signalled = || status.signal().map(|signal| 128 + signal);
    status.code().or_else(signalled).and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
