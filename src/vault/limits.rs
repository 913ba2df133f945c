//! What the store keeps of limits, as the keeper hands it on: the gates of the running proxy, pinned limits, and what was used of
//! quotas.

use crate::domain::{GateReset, NotedGate, OwnerQuotaUse, Pin, PinnedTo, QuotaUse};
use crate::store::Receipt;

use super::{Vault, VaultError};

#[allow(clippy::missing_errors_doc, reason = "they fail when the store does, and as said at the method")]
impl Vault {
    /// Notes what was used of the quotas of shares.
    pub fn note_quota_uses(&self, uses: &[QuotaUse]) -> Result<(), VaultError> {
        Ok(self.store.note_quota_uses(uses)?)
    }

    /// What was used of the quotas of all shares.
    pub fn quota_uses(&self) -> Result<Vec<QuotaUse>, VaultError> {
        Ok(self.store.quota_uses()?)
    }

    /// Notes what limit owners used of the quotas of services.
    pub fn note_owner_quota_uses(&self, uses: &[OwnerQuotaUse]) -> Result<(), VaultError> {
        Ok(self.store.note_owner_quota_uses(uses)?)
    }

    /// What limit owners used of the quotas of services.
    pub fn owner_quota_uses(&self) -> Result<Vec<OwnerQuotaUse>, VaultError> {
        Ok(self.store.owner_quota_uses()?)
    }

    /// Notes the gates of the running proxy, in place of those noted before.
    pub fn note_gates(&self, gates: &[NotedGate]) -> Result<(), VaultError> {
        Ok(self.store.note_gates(gates, self.now())?)
    }

    /// The gates as they were noted last, and when (Unix seconds).
    pub fn noted_gates(&self) -> Result<(Option<i64>, Vec<NotedGate>), VaultError> {
        Ok(self.store.noted_gates()?)
    }

    /// Has the running proxy forget gates.
    pub fn order_gate_reset(&self, reset: &GateReset) -> Result<Receipt, VaultError> {
        Ok(self.store.order_gate_reset(reset, self.now())?)
    }

    /// Takes away what is ordered.
    pub fn take_gate_resets(&self) -> Result<Vec<GateReset>, VaultError> {
        Ok(self.store.take_gate_resets()?)
    }

    /// Pins a limit, in place of what was pinned there.
    pub fn pin(&self, pin: &Pin) -> Result<Receipt, VaultError> {
        Ok(self.store.pin(pin, self.now())?)
    }

    /// Takes a pinned limit back. Fails when there is none.
    pub fn unpin(&self, to: &PinnedTo) -> Result<Receipt, VaultError> {
        Ok(self.store.unpin(to, self.now())?)
    }

    /// The pinned limits that count now.
    pub fn pins(&self) -> Result<Vec<Pin>, VaultError> {
        let (mut pins, now) = (self.store.pins()?, self.now());
        pins.retain(|pin| pin.counts(now));
        Ok(pins)
    }
}
