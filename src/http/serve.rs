//! Listeners and accept loops of both sides.
//!
//! `axum::serve` takes no configuration, so both loops are ours. The **player side** runs on threads of its own
//! ([`workers`]), each with a single-threaded runtime and a listener on the shared port: nothing is handed
//! between cores, thread-local caches stay warm, and a scrape that parses a large page never delays a resolve.
//! The **ops side** ([`ops`]) is a task on the main runtime.

mod connection;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use self::watch::Limits;
use super::{Front, Side};
use crate::config::Server;

/// How long open requests may take to end after the call to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long the head of an ops request may take, idle time before it included.
const OPS_HEAD: Duration = Duration::from_secs(60);
/// Largest request head, and most answers kept for a reader that is slow: four times the longest URI.
const BUFFER_BYTES: usize = 32 * 1024;
/// Connections the kernel holds for us while we are busy.
const BACKLOG: i32 = 4096;
/// Pause after an accept error such as "too many open files": trying at once again would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The player side, running.
pub struct Workers {
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

/// Binds the player side and starts its threads. Everything that can fail fails here, before the first
/// request; afterwards a worker ends when `cancel` is, and cancels it should it ever end for another reason.
///
/// # Errors
/// The address cannot be bound, or a thread cannot be started.
pub fn workers(config: &Server, front: &Arc<Front>, cancel: &CancellationToken) -> io::Result<Workers> {
    let count = match config.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        count => count,
    };
    let listeners = shared_listeners(config.listen, count)?;
    let address = listeners[0].local_addr()?;
    let router = super::router(Side::Player, front);
    let mut threads = Vec::with_capacity(count);
    // Workers that were started before one fails are not left running.
    let stop_all = cancel.clone().drop_guard();
    for (number, listener) in listeners.into_iter().enumerate() {
        let (front, router, cancel) = (Arc::clone(front), router.clone(), cancel.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(format!("player-{number}")).spawn(move || {
            // A service that lost a core without a word would be slow for no visible reason.
            let _stop_all = cancel.clone().drop_guard();
            let served = runtime.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                connection::accept(listener, &front, &router, &cancel, Limits::default()).await;
                io::Result::Ok(())
            });
            if let Err(error) = served {
                tracing::error!(%error, "a player worker could not start");
            }
        })?;
        threads.push(thread);
    }
    stop_all.disarm();
    Ok(Workers { address, threads })
}

/// Binds the ops side.
///
/// # Errors
/// The address cannot be bound.
pub fn bind_ops(config: &Server) -> io::Result<TcpListener> {
    let listener = listener(config.admin_listen, false)?;
    TcpListener::from_std(listener)
}

/// Serves the ops side until `cancel`, then lets open requests end.
pub async fn ops(listener: TcpListener, front: Arc<Front>, cancel: CancellationToken) {
    let router = super::router(Side::Ops, &front);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(OPS_HEAD).max_buf_size(BUFFER_BYTES);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                accept_failed(&error, "ops").await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let open = front.telemetry.connection("ops");
        let peer = front.peer(address);
        let service = router.clone().map_request(move |mut request: http::Request<_>| {
            request.extensions_mut().insert(peer);
            request
        });
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let _open = open;
            // A connection that breaks is the client's affair.
            let _ = connection.await;
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}

// === impl Workers ===

impl Workers {
    /// Where the player side listens; the port is the real one if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for all workers to end, after `cancel`. Blocks: call it from a blocking task.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a player worker panicked");
            }
        }
    }
}

/// Logs an accept error and waits a moment if it is ours and not one connection's.
async fn accept_failed(error: &io::Error, side: &'static str) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, side, "cannot accept connections");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// One listener per worker, all on one port; the kernel spreads connections over them.
fn shared_listeners(address: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    if count == 1 {
        return Ok(vec![listener(address, false)?]);
    }
    // A listener that does not share finds out whether somebody else is there: sharing a port with a second
    // instance by mistake would give it half of our players.
    let address = listener(address, false)?.local_addr()?;
    (0..count).map(|_| listener(address, true)).collect()
}

fn listener(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if shared {
            socket.set_reuse_port(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    bind().map_err(|error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

#[cfg(test)]
mod tests;
