//! What one audit entry costs: on the core that records it, and in the whole process with hashing and writing.

#![allow(clippy::expect_used, reason = "a measurement that cannot start should stop")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use sidekey::audit::{Entry, Log, Outcome, Recorder};
use sidekey::crypto::digest::{Sha256, hex};
use sidekey::domain::{CredentialId, Name, RequestId, UserId};

/// The names that an entry borrows.
struct Names {
    caller: Name,
    owner: UserId,
    service: Name,
    credential: Name,
    credential_id: CredentialId,
}

impl Names {
    fn new() -> Self {
        let name = |text| Name::new(text).expect("a name");
        Self {
            caller: name("nightly-etl"),
            owner: UserId::new("01938f5e-7b1c-7a52-b8a1-3f0e8f0b6c11"),
            service: name("stripe"),
            credential: name("stripe-prod"),
            credential_id: CredentialId::new("01938f5e-8c2d-7d10-9e77-0a4c1b2d3e4f"),
        }
    }

    fn entry(&self, n: u64) -> Entry<'_> {
        Entry {
            time: Duration::from_micros(1_764_000_000_123_456 + n),
            request_id: RequestId::new(0x9e37_79b9_7f4a_7c15, n),
            door: "path",
            client: "127.0.0.1:50312",
            caller: Some(&self.caller),
            owner: Some(&self.owner),
            service: Some(&self.service),
            credential: Some(&self.credential),
            credential_id: Some(&self.credential_id),
            version: Some(3),
            method: "POST",
            host: "api.stripe.com",
            path: "/v1/payment_intents/pi_3MtwBwLkdIwHu7ix28a3tqPa/confirm",
            status: 200,
            code: None,
            reason: None,
            attempts: 1,
            bytes_in: 512,
            bytes_out: 2048,
            wait: Duration::ZERO,
            upstream: Duration::from_micros(81_234),
            total: Duration::from_micros(82_001),
            outcome: Outcome::Complete,
        }
    }
}

/// The processor time of the whole process, all threads, user and system, in the kernel's hundredths of a second.
fn process_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("the kernel's account of this process");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// How many entries are recorded between two questions for room.
const PER_TURN: u64 = 1000;

/// Sleeps until there is room: waiting by spinning would count as the log's cost.
fn wait_for_room(recorder: &Recorder) {
    while !recorder.has_room() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How fast the entries come in a measurement of the whole process.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// As fast as the log takes them: everything is colder than in a proxy.
    Flood,
    /// Fifty thousand a second, far more than two cores can proxy.
    Busy,
}

/// The processor time of a million entries with the writer, its hashing, its writes and its syncs.
fn whole_process(cores: usize, pace: Pace) {
    const ENTRIES: u64 = 1_000_000;
    let dir = tempfile::tempdir().expect("a folder");
    let names = Names::new();
    let log = Log::open(dir.path()).expect("a log");
    let share = ENTRIES / cores as u64;
    let (cpu, start) = (process_cpu(), wall());
    std::thread::scope(|scope| {
        for _ in 0..cores {
            let (recorder, names) = (log.recorder(), &names);
            scope.spawn(move || {
                for n in 0..share {
                    recorder.record(black_box(&names.entry(n)));
                    match pace {
                        Pace::Flood if n % PER_TURN == 0 => wait_for_room(&recorder),
                        Pace::Busy if n % (500 / cores as u64) == 0 => std::thread::sleep(Duration::from_millis(10)),
                        Pace::Flood | Pace::Busy => {}
                    }
                }
            });
        }
    });
    log.close().expect("everything is written");
    let (cpu, took) = (process_cpu().saturating_sub(cpu), start.elapsed());
    let written: u64 = std::fs::read_dir(dir.path())
        .expect("the folder")
        .map(|item| item.expect("a file").metadata().expect("its size").len())
        .sum();
    println!(
        "{pace:?}, {cores} recording: {} ns of processor time an entry, {} bytes an entry, {ENTRIES} in {took:?}, lost {}",
        cpu.as_nanos() / u128::from(ENTRIES),
        written / ENTRIES,
        log.health().lost,
    );
}

#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn wall() -> Instant {
    Instant::now()
}

/// Recording alone: formatting into the core's buffer. The writer works meanwhile, on another core when there is one.
fn record(c: &mut Criterion) {
    for (cores, pace) in [(1, Pace::Flood), (2, Pace::Flood), (1, Pace::Busy), (2, Pace::Busy)] {
        whole_process(cores, pace);
    }
    let dir = tempfile::tempdir().expect("a folder");
    let names = Names::new();
    let log = Log::open(dir.path()).expect("a log");
    let recorder = log.recorder();
    c.bench_function("audit/record", |b| {
        b.iter_custom(|iterations| {
            // In turns, so that the writer keeps up and no entry is lost; the waiting is not measured.
            let mut took = Duration::ZERO;
            let mut left = iterations;
            while left > 0 {
                wait_for_room(&recorder);
                let turn = left.min(PER_TURN);
                let start = wall();
                for n in 0..turn {
                    recorder.record(black_box(&names.entry(n)));
                }
                took += start.elapsed();
                left -= turn;
            }
            took
        });
    });
    assert_eq!(log.health().lost, 0, "only entries that were written are measured");
    c.bench_function("audit/has_room", |b| b.iter(|| black_box(recorder.has_room())));
}

/// A hash over a batch, against a hash and its text for each entry.
fn hashing(c: &mut Criterion) {
    const ENTRIES: usize = 200;
    let line = [b'x'; 560];
    c.bench_function("audit/hash a batch of 200", |b| {
        b.iter(|| {
            let mut hasher = Sha256::new();
            hasher.update(&[0; 32]);
            for _ in 0..ENTRIES {
                hasher.update(black_box(&line));
            }
            black_box(hex(&hasher.finish()))
        });
    });
    c.bench_function("audit/hash 200 entries one by one", |b| {
        b.iter(|| {
            let mut last = [0; 32];
            for _ in 0..ENTRIES {
                let mut hasher = Sha256::new();
                hasher.update(&last);
                hasher.update(black_box(&line));
                last = hasher.finish();
                black_box(hex(&last));
            }
        });
    });
}

criterion_group!(benches, record, hashing);
criterion_main!(benches);
