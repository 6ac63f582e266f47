//! Which targets have to wait apart: a breaker for each, so that those that hang cost the others nothing.
//!
//! *The trouble*: a scrape holds one of `concurrency` places until its page or its deadline. A sound page takes
//! milliseconds, a target that hangs the whole deadline, so a third of a fleet behind a dead switch can take every
//! place there is while sound targets wait and grow stale.
//!
//! *The way out*: a failed scrape is **costly** when it took half of its deadline or more, or read all that a page may
//! have. After one costly scrape a target is asked in the lane of the sick (`lanes`), which has a quarter of the places
//! and no more. After two in a row, by which a silent node counts as down anyway, its regular turns grow rare: every
//! second, then every fourth, never more than a minute apart. Each of those is the half-open probe of other
//! breakers: whatever ends without such cost, a page or a quick refusal, brings the target back among the sound ones
//! and to its interval.
//!
//! *What it does not touch*: a suspicion (a player failed there) is probed out of turn as ever, and the second
//! probe that confirms a first silence keeps its place among the sound ones: it comes once, from a target that was sound
//! until now. Any later one waits with the sick, because whoever claims to be a player could ask for one each second.
//!
//! *What remains*: the first costly scrape of each target. When `n` sound ones begin to hang at once, others may be
//! late once by up to `n` deadlines divided by three quarters of the places.

/// Regular turns from one scrape of a target that hangs to the next, at most, …
const MOST_TURNS: u64 = 4;
/// … and the longest time that they may last together, ms, unless one turn lasts longer.
const LONGEST_MS: u64 = 60_000;

/// What a target's last scrapes cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Circuit {
    /// Costly ones in a row.
    costly: u32,
    /// Regular turns to let pass.
    passing: u64,
}

/// Where a scrape waits for its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// With those that have not been costly.
    Sound,
    /// With the others.
    Sick,
}

// === impl Circuit ===

impl Circuit {
    /// Where the next scrape waits; `confirms`: it is the second look at a silence.
    pub(super) fn lane(self, confirms: bool) -> Lane {
        match self.costly {
            0 => Lane::Sound,
            1 if confirms => Lane::Sound,
            _ => Lane::Sick,
        }
    }

    /// A regular turn has come: whether it is taken.
    pub(super) fn takes_turn(&mut self) -> bool {
        let takes = self.passing == 0;
        self.passing = self.passing.saturating_sub(1);
        takes
    }

    /// A scrape has ended.
    pub(super) fn ended(&mut self, was_costly: bool, interval_ms: u64) {
        if !was_costly {
            *self = Self::default();
            return;
        }
        self.costly = self.costly.saturating_add(1);
        let turns = 1_u64.checked_shl(self.costly - 1).unwrap_or(MOST_TURNS).min(MOST_TURNS);
        self.passing = turns.min(LONGEST_MS / interval_ms.max(1)).saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL_MS: u64 = 10_000;

    /// Lets turns come until one is taken, and says how many that was.
    fn turns(circuit: &mut Circuit) -> usize {
        1 + std::iter::repeat_with(|| circuit.takes_turn()).take_while(|takes| !takes).count()
    }

    #[test]
    fn a_target_that_hangs_goes_apart_at_once_and_is_asked_ever_more_rarely() {
        let mut circuit = Circuit::default();
        assert_eq!((circuit.lane(false), turns(&mut circuit)), (Lane::Sound, 1));
        for expected in [1, 2, 4, 4, 4] {
            circuit.ended(true, INTERVAL_MS);
            assert_eq!((circuit.lane(false), turns(&mut circuit)), (Lane::Sick, expected));
        }
        let mut old = Circuit { costly: u32::MAX - 1, passing: 0 };
        old.ended(true, INTERVAL_MS);
        old.ended(true, INTERVAL_MS);
        assert_eq!(turns(&mut old), 4);
    }

    #[test]
    fn one_scrape_without_cost_makes_it_sound_again() {
        let mut circuit = Circuit::default();
        for _ in 0..9 {
            circuit.ended(true, INTERVAL_MS);
        }
        circuit.ended(false, INTERVAL_MS);
        assert_eq!(circuit, Circuit::default());
    }

    #[test]
    fn the_second_look_at_a_silence_waits_with_the_sound_and_later_ones_do_not() {
        let mut circuit = Circuit::default();
        circuit.ended(true, INTERVAL_MS);
        assert_eq!(circuit.lane(true), Lane::Sound);
        circuit.ended(true, INTERVAL_MS);
        assert_eq!(circuit.lane(true), Lane::Sick);
    }

    #[test]
    fn long_intervals_are_not_stretched_beyond_a_minute() {
        for (interval_ms, expected) in [(500, 4), (15_000, 4), (20_000, 3), (40_000, 1), (600_000, 1)] {
            let mut circuit = Circuit::default();
            for _ in 0..5 {
                circuit.ended(true, interval_ms);
            }
            assert_eq!(turns(&mut circuit), expected, "{interval_ms} ms");
        }
    }
}
