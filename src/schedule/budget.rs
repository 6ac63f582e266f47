//! C, the price of traffic in km, and the controller that keeps what it costs viewers within a budget.
//!
//! C turns a node's price into kilometres: a node that is dearer by 1 must be C km nearer. Without a budget C is what the
//! operator sets. With one, each answer tells how much farther it is than the answer without the price term
//! would have been, and every 1,000 answers
//!
//! `C ← C · exp(.1 · clamp((budget − Δ̄) / budget, −1, 1))`, within 1…5,000,
//!
//! so that the mean Δ̄ settles at the budget. What viewers really travel more is less than that: whoever makes room
//! at a near node leaves it to another.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};

/// Answers between two changes of C.
const ROUND: u32 = 1_000;
/// How far one round moves ln C at most.
const STEP: f32 = 0.1;
/// The range of C under a budget, km.
const RANGE_KM: (f32, f32) = (1.0, 5_000.0);

/// C in force.
#[derive(Debug, Default)]
pub struct KmPrice {
    /// km per unit of price, f32 bits.
    in_force: AtomicU32,
    /// What an answer may be farther for the sake of its price, km on average; `None`: C stays.
    budget_km: Option<f32>,
    /// Answers of this round.
    answers: AtomicU32,
    /// Their Σ Δ, m.
    detour_m: AtomicI64,
}

// === impl KmPrice ===

impl KmPrice {
    /// C as configured, adapted from there if there is a budget.
    #[must_use]
    pub fn new(price_km: f32, budget_km: Option<f32>) -> Self {
        let start = budget_km.map_or(price_km, |_| price_km.clamp(RANGE_KM.0, RANGE_KM.1));
        Self { in_force: AtomicU32::new(start.to_bits()), budget_km, ..Self::default() }
    }

    /// C, km per unit of price.
    #[must_use]
    pub fn km(&self) -> f32 {
        f32::from_bits(self.in_force.load(Relaxed))
    }

    /// Whether answers have to tell their detour.
    #[must_use]
    pub fn is_adaptive(&self) -> bool {
        self.budget_km.is_some()
    }

    /// An answer was farther by so many km than it would have been without prices.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "metres, of 1,000 answers"
    )]
    pub fn observe(&self, detour_km: f32) {
        let Some(budget_km) = self.budget_km else { return };
        self.detour_m.fetch_add((detour_km * 1_000.0) as i64, Relaxed);
        // Exactly one answer of a round sees it end.
        if self.answers.fetch_add(1, Relaxed) + 1 == ROUND {
            self.answers.fetch_sub(ROUND, Relaxed);
            let mean_km = self.detour_m.swap(0, Relaxed) as f32 / (1_000 * ROUND) as f32;
            self.in_force.store(adapted(self.km(), budget_km, mean_km).to_bits(), Relaxed);
        }
    }

    /// Goes on from where `before` was.
    pub fn inherit(&self, before: &Self) {
        self.in_force.store(before.km().to_bits(), Relaxed);
    }
}

/// C after a round in which answers were farther by `mean_km` on average.
#[must_use]
fn adapted(price_km: f32, budget_km: f32, mean_km: f32) -> f32 {
    let spare = ((budget_km - mean_km) / budget_km).clamp(-1.0, 1.0);
    (price_km * (STEP * spare).exp()).clamp(RANGE_KM.0, RANGE_KM.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_within_the_budget_raises_the_price_and_one_beyond_lowers_it() {
        assert!((adapted(100.0, 25.0, 0.0) - 110.517).abs() < 0.01);
        assert!((adapted(100.0, 25.0, 12.5) - 105.127).abs() < 0.01);
        assert!((adapted(100.0, 25.0, 25.0) - 100.0).abs() < 0.01);
        assert!((adapted(100.0, 25.0, 500.0) - 90.484).abs() < 0.01);
        assert_eq!((adapted(4_999.0, 25.0, -9.0), adapted(1.01, 25.0, 99.0)), (5_000.0, 1.0));
    }

    #[test]
    fn the_price_changes_every_thousand_answers_and_not_between() {
        let price = KmPrice::new(100.0, Some(10.0));
        (0..999).for_each(|_| price.observe(10.0));
        assert_eq!(price.km(), 100.0);
        (0..2).for_each(|_| price.observe(20.0));
        assert!((price.km() - 100.0).abs() < 0.1, "{}", price.km());
        (0..999).for_each(|_| price.observe(0.0));
        assert!(price.km() > 110.0);
    }

    #[test]
    fn without_a_budget_the_price_is_what_was_configured_even_zero() {
        let price = KmPrice::new(0.0, None);
        (0..5_000).for_each(|_| price.observe(99.0));
        assert_eq!(price.km(), 0.0);
        assert_eq!(KmPrice::new(0.0, Some(10.0)).km(), 1.0);
    }

    #[test]
    fn the_mean_detour_settles_at_the_budget() {
        // A world in which each factor of e in C takes viewers 20 km farther.
        let price = KmPrice::new(1.0, Some(30.0));
        (0..300_000).for_each(|_| price.observe(20.0 * price.km().ln()));
        assert!((20.0 * price.km().ln() - 30.0).abs() < 1.0, "C = {}", price.km());
    }

    #[test]
    fn many_threads_lose_no_answer() {
        let price = KmPrice::new(100.0, Some(10.0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..2_500).for_each(|_| price.observe(10.0)));
            }
        });
        assert_eq!(price.answers.load(Relaxed), 0);
        assert_eq!(price.detour_m.load(Relaxed) % 10_000, 0);
    }
}
