//! Datagrams: up to 32 queries by one system call, their replies by another.
//!
//! Two thirds of what a query costs is the kernel's work for its datagrams; batches share that. A batch is what has
//! arrived already, so nobody waits for others. What can be fetched for all of them at once is (`dns/ahead`).

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use arrayvec::ArrayVec;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg, sendmmsg,
};
use tokio_util::sync::CancellationToken;

use super::Front;
use super::ahead::Ahead;
use super::answer::Asker;
use super::asked::{Source, Telling};
use super::query::{LONGEST_NAME, Room};
use crate::telemetry::DnsTransport;

/// Datagrams of a batch; 64 are no faster (measured).
const BATCH: usize = 32;
/// Longest query read. What is longer is cut and so malformed: no query has reason to be.
const LONGEST_QUERY: usize = 1_500;
/// Pause after an error that trying again at once would only repeat.
const PAUSE: Duration = Duration::from_millis(50);

/// One query of a batch: its length, whom it is from, and which address of ours was asked.
type Received<P> = (usize, P, Option<IpAddr>);

/// A reply, whom it is for, and which address of ours it is from.
type Sent<'r, P> = (&'r Vec<u8>, P, Option<IpAddr>);

/// An address as the kernel writes it. A socket has those of one family, and 16 or 28 octets are sooner moved than the 128
/// that hold any.
trait Peer: SockaddrLike + Copy + 'static {
    /// Nobody's.
    fn nobody() -> Self;
    fn ip(&self) -> IpAddr;
}

/// What a thread answers into and out of, used again for every batch.
struct Desk {
    queries: Box<[[u8; LONGEST_QUERY]; BATCH]>,
    names: Box<[Room; BATCH]>,
    replies: Vec<Vec<u8>>,
}

/// Answers until `cancel`. The socket has a read timeout, after which it looks.
pub(super) fn run(socket: &UdpSocket, front: &Front, cancel: &CancellationToken) {
    match socket.local_addr() {
        Ok(SocketAddr::V6(_)) => serve::<SockaddrIn6>(socket, front, cancel),
        Ok(SocketAddr::V4(_)) => serve::<SockaddrIn>(socket, front, cancel),
        Err(error) => tracing::error!(%error, "the DNS socket has no address"),
    }
}

fn serve<P: Peer>(socket: &UdpSocket, front: &Front, cancel: &CancellationToken) {
    let mut desk = Desk::new();
    let telling = Telling::on(socket);
    let mut incoming = MultiHeaders::preallocate(BATCH, telling.room());
    let mut outgoing = MultiHeaders::preallocate(BATCH, telling.room());
    while !cancel.is_cancelled() {
        let received = match receive::<P>(socket, telling, &mut incoming, &mut desk.queries) {
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
        desk.answer(front, &received);
        let ways = received.iter().map(|(_, from, asked)| (*from, *asked));
        let filled = desk.replies.iter().zip(ways).filter(|(reply, _)| !reply.is_empty());
        let mut filled: ArrayVec<Sent<'_, P>, BATCH> =
            filled.map(|(reply, (to, asked))| (reply, to, asked)).collect();
        filled.sort_by_key(|(_, _, asked)| *asked);
        for replies in filled.chunk_by(|(_, _, one), (_, _, other)| one == other) {
            send(socket, &mut outgoing, replies);
        }
    }
}

// === impl Desk ===

impl Desk {
    fn new() -> Self {
        Self {
            queries: Box::new([[0; LONGEST_QUERY]; BATCH]),
            names: Box::new([[0; LONGEST_NAME]; BATCH]),
            replies: (0..BATCH).map(|_| Vec::with_capacity(LONGEST_QUERY)).collect(),
        }
    }

    /// Writes the replies to what was received; those that are not to be sent stay empty.
    fn answer<P: Peer>(&mut self, front: &Front, received: &[Received<P>]) {
        let asker =
            |(_, from, _): &Received<P>| Asker { ip: from.ip().to_canonical(), transport: DnsTransport::Udp };
        let askers: ArrayVec<Asker, BATCH> = received.iter().map(asker).collect();
        let lengths = received.iter().map(|(length, ..)| *length);
        let queries =
            self.queries.iter().zip(lengths).map(|(query, length)| query.get(..length).unwrap_or(query));
        let settings = front.settings.load();
        let rooms = self.names.iter_mut();
        let mut ahead = ArrayVec::<Ahead<'_>, BATCH>::new();
        if !front.look_ahead(queries.clone().zip(rooms), &askers, &mut ahead) {
            // One of them is bad: it alone is to go without an answer.
            for ((query, asker), reply) in queries.zip(&askers).zip(&mut self.replies) {
                front.answer(query, asker.ip, asker.transport, reply);
            }
            return;
        }
        for (((query, ahead), asker), reply) in queries.zip(&ahead).zip(askers).zip(&mut self.replies) {
            front.answer_ahead(&settings, (query, ahead), asker, reply);
        }
    }
}

// === impl Peer ===

impl Peer for SockaddrIn {
    fn nobody() -> Self {
        Self::new(0, 0, 0, 0, 0)
    }

    fn ip(&self) -> IpAddr {
        IpAddr::V4(Self::ip(self))
    }
}

impl Peer for SockaddrIn6 {
    fn nobody() -> Self {
        SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0).into()
    }

    fn ip(&self) -> IpAddr {
        IpAddr::V6(Self::ip(self))
    }
}

fn receive<P: Peer>(
    socket: &UdpSocket,
    telling: Telling,
    headers: &mut MultiHeaders<P>,
    buffers: &mut [[u8; LONGEST_QUERY]; BATCH],
) -> Result<ArrayVec<Received<P>, BATCH>, Errno> {
    let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
    let messages = recvmmsg(socket.as_raw_fd(), headers, &mut slices, MsgFlags::MSG_WAITFORONE, None)?;
    // One without a sender keeps its place, so that queries and buffers stay side by side.
    Ok(messages
        .map(|message| (message.bytes, message.address.unwrap_or(P::nobody()), telling.address(&message)))
        .collect())
}

/// Sends replies from one address of ours. One that cannot be sent is given up, as one that is lost on the way would be.
fn send<P: Peer>(socket: &UdpSocket, headers: &mut MultiHeaders<P>, replies: &[Sent<'_, P>]) {
    let source = replies.first().and_then(|(_, _, asked)| *asked).map(Source::of);
    let told: ArrayVec<ControlMessage<'_>, 1> = source.iter().map(Source::message).collect();
    let mut at = 0;
    while let Some(rest) = replies.get(at..).filter(|rest| !rest.is_empty()) {
        let slices: ArrayVec<[IoSlice<'_>; 1], BATCH> =
            rest.iter().map(|(reply, _, _)| [IoSlice::new(reply)]).collect();
        let to: ArrayVec<Option<P>, BATCH> = rest.iter().map(|(_, to, _)| Some(*to)).collect();
        match sendmmsg(socket.as_raw_fd(), headers, &slices, &to, &told, MsgFlags::empty()) {
            Ok(sent) => at += sent.count().max(1),
            Err(Errno::EINTR) => {}
            Err(_) => at += 1,
        }
    }
}
