//! Listeners and accept loops of both sides.
//!
//! `axum::serve` takes no configuration, so both loops are ours. The **player side** runs on threads of its own
//! ([`workers`]), each with a single-threaded runtime and a listener on the shared port: nothing is handed
//! between cores, thread-local caches stay warm, and a scrape that parses a large page never delays a resolve.
//! The **ops side** ([`ops`]) is a task on the main runtime.

mod backlog;
mod connection;
mod gauge;
mod pace;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use self::connection::Doors;
pub use self::gauge::Gauge;
use super::client_ip::Peer;
use super::tls::{H2, Tls};
use super::{Front, Side};
use crate::config::Server;
use crate::sockets::{Census, Sockets};

/// How long open requests may take to end after the call to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long the head of an ops request may take, idle time before it included; and a TLS handshake.
const OPS_HEAD: Duration = Duration::from_secs(60);
const OPS_HANDSHAKE: Duration = Duration::from_secs(10);
/// Largest request head, and most answers kept for a reader that is slow: four times the longest URI.
const BUFFER_BYTES: usize = 32 * 1024;
/// Time between two looks for silent connections.
const SWEEP: Duration = Duration::from_secs(2);
/// Pause after an accept error such as "too many open files": trying at once again would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The player side, running.
pub struct Workers {
    address: SocketAddr,
    secure: Option<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

/// Binds the player side and starts its threads. Everything that can fail fails here, before the first
/// request; afterwards a worker ends when `cancel` is, and cancels it should it ever end for another reason.
///
/// # Errors
/// An address cannot be bound, or a thread cannot be started.
pub fn workers(
    config: &Server,
    tls: Option<&Tls>,
    sockets: &Sockets,
    front: &Arc<Front>,
    cancel: &CancellationToken,
) -> io::Result<Workers> {
    let count = match config.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        count => count,
    };
    let plain = sockets.listen(config.listen, count)?;
    let address = plain[0].local_addr()?;
    let secure = config.tls.as_ref().zip(tls).map(|(config, tls)| (config.listen, tls));
    let secure =
        secure.map(|(address, tls)| io::Result::Ok((sockets.listen(address, count)?, tls))).transpose()?;
    let secure_address = secure.as_ref().map(|(listeners, _)| listeners[0].local_addr()).transpose()?;
    let mut secure = secure.map(|(listeners, tls)| (listeners.into_iter(), tls));
    let router = super::router(Side::Player, front);
    let census = Arc::new(Census::default());
    let mut threads = Vec::with_capacity(count);
    // Workers that were started before one fails are not left running.
    let stop_all = cancel.clone().drop_guard();
    for (number, plain) in plain.into_iter().enumerate() {
        let secure = secure.as_mut().and_then(|(listeners, tls)| Some((listeners.next()?, (*tls).clone())));
        let (front, router, census, cancel) =
            (Arc::clone(front), router.clone(), Arc::clone(&census), cancel.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(format!("player-{number}")).spawn(move || {
            // A service that lost a core without a word would be slow for no visible reason.
            let _stop_all = cancel.clone().drop_guard();
            let served = runtime.block_on(async {
                let plain = TcpListener::from_std(plain)?;
                let secure =
                    secure.map(|(listener, tls)| TcpListener::from_std(listener).map(|door| (door, tls)));
                let doors = Doors { plain, secure: secure.transpose()? };
                connection::accept(doors, &front, &router, &census, &cancel, SWEEP).await;
                io::Result::Ok(())
            });
            if let Err(error) = served {
                tracing::error!(%error, "a player worker could not start");
            }
        })?;
        threads.push(thread);
    }
    stop_all.disarm();
    Ok(Workers { address, secure: secure_address, threads })
}

/// Binds the ops side.
///
/// # Errors
/// The address cannot be bound.
pub fn bind_ops(config: &Server, sockets: &Sockets) -> io::Result<TcpListener> {
    let mut listeners = sockets.listen(config.admin_listen, 1)?;
    TcpListener::from_std(listeners.swap_remove(0))
}

/// Serves the ops side, by TLS alone if there is one, until `cancel`; then lets open requests end.
pub async fn ops(listener: TcpListener, tls: Option<Tls>, front: Arc<Front>, cancel: CancellationToken) {
    let router = super::router(Side::Ops, &front);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                accept_failed(&front, &error, "ops").await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let open = front.telemetry.connection("ops");
        let peer = front.peer(address);
        let (router, watcher, tls) = (router.clone(), graceful.watcher(), tls.clone());
        tokio::spawn(async move {
            let _open = open;
            serve_ops(stream, tls, peer, router, watcher).await;
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}

/// One connection of an operator. One that breaks is the client's affair.
async fn serve_ops(stream: TcpStream, tls: Option<Tls>, peer: Peer, router: axum::Router, watcher: Watcher) {
    let service = TowerToHyperService::new(router.map_request(move |mut request: http::Request<_>| {
        request.extensions_mut().insert(peer);
        request
    }));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(OPS_HEAD).max_buf_size(BUFFER_BYTES);
    let Some(tls) = tls else {
        let _ = watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await;
        return;
    };
    let handshake = tokio::time::timeout(OPS_HANDSHAKE, tls.acceptor().accept(stream));
    let Ok(Ok(stream)) = handshake.await else { return };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
    let stream = TokioIo::new(stream);
    if is_h2 {
        let http = http2::Builder::new(TokioExecutor::new());
        let _ = watcher.watch(http.serve_connection(stream, service)).await;
    } else {
        let _ = watcher.watch(http.serve_connection(stream, service)).await;
    }
}

// === impl Workers ===

impl Workers {
    /// Where the player side listens; the port is the real one if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its HTTPS listens; `None`: nowhere.
    #[must_use]
    pub fn secure_address(&self) -> Option<SocketAddr> {
        self.secure
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
async fn accept_failed(front: &Front, error: &io::Error, side: &'static str) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        if let Some(held_back) = front.accept_lid.lift(front.resolver.now()) {
            tracing::warn!(%error, side, held_back, "cannot accept connections");
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

#[cfg(test)]
mod tests;
