//! The nearest node with pressure below 1; of PoPs within 5 % of the nearest distance, the least pressed.

use arrayvec::ArrayVec;

use super::Policy;
use crate::schedule::node::NodeIndex;
use crate::schedule::scene::{MOST_PICKS, Picks, Scene};

/// Distances within this factor are a tie: GeoIP does not know better (`geodns` uses the same 5 %).
const TIE: f32 = 1.05;
/// PoPs remembered: enough for the longest answer and its ties.
const REMEMBERED: usize = 2 * MOST_PICKS;

/// Nearest first.
#[derive(Clone, Copy, Debug)]
pub struct Nearest;

struct Seen {
    km: f32,
    node: NodeIndex,
    x: f32,
}

// === impl Nearest ===

impl Policy for Nearest {
    fn rank(&self, scene: &Scene<'_>, picks: &mut Picks) {
        let count = scene.ask.count.clamp(1, MOST_PICKS);
        // In order of distance. The walk's order is that of the cell's centre, nearly but not quite this one.
        let mut seen: ArrayVec<Seen, REMEMBERED> = ArrayVec::new();
        for visit in scene.walk() {
            if visit.at_least_km > settled_within(&seen, count) {
                break;
            }
            let km = scene.km_to(&visit).unwrap_or(f32::MAX);
            let Some((node, x)) = scene.best_of(visit.group) else { continue };
            let at = seen.partition_point(|other| other.km <= km);
            if seen.is_full() {
                seen.pop();
            }
            if at <= seen.len() {
                seen.insert(at, Seen { km, node, x });
            }
        }
        let tie_km = seen.first().map_or(0.0, |nearest| nearest.km * TIE);
        let tied = seen.iter().take_while(|other| other.km <= tie_km).enumerate();
        if let Some((winner, _)) = tied.min_by(|a, b| a.1.x.total_cmp(&b.1.x)) {
            seen[..=winner].rotate_right(1);
        }
        picks.extend(seen.iter().take(count).map(|seen| scene.pick(seen.node, seen.x)));
    }
}

/// No PoP farther than this can still change the answer, km.
fn settled_within(seen: &[Seen], count: usize) -> f32 {
    match (seen.first(), seen.get(count - 1)) {
        (Some(nearest), Some(last)) => last.km.max(nearest.km * TIE),
        _ => f32::INFINITY,
    }
}
