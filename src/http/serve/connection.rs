//! The accept loop of a player worker, and what one connection goes through.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use futures_util::FutureExt as _;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::watch::{Limits, Order, Pulse, Watch};
use super::{BUFFER_BYTES, GRACE, accept_failed};
use crate::http::Front;
use crate::http::lane::Lane;

/// Accepts until `cancel`, then lets open requests end.
pub(super) async fn accept(
    listener: TcpListener,
    front: &Arc<Front>,
    router: &Router,
    cancel: &CancellationToken,
    limits: Limits,
) {
    let connections = TaskTracker::new();
    let mut watch = Watch::new(limits);
    let mut sweeps = tokio::time::interval(limits.sweep);
    sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let begin = |watch: &mut Watch, (stream, address): (TcpStream, std::net::SocketAddr)| {
        let pulse = watch.begin();
        let begun = Arc::clone(&pulse.begun);
        let lane = Lane::new(Arc::clone(front), router.clone(), front.peer(address), begun);
        let open = front.telemetry.connection("player");
        connections.spawn(async move {
            let _open = open;
            serve(stream, lane, &pulse).await;
        });
    };
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            _ = sweeps.tick() => {
                for _ in 0..watch.sweep() {
                    front.telemetry.reaped();
                }
            }
            accepted = listener.accept() => match accepted {
                Ok(accepted) => begin(&mut watch, accepted),
                Err(error) => accept_failed(&error, "player").await,
            },
        }
    }
    // What the kernel has accepted for us already would be reset when the listener closes.
    while let Some(Ok(accepted)) = listener.accept().now_or_never() {
        begin(&mut watch, accepted);
    }
    drop(listener);
    watch.finish();
    connections.close();
    let _ = tokio::time::timeout(GRACE, connections.wait()).await;
}

/// One connection, until it ends by itself or is told to.
async fn serve(stream: TcpStream, lane: Lane, pulse: &Pulse) {
    // An answer is one segment; waiting for more would only delay it.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .pipeline_flush(true)
        // Head and body are a few hundred bytes: copied into one buffer, one plain write sends them.
        .writev(false)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), lane);
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
