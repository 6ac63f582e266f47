//! Datagrams: up to 32 queries by one system call, their replies by another.
//!
//! Two thirds of what a query costs is the kernel's work for its datagrams; batches share that. A batch is what has
//! arrived already, so nobody waits for others.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use arrayvec::ArrayVec;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use tokio_util::sync::CancellationToken;

use super::Front;
use super::asked::{Source, Telling};
use crate::telemetry::DnsTransport;

/// Datagrams of a batch; 64 are no faster (measured).
const BATCH: usize = 32;
/// Longest query read. What is longer is cut and so malformed: no query has reason to be.
const LONGEST_QUERY: usize = 1_500;
/// Pause after an error that trying again at once would only repeat.
const PAUSE: Duration = Duration::from_millis(50);

/// One query of a batch: its length, whom it is from, and which address of ours was asked.
type Received = (usize, SockaddrStorage, Option<IpAddr>);

/// A reply, whom it is for, and which address of ours it is from.
type Sent<'r> = (&'r Vec<u8>, SockaddrStorage, Option<IpAddr>);

/// Answers until `cancel`. The socket has a read timeout, after which it looks.
pub(super) fn run(socket: &UdpSocket, front: &Front, cancel: &CancellationToken) {
    let mut buffers = Box::new([[0; LONGEST_QUERY]; BATCH]);
    let telling = Telling::on(socket);
    let mut incoming = MultiHeaders::preallocate(BATCH, telling.room());
    let mut outgoing = MultiHeaders::preallocate(BATCH, telling.room());
    let mut replies: Vec<Vec<u8>> = (0..BATCH).map(|_| Vec::with_capacity(LONGEST_QUERY)).collect();
    while !cancel.is_cancelled() {
        let received = match receive(socket, telling, &mut incoming, &mut buffers) {
            Ok(received) => received,
            // The nap is over, or a signal came.
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            // News of an earlier reply: its asker has gone.
            Err(Errno::ECONNREFUSED) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot receive DNS queries");
                std::thread::sleep(PAUSE);
                continue;
            }
        };
        for ((buffer, reply), (length, from, _)) in buffers.iter().zip(&mut replies).zip(&received) {
            reply.clear();
            if let (Some(query), Some(ip)) = (buffer.get(..*length), address(from)) {
                front.answer(query, ip, DnsTransport::Udp, reply);
            }
        }
        let ways = received.iter().map(|(_, from, asked)| (*from, *asked));
        let filled = replies.iter().zip(ways).filter(|(reply, _)| !reply.is_empty());
        let mut filled: ArrayVec<Sent<'_>, BATCH> =
            filled.map(|(reply, (to, asked))| (reply, to, asked)).collect();
        filled.sort_by_key(|(_, _, asked)| *asked);
        for replies in filled.chunk_by(|(_, _, one), (_, _, other)| one == other) {
            send(socket, &mut outgoing, replies);
        }
    }
}

fn receive(
    socket: &UdpSocket,
    telling: Telling,
    headers: &mut MultiHeaders<SockaddrStorage>,
    buffers: &mut [[u8; LONGEST_QUERY]; BATCH],
) -> Result<ArrayVec<Received, BATCH>, Errno> {
    let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
    let messages = recvmmsg(socket.as_raw_fd(), headers, &mut slices, MsgFlags::MSG_WAITFORONE, None)?;
    // One without a sender keeps its place, so that queries and buffers stay side by side.
    let nobody = SockaddrStorage::from(std::net::SocketAddr::from(([0, 0, 0, 0], 0)));
    Ok(messages
        .map(|message| (message.bytes, message.address.unwrap_or(nobody), telling.address(&message)))
        .collect())
}

/// Sends replies from one address of ours. One that cannot be sent is given up, as one that is lost on the way would be.
fn send(socket: &UdpSocket, headers: &mut MultiHeaders<SockaddrStorage>, replies: &[Sent<'_>]) {
    let source = replies.first().and_then(|(_, _, asked)| *asked).map(Source::of);
    let told: ArrayVec<ControlMessage<'_>, 1> = source.iter().map(Source::message).collect();
    let mut at = 0;
    while let Some(rest) = replies.get(at..).filter(|rest| !rest.is_empty()) {
        let slices: ArrayVec<[IoSlice<'_>; 1], BATCH> =
            rest.iter().map(|(reply, _, _)| [IoSlice::new(reply)]).collect();
        let to: ArrayVec<Option<SockaddrStorage>, BATCH> = rest.iter().map(|(_, to, _)| Some(*to)).collect();
        match sendmmsg(socket.as_raw_fd(), headers, &slices, &to, &told, MsgFlags::empty()) {
            Ok(sent) => at += sent.count().max(1),
            Err(Errno::EINTR) => {}
            Err(_) => at += 1,
        }
    }
}

fn address(from: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = from.as_sockaddr_in().map(|from| IpAddr::V4(from.ip()));
    v4.or_else(|| from.as_sockaddr_in6().map(|from| IpAddr::V6(from.ip())))
}
