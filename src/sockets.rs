//! Where sockets come from: bound here, shared with the process that this one relieves, or inherited.
//!
//! Every socket of ours lets others of the same user share its port (`SO_REUSEPORT`), so that a thread has one of its
//! own and a new process can listen before the old one leaves. Sharing by *mistake* would give a forgotten second
//! instance half of our players, so before that a socket that does not share finds out whether somebody is there;
//! [`Sockets::taking_over`] leaves this out.
//!
//! Sockets that a supervisor opened for us (systemd's `LISTEN_FDS`) are known by their kind and address. Such a socket
//! is never closed between two processes, so that not one connection is lost, and its port may be one that we have no
//! right to bind.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};

/// Most connections that the kernel holds for us while we are busy.
pub const BACKLOG: i32 = 4096;
/// Tries to find a port that is free for datagrams and connections, where 0 was asked for.
const PORT_TRIES: usize = 16;

/// How sockets are come by.
#[derive(Debug, Default)]
pub struct Sockets {
    listeners: Vec<TcpListener>,
    datagrams: Vec<UdpSocket>,
    takes_over: bool,
}

// === impl Sockets ===

impl Sockets {
    /// Those that a supervisor handed over; others are bound.
    ///
    /// # Errors
    /// What was handed over is neither a TCP listener nor a UDP socket.
    pub fn inherited() -> io::Result<Self> {
        let mut handed = ListenFd::from_env();
        let mut sockets = Self::default();
        for at in 0..handed.len() {
            match handed.take_tcp_listener(at) {
                Ok(listener) => sockets.listeners.extend(listener),
                Err(_) => sockets.datagrams.extend(handed.take_udp_socket(at)?),
            }
        }
        Ok(sockets)
    }

    /// The same, sharing ports with the process that is relieved.
    #[must_use]
    pub fn taking_over(self) -> Self {
        Self { takes_over: true, ..self }
    }

    /// `count` listeners on one address, all on the same port if that is 0. The kernel spreads connections over them.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn listen(&self, address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
        let is_it = |socket: &&TcpListener| socket.local_addr().is_ok_and(|local| local == address);
        if let Some(socket) = self.listeners.iter().find(is_it) {
            socket.set_nonblocking(true)?;
            return (0..count).map(|_| socket.try_clone()).collect();
        }
        self.bound(address, Type::STREAM, count)
    }

    /// `count` sockets for datagrams and a listener, all on one port, as DNS has them. Datagrams are waited for.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn listen_both(
        &self,
        address: SocketAddr,
        count: usize,
    ) -> io::Result<(Vec<UdpSocket>, TcpListener)> {
        let mut tries = 1;
        loop {
            let both = self.datagrams(address, count).and_then(|datagrams| {
                let mut listeners = self.listen(datagrams[0].local_addr()?, 1)?;
                Ok((datagrams, listeners.swap_remove(0)))
            });
            match both {
                // The free port of the one may be taken for the other.
                Err(error) if is_taken(&error) && address.port() == 0 && tries < PORT_TRIES => tries += 1,
                both => return both,
            }
        }
    }

    fn datagrams(&self, address: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
        let is_it = |socket: &&UdpSocket| socket.local_addr().is_ok_and(|local| local == address);
        if let Some(socket) = self.datagrams.iter().find(is_it) {
            socket.set_nonblocking(false)?;
            return (0..count).map(|_| socket.try_clone()).collect();
        }
        self.bound(address, Type::DGRAM, count)
    }

    fn bound<S: From<Socket>>(&self, address: SocketAddr, kind: Type, count: usize) -> io::Result<Vec<S>> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
        let local = |socket: Socket| socket.local_addr().map(|local| local.as_socket().unwrap_or(address));
        let address = match self.takes_over {
            true => address,
            false => bind(address, kind, false).and_then(local).map_err(named)?,
        };
        (0..count).map(|_| bind(address, kind, true).map(S::from).map_err(named)).collect()
    }

    /// Addresses of sockets that were handed over and that nothing of ours listens on.
    #[must_use]
    pub fn strangers(&self, ours: &[SocketAddr]) -> Vec<SocketAddr> {
        let listeners = self.listeners.iter().map(TcpListener::local_addr);
        let addresses = listeners.chain(self.datagrams.iter().map(UdpSocket::local_addr));
        addresses.flatten().filter(|address| !ours.contains(address)).collect()
    }
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

fn bind(address: SocketAddr, kind: Type, shared: bool) -> io::Result<Socket> {
    let is_stream = kind == Type::STREAM;
    let protocol = if is_stream { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if is_stream {
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
    }
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    if is_stream {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn datagrams_and_connections_come_on_one_port() {
        let (datagrams, listener) = Sockets::default().listen_both(ANY, 3).unwrap();
        let address = listener.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        assert_eq!(datagrams.len(), 3);
        assert!(datagrams.iter().all(|socket| socket.local_addr().unwrap() == address));
    }

    #[test]
    fn a_second_instance_is_told_so_unless_it_takes_over() {
        let (_datagrams, listener) = Sockets::default().listen_both(ANY, 2).unwrap();
        let address = listener.local_addr().unwrap();
        let errors =
            [Sockets::default().listen(address, 1).err(), Sockets::default().listen_both(address, 1).err()];
        for error in errors.map(Option::unwrap) {
            assert!(is_taken(&error) && error.to_string().contains(&address.to_string()), "{error}");
        }
        let (datagrams, _) = Sockets::default().taking_over().listen_both(address, 2).unwrap();
        assert_eq!(datagrams.len(), 2);
    }

    #[test]
    fn what_was_handed_over_is_used_and_the_rest_is_named() {
        let (datagram, listener) = (UdpSocket::bind(ANY).unwrap(), TcpListener::bind(ANY).unwrap());
        let (udp, tcp) = (datagram.local_addr().unwrap(), listener.local_addr().unwrap());
        let sockets = Sockets { listeners: vec![listener], datagrams: vec![datagram], takes_over: false };
        // Neither shares its port, so binding it would fail.
        assert_eq!(sockets.listen(tcp, 2).unwrap().len(), 2);
        let (datagrams, _) = sockets.listen_both(udp, 2).unwrap();
        assert!(datagrams.iter().all(|socket| socket.local_addr().unwrap() == udp));
        assert_eq!(sockets.strangers(&[udp]), [tcp]);
        assert!(sockets.strangers(&[udp, tcp]).is_empty());
    }
}
