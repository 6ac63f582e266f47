//! Connections that wait to be served: how long each has waited, and which has waited too long.
//!
//! Left in the kernel's queue, they would wait in order and nobody would know how long. When more come than can be
//! served, that queue fills up to seconds, the kernel admits a new one only when its client knocks again, and all the
//! work is done for clients who have given up: goodput falls to nothing (measured: 2 % of the peak at three times the
//! peak). So after every few connections *all* that the kernel has are taken out and stamped, which costs a system call
//! each, and whoever has waited longer than the longest wait is closed unread, which costs another. That is a tenth of
//! serving one, so most of the time is left for those who are still there.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, Socket};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::sockets::BACKLOG;

/// Connections served one after the other before those that are open have their turn, and the kernel's queue is
/// looked at.
const AT_ONCE: u32 = 32;
/// Most that wait here. Each is a descriptor, and no more than that.
const MOST_WAITING: usize = BACKLOG as usize;

/// What waits at one listener.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Waiting>,
    /// Served since others had a turn.
    in_a_row: u32,
    /// Closed because they had waited too long, and not yet reported.
    closed: usize,
}

#[derive(Debug)]
struct Waiting {
    socket: Socket,
    address: SocketAddr,
    since: Instant,
}

// === impl Backlog ===

impl Backlog {
    /// The next connection to be served. Can be cancelled without loss.
    ///
    /// # Errors
    /// Nothing can be accepted now, for want of descriptors, say.
    pub(super) async fn accept(
        &mut self,
        listener: &TcpListener,
        longest_wait: impl Fn() -> Duration,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        if self.in_a_row >= AT_ONCE {
            self.in_a_row = 0;
            tokio::task::yield_now().await;
            self.take_all(listener);
        }
        if !self.waiting.is_empty() {
            let longest_wait = longest_wait();
            while let Some(next) = self.waiting.pop_front() {
                if next.since.elapsed() > longest_wait {
                    self.closed += 1;
                    continue;
                }
                self.in_a_row += 1;
                return Ok((TcpStream::from_std(next.socket.into())?, next.address));
            }
        }
        self.in_a_row = 0;
        let first = listener.accept().await?;
        self.in_a_row = 1;
        self.take_all(listener);
        Ok(first)
    }

    /// How many were closed since this was last asked.
    pub(super) fn closed(&mut self) -> usize {
        std::mem::take(&mut self.closed)
    }

    /// All that wait, at the end: those that the kernel has, too.
    pub(super) fn rest(&mut self, listener: &TcpListener) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
        self.take_all(listener);
        let open = |next: Waiting| Some((TcpStream::from_std(next.socket.into()).ok()?, next.address));
        self.waiting.drain(..).filter_map(open)
    }

    /// Takes over what the kernel has. Errors come again with the next connection, and are told then.
    fn take_all(&mut self, listener: &TcpListener) {
        let since = Instant::now();
        let queue = SockRef::from(listener);
        while self.waiting.len() < MOST_WAITING {
            let Ok((socket, address)) = queue.accept() else { break };
            let Some(address) = address.as_socket() else { continue };
            if socket.set_nonblocking(true).is_ok() {
                self.waiting.push_back(Waiting { socket, address, since });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn crowd(listener: &TcpListener, count: usize) -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for _ in 0..count {
            streams.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        }
        streams
    }

    #[tokio::test]
    async fn a_crowd_is_served_in_order_and_nobody_is_closed_who_did_not_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut backlog = Backlog::default();
        let crowd = crowd(&listener, 100).await;
        for player in &crowd {
            let (_, address) = backlog.accept(&listener, || Duration::from_secs(60)).await.unwrap();
            assert_eq!(address, player.local_addr().unwrap());
        }
        assert_eq!(backlog.closed(), 0);
    }

    #[tokio::test]
    async fn who_has_waited_too_long_is_closed_and_who_just_came_is_served() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut backlog = Backlog::default();
        let longest_wait = || Duration::from_millis(30);
        let mut early = crowd(&listener, 50).await;
        // One is served, 49 are stamped.
        let _first = backlog.accept(&listener, longest_wait).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let late = crowd(&listener, 1).await;
        let (_, address) = backlog.accept(&listener, longest_wait).await.unwrap();
        assert_eq!(address, late[0].local_addr().unwrap());
        assert_eq!((backlog.closed(), backlog.closed()), (49, 0));
        let mut chunk = [0; 1];
        let read = tokio::io::AsyncReadExt::read(early.last_mut().unwrap(), &mut chunk).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }

    #[tokio::test]
    async fn at_the_end_everybody_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut backlog = Backlog::default();
        let _crowd = crowd(&listener, 40).await;
        let _first = backlog.accept(&listener, || Duration::from_secs(60)).await.unwrap();
        let _more = crowd(&listener, 5).await;
        assert_eq!(backlog.rest(&listener).count(), 44);
    }
}
