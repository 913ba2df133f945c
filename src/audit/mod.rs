//! The hash-chained record of every request and every administrative act, in segment files of JSON lines. It records what
//! it is told; what a request was and whether an act may be done is decided elsewhere.
//!
//! **What is kept.** Lines are appended in batches, each closed by a seal whose hash covers the batch and the seal before
//! it ([`verify`] walks it). Hashing and linking each entry alone would cost a third more hashing and make each line a
//! sixth longer, and would show no more: a changed, missing or moved line breaks the seal after it, which names the lines.
//!
//! **Numbers.** An entry has no number of its own. Cores record without talking to each other, so the order is that of the
//! file: the seal fixes the number of the batch's first entry and the rest follow. Numbers have no gaps.
//!
//! **What can be lost.** An administrative act is synced to the disk before it is acknowledged: nothing. A request's entry
//! waits at most a tick (50 ms) in memory, so killing the process loses at most that; it is in the operating system's
//! hands then and synced once a second, so a power cut loses about a second. While the disk does not take lines, the proxy
//! admits no request ([`Recorder::has_room`]), entries of those under way wait in memory, and what does not fit even there
//! is counted and noted in the chain. Nothing is dropped silently.
//!
//! **Several processes** append to one chain: an advisory lock guards each append, and whoever holds it looks first
//! whether another has appended. The folder must be on a local disk.

mod append;
mod chain;
mod copy;
mod entry;
mod error;
mod export;
mod line;
mod log;
mod queue;
mod read;
mod record;
mod segment;
mod verify;
mod writer;

pub use append::Place;
pub use copy::copy;
pub use entry::{Act, Entry, HOST_LIMIT, Outcome, PATH_LIMIT, WORD_LIMIT};
pub use error::AuditError;
pub use export::{Format, export};
pub use log::{Bounds, Health, Log, Recorder};
pub use read::{Follow, Reader, read, tail};
pub use record::{ActRecord, Filter, NoteRecord, Record, Recorded, RequestRecord};
pub use verify::{Noted, Problem, Report, verify, verify_end};

#[cfg(test)]
mod tests;
