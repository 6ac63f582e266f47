//! A lid on lines that anybody can cause: a flood of failing requests must not fill the disk.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::schedule::Moment;

/// Lines that may come at once.
const BURST: u64 = 20;
/// One more after each of these, ms: at most 86,420 lines a day.
const EVERY_MS: u64 = 1_000;

/// The lid over lines of one kind.
#[derive(Debug, Default)]
pub struct Lid {
    /// When all lines so far will have been paid for, ms.
    paid_ms: AtomicU64,
    /// Lines held back since the last one that was written.
    held: AtomicU64,
}

// === impl Lid ===

impl Lid {
    /// Whether a line may be written now: how many were held back since the last one, or `None`.
    #[must_use]
    pub fn lift(&self, now: Moment) -> Option<u64> {
        let paid = self.paid_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid| {
            let next = paid.max(now.0) + EVERY_MS;
            (next <= now.0 + BURST * EVERY_MS).then_some(next)
        });
        match paid {
            Ok(_) => Some(self.held.swap(0, Ordering::Relaxed)),
            Err(_) => {
                self.held.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_is_counted() {
        let lid = Lid::default();
        let at = |ms: u64| lid.lift(Moment(5_000 + ms));
        assert!((0..BURST).all(|_| at(0) == Some(0)));
        assert!((0..1_000).all(|_| at(0).is_none()));
        assert_eq!(at(EVERY_MS), Some(1_000), "the next line says how many were held back");
        assert_eq!(at(EVERY_MS), None);
        assert_eq!(at(100 * EVERY_MS), Some(1));
        assert_eq!(at(100 * EVERY_MS), Some(0), "a pause brings the burst back");
    }
}
