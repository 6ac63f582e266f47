//! How many viewers of one node are due to go.

use crate::schedule::Moment;

/// A list of clients is fetched at most so often, ms, and for that many are gathered.
const GATHER_MS: u64 = 5_000;

/// One viewer in the unit of `saved`: a rate a minute times milliseconds.
const VIEWER: u64 = 60_000;

/// What is due at one node.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    /// What is due and not done, up to what may be gathered.
    saved: u64,
    counted_to: Moment,
    /// Nothing is done before.
    not_before: Moment,
    is_failing: bool,
    /// So many may go yet, however much is due; `None`: nobody has counted who is there.
    left: Option<u32>,
}

// === impl Rate ===

impl Rate {
    /// From now on; the first is due when its share of a minute has passed.
    pub(super) fn new(now: Moment) -> Self {
        Self { saved: 0, counted_to: now, not_before: now, is_failing: false, left: None }
    }

    /// So many are due by now. What could not be done is not made up for beyond one gathering.
    pub(super) fn due(&mut self, per_minute: u32, now: Moment) -> u32 {
        let rate = u64::from(per_minute);
        let most = rate * GATHER_MS + VIEWER;
        self.saved = self.saved.saturating_add(rate * now.since_ms(self.counted_to)).min(most);
        self.counted_to = now;
        let whole = u32::try_from(self.saved / VIEWER).unwrap_or(u32::MAX);
        if now < self.not_before { 0 } else { whole }
    }

    /// There are so many viewers, of whom this share may go; the first count stands. How many may yet.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count, rounded up"
    )]
    pub(super) fn within(&mut self, share: f64, viewers: u32) -> u32 {
        *self.left.get_or_insert_with(|| (f64::from(viewers) * share).ceil() as u32)
    }

    /// They are being looked for.
    pub(super) fn taken(&mut self, now: Moment) {
        self.not_before = now.plus_ms(GATHER_MS);
    }

    /// One has been sent away.
    pub(super) fn spend(&mut self) {
        self.saved = self.saved.saturating_sub(VIEWER);
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    /// All that was due has been done.
    pub(super) fn worked(&mut self) {
        self.is_failing = false;
    }

    /// It could not be done, and is not tried again before `again`. Whether that is news.
    pub(super) fn failed(&mut self, again: Moment) -> bool {
        self.not_before = self.not_before.max(again);
        !std::mem::replace(&mut self.is_failing, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many go within `seconds` if they always can, looked at every second.
    fn within(per_minute: u32, seconds: u64) -> u32 {
        let mut rate = Rate::new(Moment(0));
        let mut gone = 0;
        for second in 0..=seconds {
            let now = Moment(second * 1_000);
            let due = rate.due(per_minute, now);
            if due > 0 {
                rate.taken(now);
                (0..due).for_each(|_| rate.spend());
                gone += due;
            }
        }
        gone
    }

    #[test]
    fn over_minutes_the_rate_is_kept_whatever_it_is() {
        for per_minute in [1, 7, 60, 1_000] {
            let gone = within(per_minute, 600);
            // What has not been gathered yet at the end is missing.
            let expected = per_minute * 10;
            assert!(
                (expected - per_minute / 12 - 1..=expected).contains(&gone),
                "{per_minute} a minute: {gone}"
            );
        }
    }

    #[test]
    fn what_could_not_be_done_is_not_made_up_for() {
        let mut rate = Rate::new(Moment(0));
        assert_eq!(rate.due(60, Moment(3_600_000)), 6);
        assert!(rate.failed(Moment(3_610_000)) && !rate.failed(Moment(3_610_000)), "it is said once");
        assert_eq!(rate.due(60, Moment(3_609_999)), 0);
        assert_eq!(rate.due(60, Moment(3_610_000)), 6);
        rate.worked();
        assert!(rate.failed(Moment(0)));
    }
}
