//! Sockets that were opened before this process and given to it: by a systemd socket unit, or whoever else speaks its
//! protocol (`LISTEN_FDS`, sd_listen_fds(3)). They go to the addresses of proxy.toml at which they listen. A restart then
//! refuses nobody: who connects meanwhile waits in the socket. Opens nothing itself.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;

use super::Bound;

/// What was given and is not claimed yet.
#[derive(Debug, Default)]
pub struct Inherited {
    tcp: Vec<(SocketAddr, TcpListener)>,
    unix: Vec<(PathBuf, UnixListener)>,
}

impl Inherited {
    /// Takes all of them. To be called once.
    ///
    /// # Errors
    /// When one of them is no listening stream socket with an address.
    pub fn take() -> io::Result<Self> {
        let (mut given, mut all) = (ListenFd::from_env(), Self::default());
        for number in 0..given.len() {
            if let Ok(Some(listener)) = given.take_tcp_listener(number) {
                listener.set_nonblocking(true)?;
                all.tcp.push((listener.local_addr()?, listener));
            } else if let Ok(Some(listener)) = given.take_unix_listener(number) {
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                let path = address.as_pathname().ok_or_else(|| unfit("a Unix socket without a path"))?;
                all.unix.push((path.to_owned(), listener));
            } else {
                return Err(unfit("something that is no TCP or Unix stream socket"));
            }
        }
        Ok(all)
    }

    /// The socket that listens at `address`, once for each of `cores`: all of them accept from the same queue.
    ///
    /// # Errors
    /// When the system has no more descriptors.
    pub fn tcp(&mut self, address: SocketAddr, cores: usize) -> io::Result<Option<Vec<Bound>>> {
        let Some(at) = self.tcp.iter().position(|(given, _)| *given == address) else { return Ok(None) };
        let (_, listener) = self.tcp.swap_remove(at);
        (0..cores).map(|_| listener.try_clone().map(Bound::Tcp)).collect::<io::Result<_>>().map(Some)
    }

    /// The socket that listens at `path`, once for each of `cores`.
    ///
    /// # Errors
    /// When the system has no more descriptors.
    pub fn unix(&mut self, path: &Path, cores: usize) -> io::Result<Option<Vec<Bound>>> {
        let Some(at) = self.unix.iter().position(|(given, _)| given == path) else { return Ok(None) };
        let (_, listener) = self.unix.swap_remove(at);
        let one = |_| Ok(Bound::Unix(listener.try_clone()?, path.to_owned()));
        (0..cores).map(one).collect::<io::Result<_>>().map(Some)
    }

    /// Where those listen that nobody claimed.
    pub fn unclaimed(&self) -> Vec<String> {
        let unix = self.unix.iter().map(|(path, _)| format!("unix:{}", path.display()));
        self.tcp.iter().map(|(address, _)| address.to_string()).chain(unix).collect()
    }
}

fn unfit(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{what} was given to this process by whoever started it"))
}
