//! The other end of a client's connection, and where a caller's connections must come from.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Who is at the other end of a client's connection, as the operating system says it. Made once per connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    text: Box<str>,
    address: Option<IpAddr>,
    uid: Option<u32>,
}

impl Peer {
    /// By TCP. An IPv4 address in IPv6 clothes is the IPv4 address.
    pub fn tcp(address: SocketAddr) -> Self {
        Self { text: address.to_string().into(), address: Some(address.ip().to_canonical()), uid: None }
    }

    /// By a Unix socket; `uid` is the user of the connecting process.
    pub fn unix(uid: Option<u32>) -> Self {
        let text = uid.map_or_else(|| "unix".to_owned(), |uid| format!("unix:uid={uid}"));
        Self { text: text.into(), address: None, uid }
    }

    /// As people read it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Where a caller's connections must come from. Empty: anywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Perimeter {
    /// Networks, for connections by TCP.
    pub networks: Vec<IpNet>,
    /// Users of this machine, for connections by a Unix socket.
    pub uids: Vec<u32>,
}

/// Why a text is no part of a [`Perimeter`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network: write 10.1.0.0/16, 2001:db8::/32, or a single address")]
pub struct PerimeterError(String);

impl Perimeter {
    /// Reads a network in CIDR notation, or a single address.
    ///
    /// # Errors
    /// When it is neither.
    pub fn network(text: &str) -> Result<IpNet, PerimeterError> {
        let single = || text.parse().ok().map(|address: IpAddr| IpNet::from(address.to_canonical()));
        text.parse::<IpNet>().ok().or_else(single).map(|net| net.trunc()).ok_or_else(|| PerimeterError(text.to_owned()))
    }

    /// Reads what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// When a part is neither a network nor `uid:NUMBER`.
    pub fn parse(text: &str) -> Result<Self, PerimeterError> {
        let mut perimeter = Self::default();
        for part in text.split_whitespace() {
            match part.strip_prefix("uid:") {
                Some(uid) => perimeter.uids.push(uid.parse().map_err(|_| PerimeterError(part.to_owned()))?),
                None => perimeter.networks.push(Self::network(part)?),
            }
        }
        Ok(perimeter)
    }

    /// Whether nothing is asked of a connection.
    pub fn is_open(&self) -> bool {
        self.networks.is_empty() && self.uids.is_empty()
    }

    /// Whether `peer` is within: in one of the networks, or one of the users. A handful of comparisons.
    pub fn admits(&self, peer: &Peer) -> bool {
        self.is_open()
            || peer.address.is_some_and(|address| self.networks.iter().any(|net| net.contains(&address)))
            || peer.uid.is_some_and(|uid| self.uids.contains(&uid))
    }
}

impl fmt::Display for Perimeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.iter().map(ToString::to_string);
        let parts: Vec<String> = networks.chain(self.uids.iter().map(|uid| format!("uid:{uid}"))).collect();
        f.write_str(&parts.join(" "))
    }
}
