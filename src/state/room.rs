//! Room: whether a node, or those beside it, can take more.

use super::Live;
use crate::schedule::node::NodeIndex;

// === impl Live ===

impl Live {
    /// The pressure of a node with so much more to send; `None`: it is over its limits with it, or out of service.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a bitrate needs three digits")]
    pub fn room(&self, node: NodeIndex, mbps: f64) -> Option<f32> {
        let pressure = self.ledger.pressure(node, mbps as f32);
        (pressure < 1.0 && !self.ledger.line(node).is(self.ledger.unfit())).then_some(pressure)
    }

    /// What a client is taken to need while nothing is known of it, Mbit/s.
    #[must_use]
    pub fn default_mbps(&self) -> f64 {
        f64::from(self.plan.default_kbps) / 1_000.0
    }

    /// For how many viewers of a node, up to `most`, the other nodes of its pool have room.
    #[must_use]
    pub fn places_beside(&self, node: NodeIndex, most: u32) -> u32 {
        let mbps = self.report(node).mbps_per_client.unwrap_or_else(|| self.default_mbps());
        let mut places = 0;
        for other in self.fleet.siblings(node) {
            let mut own = 0;
            while places < most && self.room(other, f64::from(own + 1) * mbps).is_some() {
                (own, places) = (own + 1, places + 1);
            }
        }
        places
    }
}
