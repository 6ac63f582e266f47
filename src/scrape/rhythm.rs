//! When a target is due.
//!
//! Each target has a fixed place in the interval, a hash of its URL: the fleet's pages come evenly and not in one
//! burst, and the place does not move with how long a scrape takes. The interval is counted from the start of this
//! process, so that replicas do not ask the same exporter in the same millisecond.
//!
//! The first two scrapes come early. A node counts only from its second sample on (a rate needs two), and a
//! scheduler that starts in the middle of a flash must not wait two intervals for that.
//!
//! All times are milliseconds since the loop began.

/// Within how much time after the start all targets have been asked once, and how long after that again, ms.
const FIRST_SPREAD_MS: u64 = 1_000;
const SECOND_AFTER_MS: u64 = 2_000;

/// The place of one target in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rhythm {
    /// Stable hash of the URL.
    hash: u64,
    /// Time between two scrapes, ms, above 0.
    interval_ms: u64,
}

// === impl Rhythm ===

impl Rhythm {
    pub(super) fn new(url: &str, interval_ms: u64) -> Self {
        Self { hash: stable_hash(url), interval_ms: interval_ms.max(1) }
    }

    /// The same place in another interval.
    pub(super) fn with_interval(self, interval_ms: u64) -> Self {
        Self { interval_ms: interval_ms.max(1), ..self }
    }

    /// First scrape of a target that joins now.
    pub(super) fn first(self, now_ms: u64) -> u64 {
        now_ms + self.hash % self.interval_ms.min(FIRST_SPREAD_MS)
    }

    /// Second scrape, after a first one that was due at `first_ms`.
    pub(super) fn second(self, first_ms: u64) -> u64 {
        first_ms + self.interval_ms.min(SECOND_AFTER_MS)
    }

    /// The next regular scrape that is more than half an interval after `last_ms`: less would make a window too
    /// short to tell a rate from the granularity of counters.
    pub(super) fn next(self, last_ms: u64) -> u64 {
        let place = self.hash % self.interval_ms;
        let earliest = last_ms + self.interval_ms / 2 + 1;
        let behind = earliest.saturating_sub(place).div_ceil(self.interval_ms);
        place + behind * self.interval_ms
    }
}

/// FNV-1a over the bytes, then the finisher of `MurmurHash3`: URLs of a fleet differ in a digit or two, and the
/// places must differ all over. Never changes, so that a restart finds every target at its old distance.
fn stable_hash(text: &str) -> u64 {
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(stable_hash("http://10.0.0.1:9100/metrics"), 17_359_683_662_577_330_369);
    }

    #[test]
    fn a_fleet_is_spread_evenly_over_the_interval() {
        let mut tenths = [0_u32; 10];
        for n in 0..1_000 {
            let url = format!("http://10.0.{}.{}:9100/metrics", n / 250, n % 250);
            let due = Rhythm::new(&url, 10_000).next(0);
            tenths[usize::try_from(due % 10_000 / 1_000).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|count| (70..130).contains(count)), "{tenths:?}");
    }

    #[test]
    fn the_first_two_scrapes_come_within_three_seconds() {
        for n in 0..100 {
            let rhythm = Rhythm::new(&format!("http://e{n}/"), 10_000);
            let first = rhythm.first(5_000);
            assert!((5_000..6_000).contains(&first));
            assert_eq!(rhythm.second(first), first + 2_000);
        }
    }

    #[test]
    fn a_short_interval_shortens_the_start_too() {
        let rhythm = Rhythm::new("http://e1/", 500);
        assert!(rhythm.first(0) < 500);
        assert_eq!(rhythm.second(100), 600);
    }

    #[test]
    fn regular_scrapes_keep_their_place_however_late_the_last_one_was() {
        let rhythm = Rhythm::new("http://e1/", 10_000);
        let due = rhythm.next(0);
        assert_eq!(rhythm.next(due), due + 10_000);
        assert_eq!(rhythm.next(due + 4_000), due + 10_000);
        assert_eq!(rhythm.next(due + 6_000), due + 20_000);
        assert_eq!(rhythm.next(due + 95_000), due + 110_000);
    }

    #[test]
    fn the_next_scrape_is_never_soon_and_never_far() {
        for n in 0..1_000 {
            let rhythm = Rhythm::new("http://e1/", 500 + n * 7);
            let gap = rhythm.next(n * 31) - n * 31;
            assert!(gap > (500 + n * 7) / 2 && gap <= (500 + n * 7) * 3 / 2 + 1, "{gap}");
        }
    }
}
