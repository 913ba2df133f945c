//! Moments as people write and read them: dates, ages, the form in tables. UTC throughout, since keys and logs travel.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::record::duration;

const DAY: i64 = 24 * 60 * 60;

/// Reads when a key expires, in Unix seconds: a date (its whole day is still good), an RFC 3339 moment, or a duration from
/// `now`. None when the text is none of these.
pub(super) fn expiry(text: &str, now: i64) -> Option<i64> {
    moment(text, now, |date| midnight(date)?.checked_add(DAY), i64::checked_add)
}

/// Reads since when or until when, in Unix seconds: a date (its midnight), an RFC 3339 moment, or a duration before `now`.
pub(super) fn past(text: &str, now: i64) -> Option<i64> {
    moment(text, now, midnight, i64::checked_sub)
}

fn moment(
    text: &str,
    now: i64,
    of_date: impl Fn(Date) -> Option<i64>,
    of_span: impl Fn(i64, i64) -> Option<i64>,
) -> Option<i64> {
    if let Ok(span) = duration(text) {
        return of_span(now, seconds(span));
    }
    if text.len() == 10 {
        return text.parse::<Date>().ok().and_then(of_date);
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

fn midnight(date: Date) -> Option<i64> {
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

/// `2026-11-23 21:20` in UTC.
pub(super) fn shown(unix: i64) -> String {
    Timestamp::from_second(unix).map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string())
}

/// `2026-11-23 21:20:07` in UTC.
pub(super) fn shown_to_the_second(unix: i64) -> String {
    Timestamp::from_second(unix).map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// `4 min 50 s`: how long from `now`, in at most two units.
pub(super) fn left(unix: i64, now: i64) -> String {
    let left = unix.saturating_sub(now).max(0);
    let in_two = |(large, name): (i64, &str), (small, other): (i64, &str)| match left % large / small {
        0 => format!("{} {name}", left / large),
        rest => format!("{} {name} {rest} {other}", left / large),
    };
    let (day, hour, minute, second) = ((DAY, "d"), (3600, "h"), (60, "min"), (1, "s"));
    match left {
        0..60 => format!("{left} s"),
        60..3600 => in_two(minute, second),
        3600..DAY => in_two(hour, minute),
        _ => in_two(day, hour),
    }
}

/// `3 h ago`: how long before `now`, in one unit.
pub(super) fn ago(unix: i64, now: i64) -> String {
    let past = now.saturating_sub(unix).max(0);
    match past {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} min ago", past / 60),
        3600..DAY => format!("{} h ago", past / 3600),
        _ => format!("{} d ago", past / DAY),
    }
}
