//! TTL: an answer never outlives its evidence.
//!
//! It holds until something about one of its nodes could have changed: until the next sample comes, or, while nothing
//! presses, until the node would be full at the rate at which it fills now (gdnsd's rule, with bookings for its
//! counters). Clamped, jittered by ±10 % so that players do not come back in step, and halved while degraded.

use super::booking::Ledger;
use super::node::NodeIndex;
use super::reading::Moment;
use super::scene::mix;

/// What bounds an answer's lifetime, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlBounds {
    /// Never shorter.
    pub shortest_ms: u64,
    /// Never longer.
    pub longest_ms: u64,
    /// Scrape interval.
    pub interval_ms: u64,
}

/// How long a node's evidence holds, ms: to its next sample, or to when it is full if that is later.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped"
)]
pub fn node_ms(
    ledger: &Ledger,
    node: NodeIndex,
    bounds: TtlBounds,
    sampled: Option<Moment>,
    now: Moment,
) -> u64 {
    let line = ledger.line(node);
    let age_ms = sampled.map_or(bounds.interval_ms, |sampled| now.since_ms(sampled));
    let to_next_sample = bounds.interval_ms.saturating_sub(age_ms);
    let x = ledger.pressure(node, 0.0);
    if x.is_nan() || x >= 1.0 {
        return to_next_sample;
    }
    // Pressure that own bookings (κ times) have added since the window began, per ms.
    let window_ms = now.since_ms(line.since()).max(1) as f32;
    let steepest = line.update_in_force().slope.into_iter().fold(0.0, f32::max);
    let rise_per_ms = ledger.kappa() * line.booked_mbps() * steepest / window_ms;
    let to_full = if rise_per_ms > 0.0 { (1.0 - x) / rise_per_ms } else { f32::INFINITY };
    to_next_sample.max(to_full.min(bounds.longest_ms as f32) as u64)
}

/// An answer's lifetime, s, from that of its nodes. `ticket` is the die of the jitter.
#[must_use]
pub fn answer_s(nodes_ms: impl Iterator<Item = u64>, bounds: TtlBounds, degraded: bool, ticket: u64) -> u32 {
    let evidence_ms =
        nodes_ms.min().unwrap_or(bounds.shortest_ms).clamp(bounds.shortest_ms, bounds.longest_ms);
    let jittered = evidence_ms * (900 + mix(ticket) % 201) / 1_000;
    let halved = if degraded { jittered / 2 } else { jittered };
    let seconds = halved.clamp(bounds.shortest_ms, bounds.longest_ms).div_ceil(1_000);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: TtlBounds = TtlBounds { shortest_ms: 5_000, longest_ms: 60_000, interval_ms: 10_000 };

    #[test]
    fn the_shortest_lived_node_bounds_the_answer() {
        let seconds = answer_s([60_000, 20_000, 40_000].into_iter(), BOUNDS, false, 1);
        assert!((18..=22).contains(&seconds), "{seconds}");
    }

    #[test]
    fn a_degraded_answer_lives_half_as_long_and_bounds_hold() {
        for ticket in 0..1_000 {
            let degraded = answer_s([40_000].into_iter(), BOUNDS, true, ticket);
            assert!((18..=22).contains(&degraded), "{degraded}");
            assert_eq!(answer_s([0].into_iter(), BOUNDS, true, ticket), 5);
            assert!(answer_s([u64::MAX].into_iter(), BOUNDS, false, ticket) <= 60);
        }
    }

    #[test]
    fn players_do_not_come_back_in_step() {
        let mut seen: Vec<u32> = (0..100).map(|i| answer_s([60_000].into_iter(), BOUNDS, false, i)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() >= 6, "{seen:?}");
    }
}
