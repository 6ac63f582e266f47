//! A ledger to try things out on: what is booked on it is booked nowhere else.

use super::{Ledger, LineUpdate, status};
use crate::schedule::budget::KmPrice;
use crate::schedule::fleet::Fleet;
use crate::schedule::node::NodeIndex;

// === impl Ledger ===

impl Ledger {
    /// This ledger of `fleet` as it stands, but for one node, which is drained and empty: its load is off its PoP's
    /// uplink too. C stays as it is. Answers given meanwhile may be in the copy or not.
    #[must_use]
    pub fn copy_without(&self, fleet: &Fleet, leaving: NodeIndex) -> Self {
        let copy = Self {
            price: KmPrice::new(self.price.km(), None),
            isp_km: self.isp_km,
            ..Self::new(fleet, self.kappa(), self.congestion_km)
        };
        copy.set_stale_rule_off(self.stale_rule_off());
        for (i, line) in (0u32..).zip(&self.lines) {
            let node = NodeIndex(i);
            if node == leaving {
                let status = line.status() | status::DRAINING;
                copy.update(node, &LineUpdate { status, ..LineUpdate::default() });
            } else {
                copy.update(node, &self.update_in_force(node));
                copy.take_over(node, line.bookings());
            }
        }
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Moment;
    use crate::schedule::fleet::PoolSpec;
    use crate::schedule::node::Node;

    use crate::schedule::uplink::{Uplink, UplinkSpec};

    fn node(id: &str) -> Node {
        Node {
            ipv4: vec![[192, 0, 2, 1].into()],
            bandwidth_mbps: Some(1_000.0),
            exporters: vec!["http://192.0.2.1:9100/metrics".into()],
            ..Node::new(id, "edges", "shanghai")
        }
    }

    #[test]
    fn a_copy_has_all_loads_and_bookings_but_those_of_the_leaving_node() {
        let pool = PoolSpec { name: "edges".into(), on_overload: Default::default() };
        let uplink = Uplink { mbps: 1_000.0, limit: 0.8 };
        let fleet = Fleet::build(vec![node("a"), node("b")], &[pool], &[])
            .unwrap()
            .with_uplinks(&[UplinkSpec { pop: "shanghai".into(), uplink }]);
        let ledger = Ledger::new(&fleet, 1.0, 10.0);
        let (a, b) = (NodeIndex(0), NodeIndex(1));
        for node in [a, b] {
            let update = LineUpdate {
                base: [0.25, 0.0, 0.0],
                slope: [1.0 / 800.0, 0.0, 0.0],
                estimate_mbps: 200.0,
                status: status::HAS_V4,
                ..LineUpdate::default()
            };
            ledger.update(node, &update);
            ledger.book(node, 80_000, Moment(5));
        }
        let copy = ledger.copy_without(&fleet, a);
        assert!((ledger.pressure(b, 0.0) - 0.7).abs() < 1e-6, "200 and 80 of each node, of 800 Mbit/s");
        assert!((copy.pressure(b, 0.0) - 0.35).abs() < 1e-6, "the same of one node");
        assert!(copy.line(a).is(status::DRAINING) && !copy.line(b).is(status::DRAINING));
        assert_eq!((copy.bounds().open(0), ledger.bounds().open(0)), (1, 2));
        copy.book(b, 80_000, Moment(6));
        assert_eq!((copy.line(b).answers(), ledger.line(b).answers()), (2, 1));
    }
}
