//! `[gates]`: the numbers by which the gates of all services work, each within its bounds.

use std::time::Duration;

use crate::domain::GateNumbers;
use crate::record::{Faults, KeyPath, duration};

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
        let fix = format!("use {} ms to {} s, such as `30s` or `10m`", least.as_millis(), most.as_secs());
        match duration(text) {
            Ok(time) if (least..=most).contains(&time) => *slot = time,
            Ok(_) => faults.quote(at.key(key), "out of bounds", text, &fix),
            Err(error) => faults.quote(at.key(key), error.to_string(), text, &fix),
        }
    }
}
