//! Unit costs: what one more Mbit/s costs a node in CPU.
//!
//! A booking is in Mbit/s, but SRS runs out of its one core before a fast NIC is full. So each node learns how
//! much CPU its traffic takes, `cpm += 0.3 · (cpu / egress − cpm)`, and a booking moves its CPU terms by that.
//! Below 5 % of its capacity a node's CPU is mostly idle noise and would make traffic look ruinous: not learnt.

/// How fast a new ratio replaces the old one.
const GAIN: f64 = 0.3;
/// Least share of capacity in use at which the ratio says something.
const LEAST_EGRESS_SHARE: f64 = 0.05;

/// CPU per Mbit/s; 0 until learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UnitCost {
    per_mbps: f64,
}

/// What the fleet's nodes have learnt: the prior of one that has learnt nothing. A cold node with few cores and a fast
/// NIC would otherwise be filled as if its CPU cost nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FleetCost {
    mean: f64,
    variance: f64,
}

/// How fast the fleet's mean follows.
const FLEET_GAIN: f64 = 0.02;
/// Standard deviations above the mean that a node without evidence is taken to cost.
const CAUTION: f64 = 1.5;

// === impl UnitCost ===

impl UnitCost {
    /// Learns from one window: `cpu` in the unit of its limit, `egress_mbps` of the same node.
    pub fn learn(&mut self, cpu: Option<f64>, egress_mbps: Option<f64>, capacity_mbps: f64) {
        let (Some(cpu), Some(egress_mbps)) = (cpu, egress_mbps) else { return };
        if egress_mbps < LEAST_EGRESS_SHARE * capacity_mbps {
            return;
        }
        let ratio = cpu / egress_mbps;
        self.per_mbps =
            if self.per_mbps == 0.0 { ratio } else { self.per_mbps + GAIN * (ratio - self.per_mbps) };
    }

    /// CPU that one more Mbit/s takes, in the unit of its limit.
    #[must_use]
    pub fn per_mbps(self) -> f64 {
        self.per_mbps
    }
}

// === impl FleetCost ===

impl FleetCost {
    /// Takes in what one node has learnt, in a unit that nodes share (cores per Mbit/s); 0 is not learnt.
    pub fn learn(&mut self, per_mbps: f64) {
        if per_mbps <= 0.0 {
            return;
        }
        if self.mean == 0.0 {
            self.mean = per_mbps;
        }
        let off = per_mbps - self.mean;
        self.mean += FLEET_GAIN * off;
        self.variance += FLEET_GAIN * (off * off - self.variance);
    }

    /// What a node without evidence is taken to cost, in the same unit.
    #[must_use]
    pub fn cautious(&self) -> f64 {
        self.mean + CAUTION * self.variance.max(0.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_noise_is_not_learnt_and_load_is() {
        let mut cost = UnitCost::default();
        cost.learn(Some(0.05), Some(1.0), 1_000.0);
        assert!(cost.per_mbps() == 0.0);
        cost.learn(Some(0.2), Some(400.0), 1_000.0);
        assert!((cost.per_mbps() - 0.0005).abs() < 1e-12);
        cost.learn(Some(0.4), Some(400.0), 1_000.0);
        assert!((cost.per_mbps() - 0.00065).abs() < 1e-12);
        cost.learn(None, Some(400.0), 1_000.0);
        assert!((cost.per_mbps() - 0.00065).abs() < 1e-12);
    }
}
