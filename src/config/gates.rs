//! `[gates]`: the numbers by which the gates of all services work, each within its bounds.

use std::time::Duration;

use crate::domain::GateNumbers;
use crate::record::{Faults, KeyPath, duration, in_one_unit};

use super::wire::{FileRecord, GatesRecord};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The numbers of the file, and the defaults for what it does not name.
pub(super) fn numbers(file: &FileRecord, faults: &mut Faults) -> GateNumbers {
    let (mut out, record) = (GateNumbers::DEFAULT, &file.gates);
    counts(record, &mut out);
    times(record, &mut out, faults);
    at_odds(record, &out, faults);
    out
}

/// Those that are out of bounds were noted with the shape of the file.
fn counts(record: &GatesRecord, out: &mut GateNumbers) {
    for (given, slot) in [
        (record.max_in_flight, &mut out.max_in_flight),
        (record.max_waiting, &mut out.max_waiting),
        (record.max_waiting_per_gate, &mut out.max_waiting_per_gate),
        (record.max_waiting_per_caller, &mut out.max_waiting_per_caller),
        (record.scarce_percent, &mut out.scarce_percent),
        (record.resend_quota, &mut out.resend_quota),
        (record.resend_cost, &mut out.resend_cost),
        (record.resend_cost_throttled, &mut out.resend_cost_throttled),
        (record.resend_percent, &mut out.resend_percent),
        (record.resend_per_second, &mut out.resend_per_second),
        (record.circuit_failures, &mut out.circuit_failures),
        (record.circuit_requests, &mut out.circuit_requests),
        (record.max_invalid, &mut out.max_invalid),
    ] {
        *slot = given.unwrap_or(*slot);
    }
}

fn times(record: &GatesRecord, out: &mut GateNumbers, faults: &mut Faults) {
    let at = KeyPath::root().key("gates");
    for (key, given, slot, least, most) in [
        ("exhausted_after", &record.exhausted_after, &mut out.exhausted_after, SECOND, 7 * DAY),
        ("longest_unvouched", &record.longest_unvouched, &mut out.longest_unvouched, SECOND, 7 * DAY),
        ("longest_vouched", &record.longest_vouched, &mut out.longest_vouched, SECOND, 31 * DAY),
        ("longest_jitter", &record.longest_jitter, &mut out.longest_jitter, Duration::ZERO, MINUTE),
        ("longest_backoff", &record.longest_backoff, &mut out.longest_backoff, SECOND, DAY),
        ("slow_start_step", &record.slow_start_step, &mut out.slow_start_step, MILLISECOND, MINUTE),
        ("longest_slow_start", &record.longest_slow_start, &mut out.longest_slow_start, SECOND, DAY),
        ("first_pause", &record.first_pause, &mut out.first_pause, Duration::ZERO, MINUTE),
        (
            "first_pause_throttled",
            &record.first_pause_throttled,
            &mut out.first_pause_throttled,
            Duration::ZERO,
            MINUTE,
        ),
        ("longest_pause", &record.longest_pause, &mut out.longest_pause, Duration::ZERO, 2 * MINUTE),
        ("circuit_open", &record.circuit_open, &mut out.circuit_open, MILLISECOND, HOUR),
        ("longest_circuit_open", &record.longest_circuit_open, &mut out.longest_circuit_open, MILLISECOND, DAY),
    ] {
        let Some(text) = given.as_deref() else { continue };
        let fix = format!("use `{}` to `{}`", in_one_unit(least), in_one_unit(most));
        match duration(text) {
            Ok(time) if (least..=most).contains(&time) => *slot = time,
            Ok(_) => faults.quote(at.key(key), "out of bounds", text, &fix),
            Err(error) => faults.quote(at.key(key), error.to_string(), text, &fix),
        }
    }
}

/// Notes what is given and would never count, since another number that holds besides ends it before.
fn at_odds(record: &GatesRecord, numbers: &GateNumbers, faults: &mut Faults) {
    let at = KeyPath::root().key("gates");
    let (longest_circuit, longest_pause) = (numbers.longest_circuit_open, numbers.longest_pause);
    for (key, given, time, longest_key, longest) in [
        ("circuit_open", &record.circuit_open, numbers.circuit_open, "longest_circuit_open", longest_circuit),
        ("first_pause", &record.first_pause, numbers.first_pause, "longest_pause", longest_pause),
        (
            "first_pause_throttled",
            &record.first_pause_throttled,
            numbers.first_pause_throttled,
            "longest_pause",
            longest_pause,
        ),
    ] {
        if let Some(text) = given.as_deref().filter(|_| time > longest) {
            let longest = in_one_unit(longest);
            let problem = format!("longer than `{longest_key}`, which is `{longest}`");
            faults.quote(at.key(key), problem, text, format!("use at most `{longest}`, or raise `{longest_key}`"));
        }
    }
    let mut too_many = |key: &str, given: Option<u32>, most_key: &str, most: u32| {
        if let Some(count) = given.filter(|count| *count > most) {
            let problem = format!("more than `{most_key}`, which is {most}");
            let fix = format!("use at most {most}, or raise `{most_key}`");
            faults.quote(at.key(key), problem, &count.to_string(), fix);
        }
    };
    too_many("max_waiting_per_gate", record.max_waiting_per_gate, "max_waiting", numbers.max_waiting);
    // A budget that holds nothing ends sending again, whatever it would cost.
    if numbers.resend_quota > 0 {
        too_many("resend_cost", record.resend_cost, "resend_quota", numbers.resend_quota);
        too_many("resend_cost_throttled", record.resend_cost_throttled, "resend_quota", numbers.resend_quota);
    }
}
