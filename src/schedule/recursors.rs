//! Recursors: how many viewers stand behind an answer by DNS.
//!
//! A recursor, a DNS resolver, asks once and gives the answer to all of its clients until its lifetime is over. So one
//! answer may bring more viewers than a node has room for, and nobody tells how many clients a recursor has. But after
//! the lifetime it asks again when its next client comes: `gap − lifetime ~ Exp(λ)`, with λ its clients per second. So
//! gaps tell sizes: `g ← .7·g + .3·(gap − lifetime)` and `λ = 1 / (g + 20 ms)`. What is asked of this replica's
//! neighbours makes gaps longer for all, and households of machines shorter; both leave the ratios as they are, and what
//! the numbers are short of is learnt with κ.
//!
//! *What follows from it*, with the size ω of a recursor its λ over the mean of those that ask: large ones get more
//! addresses, `k = ⌈2·ω⌉` from 2 to 8, so that their crowd is spread, and shorter lifetimes, `TTL·β/ω` with β = ¼ and at
//! least a second, so that what is wrong is wrong for short.
//!
//! *What is booked* is `1 + λ·lifetime` viewers: the client that had the recursor ask, and those that come while it knows.
//! (The evidence booked ω. But a lifetime of β/ω makes the crowds of large and small recursors alike, which ω does not
//! see: in the simulator that is 171 overloaded node-minutes at a TTL of a minute, and this some 50.)
//!
//! *Limits*: a recursor whose clients come in a rush is taken for what it was until it has asked a few times more. Whoever
//! asks often in the name of many networks is believed to have crowds, up to thirty times those of the mean: what is booked
//! for them spreads others over more nodes than it need, until κ has noticed that nobody comes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::reading::Moment;
use super::scene::MOST_PICKS;

/// Recursors remembered, 2 MiB; of four that share a place the one that has been silent longest is forgotten.
const PLACES: usize = 1 << 17;
/// Places that a recursor may be in: one cache line.
const WAYS: usize = 4;
/// How much of a recursor's last gap goes into its memory.
const GAIN: f32 = 0.3;
/// What is added to gaps, s: it takes a recursor as long to ask, so they are never nothing.
const ASKING_S: f32 = 0.02;
/// A longer gap is a night, and says nothing of the evening, s.
const LONGEST_S: f32 = 60.0;
/// Bounds of ω.
const SIZES: (f32, f32) = (0.05, 30.0);
/// Addresses for a recursor of mean size.
const PICKS: f32 = 2.0;
/// Fewest addresses.
const FEWEST: usize = 2;
/// β: the share of the longest lifetime that a recursor of mean size gets.
const TTL_SHARE: f32 = 0.25;
/// Clients per second of a recursor before anything is known of any: it asks for each of them.
const UNKNOWN: f32 = 0.1;
/// How long the mean remembers, s.
const MEMORY_S: u64 = 60;
/// Low bits of a place's first word that hold time, ms: 34 years.
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// Units to a second in the sums behind the mean.
const FINE: f32 = 1024.0;

/// What an answer to a recursor stands for, and what it gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crowd {
    /// ω: its clients per second over the mean of all that ask, .05 to 30.
    pub size: f32,
    /// Viewers behind the answer, as far as gaps tell; at least 1.
    pub viewers: f32,
    /// Addresses, each of another node.
    pub count: usize,
    /// Lifetime, s, at least 1.
    pub ttl_s: u32,
}

/// What a recursor may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Longest lifetime, s.
    pub ttl_s: u32,
    /// Most addresses, 1 to [`MOST_PICKS`].
    pub count: usize,
}

/// All recursors that ask. Atomics only: of two threads that hear the same one at once, one loses its gap.
#[derive(Debug)]
pub struct Recursors {
    places: Box<[Place]>,
    /// Σ of λ × gap and Σ of gaps, fading: their ratio is the mean of λ over those that are active, however often each
    /// asks.
    clients: AtomicU64,
    gaps: AtomicU64,
}

/// One of them.
#[derive(Debug, Default)]
struct Place {
    /// Which in the upper bits, and when it last asked in the lower ones, ms; 0: nobody.
    asked: AtomicU64,
    /// g in the upper half, s, f32 bits, and the lifetime that it was given in the lower one, ms.
    known: AtomicU64,
}

// === impl Recursors ===

impl Default for Recursors {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| Place::default()).collect(),
            clients: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
        }
    }
}

impl Recursors {
    /// A recursor asks, and is given what this says. `key` is a hash of what it keeps one answer for.
    pub fn asks(&self, key: u64, bounds: Bounds, now: Moment) -> Crowd {
        let (tag, place) = self.place(key);
        let (asked, known) = (place.asked.load(Relaxed), place.known.load(Relaxed));
        let is_known = asked >> TIME_BITS == tag && asked != 0;
        let gap_ms = now.since_ms(Moment(asked & TIME_MASK));
        let g = if is_known { self.learn(known, gap_ms) } else { (1.0 / self.mean() - ASKING_S).max(0.0) };
        let lambda = 1.0 / (g + ASKING_S);
        let mut crowd = Crowd::of(lambda, self.mean(), bounds);
        // Of who has never asked before one client is sure; of who asks while it still knows, those that come later.
        let covered_s = seconds((known & u64::from(u32::MAX)).saturating_sub(gap_ms));
        let life_s =
            if is_known { (seconds(u64::from(crowd.ttl_s) * 1_000) - covered_s).max(0.0) } else { 0.0 };
        crowd.viewers = 1.0 + life_s * lambda;
        let ttl_ms = u64::from(crowd.ttl_s) * 1_000;
        place.known.store(u64::from(g.to_bits()) << 32 | ttl_ms, Relaxed);
        place.asked.store(tag << TIME_BITS | now.0.max(1) & TIME_MASK, Relaxed);
        crowd
    }

    /// Has it read what is remembered of a recursor, before it asks.
    #[inline]
    pub fn prefetch(&self, key: u64) {
        std::hint::black_box(self.places[set(key)].asked.load(Relaxed));
    }

    /// What it was given in the end holds for so long instead, s; 0: there was nothing to keep.
    pub fn gave(&self, key: u64, ttl_s: u32) {
        let (tag, place) = self.place(key);
        if place.asked.load(Relaxed) >> TIME_BITS == tag {
            let g = place.known.load(Relaxed) & !u64::from(u32::MAX);
            let ttl_ms = u64::from(ttl_s) * 1_000;
            place.known.store(g | ttl_ms, Relaxed);
        }
    }

    /// A second is over: what was is forgotten a little.
    pub fn fade(&self) {
        for sum in [&self.clients, &self.gaps] {
            sum.fetch_sub(sum.load(Relaxed) / MEMORY_S, Relaxed);
        }
    }

    /// g after a gap of so long, ms.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive sum of fixed point"
    )]
    fn learn(&self, known: u64, gap_ms: u64) -> f32 {
        let gap_s = seconds(gap_ms);
        let excess_s = (gap_s - seconds(known & u64::from(u32::MAX))).clamp(0.0, LONGEST_S);
        let before_s = f32::from_bits((known >> 32) as u32);
        let g = before_s + GAIN * (excess_s - before_s);
        let weight = gap_s.min(LONGEST_S) * FINE;
        self.clients.fetch_add((weight / (g + ASKING_S)) as u64, Relaxed);
        self.gaps.fetch_add(weight as u64, Relaxed);
        g
    }

    /// A recursor's place, or that which is given up for it.
    fn place(&self, key: u64) -> (u64, &Place) {
        let set = set(key);
        let tag = key >> TIME_BITS;
        let ways = &self.places[set..set + WAYS];
        let is_its = |place: &&Place| {
            let asked = place.asked.load(Relaxed);
            asked >> TIME_BITS == tag && asked != 0
        };
        let silent = || ways.iter().min_by_key(|place| place.asked.load(Relaxed) & TIME_MASK);
        (tag, ways.iter().find(is_its).or_else(silent).unwrap_or(&ways[0]))
    }

    /// Mean of λ over the recursors that are active, per second.
    #[expect(clippy::cast_precision_loss, reason = "a mean needs three digits")]
    fn mean(&self) -> f32 {
        let (clients, gaps) = (self.clients.load(Relaxed) as f32, self.gaps.load(Relaxed) as f32);
        if gaps < FINE { UNKNOWN } else { clients / gaps }
    }
}

// === impl Crowd ===

impl Crowd {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small numbers, bounded"
    )]
    fn of(lambda: f32, mean: f32, bounds: Bounds) -> Self {
        let size = (lambda / mean).clamp(SIZES.0, SIZES.1);
        let longest_s = bounds.ttl_s.max(1) as f32;
        // Rounded by hand: the instruction for it is not of every processor's, and so a call.
        let ttl_s = ((longest_s * TTL_SHARE / size).min(longest_s) + 0.5) as u32;
        let picks = PICKS * size;
        let whole = picks as usize;
        let count = whole + usize::from((whole as f32) < picks);
        let count = count.clamp(FEWEST, MOST_PICKS).min(bounds.count);
        Self { size, viewers: 1.0, count, ttl_s: ttl_s.max(1) }
    }
}

/// The first of the places that a recursor may be in.
fn set(key: u64) -> usize {
    usize::try_from(key % (PLACES / WAYS) as u64).unwrap_or_default() * WAYS
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "a gap needs three digits")]
fn seconds(ms: u64) -> f32 {
    ms as f32 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { ttl_s: 10, count: MOST_PICKS };

    /// Recursors with so many clients a second each, after they have asked for ten minutes.
    fn after_a_while(rates: &[f32]) -> (Recursors, Vec<Crowd>) {
        let recursors = Recursors::default();
        let mut crowds = vec![Crowd::of(UNKNOWN, UNKNOWN, BOUNDS); rates.len()];
        let mut due_ms: Vec<u64> = (1..=rates.len() as u64).collect();
        let mut second = 0;
        let mut turn = 0;
        while let Some(next) = (0..rates.len()).min_by_key(|i| due_ms[*i]).filter(|i| due_ms[*i] < 600_000) {
            let now = due_ms[next];
            for _ in second..now / 1_000 {
                recursors.fade();
            }
            second = now / 1_000;
            crowds[next] = recursors.asks(crate::schedule::scene::mix(next as u64), BOUNDS, Moment(now));
            // An exponential gap, drawn without chance: its quantiles in turn.
            turn = (turn + 37) % 100;
            let gap_s = -((turn as f32 + 0.5) / 100.0).ln() / rates[next];
            due_ms[next] = now + u64::from(crowds[next].ttl_s) * 1_000 + (gap_s * 1e3) as u64;
        }
        (recursors, crowds)
    }

    #[test]
    fn a_large_recursor_gets_many_addresses_for_a_short_time_and_a_small_one_two_for_long() {
        let (_, crowds) = after_a_while(&[30.0, 0.5, 0.5, 0.05, 0.05, 0.05, 0.05]);
        let [large, middle, small] = [crowds[0], crowds[1], crowds[3]];
        assert!((large.count, large.ttl_s) == (8, 1), "{large:?}");
        assert_eq!((small.count, small.ttl_s), (2, 10), "{small:?}");
        assert!(large.size > middle.size && middle.size > small.size, "{crowds:?}");
        assert!((10.0..40.0).contains(&large.viewers), "30 a second for one second: {large:?}");
        assert!((1.2..2.5).contains(&small.viewers), "and 0.05 for ten: {small:?}");
    }

    #[test]
    fn who_is_unknown_is_of_mean_size() {
        let (recursors, _) = after_a_while(&[1.0, 1.0, 1.0]);
        let crowd = recursors.asks(99, BOUNDS, Moment(600_000));
        assert!((crowd.size - 1.0).abs() < 1e-3 && crowd.count == 2, "{crowd:?}");
        assert!(crowd.viewers < 1.1, "but nobody has seen a crowd behind it: {crowd:?}");
    }

    #[test]
    fn who_asks_while_it_still_knows_is_not_believed_to_have_the_crowd_twice() {
        let (recursors, _) = after_a_while(&[30.0, 0.05, 0.05]);
        let ask = |now| recursors.asks(crate::schedule::scene::mix(0), BOUNDS, Moment(now));
        assert!(ask(601_500).viewers > 10.0);
        let again = ask(601_501);
        assert!(again.viewers < 2.0, "{again:?}");
        assert!(ask(602_001).viewers < again.viewers + 0.6 * 50.0, "half of its life is over");
    }

    /// An answer may hold for less than its recursor's size calls for: gaps are counted from when it ended.
    #[test]
    fn a_lifetime_that_was_cut_short_makes_nobody_larger() {
        let size = |given_s: Option<u32>| {
            let (recursors, _) = after_a_while(&[0.5; 5]);
            let key = crate::schedule::scene::mix(77);
            let bounds = Bounds { ttl_s: 60, count: MOST_PICKS };
            for turn in 0..20 {
                recursors.asks(key, bounds, Moment(700_000 + turn * 7_000));
                given_s.into_iter().for_each(|given_s| recursors.gave(key, given_s));
            }
            recursors.asks(key, bounds, Moment(840_000)).size
        };
        let (told, untold) = (size(Some(5)), size(None));
        assert!(told < 1.2 && untold > 1.8, "2 s after each end: {told}; {untold} if nobody says so");
    }

    #[test]
    fn a_rush_is_noticed_within_a_few_questions() {
        let (recursors, _) = after_a_while(&[0.1; 10]);
        let mut now = 600_000;
        let asked = (0..20).find(|_| {
            let crowd = recursors.asks(crate::schedule::scene::mix(3), BOUNDS, Moment(now));
            now += u64::from(crowd.ttl_s) * 1_000 + 10;
            crowd.count == 8
        });
        assert!(asked.is_some_and(|questions| questions <= 8), "{asked:?}");
    }

    #[test]
    fn bounds_are_kept_and_a_night_of_silence_is_not_believed() {
        let recursors = Recursors::default();
        let bounds = Bounds { ttl_s: 1, count: 1 };
        for hours in 0..10 {
            let crowd = recursors.asks(7, bounds, Moment(hours * 3_600_000 + 5));
            assert_eq!((crowd.count, crowd.ttl_s), (1, 1));
            assert!(crowd.viewers >= 1.0 && crowd.viewers < 1.2, "{crowd:?}");
        }
        let quick = (0..30).map(|i| recursors.asks(7, bounds, Moment(40_000_000 + i * 1_010)).viewers).last();
        assert!(quick.is_some_and(|viewers| viewers > 10.0), "{quick:?}");
    }

    #[test]
    fn more_recursors_than_places_push_out_the_silent() {
        let recursors = Recursors::default();
        for (at, i) in (1..=6u64).enumerate() {
            recursors.asks(i << TIME_BITS, BOUNDS, Moment(1_000 + at as u64));
        }
        let tags: Vec<u64> =
            recursors.places[..WAYS].iter().map(|p| p.asked.load(Relaxed) >> TIME_BITS).collect();
        assert_eq!(tags, [5, 6, 3, 4]);
    }
}
