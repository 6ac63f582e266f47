//! All that tasks share: the fleet in force, its ledger, and what is known of each node.
//!
//! One [`Live`] is swapped whole when the configuration changes; within it, a scrape replaces one node's report
//! and one ledger line. The resolve path reads the fleet and the lines only: no lock is on it. Each node's
//! memory ([`Watch`]) stands behind a mutex that only its own scrapes and the sweep take.

pub mod bitrates;
mod chronicle;
mod drain;
pub mod eviction;
pub mod history;
pub mod hosts;
mod live;
pub mod memory;
pub mod recent;
pub mod registry;
mod room;
mod rtt;
pub mod streams;
pub mod timeline;
pub mod upstreams;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use dashmap::DashMap;

use crate::clock::Clock;
use crate::schedule::Moment;
use crate::schedule::health::{self, NodeState};
use crate::schedule::reading::{ProbeFailure, PublishedList, Reading, Timing};
use crate::schedule::recursors::Recursors;
use crate::schedule::watch::Watch;

use self::bitrates::Bitrates;
pub use self::chronicle::Chronicle;
pub use self::live::{Live, Plan};
pub use self::rtt::Rtts;
use self::streams::{Identity, Listing, StreamName, Streams};
use self::timeline::What;

/// A node reported as failing is probed again at once, but not more often than this, ms.
const SUSPECT_EVERY_MS: u64 = 1_000;
/// Reports remembered; beyond it the oldest are forgotten.
const MOST_SUSPECTS: usize = 10_000;
/// Share of nodes that must have been measured before a replica calls itself ready.
const READY_SHARE: f64 = 0.9;
/// Windows a node must have closed to count as measured.
const READY_WINDOWS: u32 = 2;

/// Who wants to hear what a probe of a target brought.
pub trait Observer: Send + Sync + 'static {
    /// A probe of target number `target` of node `node` ended.
    fn observed(&self, node: &str, target: usize, outcome: Result<Reading, ProbeFailure>, timing: Timing);
}

/// Shared by all tasks.
#[derive(Debug)]
pub struct State {
    live: ArcSwap<Live>,
    clock: Clock,
    /// When players last reported each node: one re-scrape per node and second.
    suspects: DashMap<Box<str>, Moment>,
    /// Where suspicions go: the scraper listens.
    suspicions: tokio::sync::mpsc::Sender<Box<str>>,
    /// What a viewer of each stream needs.
    bitrates: Bitrates,
    /// κ was outside what the configured replicas explain when it was last looked at.
    kappa_alarm: AtomicBool,
    /// What client networks have measured.
    rtts: Rtts,
    /// DNS resolvers that ask; none before the first one does.
    recursors: OnceLock<Recursors>,
    /// Which origin has which stream.
    streams: Streams,
    /// Held while the fleet is replaced or an operator gives an order to one of its nodes.
    orders: std::sync::Mutex<()>,
    /// What happened, for people.
    chronicle: Chronicle,
    /// Nodes that came by themselves.
    registry: registry::Registry,
    /// What was remembered of nodes that may come yet.
    awaited: memory::Awaited,
}

/// Whether this replica should be asked.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Readiness {
    /// It should.
    pub ready: bool,
    /// Why not, in words.
    pub reasons: Vec<String>,
    /// Nodes there are.
    pub nodes: usize,
    /// Nodes with a measured load, or that have none to measure.
    pub measured: usize,
}

// === impl State ===

impl State {
    /// The state of a fresh start. Suspicions of `failed=` reports arrive at the receiver.
    #[must_use]
    pub fn new(live: Live, clock: Clock) -> (Arc<Self>, tokio::sync::mpsc::Receiver<Box<str>>) {
        let (suspicions, receiver) = tokio::sync::mpsc::channel(1_024);
        let state = Self {
            live: ArcSwap::from_pointee(live),
            clock,
            suspects: DashMap::new(),
            suspicions,
            bitrates: Bitrates::default(),
            kappa_alarm: AtomicBool::new(false),
            rtts: Rtts::default(),
            recursors: OnceLock::new(),
            streams: Streams::default(),
            orders: std::sync::Mutex::default(),
            chronicle: Chronicle::default(),
            registry: registry::Registry::default(),
            awaited: memory::Awaited::default(),
        };
        (Arc::new(state), receiver)
    }

    /// The fleet in force. Hold the guard for one request, never across an await.
    #[must_use]
    pub fn live(&self) -> Guard<Arc<Live>> {
        self.live.load()
    }

    /// What viewers of streams need, as far as it is known.
    #[must_use]
    pub fn bitrates(&self) -> &Bitrates {
        &self.bitrates
    }

    /// The clock everybody here uses.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What client networks have measured.
    #[must_use]
    pub fn rtts(&self) -> &Rtts {
        &self.rtts
    }

    /// DNS resolvers that ask.
    #[must_use]
    pub fn recursors(&self) -> &Recursors {
        self.recursors.get_or_init(Recursors::default)
    }

    /// Whether any has asked.
    #[must_use]
    pub fn hears_dns(&self) -> bool {
        self.recursors.get().is_some()
    }

    /// Which origin has which stream.
    #[must_use]
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Puts another fleet in force. Nodes that stay keep their memory and their bookings.
    pub fn replace(&self, next: Live) {
        let before = self.swap(next);
        self.tell_of_reload(&before, &self.live.load());
    }

    /// The same where nodes have registered, or are gone that had.
    pub fn replace_registered(&self, next: Live) {
        let before = self.swap(next);
        self.tell_of_registration(&before, &self.live.load());
    }

    fn swap(&self, mut next: Live) -> Arc<Live> {
        let _orders = self.orders();
        let before = self.live.load_full();
        next.generation = before.generation + 1;
        next.inherit(&before, self.clock.now());
        self.recall_newcomers(&next);
        next.spread(&self.streams);
        self.rtts.renumber(&before.fleet, &next.fleet);
        self.live.store(Arc::new(next));
        // Requests that still hold the old fleet book on it for microseconds more: what came in between the
        // copy and the swap is moved over now.
        self.live.load().inherit_bookings(&before);
        self.tidy_streams(&self.live.load(), self.clock.now());
        before
    }

    /// Looks at every node once a second: evidence that ages makes a node stale without a scrape, and a drain
    /// ends when its time is up.
    pub fn sweep(&self) {
        self.sweep_at(self.clock.now());
    }

    /// The sweep as of `now`.
    pub(crate) fn sweep_at(&self, now: Moment) {
        self.bitrates.publish(now);
        if let Some(recursors) = self.recursors.get() {
            recursors.fade();
        }
        let live = self.live.load();
        self.rtts.tidy(now);
        self.tidy_streams(&live, now);
        let mut stale = 0;
        for (index, report) in live.reports() {
            let was_stale = report.state == NodeState::Stale;
            let interval_ms = report.interval_ms.max(live.plan.watch.interval_ms);
            let evidence_is_stale =
                report.evidence.map_or(was_stale, |evidence| health::is_stale(evidence, now, interval_ms));
            let is_due = report.pulse.as_ref().is_some_and(|pulse| now > pulse.look_again);
            if evidence_is_stale != was_stale || report.drain.is_some() || is_due {
                live.judge(index, now);
            } else {
                live.refresh(index, now);
            }
            // A node that has stopped sending is gone; that says nothing of our scraping.
            let has_left = report.pulse.as_ref().is_some_and(|pulse| pulse.is_missing);
            stale += usize::from(evidence_is_stale && !has_left);
        }
        let off = share(stale, live.fleet.nodes.len()) > health::STALE_FLEET_SHARE;
        if off != live.ledger.stale_rule_off() {
            live.ledger.set_stale_rule_off(off);
            for (index, _) in live.reports() {
                live.ledger.rebound(index);
            }
            let nodes = live.fleet.nodes.len();
            tracing::warn!(stale, nodes, ignored = off, "staleness rule changed");
            let what = What::StaleFleet { stale, nodes };
            match off {
                true => self.chronicle.timeline.open("", None, what, self.clock.unix_ms_of(now), |_| false),
                false => _ = self.chronicle.timeline.close(what.code(), "", self.clock.unix_ms_of(now)),
            }
        }
        live.spread(&self.streams);
        self.check_kappa(&live);
        self.chronicle_at(&live, now);
        if self.suspects.len() > MOST_SUSPECTS {
            self.suspects.retain(|_, since| now.since_ms(*since) < SUSPECT_EVERY_MS);
        }
    }

    /// A media server of a node has listed what is published on it.
    pub fn listed(&self, node: &str, published: &PublishedList, timing: Timing) {
        let [server, service, pid] = &published.identity;
        let identity = Identity::new(server, service, pid);
        let name = |[vhost, app, stream]: &[Box<str>; 3]| StreamName::new(vhost, app, stream).ok();
        let names = published.streams.iter().filter_map(name).collect();
        let listing = Listing { names, complete: published.complete, sent: timing.sent };
        self.streams.reconcile(node, &identity, &listing, self.clock.now());
    }

    fn tidy_streams(&self, live: &Live, now: Moment) {
        self.streams.tidy(|node| live.fleet.by_id(node).is_some(), now);
    }

    /// Says once, when κ leaves or re-enters what the configured replicas explain. Whether it is outside now.
    fn check_kappa(&self, live: &Live) -> bool {
        let kappa = live.learnt_so_far().kappa;
        let alarming = kappa.is_alarming(live.plan.replicas);
        if self.kappa_alarm.swap(alarming, Relaxed) != alarming {
            let (kappa, replicas) = (kappa.value(), live.plan.replicas);
            let what = What::Kappa { kappa };
            match alarming {
                true => self.chronicle.timeline.open("", None, what, self.clock.unix_ms(), |_| false),
                false => _ = self.chronicle.timeline.close(what.code(), "", self.clock.unix_ms()),
            }
            match alarming {
                true => tracing::warn!(
                    kappa,
                    replicas,
                    "viewers per own answer are not what scheduler.replicas explains: is that number right, \
                     and do all players ask here?"
                ),
                false => tracing::info!(kappa, replicas, "viewers per own answer are as configured again"),
            }
        }
        alarming
    }

    /// A player failed at this address. The nodes of its PoP are probed at once, because what takes a node away mostly
    /// takes its PoP; the report itself proves nothing, because anybody can make one.
    pub fn suspect(&self, ip: IpAddr) {
        let live = self.live.load();
        let Some(node) = live.fleet.at_address(ip) else { return };
        let now = self.clock.coarse();
        if !self.is_new_suspect(&live.fleet.node(node).id, now) {
            return;
        }
        // A full channel means that re-scrapes are under way as fast as they can be.
        let _ = self.suspicions.try_send(live.fleet.node(node).id.clone());
        let pop = live.fleet.pop_of(node);
        for (neighbour, _) in live.fleet.nodes.iter().zip(&live.fleet.pop_of).filter(|(_, at)| **at == pop) {
            if self.is_new_suspect(&neighbour.id, now) {
                let _ = self.suspicions.try_send(neighbour.id.clone());
            }
        }
    }

    /// Notes a suspicion; `false`: there was one within the last second.
    fn is_new_suspect(&self, id: &str, now: Moment) -> bool {
        if let Some(mut last) = self.suspects.get_mut(id) {
            let is_new = now.since_ms(*last) >= SUSPECT_EVERY_MS;
            if is_new {
                *last = now;
            }
            return is_new;
        }
        self.suspects.insert(id.into(), now);
        true
    }

    /// Whether enough is known to answer by load.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let live = self.live.load();
        let nodes = live.fleet.nodes.len();
        // A node that nobody reaches, that shows nothing of use, or that has nothing to ask, will not be better
        // known by waiting.
        let known = |state: NodeState, windows: u32| match state {
            NodeState::Starting => false,
            NodeState::Down | NodeState::Stale | NodeState::Unmeasured | NodeState::Draining => true,
            NodeState::Healthy | NodeState::Overloaded => windows >= READY_WINDOWS,
        };
        let measured = live.reports().filter(|(_, report)| known(report.state, report.windows)).count();
        let mut reasons = Vec::new();
        if share(measured, nodes) < READY_SHARE && nodes > 0 {
            reasons
                .push(format!("{measured} of {nodes} nodes measured, {:.0} % needed", READY_SHARE * 100.0));
        }
        if live.ledger.stale_rule_off() {
            reasons.push("more than half of the nodes are stale: our own scraping is at fault".to_owned());
        }
        Readiness { ready: reasons.is_empty(), reasons, nodes, measured }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a fleet is below 2^52 nodes")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Observer for State {
    fn observed(&self, node: &str, target: usize, outcome: Result<Reading, ProbeFailure>, timing: Timing) {
        let live = self.live.load();
        let Some(index) = live.fleet.by_id(node) else { return };
        if let Ok(reading) = &outcome {
            self.bitrates.observe(&reading.streams, timing.received);
            if let Some(published) = &reading.published {
                self.listed(node, published, timing);
            }
            let identity = reading.media.as_ref().and_then(|media| Identity::of_page(&media.identity));
            if let Some(identity) = identity {
                self.streams.restarted(node, &identity, timing.sent, self.clock.now());
            }
        }
        live.observe(index, target, outcome, timing, self.clock.now());
    }
}

/// A node's memory and what it last came to.
#[derive(Debug)]
struct NodeCell {
    watch: std::sync::Mutex<Watch>,
    report: ArcSwap<crate::schedule::watch::NodeReport>,
}

#[cfg(test)]
mod tests;
