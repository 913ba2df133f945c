//! Ports for programs that must be told theirs before they start.
//!
//! They lie below the range from which the system takes ports for outgoing connections, so nothing else picks one
//! between our choice and the program's bind; each process starts at another place and never gives one out twice.

use std::{
    net::SocketAddr,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use socket2::{Domain, Socket, Type};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A port on 127.0.0.1 on which nothing listens.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let start = process::id().wrapping_mul(211);
    for _ in 0..COUNT {
        let step = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + start.wrapping_add(step) % COUNT).unwrap();
        if is_free(SocketAddr::from(([127, 0, 0, 1], port))) {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

/// Tries it without listening: a process that is started at this moment has the socket for a while, and nothing may seem to
/// listen there meanwhile.
fn is_free(address: SocketAddr) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).is_ok()
}
