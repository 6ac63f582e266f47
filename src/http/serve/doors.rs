//! Where sockets come from: bound here, shared with the process that this one relieves, or inherited.
//!
//! Every socket of ours lets others of the same user share its port (`SO_REUSEPORT`), so that a worker has one of its
//! own and a new process can listen before the old one leaves. Sharing by *mistake* would give a forgotten second
//! instance half of our players, so before that a socket that does not share finds out whether somebody is there;
//! [`Sockets::taking_over`] leaves this out.
//!
//! Sockets that a supervisor opened for us (systemd's `LISTEN_FDS`) are known by their address. Such a socket is never
//! closed between two processes, so that not one connection is lost.

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};

/// Most connections that the kernel holds for us while we are busy.
pub(super) const BACKLOG: i32 = 4096;

/// How sockets are come by.
#[derive(Debug, Default)]
pub struct Sockets {
    inherited: Vec<TcpListener>,
    takes_over: bool,
}

// === impl Sockets ===

impl Sockets {
    /// Those that a supervisor handed over; others are bound.
    ///
    /// # Errors
    /// What was handed over is no TCP listener.
    pub fn inherited() -> io::Result<Self> {
        let mut handed = ListenFd::from_env();
        let mut inherited = Vec::with_capacity(handed.len());
        for at in 0..handed.len() {
            inherited.extend(handed.take_tcp_listener(at)?);
        }
        Ok(Self { inherited, takes_over: false })
    }

    /// The same, sharing ports with the process that is relieved.
    #[must_use]
    pub fn taking_over(self) -> Self {
        Self { takes_over: true, ..self }
    }

    /// Whether ports are shared with a process that is to be relieved.
    #[must_use]
    pub fn takes_over(&self) -> bool {
        self.takes_over
    }

    /// `count` listeners on one address, all on the same port if that is 0. The kernel spreads connections over them.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(super) fn listen(&self, address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
        let is_it = |socket: &&TcpListener| socket.local_addr().is_ok_and(|local| local == address);
        if let Some(socket) = self.inherited.iter().find(is_it) {
            socket.set_nonblocking(true)?;
            return (0..count).map(|_| socket.try_clone()).collect();
        }
        let address =
            if self.takes_over { address } else { bind(address, false).map_err(named)?.local_addr()? };
        (0..count).map(|_| bind(address, true).map_err(named)).collect()
    }

    /// Addresses of sockets that were handed over and that no listener of the configuration has.
    #[must_use]
    pub fn strangers(&self, ours: &[SocketAddr]) -> Vec<SocketAddr> {
        let addresses = self.inherited.iter().filter_map(|socket| socket.local_addr().ok());
        addresses.filter(|address| !ours.contains(address)).collect()
    }
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
