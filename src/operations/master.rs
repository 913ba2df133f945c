//! The master key: everything under another one, at once.

use crate::keys::MasterKeySource;

use super::{Actor, OperationError, Operations};

/// How much a rotation of the master key put under the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasterRotated {
    /// The number of the master key, from 1.
    pub number: u32,
}

impl Operations {
    /// Puts every sealed value under another master key: a fresh one in the place of the present one for a file, else the one
    /// that `next` yields. Running proxies follow and refuse nothing meanwhile.
    ///
    /// # Errors
    /// When `actor` does not administer, the key cannot be had or is the present one, a value does not open with the present
    /// one, or the change cannot be kept or recorded. But for the last, nothing has changed then.
    pub fn rotate_master(&self, actor: &Actor, next: &MasterKeySource) -> Result<MasterRotated, OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let receipt = pen.act("master.rotate", &[("source", next.kind())], |vault| vault.rotate_master(next))?;
        Ok(MasterRotated { number: receipt.version.unwrap_or_default() })
    }
}
