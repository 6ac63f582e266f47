//! How long viewers stay: the mix of `tests/data/fleet/README.md`, and what is left of it for those already there.
//!
//! 30 % look in (2 s + exponential, mean 30 s), 50 % watch a while (lognormal, median 600 s, σ 1.2), 20 % stay
//! (Pareto α 1.3 from 1,800 s, capped at 48 h). The tail is heavy, so a viewer found watching is not a fresh
//! one: it is drawn in proportion to its length, and a uniform share of that is left (renewal theory).
//! Whoever draws fresh holds for the initial viewers empties the fleet in the first minutes.

use super::random::Random;

const LOOK_IN: f64 = 0.3;
const WATCH: f64 = 0.5;
const STAY: f64 = 1.0 - LOOK_IN - WATCH;

const SHORTEST_S: f64 = 2.0;
const LOOK_IN_MEAN_S: f64 = 30.0;
const MEDIAN_S: f64 = 600.0;
const SIGMA: f64 = 1.2;
const ALPHA: f64 = 1.3;
const FROM_S: f64 = 1_800.0;
const CAP_S: f64 = 172_800.0;

/// How long a viewer who has just come will stay, s.
pub(super) fn fresh_s(random: &mut Random) -> f64 {
    match random.unit() {
        share if share < LOOK_IN => SHORTEST_S + random.exponential(LOOK_IN_MEAN_S),
        share if share < LOOK_IN + WATCH => MEDIAN_S * (SIGMA * random.normal()).exp(),
        _ => (FROM_S * random.positive().powf(-1.0 / ALPHA)).min(CAP_S),
    }
}

/// How long a viewer stays who came for a show, s: 15 % look in (mean 40 s), the others stay for a lognormal time
/// of median 1,500 s and σ .8. The first model behind the figures had its flash viewers hold like this.
pub(super) fn of_a_show_s(random: &mut Random) -> f64 {
    match random.chance(0.15) {
        true => random.exponential(40.0),
        false => 1_500.0 * (0.8 * random.normal()).exp(),
    }
}

/// How much longer a viewer found watching at a random moment will stay, s.
pub(super) fn residual_s(random: &mut Random) -> f64 {
    let (look_in, watch, stay) = (LOOK_IN * look_in_mean_s(), WATCH * watch_mean_s(), STAY * stay_mean_s());
    let drawn = random.unit() * (look_in + watch + stay);
    let whole_s = if drawn < look_in {
        // Length-biased 2 s + exponential: a mixture of exponential and gamma(2).
        let once = SHORTEST_S + random.exponential(LOOK_IN_MEAN_S);
        let again = random.chance(LOOK_IN_MEAN_S / look_in_mean_s());
        if again { once + random.exponential(LOOK_IN_MEAN_S) } else { once }
    } else if drawn < look_in + watch {
        // Length-biased lognormal is lognormal with μ + σ².
        MEDIAN_S * (SIGMA * SIGMA + SIGMA * random.normal()).exp()
    } else {
        long_stay_s(random)
    };
    whole_s * random.unit()
}

/// Mean of [`fresh_s`], s: by Little's law, arrivals per second = viewers ÷ this.
pub(super) fn mean_s() -> f64 {
    LOOK_IN * look_in_mean_s() + WATCH * watch_mean_s() + STAY * stay_mean_s()
}

fn look_in_mean_s() -> f64 {
    SHORTEST_S + LOOK_IN_MEAN_S
}

fn watch_mean_s() -> f64 {
    MEDIAN_S * (SIGMA * SIGMA / 2.0).exp()
}

fn stay_mean_s() -> f64 {
    below_cap_s() + CAP_S * capped()
}

/// Probability that a stay reaches the cap.
fn capped() -> f64 {
    (FROM_S / CAP_S).powf(ALPHA)
}

/// ∫ x·f(x) up to the cap.
fn below_cap_s() -> f64 {
    ALPHA / (ALPHA - 1.0) * (FROM_S - CAP_S * capped())
}

/// Length-biased capped Pareto: density ∝ x^−α up to the cap, and the cap itself.
fn long_stay_s(random: &mut Random) -> f64 {
    if random.unit() * stay_mean_s() >= below_cap_s() {
        return CAP_S;
    }
    let (low, high) = (FROM_S.powf(1.0 - ALPHA), CAP_S.powf(1.0 - ALPHA));
    (low + (high - low) * random.unit()).powf(1.0 / (1.0 - ALPHA))
}

#[cfg(test)]
mod tests {
    use super::super::random::Purpose;
    use super::*;

    #[test]
    fn fresh_holds_have_the_mean_that_the_arrival_rate_is_worked_out_from() {
        let mut random = Random::new(2, Purpose::Viewers);
        let n = 400_000;
        let mean = (0..n).map(|_| fresh_s(&mut random)).sum::<f64>() / f64::from(n);
        assert!((mean / mean_s() - 1.0).abs() < 0.03, "{mean} against {}", mean_s());
    }

    /// In a steady fleet as many leave per second as come: P(residual < t) / t → 1 / mean for small t.
    #[test]
    fn of_those_found_watching_as_many_leave_as_come() {
        let mut random = Random::new(4, Purpose::Viewers);
        let n = 1_000_000;
        let window_s = 1.0;
        let left = (0..n).filter(|_| residual_s(&mut random) < window_s).count();
        let expected = f64::from(n) * window_s / mean_s();
        assert!((left as f64 / expected - 1.0).abs() < 0.2, "{left} against {expected:.0}");
    }
}
