//! The one place that reads a clock.
//!
//! Everything else is given a [`Moment`], so that tests and the simulator own time. The hot path reads the
//! coarse clock, one atomic load that a ticker refreshes every 5 ms: booking needs no better.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::schedule::Moment;

/// How often the ticker refreshes the coarse clock.
const TICK: Duration = Duration::from_millis(5);

/// The service's clock; clones share it.
#[derive(Clone, Debug)]
pub struct Clock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What moment 0 is.
    began: Instant,
    /// Last tick, ms since `began`.
    coarse_ms: AtomicU64,
}

// === impl Clock ===

impl Clock {
    /// The machine's monotonic clock, starting at moment 1 s (so that 0 can mean "never").
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the clock")]
    pub fn system() -> Self {
        let now = Instant::now();
        let began = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        let clock = Self { shared: Arc::new(Shared { began, coarse_ms: AtomicU64::new(0) }) };
        clock.tick();
        clock
    }

    /// Now, to the millisecond.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment(u64::try_from(self.shared.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Now, as of the last tick. One atomic load.
    #[must_use]
    pub fn coarse(&self) -> Moment {
        Moment(self.shared.coarse_ms.load(Ordering::Relaxed))
    }

    /// Milliseconds since the Unix epoch, for people and logs; never for decisions.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the clock")]
    pub fn unix_ms(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }

    /// What a moment is on the wall clock, milliseconds since the Unix epoch, for people.
    #[must_use]
    pub fn unix_ms_of(&self, moment: Moment) -> u64 {
        let now = self.now();
        (self.unix_ms() + moment.since_ms(now)).saturating_sub(now.since_ms(moment))
    }

    /// Refreshes the coarse clock.
    pub fn tick(&self) {
        self.shared.coarse_ms.store(self.now().0, Ordering::Relaxed);
    }

    /// Ticks for ever; run it as a task of its own.
    pub async fn run_ticker(self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.tick();
        }
    }
}
