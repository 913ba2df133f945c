//! The links of the chain: what a seal, a segment's first line and the head file say, and how the hash is made. Pure:
//! bytes in, bytes out; who writes and reads the files is next door.
//!
//! A batch is the lines between two seals. Its hash is SHA-256 over the previous hash and the exact bytes of its lines,
//! newlines included. Entries carry no number: the seal says which number its first entry has, and the rest follow.

use serde::{Deserialize, Serialize};

use crate::crypto::digest::{LEN, Sha256, from_hex, hex};

/// How every seal begins. Entries begin otherwise and hold no raw newline, so a seal is known by its first bytes.
pub(super) const SEAL_START: &[u8] = b"{\"seal\":";
/// How a segment's first line begins.
pub(super) const SEGMENT_START: &[u8] = b"{\"segment\":";
/// The length of the head file: fixed, so that it is replaced by one write that never changes its size.
pub(super) const HEAD_FILE_LEN: usize = 160;

/// Where the chain stands: after how many seals and entries, and the hash to chain to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seals: u64,
    pub(super) entries: u64,
    pub(super) hash: [u8; LEN],
}

/// The line after a batch.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seal {
    #[serde(rename = "seal")]
    pub(super) number: u64,
    pub(super) entries: u64,
    pub(super) first: u64,
    pub(super) prev: String,
    pub(super) hash: String,
}

/// The first line of a segment: where the chain stood when it was begun.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) segment: u64,
    pub(super) format: u32,
    pub(super) seals: u64,
    pub(super) entries: u64,
    pub(super) prev: String,
}

/// What stands in the head file.
#[derive(Debug, Serialize, Deserialize)]
struct Standing {
    seals: u64,
    entries: u64,
    hash: String,
}

impl Head {
    /// Before the first entry.
    pub(super) const GENESIS: Self = Self { seals: 0, entries: 0, hash: [0; LEN] };

    /// Begins the hash of the batch that follows.
    pub(super) fn hasher(&self) -> Sha256 {
        let mut hasher = Sha256::new();
        hasher.update(&self.hash);
        hasher
    }

    /// The head after a batch of `entries` lines whose hash is `hash`, and the seal line that says so.
    pub(super) fn seal(&self, entries: u64, hash: [u8; LEN]) -> (Self, Vec<u8>) {
        let next = Self { seals: self.seals + 1, entries: self.entries + entries, hash };
        let seal =
            Seal { number: next.seals, entries, first: self.entries + 1, prev: hex(&self.hash), hash: hex(&next.hash) };
        (next, json_line(&seal))
    }

    /// The first line of segment number `segment` when it begins here.
    pub(super) fn header(&self, segment: u64) -> Vec<u8> {
        json_line(&Header { segment, format: 1, seals: self.seals, entries: self.entries, prev: hex(&self.hash) })
    }

    /// The head that a seal line speaks of.
    pub(super) fn from_seal(line: &[u8]) -> Option<Self> {
        let seal: Seal = serde_json::from_slice(line).ok()?;
        let entries = seal.first.checked_sub(1)?.checked_add(seal.entries)?;
        Some(Self { seals: seal.number, entries, hash: from_hex(&seal.hash)? })
    }

    /// The segment's number and the head that its first line speaks of.
    pub(super) fn from_header(line: &[u8]) -> Option<(u64, Self)> {
        let header: Header = serde_json::from_slice(line).ok()?;
        let head = Self { seals: header.seals, entries: header.entries, hash: from_hex(&header.prev)? };
        (header.format == 1).then_some((header.segment, head))
    }

    /// The head file's bytes.
    pub(super) fn to_file(self) -> Vec<u8> {
        let standing = Standing { seals: self.seals, entries: self.entries, hash: hex(&self.hash) };
        let mut bytes = json_line(&standing);
        bytes.pop();
        bytes.resize(HEAD_FILE_LEN - 1, b' ');
        bytes.push(b'\n');
        bytes
    }

    /// The head that the head file speaks of; none when it is torn or was changed.
    pub(super) fn from_file(bytes: &[u8]) -> Option<Self> {
        let standing: Standing = serde_json::from_slice(bytes).ok()?;
        let head = Self { seals: standing.seals, entries: standing.entries, hash: from_hex(&standing.hash)? };
        (head.to_file() == bytes).then_some(head)
    }
}

fn json_line(value: &impl Serialize) -> Vec<u8> {
    // Structs of numbers and texts cannot fail to serialise; an empty line would be refused by every reader.
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
