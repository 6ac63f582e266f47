//! Any node that fits, by chance in proportion to capacity.

use super::Policy;
use crate::schedule::node::NodeIndex;
use crate::schedule::scene::{Picks, Scene, mix};

/// Draws before the rest are taken in order: with half the fleet full, 1 in 65,536 questions needs more.
const DRAWS: u64 = 16;

/// By chance.
#[derive(Clone, Copy, Debug)]
pub struct Random;

// === impl Random ===

impl Policy for Random {
    fn rank(&self, scene: &Scene<'_>, picks: &mut Picks) {
        let members = scene.pool.members.clone();
        let Some(total) = scene.pool.shares.last() else { return };
        let mut fit = |node: NodeIndex| {
            let x = scene.fit(node).filter(|_| !scene.avoids(scene.fleet.pop_of(node)));
            if let Some(x) = x {
                picks.push(scene.pick(node, x));
            }
            x.is_some()
        };
        let mut at = members.start;
        for draw in 0..DRAWS {
            let point = unit(mix(scene.ask.ticket.wrapping_mul(DRAWS).wrapping_add(draw))) * total;
            let drawn = scene.pool.shares.partition_point(|sum| *sum <= point);
            at = (members.start + u32::try_from(drawn).unwrap_or(0)).min(members.end - 1);
            if fit(NodeIndex(at)) {
                return;
            }
        }
        let _ = (at..members.end).chain(members.start..at).any(|node| fit(NodeIndex(node)));
    }
}

/// 64 random bits as a number from 0 up to, but not including, 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
