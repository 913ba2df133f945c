//! The services of the store on their way into the tables, and its certificate authorities on theirs to the mint. What does
//! not count or cannot be approached is left out and told in the log: what somebody stored must not keep everything else from
//! being followed.

use crate::config::{Config, LeftOut};
use crate::domain::{HostRange, Service};
use crate::operations::FORGED;
use crate::store::{StoredAuthority, StoredService};
use crate::upstream::Approach;

use super::parts::Parts;

impl Parts {
    /// `config` with the services of the store.
    ///
    /// # Errors
    /// When a proof is sealed by a master key that the vault has not yet.
    pub(super) fn with_stored(&self, config: &Config, stored: Vec<StoredService>) -> anyhow::Result<Config> {
        let services = self.vault.judged(stored)?;
        for name in &services.forged {
            tracing::warn!(service = %name, "a service of the store is left out: {FORGED}");
        }
        let (mut config, left_out) = config.with_stored(&services.genuine, &services.forged);
        for LeftOut { name, why } in left_out {
            tracing::warn!(service = %name, %why, "a service of the store is left out");
        }
        config.services.retain(|entry| !entry.service.stored || self.can_approach(&entry.service));
        Ok(config)
    }

    /// Has tunnels to `hosts` opened with these authorities. Without one, they are not opened.
    pub(super) fn follow_authorities(&self, stored: Vec<StoredAuthority>, hosts: &[HostRange]) {
        let mut usable = Vec::with_capacity(stored.len());
        for authority in stored {
            let name = authority.name.clone();
            match self.vault.open_authority(authority) {
                Ok(authority) => usable.push(authority),
                Err(error) => {
                    let why = format!("{:#}", anyhow::Error::from(error));
                    tracing::error!(authority = name, why, "a certificate authority cannot be used");
                }
            }
        }
        self.mint.follow(usable, hosts.to_vec());
    }

    fn can_approach(&self, service: &Service) -> bool {
        let Err(error) = Approach::new(&service.upstream, service.timeouts.connect, &self.tls) else { return true };
        let why = format!("{:#}", anyhow::Error::from(error));
        tracing::warn!(service = %service.name, why, "a service of the store is left out");
        false
    }
}
