//! The numbers by which all gates of a process work: bounds, times and costs that no service configures for itself.

use std::time::Duration;

/// The numbers of `[gates]`, each with its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateNumbers {
    /// Requests that are under way in the process, from their admission to their answer's last byte.
    pub max_in_flight: u32,
    /// Requests that wait in the process.
    pub max_waiting: u32,
    /// Requests that wait before one gate.
    pub max_waiting_per_gate: u32,
    /// Those of one caller, once the queue is half full.
    pub max_waiting_per_caller: u32,
    /// A closure for longer than this is a limit that is used up.
    pub exhausted_after: Duration,
    /// The longest that headers are believed for which the catalogue does not vouch.
    pub longest_unvouched: Duration,
    /// The longest that those are believed for which it does.
    pub longest_vouched: Duration,
    /// The most that is added to a closure so that not all open in one moment; never more than a tenth of it.
    pub longest_jitter: Duration,
    /// The longest closure that nobody asked for: what doubling ends at.
    pub longest_backoff: Duration,
    /// The time between the first requests after a closure, where no rate is known.
    pub slow_start_step: Duration,
    /// The longest slow start.
    pub longest_slow_start: Duration,
    /// Below this part of a limit, in percent, what is left is spread over the time that is left.
    pub scarce_percent: u32,
    /// What the budget for sending again holds at most, for each limit owner.
    pub resend_quota: u32,
    /// What sending again after a failure costs of it.
    pub resend_cost: u32,
    /// What it costs after a limit that no closed gate holds.
    pub resend_cost_throttled: u32,
    /// How much of the requests of the last ten seconds may be sent again, in percent.
    pub resend_percent: u32,
    /// And how many a second besides.
    pub resend_per_second: u32,
    /// The most that a request pauses before it is sent again after a failure, the first time; it doubles.
    pub first_pause: Duration,
    /// The same after a limit of which nobody says how long.
    pub first_pause_throttled: Duration,
    /// The longest of these pauses.
    pub longest_pause: Duration,
    /// So many failures one after the other open a circuit.
    pub circuit_failures: u32,
    /// So many requests within ten seconds of which half failed open it.
    pub circuit_requests: u32,
    /// For how long a circuit opens the first time; it doubles.
    pub circuit_open: Duration,
    /// For how long at most.
    pub longest_circuit_open: Duration,
    /// Requests in ten minutes that a service calls invalid, before everything to it stops (Discord).
    pub max_invalid: u32,
}

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

impl GateNumbers {
    /// What holds unless it is configured.
    pub const DEFAULT: Self = Self {
        max_in_flight: 20_000,
        max_waiting: 10_000,
        max_waiting_per_gate: 1_000,
        max_waiting_per_caller: 100,
        exhausted_after: minutes(15),
        longest_unvouched: minutes(5),
        longest_vouched: minutes(7 * 24 * 60),
        longest_jitter: Duration::from_secs(2),
        longest_backoff: minutes(5),
        slow_start_step: Duration::from_millis(250),
        longest_slow_start: minutes(10),
        scarce_percent: 20,
        resend_quota: 500,
        resend_cost: 14,
        resend_cost_throttled: 5,
        resend_percent: 20,
        resend_per_second: 10,
        first_pause: Duration::from_millis(50),
        first_pause_throttled: Duration::from_secs(1),
        longest_pause: Duration::from_secs(20),
        circuit_failures: 5,
        circuit_requests: 20,
        circuit_open: Duration::from_secs(5),
        longest_circuit_open: minutes(1),
        max_invalid: 5_000,
    };
}

impl Default for GateNumbers {
    fn default() -> Self {
        Self::DEFAULT
    }
}
