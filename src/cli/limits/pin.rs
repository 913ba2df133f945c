//! `sidekey limits pin` and `sidekey limits unpin`.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use crate::cli::failure::wrong_use;
use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::{Name, Rate};
use crate::operations::{PinOrder, PinTarget};
use crate::record::{duration, rate};

const PIN_EXAMPLES: &str = "\
Examples:
  sidekey limits pin github 100/min
  sidekey limits pin github 10/s --concurrency 4 --for 2h
  sidekey limits pin openai --key openai-batch --concurrency 2
  sidekey limits pin github 20/min --bucket search --until 2026-12-01";

const UNPIN_EXAMPLES: &str = "\
Examples:
  sidekey limits unpin github
  sidekey limits unpin github --bucket search";

/// To what a limit is pinned.
#[derive(Debug, Args)]
pub(in crate::cli) struct Target {
    /// The service
    service: Name,
    /// For this limit owner alone, as `sidekey limits list` shows it [default: all of them together]
    #[arg(long, value_name = "OWNER", conflicts_with = "key")]
    owner: Option<String>,
    /// For the limit owner of this key alone
    #[arg(long, value_name = "KEY")]
    key: Option<Name>,
    /// For this bucket alone, as `sidekey limits list` shows it
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
}

/// Pin a limit on a service while the proxy runs
///
/// A running proxy follows within a second, and so does every later one, until the limit is over or taken back by
/// `sidekey limits unpin`. It counts beside the limits of proxy.toml and what the service itself said: the stricter governs.
/// Each request counts once. Pinned again, the new limit takes the place of the former.
#[derive(Debug, Args)]
#[command(after_long_help = PIN_EXAMPLES)]
pub(in crate::cli) struct Pin {
    #[command(flatten)]
    target: Target,
    /// How often: 100/s, 60/min, 1000/h or 10000/d
    #[arg(value_name = "RATE", value_parser = read_rate)]
    rate: Option<Rate>,
    /// How many may be under way, with a rate or without one
    #[arg(long, value_name = "COUNT", value_parser = read_places)]
    concurrency: Option<NonZeroU32>,
    /// For how long, such as 2h
    #[arg(long = "for", value_name = "DURATION", value_parser = read_span, conflicts_with = "until")]
    span: Option<Duration>,
    /// Until when: a date (that day included), an RFC 3339 moment
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
}

/// Take a pinned limit back
///
/// A running proxy follows within a second; who waits for it is let through.
#[derive(Debug, Args)]
#[command(after_long_help = UNPIN_EXAMPLES)]
pub(in crate::cli) struct Unpin {
    #[command(flatten)]
    target: Target,
}

impl Target {
    fn asked(&self) -> PinTarget {
        let Self { service, owner, key, bucket } = self;
        PinTarget { service: service.clone(), owner: owner.clone(), key: key.clone(), bucket: bucket.clone() }
    }
}

fn read_rate(text: &str) -> Result<Rate, String> {
    rate(text).map_err(|error| error.to_string())
}

fn read_places(text: &str) -> Result<NonZeroU32, String> {
    let count = text.parse().map_err(|_| "expected a whole number of requests, such as 4")?;
    NonZeroU32::new(count).ok_or_else(|| "0 would admit no request: use 1 or more".to_owned())
}

fn read_span(text: &str) -> Result<Duration, String> {
    let span = duration(text).map_err(|_| "expected a duration with its unit, such as 30m, 2h or 7d")?;
    if span < Duration::from_secs(1) { Err("it would be over at once: use 1s or more".to_owned()) } else { Ok(span) }
}

/// Until when, in Unix seconds.
fn end(arguments: &Pin, now: i64) -> anyhow::Result<Option<i64>> {
    if let Some(span) = arguments.span {
        let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        return Ok(Some(now.saturating_add(seconds)));
    }
    let Some(text) = arguments.until.as_deref() else { return Ok(None) };
    match moment::expiry(text, now) {
        Some(at) if at > now => Ok(Some(at)),
        Some(_) => Err(wrong_use(format!("--until {text} lies in the past"))),
        None => Err(wrong_use("--until takes a date such as 2026-12-01 or a moment such as 2026-12-01T12:00:00Z")),
    }
}

pub(super) fn pin(arguments: &Pin, session: &mut Session) -> anyhow::Result<()> {
    if arguments.rate.is_none() && arguments.concurrency.is_none() {
        return Err(wrong_use("say what is pinned: a rate such as 100/min, --concurrency COUNT, or both"));
    }
    let order = PinOrder {
        target: arguments.target.asked(),
        rate: arguments.rate,
        concurrency: arguments.concurrency,
        until: end(arguments, session.now())?,
    };
    let Opened { operations, actor, .. } = Opened::existing(session)?.ready()?;
    let pinned = operations.pin_limit(&actor, order)?;
    let Target { service, bucket, .. } = &arguments.target;
    if let Some(bucket) = bucket
        && !operations.knows_bucket(service, bucket)?
    {
        session.screen.note(format!(
            "Nothing is known of a bucket `{bucket}` of {service} yet: the limit holds nothing before {service} names one so."
        ))?;
    }
    let until = pinned.until.map(|at| format!(" until {} UTC", moment::shown(at.as_second())));
    session.screen.say(format!(
        "Pinned: {}{}, {}. A running proxy follows within a second.",
        arguments.target.service,
        in_words(&arguments.target),
        format_args!("{}{}", pinned.limit, until.unwrap_or_default()),
    ))?;
    Ok(())
}

pub(super) fn unpin(arguments: &Unpin, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?.ready()?;
    operations.unpin_limit(&actor, arguments.target.asked())?;
    session.screen.say(format!(
        "Nothing is pinned on {}{} any more. A running proxy follows within a second.",
        arguments.target.service,
        in_words(&arguments.target)
    ))?;
    Ok(())
}

fn in_words(target: &Target) -> String {
    let owner = target.owner.as_ref().map(|owner| format!(", limit owner {owner}"));
    let key = target.key.as_ref().map(|key| format!(", limit owner of {key}"));
    let bucket = target.bucket.as_ref().map(|bucket| format!(", bucket {bucket}"));
    [owner, key, bucket].into_iter().flatten().collect()
}
