//! Live: one configuration's fleet with its ledger and the memory of its nodes.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::NodeCell;
use super::hosts::Hosts;
use super::recent::{Entry, Recent};
use super::streams::Streams;
use super::upstreams::Upstreams;
use crate::schedule::Moment;
use crate::schedule::booking::{Ledger, LineUpdate, status};
use crate::schedule::fleet::Fleet;
use crate::schedule::health::Drain;
use crate::schedule::isp;
use crate::schedule::learnt::Learnt;
use crate::schedule::node::{Node, NodeIndex};
use crate::schedule::proven::Record;
use crate::schedule::reading::{ProbeFailure, Reading, Timing};
use crate::schedule::terms::TermSettings;
use crate::schedule::watch::{NodeReport, Watch, WatchSettings, reach};

/// The settings of one configuration that answers depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// For the nodes' memories.
    pub watch: WatchSettings,
    /// What a viewer is taken to need while nothing is known, kbit/s.
    pub default_kbps: u32,
    /// Shortest and longest answer lifetime, s.
    pub ttl_s: (u32, u32),
    /// Replicas that share the fleet; `None`: not configured.
    pub replicas: Option<u32>,
    /// L: what a congested node costs, km.
    pub congestion_km: f32,
    /// A: how far a stream may be carried to stay on its node, km.
    pub affinity_km: f32,
    /// Price and provider.
    pub terms: TermSettings,
    /// Answers are booked. Off for comparison only.
    pub booking: bool,
}

/// A fleet in force.
#[derive(Debug)]
pub struct Live {
    /// Who there is.
    pub fleet: Fleet,
    /// What answers have promised.
    pub ledger: Ledger,
    /// The last answers that booked somebody.
    pub recent: Recent,
    /// Which node an address inside speaks for.
    pub hosts: Hosts,
    /// Settings.
    pub plan: Plan,
    /// Who pulls from whom.
    pub upstreams: Upstreams,
    /// How many fleets were in force before this one.
    pub generation: u64,
    cells: Box<[NodeCell]>,
    /// When the oldest part of each node's evidence came, ms, or [`NEVER`]: of the report, apart from it because every
    /// answer asks for that of all its nodes.
    evidence: Box<[AtomicU64]>,
    /// What this replica has learnt from the whole fleet. Taken by scrapes only.
    learnt: Mutex<Learnt>,
    /// `"203.0.113.10"` with its quotes, ready for an answer: first IPv4 and first IPv6 address of each node.
    addresses: Box<[(Box<str>, Box<str>)]>,
    /// The same as they are. Apart from the nodes, which are large: an answer by DNS needs nothing else of them.
    first_v4: Box<[Option<Ipv4Addr>]>,
    first_v6: Box<[Option<Ipv6Addr>]>,
}

/// No evidence.
const NEVER: u64 = u64::MAX;

// === impl Live ===

impl Live {
    /// A fleet of which nothing has been measured.
    #[must_use]
    pub fn new(fleet: Fleet, plan: Plan, now: Moment) -> Self {
        let learnt = Learnt::new(plan.replicas, fleet.nodes.len());
        let ledger =
            Ledger::new(&fleet, single(learnt.kappa.value()), plan.congestion_km).with_terms(plan.terms);
        for (i, node) in (0u32..).zip(&fleet.nodes) {
            ledger.line(NodeIndex(i)).close_window(now);
            ledger.update(NodeIndex(i), &unmeasured(node, plan));
        }
        let cells = fleet.nodes.iter().map(|node| NodeCell::new(node, now)).collect();
        let quoted =
            |ip: Option<String>| ip.map(|ip| format!("\"{ip}\"")).unwrap_or_default().into_boxed_str();
        let addresses = fleet.nodes.iter().map(|node| {
            (
                quoted(node.ipv4.first().map(ToString::to_string)),
                quoted(node.ipv6.first().map(ToString::to_string)),
            )
        });
        Self {
            ledger,
            recent: Recent::default(),
            upstreams: Upstreams::of(&fleet),
            hosts: Hosts::of(&fleet),
            plan,
            generation: 0,
            evidence: fleet.nodes.iter().map(|_| AtomicU64::new(NEVER)).collect(),
            cells,
            learnt: Mutex::new(learnt),
            addresses: addresses.collect(),
            first_v4: fleet.nodes.iter().map(|node| node.ipv4.first().copied()).collect(),
            first_v6: fleet.nodes.iter().map(|node| node.ipv6.first().copied()).collect(),
            fleet,
        }
    }

    /// What is known of a node.
    #[must_use]
    pub fn report(&self, node: NodeIndex) -> Arc<NodeReport> {
        self.cells[node.get()].report.load_full()
    }

    /// What is known of every node.
    pub fn reports(&self) -> impl Iterator<Item = (NodeIndex, Arc<NodeReport>)> + '_ {
        (0u32..).zip(&self.cells).map(|(i, cell)| (NodeIndex(i), cell.report.load_full()))
    }

    /// When the oldest part of a node's evidence came.
    #[must_use]
    pub fn evidence(&self, node: NodeIndex) -> Option<Moment> {
        let ms = self.evidence[node.get()].load(Relaxed);
        (ms != NEVER).then_some(Moment(ms))
    }

    /// A node's first IPv4 and IPv6 address as JSON strings; empty where it has none.
    #[must_use]
    pub fn addresses_json(&self, node: NodeIndex) -> (&str, &str) {
        let (v4, v6) = &self.addresses[node.get()];
        (v4, v6)
    }

    /// A node's first IPv4 address.
    #[must_use]
    pub fn first_v4(&self, node: NodeIndex) -> Option<Ipv4Addr> {
        self.first_v4[node.get()]
    }

    /// A node's first IPv6 address.
    #[must_use]
    pub fn first_v6(&self, node: NodeIndex) -> Option<Ipv6Addr> {
        self.first_v6[node.get()]
    }

    /// Takes in a probe and judges the node anew.
    pub(super) fn observe(
        &self,
        node: NodeIndex,
        target: usize,
        outcome: Result<Reading, ProbeFailure>,
        timing: Timing,
        now: Moment,
    ) {
        let cell = &self.cells[node.get()];
        let mut watch = cell.lock();
        watch.stalled(self.ledger.take_stalls(node));
        if let Some(lesson) = watch.observe(target, outcome, timing, self.ledger.line(node)) {
            let mut learnt = self.learnt();
            learnt.learn(&lesson);
            self.ledger.learn(&learnt.kappa);
        }
        self.publish(node, cell, &mut watch, now);
    }

    /// Takes in a heartbeat and judges the node anew.
    pub(super) fn beat(&self, node: NodeIndex, source: &str, told: Option<Reading>, at: Moment, now: Moment) {
        let cell = &self.cells[node.get()];
        let mut watch = cell.lock();
        watch.stalled(self.ledger.take_stalls(node));
        if let Some(lesson) = watch.beat(source, told, at, self.ledger.line(node)) {
            let mut learnt = self.learnt();
            learnt.learn(&lesson);
            self.ledger.learn(&learnt.kappa);
        }
        self.publish(node, cell, &mut watch, now);
    }

    /// Judges a node as of `now`.
    pub(super) fn judge(&self, node: NodeIndex, now: Moment) {
        let cell = &self.cells[node.get()];
        let mut watch = cell.lock();
        self.publish(node, cell, &mut watch, now);
    }

    /// Takes a node out as of `now`.
    pub(super) fn drain(&self, node: NodeIndex, order: Drain, now: Moment) {
        let cell = &self.cells[node.get()];
        let mut watch = cell.lock();
        watch.drain(order);
        self.publish(node, cell, &mut watch, now);
    }

    /// Takes over what an earlier process has learnt of a node's capacity.
    pub(super) fn warm(&self, node: NodeIndex, record: Record, now: Moment) {
        let cell = &self.cells[node.get()];
        let mut watch = cell.lock();
        watch.warm(record, now);
        self.publish(node, cell, &mut watch, now);
    }

    /// Puts a node back as of `now`. `false`: it was not drained.
    pub(super) fn undrain(&self, node: NodeIndex, now: Moment) -> bool {
        let cell = &self.cells[node.get()];
        let mut watch = cell.lock();
        let order = watch.undrain();
        self.publish(node, cell, &mut watch, now);
        order.is_some()
    }

    /// Writes a node's ledger line as of `now`: viewers leave and limits ramp up between scrapes.
    pub(super) fn refresh(&self, node: NodeIndex, now: Moment) {
        let learnt = *self.learnt();
        // The lock is held over the update, so that no older line replaces a newer one.
        let watch = self.cells[node.get()].lock();
        if watch.is_judged() {
            self.ledger.update(node, &watch.line(self.fleet.node(node), self.plan.watch, &learnt, now));
        }
    }

    /// What this replica has learnt from the whole fleet.
    #[must_use]
    pub fn learnt_so_far(&self) -> Learnt {
        *self.learnt()
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, index: NodeIndex, cell: &NodeCell, watch: &mut Watch, now: Moment) {
        let node = self.fleet.node(index);
        let learnt = *self.learnt();
        let order = watch.drained().cloned();
        let report = watch.judge(node, self.plan.watch, &learnt, now);
        if order.is_some() && report.drain.is_none() {
            tracing::info!(node = %node.id, "drain expired");
        }
        self.ledger.update(index, &watch.line(node, self.plan.watch, &learnt, now));
        self.ledger.release(index, watch.take_settled_kbps());
        let before = self.store(index, cell, Arc::new(report));
        let after = cell.report.load();
        if before.state != after.state {
            tracing::info!(
                node = %node.id,
                from = before.state.as_str(),
                to = after.state.as_str(),
                reasons = %after.reasons.join("; "),
                "node state changed"
            );
        }
    }

    /// Puts a report in force, and returns the one before it.
    fn store(&self, index: NodeIndex, cell: &NodeCell, report: Arc<NodeReport>) -> Arc<NodeReport> {
        self.evidence[index.get()].store(report.evidence.map_or(NEVER, |evidence| evidence.0), Relaxed);
        cell.report.swap(report)
    }

    /// Spreads the streams there are over the nodes that others pull from.
    pub(super) fn spread(&self, streams: &Streams) {
        self.upstreams.spread(&self.fleet, &self.ledger, streams);
    }

    /// Takes over memory and ledger lines of nodes that stay as they are.
    pub(super) fn inherit(&self, before: &Self, now: Moment) {
        for (index, old, node) in self.staying(before) {
            let cell = &self.cells[index.get()];
            if before.fleet.node(old).exporters == node.exporters {
                *cell.lock() = before.cells[old.get()].lock().clone();
            } else {
                cell.lock().go_on_from(&before.cells[old.get()].lock());
            }
            let update = before.ledger.update_in_force(old);
            self.ledger.line(index).set_since(before.ledger.line(old).since());
            self.ledger.update(
                index,
                &LineUpdate { status: update.status & !status::REACH | reach(node), ..update },
            );
            self.store(index, cell, before.report(old));
        }
        for (index, node) in (0u32..).map(NodeIndex).zip(&self.fleet.nodes) {
            if before.fleet.by_id(&node.id).is_none() {
                self.cells[index.get()].lock().join(now);
            }
        }
        if self.plan.replicas == before.plan.replicas {
            let learnt = before.learnt_so_far().among(self.fleet.nodes.len());
            self.ledger.learn(&learnt.kappa);
            *self.learnt() = learnt;
        }
        if self.plan.terms == before.plan.terms {
            self.ledger.price_term().inherit(before.ledger.price_term());
        }
        for (index, ..) in self.staying(before) {
            self.refresh(index, now);
        }
        let isps_stay = isp::names(&before.fleet.nodes) == isp::names(&self.fleet.nodes);
        let renumbered = |entry| self.renumbered(before, entry, isps_stay);
        self.recent.take_over(&before.recent, now, renumbered);
        self.inherit_bookings(before);
    }

    /// An answer of another configuration in the numbers of this one, if its node and domain are still there.
    fn renumbered(&self, before: &Self, entry: Entry, isps_stay: bool) -> Option<Entry> {
        let node = self.fleet.by_id(&before.fleet.nodes.get(entry.node.get())?.id)?;
        let domain = before.fleet.domains.get(usize::from(entry.domain.0))?;
        let isp = entry.isp.filter(|_| isps_stay);
        Some(Entry { node, domain: self.fleet.domain(&domain.name)?, isp, ..entry })
    }

    /// Moves bookings of nodes that stay from the old ledger to this one. Whatever is moved is gone there, so
    /// a second call moves only what came in between.
    pub(super) fn inherit_bookings(&self, before: &Self) {
        for (index, old, _) in self.staying(before) {
            let old = before.ledger.line(old);
            let since = old.since();
            let batch = old.close_window(since);
            self.ledger.take_over(index, batch);
        }
    }

    fn staying<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (NodeIndex, NodeIndex, &'a Node)> {
        (0u32..)
            .zip(&self.fleet.nodes)
            .filter_map(|(i, node)| Some((NodeIndex(i), before.fleet.by_id(&node.id)?, node)))
    }
}

/// The line of a node before its first sample: capacity counts, load does not.
fn unmeasured(node: &Node, plan: Plan) -> LineUpdate {
    if node.exporters.is_empty() {
        return LineUpdate { status: status::UNMEASURED | reach(node), ..LineUpdate::default() };
    }
    let mbps =
        node.bandwidth_mbps.unwrap_or(plan.watch.assumed_mbps) * node.weight * node.thresholds.bandwidth;
    #[expect(clippy::cast_possible_truncation, reason = "a pressure needs three digits")]
    let slope = (1.0 / mbps) as f32;
    LineUpdate { slope: [slope, 0.0, 0.0], status: status::STARTING | reach(node), ..LineUpdate::default() }
}

#[expect(clippy::cast_possible_truncation, reason = "κ needs three digits")]
fn single(kappa: f64) -> f32 {
    kappa as f32
}

// === impl NodeCell ===

impl NodeCell {
    fn new(node: &Node, now: Moment) -> Self {
        let watch = Watch::new(node, now);
        let report = NodeReport { since: now, state: watch.state(), ..NodeReport::default() };
        Self { watch: Mutex::new(watch), report: ArcSwap::from_pointee(report) }
    }

    /// A panic while judging leaves a memory that the next probe mends: poison is no reason to stop.
    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
