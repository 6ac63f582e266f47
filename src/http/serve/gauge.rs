//! How long requests of a worker wait for their turn, and which share of them is refused for it.
//!
//! A worker is one thread; what is ready to be polled stands in one queue. [`watch`] joins that queue at its end a
//! hundred times a second and measures how long it takes to get through. An answer that comes after the player gave up
//! is work for nobody, so beyond the configured wait a growing share of requests is refused at once, before they are
//! read: none at the limit, nearly all at four times the limit. The share falls with the queue, so recovery takes as
//! long as the queue does.
//!
//! *Limits*: connections not yet accepted are not in this queue; [`super::backlog`] sees to theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// Weight of the newest look in the wait that counts, at the limit: one slow poll is no queue. A look that takes several
/// times the limit is one, and counts more or alone: the next would come too late.
const NEWEST: f32 = 0.3;
/// Times the limit at which nearly all is refused.
const FULL: f32 = 4.0;
/// Largest share refused: some have to be served for the queue to be seen to shrink.
const MOST: f32 = 0.95;

/// The state of one worker's queue.
#[derive(Debug, Default)]
pub struct Gauge {
    /// Share of requests to be refused, of [`u32::MAX`].
    share: AtomicU32,
    /// Fractions of refusals owed: shares are spread evenly, not by chance.
    owed: AtomicU32,
}

// === impl Gauge ===

impl Gauge {
    /// Whether this request is refused. One relaxed load while there is no queue.
    #[inline]
    pub(in crate::http) fn refuses(&self) -> bool {
        let share = self.share.load(Ordering::Relaxed);
        // Only the worker's own thread comes here; a torn pair of load and store would cost one refusal.
        share > 0 && {
            let (owed, overflows) = self.owed.load(Ordering::Relaxed).overflowing_add(share);
            self.owed.store(owed, Ordering::Relaxed);
            overflows
        }
    }

    /// Whether there is a queue at all: new TLS handshakes, a hundred times as dear as a request, then wait outside.
    pub(super) fn is_late(&self) -> bool {
        self.share.load(Ordering::Relaxed) > 0
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of u32::MAX")]
    fn set(&self, wait_ms: f32, limit_ms: f32) {
        let share = ((wait_ms / limit_ms - 1.0) / (FULL - 1.0)).clamp(0.0, MOST);
        self.share.store((f64::from(share) * f64::from(u32::MAX)) as u32, Ordering::Relaxed);
    }
}

/// Measures for ever. `limit_ms` is asked at each look, since it may be configured anew.
pub(super) async fn watch(gauge: Arc<Gauge>, limit_ms: impl Fn() -> u64) {
    let mut wait_ms = 0.0;
    loop {
        tokio::time::sleep(LOOK).await;
        let joined = Instant::now();
        // To the end of the queue; all that is ready now is polled before this returns.
        tokio::task::yield_now().await;
        let newest = joined.elapsed().as_secs_f32() * 1000.0;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds, at most ten thousand")]
        let limit_ms = limit_ms() as f32;
        wait_ms += (NEWEST * newest / limit_ms).clamp(NEWEST, 1.0) * (newest - wait_ms);
        gauge.set(wait_ms, limit_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(wait_ms: f32) -> usize {
        let gauge = Gauge::default();
        gauge.set(wait_ms, 200.0);
        (0..1000).filter(|_| gauge.refuses()).count()
    }

    #[test]
    fn the_share_refused_grows_with_the_wait_and_never_is_all() {
        assert_eq!([0.0, 199.0, 200.0].map(refused), [0, 0, 0]);
        assert!((498..=501).contains(&refused(500.0)), "{}", refused(500.0));
        assert_eq!([800.0, 1e9].map(|wait| (949..=950).contains(&refused(wait))), [true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_is_seen_and_an_empty_one_is_forgotten() {
        let gauge = Arc::new(Gauge::default());
        let watching = tokio::spawn(watch(Arc::clone(&gauge), || 50));
        // A task that takes 100 ms each time it is polled, which is what a long queue looks like from its end.
        let busy = tokio::spawn(async {
            loop {
                tokio::time::advance(Duration::from_millis(100)).await;
                tokio::task::yield_now().await;
            }
        });
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(gauge.is_late());
        busy.abort();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!gauge.is_late());
        watching.abort();
    }
}
