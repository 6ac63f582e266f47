//! Preview: where a node's viewers would go if it were drained.
//!
//! The answers that sent viewers to the node say where they ask from. They are decided again on a copy of the
//! ledger in which the node is drained; nothing real is booked. What the node sends now is spread over them in
//! proportion to their bitrates, in pieces of one viewer, so that a node fills up as it would: each answer is
//! decided as often as its share of the egress has viewers.

use super::affinity::Bucket;
use super::booking::Ledger;
use super::decide::{Decision, Outcome, consider};
use super::fleet::{DomainIndex, Fleet, OnOverload};
use super::isp::IspId;
use super::node::NodeIndex;
use super::place::Location;
use super::reading::Moment;
use super::scene::{Ask, Family, Scene};

/// Decisions at most, some 10 ms: beyond it pieces are larger than one viewer.
const MOST_DECISIONS: usize = 20_000;
/// A replica that sees less than this share of the viewers is taken to see this one.
const LEAST_KAPPA: f32 = 0.01;

/// A question that was answered with the node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// For what.
    pub domain: DomainIndex,
    /// From where, roughly; `None`: nobody knows.
    pub place: Option<Location>,
    /// On whose line.
    pub isp: Option<IspId>,
    /// Which addresses the asker could use.
    pub family: Family,
    /// Which nodes its stream sticks to.
    pub bucket: Bucket,
    /// What it needs, kbit/s.
    pub kbps: u32,
}

/// The node that is to go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leaving {
    /// Which.
    pub node: NodeIndex,
    /// What it sends, Mbit/s; `None`: nothing is measured, and the answers' own bitrates are moved.
    pub egress_mbps: Option<f64>,
    /// A: how far a stream may be carried to stay on its node, km.
    pub affinity_km: f32,
    /// Now.
    pub now: Moment,
}

/// What would become of its viewers.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Answers decided again.
    pub answers: usize,
    /// How often: each answer the same number of times.
    pub decisions: usize,
    /// Egress that was moved, Mbit/s.
    pub egress_mbps: f64,
    /// Who takes them, most first.
    pub takers: Vec<Taker>,
    /// Decisions that found no node with room.
    pub degraded: usize,
    /// Of those, decisions that found no node at all: the pool refuses, or there is none.
    pub refused: usize,
    /// How much farther the new node is, mean, km; `None`: no place is known.
    pub extra_km: Option<f64>,
}

/// A node that would take some.
#[derive(Clone, Debug, PartialEq)]
pub struct Taker {
    /// Which.
    pub node: NodeIndex,
    /// Decisions that it won.
    pub decisions: usize,
    /// Egress that it takes, Mbit/s.
    pub mbps: f64,
    /// How much farther it is, mean, km; `None`: no place is known.
    pub extra_km: Option<f64>,
    /// Its pressure now …
    pub pressure_now: f32,
    /// … and with what it takes.
    pub pressure_after: f32,
}

/// A mean in the making.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: usize,
}

/// What one node, or all of them, has got so far.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    decisions: usize,
    mbps: f64,
    extra_km: Mean,
}

/// Decides again without a node.
#[must_use]
pub fn without(fleet: &Fleet, ledger: &Ledger, leaving: Leaving, asked: &[Asked]) -> Preview {
    let trial = ledger.copy_without(fleet, leaving.node);
    let own_mbps: f64 = asked.iter().map(|asked| mbps(asked.kbps)).sum();
    let egress_mbps = leaving.egress_mbps.unwrap_or(own_mbps);
    let rounds = rounds(asked.len(), egress_mbps, own_mbps);
    // What one decision moves for each Mbit/s of its answer.
    let weight = if own_mbps > 0.0 { egress_mbps / own_mbps / precise(rounds) } else { 0.0 };
    let mut tallies = vec![Tally::default(); fleet.nodes.len()];
    let (mut all, mut degraded, mut refused) = (Mean::default(), 0, 0);
    for turn in 0..rounds * asked.len() {
        let viewer = &asked[turn % asked.len()];
        let piece = mbps(viewer.kbps) * weight;
        let ask = ask(fleet, leaving, viewer, piece, turn as u64);
        let decision = decided(fleet, &trial, &ask);
        degraded += usize::from(decision.as_ref().is_none_or(|decision| nothing_fits(decision.outcome)));
        let first = decision.and_then(|decision| decision.picks.first().copied());
        let Some(pick) = first.filter(|pick| pick.node != leaving.node) else {
            refused += 1;
            continue;
        };
        // Bookings count κ times, for the other replicas' viewers; all of the node's viewers are in its egress.
        trial.book(pick.node, kbps(piece / f64::from(trial.kappa().max(LEAST_KAPPA))), leaving.now);
        let before_km = Scene::new(fleet, &trial, &ask).pick(leaving.node, 0.0).distance_km;
        let extra_km = pick.distance_km.zip(before_km).map(|(after, before)| f64::from(after - before));
        tallies[pick.node.get()].add(piece, extra_km);
        all.add(extra_km);
    }
    Preview {
        answers: asked.len(),
        decisions: rounds * asked.len(),
        egress_mbps,
        takers: takers(ledger, &trial, &tallies),
        degraded,
        refused,
        extra_km: all.value(),
    }
}

/// How often each answer is decided, so that a decision moves about one viewer.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, clamped at once")]
fn rounds(answers: usize, egress_mbps: f64, own_mbps: f64) -> usize {
    if answers == 0 || own_mbps <= 0.0 {
        return usize::from(answers > 0);
    }
    let wanted = (egress_mbps / own_mbps).ceil() as usize;
    wanted.clamp(1, (MOST_DECISIONS / answers).max(1))
}

fn ask(fleet: &Fleet, leaving: Leaving, viewer: &Asked, piece_mbps: f64, ticket: u64) -> Ask<'static> {
    let domain = &fleet.domains[usize::from(viewer.domain.0)];
    Ask {
        pool: domain.pool,
        policy: domain.policy,
        client: viewer.place,
        kbps: viewer.kbps.max(kbps(piece_mbps)),
        family: viewer.family,
        avoid: &[],
        tried: &[],
        ways: 0,
        current: None,
        stays: false,
        count: 1,
        isp: viewer.isp,
        bucket: viewer.bucket,
        affinity_km: leaving.affinity_km,
        ticket,
        rtt: None,
        now: leaving.now,
    }
}

/// What the pool would answer, its `on_overload` minded; `None`: it refuses.
fn decided(fleet: &Fleet, trial: &Ledger, ask: &Ask<'_>) -> Option<Decision> {
    let pool = fleet.pool(ask.pool);
    let decision = consider(fleet, trial, ask);
    if pool.on_overload == OnOverload::Serve || !nothing_fits(decision.outcome) {
        return Some(decision);
    }
    pool.fallback.map(|pool| consider(fleet, trial, &Ask { pool, ..*ask }))
}

fn nothing_fits(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Overloaded | Outcome::Silent | Outcome::Empty)
}

fn takers(ledger: &Ledger, trial: &Ledger, tallies: &[Tally]) -> Vec<Taker> {
    let won = (0u32..).map(NodeIndex).zip(tallies).filter(|(_, tally)| tally.decisions > 0);
    let mut takers: Vec<Taker> = won
        .map(|(node, tally)| Taker {
            node,
            decisions: tally.decisions,
            mbps: tally.mbps,
            extra_km: tally.extra_km.value(),
            pressure_now: ledger.pressure(node, 0.0),
            pressure_after: trial.pressure(node, 0.0),
        })
        .collect();
    takers.sort_by_key(|taker| std::cmp::Reverse(taker.decisions));
    takers
}

fn mbps(kbps: u32) -> f64 {
    f64::from(kbps) / 1_000.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, which is right"
)]
fn kbps(mbps: f64) -> u32 {
    (mbps * 1_000.0).round() as u32
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn precise(count: usize) -> f64 {
    count as f64
}

// === impl Preview ===

impl Preview {
    /// Where so many viewers go: one count for each taker, and the refused, who are the rest.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not more than the viewers")]
    pub fn shared_out(&self, viewers: u64) -> (Vec<u64>, u64) {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let per_decision = viewers as f64 / precise(self.decisions.max(1));
        let (mut decisions, mut given) = (0, 0);
        let counts = self.takers.iter().map(|taker| {
            decisions += taker.decisions;
            let until_here = (precise(decisions) * per_decision).round() as u64;
            until_here - std::mem::replace(&mut given, until_here)
        });
        let counts = counts.collect();
        (counts, viewers.saturating_sub(given))
    }

    /// Share of the decisions that found no node with room.
    #[must_use]
    pub fn degraded_share(&self) -> f64 {
        precise(self.degraded) / precise(self.decisions.max(1))
    }

    /// The whole in one sentence. `viewers`: how many were sent to the node in the last minute.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not more than the viewers")]
    pub fn verdict(&self, viewers: u64) -> String {
        if self.answers == 0 {
            return "nobody was sent here in the last minute, so there is nothing to decide again".to_owned();
        }
        let its = match viewers {
            1 => "its one viewer of the last minute".to_owned(),
            _ => format!("its {viewers} viewers of the last minute"),
        };
        if self.degraded == self.decisions {
            return format!("{its} would find no node with room");
        }
        let nodes = match self.takers.len() {
            1 => "1 node".to_owned(),
            nodes => format!("{nodes} nodes"),
        };
        let farther = self.extra_km.map(|km| format!(", {km:+.0} km on average")).unwrap_or_default();
        if self.degraded == 0 {
            let fit = if viewers == 1 { "fits" } else { "fit" };
            return format!("{its} {fit} on {nodes}{farther}");
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let homeless = (viewers as f64 * self.degraded_share()).ceil() as u64;
        format!("of {its}, {homeless} would find no node with room; they would go to {nodes}{farther}")
    }
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, mbps: f64, extra_km: Option<f64>) {
        self.decisions += 1;
        self.mbps += mbps;
        self.extra_km.add(extra_km);
    }
}

// === impl Mean ===

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        self.sum += value.unwrap_or(0.0);
        self.count += usize::from(value.is_some());
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / precise(self.count))
    }
}

#[cfg(test)]
mod tests;
