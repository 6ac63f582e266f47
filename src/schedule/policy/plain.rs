//! The priced rule written as plainly as it can be: every node of the pool scored, the best first.
//!
//! No policy of the configuration: it is the oracle that [`super::Priced`] is tested and measured against.

use super::Policy;
use crate::schedule::node::NodeIndex;
use crate::schedule::scene::{MOST_PICKS, Picks, Scene};

/// The reference implementation of the priced rule.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

// === impl Plain ===

impl Plain {
    /// Every node that fits with its score, km, best first.
    #[must_use]
    pub fn scores(self, scene: &Scene<'_>) -> Vec<(NodeIndex, f32, f32)> {
        let mut all = Vec::new();
        for visit in scene.walk().filter(|visit| !scene.avoids(visit.group.pop)) {
            for (node, term) in scene.pool.affinity.of(scene.ask.bucket, visit.group) {
                if let Some(x) = scene.fit(node) {
                    let km = scene.counted_or_unplaced_km(&visit, scene.map_km_to(&visit));
                    let congestion = scene.congestion_km(x);
                    all.push((
                        node,
                        km + scene.ask.affinity_km * term + congestion + scene.terms(node).sum(),
                        x,
                    ));
                }
            }
        }
        all.sort_by(|a, b| a.1.total_cmp(&b.1));
        all
    }
}

impl Policy for Plain {
    fn rank(&self, scene: &Scene<'_>, picks: &mut Picks) {
        for (node, _, x) in self.scores(scene) {
            let pop = scene.fleet.pop_of(node);
            if picks.len() < scene.ask.count.clamp(1, MOST_PICKS)
                && picks.iter().all(|pick| scene.fleet.pop_of(pick.node) != pop)
            {
                picks.push(scene.pick(node, x));
            }
        }
    }
}
