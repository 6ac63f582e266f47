//! Pages on their way from an exporter to a replica.

use crate::schedule::health;
use crate::schedule::reading::{ProbeFailure, Reading, Timing};

use super::super::events::Event;
use super::super::scenario::Latency;
use super::super::time::At;
use super::Run;

/// A refused connection is known after so long, s.
const REFUSED_S: f64 = 0.05;
/// Deadline of a scrape, s.
const DEADLINE_S: f64 = 3.0;

/// A scrape under way.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    sent: At,
    /// What it will bring; `None`: the page is not filled yet.
    outcome: Option<Result<Reading, ProbeFailure>>,
    /// A viewer failed there: silence is to be confirmed at once.
    suspected: bool,
}

// === impl Run ===

impl Run<'_> {
    /// Which exporters have no client counter, and whose clocks are off.
    pub(super) fn assign_exporters(&mut self) {
        let scenario = self.plan.scenario;
        for node in self.harm.subset(self.edges.len(), scenario.without_counter) {
            self.edges[node].exporter.counts_clients = false;
        }
        for edge in &mut self.edges {
            edge.exporter.clock_skew_s = self.harm.between(-1.0, 1.0) * scenario.clock_skew_s;
        }
    }

    /// A replica asks for a page, unless it still waits for the last one.
    pub(super) fn scrape(&mut self, replica: u32, node: u32) {
        let slot = self.slot(replica, node);
        if !self.replicas[replica as usize].scrapes || self.pending[slot].is_some() {
            return;
        }
        let edge = &self.edges[node as usize];
        let (alive, silent) = (edge.alive, edge.exporter.silent);
        let latency = self.plan.scenario.latency;
        let (filled_s, received_s, failure) = match latency {
            _ if !alive => (0.0, REFUSED_S, Some(refused())),
            _ if silent => (0.0, DEADLINE_S, Some(ProbeFailure::Timeout((DEADLINE_S * 1e3) as u64))),
            Latency::Fixed(received_s) => (0.0, received_s, None),
            Latency::Jitter(from_s, to_s) => {
                let received_s = self.scraping.between(from_s, to_s);
                (self.scraping.between(0.0, received_s), received_s, None)
            }
        };
        self.pending[slot] = Some(Pending { sent: self.now, outcome: failure.map(Err), suspected: false });
        if filled_s > 0.0 {
            self.events.plan(self.now.plus_s(filled_s), Event::Fill(replica, node));
        } else {
            self.fill(replica, node);
        }
        self.events.plan(self.now.plus_s(received_s), Event::Receive(replica, node));
    }

    /// A replica asks out of turn, because a viewer failed there.
    pub(super) fn probe(&mut self, replica: u32, node: u32) {
        self.scrape(replica, node);
        let slot = self.slot(replica, node);
        if let Some(pending) = &mut self.pending[slot] {
            pending.suspected = true;
        }
    }

    /// The exporter fills the page with what its counters say now.
    pub(super) fn fill(&mut self, replica: u32, node: u32) {
        let slot = self.slot(replica, node);
        self.settle(node);
        let edge = &self.edges[node as usize];
        let Some(pending) = &mut self.pending[slot] else { return };
        if pending.outcome.is_none() {
            let read = |page: Reading| self.plan.variant.read(page);
            pending.outcome = Some(if edge.alive { Ok(read(edge.page())) } else { Err(refused()) });
        }
    }

    /// The replica has it.
    pub(super) fn receive(&mut self, replica: u32, node: u32) {
        let slot = self.slot(replica, node);
        let Some(Pending { sent, outcome: Some(outcome), suspected }) = self.pending[slot].take() else {
            return;
        };
        if suspected && outcome.as_ref().is_err_and(ProbeFailure::is_silence) {
            let again_s = health::CONFIRM_AFTER_MS as f64 / 1_000.0;
            self.events.plan(self.now.plus_s(again_s), Event::Confirm(replica, node));
        }
        let timing = Timing { sent: sent.moment(), received: self.now.moment() };
        self.replicas[replica as usize].received(node, outcome, timing, self.now.moment());
    }

    /// A restarted replica knows nothing of pages that are on their way to its predecessor.
    pub(super) fn forget_pages(&mut self, replica: usize) {
        let nodes = self.edges.len();
        self.pending[replica * nodes..(replica + 1) * nodes].fill(None);
    }

    fn slot(&self, replica: u32, node: u32) -> usize {
        replica as usize * self.edges.len() + node as usize
    }
}

fn refused() -> ProbeFailure {
    ProbeFailure::Connect("refused".to_owned())
}
