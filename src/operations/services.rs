//! The services that keys are for, as acts look them up.

use crate::config::Config;
use crate::domain::{Name, Service};
use crate::record::nearest;

use super::{OperationError, Operations};

/// The longest name that a message repeats: a text as long as a key may be one, typed in the wrong place.
const LONGEST_SHOWN: usize = 20;

impl OperationError {
    /// There is no service called `name` in `config`.
    pub fn no_service(config: &Config, name: &Name) -> Self {
        let known = config.services.iter().map(|entry| entry.service.name.as_str());
        let meant = nearest(name.as_str(), known).map(str::to_owned);
        let name = (name.as_str().len() <= LONGEST_SHOWN).then(|| name.clone());
        Self::NoService { name, meant }
    }
}

impl Operations {
    /// The service called `name`.
    ///
    /// # Errors
    /// When there is none, with the one that was probably meant.
    pub fn service(&self, name: &Name) -> Result<Service, OperationError> {
        let config = self.config.load();
        let entry = config.service(name.as_str()).ok_or_else(|| OperationError::no_service(&config, name))?;
        Ok(entry.service.clone())
    }
}
