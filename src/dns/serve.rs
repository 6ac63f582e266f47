//! Sockets and threads of the DNS front.
//!
//! A blocking thread for each core, each with a UDP socket of its own on the shared port: the kernel spreads queriers
//! over them and nothing is handed between cores. TCP is a task on the main runtime.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Front, tcp, udp};
use crate::sockets::Sockets;

/// Kernel buffers of a UDP socket, bytes: a few milliseconds of a flood. The kernel may give less.
const BUFFER_BYTES: usize = 4 << 20;
/// How long a thread sleeps before it looks whether it is to end.
const NAP: Duration = Duration::from_millis(250);

/// Where it is to listen.
pub struct Listen {
    /// UDP and TCP.
    pub plain: SocketAddr,
    /// TLS, and what shows the certificate; `None`: none.
    pub secure: Option<(SocketAddr, TlsAcceptor)>,
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
    sockets: &Sockets,
    front: &Arc<Front>,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> io::Result<Server> {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (datagrams, connections) = sockets.listen_both(listen.plain, count)?;
    let address = connections.local_addr()?;
    for socket in &datagrams {
        prepare(socket)?;
    }
    let mut threads = Vec::with_capacity(count);
    let connections = TcpListener::from_std(connections)?;
    let secure = listen.secure.map(|(address, tls)| {
        let listener = sockets.listen(address, 1)?.swap_remove(0);
        io::Result::Ok((TcpListener::from_std(listener)?, tls))
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

/// What a thread's socket needs beside its address.
fn prepare(socket: &UdpSocket) -> io::Result<()> {
    let buffers = SockRef::from(socket);
    // Less than asked for is no error.
    let _ = buffers.set_recv_buffer_size(BUFFER_BYTES);
    let _ = buffers.set_send_buffer_size(BUFFER_BYTES);
    socket.set_read_timeout(Some(NAP))
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
