//! The state machine in front of upstreams whose answers and whose own timers come late, as they do on a busy machine: what
//! the pace that is found must not suffer from. Discrete events; time is a number.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::domain::{Clock, SystemClock};

/// An upstream that lets so many through in each window, beginning with the first request.
#[derive(Debug, Clone, Copy)]
struct Upstream {
    limit: u32,
    window: Duration,
    /// Whether a refusal says for how long.
    hints: bool,
}

/// What stands between a request and its outcome.
#[derive(Debug, Clone, Copy)]
struct Weather {
    /// Over how long the requests come.
    arrival: Duration,
    /// How long a request is on its way.
    there: Duration,
    /// How long an answer is on its way, at most; each takes its own time.
    back: Duration,
    /// After which the answers take as long as the requests.
    storm: Duration,
    /// How late the gate's timer is, at most.
    timer: Duration,
    /// How long the gate was open and idle before.
    idle: Duration,
}

/// An answer that a request is one too many, and when the next may come if it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Refusal {
    hint: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Comes,
    Reaches(u32),
    Answered(u32, Option<Refusal>),
    Timer,
}

struct World {
    state: State,
    began: Instant,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    number: u64,
    tickets: Vec<Ticket>,
    waiting: u32,
    unanswered: u32,
    dice: u64,
    weather: Weather,
    window: (Duration, u32),
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    took: Duration,
    /// Requests that were refused and had been sent after the first refusal was known.
    refused_after: u32,
}

impl World {
    fn new(weather: Weather, seed: u64) -> Self {
        let began = SystemClock.now();
        Self {
            state: State::new(Mode::Observe, began),
            began,
            events: BinaryHeap::new(),
            number: 0,
            tickets: Vec::new(),
            waiting: 0,
            unanswered: 0,
            dice: seed | 1,
            weather,
            window: (Duration::ZERO, 0),
        }
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.number += 1;
        self.events.push(Reverse((time, self.number, event)));
    }

    fn chance(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        f64::from(u32::try_from(self.dice >> 32).unwrap()) / f64::from(u32::MAX)
    }

    fn load(&self) -> Load {
        Load {
            unanswered: self.unanswered,
            waiting: self.waiting,
            patience: Duration::from_secs(30),
            ..Load::default()
        }
    }

    fn pump(&mut self, now: Duration) {
        while self.waiting > 0 {
            match self.state.admit(self.began + now, Load { waiting: self.waiting - 1, ..self.load() }) {
                Admission::Go(ticket) => {
                    self.waiting -= 1;
                    self.unanswered += 1;
                    self.tickets.push(ticket);
                    let number = u32::try_from(self.tickets.len() - 1).unwrap();
                    self.at(now + self.weather.there, Event::Reaches(number));
                }
                Admission::At(at) | Admission::HoldUntil(at) => {
                    let late = self.weather.timer.mul_f64(self.chance());
                    self.at((at - self.began).max(now) + late, Event::Timer);
                    return;
                }
                Admission::Hold => return,
            }
        }
    }

    /// What the upstream says: none when it lets the request through.
    fn judge(&mut self, upstream: Upstream, now: Duration) -> Option<Refusal> {
        if now >= self.window.0 + upstream.window || self.window.1 == 0 {
            self.window = (now, 0);
        }
        self.window.1 += 1;
        let left = (self.window.0 + upstream.window).saturating_sub(now);
        (self.window.1 > upstream.limit).then(|| Refusal { hint: upstream.hints.then_some(left) })
    }

    fn play(mut self, upstream: Upstream, requests: u32) -> Outcome {
        let starts = self.weather.idle;
        for number in 0..requests {
            self.at(starts + self.weather.arrival * number / requests, Event::Comes);
        }
        let (mut served, mut refused_after, mut first_refusal) = (0, 0, None);
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            match event {
                Event::Comes => self.waiting += 1,
                Event::Reaches(number) => {
                    let refusal = self.judge(upstream, now);
                    let sent = now.saturating_sub(self.weather.there);
                    refused_after += u32::from(refusal.is_some() && first_refusal.is_some_and(|first| sent > first));
                    let slowest =
                        if now < starts + self.weather.storm { self.weather.back } else { self.weather.there };
                    let back = slowest.mul_f64(self.chance());
                    self.at(now + back, Event::Answered(number, refusal));
                }
                Event::Answered(number, refusal) => {
                    self.unanswered -= 1;
                    let ticket = self.tickets[usize::try_from(number).unwrap()];
                    let class = if refusal.is_some() { Class::Throttled } else { Class::Fine };
                    let reading = Reading { wait: refusal.and_then(|refusal| refusal.hint), ..Reading::plain(class) };
                    let (load, chance) = (self.load(), self.chance());
                    self.state.learn(self.began + now, ticket, &reading, load, chance);
                    if refusal.is_some() {
                        first_refusal.get_or_insert(now);
                        self.waiting += 1;
                    } else {
                        served += 1;
                    }
                }
                Event::Timer => {}
            }
            self.pump(now);
            if served == requests {
                return Outcome { took: now.saturating_sub(starts), refused_after };
            }
            assert!(now < Duration::from_secs(7_200), "it does not end: {served} of {requests} served");
        }
        panic!("held by nobody: {served} of {requests} served")
    }
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

const CALM: Weather = Weather {
    arrival: millis(1),
    there: millis(10),
    back: millis(10),
    storm: millis(0),
    timer: millis(1),
    idle: millis(0),
};

/// 200 requests, of which 50 are let through every two seconds: 2 s closed, then 150 at 25 a second.
const UPSTREAM: Upstream = Upstream { limit: 50, window: Duration::from_secs(2), hints: true };
const AT_BEST: Duration = Duration::from_secs(8);

#[test]
fn a_pace_is_as_good_after_an_idle_time_as_without_one() {
    for seed in 1..=20 {
        let idle = World::new(Weather { idle: Duration::from_secs(25), ..CALM }, seed).play(UPSTREAM, 200);
        assert!(idle.took <= AT_BEST.mul_f64(1.1), "{idle:?}");
        let mute = Upstream { hints: false, ..UPSTREAM };
        let calm = World::new(CALM, seed).play(mute, 200);
        let idle = World::new(Weather { idle: Duration::from_secs(25), ..CALM }, seed).play(mute, 200);
        assert!(idle.took <= calm.took + Duration::from_secs(1), "{idle:?} {calm:?}");
    }
}

#[test]
fn answers_that_come_late_lengthen_the_closure_by_that_and_do_not_lower_the_pace() {
    for (back, seed) in [1_000, 2_500].into_iter().flat_map(|back| (1..=20).map(move |seed| (millis(back), seed))) {
        let storm = World::new(Weather { back, storm: millis(1_500), ..CALM }, seed).play(UPSTREAM, 200);
        assert!(storm.took <= AT_BEST + back + Duration::from_secs(1), "{back:?}: {storm:?}");
        assert!(storm.refused_after <= 4, "{storm:?}");
    }
}

proptest! {
    /// Whatever the weather: everybody is served, hardly anybody is refused once the gate has closed, and what it takes above
    /// the best is the time for which requests and answers were late.
    #[test]
    fn nobody_is_lost_in_any_weather_and_the_pace_is_kept(
        arrival in 0_u64..3_000, there in 1_u64..50, back in 0_u64..2_500, timer in 0_u64..200, idle in 0_u64..100_000, seed: u64,
    ) {
        let weather = Weather {
            arrival: millis(arrival), there: millis(there), back: millis(back), storm: millis(1_500),
            timer: millis(timer), idle: millis(idle),
        };
        let Outcome { took, refused_after } = World::new(weather, seed).play(UPSTREAM, 200);
        let late = millis(arrival + back + 20 * there);
        prop_assert!(took <= AT_BEST.mul_f64(1.1) + late + Duration::from_secs(1), "{took:?} {weather:?}");
        prop_assert!(refused_after <= 10, "{refused_after} {weather:?}");
    }
}
