//! Telling when a file's content has changed: proxy.toml, the files of declared credentials, more certificate authorities.
//! It watches folders, not files, because editors rename and Kubernetes swaps a symbolic link; every event only means
//! "look again", and what counts is the content's digest. A poll catches what no event tells. It keeps no content.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::crypto::digest::{LEN, sha256};

use super::Loaded;
use super::locate::LARGEST;

/// How long further events are gathered after the first.
const GATHERING: Duration = Duration::from_millis(200);
/// How often everything is looked at without an event.
const POLL: Duration = Duration::from_secs(5);
/// How many notices may wait to be taken.
const WAITING: usize = 16;

/// The files whose content has changed, appeared or gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed(pub Vec<PathBuf>);

/// Watches the files of a configuration on a thread of its own, until it is dropped or its notices are taken no more.
#[derive(Debug)]
pub struct Watch {
    orders: Arc<Mutex<Orders>>,
    wake: std_mpsc::SyncSender<()>,
}

/// What the thread is told. It lies beside the queue of wake-ups, so that neither a flood of events nor a slow taker of
/// notices can ever block who gives an order.
#[derive(Debug, Default)]
struct Orders {
    follow: Option<BTreeSet<PathBuf>>,
    stop: bool,
}

/// How patient a watch is.
#[derive(Debug, Clone, Copy)]
struct Pace {
    gathering: Duration,
    poll: Duration,
}

type Digest = Option<[u8; LEN]>;

impl Watch {
    /// Starts watching the files of `loaded`: proxy.toml against the content that was loaded, the others against what
    /// they hold now. To miss no change, start it before the others are read.
    ///
    /// # Errors
    /// When no thread can be started. Without events from the system it polls every five seconds.
    pub fn start(loaded: &Loaded) -> std::io::Result<(Self, mpsc::Receiver<Changed>)> {
        let known = loaded.path.iter().map(|path| (path.clone(), Some(loaded.text_digest))).collect();
        Self::start_at(Pace { gathering: GATHERING, poll: POLL }, &files_of(loaded, &[]), known, true)
    }

    /// Follows the files of a newly loaded configuration instead, and `more` that matter. Never blocks. A file that was not followed before is
    /// told once as changed, since nobody knows what it held when it was read.
    pub fn follow(&self, loaded: &Loaded, more: &[PathBuf]) {
        self.order(|orders| orders.follow = Some(files_of(loaded, more)));
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        // A full queue wakes the thread as well.
        let _ = self.wake.try_send(());
    }

    fn start_at(
        pace: Pace,
        files: &BTreeSet<PathBuf>,
        known: BTreeMap<PathBuf, Digest>,
        events: bool,
    ) -> std::io::Result<(Self, mpsc::Receiver<Changed>)> {
        let (wake, wakes) = std_mpsc::sync_channel(1);
        let (notices, receiver) = mpsc::channel(WAITING);
        let orders = Arc::new(Mutex::new(Orders::default()));
        let watcher = if events { watcher(wake.clone()) } else { None };
        let mut eye = Eye { watcher, folders: BTreeSet::new(), seen: known, untold: BTreeSet::new() };
        // Nothing was read yet: what the files hold now is what they are compared with.
        eye.follow(files);
        let given = Arc::clone(&orders);
        let thread = move || eye.watch(&wakes, &given, &notices, pace);
        std::thread::Builder::new().name("config-watch".to_owned()).spawn(thread)?;
        Ok((Self { orders, wake }, receiver))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.order(|orders| orders.stop = true);
    }
}

/// Everything whose content matters to a configuration.
fn files_of(loaded: &Loaded, more: &[PathBuf]) -> BTreeSet<PathBuf> {
    loaded.path.iter().chain(more).cloned().chain(loaded.config.watched_files()).collect()
}

/// A watcher that turns everything but reading into an event; none when the system has none to give.
fn watcher(wake: std_mpsc::SyncSender<()>) -> Option<RecommendedWatcher> {
    let reading =
        |kind: &EventKind| matches!(kind, EventKind::Access(access) if *access != AccessKind::Close(AccessMode::Write));
    let handler = move |event: notify::Result<notify::Event>| {
        // An error may hide a change, so it is a reason to look as well. Our own reading must not be one. When the queue
        // is full, the thread is about to look anyway.
        if !event.is_ok_and(|event| reading(&event.kind)) {
            let _ = wake.try_send(());
        }
    };
    notify::recommended_watcher(handler)
        .inspect_err(|error| tracing::warn!(%error, "no events for changed files; looking every 5 s instead"))
        .ok()
}

/// What the thread knows.
struct Eye {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    seen: BTreeMap<PathBuf, Digest>,
    /// Changed files for which there was no room among the notices yet.
    untold: BTreeSet<PathBuf>,
}

impl Eye {
    /// Looks whenever there is a reason to, until it is told to stop or nobody listens.
    fn watch(
        mut self,
        wakes: &std_mpsc::Receiver<()>,
        orders: &Mutex<Orders>,
        notices: &mpsc::Sender<Changed>,
        pace: Pace,
    ) {
        loop {
            if wakes.recv_timeout(pace.poll).is_ok() {
                // An editor writes in several steps; what is half written now is whole in a moment. What arrives after
                // this is a reason to look once more.
                std::thread::sleep(pace.gathering);
                let _ = wakes.try_recv();
            }
            self.look();
            // Taken after the look, so that a notice is never told before an order that was given earlier.
            let Orders { follow, stop } = std::mem::take(&mut *orders.lock().unwrap_or_else(PoisonError::into_inner));
            if stop || notices.is_closed() {
                return;
            }
            if let Some(files) = follow {
                let fresh = self.follow(&files);
                self.untold.extend(fresh);
            }
            self.tell(notices);
        }
    }

    /// Tells what has changed, if there is room; else it is told with what changes next, or at the next poll.
    fn tell(&mut self, notices: &mpsc::Sender<Changed>) {
        if self.untold.is_empty() {
            return;
        }
        if let Ok(room) = notices.try_reserve() {
            room.send(Changed(std::mem::take(&mut self.untold).into_iter().collect()));
        }
    }

    /// Takes over another set of files, and gives those that are new and there: they may have changed since they were
    /// read by who asks.
    fn follow(&mut self, files: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
        self.seen.retain(|path, _| files.contains(path));
        self.watch_folders(files);
        let mut fresh = Vec::new();
        for path in files.iter().filter(|path| !self.seen.contains_key(*path)).cloned().collect::<Vec<_>>() {
            let now = digest(&path);
            self.seen.insert(path.clone(), now);
            fresh.extend(now.map(|_| path));
        }
        fresh
    }

    /// Notes the files whose content is another than at the last look.
    fn look(&mut self) {
        let files: BTreeSet<PathBuf> = self.seen.keys().cloned().collect();
        // Watching first: what changes while we read is then an event.
        self.watch_folders(&files);
        for (path, seen) in &mut self.seen {
            let now = digest(path);
            if *seen != now {
                *seen = now;
                self.untold.insert(path.clone());
            }
        }
    }

    /// Watches the folder of each file and of what it links to. Watching one anew is harmless, and is what picks up a
    /// folder that was removed and made again.
    fn watch_folders(&mut self, files: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        let folders: BTreeSet<PathBuf> = files.iter().flat_map(|path| folders_of(path)).collect();
        for gone in self.folders.difference(&folders) {
            let _ = watcher.unwatch(gone);
        }
        for folder in &folders {
            // A folder that does not exist yet is seen by the poll.
            let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
        }
        self.folders = folders;
    }
}

/// The folder in which a path stands, and those of every link on the way to its target.
fn folders_of(path: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut path = path.to_owned();
    for _ in 0..8 {
        let Some(folder) = path.parent().map(Path::to_owned) else { break };
        let target = std::fs::read_link(&path).map(|target| folder.join(target));
        folders.push(folder);
        match target {
            Ok(target) => path = target,
            Err(_) => break,
        }
    }
    folders.extend(path.canonicalize().ok().and_then(|real| real.parent().map(Path::to_owned)));
    folders.dedup();
    folders
}

/// The digest of a regular file; none when it cannot be read. What is larger than any proxy.toml counts by its beginning.
fn digest(path: &Path) -> Digest {
    // Opening a pipe would wait for a writer.
    if !std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(sha256(&bytes))
}

#[cfg(test)]
mod tests;
