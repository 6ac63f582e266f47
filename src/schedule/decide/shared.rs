//! An answer that is kept and given to many: by DNS.
//!
//! One viewer more is no test for it: whoever is named has to take a crowd. So a node fits if the whole crowd fits, under
//! a lower limit, because the crowd may be larger than it looks. All that are named are the best by score, not the best of
//! a PoP each: they are no fallbacks, clients take any of them. Each is booked its part.
//!
//! A fleet of small nodes may have none that takes a whole crowd, though there is room for it: then it is enough that
//! each takes its part, under the lower limit and at last under that of everybody. Only then nothing fits.

use arrayvec::ArrayVec;

use super::{Decision, Outcome, consider, spilled};
use crate::schedule::booking::{Ledger, Party};
use crate::schedule::fleet::Fleet;
use crate::schedule::node::NodeIndex;
use crate::schedule::policy::{self, PolicyKind};
use crate::schedule::recursors::Crowd;
use crate::schedule::scene::{Ask, MOST_PICKS, Picks, Scene};

/// τ over θ: .75 of a capacity where everybody's limit is .80 of it.
const LIMIT: f32 = 0.75 / 0.80;

/// Decides for a crowd, and books it.
#[must_use]
pub fn decide_shared(fleet: &Fleet, ledger: &Ledger, ask: &Ask<'_>, crowd: &Crowd) -> Decision {
    let decision = consider_shared(fleet, ledger, ask, crowd);
    let party = Party {
        viewers: crowd.viewers / count(decision.picks.len()),
        factor: ledger.crowd_factor(),
        kbps: ask.kbps,
        // The first comes as who asks for itself does, the last when the answer's life is over.
        later_ms: 500 * u64::from(crowd.ttl_s),
    };
    for pick in &decision.picks {
        ledger.book_party(pick.node, party, ask.now);
    }
    decision
}

/// Decides for a crowd and books nothing.
#[must_use]
pub fn consider_shared(fleet: &Fleet, ledger: &Ledger, ask: &Ask<'_>, crowd: &Crowd) -> Decision {
    let viewers = crowd.viewers * ledger.crowd_factor() * ledger.kappa();
    let (whole, part) = (kbps_of(ask, viewers), kbps_of(ask, viewers / count(crowd.count)));
    for (kbps, limit) in [(whole, LIMIT), (part, LIMIT), (part, 1.0)] {
        let decision = best(fleet, ledger, &Ask { kbps, count: crowd.count, ..*ask }, limit);
        if !decision.picks.is_empty() {
            return decision;
        }
    }
    consider(fleet, ledger, &Ask { kbps: part, count: crowd.count, ..*ask })
}

/// The best nodes for an ask, as many as it says: by one scan, if the policy knows how, else one after the other.
fn best(fleet: &Fleet, ledger: &Ledger, ask: &Ask<'_>, limit: f32) -> Decision {
    if ask.policy != PolicyKind::Priced || ask.client.is_none() {
        return one_by_one(fleet, ledger, ask, limit);
    }
    let scene = Scene::new(fleet, ledger, ask).under(limit).together();
    let mut picks = Picks::new();
    policy::rank(&scene, &mut picks);
    let spilled = spilled(&scene, &picks);
    Decision { outcome: Outcome::Fit, picks, spilled, detour_km: None }
}

fn one_by_one(fleet: &Fleet, ledger: &Ledger, ask: &Ask<'_>, limit: f32) -> Decision {
    let mut named: ArrayVec<NodeIndex, MOST_PICKS> = ArrayVec::new();
    let mut best = Decision { outcome: Outcome::Fit, picks: Picks::new(), spilled: false, detour_km: None };
    while named.len() < ask.count.min(MOST_PICKS) {
        let ask = Ask { tried: &named, count: 1, ..*ask };
        let scene = Scene::new(fleet, ledger, &ask).under(limit);
        let mut next = Picks::new();
        policy::rank(&scene, &mut next);
        let Some(pick) = next.first() else { break };
        if named.is_empty() {
            best.spilled = spilled(&scene, &next);
        }
        best.picks.push(*pick);
        named.push(pick.node);
    }
    best
}

/// What so many viewers need, kbit/s, and at least what one does.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn kbps_of(ask: &Ask<'_>, viewers: f32) -> u32 {
    ((f64::from(ask.kbps) * f64::from(viewers)) as u32).max(ask.kbps)
}

#[expect(clippy::cast_precision_loss, reason = "at most eight")]
fn count(picks: usize) -> f32 {
    picks.max(1) as f32
}
