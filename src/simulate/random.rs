//! Chance: a small generator of our own, so that a seed means the same bytes on every machine and in every version.
//!
//! xoshiro256++ seeded by splitmix64. Each part of a run has a stream of its own (viewers, scrapes, luck), so
//! that a policy which asks for more luck does not change who arrives.

/// A stream of pseudo-random numbers.
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: [u64; 4],
}

/// What a stream is for; streams of one seed and different purposes are independent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Edges of fleets that are not given as data.
    Fleet = 1,
    /// Which stream has which bitrate.
    Streams,
    /// Who watches at the start, and who arrives when.
    Viewers,
    /// Replicas asked, connect delays, stalls.
    Luck,
    /// Scrape phases and latencies.
    Scrapes,
    /// Whom a fault hits.
    Faults,
    /// What an operator has configured wrongly, or forgotten.
    Mistakes,
}

// === impl Random ===

impl Random {
    /// The stream of this seed for this purpose.
    pub(super) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut at = seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(purpose as u64);
        Self { state: std::array::from_fn(|_| splitmix(&mut at)) }
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// 0 ≤ x < 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// 0 < x ≤ 1: safe to take the logarithm of.
    pub(super) fn positive(&mut self) -> f64 {
        1.0 - self.unit()
    }

    /// `from` ≤ x < `to`.
    pub(super) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// 0 ≤ n < `count`; 0 for an empty range.
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Exponential with this mean.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.positive().ln()
    }

    /// Standard normal (Box–Muller, one of the pair).
    pub(super) fn normal(&mut self) -> f64 {
        (-2.0 * self.positive().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Which of `count` things happen if each does with this probability: calls `take` with their indices,
    /// descending. Costs as much as there are hits.
    pub(super) fn sample(&mut self, count: usize, probability: f64, mut take: impl FnMut(usize)) {
        if probability <= 0.0 {
            return;
        }
        let log_miss = (1.0 - probability.min(1.0 - 1e-12)).ln();
        let mut left = count as f64;
        loop {
            left -= (self.positive().ln() / log_miss).floor() + 1.0;
            if left < 0.0 {
                return;
            }
            take(left as usize);
        }
    }

    /// A random subset of `share` of `0..count`, ascending.
    pub(super) fn subset(&mut self, count: usize, share: f64) -> Vec<usize> {
        let mut all: Vec<usize> = (0..count).collect();
        for i in (1..count).rev() {
            all.swap(i, self.below(i + 1));
        }
        all.truncate((count as f64 * share).round() as usize);
        all.sort_unstable();
        all
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_the_same_bytes_for_ever_and_purposes_differ() {
        let mut a = Random::new(1, Purpose::Viewers);
        let mut b = Random::new(1, Purpose::Viewers);
        let mut c = Random::new(1, Purpose::Luck);
        let first = a.bits();
        assert_eq!(first, b.bits());
        assert_ne!(first, c.bits());
    }

    #[test]
    fn samples_have_their_means() {
        let mut random = Random::new(7, Purpose::Luck);
        let n = 40_000;
        let mean = |f: &mut dyn FnMut() -> f64| (0..n).map(|_| f()).sum::<f64>() / f64::from(n);
        assert!((mean(&mut || random.exponential(30.0)) - 30.0).abs() < 1.0);
        assert!(mean(&mut || random.normal()).abs() < 0.02);
        assert!((mean(&mut || random.below(5) as f64) - 2.0).abs() < 0.05);
        let mut hits = 0;
        for _ in 0..400 {
            random.sample(100, 0.03, |i| {
                assert!(i < 100);
                hits += 1;
            });
        }
        assert!((f64::from(hits) - 1_200.0).abs() < 150.0, "{hits}");
    }

    #[test]
    fn a_subset_has_its_share_and_no_repeats() {
        let subset = Random::new(3, Purpose::Faults).subset(300, 0.1);
        assert_eq!(subset.len(), 30);
        assert!(subset.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
