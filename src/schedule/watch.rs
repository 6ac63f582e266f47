//! Watch: one node's memory. Probes of its targets go in; its load, state and ledger line come out.
//!
//! A node has several exporters, asked at different moments. Each keeps its own windows; what they say is merged
//! here, the machine's NIC before the media server's own count. Bookings are settled when the target that shows
//! the egress closes a window, because that is the window the bookings appear in.

mod basis;
pub mod pulse;
mod round;
mod streams;
mod target;

use arrayvec::ArrayVec;

use super::booking::{Line, LineUpdate, status};
use super::carry::{Carried, Carry};
use super::cost::UnitCost;
use super::health::{self, Drain, NodeState, OverloadFlag};
use super::learnt::{Learnt, Lesson};
use super::load::{Load, Resource};
use super::node::Node;
use super::pressure::{self, Capacity, Pressure};
use super::proven::{Delivery, Grain, Proven, Record};
use super::reading::{Moment, ProbeFailure, Reading, Timing};
use super::traffic::Traffic;
use super::window::Finding;

use self::basis::Basis;
use self::pulse::{PulseReport, Pulses};
use self::round::Round;
use self::streams::Expected;
use self::target::{Rank, Target};

/// What a watch needs to know of the service's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WatchSettings {
    /// Scrape interval, ms.
    pub interval_ms: u64,
    /// Capacity of a node that tells none, Mbit/s.
    pub assumed_mbps: f64,
}

// === impl WatchSettings ===

impl WatchSettings {
    /// Scrape interval, s.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "at most ten minutes")]
    pub fn interval_s(self) -> f64 {
        self.interval_ms as f64 / 1000.0
    }
}

/// Viewers who report a stall though nothing is wrong, per viewer and second: one in five and a half hours each.
const STALLS_PER_CLIENT_S: f64 = 5e-5;

/// What is known of a node at one moment. Immutable; a new one replaces it.
#[derive(Clone, Debug, Default)]
pub struct NodeReport {
    /// Its state …
    pub state: NodeState,
    /// … and since when.
    pub since: Moment,
    /// The operator's order behind the state `draining`.
    pub drain: Option<Drain>,
    /// What was measured.
    pub load: Load,
    /// Egress capacity in force.
    pub capacity: Option<Capacity>,
    /// Pressure as measured, without bookings.
    pub pressure: Pressure,
    /// Own bookings of closed windows that the sample cannot have seen, Mbit/s.
    pub carried_mbps: f64,
    /// What an operator should know, in words.
    pub reasons: Vec<String>,
    /// When the oldest part of the evidence was received; `None`: there is none.
    pub evidence: Option<Moment>,
    /// Windows closed so far.
    pub windows: u32,
    /// Some rate was worked out over receive time.
    pub coarse: bool,
    /// Highest egress at which its viewers got what they should, Mbit/s.
    pub proven_mbps: f64,
    /// What the node is taken to be able to send since it fell short, Mbit/s.
    pub capped_mbps: Option<f64>,
    /// What one viewer has been seen to need, Mbit/s.
    pub mbps_per_client: Option<f64>,
    /// Each target, in the order of the configuration; of a node without exporters, each server that sends heartbeats.
    pub targets: Vec<TargetReport>,
    /// Its heartbeats; `None`: none has come.
    pub pulse: Option<PulseReport>,
    /// New evidence comes so often, ms; 0: nothing has been judged yet.
    pub interval_ms: u64,
}

/// What is known of one target.
#[derive(Clone, Debug, Default)]
pub struct TargetReport {
    /// Its URL.
    pub url: Box<str>,
    /// Why the last probe failed; `None`: it did not.
    pub failure: Option<ProbeFailure>,
    /// Failed probes in a row.
    pub failed: u32,
    /// Last good page.
    pub good_at: Option<Moment>,
    /// How long the last page took, ms.
    pub took_ms: u64,
    /// What its last page gave rise to.
    pub findings: Vec<Finding>,
}

/// One node's memory.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Its exporters. Has it none, then what its heartbeats tell, in the order of `pulses`.
    targets: Vec<Target>,
    is_fed_by_pulses: bool,
    pulses: Pulses,
    carry: Carry,
    carried: Carried,
    system_cost: UnitCost,
    process_cost: UnitCost,
    flag: OverloadFlag,
    state: NodeState,
    /// What the evidence alone says; an operator's order comes before it.
    found: NodeState,
    drain: Option<Drain>,
    since: Moment,
    /// When this node was first watched.
    begun: Moment,
    windows: u32,
    settled_at: Option<Moment>,
    /// A window closed that unit costs have not been learnt from.
    unlearnt: bool,
    /// The window of viewers that is being put together.
    round: Round,
    traffic: Traffic,
    proven: Proven,
    /// Stall reports since the last window.
    stalls: u32,
    /// Windows that capacity has not been proven by yet.
    unproven: ArrayVec<Lesson, 4>,
    /// What the ledger line is worked out from, between scrapes too.
    basis: Basis,
    /// Bookings taken off the line and not yet off the uplink, kbit/s, see [`Watch::take_settled_kbps`].
    settled_kbps: u64,
    /// Slow start: when the node joined or came back; `None`: it was there from the start.
    joined: Option<Moment>,
}

// === impl Watch ===

impl Watch {
    /// Begins to watch a node.
    #[must_use]
    pub fn new(node: &Node, now: Moment) -> Self {
        let targets = node
            .exporters
            .iter()
            .map(|url| Target {
                report: TargetReport { url: url.clone(), ..TargetReport::default() },
                ..Target::default()
            })
            .collect();
        let is_fed_by_pulses = node.exporters.is_empty();
        let state = if is_fed_by_pulses { NodeState::Unmeasured } else { NodeState::Starting };
        Self { targets, is_fed_by_pulses, state, found: state, since: now, begun: now, ..Self::default() }
    }

    /// Begins to watch a node anew, whose exporters are others now: what holds regardless of them goes on.
    pub fn go_on_from(&mut self, before: &Self) {
        self.drain.clone_from(&before.drain);
        self.pulses.clone_from(&before.pulses);
        if self.is_fed_by_pulses {
            self.targets = self.pulses.sources().map(Target::of_heartbeats).collect();
        }
    }

    /// A media server of the node has sent a heartbeat. What it tells is taken in where no exporter is configured;
    /// beside those it would be counted twice.
    pub fn beat(&mut self, source: &str, told: Option<Reading>, at: Moment, line: &Line) -> Option<Lesson> {
        let place = self.pulses.beat(source, at)?;
        if !self.is_fed_by_pulses {
            return None;
        }
        if place == self.targets.len() {
            self.targets.push(Target::of_heartbeats(source));
        }
        self.observe(place, Ok(told.unwrap_or_default()), Timing { sent: at, received: at }, line)
    }

    /// The state as last judged.
    #[must_use]
    pub fn state(&self) -> NodeState {
        self.state
    }

    /// No new viewers from the next judgement on. An order already in force is replaced; its beginning stands.
    pub fn drain(&mut self, order: Drain) {
        let since = self.drain.as_ref().map_or(order.since, |before| before.since);
        self.drain = Some(Drain { since, ..order });
    }

    /// Ends an operator's order as of the next judgement, and returns it.
    pub fn undrain(&mut self) -> Option<Drain> {
        self.drain.take()
    }

    /// The operator's order in force, as last judged.
    #[must_use]
    pub fn drained(&self) -> Option<&Drain> {
        self.drain.as_ref()
    }

    /// The node has just joined the fleet: its limits are ramped up, see [`health::ramp`].
    pub fn join(&mut self, now: Moment) {
        self.joined = Some(now);
    }

    /// What an earlier watch has learnt of the node's capacity.
    pub fn warm(&mut self, record: Record, now: Moment) {
        self.proven.recall(record, now);
    }

    /// Players have reported so many stalls here since the last probe.
    pub fn stalled(&mut self, reports: u32) {
        self.stalls = self.stalls.saturating_add(reports);
    }

    /// Takes in what a probe of target number `target` brought; settles bookings on `line` if it closed the
    /// window that shows them. Returns what the fleet can learn from it. Out-of-range targets (of an older
    /// configuration) are ignored.
    pub fn observe(
        &mut self,
        target: usize,
        outcome: Result<Reading, ProbeFailure>,
        timing: Timing,
        line: &Line,
    ) -> Option<Lesson> {
        let slot = self.targets.get_mut(target)?;
        slot.report.took_ms = timing.age_ms();
        let closed = match outcome {
            Ok(reading) => slot.good(reading, timing),
            Err(failure) => {
                slot.probes.bad(failure.is_silence());
                slot.report.failure = Some(failure);
                None
            }
        };
        slot.report.failed = slot.probes.failed;
        slot.report.good_at = slot.probes.good_at;
        let closed = closed?;
        self.windows = self.windows.saturating_add(1);
        self.round.connected(closed.connected, timing.received);
        if self.primary() == Some(target) {
            self.settle(timing, line);
            self.round.rate(&closed);
        }
        let mut lesson = self.round.lesson(self.merged().clients, line, timing)?;
        lesson.system_cores_per_mbps = self.system_cost.per_mbps() * f64::from(self.cpus());
        lesson.process_cores_per_mbps = self.process_cost.per_mbps();
        // Judged after each probe; a fifth window unjudged would be a caller that never judges.
        let _ = self.unproven.try_push(lesson);
        Some(lesson)
    }

    /// Logical CPUs; 1 where no page tells.
    fn cpus(&self) -> u32 {
        self.targets.iter().find_map(|target| target.load.cpus).unwrap_or(1)
    }

    /// Whether the node delivers what its viewers should get; what one needs is learnt only if it does.
    fn prove(&mut self, capacity: Capacity, settings: WatchSettings, now: Moment) {
        for lesson in std::mem::take(&mut self.unproven) {
            let flow = lesson.flow;
            let clients =
                (flow.clients_before + lesson.presence * flow.connected - 0.5 * flow.departed()).max(0.0);
            let by_stream = self.expected_mbps(lesson.presence, clients);
            let delivery = Delivery {
                rate_mbps: flow.rate_mbps,
                expected_mbps: by_stream.unwrap_or(clients * self.traffic.mbps_per_client()),
                grain: if by_stream.is_some() { Grain::Streams } else { Grain::Node },
                clients,
                arrived: flow.connected,
                departed: flow.departed(),
                own: lesson.own,
                stalls: std::mem::take(&mut self.stalls),
                stalls_expected: clients * STALLS_PER_CLIENT_S * flow.seconds,
                at: now,
                interval_ms: settings.interval_ms,
            };
            let alarm = !flow.coarse && self.proven.learn(&delivery, capacity.mbps);
            self.traffic.learn(&flow, alarm || self.proven.is_suspected(now, settings.interval_ms));
        }
    }

    /// What `clients` viewers should have got by the lists of streams, Mbit/s; `None`: they do not tell.
    fn expected_mbps(&mut self, presence: f64, clients: f64) -> Option<f64> {
        let mut apart = false;
        let told = self.targets.iter_mut().filter_map(|target| {
            let expected = target.streams.expected(presence)?;
            apart |= target.rank.is_none();
            Some(expected)
        });
        let expected = told.reduce(Expected::plus)?;
        // A list on a page of its own is not as old as the rate: it tells what a viewer needs, the counter how many.
        let share = if apart && expected.clients > 0.0 { clients / expected.clients } else { 1.0 };
        Some(expected.mbps * share)
    }

    /// The target whose windows show the egress: the NIC's, else the media server's, else any.
    fn primary(&self) -> Option<usize> {
        let ranked = self.targets.iter().enumerate().filter_map(|(i, target)| Some((target.rank?, i)));
        ranked.min().map(|(_, i)| i)
    }

    fn settle(&mut self, timing: Timing, line: &Line) {
        let batch = line.close_window(timing.received);
        let start = self.settled_at.unwrap_or(batch.since);
        self.carried = self.carry.settle(batch, start, timing.received, timing.age_ms());
        self.settled_at = Some(timing.received);
        self.round.own(&batch, start, timing.received);
        self.settled_kbps += batch.kbps;
        self.unlearnt = true;
    }

    /// Bookings of windows closed since this was last asked, kbit/s: to be taken back from the PoP's uplink once the
    /// ledger knows what they came to.
    pub fn take_settled_kbps(&mut self) -> u64 {
        std::mem::take(&mut self.settled_kbps)
    }

    /// Whether the node has been judged, so that [`Watch::line`] means something.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.basis.status != 0
    }

    /// Judges the node as of `now` and returns what is to be shown; [`Watch::line`] then says what to book against.
    pub fn judge(
        &mut self,
        node: &Node,
        settings: WatchSettings,
        learnt: &Learnt,
        now: Moment,
    ) -> NodeReport {
        let missed = node.missed.unwrap_or(pulse::MISSED);
        while let Some(place) = self.pulses.forget_one(missed, now) {
            if self.is_fed_by_pulses {
                self.targets.remove(place);
            }
        }
        let settings = self.paced(settings);
        let pulse = self.pulses.report(missed, now);
        let load = self.merged();
        let capacity = Capacity::of(node, &load, settings.assumed_mbps);
        let pressure = Pressure::of(&load, capacity, node);
        let evidence = self.evidence();
        if std::mem::take(&mut self.unlearnt) {
            self.system_cost.learn(load.system_cpu, load.egress_mbps, capacity.mbps);
            self.process_cost.learn(load.hottest.as_ref().map(|p| p.cores), load.egress_mbps, capacity.mbps);
        }
        self.prove(capacity, settings, now);
        let overloaded = self.flag.observe(pressure.tightest().map_or(0.0, |(_, x)| x));
        let found = self.found_state(evidence, settings, (overloaded, pulse.as_ref()), now, node);
        if self.found == NodeState::Down && found != NodeState::Down {
            self.joined = Some(now);
        }
        self.found = found;
        let state = self.next_state(now);
        if state != self.state {
            (self.state, self.since) = (state, now);
        }
        self.basis = Basis {
            rate_mbps: load.egress_mbps,
            by_clients_mbps: load
                .clients
                .filter(|_| !self.round.is_coarse())
                .and_then(|clients| self.traffic.by_clients_mbps(clients)),
            cost: [
                1.0 / self.proven.effective_mbps(capacity.mbps, node.thresholds.bandwidth),
                learnt_or(self.system_cost, learnt.system_cost.cautious() / f64::from(self.cpus())),
                learnt_or(self.process_cost, learnt.process_cost.cautious()),
            ],
            measured: pressure,
            carried: self.carried,
            mbps_per_client: self.traffic.mbps_per_client(),
            hazard: if load.clients.is_some() { self.traffic.hazard(learnt.hazard.value()) } else { 0.0 },
            settled_at: self.settled_at,
            joined: self.joined,
            status: self.status(node),
        };
        NodeReport {
            state,
            since: self.since,
            drain: self.drain.clone(),
            reasons: self.reasons(node, &load, capacity, &pressure, (evidence, pulse.as_ref()), now),
            pulse,
            interval_ms: settings.interval_ms,
            load,
            capacity: Some(capacity),
            pressure,
            carried_mbps: self.carried.unseen_mbps,
            evidence,
            windows: self.windows,
            coarse: self.targets.iter().any(|target| target.coarse),
            proven_mbps: self.proven.proven_mbps(),
            capped_mbps: self.proven.cap_mbps(),
            mbps_per_client: Some(self.traffic.mbps_per_client()).filter(|mbps| *mbps > 0.0),
            targets: self.targets.iter().map(|target| target.report.clone()).collect(),
        }
    }

    /// What the ledger must say as of `now`, from what was last judged: viewers leave and limits ramp up between
    /// scrapes.
    #[must_use]
    pub fn line(&self, node: &Node, settings: WatchSettings, learnt: &Learnt, now: Moment) -> LineUpdate {
        self.basis.line(node, self.paced(settings), learnt.kappa.value(), now)
    }

    /// The settings in the rhythm in which this node's evidence comes.
    fn paced(&self, settings: WatchSettings) -> WatchSettings {
        let pulses_ms = if self.is_fed_by_pulses { self.pulses.interval_ms() } else { 0 };
        WatchSettings { interval_ms: settings.interval_ms.max(pulses_ms), ..settings }
    }

    /// Whether nobody answers at this node.
    fn is_silent(&self) -> bool {
        let dead = |target: &Target| target.probes.is_dead();
        self.targets.iter().all(dead) || self.targets.iter().any(|target| target.is_media && dead(target))
    }

    /// What all targets together say.
    fn merged(&self) -> Load {
        let mut merged = Load::default();
        let mut ranked: Vec<&Target> = self.targets.iter().filter(|target| target.rank.is_some()).collect();
        ranked.sort_by_key(|target| target.rank);
        for target in &ranked {
            merged.merge(&target.load);
        }
        // Several media servers behind one NIC that no page shows: their own counts add up.
        if !ranked.iter().any(|target| target.rank == Some(Rank::Nic)) {
            let sent: Vec<f64> = ranked.iter().filter_map(|target| target.load.egress_mbps).collect();
            merged.egress_mbps = (!sent.is_empty()).then(|| sent.iter().sum());
        }
        merged
    }

    /// When the oldest part of the evidence came. A target that has never been good gives none; it shows up in
    /// the reasons instead, so that one broken exporter does not take a fleet out.
    fn evidence(&self) -> Option<Moment> {
        self.targets.iter().filter(|target| target.rank.is_some()).map(|target| target.load.oldest).min()
    }

    /// The state to show: an operator's order, until its time is up, and else what the evidence says.
    fn next_state(&mut self, now: Moment) -> NodeState {
        self.drain = self.drain.take().filter(|order| !order.is_over(now));
        if self.drain.is_some() { NodeState::Draining } else { self.found }
    }

    fn found_state(
        &self,
        evidence: Option<Moment>,
        settings: WatchSettings,
        (overloaded, pulse): (bool, Option<&PulseReport>),
        now: Moment,
        node: &Node,
    ) -> NodeState {
        let is_missing = pulse.is_some_and(|pulse| pulse.is_missing);
        // Where exporters are asked, they are the evidence, unless the node is there by its heartbeats alone.
        if is_missing && (self.is_fed_by_pulses || node.missed.is_some()) {
            return NodeState::Down;
        }
        if self.is_fed_by_pulses {
            if self.targets.iter().all(|target| target.rank.is_none()) {
                return NodeState::Unmeasured;
            }
        } else if self.is_silent() {
            // It has closed its doors and still speaks: it waits for its viewers to finish.
            return if pulse.is_some() && !is_missing { NodeState::Draining } else { NodeState::Down };
        }
        // Pages that never come right are evidence of nothing, and no newer than the start.
        match evidence.unwrap_or(self.begun) {
            evidence if health::is_stale(evidence, now, settings.interval_ms) => NodeState::Stale,
            _ if !self.is_measured() => NodeState::Starting,
            _ if overloaded => NodeState::Overloaded,
            _ => NodeState::Healthy,
        }
    }

    /// Whether every target that answers has closed a window.
    fn is_measured(&self) -> bool {
        let mut answering = self.targets.iter().filter(|target| target.rank.is_some()).peekable();
        answering.peek().is_some() && answering.all(|target| target.closed_a_window)
    }

    fn status(&self, node: &Node) -> u32 {
        let found = match self.found {
            NodeState::Starting => status::STARTING,
            NodeState::Down => status::DOWN,
            NodeState::Stale => status::STALE,
            NodeState::Draining => status::DRAINING,
            NodeState::Unmeasured => status::UNMEASURED,
            NodeState::Healthy | NodeState::Overloaded => 0,
        };
        let order = if self.drain.is_some() { status::DRAINING } else { 0 };
        found | order | reach(node)
    }

    /// Everything an operator should know, the state's own reason first.
    fn reasons(
        &self,
        node: &Node,
        load: &Load,
        capacity: Capacity,
        pressure: &Pressure,
        (evidence, pulse): (Option<Moment>, Option<&PulseReport>),
        now: Moment,
    ) -> Vec<String> {
        let mut reasons: Vec<String> = self.drain.iter().map(Drain::in_words).collect();
        if self.found == NodeState::Draining {
            reasons.push(pulse::LEAVING.to_owned());
        }
        reasons.extend(pulse.filter(|pulse| pulse.is_missing).map(|pulse| pulse.in_words(now)));
        if self.flag.is_on() {
            for resource in Resource::ALL {
                if pressure.by[resource.index()].is_some_and(|x| x >= health::OVERLOADED_OFF) {
                    reasons.push(pressure::reason(resource, load, capacity, node));
                }
            }
        }
        if let Some(mbps) = self.proven.cap_mbps() {
            reasons.push(format!(
                "capacity: its viewers got less than their streams need; taken as {mbps:.0} of {:.0} Mbit/s",
                capacity.mbps
            ));
        }
        if self.found == NodeState::Stale {
            let evidence = evidence.unwrap_or(self.begun);
            reasons.push(format!("no good sample for {:.0} s", now.since_s(evidence)));
        }
        for target in &self.targets {
            if let Some(failure) = &target.report.failure {
                reasons.push(format!("{}: {failure}", target.report.url));
            }
            reasons.extend(
                target.report.findings.iter().map(|finding| format!("{}: {finding}", target.report.url)),
            );
        }
        reasons
    }
}

/// What a node has learnt one Mbit/s to cost, else what the fleet has.
fn learnt_or(own: UnitCost, fleet: f64) -> f64 {
    if own.per_mbps() > 0.0 { own.per_mbps() } else { fleet }
}

/// How a node can be reached: its bits of [`status::REACH`].
#[must_use]
pub fn reach(node: &Node) -> u32 {
    let bit = |has: bool, bit: u32| if has { bit } else { 0 };
    bit(!node.ipv4.is_empty(), status::HAS_V4)
        | bit(!node.ipv6.is_empty(), status::HAS_V6)
        | bit(node.ports.http.is_some(), status::HAS_HTTP)
        | bit(node.ports.https.is_some(), status::HAS_HTTPS)
        | bit(node.ports.rtmp.is_some(), status::HAS_RTMP)
}

#[cfg(test)]
mod tests;
