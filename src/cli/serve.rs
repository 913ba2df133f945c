//! `sidekey serve`: the proxy in the foreground, for service managers and containers. Also what `up` runs.

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::{self, Running};
use crate::config::Config;

use super::logging;
use super::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey serve
  sidekey --config /etc/sidekey/proxy.toml serve
  SIDEKEY_LOG=sidekey=debug sidekey serve

Signals:
  SIGTERM, SIGINT   finish what is under way and end; a second one ends at once
  SIGHUP            read the configuration again";

/// Run the proxy in the foreground
///
/// Serves with the configuration and logs to the standard error: text on a terminal, JSON otherwise. Changes of the
/// configuration and of the keys take effect between two requests; a bad configuration is reported and the old one stays.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    logging::start("info", session)?;
    serve(session, |_, _| Ok(()))
}

/// Starts the proxy, lets `welcome` say so, and serves until a signal.
///
/// # Errors
/// When the configuration is wrong or a part of the proxy cannot be opened.
pub(super) fn serve(
    session: &mut Session,
    welcome: impl FnOnce(&Running, &mut Session) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    app::harden();
    let ends = Ends::listen()?;
    let Session { config, environment, .. } = &*session;
    let (running, file) = app::apart(|| {
        let loaded = Config::load(config.as_deref(), environment)?;
        let file =
            loaded.path.as_ref().map_or_else(|| "built-in defaults".to_owned(), |path| path.display().to_string());
        anyhow::Ok((Running::start(loaded, environment)?, file))
    })?;
    tracing::info!(proxy = running.addresses().join(" "), console = running.console(), configuration = file, "serving");
    ends.then_stop(running.stopper())?;
    let welcomed = welcome(&running, session);
    if welcomed.is_err() {
        running.stopper().cancel();
    }
    running.wait();
    tracing::info!("ended");
    welcomed
}

/// The signals that end the proxy.
struct Ends {
    runtime: tokio::runtime::Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    /// Takes them over from the system, which would end the process at once.
    fn listen() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        drop(guard);
        Ok(Self { runtime, terminate, interrupt })
    }

    /// The first of them stops the proxy, the second ends the process.
    fn then_stop(self, stopper: CancellationToken) -> anyhow::Result<()> {
        let Self { runtime, mut terminate, mut interrupt } = self;
        let wait = async move {
            let first = either(&mut terminate, &mut interrupt).await;
            tracing::info!("{first}: finishing what is under way; another one ends at once");
            app::stopping();
            stopper.cancel();
            let second = either(&mut terminate, &mut interrupt).await;
            tracing::warn!("{second}: ending at once");
            std::process::exit(1);
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(wait))
            .map(drop)
            .context("cannot start a thread")
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
