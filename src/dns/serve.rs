//! Sockets and threads of the DNS front.
//!
//! A blocking thread for each core, each with a UDP socket of its own on the shared port: the kernel spreads queriers
//! over them and nothing is handed between cores. TCP is a task on the main runtime.
//!
//! *Limits*: a reply by UDP leaves from the address that the kernel prefers. On a machine with several, `dns.listen`
//! names the one that the zone's NS records lead to.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Front, tcp, udp};

/// Kernel buffers of a UDP socket, bytes: a few milliseconds of a flood. The kernel may give less.
const BUFFER_BYTES: usize = 4 << 20;
/// How long a thread sleeps before it looks whether it is to end.
const NAP: Duration = Duration::from_millis(250);
/// Connections that the kernel holds for us.
const BACKLOG: i32 = 1_024;
/// Tries to find a port that is free for both, where 0 was asked for.
const PORT_TRIES: usize = 16;

/// Where it is to listen.
pub struct Listen {
    /// UDP and TCP.
    pub plain: SocketAddr,
    /// TLS, and what shows the certificate; `None`: none.
    pub secure: Option<(SocketAddr, TlsAcceptor)>,
    /// Another process that has the ports is to be relieved; else it is an error that there is one.
    pub takes_over: bool,
}

/// The DNS front, running.
pub struct Server {
    address: SocketAddr,
    secure: Option<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

/// Binds UDP, TCP and TLS and starts answering, until `cancel`. Everything that can fail fails here.
///
/// # Errors
/// An address cannot be bound, or a thread cannot be started.
pub fn serve(
    listen: Listen,
    front: &Arc<Front>,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> io::Result<Server> {
    let named = |address: SocketAddr| {
        move |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    };
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (datagrams, connections) =
        bind(listen.plain, count, listen.takes_over).map_err(named(listen.plain))?;
    let address = connections.local_addr()?;
    let mut threads = Vec::with_capacity(count);
    let connections = tokio::net::TcpListener::from_std(connections)?;
    let secure = listen.secure.map(|(address, tls)| {
        let listener = listener(address, listen.takes_over).map_err(named(address))?;
        io::Result::Ok((tokio::net::TcpListener::from_std(listener)?, tls))
    });
    let secure = secure.transpose()?;
    // Threads that were started before one fails are not left running.
    let stop_all = cancel.clone().drop_guard();
    for (number, socket) in datagrams.into_iter().enumerate() {
        let (front, cancel) = (Arc::clone(front), cancel.clone());
        let thread = std::thread::Builder::new().name(format!("dns-{number}")).spawn(move || {
            let _stop_all = cancel.clone().drop_guard();
            udp::run(&socket, &front, &cancel);
        })?;
        threads.push(thread);
    }
    tasks.spawn(tcp::run(connections, None, Arc::clone(front), cancel.clone()));
    let mut secure_address = None;
    if let Some((listener, tls)) = secure {
        secure_address = Some(listener.local_addr()?);
        tasks.spawn(tcp::run(listener, Some(tls), Arc::clone(front), cancel.clone()));
    }
    stop_all.disarm();
    Ok(Server { address, secure: secure_address, threads })
}

/// Sockets for datagrams, and one for connections, on one port.
fn bind(listen: SocketAddr, count: usize, takes_over: bool) -> io::Result<(Vec<UdpSocket>, TcpListener)> {
    let mut tries = 0;
    loop {
        tries += 1;
        match bind_once(listen, count, takes_over) {
            // The free port of the one may be taken for the other.
            Err(error)
                if listen.port() == 0 && error.kind() == io::ErrorKind::AddrInUse && tries < PORT_TRIES => {}
            bound => return bound,
        }
    }
}

fn bind_once(
    listen: SocketAddr,
    count: usize,
    takes_over: bool,
) -> io::Result<(Vec<UdpSocket>, TcpListener)> {
    if !takes_over && listen.port() != 0 {
        // One that does not share finds out whether somebody is there.
        socket(listen, Type::DGRAM, false)?;
        socket(listen, Type::STREAM, false)?;
    }
    let first: UdpSocket = socket(listen, Type::DGRAM, true)?.into();
    let address = first.local_addr()?;
    let mut datagrams = vec![first];
    for _ in 1..count {
        datagrams.push(socket(address, Type::DGRAM, true)?.into());
    }
    for socket in &datagrams {
        socket.set_read_timeout(Some(NAP))?;
    }
    Ok((datagrams, listener(address, true)?))
}

fn listener(address: SocketAddr, takes_over: bool) -> io::Result<TcpListener> {
    if !takes_over && address.port() != 0 {
        socket(address, Type::STREAM, false)?;
    }
    let listener = socket(address, Type::STREAM, true)?;
    listener.listen(BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener.into())
}

fn socket(address: SocketAddr, kind: Type, shared: bool) -> io::Result<Socket> {
    let protocol = if kind == Type::DGRAM { Protocol::UDP } else { Protocol::TCP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if kind == Type::DGRAM {
        // Less than asked for is no error.
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    } else {
        socket.set_reuse_address(true)?;
    }
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

// === impl Server ===

impl Server {
    /// Where it listens; the port is the real one if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where TLS is spoken; `None`: nowhere.
    #[must_use]
    pub fn secure_address(&self) -> Option<SocketAddr> {
        self.secure
    }

    /// Waits for all threads to end, after `cancel`. Blocks: call it from a blocking task.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a DNS thread panicked");
            }
        }
    }
}
