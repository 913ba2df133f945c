//! What sending again may cost, and how long the pause before it is.

use proptest::prelude::*;

use super::*;

/// A budget after so many requests in this second.
fn busy(requests: u32, second: u64) -> Budget {
    let budget = Budget::default();
    (0..requests).for_each(|_| budget.begun(second));
    budget
}

#[test]
fn a_quota_of_500_pays_for_resends_and_is_refunded_by_success() {
    let budget = busy(10_000, 5);
    let cost = budget.take(Class::Transient, 5).unwrap();
    assert_eq!(budget.left(), 486);
    budget.refund(cost);
    assert_eq!(budget.left(), 500);
    let _lost = budget.take(Class::Throttled, 5).unwrap();
    assert_eq!(budget.left(), 495);
    (0..9).for_each(|_| budget.succeeded());
    assert_eq!(budget.left(), 500);
    let taken = (0..1000).map_while(|_| budget.take(Class::Overloaded, 5)).count();
    assert_eq!((taken, budget.left()), (35, 10));
    // What is too little for a failure is enough for a limit.
    assert!(budget.take(Class::Throttled, 5).is_some());
}

#[test]
fn resends_keep_to_a_fifth_of_the_requests_and_a_hundred() {
    let budget = busy(0, 100);
    let take = |budget: &Budget, second| {
        let taken = budget.take(Class::Throttled, second);
        taken.inspect(|cost| budget.refund(*cost)).is_some()
    };
    let all = |budget: &Budget, second| (0..10_000).take_while(|_| take(budget, second)).count();
    assert_eq!(all(&budget, 100), 100);
    assert_eq!(all(&budget, 109), 0);
    // Ten seconds later they are forgotten.
    assert_eq!(all(&budget, 110), 100);
    let budget = busy(1000, 100);
    assert_eq!(all(&budget, 104), 300);
}

#[test]
fn what_is_not_made_after_all_is_as_if_nobody_had_asked() {
    let budget = Budget::default();
    for second in 100..200 {
        for _ in 0..100 {
            let cost = budget.take(Class::Transient, second).unwrap();
            budget.give_back(cost);
        }
        assert_eq!(budget.left(), 500);
    }
    let old = budget.take(Class::Throttled, 200).unwrap();
    let taken =
        (0..1000).map_while(|_| budget.take(Class::Throttled, 210).inspect(|cost| budget.refund(*cost))).count();
    budget.give_back(old);
    assert_eq!((taken, budget.left()), (100, 500));
    assert!(budget.take(Class::Throttled, 210).is_none(), "its second was over");
}

#[test]
fn a_service_that_always_fails_is_asked_at_most_a_fifth_more() {
    let budget = Budget::default();
    let mut resends = 0;
    for request in 0..1000u64 {
        let now = request / 100;
        budget.begun(now);
        resends += (0..2).filter(|_| budget.take(Class::Overloaded, now).is_some()).count();
    }
    assert!(resends <= 200, "{resends} resends for 1000 requests");
}

#[test]
fn pauses_without_a_hint_double_up_to_twenty_seconds() {
    for (class, resend, seconds) in [
        (Class::Throttled, 1, 1.0),
        (Class::Throttled, 2, 2.0),
        (Class::Throttled, 5, 16.0),
        (Class::Throttled, 6, 20.0),
        (Class::Throttled, u32::MAX, 20.0),
        (Class::Transient, 1, 0.05),
        (Class::Overloaded, 2, 0.1),
        (Class::Transient, 40, 20.0),
    ] {
        assert_eq!(pause(class, None, resend, 1.0), super::seconds(seconds), "{class:?} {resend}");
        assert_eq!(pause(class, None, resend, 0.0), Duration::ZERO);
    }
}

proptest! {
    #[test]
    fn a_pause_is_never_shorter_than_the_hint_and_little_longer(
        hint in 0u64..10_000_000_000, resend in any::<u32>(), chance in any::<f64>(),
    ) {
        let hint = Duration::from_millis(hint);
        let pause = pause(Class::Throttled, Some(hint), resend, chance);
        prop_assert!(pause >= hint);
        prop_assert!(pause <= hint + (hint / 4).min(Duration::from_secs(5)));
    }

    #[test]
    fn the_quota_stays_within_its_bounds(steps in prop::collection::vec((0u8..4, 0u64..30), 0..600)) {
        let budget = Budget::default();
        let mut costs = Vec::new();
        let mut now = 0;
        for (step, ahead) in steps {
            now += ahead / 10;
            match step {
                0 => budget.begun(now),
                1 => costs.extend(budget.take(Class::Transient, now)),
                2 => costs.pop().into_iter().for_each(|cost| budget.refund(cost)),
                _ => budget.succeeded(),
            }
            prop_assert!(budget.left() <= 500);
        }
    }
}
