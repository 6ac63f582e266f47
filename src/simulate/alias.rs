//! Weighted choice in constant time (Vose's alias method): a viewer's city and stream are drawn millions of times.

use super::random::Random;

/// Draws indices in proportion to their weights.
#[derive(Clone, Debug)]
pub(super) struct Alias {
    keep: Box<[f64]>,
    other: Box<[u32]>,
}

// === impl Alias ===

impl Alias {
    /// Weights need not sum to 1; those below 0 count as 0. All 0 (or none): index 0 is drawn.
    pub(super) fn new(weights: &[f64]) -> Self {
        let total: f64 = weights.iter().map(|w| w.max(0.0)).sum();
        let scale = if total > 0.0 { weights.len() as f64 / total } else { 0.0 };
        let mut keep: Vec<f64> = weights.iter().map(|w| w.max(0.0) * scale).collect();
        let mut other: Vec<u32> = (0u32..).take(weights.len()).collect();
        let (mut poor, mut rich): (Vec<usize>, Vec<usize>) = (0..keep.len()).partition(|i| keep[*i] < 1.0);
        while let (Some(from), Some(to)) = (poor.pop(), rich.last().copied()) {
            other[from] = to as u32;
            keep[to] -= 1.0 - keep[from];
            if keep[to] < 1.0 {
                rich.pop();
                poor.push(to);
            }
        }
        // What is left is 1 but for rounding.
        for i in rich.into_iter().chain(poor) {
            if total > 0.0 && other[i] as usize == i {
                keep[i] = 1.0;
            }
        }
        Self { keep: keep.into(), other: other.into() }
    }

    /// One index.
    pub(super) fn draw(&self, random: &mut Random) -> usize {
        let i = random.below(self.keep.len());
        if random.unit() < self.keep[i] { i } else { self.other[i] as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Purpose;
    use super::*;

    #[test]
    fn indices_come_in_proportion_to_their_weights() {
        let weights = [1.0, 0.0, 5.0, 2.0, 2.0];
        let alias = Alias::new(&weights);
        let mut random = Random::new(5, Purpose::Luck);
        let mut seen = [0.0; 5];
        for _ in 0..100_000 {
            seen[alias.draw(&mut random)] += 1e-4;
        }
        for (weight, seen) in weights.iter().zip(seen) {
            assert!((weight - seen).abs() < 0.1, "{weight} against {seen}");
        }
    }
}
