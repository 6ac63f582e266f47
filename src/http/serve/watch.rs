//! Who has been silent too long.
//!
//! hyper can guard a request's head with a timer, but arms it for every request, which costs 0.4 µs each.
//! Here one sweep in a while walks a worker's connections and compares request counts; a connection pays one
//! relaxed increment per request. A slow head before the first request ends after [`Limits::first`]; later
//! ones, half-sent heads and readers that do not read included, after [`Limits::idle`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::task::AtomicWaker;

/// How long a connection may be silent, in sweeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Time between two sweeps.
    pub(super) sweep: Duration,
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
    limits: Limits,
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

// === impl Limits ===

impl Default for Limits {
    /// 10–12 s for a first request, 74–76 s between requests: longer than the 60 s after which proxies
    /// usually close idle connections themselves, so that a reused one is not closed under their hands.
    fn default() -> Self {
        Self { sweep: Duration::from_secs(2), first: 5, idle: 37 }
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
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, watched: Vec::new() }
    }

    /// Watches a new connection.
    pub(super) fn begin(&mut self) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse::default());
        self.watched.push(Watched { pulse: Arc::clone(&pulse), begun: 0, silent: 0 });
        pulse
    }

    /// Tells every connection that was silent too long to end; how many that were.
    pub(super) fn sweep(&mut self) -> usize {
        let limits = self.limits;
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
            let patience = if begun == 0 { limits.first } else { limits.idle };
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

    fn watch() -> Watch {
        Watch::new(Limits { sweep: Duration::from_secs(1), first: 2, idle: 4 })
    }

    #[test]
    fn a_connection_that_never_asks_is_dropped_early() {
        let mut watch = watch();
        let pulse = watch.begin();
        assert_eq!([watch.sweep(), watch.sweep()], [0, 0]);
        assert_eq!(pulse.order(), Order::Serve);
        assert_eq!(watch.sweep(), 1);
        assert_eq!(pulse.order(), Order::Drop);
        assert!(watch.watched.is_empty());
    }

    #[test]
    fn a_connection_that_asked_may_rest_longer_and_each_request_starts_anew() {
        let mut watch = watch();
        let pulse = watch.begin();
        for _ in 0..3 {
            pulse.begun.fetch_add(1, Ordering::Relaxed);
            assert_eq!((0..5).map(|_| watch.sweep()).sum::<usize>(), 0);
        }
        assert_eq!(watch.sweep(), 1);
    }

    #[test]
    fn a_connection_that_ended_is_forgotten() {
        let mut watch = watch();
        drop(watch.begin());
        assert_eq!(watch.sweep(), 0);
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
