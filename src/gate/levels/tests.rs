//! What is kept of who asked, and how long.

use std::num::NonZeroU32;

use super::*;
use crate::domain::Rate;
use crate::gate::Gates;

#[tokio::test(start_paused = true)]
async fn who_has_not_asked_for_as_long_as_its_rate_takes_is_forgotten_and_who_waits_or_asks_is_not() {
    let (gates, service) = (Gates::default(), ServiceName::new("api").unwrap());
    let two_hours = Duration::from_secs(2 * 60 * 60);
    let gating = Gating {
        per_caller: Some(Level { rate: Rate { count: NonZeroU32::MIN, period: two_hours }, burst: None }),
        ..Gating::default()
    };
    let levels = gates.levels(&service, &gating).unwrap();
    let of = |who: &str| levels.caller.as_ref().unwrap().of(who);
    let known = || -> Vec<String> {
        let views = gates.views().into_iter().filter_map(|view| view.label.owner.map(String::from));
        let mut known: Vec<String> = views.collect();
        known.sort();
        known
    };
    let (waiting, _) = (of("waiting"), of("idle"));
    let first = of("busy");
    drop(of("busy"));
    for _ in 0..2 {
        tokio::time::sleep(KEPT).await;
        gates.sweep();
        assert_eq!(known(), ["busy", "idle", "waiting"], "its rate is not full again before two hours");
    }
    tokio::time::sleep(two_hours).await;
    gates.sweep();
    assert_eq!(known(), ["busy", "idle", "waiting"], "whoever asked since the last look is kept once more");
    assert!(Arc::ptr_eq(&first, &of("busy")), "and found again as it was");
    drop(first);
    tokio::time::sleep(two_hours).await;
    gates.sweep();
    assert_eq!(known(), ["busy", "waiting"]);
    drop(waiting);
    tokio::time::sleep(two_hours).await;
    gates.sweep();
    assert_eq!(known(), [""; 0]);
}
