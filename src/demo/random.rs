//! A small source of chance.
//!
//! The demo needs the same world for the same seed and no cryptography, so `SplitMix64` (Steele, Lea and Flood,
//! 2014) does: 64 bits of state, equidistributed, ten lines.

/// `SplitMix64`.
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
}

// === impl Random ===

impl Random {
    /// The same seed gives the same numbers.
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.state)
    }

    /// A number in [0, 1).
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds exactly")]
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number in [low, high).
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Exponential with this mean: the time to the next of many independent events.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Lognormal by its median and the σ of its logarithm.
    pub(super) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        median * (sigma * radius * (std::f64::consts::TAU * self.unit()).cos()).exp()
    }

    /// Pareto from `least` on, tail exponent α.
    pub(super) fn pareto(&mut self, least: f64, alpha: f64) -> f64 {
        least * (1.0 - self.unit()).powf(-1.0 / alpha)
    }

    /// An index of a slice of running totals, each with the chance of its own share.
    pub(super) fn pick(&mut self, running_totals: &[f64]) -> usize {
        let end = running_totals.last().copied().unwrap_or(0.0);
        let at = self.unit() * end;
        running_totals.partition_point(|total| *total <= at).min(running_totals.len().saturating_sub(1))
    }
}

/// Scatters the bits of a number; also good as a hash of a small one.
pub(super) fn mix(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Running totals of weights, for [`Random::pick`].
pub(super) fn running_totals(weights: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let add = |total: &mut f64, weight: f64| {
        *total += weight;
        Some(*total)
    };
    weights.into_iter().scan(0.0, add).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        // The reference sequence of seed 1234567, as printed with the algorithm's public implementations.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.bits(), 6_457_827_717_110_365_317);
        assert_eq!(random.bits(), 3_203_168_211_198_807_973);
        assert_eq!(random.bits(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn picks_follow_their_weights() {
        let totals = running_totals([1.0, 0.0, 3.0]);
        let mut random = Random::new(7);
        let mut seen = [0_u32; 3];
        for _ in 0..10_000 {
            seen[random.pick(&totals)] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((2_300..2_700).contains(&seen[0]), "{seen:?}");
    }
}
