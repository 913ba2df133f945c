//! What is counted of calls, and how counts add up. Everything is a sum, so that cores, minutes, hours and days are added in
//! any order.

use http::Method;

use super::call::Call;
use super::latency::{Latency, micros};
use crate::domain::Code;

/// The classes of the upstream's answers; the first is for clients that left before there was one.
pub const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The sums over some calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// The upstream's answers by class, in the order of [`CLASSES`].
    pub answered: [u64; CLASSES.len()],
    /// Of these, 401.
    pub unauthorized: u64,
    /// Of these, 403.
    pub forbidden: u64,
    /// Answers 429 of the upstream, those after which it was sent again with them.
    pub throttled: u64,
    /// Calls that sidekey refused and did not send.
    pub refused: u64,
    /// Of these, for a limit of ours.
    pub limited: u64,
    /// Of these, because nobody knows who called.
    pub strangers: u64,
    /// Calls that were sent, or were to be, and got no answer that could be passed on.
    pub failed: u64,
    /// Calls that waited at the gate.
    pub waits: u64,
    /// How long these waited together, in microseconds.
    pub wait_us: u64,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of answers' bodies.
    pub bytes_out: u64,
    /// How long calls took that the upstream answered, from the first byte to the last.
    pub latency: Latency,
}

impl Counts {
    /// All calls.
    pub fn calls(&self) -> u64 {
        self.sent() + self.refused
    }

    /// Calls that went upstream, or were on their way.
    pub fn sent(&self) -> u64 {
        self.answered.iter().sum::<u64>() + self.failed
    }

    /// Answers 401 and 403 of the upstream.
    pub fn auth_failures(&self) -> u64 {
        self.unauthorized + self.forbidden
    }

    /// What went wrong behind sidekey: no answer, or one of the class 5xx.
    pub fn errors(&self) -> u64 {
        self.failed + self.answered.last().copied().unwrap_or(0)
    }

    /// Counts one call.
    #[inline]
    pub(super) fn add(&mut self, call: &Call<'_>) {
        match call.code {
            None => self.answer(call),
            Some(code) if call.attempts == 0 => {
                self.refused += 1;
                self.limited += u64::from(code == Code::RateLimited);
                self.strangers += u64::from(code == Code::CallerUnknown);
            }
            Some(_) => self.failed += 1,
        }
        self.throttled += u64::from(call.turned_down);
        if !call.wait.is_zero() {
            self.waits += 1;
            self.wait_us = self.wait_us.saturating_add(micros(call.wait));
        }
        self.bytes_in = self.bytes_in.saturating_add(call.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(call.bytes_out);
    }

    #[inline]
    fn answer(&mut self, call: &Call<'_>) {
        let class = usize::from(call.status / 100).min(CLASSES.len() - 1);
        if let Some(count) = self.answered.get_mut(class) {
            *count += 1;
        }
        match call.status {
            401 => self.unauthorized += 1,
            403 => self.forbidden += 1,
            // How long a tunnel stood says nothing of the service, and neither does a client that left.
            0 | 101 => return,
            _ if *call.method == Method::CONNECT => return,
            _ => {}
        }
        self.latency.observe(call.took);
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Self) {
        for (to, from) in self.answered.iter_mut().zip(other.answered) {
            *to += from;
        }
        self.unauthorized += other.unauthorized;
        self.forbidden += other.forbidden;
        self.throttled += other.throttled;
        self.refused += other.refused;
        self.limited += other.limited;
        self.strangers += other.strangers;
        self.failed += other.failed;
        self.waits += other.waits;
        self.wait_us = self.wait_us.saturating_add(other.wait_us);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.latency.merge(&other.latency);
    }
}
