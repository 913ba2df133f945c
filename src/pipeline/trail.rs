//! What happened to one request. Opened first and closed when the answer's last byte is gone or the client is: one audit
//! entry and one set of counts per request, refused or not.

mod counted;
mod waits;

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode, Uri};

use crate::access::{Known, Unidentified};
use crate::audit::{self, Outcome, Recorder};
use crate::domain::{Clock, Code, Host, RequestId, SystemClock};
use crate::gate::Permit;
use crate::inject::mask_token;
use crate::metrics::{AnsweredBy, Handshake, Metrics, Observation};
use crate::route::{Door, Target};
use crate::throttle::Reading;
use crate::upstream::{Outgoing, seconds};

use super::error::{OurFault, ProxyError};
use super::inbound::Peer;
use super::snapshot::{Entry, Held};

/// What belongs to one core: its number, its request ids, its audit buffer.
pub struct Core {
    index: usize,
    origin: u64,
    count: Cell<u64>,
    /// The second of the last logged fault, how many were logged in it, and how many were not.
    speech: Cell<(u32, u32, u64)>,
    recorder: Recorder,
    metrics: Arc<Metrics>,
}

/// How many faults a core logs in a second.
const FAULTS_A_SECOND: u32 = 10;

thread_local! {
    static CORE: OnceCell<Core> = const { OnceCell::new() };
}

impl Core {
    /// Makes this thread core number `index`. `origin` must be random: it is the first half of every request id.
    pub fn enter(index: usize, origin: u64, recorder: Recorder, metrics: Arc<Metrics>) {
        CORE.with(|core| {
            let _already =
                core.set(Self { index, origin, count: Cell::new(0), speech: Cell::default(), recorder, metrics });
        });
    }

    /// A request begins: its identifier.
    fn begin(&self) -> RequestId {
        self.metrics.in_flight().up(self.index);
        let count = self.count.get();
        self.count.set(count.wrapping_add(1));
        RequestId::new(self.origin, count)
    }

    /// Whether a fault may be logged: only so many a second, because an upstream that is down must not fill the disk. With
    /// how many were left unsaid since the last one; all of them are in the audit and the metrics.
    fn may_speak(&self) -> Option<u64> {
        let now = seconds();
        let (second, spoken, unsaid) = self.speech.get();
        let spoken = if second == now { spoken } else { 0 };
        if spoken >= FAULTS_A_SECOND {
            self.speech.set((now, spoken, unsaid + 1));
            return None;
        }
        self.speech.set((now, spoken + 1, 0));
        Some(unsaid)
    }

    fn with<T>(act: impl FnOnce(&Self) -> T) -> Option<T> {
        CORE.with(|core| core.get().map(act))
    }
}

/// The record of one request while it is under way.
pub struct Trail(Box<Record>);

struct Record {
    id: RequestId,
    door: Door,
    method: Method,
    uri: Uri,
    host: Option<Host>,
    rest: usize,
    peer: Peer,
    known: Option<Arc<Known>>,
    entry: Option<Arc<Entry>>,
    held: Option<Arc<Held>>,
    status: u16,
    code: Option<Code>,
    reason: Option<&'static str>,
    attempts: u32,
    /// How many of its attempts were answered 429.
    turned_down: u32,
    uploaded: Option<Arc<AtomicU64>>,
    downloaded: u64,
    started: Instant,
    wall: Duration,
    waited: Duration,
    /// How much of that was before anything was sent.
    waited_first: Duration,
    sent: Option<Instant>,
    answered: Option<Instant>,
    outcome: Outcome,
    /// For a tunnel that was to be opened.
    handshake: Option<Handshake>,
}

impl Trail {
    /// Opens the record of a request.
    pub fn open(door: Door, method: &Method, uri: &Uri, target: Option<&Target>, peer: &Peer) -> Self {
        let clock = SystemClock;
        let (host, rest) = match target {
            Some(Target::Hosted { host, .. }) => (Some(host.clone()), 0),
            // The name is the first part of the path, which is kept whole until a service is found.
            Some(Target::Named { .. }) | None => (None, 0),
        };
        Self(Box::new(Record {
            id: Core::with(Core::begin).unwrap_or(RequestId::new(0, 0)),
            door,
            method: method.clone(),
            uri: uri.clone(),
            host,
            rest,
            peer: Arc::clone(peer),
            known: None,
            entry: None,
            held: None,
            status: 0,
            code: None,
            reason: None,
            attempts: 0,
            turned_down: 0,
            uploaded: None,
            downloaded: 0,
            started: clock.now(),
            wall: clock.wall(),
            waited: Duration::ZERO,
            waited_first: Duration::ZERO,
            sent: None,
            answered: None,
            outcome: Outcome::ClientGone,
            handshake: None,
        }))
    }

    /// The request's identifier.
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// When the request came, in Unix seconds.
    pub(super) fn began(&self) -> i64 {
        i64::try_from(self.0.wall.as_secs()).unwrap_or(i64::MAX)
    }

    /// Whether this request's entry will find room in the audit log.
    pub(super) fn check_room() -> Result<(), OurFault> {
        // A thread that is no core writes no audit, so it must not carry requests either.
        if Core::with(|core| core.recorder.has_room()).unwrap_or(false) { Ok(()) } else { Err(OurFault::Audit) }
    }

    pub(super) fn caller(&mut self, known: &Arc<Known>) {
        self.0.known = Some(Arc::clone(known));
    }

    /// Nobody stands behind it, for this reason; with whose token was shown, where that is known.
    pub(super) fn unidentified(&mut self, why: Unidentified, suspect: Option<&Arc<Known>>) {
        self.0.reason = Some(why.as_str());
        self.0.known = suspect.map(Arc::clone);
    }

    pub(super) fn service(&mut self, entry: &Arc<Entry>, target: &Target) {
        self.0.entry = Some(Arc::clone(entry));
        if let Target::Named { rest, .. } = target {
            self.0.rest = *rest;
        }
    }

    pub(super) fn admitted(&mut self, permit: &Permit<Held>) {
        self.0.held = Some(Arc::clone(permit.grant().candidate()));
        self.0.waited = permit.waited();
    }

    /// How long it has waited for its turns.
    pub(super) fn waited(&self) -> Duration {
        self.0.waited
    }

    /// It was admitted once more, after a pause.
    pub(super) fn readmitted(&mut self, permit: &Permit<Held>, pause: Duration) {
        self.0.held = Some(Arc::clone(permit.grant().candidate()));
        self.0.waited += pause + permit.waited();
    }

    /// It waited for so long to be admitted once more, and was not.
    pub(super) fn paused(&mut self, waited: Duration) {
        self.0.waited += waited;
    }

    /// It is sent, for the first time or once more.
    pub(super) fn attempt(&mut self) {
        let record = &mut self.0;
        record.attempts += 1;
        if record.attempts == 1 {
            // A request that did not wait was sent when it came, but for a microsecond: not worth reading the clock.
            let waited = !record.waited.is_zero();
            record.sent = Some(if waited { SystemClock.now() } else { record.started });
            record.waited_first = record.waited;
        }
    }

    /// How often it was sent.
    pub(super) fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The upstream turned it down for a limit.
    pub(super) fn turned_down(&mut self, status: StatusCode, reading: &Reading) {
        self.0.turned_down += u32::from(status == StatusCode::TOO_MANY_REQUESTS);
        if let Some(entry) = &self.0.entry {
            entry.metrics.turned_down(status, reading.met_what());
        }
    }

    /// The former version of the key carried it.
    pub(super) fn fell_back(&mut self, former: &Arc<Held>) {
        former.entry.metrics.fell_back();
        self.0.held = Some(Arc::clone(former));
    }

    pub(super) fn count_upload(&mut self, mut body: Outgoing) -> Outgoing {
        self.0.uploaded = body.counted();
        body
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        self.0.status = status.as_u16();
        self.0.answered = Some(SystemClock.now());
    }

    pub(super) fn refused(&mut self, code: Code, fault: &ProxyError) {
        let record = &mut self.0;
        record.code = Some(code);
        record.outcome = Outcome::Complete;
        record.turned_away(fault);
        let service = record.entry.as_ref().map_or("", |entry| entry.service.name.as_str());
        let code = code.as_str();
        if matches!(fault, ProxyError::Caller(_) | ProxyError::Gate(_)) {
            tracing::debug!(id = %record.id, code, service, "{fault}");
            return;
        }
        let Some(unsaid) = Core::with(Core::may_speak).flatten() else { return };
        let causes = causes(fault);
        if matches!(fault, ProxyError::Ours(_)) {
            tracing::error!(id = %record.id, code, service, causes, unsaid, "{fault}");
        } else {
            tracing::warn!(id = %record.id, code, service, causes, unsaid, "{fault}");
        }
    }

    pub(super) fn status(&mut self, status: StatusCode) {
        self.0.status = status.as_u16();
    }

    pub(super) fn sent_down(&mut self, bytes: usize) {
        self.0.downloaded += bytes as u64;
    }

    /// Adds what a tunnel carried.
    pub fn carried(&mut self, up: u64, down: u64) {
        self.0.uploaded = Some(Arc::new(AtomicU64::new(up)));
        self.0.downloaded += down;
        self.0.outcome = Outcome::Complete;
    }

    /// Says how it ended; without this, the client is taken to have left.
    pub fn ended(&mut self, outcome: Outcome) {
        self.0.outcome = outcome;
    }

    /// The handshake in a tunnel is over; one that failed is why nothing came through it.
    pub fn shook_hands(mut self, how: Handshake) {
        let record = &mut self.0;
        (record.handshake, record.reason) = (Some(how), how.reason());
        if how.reason().is_none() {
            record.outcome = Outcome::Complete;
        }
        if how == Handshake::Untrusted
            && let Some(unsaid) = Core::with(Core::may_speak).flatten()
        {
            let host = record.host.as_ref().map_or("", Host::as_str);
            let client = record.peer.text();
            tracing::warn!(id = %record.id, host, client, unsaid, "a client does not trust sidekey's certificate authority: see docs/ca.md");
        }
    }

    /// A tunnel stands, or the protocol was switched.
    pub fn opened(&mut self, status: StatusCode) {
        self.answered(status);
    }
}

impl Record {
    /// How long it was with the upstream: since it was sent, without what it waited between two attempts.
    fn upstream_until(&self, then: Instant) -> Duration {
        let since = self.sent.map(|sent| then.saturating_duration_since(sent)).unwrap_or_default();
        since.saturating_sub(self.waited.saturating_sub(self.waited_first))
    }

    fn close(&self, core: &Core) {
        let now = SystemClock.now();
        let total = now.saturating_duration_since(self.started);
        let upstream = self.upstream_until(self.answered.unwrap_or(now));
        let uploaded = self.uploaded.as_ref().map_or(0, |count| count.load(Ordering::Relaxed));
        if let Some(code) = self.code {
            core.metrics.refused(core.index, code);
        }
        if let Some(entry) = &self.entry {
            let seen = Observation {
                status: self.status,
                answered_by: if self.code.is_some() { AnsweredBy::Sidekey } else { AnsweredBy::Upstream },
                resends: self.attempts.saturating_sub(1),
                bytes_in: uploaded,
                bytes_out: self.downloaded,
                wait: self.waited,
                upstream,
                total: if self.is_tunnel() { Duration::ZERO } else { total },
            };
            entry.metrics.observe(core.index, &seen);
        }
        if let Some(how) = self.handshake {
            core.metrics.shook_hands(core.index, how);
        }
        core.metrics.in_flight().down(core.index);
        // A service that takes its key in the path may have been given the caller's token there.
        let path = mask_token(self.uri.path().get(self.rest..).unwrap_or(""));
        self.count(&path, uploaded, total);
        core.recorder.record(&self.entry(&path, uploaded, upstream, total));
    }

    /// Whether it took as long as two others had to say to each other, which tells nothing of the service.
    fn is_tunnel(&self) -> bool {
        self.status == 101 || (self.method == Method::CONNECT && self.status == 200)
    }

    fn entry<'a>(&'a self, path: &'a str, uploaded: u64, upstream: Duration, total: Duration) -> audit::Entry<'a> {
        let credential = self.held.as_ref().map(|held| &held.credential);
        audit::Entry {
            time: self.wall + total,
            request_id: self.id,
            door: self.door.as_str(),
            client: self.peer.text(),
            caller: self.known.as_ref().map(|known| &known.caller.name),
            owner: self.known.as_ref().map(|known| &known.owner.id),
            service: self.entry.as_ref().map(|entry| &entry.service.name),
            credential: credential.map(|c| &c.name),
            credential_id: credential.map(|c| &c.id),
            version: credential.map(|c| c.version),
            method: self.method.as_str(),
            host: self.host.as_ref().map_or("", Host::as_str),
            path,
            status: self.status,
            code: self.code,
            reason: self.reason,
            attempts: self.attempts,
            bytes_in: uploaded,
            bytes_out: self.downloaded,
            wait: self.waited,
            upstream,
            total,
            outcome: self.outcome,
        }
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        Core::with(|core| self.0.close(core));
    }
}

/// The causes below an error, the nearest first.
fn causes(error: &dyn std::error::Error) -> String {
    let below = std::iter::successors(error.source(), |cause| cause.source());
    below.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
