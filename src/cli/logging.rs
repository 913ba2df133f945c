//! Logs of a running proxy: text on a terminal, JSON otherwise, on the standard error. What is logged is chosen by
//! `SIDEKEY_LOG`, else `RUST_LOG`, else everything from `info` up.

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

use super::failure::wrong_use;
use super::session::Session;

/// Where the filter may stand, the first that is set counts.
const VARIABLES: [&str; 2] = ["SIDEKEY_LOG", "RUST_LOG"];

/// Starts logging, for the whole process and for good.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub(super) fn start(default: &str, session: &Session) -> anyhow::Result<()> {
    let named = VARIABLES.into_iter().find_map(|name| Some((name, session.environment.filled(name)?)));
    let filter = match named {
        None => EnvFilter::try_new(default)?,
        Some((name, text)) => EnvFilter::try_new(text).map_err(|error| {
            wrong_use(format!("{name} cannot be read as a filter ({error}); write it like `info` or `sidekey=debug`"))
        })?,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if session.screen.error_is_terminal {
        builder.with_ansi(session.screen.error_colour()).with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    };
    started.map_err(|error| anyhow!("logging cannot be started: {error}"))
}
