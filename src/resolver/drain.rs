//! Drain: operators take a node out, put it back, and ask beforehand what that would do.

use serde::Serialize;

use super::view::round;
use super::{NodeView, Resolver};
use crate::schedule::node::NodeIndex;
use crate::schedule::preview::{self, Asked, Leaving, Preview};
use crate::state::Live;
use crate::state::recent::{Entry, Sample};

#[cfg(test)]
mod tests;

/// How far a preview looks back, ms.
const LOOK_BACK_MS: u64 = 60_000;

/// What draining a node would do.
#[derive(Clone, Debug, Serialize)]
pub struct PreviewView {
    /// The node.
    pub id: String,
    /// Viewers that this replica sent to it in the last minute, estimated where not all are remembered.
    pub answers: u64,
    /// Those that are remembered: they were decided again.
    pub sampled: usize,
    /// The time that they cover, s: 60, or less where a minute does not fit into memory.
    pub sampled_s: f64,
    /// What it sends, and others would have to, Mbit/s.
    pub egress_mbps: f64,
    /// Who would take its viewers, most first.
    pub nodes: Vec<TakerView>,
    /// How much farther they would be, mean, km; absent: no place is known, or nobody was sent.
    pub extra_km: Option<f64>,
    /// Share of the viewers for whom no node would have room.
    pub degraded_share: f64,
    /// Of the answers, those that would be refused, or find no other node.
    pub refused: u64,
    /// The whole in one sentence.
    pub verdict: String,
}

/// A node that would take viewers.
#[derive(Clone, Debug, Serialize)]
pub struct TakerView {
    /// The node.
    pub id: String,
    /// Its site.
    pub pop: String,
    /// Of the answers, those that it would get.
    pub answers: u64,
    /// The same as a share.
    pub share: f64,
    /// Egress that it would take, Mbit/s.
    pub mbps: f64,
    /// How much farther it is, mean, km; absent: no place is known.
    pub extra_km: Option<f64>,
    /// Its pressure now; absent: nothing is measured.
    pub pressure_now: Option<f64>,
    /// Its pressure with what it would take; absent: nothing is measured.
    pub pressure_after: Option<f64>,
}

// === impl Resolver ===

impl Resolver {
    /// Sends no new viewers to a node, for `ttl_s` or until it is undrained, and shows it. `None`: no such node.
    pub fn drain(&self, id: &str, reason: Option<&str>, ttl_s: Option<u32>) -> Option<NodeView> {
        self.drain_and_evict(id, reason, ttl_s, None)
    }

    /// The same, and sends so many a minute of its clients away.
    pub fn drain_and_evict(
        &self,
        id: &str,
        reason: Option<&str>,
        ttl_s: Option<u32>,
        evict_per_minute: Option<u32>,
    ) -> Option<NodeView> {
        let ttl_ms = ttl_s.map(|seconds| u64::from(seconds) * 1_000);
        let is_node = self.state.drain(id, reason.map(Into::into), ttl_ms, evict_per_minute);
        if is_node { self.node(id) } else { None }
    }

    /// Puts a node back and shows it. `None`: no such node.
    pub fn undrain(&self, id: &str) -> Option<NodeView> {
        if self.state.undrain(id) { self.node(id) } else { None }
    }

    /// Decides the last minute's answers that named a node again without it, and books nothing. Costs some
    /// milliseconds: for people. `None`: no such node.
    #[must_use]
    pub fn drain_preview(&self, id: &str) -> Option<PreviewView> {
        let live = self.state.live();
        let node = live.fleet.by_id(id)?;
        let now = self.state.clock().now();
        let mut sample = live.recent.last(LOOK_BACK_MS, now);
        sample.entries.retain(|entry| entry.node == node);
        let asked: Vec<Asked> = sample.entries.iter().map(asked).collect();
        let leaving = Leaving {
            node,
            egress_mbps: live.report(node).load.egress_mbps,
            affinity_km: live.plan.affinity_km,
            now,
        };
        let preview = preview::without(&live.fleet, &live.ledger, leaving, &asked);
        Some(PreviewView::of(&live, node, &sample, &preview))
    }
}

fn asked(entry: &Entry) -> Asked {
    Asked {
        domain: entry.domain,
        place: entry.degree.centre(),
        isp: entry.isp,
        family: entry.family,
        bucket: entry.bucket,
        kbps: entry.kbps,
    }
}

// === impl PreviewView ===

impl PreviewView {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn of(live: &Live, node: NodeIndex, sample: &Sample, preview: &Preview) -> Self {
        let answers = preview.answers as u64 * LOOK_BACK_MS / sample.covers_ms.max(1);
        let (counts, refused) = preview.shared_out(answers);
        let nodes = preview.takers.iter().zip(counts).map(|(taker, answers)| {
            let node = live.fleet.node(taker.node);
            let pressure = |x: f32| live.evidence(taker.node).map(|_| round(f64::from(x)));
            TakerView {
                id: node.id.to_string(),
                pop: node.pop.to_string(),
                answers,
                share: round(taker.decisions as f64 / preview.decisions.max(1) as f64),
                mbps: round(taker.mbps),
                extra_km: taker.extra_km.map(tenth),
                pressure_now: pressure(taker.pressure_now),
                pressure_after: pressure(taker.pressure_after),
            }
        });
        Self {
            id: live.fleet.node(node).id.to_string(),
            answers,
            sampled: preview.answers,
            sampled_s: sample.covers_ms as f64 / 1_000.0,
            egress_mbps: round(preview.egress_mbps),
            nodes: nodes.collect(),
            extra_km: preview.extra_km.map(tenth),
            degraded_share: round(preview.degraded_share()),
            refused,
            verdict: preview.verdict(answers),
        }
    }
}

fn tenth(km: f64) -> f64 {
    (km * 10.0).round() / 10.0
}
