//! Who has been silent too long.
//!
//! hyper can guard a request's head with a timer, but arms it for every request, which costs 0.4 µs each.
//! Here one sweep in a while walks a worker's connections and compares request counts; a connection pays one
//! relaxed increment per request. A slow handshake or head before the first request ends after [`Patience::first`];
//! later ones, half-sent heads and readers that do not read included, after [`Patience::idle`].
//!
//! When there is no room for a newcomer, who has been silent longest makes room ([`Watch::make_room`]): those that
//! never asked first, so that holding connections open keeps nobody out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use crate::config::Limits;

/// One in so many connections is told to make room at once: looking for one at a time would cost a look at all of
/// them for each newcomer.
const ROOM_SHARE: usize = 64;

/// How long a connection may be silent, in sweeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Sweeps without a first request.
    pub(super) first: u32,
    /// Sweeps without a further request.
    pub(super) idle: u32,
}

/// What a connection is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Order {
    /// Go on.
    Serve = 0,
    /// End after the request under way.
    Finish = 1,
    /// End now.
    Drop = 2,
}

/// What a connection and its worker share.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Requests begun.
    pub(super) begun: Arc<AtomicU64>,
    /// Wakes the connection, so that it reads its order.
    pub(super) waker: AtomicWaker,
    order: AtomicU8,
}

/// All connections of a worker.
#[derive(Debug)]
pub(super) struct Watch {
    watched: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    pulse: Arc<Pulse>,
    /// Requests at the last sweep.
    begun: u64,
    /// Sweeps since that number changed.
    silent: u32,
}

// === impl Patience ===

impl Patience {
    /// The patience of these limits at so many sweeps a second. A sweep may come right after the last sign of life,
    /// so the time is between what is configured and one sweep more.
    pub(super) fn new(limits: &Limits, sweep: Duration) -> Self {
        let sweeps = |ms: u64| {
            let sweeps = Duration::from_millis(ms).as_millis().div_ceil(sweep.as_millis().max(1));
            u32::try_from(sweeps).unwrap_or(u32::MAX)
        };
        Self { first: sweeps(limits.first_request_ms), idle: sweeps(limits.idle_ms) }
    }
}

// === impl Pulse ===

impl Pulse {
    /// What to do.
    pub(super) fn order(&self) -> Order {
        match self.order.load(Ordering::Relaxed) {
            0 => Order::Serve,
            1 => Order::Finish,
            _ => Order::Drop,
        }
    }

    fn give(&self, order: Order) {
        self.order.store(order as u8, Ordering::Relaxed);
        // Waking orders the store before the connection's next poll.
        self.waker.wake();
    }
}

// === impl Watch ===

impl Watch {
    /// Watches nobody yet.
    pub(super) fn new() -> Self {
        Self { watched: Vec::new() }
    }

    /// Watches a new connection.
    pub(super) fn begin(&mut self) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse::default());
        self.watched.push(Watched { pulse: Arc::clone(&pulse), begun: 0, silent: 0 });
        pulse
    }

    /// Tells every connection that was silent too long to end; how many that were.
    pub(super) fn sweep(&mut self, patience: Patience) -> usize {
        let mut dropped = 0;
        self.watched.retain_mut(|watched| {
            // Only we hold it: the connection has ended by itself.
            if Arc::strong_count(&watched.pulse) == 1 {
                return false;
            }
            let begun = watched.pulse.begun.load(Ordering::Relaxed);
            if begun != watched.begun {
                watched.begun = begun;
                watched.silent = 0;
                return true;
            }
            watched.silent += 1;
            let patience = if begun == 0 { patience.first } else { patience.idle };
            // More than `patience` sweeps, since the first may have come right after the last sign of life.
            if watched.silent <= patience {
                return true;
            }
            watched.pulse.give(Order::Drop);
            dropped += 1;
            false
        });
        dropped
    }

    /// Tells some connections to end, so that a newcomer finds room; how many that were.
    ///
    /// Those that never asked go before those that did, and among these the longest silent first.
    pub(super) fn make_room(&mut self) -> usize {
        let count = self.watched.len().div_ceil(ROOM_SHARE);
        if count == 0 {
            return 0;
        }
        let rank = |watched: &Watched| {
            let begun = watched.pulse.begun.load(Ordering::Relaxed);
            (begun > 0, begun != watched.begun, std::cmp::Reverse(watched.silent))
        };
        self.watched.select_nth_unstable_by_key(count - 1, rank);
        for watched in self.watched.drain(..count) {
            watched.pulse.give(Order::Drop);
        }
        count
    }

    /// Remembers who has asked how often.
    pub(super) fn look(&mut self) {
        for watched in &mut self.watched {
            watched.begun = watched.pulse.begun.load(Ordering::Relaxed);
        }
    }

    /// Tells every connection that has not asked since the last look to end. This is a look, too.
    pub(super) fn finish_silent(&mut self) {
        for watched in &mut self.watched {
            let begun = watched.pulse.begun.load(Ordering::Relaxed);
            if std::mem::replace(&mut watched.begun, begun) == begun {
                watched.pulse.give(Order::Finish);
            }
        }
    }

    /// Tells every connection to end after the request under way.
    pub(super) fn finish(&self) {
        for watched in &self.watched {
            watched.pulse.give(Order::Finish);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { first: 2, idle: 4 };

    fn watch() -> Watch {
        Watch::new()
    }

    #[test]
    fn patience_is_never_shorter_than_configured() {
        let limits = Limits { first_request_ms: 10_000, idle_ms: 75_000, ..Limits::default() };
        let patience = Patience::new(&limits, Duration::from_secs(2));
        assert_eq!((patience.first, patience.idle), (5, 38));
    }

    #[test]
    fn those_that_never_asked_make_room_before_those_that_did() {
        let mut watch = watch();
        let pulses: Vec<_> = (0..200).map(|_| watch.begin()).collect();
        for asked in &pulses[..197] {
            asked.begun.fetch_add(1, Ordering::Relaxed);
        }
        watch.sweep(PATIENCE);
        assert_eq!(watch.make_room(), 4);
        let dropped = |pulses: &[Arc<Pulse>]| pulses.iter().filter(|p| p.order() == Order::Drop).count();
        assert_eq!((dropped(&pulses[..197]), dropped(&pulses[197..])), (1, 3));
        assert_eq!(watch.watched.len(), 196);
    }

    #[test]
    fn a_connection_that_never_asks_is_dropped_early() {
        let mut watch = watch();
        let pulse = watch.begin();
        assert_eq!([watch.sweep(PATIENCE), watch.sweep(PATIENCE)], [0, 0]);
        assert_eq!(pulse.order(), Order::Serve);
        assert_eq!(watch.sweep(PATIENCE), 1);
        assert_eq!(pulse.order(), Order::Drop);
        assert!(watch.watched.is_empty());
    }

    #[test]
    fn a_connection_that_asked_may_rest_longer_and_each_request_starts_anew() {
        let mut watch = watch();
        let pulse = watch.begin();
        for _ in 0..3 {
            pulse.begun.fetch_add(1, Ordering::Relaxed);
            assert_eq!((0..5).map(|_| watch.sweep(PATIENCE)).sum::<usize>(), 0);
        }
        assert_eq!(watch.sweep(PATIENCE), 1);
    }

    #[test]
    fn a_connection_that_ended_is_forgotten() {
        let mut watch = watch();
        drop(watch.begin());
        assert_eq!(watch.sweep(PATIENCE), 0);
        assert!(watch.watched.is_empty());
    }

    #[test]
    fn all_are_told_to_finish() {
        let mut watch = watch();
        let pulses = [watch.begin(), watch.begin()];
        watch.finish();
        assert!(pulses.iter().all(|pulse| pulse.order() == Order::Finish));
    }
}
