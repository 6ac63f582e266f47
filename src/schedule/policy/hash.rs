//! The node that the stream sticks to, wherever it stands; when it is full, the next one the stream wants.
//!
//! Consistent: every replica ranks alike, and a node that comes or goes moves only its own streams. For pools in
//! one place, such as origins or a cache layer; across a continent `priced` weighs distance too.

use super::Policy;
use crate::schedule::scene::{MOST_PICKS, Picks, Scene};

/// By stream alone.
#[derive(Clone, Copy, Debug)]
pub struct Hash;

// === impl Hash ===

impl Policy for Hash {
    fn rank(&self, scene: &Scene<'_>, picks: &mut Picks) {
        let count = scene.ask.count.clamp(1, MOST_PICKS);
        let mut terms = arrayvec::ArrayVec::<f32, MOST_PICKS>::new();
        for group in &scene.pool.groups {
            if scene.avoids(group.pop) {
                continue;
            }
            // The group's most wanted node that fits; the others can only follow it.
            let wanted = scene.pool.affinity.of(scene.ask.bucket, group);
            let fits = wanted.filter_map(|(node, term)| Some((node, term, scene.fit(node)?))).next();
            let Some((node, term, x)) = fits else { continue };
            let at = terms.partition_point(|other| *other <= term);
            if at >= count {
                continue;
            }
            picks.truncate(count - 1);
            terms.truncate(count - 1);
            picks.insert(at, scene.pick(node, x));
            terms.insert(at, term);
        }
    }
}
