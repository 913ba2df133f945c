//! How requests of credentials are made and where they go. It decides nothing about a request: a snapshot holds the outlets,
//! one for all credentials of a service with the same variables.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::domain::{Name, ServiceName};
use crate::gate::Breaker;
use crate::inject::{Plan, PlanError};
use crate::upstream::Destination;

use super::snapshot::{Entry, Held};

/// How requests of a credential are made and where they go. Shared by all credentials with the same variables.
#[derive(Debug)]
pub struct Outlet {
    /// How they are made.
    pub plan: Plan,
    /// Where they go, at the base URL.
    pub destination: Arc<Destination>,
    /// Whether a key may go there: see [`Service::may_carry_key_to`](crate::domain::Service::may_carry_key_to).
    pub carries_key: bool,
    /// The circuit in front of it; none when nothing is learnt of it.
    pub breaker: Option<Arc<Breaker>>,
}

/// The outlets of one service, by the variables they were made for.
type OfVariables = HashMap<BTreeMap<Name, String>, Arc<Outlet>>;

/// The outlets made so far, by service and variables.
#[derive(Default)]
pub(super) struct Outlets(HashMap<ServiceName, OfVariables>);

impl Outlets {
    /// The outlet of `entry` for these variables, made when it is the first that needs it.
    pub(super) fn of(
        &mut self,
        entry: &Arc<Entry>,
        variables: &BTreeMap<Name, String>,
    ) -> Result<Arc<Outlet>, PlanError> {
        if let Some(outlet) = self.0.get(&entry.service.name).and_then(|of_service| of_service.get(variables)) {
            return Ok(Arc::clone(outlet));
        }
        let plan = Plan::compile(&entry.service, variables)?;
        let origin = plan.upstream().origin().clone();
        let destination = entry
            .destination(&origin)
            .ok_or(PlanError::Text { place: "the base URL's host".into(), why: "it cannot be dialled" })?;
        let carries_key = entry.service.may_carry_key_to(&origin);
        let breaker = entry.breaker(destination.origin());
        let outlet = Arc::new(Outlet { plan, destination, carries_key, breaker });
        self.add(&entry.service.name, variables, &outlet);
        Ok(outlet)
    }

    /// Knows the outlet of a credential that has one.
    pub(super) fn know(&mut self, held: &Held) {
        let Held { credential, outlet, .. } = held;
        if self.0.get(&credential.service).is_none_or(|known| !known.contains_key(&credential.variables)) {
            self.add(&credential.service, &credential.variables, outlet);
        }
    }

    fn add(&mut self, service: &ServiceName, variables: &BTreeMap<Name, String>, outlet: &Arc<Outlet>) {
        self.0.entry(service.clone()).or_default().insert(variables.clone(), Arc::clone(outlet));
    }
}
