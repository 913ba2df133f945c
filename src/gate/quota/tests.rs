//! Quotas over periods, time zones, changes and restarts; who is told, and when.

use std::num::NonZeroU32;

use super::*;

const NOON: i64 = 1_795_435_200; // 2026-11-23T12:00:00Z

fn quota(count: u32, per: Period) -> Quota {
    Quota { count: NonZeroU32::new(count).unwrap(), per }
}

fn meter(count: u32, per: Period, zone: &str) -> Meter {
    let label = Label { of: LimitOf::Share, service: service(), owner: None, bucket: None };
    Meter::new(quota(count, per), TimeZone::get(zone).unwrap(), label, Arc::default())
}

fn at(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

fn service() -> ServiceName {
    ServiceName::new("stripe").unwrap()
}

fn quotas(each: &[Quota]) -> Quotas {
    Quotas { each: each.to_vec(), ..Quotas::default() }
}

#[test]
fn a_quota_is_used_up_and_comes_back_with_the_next_period() {
    for (per, end) in [(Period::Day, NOON + 12 * 3600), (Period::Month, NOON + 12 * 3600 + 7 * 86_400)] {
        let meter = meter(2, per, "UTC");
        for _ in 0..2 {
            meter.look(1, NOON).unwrap();
            meter.take(1, NOON).unwrap();
        }
        assert!(meter.look(1, end - 1).is_err());
        let Err(Refused::Limit { policy, wait, of, .. }) = meter.take(1, NOON) else { panic!("taken") };
        assert_eq!((policy, of), (format!("2/{}", per.as_str()), LimitOf::Share));
        assert_eq!(wait.as_secs(), u64::try_from(end - NOON).unwrap());
        meter.look(1, end).unwrap();
        meter.take(1, end).unwrap();
        assert_eq!(meter.tally.read(), (per.number(end, &TimeZone::UTC), 1));
    }
}

#[test]
fn periods_are_those_of_the_calendar() {
    let utc = TimeZone::UTC;
    for (within, end) in [
        ("2024-02-29T23:59:59Z", "2024-03-01T00:00:00Z"),
        ("2023-02-01T00:00:00Z", "2023-03-01T00:00:00Z"),
        ("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
    ] {
        let (within, end) = (at(within), at(end));
        assert_eq!(Period::Month.end(within, &utc), end);
        assert_eq!(Period::Month.number(end, &utc), Period::Month.number(within, &utc) + 1);
        assert_eq!(Period::Month.number(end - 1, &utc), Period::Month.number(within, &utc));
    }
    let day = |unix| Period::Day.number(unix, &utc);
    assert_eq!((Period::Month.number(0, &utc), day(0), day(86_399), day(86_400)), (0, 0, 0, 1));
    assert_eq!(Period::Day.end(at("2024-02-29T05:00:00Z"), &utc), at("2024-03-01T00:00:00Z"));
}

#[test]
fn a_day_begins_where_the_operator_says_and_is_as_long_as_it_is_there() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    // Winter: midnight is at 23:00 UTC.
    assert_eq!(Period::Day.end(at("2026-11-23T12:00:00Z"), &berlin), at("2026-11-23T23:00:00Z"));
    assert_eq!(Period::Month.end(at("2026-11-23T12:00:00Z"), &berlin), at("2026-11-30T23:00:00Z"));
    // The days on which the clocks change have 23 and 25 hours.
    for (within, hours) in [("2026-03-29T00:30:00Z", 23), ("2026-10-25T00:30:00Z", 25)] {
        let end = Period::Day.end(at(within), &berlin);
        let next = Period::Day.end(end, &berlin);
        assert_eq!(next - end, 24 * 3600, "{within}");
        let begin = end - hours * 3600;
        assert_eq!(Period::Day.number(begin, &berlin), Period::Day.number(end - 1, &berlin), "{within}");
        assert_eq!(Period::Day.number(begin - 1, &berlin) + 1, Period::Day.number(begin, &berlin), "{within}");
    }
    // Where midnight is skipped, the day begins with the first moment after it.
    let beirut = TimeZone::get("Asia/Beirut").unwrap();
    assert_eq!(Period::Day.end(at("2026-03-28T12:00:00Z"), &beirut), at("2026-03-28T22:00:00Z"));
    let late = meter(1, Period::Day, "Europe/Berlin");
    late.take(1, at("2026-11-23T22:59:59Z")).unwrap();
    assert!(late.take(1, at("2026-11-23T22:59:59Z")).is_err());
    late.take(1, at("2026-11-23T23:00:00Z")).unwrap();
}

#[test]
fn four_fifths_and_all_of_a_quota_are_told_once_each() {
    let hall = Arc::<Hall>::default();
    let book = QuotaBook::new(&hall);
    let acme = book.of(&service(), "acme", &quotas(&[quota(10, Period::Month)])).unwrap();
    let mut told = Vec::new();
    for used in 1..=10_u32 {
        acme.take(1).unwrap();
        told.extend(hall.take_news().into_iter().map(|news| (used, news.owner, news.what)));
    }
    let owner = || Some("acme".to_owned());
    let ten = quota(10, Period::Month);
    assert_eq!(told, [(8, owner(), Happened::QuotaNearlyUsedUp(ten, 8)), (10, owner(), Happened::QuotaUsedUp(ten))]);
    assert!(acme.look(1).is_err() && acme.take(1).is_err());
    assert!(hall.take_news().is_empty());
    // A dear request that comes over both tells the worse.
    let dear = book.of(&service(), "other", &quotas(&[quota(10, Period::Month)])).unwrap();
    dear.take(7).unwrap();
    let Err(Refused::Limit { met, .. }) = dear.look(4) else { panic!("it fits") };
    assert_eq!(met.cause, Cause::Quota { quota: ten, left: 3, cost: 4 }, "it does not fit any more");
    dear.take(3).unwrap();
    assert_eq!(hall.take_news().into_iter().map(|news| news.what).collect::<Vec<_>>(), [Happened::QuotaUsedUp(ten)]);
}

#[test]
fn each_limit_owner_has_a_quota_of_its_own_and_one_refusal_uses_up_nothing_of_the_others() {
    let book = QuotaBook::new(&Arc::default());
    let both = quotas(&[quota(5, Period::Day), quota(2, Period::Month)]);
    let (x, y) = (book.of(&service(), "x", &both).unwrap(), book.of(&service(), "y", &both).unwrap());
    x.take(1).unwrap();
    x.take(1).unwrap();
    let Err(Refused::Limit { policy, .. }) = x.take(1) else { panic!("taken") };
    assert_eq!(policy, "2/month");
    y.take(1).unwrap();
    let mut used: Vec<_> = book.collect().into_iter().map(|one| (one.owner, one.per, one.used)).collect();
    used.sort();
    let of = |owner: &str, per, used| (owner.to_owned(), per, used);
    assert_eq!(
        used,
        [of("x", Period::Day, 2), of("x", Period::Month, 2), of("y", Period::Day, 1), of("y", Period::Month, 1)]
    );
}

#[test]
fn what_a_limit_owner_used_outlives_a_change_of_the_quota_and_a_restart() {
    let month = |count| quotas(&[quota(count, Period::Month)]);
    let book = QuotaBook::new(&Arc::default());
    let first = book.of(&service(), "acme", &month(2)).unwrap();
    assert!(Arc::ptr_eq(&first, &book.of(&service(), "acme", &month(2)).unwrap()));
    first.take(2).unwrap();
    let wider = book.of(&service(), "acme", &month(3)).unwrap();
    wider.take(1).unwrap();
    assert!(wider.take(1).is_err(), "what was used before counts");
    let uses = book.collect();
    assert!(book.collect().is_empty());
    let restarted = QuotaBook::new(&Arc::default());
    restarted.resume(uses);
    assert!(restarted.collect().is_empty(), "what came from the store need not go there");
    assert!(restarted.of(&service(), "acme", &month(3)).unwrap().take(1).is_err());
    assert!(restarted.of(&service(), "acme", &Quotas::default()).is_none());
    let left: Vec<(ServiceName, f64)> = restarted.left();
    assert_eq!(left.len(), 1);
    assert!(left[0].1.abs() < 1e-9);
}
