//! The least pressed node, wherever it stands; the nearer of two alike.
//!
//! This policy asks every node of the pool, about 1.5 ns each: its very definition. Where that is too much,
//! `nearest` looks at a few PoPs only.

use super::Policy;
use crate::schedule::scene::{MOST_PICKS, Pick, Picks, Scene};

/// Least pressed first, one node of each PoP.
#[derive(Clone, Copy, Debug)]
pub struct LeastLoad;

// === impl LeastLoad ===

impl Policy for LeastLoad {
    fn rank(&self, scene: &Scene<'_>, picks: &mut Picks) {
        let count = scene.ask.count.clamp(1, MOST_PICKS);
        // Outwards, so that of two equal pressures the nearer one is seen first and stays.
        for visit in scene.walk() {
            let Some((node, x)) = scene.best_of(visit.group) else { continue };
            let at = picks.partition_point(|other: &Pick| other.pressure <= x);
            if at >= count {
                continue;
            }
            picks.truncate(count - 1);
            picks.insert(at, scene.pick(node, x));
        }
    }
}
