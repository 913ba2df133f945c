//! A permit: this grant may be used now. Dropping it frees what it holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::access::Grant;

use super::{Gate, Refused};

/// Admission of one request. Freed on drop, so it is kept until the answer's last byte.
#[derive(Debug)]
pub struct Permit<C> {
    grant: Grant<C>,
    slot: Option<OwnedSemaphorePermit>,
    waited: Duration,
}

impl<C> Permit<C> {
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

/// Admits `grant` through `gate`, waiting at most `patience` (and never longer than the service's own `max_wait`).
///
/// # Errors
/// At once, when the wait would outlast the patience or too many wait already.
pub async fn admit<C>(
    gate: Option<&Arc<Gate>>,
    grant: Grant<C>,
    patience: Option<Duration>,
) -> Result<Permit<C>, Refused> {
    match gate {
        None => Ok(Permit { grant, slot: None, waited: Duration::ZERO }),
        Some(gate) => {
            // Boxed, so that requests to services without limits do not carry the room for waiting.
            let (slot, waited) = Box::pin(gate.pass(patience)).await?;
            Ok(Permit { grant, slot, waited })
        }
    }
}
