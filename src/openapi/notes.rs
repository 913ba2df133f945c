//! What was assumed while a document was read. Equal notes are counted and not repeated, so that a fault in every one of
//! a thousand operations is one line.

use std::fmt;

use super::walk;

/// How many different notes are kept.
const MOST: usize = 50;

/// One thing that the document leaves open or says in a way that sidekey cannot follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where it is first, as a JSON pointer (RFC 6901); empty for the document as a whole.
    pub at: String,
    /// In how many more places it is.
    pub more: usize,
    /// What was found.
    pub found: String,
    /// What was made of it.
    pub assumed: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        write!(f, "{}; {}", self.found, self.assumed)?;
        match self.more {
            0 => Ok(()),
            1 => f.write_str(" (and in one more place)"),
            more => write!(f, " (and in {more} more places)"),
        }
    }
}

/// Collects them.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Note>);

impl Notes {
    /// Notes what was found at `at` and what was made of it.
    pub(super) fn add(&mut self, at: &str, found: impl Into<String>, assumed: impl Into<String>) {
        let (found, assumed) = (walk::visible(&found.into()), walk::visible(&assumed.into()));
        if let Some(same) = self.0.iter_mut().find(|note| note.found == found && note.assumed == assumed) {
            same.more += 1;
        } else if self.0.len() < MOST {
            self.0.push(Note { at: at.chars().take(200).collect(), more: 0, found, assumed });
        } else if let Some(last) = self.0.last_mut() {
            // The list is full: the last place counts what else there is.
            *last = Note {
                at: String::new(),
                more: last.more,
                found: "more than can be listed".to_owned(),
                assumed: "the rest was read in the same spirit".to_owned(),
            };
        }
    }

    /// The notes in the order in which they were made.
    pub(super) fn into_vec(self) -> Vec<Note> {
        self.0
    }
}
