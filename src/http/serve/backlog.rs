//! Connections that wait to be served: how long each has waited, and how many may.
//!
//! Left in the kernel's queue, they would wait in order and nobody would know how long. When more come than can be
//! served, that queue fills up to seconds, and all the work is done for clients who have given up: goodput falls to
//! nothing (measured: 2 % of the peak at three times the peak). To take all of them out and close those that came too
//! late does not help enough: accepting and closing one costs a quarter of serving it, and twice as many have to be
//! closed as can be served (measured: 24 %).
//!
//! So no more are let in than can be served in time. Half of them wait here, each with the moment it came; half wait in
//! the kernel, which is told to keep no more (`listen(2)` of a socket that listens already). Beyond that it answers no
//! `SYN`, which costs next to nothing: the client knocks again after a second (RFC 6298 §2.1) and finds a place then, or
//! another replica. When nobody has waited for a while the doors are wide again, since a crowd that comes all at once
//! is not one too many.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, Socket};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout_at};

use super::pace::Pace;
use crate::sockets::BACKLOG;

/// Connections served one after the other before those that are open have their turn, and the kernel's queue is
/// looked at.
const AT_ONCE: u32 = 32;
/// Most that wait here. Each is a descriptor, and no more than that.
const MOST_WAITING: usize = BACKLOG as usize;
/// Fewest that may wait, here and there, and however long: a pace that was taken in a bad moment must not close the door,
/// nor must a machine that stood still for a moment.
const FEWEST: usize = 8;
/// How long after the last time that there was no room the kernel may keep as many as ever.
const WIDE_AFTER: Duration = Duration::from_secs(1);

/// What waits at one listener.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Waiting>,
    /// Served since others had a turn.
    in_a_row: u32,
    /// Closed because they had waited too long, and not yet reported.
    closed: usize,
    pace: Pace,
    /// When there was last no room; `None`: the kernel keeps as many as ever.
    full: Option<Instant>,
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
            self.take(listener, longest_wait());
        }
        if !self.waiting.is_empty() {
            let (now, longest_wait) = (Instant::now(), longest_wait());
            while let Some(next) = self.waiting.pop_front() {
                if now - next.since > longest_wait && self.waiting.len() >= FEWEST {
                    self.closed += 1;
                    continue;
                }
                self.in_a_row += 1;
                self.pace.serve(now);
                return Ok((TcpStream::from_std(next.socket.into())?, next.address));
            }
        }
        self.in_a_row = 0;
        self.pace.rest();
        let first = self.next(listener).await?;
        self.in_a_row = 1;
        self.take(listener, longest_wait());
        Ok(first)
    }

    /// The next one to come. Opens the doors wide if nobody had to stay outside for a while.
    async fn next(&mut self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        if let Some(full) = self.full {
            match timeout_at(full + WIDE_AFTER, listener.accept()).await {
                Ok(accepted) if full.elapsed() < WIDE_AFTER => return accepted,
                accepted => {
                    self.full = None;
                    self.pace.forget();
                    SockRef::from(listener).listen(BACKLOG)?;
                    if let Ok(accepted) = accepted {
                        return accepted;
                    }
                }
            }
        }
        listener.accept().await
    }

    /// Lets in nobody for now, but keeps in mind how long those wait who are there.
    pub(super) fn hold(&mut self, listener: &TcpListener, longest_wait: Duration) {
        self.take_up_to(listener, MOST_WAITING);
        self.narrow(listener, self.half(longest_wait).unwrap_or(FEWEST));
    }

    /// How many were closed since this was last asked.
    pub(super) fn closed(&mut self) -> usize {
        std::mem::take(&mut self.closed)
    }

    /// All that wait, at the end: those that the kernel has, too.
    pub(super) fn rest(&mut self, listener: &TcpListener) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
        self.take_up_to(listener, MOST_WAITING);
        let open = |next: Waiting| Some((TcpStream::from_std(next.socket.into()).ok()?, next.address));
        self.waiting.drain(..).filter_map(open)
    }

    /// Takes over what the kernel has, as far as there is room. If there is none, the kernel is told to keep no more
    /// than its half.
    fn take(&mut self, listener: &TcpListener, longest_wait: Duration) {
        let half = self.half(longest_wait).unwrap_or(MOST_WAITING);
        self.take_up_to(listener, half);
        if self.waiting.len() >= half {
            self.narrow(listener, half);
        }
    }

    /// Half of those who can be served in time.
    fn half(&self, longest_wait: Duration) -> Option<usize> {
        self.pace.room(longest_wait).map(|room| (room / 2).clamp(FEWEST, MOST_WAITING))
    }

    fn narrow(&mut self, listener: &TcpListener, most: usize) {
        self.full = Some(Instant::now());
        // A door that cannot be narrowed is as wide as before, and who is late is closed.
        let _ = SockRef::from(listener).listen(i32::try_from(most).unwrap_or(BACKLOG));
    }

    /// Errors come again with the next connection, and are told then.
    fn take_up_to(&mut self, listener: &TcpListener, most: usize) {
        let since = Instant::now();
        let queue = SockRef::from(listener);
        while self.waiting.len() < most {
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
        // The last of them are too few to be a crowd.
        for player in &early[50 - FEWEST..] {
            let (_, address) = backlog.accept(&listener, longest_wait).await.unwrap();
            assert_eq!(address, player.local_addr().unwrap());
        }
        let late = crowd(&listener, 1).await;
        let (_, address) = backlog.accept(&listener, longest_wait).await.unwrap();
        assert_eq!(address, late[0].local_addr().unwrap());
        assert_eq!((backlog.closed(), backlog.closed()), (49 - FEWEST, 0));
        let mut chunk = [0; 1];
        let read = tokio::io::AsyncReadExt::read(&mut early[1], &mut chunk).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }

    /// How many of `count` find a place in the kernel's queue.
    fn let_in(listener: &TcpListener, count: usize) -> Vec<std::net::TcpStream> {
        let address = listener.local_addr().unwrap();
        let knock = |_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
        (0..count).map_while(knock).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_let_in_than_can_be_served_in_time_until_nobody_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut backlog = Backlog::default();
        let longest_wait = || Duration::from_millis(200);
        let mut crowd = let_in(&listener, 128);
        assert_eq!(crowd.len(), 128);
        // One each 5 ms: 40 in the longest wait, half of them here.
        for _ in 0..96 {
            let _served = backlog.accept(&listener, longest_wait).await.unwrap();
            tokio::time::advance(Duration::from_millis(5)).await;
            crowd.extend(let_in(&listener, 1));
        }
        assert!(let_in(&listener, 100).len() < 25, "the kernel lets in whoever comes");
        assert!(backlog.closed() > 20, "who came before the pace was known has waited too long");
        // All go, and after a second nobody has to stay outside.
        let waited = backlog.rest(&listener).count();
        assert!((20..=48).contains(&waited), "{waited} waited");
        let waiting = backlog.accept(&listener, longest_wait);
        assert!(tokio::time::timeout(2 * WIDE_AFTER, waiting).await.is_err());
        assert_eq!(let_in(&listener, 100).len(), 100);
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
