//! What a plan can ask for, and what was seen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::client::{Client, Sender, open_tunnel};
use crate::{Failure, wait_for_the_word};

/// As much as is read at once.
const PIECE: usize = 256 * 1024;

/// What was seen. Times in microseconds.
#[derive(Serialize)]
pub(crate) struct Seen {
    requests: usize,
    micros: u64,
    bytes: u64,
    p50_us: f64,
    p99_us: f64,
    mean_us: f64,
    /// How many connections resumed a TLS session.
    resumed: usize,
    /// What went wrong, and how often.
    errors: BTreeMap<String, usize>,
}

/// What is noted on the way.
#[derive(Default)]
struct Notes {
    begun: usize,
    times: Vec<u32>,
    bytes: u64,
    resumed: usize,
    errors: BTreeMap<String, usize>,
}

impl Notes {
    /// Notes one request, and tells whether it went well.
    fn add(&mut self, began: Instant, result: Result<u64, Failure>) -> bool {
        let went_well = result.is_ok();
        match result {
            Ok(bytes) => {
                self.bytes += bytes;
                self.times.push(u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX));
            }
            Err(error) => *self.errors.entry(error.to_string()).or_default() += 1,
        }
        went_well
    }

    fn seen(&mut self, took: Duration) -> Seen {
        self.times.sort_unstable();
        let count = self.times.len();
        let at = |share: f64| {
            let index = (count as f64 * share) as usize;
            self.times.get(index.min(count.saturating_sub(1))).map_or(0.0, |nanos| f64::from(*nanos) / 1e3)
        };
        let sum: f64 = self.times.iter().map(|nanos| f64::from(*nanos)).sum();
        Seen {
            requests: count,
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            bytes: self.bytes,
            p50_us: at(0.5),
            p99_us: at(0.99),
            mean_us: if count == 0 { 0.0 } else { sum / count as f64 / 1e3 },
            resumed: self.resumed,
            errors: std::mem::take(&mut self.errors),
        }
    }
}

/// Requests for `seconds` on connections that are opened before, `streams` at once on each; HTTP/1 has one.
pub(crate) async fn kept(
    client: &Rc<Client>,
    connections: usize,
    streams: usize,
    seconds: f64,
) -> Result<Seen, Failure> {
    let mut open = Vec::new();
    for _ in 0..connections {
        let (mut sender, _) = client.connect().await?;
        client.ask(&mut sender).await?;
        match &sender {
            Sender::H1(_) => open.push(sender),
            Sender::H2(sender) => open.extend((0..streams).map(|_| Sender::H2(sender.clone()))),
        }
    }
    wait_for_the_word()?;
    let notes = Rc::new(RefCell::new(Notes::default()));
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(seconds);
    let works = LocalSet::new();
    for mut sender in open {
        let (client, notes) = (Rc::clone(client), Rc::clone(&notes));
        works.spawn_local(async move {
            while Instant::now() < until {
                let began = Instant::now();
                let result = client.ask(&mut sender).await;
                if !notes.borrow_mut().add(began, result) {
                    return;
                }
            }
        });
    }
    works.await;
    Ok(notes.take().seen(began.elapsed()))
}

/// `count` times, or for `seconds`, a fresh connection and one request, `at_once` beside each other.
pub(crate) async fn fresh(client: &Rc<Client>, at_once: usize, count: usize, seconds: f64) -> Result<Seen, Failure> {
    // Makes the certificate, fills the proxy's pool, and is the first session where sessions are resumed.
    for _ in 0..at_once * 2 {
        let (mut sender, _) = client.connect().await?;
        client.ask(&mut sender).await?;
    }
    wait_for_the_word()?;
    let notes = Rc::new(RefCell::new(Notes::default()));
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(seconds);
    let works = LocalSet::new();
    for _ in 0..at_once {
        let (client, notes) = (Rc::clone(client), Rc::clone(&notes));
        works.spawn_local(async move {
            while Instant::now() < until && notes.borrow().begun < count {
                notes.borrow_mut().begun += 1;
                let began = Instant::now();
                let result = once(&client, &notes).await;
                if !notes.borrow_mut().add(began, result) {
                    return;
                }
            }
        });
    }
    works.await;
    Ok(notes.take().seen(began.elapsed()))
}

async fn once(client: &Client, notes: &RefCell<Notes>) -> Result<u64, Failure> {
    let (mut sender, resumed) = client.connect().await?;
    notes.borrow_mut().resumed += usize::from(resumed);
    client.ask(&mut sender).await
}

/// One answer, however large.
pub(crate) async fn download(client: &Client) -> Result<Seen, Failure> {
    let (mut sender, _) = client.connect().await?;
    wait_for_the_word()?;
    let (began, mut notes) = (Instant::now(), Notes::default());
    let result = client.ask(&mut sender).await;
    notes.add(began, result);
    Ok(notes.seen(began.elapsed()))
}

/// `bytes` through a tunnel to a host that nobody knows.
pub(crate) async fn blind(address: &str, bytes: u64) -> Result<Seen, Failure> {
    wait_for_the_word()?;
    let (began, mut notes) = (Instant::now(), Notes::default());
    let mut stream = TcpStream::connect(address).await?;
    open_tunnel(&mut stream, "stranger.test:443").await?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    let mut piece = vec![0; PIECE];
    let mut count = 0;
    loop {
        match stream.read(&mut piece).await? {
            0 => break,
            read => count += read as u64,
        }
    }
    let whole = if count == bytes { Ok(count) } else { Err(format!("{count} bytes instead of {bytes}").into()) };
    notes.add(began, whole);
    Ok(notes.seen(began.elapsed()))
}
