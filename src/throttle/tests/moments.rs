//! The texts by which services say when.

use crate::domain::ResetUnit;
use crate::throttle::when::{Clocks, Moment, moment};

use super::*;

fn until(text: &str, unit: Option<ResetUnit>) -> Option<f64> {
    let none = HeaderMap::new();
    let clocks = Clocks::new(Duration::from_secs(NOW), &none);
    moment(text, unit).and_then(|moment| clocks.until_reset(moment)).map(|wait| wait.as_secs_f64())
}

#[test]
fn a_moment_is_told_by_its_form() {
    for (text, wait) in [
        ("30", Some(30.0)),
        ("0.25", Some(0.25)),
        ("1.337", Some(1.337)),
        // Epochs in whole seconds end somewhere in that second.
        ("1772359230", Some(31.0)),
        ("1772359230.5", Some(30.5)),
        ("1772359230000", Some(31.0)),
        ("1772359230123", Some(30.123)),
        ("20ms", Some(0.02)),
        ("1s", Some(1.0)),
        ("6m0s", Some(360.0)),
        ("2m59.56s", Some(179.56)),
        ("1h0m0s", Some(3600.0)),
        ("1m30s500ms", Some(90.5)),
        ("2026-03-01T10:00:30Z", Some(31.0)),
        ("2026-03-01T10:00:30.250Z", Some(30.25)),
        ("2026-03-01T11:00:30+01:00", Some(31.0)),
        ("2026-03-01T10:15Z", Some(901.0)),
        ("2026-03-01 10:00:30", Some(31.0)),
        ("Sun, 01 Mar 2026 10:00:30 GMT", Some(31.0)),
        ("Sun Mar 01 2026 10:00:30 GMT+0000 (Coordinated Universal Time)", Some(31.0)),
        ("Sun Mar 01 2026 11:00:30 GMT+0100 (Central European Standard Time)", Some(31.0)),
        ("Sun Mar 01 2026 10:00:30 GMT+0000", Some(31.0)),
        // Passed, or nothing at all.
        ("0", None),
        ("1772359200", None),
        ("1772355600", None),
        ("2026-03-01T09:59:59Z", None),
        ("Sun, 01 Mar 2026 09:00:00 GMT", None),
        ("", None),
        ("  ", None),
        ("-1", None),
        ("-30", None),
        ("nan", None),
        ("inf", None),
        ("1e300", None),
        ("5x", None),
        ("s", None),
        ("1h1", None),
        ("soon", None),
        ("99999999999999999999999", None),
    ] {
        let found = until(text, None);
        let close = |found: f64, wait: f64| (found - wait).abs() < 1e-6;
        assert!(found.zip(wait).map_or(found == wait, |(f, w)| close(f, w)), "{text}: {found:?}, not {wait:?}");
    }
}

#[test]
fn a_declared_unit_wins_unless_the_value_cannot_mean_it() {
    for (text, unit, wait) in [
        ("1500", ResetUnit::DeltaMillis, Some(1.5)),
        ("30", ResetUnit::DeltaSeconds, Some(30.0)),
        ("1772359230", ResetUnit::EpochSeconds, Some(31.0)),
        ("1772359230000", ResetUnit::EpochMillis, Some(31.0)),
        ("6m0s", ResetUnit::Duration, Some(360.0)),
        // A time from now of 56 years, and an epoch in 1970, are neither.
        ("1772359230", ResetUnit::DeltaSeconds, Some(31.0)),
        ("30", ResetUnit::EpochSeconds, Some(30.0)),
        ("1772359230", ResetUnit::EpochMillis, Some(31.0)),
        ("2026-03-01T10:00:30Z", ResetUnit::EpochSeconds, Some(31.0)),
    ] {
        assert_eq!(until(text, Some(unit)), wait, "{text} {unit:?}");
    }
}

#[test]
fn fractions_are_never_rounded_to_before_the_hint() {
    for text in ["0.1", "64.57", "2.999999", "0.000001"] {
        let Some(Moment::In(wait)) = moment(text, None) else { panic!("{text}") };
        assert!(wait.as_secs_f64() >= text.parse::<f64>().unwrap(), "{text}: {wait:?}");
    }
}

#[test]
fn a_retry_after_that_no_moment_can_be_is_none() {
    let now = seconds(1_772_360_100.0);
    for (value, wait) in [
        ("30", Some(30.0)),
        ("0", Some(0.0)),
        ("Sun, 01 Mar 2026 10:15:30 GMT", Some(30.0)),
        ("Sun, 01 Mar 2020 10:15:30 GMT", Some(0.0)),
        ("99999999999", None),
        ("soon", None),
        ("-1", None),
    ] {
        assert_eq!(
            crate::throttle::retry_after(&headers(&format!("retry-after: {value}")), now),
            wait.map(seconds),
            "{value}"
        );
    }
}
