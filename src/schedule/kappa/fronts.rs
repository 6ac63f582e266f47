//! How much more a viewer counts that is taken to stand behind an answer by DNS than one that asks for itself.
//!
//! Exporters count connections and not how they came. But nodes differ in what share of their answers was by DNS, so
//! the two κ fall out of a regression over windows, `connected = κ·own + κ'·shared`, each window weighted by 1 over
//! what was expected of it (arrivals are Poisson). Two weak wishes keep it in place where windows say nothing: that κ is
//! what is configured, and, ten times weaker, that both are alike. So a fleet that answers by DNS alone has all that it
//! learns in the factor `κ' / κ`, and κ stays what it means: replicas.

/// Rounds of the fleet that are remembered.
const ROUNDS: f64 = 30.0;
/// Weight of the wish that κ is what is configured, in answers.
const CONFIGURED: f64 = 20.0;
/// Weight of the wish that both are alike, in answers.
const ALIKE: f64 = 2.0;
/// Bounds of the factor.
const BOUNDS: (f64, f64) = (1.0 / 32.0, 256.0);

/// The learner: sums of the regression, fading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Fronts {
    own_own: f64,
    own_shared: f64,
    shared_shared: f64,
    own_connected: f64,
    shared_connected: f64,
}

// === impl Fronts ===

impl Fronts {
    /// Takes in one window, see [`super::Kappa::learn`].
    pub(super) fn learn(&mut self, connected: f64, own: f64, shared: f64, nodes: f64) {
        let keep = (-1.0 / (ROUNDS * nodes)).exp();
        let weight = 1.0 / (1.0 + own.max(0.0) + shared.max(0.0));
        let sums = [
            (&mut self.own_own, own * own),
            (&mut self.own_shared, own * shared),
            (&mut self.shared_shared, shared * shared),
            (&mut self.own_connected, own * connected),
            (&mut self.shared_connected, shared * connected),
        ];
        for (sum, product) in sums {
            *sum = *sum * keep + weight * product;
        }
    }

    /// κ by DNS over κ, where `configured` is what κ is configured as.
    pub(super) fn factor(&self, configured: f64) -> f64 {
        // The normal equations of the regression with both wishes.
        let (a, b, c) =
            (self.own_own + CONFIGURED + ALIKE, self.own_shared - ALIKE, self.shared_shared + ALIKE);
        let (p, q) = (self.own_connected + CONFIGURED * configured, self.shared_connected);
        let determinant = a * c - b * b;
        let (kappa, kappa_dns) = ((p * c - q * b) / determinant, (q * a - p * b) / determinant);
        if kappa <= 0.0 { BOUNDS.1 } else { (kappa_dns / kappa).clamp(BOUNDS.0, BOUNDS.1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The factor after some rounds of ten nodes; the share of DNS differs from node to node by `spread`.
    fn after(rounds: u32, own: f64, shared: f64, spread: f64, kappas: (f64, f64)) -> f64 {
        let mut fronts = Fronts::default();
        for i in 0..rounds * 10 {
            let lean = spread * (f64::from(i % 10) / 4.5 - 1.0);
            let (own, shared) = (own * (1.0 - lean), shared * (1.0 + lean));
            fronts.learn(kappas.0 * own + kappas.1 * shared, own, shared, 10.0);
        }
        fronts.factor(1.0)
    }

    #[test]
    fn nodes_with_other_shares_of_dns_tell_the_fronts_apart() {
        let factor = after(30, 20.0, 10.0, 0.5, (4.0, 12.0));
        assert!((2.7..3.3).contains(&factor), "{factor}");
    }

    #[test]
    fn where_all_answers_are_by_dns_kappa_stays_as_configured() {
        let factor = after(30, 0.0, 10.0, 0.0, (1.0, 12.0));
        assert!((5.0..12.0).contains(&factor), "{factor}");
    }

    #[test]
    fn without_evidence_both_are_alike() {
        assert!((Fronts::default().factor(3.0) - 1.0).abs() < 1e-9);
        let factor = after(30, 20.0, 0.0, 0.0, (4.0, 0.0));
        assert!((factor - 1.0).abs() < 1e-6, "{factor}");
    }

    #[test]
    fn what_all_nodes_have_alike_is_right_in_sum() {
        let (own, shared) = (20.0, 10.0);
        let mut fronts = Fronts::default();
        (0..300).for_each(|_| fronts.learn(4.0 * own + 12.0 * shared, own, shared, 10.0));
        assert!(fronts.factor(1.0).is_finite() && fronts.factor(1.0) > 0.0);
    }
}
