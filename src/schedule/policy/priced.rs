//! The least of distance + congestion price + affinity, all in km, among nodes that fit.
//!
//! `score(n) = d + L·x/(1−x) + A·(G_max − G(h(stream, n)) + ln(cap_max/cap_n)) + C·(price_n − price_min) + P·[isp differs]`,
//! only nodes with x < 1; the last two are off unless configured, see [`crate::schedule::terms`].
//!
//! **Exact, and fast by bounds.** All terms are ≥ 0, so once a group's distance reaches the best score nothing
//! farther can win. Within a group nodes stand in order of affinity, so distance + affinity only grows; and the ledger
//! keeps a lower bound of each node's pressure, sixteen to a cache line. Distances come in three grains, each a lower
//! bound of the next: from the cell's list, by the chord, and exactly; together with the group's lowest affinity term
//! the first two pass most groups over. The exact pressure is worked out for nodes that could still win: mostly one
//! or two a group. The best of each group makes the ranked list, so
//! **fallbacks from other PoPs come out of the same scan**. [`super::Plain`] is the same rule without bounds.
//!
//! Where C follows a distance budget, the best node without the price term comes out of the same scan too: its
//! score is never above the best score, so the walk need not go on for it.

use arrayvec::ArrayVec;

use super::Policy;
use crate::schedule::node::NodeIndex;
use crate::schedule::scene::{MOST_PICKS, Pick, Picks, Scene};
use crate::schedule::walk::{Visit, Walk};

/// Nodes looked at before the scan gives up on fallbacks: the first choice is exact all the same.
const ENOUGH: usize = 400;

/// Groups looked at together. Their distances and affinities are in memory far apart, and the processor waits for all
/// of them at once; then the most promising one goes first, so that most others need no look at their nodes.
const CHUNK: usize = 4;

/// Distance, price and affinity.
#[derive(Clone, Copy, Debug)]
pub struct Priced;

#[derive(Clone, Copy, Debug)]
struct Scored {
    score: f32,
    km: f32,
    pick: Pick,
}

/// Some groups of the walk.
#[derive(Debug)]
struct Chunk<'a> {
    visits: ArrayVec<Visit<'a>, CHUNK>,
    /// What no node of each can score less than, km; ∞: it has been taken, or there is none.
    at_least: [f32; CHUNK],
}

/// The best nodes so far, one of each group unless all are wanted together, best first.
#[derive(Debug)]
struct Best {
    list: ArrayVec<Scored, MOST_PICKS>,
    count: usize,
    unpriced: Unpriced,
    together: bool,
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
            together: scene.together,
        };
        let mut looked = 0;
        let mut walk = scene.walk();
        let mut near = Chunk { visits: ArrayVec::new(), at_least: [f32::INFINITY; CHUNK] };
        while near.fill(scene, &mut walk, &best, looked) {
            while let Some(visit) = near.take_below(best.bound()) {
                if scene.together {
                    all_of_group(scene, visit, &mut best);
                    continue;
                }
                let bound = best.bound();
                if let Some(scored) = best_of_group(scene, visit, bound, &mut best.unpriced, &mut looked) {
                    best.insert(scored);
                }
            }
        }
        picks.extend(best.list.iter().map(|scored| scored.pick));
        let chosen = best.list.first().filter(|_| scene.minds_detour)?;
        Some(chosen.km - best.unpriced.km)
    }
}

// === impl Chunk ===

impl<'a> Chunk<'a> {
    /// Takes the next groups of the walk that may have room; `false`: nothing farther can win.
    fn fill(&mut self, scene: &Scene<'a>, walk: &mut Walk<'a>, best: &Best, looked: usize) -> bool {
        self.visits.clear();
        self.at_least = [f32::INFINITY; CHUNK];
        let settled = if looked > ENOUGH && !best.together { best.first() } else { best.bound() };
        for visit in walk.by_ref() {
            if visit.at_least_km >= settled {
                break;
            }
            if scene.is_shut(visit.group) || scene.avoids(visit.group.pop) {
                continue;
            }
            let affinity = scene.ask.affinity_km * scene.pool.affinity.lead(scene.ask.bucket, visit.group);
            self.at_least[self.visits.len()] = scene.chord_km_to(&visit) + affinity;
            self.visits.push(visit);
            if self.visits.is_full() {
                break;
            }
        }
        !self.visits.is_empty()
    }

    /// The most promising group, taken out, if it may score below `bound`.
    fn take_below(&mut self, bound: f32) -> Option<&Visit<'a>> {
        // Written so that it compiles to a few instructions on all of them at once.
        let least = self.at_least.iter().fold(f32::INFINITY, |a, b| if *b < a { *b } else { a });
        if least >= bound {
            return None;
        }
        let place = self.at_least.iter().position(|at_least| *at_least == least)?;
        self.at_least[place] = f32::INFINITY;
        self.visits.get(place)
    }
}

/// All nodes of a group that are among the best.
fn all_of_group(scene: &Scene<'_>, visit: &Visit<'_>, best: &mut Best) {
    let distance_km = scene.map_km_to(visit);
    let km = scene.counted_or_unplaced_km(visit, distance_km);
    let mut wanted = scene.pool.affinity.of(scene.ask.bucket, visit.group);
    while let Some(term) = wanted.next_term() {
        let fixed = km + scene.ask.affinity_km * term;
        let bound = best.bound();
        if fixed >= bound {
            break;
        }
        let Some((node, _)) = wanted.next() else { break };
        let mut one = Candidates { scene, km, distance_km, best: None, bound };
        one.weigh(node, fixed, &mut best.unpriced);
        if let Some(scored) = one.best {
            best.insert(scored);
        }
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
    let distance_km = scene.map_km_to(visit);
    let km = scene.counted_or_unplaced_km(visit, distance_km);
    let mut group = Candidates { scene, km, distance_km, best: None, bound };
    let promising = group.most_promising(visit, looked);
    if let Some(node) = promising.node {
        group.weigh(node, promising.fixed_km, unpriced);
    }
    if promising.others_at_least >= group.bound && !scene.minds_detour {
        return group.best;
    }
    let mut wanted = scene.pool.affinity.of(scene.ask.bucket, visit.group);
    while let Some(term) = wanted.next_term() {
        let fixed = km + scene.ask.affinity_km * term;
        if fixed >= group.bound {
            break;
        }
        let Some((node, _)) = wanted.next() else { break };
        if promising.node != Some(node) {
            group.weigh(node, fixed, unpriced);
        }
    }
    group.best
}

/// The nodes of one group.
struct Candidates<'s, 'a> {
    scene: &'s Scene<'a>,
    km: f32,
    distance_km: Option<f32>,
    best: Option<Scored>,
    /// What must be beaten.
    bound: f32,
}

/// The node of a group that may score lowest.
struct Promising {
    /// `None`: none may beat the bound.
    node: Option<NodeIndex>,
    /// Its distance and affinity, km.
    fixed_km: f32,
    /// What no other one can score less than, km.
    others_at_least: f32,
}

// === impl Candidates ===

impl Candidates<'_, '_> {
    /// The node with the lowest bound: mostly the best one, and then no other line of the group has to be read.
    fn most_promising(&self, visit: &Visit<'_>, looked: &mut usize) -> Promising {
        let scene = self.scene;
        let mut found = Promising { node: None, fixed_km: 0.0, others_at_least: f32::INFINITY };
        let mut least = self.bound;
        let mut wanted = scene.pool.affinity.of(scene.ask.bucket, visit.group);
        while let Some(term) = wanted.next_term() {
            let fixed = self.km + scene.ask.affinity_km * term;
            if fixed >= least {
                found.others_at_least = found.others_at_least.min(fixed);
                break;
            }
            let Some((node, _)) = wanted.next() else { break };
            *looked += 1;
            let congestion = if scene.has_bounds { self.at_least_congestion(node) } else { 0.0 };
            let at_least = fixed + scene.terms(node).sum() + congestion;
            if at_least < least {
                let others = if found.node.is_some() { least } else { f32::INFINITY };
                found = Promising {
                    node: Some(node),
                    fixed_km: fixed,
                    others_at_least: others.min(found.others_at_least),
                };
                least = at_least;
            } else {
                found.others_at_least = found.others_at_least.min(at_least);
            }
        }
        found
    }

    fn at_least_congestion(&self, node: NodeIndex) -> f32 {
        self.scene.congestion_km(self.scene.ledger.bounds().eligible(node))
    }

    /// Looks at one node; `fixed` is its distance and affinity, km.
    fn weigh(&mut self, node: NodeIndex, fixed: f32, unpriced: &mut Unpriced) {
        let scene = self.scene;
        let terms = scene.terms(node);
        let fixed = fixed + terms.isp;
        if scene.has_bounds {
            let at_least = fixed + self.at_least_congestion(node);
            if at_least + terms.price >= self.bound && at_least >= unpriced.score {
                return;
            }
        }
        let Some(x) = scene.fit(node) else { return };
        let without_price = fixed + scene.congestion_km(x);
        if without_price < unpriced.score {
            *unpriced = Unpriced { score: without_price, km: self.km };
        }
        let score = without_price + terms.price;
        if score < self.bound {
            self.bound = score;
            let pick = Pick { node, distance_km: self.distance_km, pressure: x };
            self.best = Some(Scored { score, km: self.km, pick });
        }
    }
}

// === impl Best ===

impl Best {
    /// The best score so far.
    fn first(&self) -> f32 {
        self.list.first().map_or(f32::INFINITY, |best| best.score)
    }

    /// What must be beaten to change the list: nothing while that is short, then the first. (The others are the best
    /// of the most promising groups, which is what a fallback needs to be; where all are wanted together it is the last.)
    fn bound(&self) -> f32 {
        match self.list.last() {
            Some(last) if self.list.len() >= self.count => {
                if self.together {
                    last.score
                } else {
                    self.first()
                }
            }
            _ => f32::INFINITY,
        }
    }

    fn insert(&mut self, scored: Scored) {
        if self.list.len() >= self.count {
            self.list.pop();
        }
        self.list.push(scored);
        // It goes before all that are worse; the list is short.
        let mut at = self.list.len() - 1;
        while at > 0 && self.list[at - 1].score > scored.score {
            self.list.swap(at - 1, at);
            at -= 1;
        }
    }
}
