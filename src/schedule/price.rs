//! The congestion price: what a node's pressure costs, in km.
//!
//! `L · x / (1 − x)`: 10 km at x = 0.5, 90 at 0.9, 190 at 0.95, 990 at 0.99 (with L = 10). It is the congestion dual of a
//! min-cost flow, kept per node and up to date by bookings, so no solver is needed: clients far away, whom a second
//! choice costs little, leave a filling node first. "Nearest under 80 %" is the same rule with a wall for a price.

/// Price of pressure `x`, km; ∞ at and over the limit.
#[must_use]
#[inline]
pub fn congestion(congestion_km: f32, x: f32) -> f32 {
    if x < 1.0 { congestion_km * x / (1.0 - x) } else { f32::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_is_ten_km_at_half_and_grows_without_bound() {
        let price = |x| congestion(10.0, x);
        assert_eq!(price(0.0), 0.0);
        assert!((price(0.5) - 10.0).abs() < 1e-4);
        assert!((price(0.9) - 90.0).abs() < 1e-3);
        assert!((price(0.99) - 990.0).abs() < 0.1);
        assert_eq!(price(1.0), f32::INFINITY);
        assert_eq!(price(f32::NAN), f32::INFINITY, "a number that is none is no room");
    }
}
