//! An audit line as it is read back: owned, numbered by its place in the chain, and what a reader may ask for.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::{Outcome, micros};
use super::error::AuditError;
use crate::domain::Code;

/// One line of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its number in the chain, from 1 and without gaps.
    pub seq: u64,
    /// What it says.
    #[serde(flatten)]
    pub line: Recorded,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Recorded {
    /// A request, refused or not.
    Request(Box<RequestRecord>),
    /// An administrative act.
    Act(Box<ActRecord>),
    /// Something about the log itself.
    Note(NoteRecord),
}

/// A request as it was recorded; see [`Entry`](super::Entry) for what each member means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each member is documented at Entry")]
pub struct RequestRecord {
    pub request: String,
    /// Microseconds since the Unix epoch, when the request was over.
    pub time: u64,
    pub door: String,
    pub client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    pub method: String,
    pub host: String,
    pub path: String,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// 1 when the line says nothing.
    #[serde(default = "one")]
    pub attempts: u32,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// 0 when the line says nothing.
    #[serde(default)]
    pub wait_us: u64,
    pub upstream_us: u64,
    pub total_us: u64,
    /// `complete` when the line says nothing.
    #[serde(default = "complete")]
    pub outcome: String,
}

fn one() -> u32 {
    1
}

fn complete() -> String {
    Outcome::Complete.as_str().to_owned()
}

/// An administrative act as it was recorded; see [`Act`](super::Act) for what each member means.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "each member is documented at Act")]
pub struct ActRecord {
    pub act: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Microseconds since the Unix epoch.
    pub time: u64,
    pub actor: String,
    pub object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// Something that happened to the log itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NoteRecord {
    /// `recovered`: a writer died before it sealed `entries` lines; they were sealed by the next. `lost`: `entries` found
    /// no room in memory while the disk did not work. `cut_off`: the chain once reached `known_seals` and `entries` are
    /// gone, by hand or by a power cut. `head_lost`: the head file was missing or damaged.
    pub note: String,
    /// Microseconds since the Unix epoch, when the note was written.
    pub time: u64,
    /// How many entries it is about.
    pub entries: u64,
    /// The line that was torn by the crash, as far as it was written (at most 1 KiB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment: Option<String>,
    /// How long the torn line was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment_bytes: Option<u64>,
    /// How many seals the chain was known to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_seals: Option<u64>,
    /// The hash after the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_hash: Option<String>,
}

impl Record {
    /// Reads a line, with or without its newline. `path` and `at` say where it stands, for the error.
    pub(super) fn parse(seq: u64, bytes: &[u8], path: &Path, at: u64) -> Result<Self, AuditError> {
        let line = if bytes.starts_with(b"{\"request\":") {
            serde_json::from_slice(bytes).map(|request| Recorded::Request(Box::new(request)))
        } else if bytes.starts_with(b"{\"act\":") {
            serde_json::from_slice(bytes).map(|act| Recorded::Act(Box::new(act)))
        } else if bytes.starts_with(b"{\"note\":") {
            serde_json::from_slice(bytes).map(Recorded::Note)
        } else {
            Err(serde::de::Error::custom("it begins like no entry, act or note"))
        };
        let line = line.map_err(|source| AuditError::Unreadable { path: path.to_path_buf(), line: at, source })?;
        Ok(Self { seq, line })
    }

    /// When, in microseconds since the Unix epoch.
    pub fn time(&self) -> u64 {
        match &self.line {
            Recorded::Request(request) => request.time,
            Recorded::Act(act) => act.time,
            Recorded::Note(note) => note.time,
        }
    }
}

/// What a reader wants to see. Everything that is set must fit; nothing set means everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Requests for this service, and acts about it.
    pub service: Option<String>,
    /// Requests of this caller, and acts on it.
    pub caller: Option<String>,
    /// Requests that were answered with this code.
    pub code: Option<Code>,
    /// From this moment on, since the Unix epoch.
    pub since: Option<Duration>,
    /// Before this moment, since the Unix epoch.
    pub until: Option<Duration>,
    /// Of a lower number than this.
    pub before: Option<u64>,
}

impl Filter {
    /// Whether everything fits.
    pub(super) fn is_open(&self) -> bool {
        self.service.is_none()
            && self.caller.is_none()
            && self.code.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.before.is_none()
    }

    /// Whether `record` fits.
    pub fn admits(&self, record: &Record) -> bool {
        let time = record.time();
        let in_time =
            self.since.is_none_or(|since| time >= micros(since)) && self.until.is_none_or(|until| time < micros(until));
        in_time
            && self.before.is_none_or(|before| record.seq < before)
            && match &record.line {
                Recorded::Request(request) => {
                    fits(self.service.as_deref(), request.service.as_deref())
                        && fits(self.caller.as_deref(), request.caller.as_deref())
                        && fits(self.code.map(Code::as_str), request.code.as_deref())
                }
                Recorded::Act(act) => {
                    let about = |kind: &str, wanted: Option<&String>| {
                        wanted.is_none_or(|name| {
                            act.details.get(kind) == Some(name) || (act.act.starts_with(kind) && act.object == *name)
                        })
                    };
                    self.code.is_none()
                        && about("service", self.service.as_ref())
                        && about("caller", self.caller.as_ref())
                }
                Recorded::Note(_) => self.service.is_none() && self.caller.is_none() && self.code.is_none(),
            }
    }
}

fn fits(wanted: Option<&str>, found: Option<&str>) -> bool {
    wanted.is_none() || wanted == found
}
