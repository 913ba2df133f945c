//! Where a caller's connections must come from, as options of its commands.

use clap::Args;

use crate::domain::Perimeter;
use crate::operations::CallerView;

/// Where connections must come from.
#[derive(Debug, Args)]
pub(super) struct Within {
    /// Its token counts only from this network, in CIDR notation, or this address; repeatable
    #[arg(long = "from", value_name = "CIDR", value_parser = network, help_heading = "Where it must come from")]
    networks: Vec<ipnet::IpNet>,
    /// Its token counts only, by a Unix socket, from this user of the machine; repeatable
    #[arg(long = "peer-uid", value_name = "UID", help_heading = "Where it must come from")]
    uids: Vec<u32>,
}

impl Within {
    /// What was given.
    pub(super) fn perimeter(&self) -> Perimeter {
        Perimeter { networks: self.networks.clone(), uids: self.uids.clone() }
    }
}

fn network(text: &str) -> Result<ipnet::IpNet, String> {
    Perimeter::network(text).map_err(|error| error.to_string())
}

/// Where a caller must come from, in words.
pub(super) fn in_words(caller: &CallerView) -> String {
    let uids = caller.peer_uids.iter().map(|uid| format!("uid {uid}"));
    let parts: Vec<String> = caller.from.iter().cloned().chain(uids).collect();
    if parts.is_empty() { "anywhere".to_owned() } else { parts.join(", ") }
}
