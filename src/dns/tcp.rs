//! Connections (RFC 7766), plain or by TLS (RFC 7858): queries one after the other, each behind its length.
//!
//! Their number is bounded, all together, for one network, and by the time that one may be silent; a client that does not
//! read its replies is silent, too. Beyond the bound of all newcomers wait in the kernel's queue; beyond that of their
//! network they are closed at once, so that no network keeps the others waiting.
//!
//! *Limits*: whoever has eight networks can hold all places, for ten seconds each time. Others are still answered by UDP.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Front, rate};
use crate::sockets::Census;
use crate::telemetry::DnsTransport;

/// Connections at once.
const MOST_CONNECTIONS: usize = 1_024;
/// Of those, from one /24 or /56: the resolvers of one site.
const MOST_OF_ONE_NETWORK: usize = MOST_CONNECTIONS / 8;
/// How long a connection may take for one query and its reply, idle time included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after an accept error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Longest query read: beyond it the connection ends. Queries have a question and an OPT.
const LONGEST_QUERY: usize = 4_096;
/// Octets that are read at once; those of a query that is longer come in several calls.
const BUFFER: usize = 1_024;

/// Accepts until `cancel`, which also ends open connections: a resolver asks again.
pub(super) async fn run(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    front: Arc<Front>,
    cancel: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let census = Arc::new(Census::default());
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => return,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, from, place)) => {
                let network = rate::network(from.ip().to_canonical());
                let Some(seat) = census.seat(Some(network), MOST_OF_ONE_NETWORK) else {
                    front.telemetry.dns.turned_away();
                    continue;
                };
                let (front, cancel, tls) = (Arc::clone(&front), cancel.clone(), tls.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        // One that breaks is its client's affair.
                        _ = serve(stream, tls, from, &front) => {}
                    }
                    drop((place, seat));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept DNS connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, Place)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, from) = listener.accept().await?;
    Ok((stream, from, place))
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    from: SocketAddr,
    front: &Front,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return converse(stream, from, DnsTransport::Tcp, front).await };
    let stream = timeout(PATIENCE, tls.accept(stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    converse(stream, from, DnsTransport::Tls, front).await
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    from: SocketAddr,
    transport: DnsTransport,
    front: &Front,
) -> io::Result<()> {
    // A length and its query come by one call.
    let mut stream = BufReader::with_capacity(BUFFER, stream);
    let (mut query, mut reply, mut framed) = (Vec::new(), Vec::new(), Vec::new());
    // One timer that is put off again and again: cheaper than one for each query.
    let mut patience = pin!(sleep(PATIENCE));
    loop {
        patience.as_mut().reset(Instant::now() + PATIENCE);
        let turn = async {
            let length = usize::from(stream.read_u16().await?);
            if length > LONGEST_QUERY {
                return Err(io::ErrorKind::InvalidData.into());
            }
            query.resize(length, 0);
            stream.read_exact(&mut query).await?;
            front.answer(&query, from.ip(), transport, &mut reply);
            let Ok(length) = u16::try_from(reply.len()) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            if length == 0 {
                return Err(io::Error::from(io::ErrorKind::InvalidData));
            }
            // One segment: some clients read the length and the message by one call each.
            framed.clear();
            framed.extend_from_slice(&length.to_be_bytes());
            framed.extend_from_slice(&reply);
            stream.write_all(&framed).await?;
            stream.flush().await
        };
        tokio::select! {
            biased;
            done = turn => done?,
            () = patience.as_mut() => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
