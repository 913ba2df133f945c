//! Connections kept open, one pool per core. A core's pool is touched by that core's thread alone, so there is no lock.
//! Bounded per host and in total; idle and old connections are closed by `sweep`. It decides nothing about requests.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::destination::Destination;
use super::h1::H1;
use super::h2::H2;
use super::patience;

/// Most connections of one core to one destination.
const MOST_PER_HOST: usize = 1_024;
/// Most connections of one core in total.
const MOST_IN_TOTAL: usize = 8_192;
/// Most unused connections of one core to one destination; after a burst the rest is closed.
const MOST_IDLE: usize = 256;
/// Seconds after which an unused connection is closed.
const IDLE_SECONDS: u32 = 60;
/// Seconds after which a connection takes no further request, so that changes of address are followed.
const AGE_SECONDS: u32 = 600;

/// The destination's own hash, computed once when the snapshot was built.
#[derive(Default)]
struct OwnHash(u64);

impl Hasher for OwnHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type Hosts = HashMap<Arc<Destination>, HostPool, BuildHasherDefault<OwnHash>>;

struct HostPool {
    idle: Vec<(Box<H1>, u32)>,
    shared: Vec<H2>,
    room: Arc<Semaphore>,
    /// Who waits for a connection because the host's room is used up.
    waiting: VecDeque<oneshot::Sender<Box<H1>>>,
}

struct Pool {
    hosts: Hosts,
    room: Arc<Semaphore>,
    /// How many unused connections the gauge has of this core.
    idle: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::new(Pool {
        hosts: Hosts::default(),
        idle: 0,
        room: Arc::new(Semaphore::new(MOST_IN_TOTAL)),
    });
    static SECONDS: Cell<u32> = const { Cell::new(0) };
}

/// Gauges over the pools of all cores.
#[derive(Debug, Default)]
pub struct PoolGauges {
    /// Connections open.
    pub open: AtomicUsize,
    /// Of these, unused; counted once a second, so that requests do not share a counter.
    pub idle: AtomicUsize,
}

/// The gauges of this process.
pub static GAUGES: PoolGauges = PoolGauges { open: AtomicUsize::new(0), idle: AtomicUsize::new(0) };

/// The right to have one connection open; freed on drop.
pub(super) struct Slot {
    _host: OwnedSemaphorePermit,
    _total: OwnedSemaphorePermit,
}

impl Slot {
    fn new(host: OwnedSemaphorePermit, total: OwnedSemaphorePermit) -> Self {
        GAUGES.open.fetch_add(1, Ordering::Relaxed);
        Self { _host: host, _total: total }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        GAUGES.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a kept connection is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// As it was when it was last used: its end, if it has come since, shows before anything is sent.
    Blind,
    /// Only after a look at what the runtime has seen of it since.
    Checked,
}

/// What the pool has for a request.
pub(super) enum Found {
    /// A kept HTTP/1 connection that was alive a moment ago.
    Kept(Box<H1>),
    /// A place on an HTTP/2 connection.
    Shared(H2),
    /// Room for a new one.
    Room(Slot),
    /// No room: wait for a connection or for room.
    Full(Full),
}

/// A place among those who wait for a connection or for room.
pub(super) struct Full {
    waiting: oneshot::Receiver<Box<H1>>,
    host: Arc<Semaphore>,
    total: Arc<Semaphore>,
}

/// What a wait brought.
pub(super) enum Given {
    /// A kept connection that another request gave back.
    Kept(Box<H1>),
    /// Room for a new one.
    Room(Slot),
    /// Nothing: the pool is gone.
    Nothing,
}

impl Full {
    /// Waits for whichever comes first.
    pub(super) async fn wait(self) -> Given {
        let Self { waiting, host, total } = self;
        tokio::select! {
            biased;
            Ok(kept) = waiting => Given::Kept(kept),
            Some(slot) = room(host, total) => Given::Room(slot),
            else => Given::Nothing,
        }
    }
}

impl Pool {
    fn host(&mut self, destination: &Arc<Destination>) -> &mut HostPool {
        self.hosts.entry(Arc::clone(destination)).or_insert_with(|| HostPool {
            idle: Vec::new(),
            shared: Vec::new(),
            room: Arc::new(Semaphore::new(MOST_PER_HOST)),
            waiting: VecDeque::new(),
        })
    }
}

/// The pool's clock on this core: seconds, moved by [`sweep`].
pub fn seconds() -> u32 {
    SECONDS.get()
}

/// Looks for a connection to `destination`. What turns out dead is dropped after the pool is released.
pub(super) fn find(destination: &Arc<Destination>, trust: Trust) -> Found {
    let mut dead = Vec::new();
    let found = POOL.with_borrow_mut(|pool| {
        let seconds = seconds();
        let total = Arc::clone(&pool.room);
        if let Some(host) = pool.hosts.get_mut(destination) {
            if let Some(shared) = host.shared.iter().find(|h2| h2.has_room(seconds, AGE_SECONDS)) {
                return Found::Shared(shared.clone());
            }
            while let Some((mut kept, _)) = host.idle.pop() {
                if (trust == Trust::Blind && kept.is_ready()) || kept.is_alive() {
                    return Found::Kept(kept);
                }
                dead.push(kept);
            }
        }
        let host = pool.host(destination);
        let rooms = (Arc::clone(&host.room).try_acquire_owned(), Arc::clone(&total).try_acquire_owned());
        if let (Ok(host), Ok(total)) = rooms {
            return Found::Room(Slot::new(host, total));
        }
        let (hand, waiting) = oneshot::channel();
        host.waiting.push_back(hand);
        Found::Full(Full { waiting, host: Arc::clone(&host.room), total })
    });
    drop(dead);
    found
}

/// Waits for room where [`find`] found none.
async fn room(host: Arc<Semaphore>, total: Arc<Semaphore>) -> Option<Slot> {
    let host = host.acquire_owned().await.ok()?;
    let total = total.acquire_owned().await.ok()?;
    Some(Slot::new(host, total))
}

/// Takes a connection back after its answer has ended: to whoever waits longest, else to the idle ones.
pub(super) fn keep(mut connection: Box<H1>) {
    let surplus = POOL.with_borrow_mut(|pool| {
        let seconds = seconds();
        if connection.is_older_than(seconds, AGE_SECONDS) {
            return Some(connection);
        }
        let destination = Arc::clone(connection.destination());
        let host = pool.host(&destination);
        while let Some(hand) = host.waiting.pop_front() {
            match hand.send(connection) {
                Ok(()) => return None,
                Err(back) => connection = back,
            }
        }
        if host.idle.len() >= MOST_IDLE {
            return Some(connection);
        }
        host.idle.push((connection, seconds));
        None
    });
    drop(surplus);
}

/// Makes an HTTP/2 connection known, so that later requests share it.
pub(super) fn share(connection: H2) {
    POOL.with_borrow_mut(|pool| {
        let destination = Arc::clone(connection.destination());
        pool.host(&destination).shared.push(connection);
    });
}

/// Once a second on every core: moves the pool's clock and closes what is dead, idle too long or too old.
pub fn sweep() {
    let now = SECONDS.get().wrapping_add(1);
    SECONDS.set(now);
    patience::sweep();
    let (mut closed, mut ended) = (Vec::new(), Vec::new());
    POOL.with_borrow_mut(|pool| {
        for host in pool.hosts.values_mut() {
            closed.extend(host.idle.extract_if(.., |(connection, since)| {
                let idle = now.wrapping_sub(*since);
                idle >= IDLE_SECONDS || connection.is_older_than(now, AGE_SECONDS) || !connection.is_alive()
            }));
            ended.extend(host.shared.extract_if(.., |h2| !h2.is_worth_keeping(now, AGE_SECONDS, IDLE_SECONDS)));
            host.waiting.retain(|hand| !hand.is_closed());
        }
        pool.hosts.retain(|_, host| !host.is_unused());
        let idle = pool.hosts.values().map(|host| host.idle.len()).sum();
        GAUGES.idle.fetch_add(idle, Ordering::Relaxed);
        GAUGES.idle.fetch_sub(std::mem::replace(&mut pool.idle, idle), Ordering::Relaxed);
    });
}

impl HostPool {
    fn is_unused(&self) -> bool {
        let none_open = self.room.available_permits() == MOST_PER_HOST;
        none_open && self.idle.is_empty() && self.shared.is_empty() && self.waiting.is_empty()
    }
}

/// A context whose wake-ups go nowhere: for looking at a connection that somebody else will drive.
pub(super) fn quiet() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
