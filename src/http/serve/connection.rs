//! The accept loop of a player worker, and what one connection goes through.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::backlog::Backlog;
use super::gauge::{self, Gauge};
use super::watch::{Order, Patience, Pulse, Watch};
use super::{BUFFER_BYTES, GRACE, accept_failed};
use crate::http::Front;
use crate::http::client_ip::Peer;
use crate::http::lane::Lane;
use crate::http::limit::ClientKey;
use crate::http::tls::{H2, Tls};
use crate::sockets::Census;

/// Requests of one HTTP/2 connection at once. A player has one or two; a proxy opens another connection.
const H2_STREAMS: u32 = 128;
/// At the end, looks for connections that no longer ask, and the time between them.
const LAST_LOOKS: u32 = 4;
const LAST_LOOK: Duration = Duration::from_millis(500);
/// Pause before a listener is asked again while its newcomers have to wait outside.
const LATE_PAUSE: Duration = Duration::from_millis(5);

/// Where a worker's players come in.
pub(super) struct Doors {
    /// HTTP.
    pub(super) plain: TcpListener,
    /// HTTPS.
    pub(super) secure: Option<(TcpListener, Tls)>,
}

/// What a worker and its connections share.
struct Worker<'a> {
    front: &'a Arc<Front>,
    router: &'a Router,
    census: &'a Arc<Census<ClientKey>>,
    gauge: Arc<Gauge>,
    watch: Watch,
    connections: TaskTracker,
}

/// Accepts until `cancel`, then lets open requests end. Silence is looked for each `sweep`.
pub(super) async fn accept(
    doors: Doors,
    front: &Arc<Front>,
    router: &Router,
    census: &Arc<Census<ClientKey>>,
    cancel: &CancellationToken,
    sweep: Duration,
) {
    let gauge = Arc::new(Gauge::default());
    let (watch, connections) = (Watch::new(), TaskTracker::new());
    let mut worker = Worker { front, router, census, gauge: Arc::clone(&gauge), watch, connections };
    let limits = Arc::clone(front);
    let measuring = gauge::watch(Arc::clone(&gauge), move || limits.limits.load().longest_wait_ms);
    let _measuring = AbortOnDropHandle::new(tokio::spawn(measuring));
    let mut sweeps = tokio::time::interval(sweep);
    sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let Doors { plain, secure } = doors;
    let longest_wait = || Duration::from_millis(front.limits.load().longest_wait_ms);
    let (mut plain_backlog, mut secure_backlog) = (Backlog::default(), Backlog::default());
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            _ = sweeps.tick() => {
                worker.sweep(sweep);
                let closed = plain_backlog.closed() + secure_backlog.closed();
                front.telemetry.refused_connections("late", closed);
            }
            accepted = player(&plain, &mut plain_backlog, &gauge, longest_wait) => match accepted {
                Ok(accepted) => worker.begin(accepted, None),
                Err(error) => accept_failed(front, &error, "player").await,
            },
            accepted = secured(secure.as_ref(), &mut secure_backlog, &gauge, longest_wait) => match accepted {
                Ok((accepted, tls)) => worker.begin(accepted, Some(tls)),
                Err(error) => accept_failed(front, &error, "player").await,
            },
        }
    }
    front.stop_being_ready();
    // What the kernel has accepted for us already would be reset when the listeners close.
    for accepted in plain_backlog.rest(&plain) {
        worker.begin(accepted, None);
    }
    if let Some((listener, tls)) = &secure {
        for accepted in secure_backlog.rest(listener) {
            worker.begin(accepted, Some(tls));
        }
    }
    drop((plain, secure));
    worker.end().await;
}

/// The next HTTP connection. While requests of those who are in wait for their turn, one newcomer in a while is let in:
/// a connection costs several requests, and those who were refused would come again by new ones.
async fn player(
    listener: &TcpListener,
    backlog: &mut Backlog,
    gauge: &Gauge,
    longest_wait: impl Fn() -> Duration,
) -> std::io::Result<(TcpStream, SocketAddr)> {
    if gauge.is_late() {
        backlog.hold(listener, longest_wait());
        tokio::time::sleep(LATE_PAUSE).await;
    }
    backlog.accept(listener, longest_wait).await
}

/// The next HTTPS connection; never, if there is no such listener. While requests wait for their turn, handshakes wait
/// in the kernel's queue.
async fn secured<'a>(
    door: Option<&'a (TcpListener, Tls)>,
    backlog: &mut Backlog,
    gauge: &Gauge,
    longest_wait: impl Fn() -> Duration,
) -> std::io::Result<((TcpStream, SocketAddr), &'a Tls)> {
    let Some((listener, tls)) = door else { return std::future::pending().await };
    while gauge.is_late() {
        backlog.hold(listener, longest_wait());
        tokio::time::sleep(LATE_PAUSE).await;
    }
    Ok((backlog.accept(listener, longest_wait).await?, tls))
}

// === impl Worker ===

impl Worker<'_> {
    /// Serves a new connection, unless its client has too many already.
    fn begin(&mut self, (stream, address): (TcpStream, SocketAddr), tls: Option<&Tls>) {
        let front = self.front;
        let peer = Peer { secure: tls.is_some(), ..front.peer(address) };
        let limits = front.limits.load();
        if self.census.all() >= limits.connections {
            let made = self.watch.make_room();
            front.telemetry.refused_connections("crowded", made);
        }
        let Some(seat) = self.census.seat(client(peer), limits.connections_per_client) else {
            front.telemetry.refused_connections("client", 1);
            return;
        };
        let pulse = self.watch.begin();
        let begun = Arc::clone(&pulse.begun);
        let gauge = Arc::clone(&self.gauge);
        let lane = Lane::new(Arc::clone(front), self.router.clone(), peer, begun, gauge);
        let open = front.telemetry.connection("player");
        let acceptor = tls.map(|tls| tls.acceptor().clone());
        let failed = acceptor.is_some().then(|| front.telemetry.failed_handshakes());
        self.connections.spawn(async move {
            let (_open, _seat) = (open, seat);
            // An answer is one segment; waiting for more would only delay it.
            let _ = stream.set_nodelay(true);
            match acceptor {
                None => until_told(http1(stream, lane), &pulse).await,
                Some(acceptor) => {
                    let is_secured = secure(acceptor, stream, lane, &pulse).await;
                    if let Some(failed) = failed.filter(|_| !is_secured) {
                        failed.inc();
                    }
                }
            }
        });
    }

    fn sweep(&mut self, sweep: Duration) {
        let patience = Patience::new(&self.front.limits.load(), sweep);
        for _ in 0..self.watch.sweep(patience) {
            self.front.telemetry.reaped();
        }
    }

    /// Lets requests under way end.
    ///
    /// A kept connection that is closed while its next request is on the way costs that request (RFC 9112 §9.6). So
    /// those that ask often are left open until their next answer says `Connection: close`, which all answers now do.
    async fn end(mut self) {
        self.connections.close();
        self.watch.look();
        for _ in 0..LAST_LOOKS {
            if tokio::time::timeout(LAST_LOOK, self.connections.wait()).await.is_ok() {
                return;
            }
            self.watch.finish_silent();
        }
        self.watch.finish();
        let _ = tokio::time::timeout(GRACE, self.connections.wait()).await;
    }
}

/// Whose connection it is; `None`: a trusted proxy's, which are many clients'.
pub(super) fn client(peer: Peer) -> Option<ClientKey> {
    (!peer.trusted).then(|| ClientKey::of(peer.ip))
}

fn http1<I: AsyncRead + AsyncWrite + Unpin>(stream: I, lane: Lane) -> http1::Connection<TokioIo<I>, Lane> {
    // Not `pipeline_flush`: with it, what hyper says of a head that it cannot read is never sent.
    http1::Builder::new()
        // Head and body are a few hundred bytes: copied into one buffer, one plain write sends them.
        .writev(false)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), lane)
}

/// Handshake, then whichever HTTP was agreed upon. Whether it came so far.
async fn secure(acceptor: TlsAcceptor, stream: TcpStream, lane: Lane, pulse: &Pulse) -> bool {
    let Some(Ok(stream)) = unless_dropped(acceptor.accept(stream), pulse).await else { return false };
    if stream.get_ref().1.alpn_protocol() == Some(H2) {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.max_concurrent_streams(H2_STREAMS).max_header_list_size(BUFFER_BYTES as u32);
        until_told(http.serve_connection(TokioIo::new(stream), lane), pulse).await;
    } else {
        until_told(http1(stream, lane), pulse).await;
    }
    true
}

/// One connection, until it ends by itself or is told to.
async fn until_told(connection: impl GracefulConnection, pulse: &Pulse) {
    let mut connection = pin!(connection);
    let mut finishing = false;
    poll_fn(|context| {
        // Registered before the order is read, so that none is missed.
        pulse.waker.register(context.waker());
        match pulse.order() {
            Order::Serve => {}
            Order::Finish if finishing => {}
            Order::Finish => {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            Order::Drop => return Poll::Ready(()),
        }
        // A connection that breaks is the client's affair.
        connection.as_mut().poll(context).map(|_| ())
    })
    .await;
}

/// The outcome of `work`; `None`: the connection was told to end now.
async fn unless_dropped<F: Future>(work: F, pulse: &Pulse) -> Option<F::Output> {
    let mut work = pin!(work);
    poll_fn(|context| {
        pulse.waker.register(context.waker());
        match pulse.order() {
            Order::Drop => Poll::Ready(None),
            Order::Serve | Order::Finish => work.as_mut().poll(context).map(Some),
        }
    })
    .await
}
