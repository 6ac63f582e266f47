//! Decide: a question becomes a ranked list, and its first node is booked.
//!
//! Stages, each only when the one before found nothing:
//! 1. nodes that fit, ranked by the policy;
//! 2. nodes that nothing is known of yet (a new pool, a fresh start): distance and capacity alone;
//! 3. nothing fits: the priced rule with the limits relaxed from .80 to .84, .88, .93 and 1.0, the lowest tier that
//!    anything fits; then the least pressed of the 64 nearest — `degraded`;
//! 4. nobody answers anywhere: the nearest all the same. An empty answer helps no viewer.
//!
//! What a pool's `on_overload` makes of stages 3 and 4 is the caller's business.

mod shared;

use arrayvec::ArrayVec;

pub use self::shared::{consider_shared, decide_shared};
use super::booking::{Ledger, TIERS, status};
use super::fleet::{Fleet, Group};
use super::node::NodeIndex;
use super::place::HALF_EARTH_KM;
use super::policy::{self, Policy, Priced, Random};
use super::scene::{Ask, Family, MOST_PICKS, Pick, Picks, Scene};

/// Nodes looked at when nothing fits.
const PANIC_NODES: usize = 64;
/// What a km is worth in pressure when nothing fits: half the earth is half a full node.
const PANIC_KM_PER_PRESSURE: f64 = 2.0 * HALF_EARTH_KM;
/// A stale node's pressure is taken to be at least this …
const STALE_PRESSURE: f32 = 0.94;
/// … and this on top.
const STALE_HANDICAP: f32 = 0.25;

/// How good an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first node fits.
    Fit,
    /// The client stays where it is; nothing was booked.
    Current,
    /// Nothing has been measured yet: distance and capacity alone.
    Starting,
    /// Nothing fits.
    Overloaded,
    /// Nobody answers our probes.
    Silent,
    /// The pool has no node that the asker could use.
    Empty,
}

/// A ranked answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// How good it is.
    pub outcome: Outcome,
    /// Best first.
    pub picks: Picks,
    /// A nearer node was passed over because it does not fit.
    pub spilled: bool,
    /// How much farther the first node is than it would be without prices, km; `None`: prices do not count, or
    /// nobody asks.
    pub detour_km: Option<f32>,
}

/// Decides and books.
#[must_use]
pub fn decide(fleet: &Fleet, ledger: &Ledger, ask: &Ask<'_>) -> Decision {
    let decision = consider(fleet, ledger, ask);
    if let (Some(first), true) = (decision.picks.first(), decision.outcome != Outcome::Current) {
        ledger.book(first.node, ask.kbps, ask.now);
        if let Some(detour_km) = decision.detour_km {
            ledger.price_term().observe(detour_km);
        }
    }
    decision
}

/// Decides and books nothing: for explanations.
#[must_use]
pub fn consider(fleet: &Fleet, ledger: &Ledger, ask: &Ask<'_>) -> Decision {
    let scene = Scene::new(fleet, ledger, ask);
    let mut picks = Picks::new();
    if let Some(stay) = stay(&scene) {
        picks.push(scene.pick(stay.0, stay.1));
        fill(&scene, &mut picks);
        return Decision { outcome: Outcome::Current, picks, spilled: false, detour_km: None };
    }
    let lowest_tier = ledger.bounds().lowest_tier(ask.pool);
    let detour_km = match lowest_tier {
        Some(0) => policy::rank(&scene, &mut picks),
        _ => None,
    };
    if !picks.is_empty() {
        fill(&scene, &mut picks);
        let spilled = spilled(&scene, &picks);
        return Decision { outcome: Outcome::Fit, picks, spilled, detour_km };
    }
    let starting = scene.with_unfit(scene.unfit & !status::STARTING);
    if ledger.some_starting() {
        policy::rank(&starting, &mut picks);
    }
    if !picks.is_empty() {
        fill(&starting, &mut picks);
        return Decision { outcome: Outcome::Starting, picks, spilled: false, detour_km: None };
    }
    relaxed(&scene, lowest_tier, &mut picks);
    if !picks.is_empty() {
        return Decision { outcome: Outcome::Overloaded, picks, spilled: true, detour_km: None };
    }
    for (unfit, outcome) in [
        (status::DOWN | status::DRAINING, Outcome::Overloaded),
        (status::DRAINING, Outcome::Silent),
        (0, Outcome::Silent),
    ] {
        least_pressed_near(&scene.with_unfit(unfit), &mut picks);
        if !picks.is_empty() {
            return Decision { outcome, picks, spilled: true, detour_km: None };
        }
    }
    Decision { outcome: Outcome::Empty, picks, spilled: false, detour_km: None }
}

/// The node where the client already is, if it may stay: it is one of the pool, nothing speaks against it, and
/// it is not over its limit (or the client stays regardless). It needs no room, because its viewer is in its load already.
fn stay(scene: &Scene<'_>) -> Option<(NodeIndex, f32)> {
    let current = scene.ask.current?;
    if !scene.pool.members.contains(&current.0) || scene.avoids(scene.fleet.pop_of(current)) {
        return None;
    }
    let scene = if scene.ask.stays { scene.with_unfit(status::DOWN | status::DRAINING) } else { *scene };
    scene.admissible(current)?;
    let x = scene.ledger.pressure(current, 0.0);
    (x < 1.0 || scene.ask.stays).then_some((current, x))
}

/// Fallbacks up to the number asked for: the best node of each further PoP, outwards; if PoPs run out,
/// further nodes of any.
fn fill(scene: &Scene<'_>, picks: &mut Picks) {
    let count = scene.ask.count.min(MOST_PICKS);
    if picks.len() >= count {
        return;
    }
    for visit in scene.walk() {
        if picks.iter().any(|pick| scene.fleet.pop_of(pick.node) == visit.group.pop) {
            continue;
        }
        if let Some((node, x)) = scene.best_of(visit.group) {
            picks.push(scene.pick(node, x));
            if picks.len() >= count {
                return;
            }
        }
    }
    for visit in scene.walk() {
        if scene.avoids(visit.group.pop) {
            continue;
        }
        for node in visit.group.nodes() {
            if picks.iter().any(|pick| pick.node == node) {
                continue;
            }
            if let Some(x) = scene.fit(node) {
                picks.push(scene.pick(node, x));
                if picks.len() >= count {
                    return;
                }
            }
        }
    }
}

/// Whether a nearer PoP has nobody who fits. Avoided PoPs do not count: the client asked to pass them over.
fn spilled(scene: &Scene<'_>, picks: &Picks) -> bool {
    let Some((chosen, chosen_km)) = picks.first().and_then(|pick| Some((pick.node, scene.reach_km(pick)?)))
    else {
        return false;
    };
    let site = scene.fleet.pop_of(chosen);
    scene
        .walk()
        .take_while(|visit| visit.at_least_km < chosen_km)
        .filter(|visit| visit.group.pop != site && scene.chord_km_to(visit) < chosen_km)
        .filter(|visit| !scene.avoids(visit.group.pop) && is_full(scene, visit.group))
        .any(|visit| scene.km_to(&visit).is_some_and(|km| km < chosen_km))
}

/// Whether no node of a group has room for this viewer. One that has ends the look.
fn is_full(scene: &Scene<'_>, group: &Group) -> bool {
    scene.is_shut(group) || group.nodes().all(|node| scene.fit(node).is_none())
}

/// The priced rule under the lowest relaxed limit that anything fits. A cliff at the limit would send everybody to
/// one least pressed node; this fills all of them evenly a little further. A client without a place is spread.
fn relaxed(scene: &Scene<'_>, lowest_tier: Option<usize>, picks: &mut Picks) {
    // The bound of tier 0 has been tried; what it promised may not have held with this viewer on it.
    let Some(from) = lowest_tier.map(|tier| tier.max(1)) else { return };
    for tier in from..TIERS.len() {
        let scene = scene.at_tier(tier);
        match scene.client_is_known() {
            true => Priced.rank(&scene, picks),
            false => Random.rank(&scene, picks),
        }
        if !picks.is_empty() {
            fill(&scene, picks);
            return;
        }
    }
}

/// The least pressed of the nodes nearby, a km counting a little.
fn least_pressed_near(scene: &Scene<'_>, picks: &mut Picks) {
    let count = scene.ask.count.clamp(1, MOST_PICKS);
    // Eligible by the ledger's stricter rule is admissible by this one, without a look at the line.
    let ask = scene.ask;
    let bounds_tell = ask.family == Family::Both && ask.ways == 0 && ask.tried.is_empty();
    let mut best: ArrayVec<(f32, Pick), MOST_PICKS> = ArrayVec::new();
    let mut seen = 0;
    for visit in scene.walk().filter(|visit| !scene.avoids(visit.group.pop)) {
        let nearest =
            handicap(scene.is_placed(&visit).then(|| scene.chord_km_to(&visit).max(visit.at_least_km)));
        let mut distance = None;
        for node in visit.group.nodes() {
            if seen == PANIC_NODES {
                break;
            }
            let worst = if best.len() < count { f32::INFINITY } else { best[count - 1].0 };
            let least = scene.ledger.bounds().eligible(node);
            if bounds_tell && least.is_finite() && least + nearest >= worst {
                seen += 1;
                continue;
            }
            let Some(x) = scene.admissible(node) else { continue };
            seen += 1;
            let known = match scene.ledger.line(node).is(status::STALE) {
                true => x.max(STALE_PRESSURE) + STALE_HANDICAP,
                false => x,
            };
            let distance_km = *distance.get_or_insert_with(|| scene.map_km_to(&visit));
            let badness = known + handicap(distance_km.map(|km| scene.counted_km(&visit, km)));
            if badness < worst {
                best.truncate(count - 1);
                let at = best.partition_point(|(other, _)| *other <= badness);
                best.insert(at, (badness, Pick { node, distance_km, pressure: x }));
            }
        }
        if seen == PANIC_NODES {
            break;
        }
    }
    picks.extend(best.into_iter().map(|(_, pick)| pick));
}

#[expect(clippy::cast_possible_truncation, reason = "a pressure needs three digits")]
fn handicap(km: Option<f32>) -> f32 {
    (f64::from(km.unwrap_or(0.0)) / PANIC_KM_PER_PRESSURE) as f32
}

#[cfg(test)]
mod tests;
