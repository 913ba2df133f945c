//! The configured limits: rate, burst, places, patience. The rate runs on the real clock, in tens of milliseconds.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::{Limits, Name, Rate};

fn limits(rate: Option<(u32, u64)>, burst: Option<u32>, concurrency: Option<u32>, max_wait_ms: u64) -> Limits {
    Limits {
        rate: rate.map(|(n, s)| Rate { count: NonZeroU32::new(n).unwrap(), period: Duration::from_secs(s) }),
        burst: burst.and_then(NonZeroU32::new),
        concurrency: concurrency.and_then(NonZeroU32::new),
        max_wait: Duration::from_millis(max_wait_ms),
    }
}

#[test]
fn no_limits_need_no_gate() {
    assert!(Gate::new(Limits::default(), LimitOf::Service).is_none());
}

#[tokio::test]
async fn a_burst_passes_at_once_and_the_next_waits_for_the_rate() {
    let gate = Gate::new(limits(Some((50, 1)), Some(3), None, 5_000), LimitOf::Service).unwrap();
    for _ in 0..3 {
        assert_eq!(gate.pass(None).await.unwrap().1, Duration::ZERO);
    }
    let (_, waited) = gate.pass(None).await.unwrap();
    assert!(waited >= Duration::from_millis(10) && waited < Duration::from_millis(500), "{waited:?}");
}

#[tokio::test]
async fn a_wait_longer_than_the_patience_is_refused_at_once_with_the_time() {
    let gate = Gate::new(limits(Some((1, 60)), None, None, 30_000), LimitOf::Service).unwrap();
    gate.pass(None).await.unwrap();
    let started = tokio::time::Instant::now();
    let Err(Refused::Limit { wait, policy, .. }) = gate.pass(Some(Duration::from_secs(2))).await else {
        panic!("admitted")
    };
    assert!(wait > Duration::from_secs(50), "{wait:?}");
    assert_eq!(policy, "1/60s");
    assert!(started.elapsed() < Duration::from_millis(500));
    assert_eq!(gate.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn places_are_freed_on_drop_and_patience_ends_the_wait() {
    let gate = Gate::new(limits(None, None, Some(1), 2_000), LimitOf::Service).unwrap();
    let first = gate.pass(None).await.unwrap();
    assert!(matches!(gate.pass(None).await, Err(Refused::Limit { .. })));
    drop(first);
    assert!(gate.pass(None).await.is_ok());
    assert_eq!(gate.waiting(), 0);
}

#[test]
fn a_gate_outlives_a_reload_that_leaves_its_limits() {
    let gates = Gates::default();
    let name = Name::new("stripe").unwrap();
    let same = limits(Some((5, 1)), None, None, 1_000);
    let first = gates.of(&name, same).unwrap();
    assert!(Arc::ptr_eq(&first, &gates.of(&name, same).unwrap()));
    let other = limits(Some((6, 1)), None, None, 1_000);
    assert!(!Arc::ptr_eq(&first, &gates.of(&name, other).unwrap()));
}
