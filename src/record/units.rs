//! Quantities as people write them: durations, sizes, rates, quotas, and a host with a port. An error says what was expected and
//! never repeats the text.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::domain::{Level, Period, Quota, Rate};

const DAY: u64 = 24 * 60 * 60;

/// Why a text is no quantity of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a whole number with `ms`, `s`, `m`, `h` or `d`.
    #[error("expected a duration: a whole number with `ms`, `s`, `m`, `h` or `d`, such as `500ms`, `30s` or `10m`")]
    Duration,
    /// Not a whole number with or without a unit of bytes.
    #[error("expected a size: a whole number of bytes, or one with `KiB`, `MiB`, `GiB`, `KB`, `MB` or `GB`")]
    Size,
    /// Not `COUNT/PERIOD burst COUNT`.
    #[error("expected a rate with a burst, such as `100/s burst 20`")]
    Level,
    /// Not `COUNT/PERIOD`.
    #[error("expected a rate: a count and a period, such as `100/s`, `60/min`, `1000/h` or `10000/d`")]
    Rate,
    /// Not `COUNT/day` or `COUNT/month`.
    #[error("expected a quota: a count and `day` or `month`, such as `1000/day` or `50000/month`")]
    Quota,
    /// A rate or a quota of nothing at all.
    #[error("expected at least 1 in the period")]
    Zero,
    /// A burst of nothing at all.
    #[error("expected a burst of at least 1")]
    NoBurst,
    /// The number does not fit.
    #[error("the number is too large")]
    TooLarge,
    /// What stands behind the colon is no port.
    #[error("expected a port from 1 to 65535 behind the colon")]
    Port,
}

/// Splits `12 MiB` into its digits and its unit; the digits are none when there are none.
fn number(text: &str) -> Option<(Result<u64, UnitError>, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return None;
    }
    Some((digits.parse().map_err(|_| UnitError::TooLarge), unit.trim_start()))
}

/// Parses a duration: `500ms`, `30s`, `5m` (or `5min`), `1h`, `1d`.
///
/// # Errors
/// When the text has another form, or more milliseconds than fit in 64 bits.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    let (count, unit) = number(text).ok_or(UnitError::Duration)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => DAY * 1000,
        _ => return Err(UnitError::Duration),
    };
    count?.checked_mul(milliseconds).map(Duration::from_millis).ok_or(UnitError::TooLarge)
}

/// A duration as people write it, in the largest unit that leaves a whole number: `0s`, `250ms`, `1m`, `7d`.
pub fn in_one_unit(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [("d", u128::from(DAY) * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000)];
    let unit = units.into_iter().find(|(_, unit)| milliseconds > 0 && milliseconds.is_multiple_of(*unit));
    match unit {
        Some((name, unit)) => format!("{}{name}", milliseconds / unit),
        None if milliseconds == 0 => "0s".to_owned(),
        None => format!("{milliseconds}ms"),
    }
}

/// Parses a size in bytes: `65536`, `64KB` (64,000), `256KiB`, `1MiB`. The unit's case does not matter.
///
/// # Errors
/// When the text has another form, or more bytes than fit in 64 bits.
pub fn bytes(text: &str) -> Result<u64, UnitError> {
    let (count, unit) = number(text).ok_or(UnitError::Size)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1000 * 1000,
        "gb" => 1000 * 1000 * 1000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(UnitError::Size),
    };
    count?.checked_mul(factor).ok_or(UnitError::TooLarge)
}

/// Parses a rate: `100/s`, `60/min` or `60/m`, `1000/h`, `10000/d`.
///
/// # Errors
/// When the text has another form, or its count is 0 or above `u32::MAX`.
pub fn rate(text: &str) -> Result<Rate, UnitError> {
    let (count, period) = text.split_once('/').ok_or(UnitError::Rate)?;
    let Some((count, "")) = number(count) else { return Err(UnitError::Rate) };
    let seconds = match period.trim() {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 60 * 60,
        "d" | "day" => DAY,
        _ => return Err(UnitError::Rate),
    };
    let count = u32::try_from(count?).map_err(|_| UnitError::TooLarge)?;
    let count = NonZeroU32::new(count).ok_or(UnitError::Zero)?;
    Ok(Rate { count, period: Duration::from_secs(seconds) })
}

/// Parses a rate with a burst: `100/s`, `100/s burst 20`.
///
/// # Errors
/// When the text has another form, or a count that is not in 1..=4294967295.
pub fn level(text: &str) -> Result<Level, UnitError> {
    let Some((before, burst)) = text.split_once("burst") else {
        return Ok(Level { rate: rate(text)?, burst: None });
    };
    let Some((burst, "")) = number(burst.trim()) else { return Err(UnitError::Level) };
    let burst = u32::try_from(burst?).map_err(|_| UnitError::TooLarge)?;
    Ok(Level { rate: rate(before.trim())?, burst: Some(NonZeroU32::new(burst).ok_or(UnitError::NoBurst)?) })
}

/// Parses a quota: `1000/day` (or `/d`), `50000/month`.
///
/// # Errors
/// When the text has another form, or a count that is not in 1..=4294967295.
pub fn quota(text: &str) -> Result<Quota, UnitError> {
    let (count, period) = text.split_once('/').ok_or(UnitError::Quota)?;
    let Some((count, "")) = number(count) else { return Err(UnitError::Quota) };
    let per = match period.trim() {
        "d" | "day" => Period::Day,
        "month" => Period::Month,
        _ => return Err(UnitError::Quota),
    };
    let count = u32::try_from(count?).map_err(|_| UnitError::TooLarge)?;
    Ok(Quota { count: NonZeroU32::new(count).ok_or(UnitError::Zero)?, per })
}

/// Splits `host`, `host:port`, `[::1]`, `[::1]:port` or a bare IPv6 address into the host's text, with its brackets, and
/// the port. The host itself is not checked.
///
/// # Errors
/// When what stands behind the colon is no port from 1 to 65535.
pub fn host_and_port(text: &str) -> Result<(&str, Option<u16>), UnitError> {
    let colon = match text.find(']') {
        Some(end) => text.get(end + 1..).and_then(|rest| rest.find(':')).map(|at| end + 1 + at),
        None if text.matches(':').count() > 1 => None,
        None => text.find(':'),
    };
    let Some((host, port)) = colon.and_then(|at| text.split_at_checked(at)) else { return Ok((text, None)) };
    let digits = port.trim_start_matches(':');
    let port = digits.parse::<u16>().ok().filter(|p| *p > 0 && digits.bytes().all(|b| b.is_ascii_digit()));
    port.map(|port| (host, Some(port))).ok_or(UnitError::Port)
}
