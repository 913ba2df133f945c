//! Waiting no longer than a limit, at almost no cost when the wait is short: long limits are kept in a list per core that
//! `sweep` looks through once a second, instead of a timer per request. Late by up to a second, never early.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::pool::seconds;

/// Limits shorter than this get a timer of their own, because a second more or less would matter.
const SHORT: Duration = Duration::from_secs(10);

/// Who waits, until when.
#[derive(Default)]
struct Waits {
    places: Vec<Place>,
    free: Vec<usize>,
}

struct Place {
    until: u32,
    waker: Option<Waker>,
}

thread_local! {
    static WAITS: RefCell<Waits> = RefCell::new(Waits::default());
}

/// Runs `work` for at most `limit`; `None` when it took longer. It is pinned where it stands, since a future that is passed
/// on by value is kept twice.
pub(super) async fn within<T>(limit: Duration, mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    if limit < SHORT {
        return Box::pin(tokio::time::timeout(limit, work)).await.ok();
    }
    let limit = u32::try_from(limit.as_secs()).unwrap_or(u32::MAX / 2);
    let mut wait: Option<Wait> = None;
    std::future::poll_fn(|cx: &mut Context<'_>| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let wait = wait.get_or_insert_with(|| Wait::begin(limit));
        if wait.is_over() { Poll::Ready(None) } else { wait.keep(cx.waker()) }
    })
    .await
}

/// A place in the list, given back on drop.
struct Wait {
    place: usize,
    until: u32,
}

impl Wait {
    fn begin(limit: u32) -> Self {
        // One more, because the current second is partly over.
        let until = seconds().wrapping_add(limit).wrapping_add(1);
        let place = WAITS.with_borrow_mut(|waits| {
            let fresh = Place { until, waker: None };
            let Some(place) = waits.free.pop() else {
                waits.places.push(fresh);
                return waits.places.len() - 1;
            };
            if let Some(slot) = waits.places.get_mut(place) {
                *slot = fresh;
            }
            place
        });
        Self { place, until }
    }

    fn is_over(&self) -> bool {
        is_reached(self.until, seconds())
    }

    fn keep<T>(&self, waker: &Waker) -> Poll<T> {
        WAITS.with_borrow_mut(|waits| {
            if let Some(place) = waits.places.get_mut(self.place)
                && !place.waker.as_ref().is_some_and(|known| known.will_wake(waker))
            {
                place.waker = Some(waker.clone());
            }
        });
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let waker = WAITS.with_borrow_mut(|waits| {
            waits.free.push(self.place);
            waits.places.get_mut(self.place).and_then(|place| place.waker.take())
        });
        drop(waker);
    }
}

/// Whether `now` is at or after `until`, on a clock of seconds that may wrap.
fn is_reached(until: u32, now: u32) -> bool {
    now.wrapping_sub(until) < u32::MAX / 2
}

/// Once a second on every core: wakes those whose limit has passed.
pub(super) fn sweep() {
    let now = seconds();
    let over: Vec<Waker> = WAITS.with_borrow_mut(|waits| {
        let late = waits.places.iter_mut().filter(|place| place.waker.is_some() && is_reached(place.until, now));
        late.filter_map(|place| place.waker.take()).collect()
    });
    over.into_iter().for_each(Waker::wake);
}
