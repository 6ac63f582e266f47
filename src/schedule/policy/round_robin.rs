//! Nodes in turn; a node that does not fit loses its turn to the next.

use super::Policy;
use crate::schedule::node::NodeIndex;
use crate::schedule::scene::{Picks, Scene};

/// In turn.
#[derive(Clone, Copy, Debug)]
pub struct RoundRobin;

// === impl RoundRobin ===

impl Policy for RoundRobin {
    fn rank(&self, scene: &Scene<'_>, picks: &mut Picks) {
        let members = scene.pool.members.clone();
        if members.is_empty() {
            return;
        }
        let turn = u32::try_from(scene.ask.ticket % members.len() as u64).unwrap_or(0);
        let from = members.start + turn;
        for node in (from..members.end).chain(members.start..from).map(NodeIndex) {
            if scene.avoids(scene.fleet.pop_of(node)) {
                continue;
            }
            if let Some(x) = scene.fit(node) {
                picks.push(scene.pick(node, x));
                return;
            }
        }
    }
}
