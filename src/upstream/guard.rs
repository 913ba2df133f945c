//! The address guard: which addresses may be dialled, asked after resolution for every address. It resolves nothing and
//! connects to nothing. Invariant: an address that wraps an IPv4 address is judged by what it wraps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use ipnet::IpNet;

/// What the operator allows for one upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Addresses of the public internet.
    PublicOnly,
    /// Also private, loopback and link-local ones (`allow_private`); the address came out of a name. Metadata services of
    /// clouds stay refused: whoever controls the name's DNS could point it there and read the machine's own credentials.
    PrivateToo,
    /// `allow_private`, and the operator wrote this very address as `connect_to`: metadata services as well.
    Written,
}

impl Permission {
    /// From a service's `allow_private`, and whether `connect_to` is an address.
    pub const fn of(allow_private: bool, written: bool) -> Self {
        match (allow_private, written) {
            (false, _) => Self::PublicOnly,
            (true, false) => Self::PrivateToo,
            (true, true) => Self::Written,
        }
    }
}

/// What lifts a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lift {
    /// `allow_private`.
    Private,
    /// `allow_private` and the address itself in the configuration.
    Written,
    /// Nothing: no upstream lives there.
    Never,
}

/// A refused network.
pub(super) struct Row {
    pub(super) net: IpNet,
    lift: Lift,
    pub(super) what: &'static str,
}

const fn v4(octets: [u8; 4], prefix: u8, lift: Lift, what: &'static str) -> Row {
    Row { net: IpNet::new_assert(IpAddr::V4(Ipv4Addr::from_octets(octets)), prefix), lift, what }
}

const fn v6(segments: [u16; 8], prefix: u8, lift: Lift, what: &'static str) -> Row {
    Row { net: IpNet::new_assert(IpAddr::V6(Ipv6Addr::from_segments(segments)), prefix), lift, what }
}

/// The refused networks; the first that contains an address decides. After the IANA special-purpose registries.
pub(super) const TABLE: &[Row] = &[
    v4([169, 254, 169, 254], 32, Lift::Written, "a cloud metadata service"),
    v4([169, 254, 170, 2], 32, Lift::Written, "a cloud metadata service (containers)"),
    v4([169, 254, 170, 23], 32, Lift::Written, "a cloud metadata service (pods)"),
    v4([100, 100, 100, 200], 32, Lift::Written, "a cloud metadata service"),
    v4([192, 0, 0, 192], 32, Lift::Written, "a cloud metadata service"),
    v4([168, 63, 129, 16], 32, Lift::Written, "a cloud platform's own service"),
    v4([0, 0, 0, 0], 8, Lift::Never, "an unspecified address, which reaches this machine"),
    v4([10, 0, 0, 0], 8, Lift::Private, "a private address"),
    v4([100, 64, 0, 0], 10, Lift::Private, "a carrier's private address"),
    v4([127, 0, 0, 0], 8, Lift::Private, "a loopback address"),
    v4([169, 254, 0, 0], 16, Lift::Private, "a link-local address"),
    v4([172, 16, 0, 0], 12, Lift::Private, "a private address"),
    v4([192, 0, 0, 0], 24, Lift::Private, "an address reserved for protocols"),
    v4([192, 0, 2, 0], 24, Lift::Never, "a documentation address"),
    v4([192, 88, 99, 0], 24, Lift::Never, "an address of the retired 6to4 relays"),
    v4([192, 168, 0, 0], 16, Lift::Private, "a private address"),
    v4([198, 18, 0, 0], 15, Lift::Private, "a benchmarking address"),
    v4([198, 51, 100, 0], 24, Lift::Never, "a documentation address"),
    v4([203, 0, 113, 0], 24, Lift::Never, "a documentation address"),
    v4([224, 0, 0, 0], 4, Lift::Never, "a multicast address"),
    v4([255, 255, 255, 255], 32, Lift::Never, "the broadcast address"),
    v4([240, 0, 0, 0], 4, Lift::Never, "a reserved address"),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, Lift::Written, "a cloud metadata service"),
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23], 128, Lift::Written, "a cloud metadata service (pods)"),
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, Lift::Written, "a cloud metadata service"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, Lift::Never, "an unspecified address, which reaches this machine"),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, Lift::Private, "a loopback address"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96, Lift::Never, "an IPv4 address in a retired IPv6 form"),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Lift::Private, "an address of a local NAT64"),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, Lift::Never, "a discard address"),
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Lift::Private, "a benchmarking address"),
    v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, Lift::Never, "a retired ORCHID address"),
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, Lift::Never, "an ORCHID address"),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Lift::Never, "a documentation address"),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Lift::Never, "a documentation address"),
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, Lift::Never, "a segment routing address"),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Lift::Private, "a private address"),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Lift::Private, "a link-local address"),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Lift::Private, "a site-local address"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Lift::Never, "a multicast address"),
];

/// Why an address is not dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    /// It is in a refused network.
    #[error("{address} is {what}; {fix}")]
    Range {
        /// The address as it was resolved or written.
        address: IpAddr,
        /// What it is, in words.
        what: &'static str,
        /// What the operator can do.
        fix: &'static str,
    },
    /// One of our own listeners: the request would come back for ever.
    #[error(
        "{address} is sidekey's own listener, so the request would come back to it; point the service's base_url (or \
         connect_to) at the real upstream"
    )]
    Ourselves {
        /// Where it would have gone.
        address: SocketAddr,
    },
}

/// Judges addresses. A clone shares the list of listeners.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    listeners: Arc<[SocketAddr]>,
}

impl Guard {
    /// `listeners` are our own sockets, proxy and console; an unspecified address stands for every address of this machine.
    pub fn new(listeners: Vec<SocketAddr>) -> Self {
        Self { listeners: listeners.into() }
    }

    /// Whether `address` may be dialled.
    ///
    /// # Errors
    /// [`AddressRefused`], which names the address and the fix.
    pub fn check(&self, address: SocketAddr, permission: Permission) -> Result<(), AddressRefused> {
        self.check_loop(address)?;
        let mut judged = [Some(address.ip()), None];
        if let IpAddr::V6(outer) = address.ip() {
            judged = match wrapped(outer) {
                // What is wrapped decides alone for the forms that are only another spelling, beside the table for the rest.
                [None, None] => judged,
                inner => inner.map(|ip| ip.map(IpAddr::V4)),
            };
        }
        judged
            .into_iter()
            .flatten()
            .try_for_each(|ip| judge(ip, permission))
            .map_err(|(what, fix)| AddressRefused::Range { address: address.ip(), what, fix })
    }

    /// Whether `address` is one of our own listeners; all that is asked of a parent proxy, whose place the operator chose.
    ///
    /// # Errors
    /// [`AddressRefused::Ourselves`].
    pub fn check_loop(&self, address: SocketAddr) -> Result<(), AddressRefused> {
        let ip = address.ip().to_canonical();
        let is_ours = |own: &SocketAddr| {
            own.port() == address.port()
                && match own.ip().to_canonical() {
                    IpAddr::V4(any) if any.is_unspecified() => ip.is_ipv4() && is_local(ip),
                    // Bound to both families unless the system says otherwise.
                    IpAddr::V6(any) if any.is_unspecified() => is_local(ip),
                    own => own == ip || ip.is_unspecified(),
                }
        };
        if self.listeners.iter().any(is_ours) { Err(AddressRefused::Ourselves { address }) } else { Ok(()) }
    }
}

/// The table's word on one address: what it is and what to do.
fn judge(ip: IpAddr, permission: Permission) -> Result<(), (&'static str, &'static str)> {
    let Some(row) = TABLE.iter().find(|row| row.net.contains(&ip)) else {
        return Ok(());
    };
    match (row.lift, permission) {
        (Lift::Private, Permission::PrivateToo | Permission::Written) | (Lift::Written, Permission::Written) => Ok(()),
        (Lift::Private, Permission::PublicOnly) => {
            Err((row.what, "when the service is meant to be there, give it upstream = { allow_private = true }"))
        }
        (Lift::Written, _) => Err((
            row.what,
            "it gives out the machine's own credentials, so it is reached only when upstream has the address itself in \
             connect_to and allow_private = true",
        )),
        (Lift::Never, _) => Err((row.what, "no service can be reached there; correct the host or its DNS entry")),
    }
}

/// The IPv4 addresses inside an IPv6 one: mapped (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380: server,
/// and client with its bits inverted), ISATAP (RFC 5214).
fn wrapped(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, g, h] | [0x64, 0xff9b, 0, 0, 0, 0, g, h] => [v4(g, h), None],
        [0x2002, b, c, ..] => [v4(b, c), None],
        [0x2001, 0, c, d, _, _, g, h] => [v4(c, d), v4(!g, !h)],
        [.., 0 | 0x200, 0x5efe, g, h] if TABLE.iter().all(|row| !row.net.contains(&IpAddr::V6(ip))) => [v4(g, h), None],
        _ => [None, None],
    }
}

/// Whether this machine has the address: only then can a socket be bound to it. Sends nothing.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind((ip, 0)).is_ok()
}
