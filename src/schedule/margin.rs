//! The margin: how far other replicas' bookings may lie above κ times our own.
//!
//! We see our own answers and multiply by κ, but which node the others' viewers went to is a guess from a sample:
//! the sum of the others is negative-binomially distributed about it, with variance κ(κ−1)·Q·br. Up to κ = 4 our sample
//! is good enough; above, z = ½ standard deviation is added, phased in until κ = 8.

/// κ up to which no margin is needed.
pub const FROM: f32 = 4.0;
/// Standard deviations.
const Z: f32 = 0.5;

/// The margin, Mbit/s: `own_mbps` is Q = S + carry, `mbps_per_client` is br.
#[must_use]
pub fn mbps(kappa: f32, own_mbps: f32, mbps_per_client: f32) -> f32 {
    if kappa <= FROM {
        return 0.0;
    }
    let phased_in = ((kappa - FROM) / FROM).min(1.0);
    Z * phased_in * (kappa * (kappa - 1.0) * own_mbps.max(0.0) * mbps_per_client.max(0.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_margin_up_to_four_replicas_and_half_a_deviation_from_eight() {
        assert!(mbps(4.0, 100.0, 3.0) == 0.0);
        assert!((mbps(10.0, 100.0, 3.0) - 0.5 * (90.0_f32 * 300.0).sqrt()).abs() < 1e-3);
        assert!((mbps(6.0, 100.0, 3.0) - 0.25 * (30.0_f32 * 300.0).sqrt()).abs() < 1e-3);
    }
}
