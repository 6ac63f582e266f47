//! Where sockets come from: bound here, taken from the process that this one relieves, or inherited.
//!
//! Every socket of ours lets others of the same user share its port (`SO_REUSEPORT`), so that a thread has one of its
//! own and a new process can listen before the old one leaves. Sharing by *mistake* would give a forgotten second
//! instance half of our players, so before that a socket that does not share finds out whether somebody is there;
//! [`Sockets::taking_over`] leaves this out, and goes on with the other's own sockets where it may (`sockets/taken`).
//!
//! Sockets that a supervisor opened for us (systemd's `LISTEN_FDS`) are known by their kind and address. Such a socket
//! is never closed between two processes, so that not one connection is lost, and its port may be one that we have no
//! right to bind.

mod census;
mod taken;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};

pub use self::census::{Census, Seat};

/// Most connections that the kernel holds for us while we are busy.
pub const BACKLOG: i32 = 4096;
/// Tries to find a port that is free for datagrams and connections, where 0 was asked for.
const PORT_TRIES: usize = 16;

/// How sockets are come by.
#[derive(Debug, Default)]
pub struct Sockets {
    listeners: Vec<TcpListener>,
    datagrams: Vec<UdpSocket>,
    /// The process that is relieved.
    before: Option<i32>,
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

    /// The same, going on with the sockets of the process of this number, which is to be relieved.
    #[must_use]
    pub fn taking_over(self, before: i32) -> Self {
        Self { before: Some(before), ..self }
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
        let (address, mut sockets) = match self.before {
            Some(before) => (address, taken_or_none(before, address, kind)?),
            None => (bind(address, kind, false).and_then(local).map_err(named)?, Vec::new()),
        };
        // Of more than there are threads the rest goes with its process: nobody here would accept from it.
        sockets.truncate(count);
        while sockets.len() < count {
            sockets.push(bind(address, kind, true).map_err(named)?);
        }
        Ok(sockets.into_iter().map(S::from).collect())
    }

    /// Addresses of sockets that were handed over and that nothing of ours listens on.
    #[must_use]
    pub fn strangers(&self, ours: &[SocketAddr]) -> Vec<SocketAddr> {
        let listeners = self.listeners.iter().map(TcpListener::local_addr);
        let addresses = listeners.chain(self.datagrams.iter().map(UdpSocket::local_addr));
        addresses.flatten().filter(|address| !ours.contains(address)).collect()
    }
}

/// The other's sockets; none if they cannot be had, which is no reason not to relieve it.
fn taken_or_none(before: i32, address: SocketAddr, kind: Type) -> io::Result<Vec<Socket>> {
    let sockets = taken::from(before, address, kind).unwrap_or_else(|error| {
        tracing::warn!(
            pid = before,
            %address,
            %error,
            "cannot take the socket of the process before; sharing its port, which may reset a client whose handshake is \
             under way when it leaves, unless net.ipv4.tcp_migrate_req is 1"
        );
        Vec::new()
    });
    if kind == Type::STREAM {
        // Who had more to do than it could may have narrowed its queue.
        sockets.iter().try_for_each(|socket| socket.listen(BACKLOG))?;
    }
    Ok(sockets)
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
        let own = i32::try_from(std::process::id()).unwrap();
        let (datagrams, _) = Sockets::default().taking_over(own).listen_both(address, 2).unwrap();
        assert_eq!(datagrams.len(), 2);
    }

    /// With a port that is shared, this client would be reset.
    #[test]
    fn who_waits_in_a_socket_waits_for_who_takes_it() {
        let listener = Sockets::default().listen(ANY, 1).unwrap().swap_remove(0);
        let address = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let taken = Sockets::default().taking_over(own).listen(address, 2).unwrap();
        drop(listener);
        let mut accepted = taken.iter().filter_map(|listener| listener.accept().ok());
        assert_eq!(accepted.next().unwrap().1, client.local_addr().unwrap());
        assert!(accepted.next().is_none());
    }

    #[test]
    fn a_process_that_cannot_be_looked_into_leaves_its_port_to_share() {
        let (_datagrams, listener) = Sockets::default().listen_both(ANY, 1).unwrap();
        let address = listener.local_addr().unwrap();
        // Nobody has this number.
        assert!(taken::from(i32::MAX, address, Type::STREAM).is_err());
        assert_eq!(Sockets::default().taking_over(i32::MAX).listen(address, 2).unwrap().len(), 2);
    }

    #[test]
    fn what_was_handed_over_is_used_and_the_rest_is_named() {
        let (datagrams, listener) = Sockets::default().listen_both(ANY, 1).unwrap();
        let other = TcpListener::bind(ANY).unwrap();
        let (both, tcp) = (listener.local_addr().unwrap(), other.local_addr().unwrap());
        let sockets = Sockets { listeners: vec![listener, other], datagrams, before: None };
        // There is somebody on these ports, so binding them would fail.
        assert_eq!(sockets.listen(tcp, 2).unwrap().len(), 2);
        let (datagrams, _) = sockets.listen_both(both, 2).unwrap();
        assert!(datagrams.iter().all(|socket| socket.local_addr().unwrap() == both));
        assert_eq!(sockets.strangers(&[both]), [tcp]);
        assert!(sockets.strangers(&[both, tcp]).is_empty());
    }
}
