//! What one request holds of all gates and quotas that it passed, until its answer is over.

use std::sync::Arc;

use super::pass::Pass;
use super::quota::OwnerQuotas;
use super::share::ShareGate;

/// What a request holds of the gates that it passed.
#[derive(Debug, Default)]
pub(super) struct Passes {
    pub(super) all: Option<Pass>,
    pub(super) bucket: Option<Pass>,
    pub(super) service: Option<Pass>,
    /// Those of what is pinned, of shares and of the levels.
    pub(super) others: Vec<Pass>,
    /// None where nothing counts.
    pub(super) counted: Option<Box<Counted>>,
}

/// What a request used up of quotas: given back when it is never sent.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) quotas: Option<(Arc<OwnerQuotas>, u32)>,
    pub(super) share: Option<Arc<ShareGate>>,
    is_sent: bool,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.is_sent {
            return;
        }
        if let Some((quotas, cost)) = &self.quotas {
            quotas.give_back(*cost);
        }
        if let Some(share) = &self.share {
            share.give_back();
        }
    }
}

impl Passes {
    pub(super) fn each(&mut self, act: impl FnMut(&mut Pass)) {
        let own = self.all.iter_mut().chain(&mut self.bucket).chain(&mut self.service);
        own.chain(&mut self.others).for_each(act);
    }

    /// While its request waits in front of another gate, it is under way at none of these.
    pub(super) fn set_aside(&mut self, is_aside: bool) {
        self.each(|pass| pass.set_aside(is_aside));
    }

    pub(super) fn count_as_sent(&mut self, is_sent: bool) {
        if let Some(counted) = &mut self.counted {
            counted.is_sent = is_sent;
        }
    }

    /// Whether every gate would still let it pass.
    pub(super) fn are_good(&self) -> bool {
        self.all.iter().chain(&self.bucket).all(Pass::is_good)
    }
}
