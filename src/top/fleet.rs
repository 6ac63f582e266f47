//! What is read of `/nodes`. Members that are not known are passed over, those that are absent are nothing.

use serde::Deserialize;

/// The answer.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Listing {
    #[serde(default)]
    pub(super) nodes: Vec<Node>,
}

/// One node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) pool: String,
    pub(super) pop: String,
    pub(super) state: String,
    pub(super) reasons: Vec<String>,
    pub(super) pressure: Option<f64>,
    pub(super) tightest: Option<String>,
    pub(super) headroom_viewers: Option<u64>,
    pub(super) egress_mbps: Option<f64>,
    pub(super) booked_mbps: f64,
    pub(super) clients: Option<f64>,
    pub(super) sample_age_s: Option<f64>,
}

impl Node {
    /// More viewers that fit; none where a resource other than bandwidth is full, or nobody is sent.
    pub(super) fn room(&self) -> Option<u64> {
        let takes = matches!(&*self.state, "healthy" | "overloaded" | "starting");
        let is_full = self.pressure.is_some_and(|x| x >= 1.0);
        if is_full || !takes { Some(0) } else { self.headroom_viewers }
    }

    /// How much it needs attention; 0 most.
    pub(super) fn need(&self) -> usize {
        let pressed = self.pressure.unwrap_or(0.0) >= 0.85;
        match &*self.state {
            "overloaded" => 0,
            "down" => 1,
            "stale" => 2,
            "healthy" if pressed => 3,
            "starting" => 4,
            "draining" => 5,
            "unmeasured" => 6,
            _ => 7,
        }
    }
}
