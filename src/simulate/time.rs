//! Virtual time: microseconds since a run began. Nothing here ever looks at a real clock.

use crate::schedule::Moment;

/// The scheduler takes moment 0 to mean "never", so a run begins at its moment 1 s.
const MOMENT_OF_ZERO_MS: u64 = 1_000;

/// A point of virtual time, µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At(pub u64);

// === impl At ===

impl At {
    /// Seconds since the run began; below 0 is 0.
    pub(super) fn from_s(seconds: f64) -> Self {
        Self((seconds.max(0.0) * 1e6) as u64)
    }

    /// Seconds since the run began.
    pub(super) fn s(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// So many seconds later.
    pub(super) fn plus_s(self, seconds: f64) -> Self {
        Self(self.0 + (seconds.max(0.0) * 1e6) as u64)
    }

    /// Seconds since `earlier`; 0 if that is later.
    pub(super) fn since_s(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e6
    }

    /// The same point on a scheduler's clock, whole milliseconds.
    pub(super) fn moment(self) -> Moment {
        Moment(MOMENT_OF_ZERO_MS + self.0 / 1_000)
    }
}
