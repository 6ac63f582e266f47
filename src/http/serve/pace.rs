//! How fast a worker gets through those who wait for it, and so how many may.
//!
//! Who waits longer than the longest wait is served for nothing, so more than (pace × longest wait) have no use for
//! waiting. The pace is what was done while somebody waited all the time; what is done while nobody does says how many
//! come, and nothing of how many could.

use std::time::Duration;

use tokio::time::Instant;

/// Time over which the pace is taken: a worker that shares its core has turns of tens of milliseconds.
const WINDOW: Duration = Duration::from_millis(200);
/// Weight of the newest window.
const NEWEST: f64 = 0.3;

/// The pace of one queue.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the window began; `None`: nobody waited since.
    began: Option<Instant>,
    served: u32,
    /// Served in a second; `None`: not known.
    per_s: Option<f64>,
}

// === impl Pace ===

impl Pace {
    /// One who had waited is served now.
    pub(super) fn serve(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let took = now - began;
        if took >= WINDOW {
            let newest = f64::from(self.served) / took.as_secs_f64();
            let per_s = self.per_s.unwrap_or(newest);
            self.per_s = Some(per_s + NEWEST * (newest - per_s));
            (self.began, self.served) = (Some(now), 0);
        }
        self.served += 1;
    }

    /// Nobody waits.
    pub(super) fn rest(&mut self) {
        (self.began, self.served) = (None, 0);
    }

    /// Whatever was known counts no longer.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// How many can be served within `longest_wait`; `None`: not known.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate of thousands, seconds"
    )]
    pub(super) fn room(&self, longest_wait: Duration) -> Option<usize> {
        self.per_s.map(|per_s| (per_s * longest_wait.as_secs_f64()) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(200);

    /// Serves one every so often, for a second.
    fn served_every(step: Duration, pace: &mut Pace, from: Instant) -> Instant {
        let steps = u32::try_from(Duration::from_secs(1).as_micros() / step.as_micros()).unwrap();
        (0..steps).for_each(|i| pace.serve(from + step * i));
        from + Duration::from_secs(1)
    }

    #[test]
    fn room_is_what_can_be_served_in_the_longest_wait() {
        let mut pace = Pace::default();
        assert_eq!(pace.room(WAIT), None);
        let now = served_every(Duration::from_millis(1), &mut pace, Instant::now());
        assert!((198..=202).contains(&pace.room(WAIT).unwrap()), "{pace:?}");
        // A worker that loses nine tenths of its core is seen to.
        let mut now = now;
        for _ in 0..3 {
            now = served_every(Duration::from_millis(10), &mut pace, now);
        }
        assert!((20..=25).contains(&pace.room(WAIT).unwrap()), "{pace:?}");
    }

    #[test]
    fn time_in_which_nobody_waited_is_not_counted() {
        let mut pace = Pace::default();
        let now = served_every(Duration::from_millis(1), &mut pace, Instant::now());
        pace.rest();
        pace.serve(now + Duration::from_secs(60));
        assert!(pace.room(WAIT).unwrap() > 190, "{pace:?}");
        pace.forget();
        assert_eq!(pace.room(WAIT), None);
    }
}
