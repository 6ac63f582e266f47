//! One replica of the scheduler: the product's ledger and watches, driven by virtual time.
//!
//! Everything that judges, books, learns or decides is [`crate::schedule`]. What stands here is the glue that the
//! service's tasks give it: when to ask, when to sweep, when to call itself ready.

use crate::schedule::affinity::Bucket;
use crate::schedule::booking::Ledger;
use crate::schedule::decide::{Decision, consider, consider_shared, decide, decide_shared};
use crate::schedule::fleet::{Fleet, PoolIndex, PopIndex};
use crate::schedule::health::{self, NodeState};
use crate::schedule::learnt::{Learnt, Lesson};
use crate::schedule::node::NodeIndex;
use crate::schedule::place::Location;
use crate::schedule::reading::{Moment, ProbeFailure, Reading, Timing};
use crate::schedule::recursors::{Bounds, Recursors};
use crate::schedule::scene::{Ask, Family, MOST_PICKS, mix};
use crate::schedule::terms::TermSettings;
use crate::schedule::watch::{Watch, WatchSettings};

use super::variant::Variant;

/// Share of nodes that must be measured before a replica calls itself ready.
const READY_SHARE: f64 = 0.9;
/// Windows a node must have closed to count as measured: with one, a restart in a flash overloads.
const READY_WINDOWS: u32 = 2;
/// A reported node is probed again at once, but not more often than this, ms.
const SUSPECT_EVERY_MS: u64 = 1_000;

/// Addresses of an answer by DNS where crowds are not minded.
const PLAIN: usize = 4;

/// What a replica is configured with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    /// For the nodes' memories.
    pub(super) watch: WatchSettings,
    /// Replicas that share the fleet; `None`: not told, κ is learnt from 1.
    pub(super) replicas: Option<u32>,
    /// L, km.
    pub(super) congestion_km: f32,
    /// A, km.
    pub(super) affinity_km: f32,
    /// Price and provider.
    pub(super) terms: TermSettings,
}

/// One question of a viewer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    /// Where GeoIP says it is.
    pub(super) client: Location,
    /// What it is said to take, kbit/s.
    pub(super) kbps: u32,
    /// Which nodes its stream sticks to.
    pub(super) bucket: Bucket,
    /// The node that has just failed it.
    pub(super) failed: Option<u32>,
    /// It failed by stalling (`why=stall`), not by refusing.
    pub(super) stalled: bool,
    /// The node it is on, if it says so.
    pub(super) current: Option<u32>,
}

/// A replica.
#[derive(Debug)]
pub(super) struct Replica<'w> {
    fleet: &'w Fleet,
    variant: &'w Variant,
    settings: Settings,
    ledger: Ledger,
    learnt: Learnt,
    watches: Vec<Watch>,
    recursors: Recursors,
    seen: Vec<Seen>,
    questions: u64,
    /// It should be asked.
    pub(super) ready: bool,
    /// Its scraper runs.
    pub(super) scrapes: bool,
}

/// What is remembered of a node's last report.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    state: NodeState,
    evidence: Option<Moment>,
    windows: u32,
    suspected: Option<Moment>,
}

// === impl Replica ===

impl<'w> Replica<'w> {
    /// A fresh start: nothing measured, nothing booked. `id` keeps the dice of replicas apart.
    pub(super) fn new(
        fleet: &'w Fleet,
        variant: &'w Variant,
        settings: Settings,
        id: u64,
        now: Moment,
    ) -> Self {
        let nodes = fleet.nodes.len();
        let replicas = settings.replicas.filter(|_| !variant.ignores_replicas);
        let learnt = Learnt::new(replicas, nodes);
        let congestion_km = if variant.prices { settings.congestion_km } else { 0.0 };
        let mut replica = Self {
            fleet,
            variant,
            settings,
            ledger: Ledger::new(fleet, learnt.kappa.value() as f32, congestion_km).with_terms(settings.terms),
            learnt,
            watches: fleet.nodes.iter().map(|node| Watch::new(node, now)).collect(),
            recursors: Recursors::default(),
            seen: vec![Seen::default(); nodes],
            questions: id << 40,
            ready: false,
            scrapes: true,
        };
        for node in (0u32..).take(nodes).map(NodeIndex) {
            replica.ledger.line(node).close_window(now);
            replica.judge(node, now);
        }
        replica
    }

    /// Answers a DNS resolver, and says for how long, s. Where crowds are not minded it is answered as a viewer is.
    pub(super) fn answer_shared(
        &mut self,
        resolver: usize,
        question: Question,
        ttl_s: u32,
        now: Moment,
    ) -> (Decision, u32) {
        self.questions += 1;
        let key = mix(resolver as u64);
        let ask = Ask { bucket: Bucket::of_hash(key), ..self.ask(question, &[], now) };
        match (self.variant.minds_crowds, self.variant.books) {
            (true, books) => {
                let crowd = self.recursors.asks(key, Bounds { ttl_s, count: MOST_PICKS }, now);
                let choose = if books { decide_shared } else { consider_shared };
                (choose(self.fleet, &self.ledger, &ask, &crowd), crowd.ttl_s)
            }
            (false, true) => (decide(self.fleet, &self.ledger, &Ask { count: PLAIN, ..ask }), ttl_s),
            (false, false) => (consider(self.fleet, &self.ledger, &ask), ttl_s),
        }
    }

    /// Answers a question; books the answer unless the variant leaves that out.
    pub(super) fn answer(&mut self, question: Question, now: Moment) -> Decision {
        self.questions += 1;
        let avoid: Option<PopIndex> = question.failed.map(|node| self.fleet.pop_of(NodeIndex(node)));
        if let (Some(node), true) = (question.failed, question.stalled && self.variant.hears_players) {
            self.ledger.report_stall(NodeIndex(node));
        }
        let choose = if self.variant.books { decide } else { consider };
        choose(self.fleet, &self.ledger, &self.ask(question, avoid.as_slice(), now))
    }

    fn ask<'a>(&self, question: Question, avoid: &'a [PopIndex], now: Moment) -> Ask<'a> {
        Ask {
            pool: PoolIndex(0),
            policy: self.variant.policy,
            client: Some(question.client),
            kbps: question.kbps,
            family: Family::Both,
            avoid,
            tried: &[],
            ways: 0,
            current: question.current.map(NodeIndex),
            stays: false,
            isp: None,
            count: 1,
            bucket: question.bucket,
            affinity_km: if self.variant.sticks { self.settings.affinity_km } else { 0.0 },
            ticket: self.questions,
            rtt: None,
            now,
        }
    }

    /// A page (or the reason why there is none) has come.
    pub(super) fn received(
        &mut self,
        node: u32,
        outcome: Result<Reading, ProbeFailure>,
        timing: Timing,
        now: Moment,
    ) {
        let node = NodeIndex(node);
        self.watches[node.get()].stalled(self.ledger.take_stalls(node));
        let lesson = self.watches[node.get()].observe(0, outcome, timing, self.ledger.line(node));
        if let Some(lesson) = lesson {
            self.after_scrape(&lesson);
        }
        self.judge(node, now);
    }

    /// What the fleet as a whole learns from one node's window.
    fn after_scrape(&mut self, lesson: &Lesson) {
        let kappa = self.learnt.kappa;
        self.learnt.learn(lesson);
        if self.variant.ignores_replicas {
            self.learnt.kappa = kappa;
        }
        self.ledger.learn(&self.learnt.kappa);
    }

    /// Once a second: viewers leave and limits ramp up between scrapes, evidence that ages makes a node stale,
    /// and readiness follows.
    pub(super) fn sweep(&mut self, now: Moment) {
        self.recursors.fade();
        let (mut stale, mut measured) = (0, 0);
        for node in (0u32..).take(self.seen.len()).map(NodeIndex) {
            let Seen { state, evidence, windows, .. } = self.seen[node.get()];
            let interval_ms = self.settings.watch.interval_ms;
            let is_stale = evidence.is_some_and(|evidence| health::is_stale(evidence, now, interval_ms));
            if is_stale == (state == NodeState::Stale) {
                self.write_line(node, now);
            } else {
                self.judge(node, now);
            }
            stale += usize::from(is_stale);
            measured += usize::from(windows >= READY_WINDOWS || state == NodeState::Down);
        }
        let nodes = self.seen.len() as f64;
        let off = stale as f64 / nodes > health::STALE_FLEET_SHARE;
        if off != self.ledger.stale_rule_off() {
            self.ledger.set_stale_rule_off(off);
            for node in (0u32..).take(self.seen.len()).map(NodeIndex) {
                self.ledger.rebound(node);
            }
        }
        self.ready = measured as f64 / nodes >= READY_SHARE && !off;
    }

    /// A viewer failed at this node. True: probe its PoP again at once.
    pub(super) fn suspects(&mut self, node: u32, now: Moment) -> bool {
        let node = NodeIndex(node);
        let suspected = &mut self.seen[node.get()].suspected;
        if suspected.is_some_and(|last| now.since_ms(last) < SUSPECT_EVERY_MS) {
            return false;
        }
        *suspected = Some(now);
        true
    }

    /// κ in force.
    pub(super) fn kappa(&self) -> f64 {
        f64::from(self.ledger.kappa())
    }

    fn judge(&mut self, node: NodeIndex, now: Moment) {
        let spec = self.fleet.node(node);
        let report = self.watches[node.get()].judge(spec, self.settings.watch, &self.learnt, now);
        self.write_line(node, now);
        self.ledger.release(node, self.watches[node.get()].take_settled_kbps());
        let seen = &mut self.seen[node.get()];
        (seen.state, seen.evidence, seen.windows) = (report.state, report.evidence, report.windows);
    }

    fn write_line(&self, node: NodeIndex, now: Moment) {
        let spec = self.fleet.node(node);
        let line = self.watches[node.get()].line(spec, self.settings.watch, &self.learnt, now);
        self.ledger.update(node, &line);
    }
}
