//! A permit: this grant may be used now. Dropping it frees what it holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::access::{Candidate, Grant};

use super::{Gate, Refused, ShareGate};

/// Admission of one request. Freed on drop, so it is kept until the answer's last byte.
#[derive(Debug)]
pub struct Permit<C: Candidate> {
    grant: Grant<C>,
    slot: Option<OwnedSemaphorePermit>,
    waited: Duration,
}

impl<C: Candidate> Permit<C> {
    /// What was admitted.
    pub fn grant(&self) -> &Grant<C> {
        &self.grant
    }

    /// How long it waited for its turn.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The same admission for a grant that was made anew after a wait.
    #[must_use]
    pub fn renewed(self, grant: Grant<C>) -> Self {
        Self { grant, ..self }
    }

    /// Whether it holds one of a limited number of places.
    pub fn holds_slot(&self) -> bool {
        self.slot.is_some()
    }
}

/// Admits `grant` through the gate of its share, when it has one, and that of the service; waits at most `patience` (and
/// never longer than each gate's own `max_wait`).
///
/// # Errors
/// At once, when the wait would outlast the patience or too many wait already.
pub async fn admit<C: Candidate>(
    share: Option<&Arc<ShareGate>>,
    service: Option<&Arc<Gate>>,
    grant: Grant<C>,
    patience: Option<Duration>,
) -> Result<Permit<C>, Refused> {
    if share.is_none() && service.is_none() {
        return Ok(Permit { grant, slot: None, waited: Duration::ZERO });
    }
    // Boxed, so that requests without limits do not carry the room for waiting.
    let (slot, waited) = Box::pin(pass_both(share, service, patience)).await?;
    Ok(Permit { grant, slot, waited })
}

/// The share first: who waits for its own limit must not hold a place that others could use.
async fn pass_both(
    share: Option<&Arc<ShareGate>>,
    service: Option<&Arc<Gate>>,
    patience: Option<Duration>,
) -> Result<(Option<OwnedSemaphorePermit>, Duration), Refused> {
    let waited = match share {
        Some(gate) => gate.pass(patience).await?,
        None => Duration::ZERO,
    };
    let (slot, more) = match service {
        Some(gate) => gate.pass(patience.map(|patience| patience.saturating_sub(waited))).await?,
        None => (None, Duration::ZERO),
    };
    if let Some(gate) = share {
        gate.count()?;
    }
    Ok((slot, waited + more))
}
