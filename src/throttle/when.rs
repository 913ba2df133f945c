//! When: the texts by which services say until when to wait, in whatever unit they mean. Knows no header and no service.
//!
//! Invariant: what comes out is never negative and never before the moment that the text names.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::domain::ResetUnit;

use super::scan;

/// From here on a number counts seconds since the epoch (2001), not from now (31 years).
const EPOCH_SECONDS: f64 = 1e9;
/// From here on it counts milliseconds since the epoch (1973), not seconds (the year 5138).
const EPOCH_MILLIS: f64 = 1e11;
/// No moment lies further ahead: what says more is no date.
const FURTHEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);
/// How far the server's clock may be from ours to be believed.
const CLOSE: Duration = Duration::from_secs(24 * 60 * 60);
/// A server that tells whole seconds has its new window somewhere within the next one.
const WITHIN_SECOND: Duration = Duration::from_secs(1);

/// A moment as a text names it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Moment {
    /// So long from now.
    In(Duration),
    /// At this time since the Unix epoch; to the second when `whole`.
    At { time: Duration, whole: bool },
}

/// What time it is, here and at the server.
pub(super) struct Clocks<'a> {
    now: Duration,
    headers: &'a HeaderMap,
}

impl<'a> Clocks<'a> {
    /// `now` is ours, since the Unix epoch; the server's stands in `headers`.
    pub(super) fn new(now: Duration, headers: &'a HeaderMap) -> Self {
        Self { now, headers }
    }

    /// The server's time: its `Date` when within a day of ours, else ours.
    fn server(&self) -> Duration {
        let date = self.headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(http_date);
        date.filter(|date| date.abs_diff(self.now) <= CLOSE).unwrap_or(self.now)
    }

    /// How long until the reset of a window; none when it has passed, or lies where no reset can.
    pub(super) fn until_reset(&self, moment: Moment) -> Option<Duration> {
        let slack = if matches!(moment, Moment::At { whole: true, .. }) { WITHIN_SECOND } else { Duration::ZERO };
        self.until(moment).map(|wait| wait + slack)
    }

    /// How long until `moment`; none when it has passed, is now, or lies where no moment can.
    pub(super) fn until(&self, moment: Moment) -> Option<Duration> {
        let wait = match moment {
            Moment::In(wait) => wait,
            Moment::At { time, .. } => time.checked_sub(self.server())?,
        };
        (!wait.is_zero() && wait <= FURTHEST).then_some(wait)
    }
}

/// The time that `Retry-After` gives, which is none when it has passed; none where it gives none, or one that lies where no
/// moment can. `now` is ours, since the Unix epoch.
pub fn retry_after(headers: &HeaderMap, now: Duration) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER).and_then(scan::text)?;
    let wait = match moment(value, None)? {
        Moment::In(wait) => wait,
        Moment::At { time, .. } => time.saturating_sub(Clocks::new(now, headers).server()),
    };
    (wait <= FURTHEST).then_some(wait)
}

/// The moment that `text` names. The declared unit counts unless the text cannot mean it: then its own form does. Blank
/// and negative values and what is no number name none.
pub(super) fn moment(text: &str, unit: Option<ResetUnit>) -> Option<Moment> {
    let text = text.trim();
    let number = number(text);
    match (unit, number) {
        (Some(unit), Some(number)) => as_declared(number, unit).or_else(|| as_it_looks(number)),
        (None, Some(number)) => as_it_looks(number),
        (_, None) => duration(text).map(Moment::In).or_else(|| date(text)),
    }
}

/// A number in its declared unit; none when it is too small for an epoch or too large for a time from now.
fn as_declared(number: f64, unit: ResetUnit) -> Option<Moment> {
    match unit {
        ResetUnit::EpochSeconds if (EPOCH_SECONDS..EPOCH_MILLIS).contains(&number) => at(number),
        ResetUnit::EpochMillis if number >= EPOCH_MILLIS => at(number / 1e3),
        ResetUnit::DeltaSeconds if number < EPOCH_SECONDS => seconds(number).map(Moment::In),
        ResetUnit::DeltaMillis if number < EPOCH_SECONDS => seconds(number / 1e3).map(Moment::In),
        _ => None,
    }
}

/// A number in the unit that its size gives away.
fn as_it_looks(number: f64) -> Option<Moment> {
    if number >= EPOCH_MILLIS {
        at(number / 1e3)
    } else if number >= EPOCH_SECONDS {
        at(number)
    } else {
        seconds(number).map(Moment::In)
    }
}

fn at(epoch: f64) -> Option<Moment> {
    seconds(epoch).map(|time| Moment::At { time, whole: time.subsec_nanos() == 0 })
}

/// A plain decimal number that is not negative. `1e9`, `inf` and `nan`, which Rust would read, are none.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

/// Rounded up to the next microsecond, for a binary fraction may lie just below the decimal one that was written.
fn seconds(number: f64) -> Option<Duration> {
    let micros = (number * 1e6 - 1e-3).ceil().max(0.0);
    Duration::try_from_secs_f64(micros / 1e6).ok()
}

/// A duration as Go prints it: `20ms`, `1s`, `6m0s`, `2m59.56s`, `1h0m0s`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic() || c == 'µ')?;
        let (count, tail) = rest.split_at(end);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(seconds(number(count)? * unit)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// A date in any of the forms that are met: RFC 3339 and ISO 8601 (also without seconds, or without a zone, which is UTC
/// then), HTTP's three, and JavaScript's.
fn date(text: &str) -> Option<Moment> {
    let since_epoch = |time: Timestamp| {
        let time = Duration::try_from(time.as_duration()).ok()?;
        Some(Moment::At { time, whole: time.subsec_nanos() == 0 })
    };
    if let Ok(time) = text.parse::<Timestamp>() {
        return since_epoch(time);
    }
    if let Some(time) = http_date(text) {
        return Some(Moment::At { time, whole: true });
    }
    if let Ok(time) = text.parse::<DateTime>() {
        return since_epoch(time.to_zoned(TimeZone::UTC).ok()?.timestamp());
    }
    let without_name = text.split(" (").next()?;
    let time = strtime::parse("%a %b %d %Y %H:%M:%S GMT%z", without_name).ok()?.to_timestamp().ok()?;
    since_epoch(time)
}

/// A date as HTTP writes it (RFC 9110 §5.6.7), since the Unix epoch.
fn http_date(text: &str) -> Option<Duration> {
    httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()
}
