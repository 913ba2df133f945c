//! Listeners and their accept loops. TCP listeners are opened once per core with SO_REUSEPORT, so that the kernel spreads
//! connections over the cores; a Unix socket is shared by all of them.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::domain::Peer;

use super::connection::{self, Shared};
use super::doors::Here;

/// How many connections the kernel keeps for us while we are busy.
const BACKLOG: i32 = 4096;

/// A listener of one core, not yet in a runtime.
#[derive(Debug)]
pub enum Bound {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A Unix socket.
    Unix(std::os::unix::net::UnixListener, PathBuf),
}

/// Opens `address` once per core.
///
/// # Errors
/// When the address is taken or may not be used.
pub fn bind(address: SocketAddr, cores: usize) -> io::Result<Vec<Bound>> {
    let first = tcp(address)?;
    // Port 0 asks for any free port: the other cores must join the one that was given.
    let address = first.local_addr()?;
    let mut all = vec![Bound::Tcp(first)];
    for _ in 1..cores {
        all.push(Bound::Tcp(tcp(address)?));
    }
    Ok(all)
}

fn tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Bound {
    /// Opens a Unix socket for `cores` cores. A socket file that nobody listens on is replaced; only its owner may connect.
    ///
    /// # Errors
    /// When somebody listens there, or the path is something else than a socket.
    pub fn unix(path: &Path, cores: usize) -> io::Result<Vec<Self>> {
        if let Ok(found) = std::fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is no socket"));
            }
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
            }
            std::fs::remove_file(path)?;
        }
        let listener = std::os::unix::net::UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let mut all = Vec::with_capacity(cores);
        for _ in 1..cores {
            all.push(Self::Unix(listener.try_clone()?, path.into()));
        }
        all.push(Self::Unix(listener, path.into()));
        Ok(all)
    }

    /// Where it listens, as a person would write it.
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|_| "?".into(), |a| a.to_string()),
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// The TCP address, for refusing loops.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }
}

/// Accepts connections until `stop`.
///
/// # Errors
/// When the listener cannot be put into this runtime.
pub async fn run(bound: Bound, shared: Arc<Shared>, stop: CancellationToken) -> io::Result<()> {
    match bound {
        Bound::Tcp(listener) => {
            let listener = TcpListener::from_std(listener)?;
            let here = Here { port: listener.local_addr().ok().map(|a| a.port()) };
            loop {
                let accepted = tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, peer)) => {
                        // Without this, an answer's last part may wait 40 ms for the client's acknowledgement.
                        let _best_effort = stream.set_nodelay(true);
                        connection::start(stream, Arc::new(Peer::tcp(peer)), here, &shared, &stop);
                    }
                    Err(error) => pause_after(&error).await,
                }
            }
        }
        Bound::Unix(listener, _) => {
            let listener = UnixListener::from_std(listener)?;
            loop {
                let accepted = tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, _)) => {
                        let peer = Peer::unix(stream.peer_cred().ok().map(|process| process.uid()));
                        connection::start(stream, Arc::new(peer), Here { port: None }, &shared, &stop);
                    }
                    Err(error) => pause_after(&error).await,
                }
            }
        }
    }
}

/// Out of file descriptors or memory: waiting a moment is all that helps, and spinning would make it worse.
async fn pause_after(error: &io::Error) {
    let connection_gone = matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset);
    if !connection_gone {
        tracing::error!(%error, "a connection could not be accepted");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
