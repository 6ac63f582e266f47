//! The least of distance + congestion price + affinity, all in km, among nodes that fit.
//!
//! `score(n) = d + L·x/(1−x) + A·(G_max − G(h(stream, n)) + ln(cap_max/cap_n)) + C·(price_n − price_min) + P·[isp differs]`,
//! only nodes with x < 1; the last two are off unless configured, see [`crate::schedule::terms`].
//!
//! **Exact, and fast by bounds.** All terms are ≥ 0, so once a group's distance reaches the best score nothing
//! farther can win. Within a group nodes stand in order of affinity, so distance + affinity only grows; and the ledger
//! keeps a lower bound of each node's congestion price, sixteen to a cache line. The exact pressure is worked out
//! for nodes that could still win: mostly one or two a group. The best of each group makes the ranked list, so
//! **fallbacks from other PoPs come out of the same scan**. [`super::Plain`] is the same rule without bounds.
//!
//! Where C follows a distance budget, the best node without the price term comes out of the same scan too: its
//! score is never above the best score, so the walk need not go on for it.

use arrayvec::ArrayVec;

use super::Policy;
use crate::schedule::node::NodeIndex;
use crate::schedule::price;
use crate::schedule::scene::{MOST_PICKS, Picks, Scene, Visit};

/// Nodes looked at before the scan gives up on fallbacks: the first choice is exact all the same.
const ENOUGH: usize = 400;

/// Distance, price and affinity.
#[derive(Clone, Copy, Debug)]
pub struct Priced;

#[derive(Clone, Copy, Debug)]
struct Scored {
    score: f32,
    km: f32,
    node: NodeIndex,
    x: f32,
}

/// The best nodes so far, one of each group, best first.
#[derive(Debug)]
struct Best {
    list: ArrayVec<Scored, MOST_PICKS>,
    count: usize,
    unpriced: Unpriced,
}

/// The best score there is without the price term, and how far that node is.
#[derive(Clone, Copy, Debug)]
struct Unpriced {
    /// −∞ where nobody minds, so that nothing beats it.
    score: f32,
    km: f32,
}

// === impl Priced ===

impl Policy for Priced {
    fn rank(&self, scene: &Scene<'_>, picks: &mut Picks) {
        self.rank_with_detour(scene, picks);
    }
}

impl Priced {
    /// Ranks, and returns how much farther prices took the first node, km; `None`: nobody minds.
    pub(super) fn rank_with_detour(self, scene: &Scene<'_>, picks: &mut Picks) -> Option<f32> {
        let unpriced = if scene.minds_detour { f32::INFINITY } else { f32::NEG_INFINITY };
        let mut best = Best {
            list: ArrayVec::new(),
            count: scene.ask.count.clamp(1, MOST_PICKS),
            unpriced: Unpriced { score: unpriced, km: 0.0 },
        };
        let mut looked = 0;
        for visit in scene.walk() {
            if visit.at_least_km >= best.settled_at()
                || (looked > ENOUGH && visit.at_least_km >= best.first())
            {
                break;
            }
            if scene.is_shut(visit.group) || scene.avoids(visit.group.pop) {
                continue;
            }
            let bound = best.worth_beating();
            if let Some(scored) = best_of_group(scene, &visit, bound, &mut best.unpriced, &mut looked) {
                best.insert(scored);
            }
        }
        picks.extend(best.list.iter().map(|scored| scene.pick(scored.node, scored.x)));
        let chosen = best.list.first().filter(|_| scene.minds_detour)?;
        Some(chosen.km - best.unpriced.km)
    }
}

/// The best node of a group, if it beats `bound`.
fn best_of_group(
    scene: &Scene<'_>,
    visit: &Visit<'_>,
    bound: f32,
    unpriced: &mut Unpriced,
    looked: &mut usize,
) -> Option<Scored> {
    let km = visit.km_or_unplaced();
    let mut best: Option<Scored> = None;
    let mut bound = bound;
    for (node, term) in scene.pool.affinity.of(scene.ask.bucket, visit.group) {
        let fixed = km + scene.ask.affinity_km * term;
        if fixed >= bound {
            break;
        }
        *looked += 1;
        let terms = scene.terms(node);
        let fixed = fixed + terms.isp;
        if scene.has_bounds {
            let at_least = fixed + scene.ledger.price(node);
            if at_least + terms.price >= bound && at_least >= unpriced.score {
                continue;
            }
        }
        let Some(x) = scene.fit(node) else { continue };
        let without_price = fixed + price::congestion(scene.ledger.congestion_km(), x);
        if without_price < unpriced.score {
            *unpriced = Unpriced { score: without_price, km };
        }
        let score = without_price + terms.price;
        if score < bound {
            bound = score;
            best = Some(Scored { score, km, node, x });
        }
    }
    best
}

// === impl Best ===

impl Best {
    /// The best score so far.
    fn first(&self) -> f32 {
        self.list.first().map_or(f32::INFINITY, |best| best.score)
    }

    /// No group from this distance on can change the list: it is full, and the first is nearer than that. (The
    /// others are the best of the groups looked at, which is what a fallback needs to be.)
    fn settled_at(&self) -> f32 {
        if self.list.len() >= self.count { self.first() } else { f32::INFINITY }
    }

    /// What a node must score to get into the list at all.
    fn worth_beating(&self) -> f32 {
        if self.list.len() >= self.count {
            self.list.last().map_or(f32::INFINITY, |last| last.score)
        } else {
            f32::INFINITY
        }
    }

    fn insert(&mut self, scored: Scored) {
        let at = self.list.partition_point(|other| other.score <= scored.score);
        if self.list.len() >= self.count {
            self.list.pop();
        }
        self.list.insert(at, scored);
    }
}
