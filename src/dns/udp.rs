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
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use tokio_util::sync::CancellationToken;

use super::Front;
use crate::telemetry::DnsTransport;

/// Datagrams of a batch; 64 are no faster (measured).
const BATCH: usize = 32;
/// Longest query read. What is longer is cut and so malformed: no query has reason to be.
const LONGEST_QUERY: usize = 1_500;
/// Pause after an error that trying again at once would only repeat.
const PAUSE: Duration = Duration::from_millis(50);

/// One query of a batch: its length and whom it is from; `None`: nobody says.
type Received = (usize, Option<SockaddrStorage>);

/// Answers until `cancel`. The socket has a read timeout, after which it looks.
pub(super) fn run(socket: &UdpSocket, front: &Front, cancel: &CancellationToken) {
    let mut buffers = Box::new([[0; LONGEST_QUERY]; BATCH]);
    let mut incoming = MultiHeaders::preallocate(BATCH, None);
    let mut outgoing = MultiHeaders::preallocate(BATCH, None);
    let mut replies: Vec<Vec<u8>> = (0..BATCH).map(|_| Vec::with_capacity(LONGEST_QUERY)).collect();
    // Addresses are long, and a batch of one should not move those of 32.
    let mut received: Vec<Received> = Vec::with_capacity(BATCH);
    let mut to = Vec::with_capacity(BATCH);
    while !cancel.is_cancelled() {
        match receive(socket, &mut incoming, &mut buffers, &mut received) {
            Ok(()) => {}
            // The nap is over, or a signal came.
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            // News of an earlier reply: its asker has gone.
            Err(Errno::ECONNREFUSED) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot receive DNS queries");
                std::thread::sleep(PAUSE);
                continue;
            }
        }
        to.clear();
        for ((buffer, reply), (length, from)) in buffers.iter().zip(&mut replies).zip(&received) {
            reply.clear();
            if let (Some(query), Some(ip)) = (buffer.get(..*length), from.as_ref().and_then(address)) {
                front.answer(query, ip, DnsTransport::Udp, reply);
            }
            if !reply.is_empty() {
                to.push(*from);
            }
        }
        let written = replies.iter().take(received.len()).filter(|reply| !reply.is_empty());
        let slices: ArrayVec<[IoSlice<'_>; 1], BATCH> = written.map(|reply| [IoSlice::new(reply)]).collect();
        send(socket, &mut outgoing, &slices, &to);
    }
}

fn receive(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    buffers: &mut [[u8; LONGEST_QUERY]; BATCH],
    received: &mut Vec<Received>,
) -> Result<(), Errno> {
    received.clear();
    let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
    let messages = recvmmsg(socket.as_raw_fd(), headers, &mut slices, MsgFlags::MSG_WAITFORONE, None)?;
    received.extend(messages.map(|message| (message.bytes, message.address)));
    Ok(())
}

/// Sends replies. One that cannot be sent is given up, as one that is lost on the way would be.
fn send(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    replies: &[[IoSlice<'_>; 1]],
    to: &[Option<SockaddrStorage>],
) {
    let mut at = 0;
    while let (Some(rest), Some(to)) = (replies.get(at..).filter(|rest| !rest.is_empty()), to.get(at..)) {
        match sendmmsg(socket.as_raw_fd(), headers, rest, to, [], MsgFlags::empty()) {
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
