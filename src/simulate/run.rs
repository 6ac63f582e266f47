//! One run: a scenario in a world, asked in one way, with one seed. Single-threaded and deterministic.

mod faults;
mod scrapes;
mod seconds;
mod traffic;

use super::Kill;
use super::audience::Audience;
use super::dns::Resolvers;
use super::edge::Edge;
use super::events::{Event, Events};
use super::figures::Figures;
use super::progress::Progress;
use super::random::{Purpose, Random};
use super::replica::Replica;
use super::scenario::Scenario;
use super::tally::{Census, Tally, Upstream};
use super::time::At;
use super::timeline::Timeline;
use super::variant::Variant;
use super::viewers::Viewers;
use super::world::World;

use self::faults::Step;
use self::scrapes::Pending;
use self::seconds::Leaving;

/// Scrape rounds before the scenario begins: replicas have been up for a while.
const ROUNDS_BEFORE: f64 = 4.0;
/// The share of its true capacity (and of its PoP's uplink) that the start fills a node to.
const FILLED_TO: f64 = 0.6;

/// What a run came to.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) figures: Figures,
    pub(super) timeline: Timeline,
    /// Flashes were this many times what the scenario says.
    pub(super) crowd: f64,
    /// Who came and went; read by tests, because the books must balance.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by tests only"))]
    pub(super) census: Census,
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) world: &'a World,
    pub(super) variant: &'a Variant,
    pub(super) seed: u64,
    /// PoPs that an operator wants to see die.
    pub(super) kills: &'a [Kill],
    /// Viewers at the start, if not worth the scenario's `util`.
    pub(super) viewers: Option<u32>,
}

/// Viewers at the start of the reference world: flashes are sized for it.
const REFERENCE_VIEWERS: f64 = 300_000.0;
/// The share of its fleet's egress that these take.
const REFERENCE_UTIL: f64 = 0.42;

/// A run under way.
#[derive(Debug)]
struct Run<'a> {
    plan: Plan<'a>,
    now: At,
    /// When the scenario's second 0 is.
    origin: At,
    end: At,
    events: Events,
    audience: Audience,
    arrivals: Random,
    luck: Random,
    scraping: Random,
    harm: Random,
    viewers: Viewers,
    edges: Vec<Edge>,
    /// Nodes of each PoP.
    sites: Vec<Vec<u32>>,
    outwards: Vec<Vec<u32>>,
    replicas: Vec<Replica<'a>>,
    resolvers: Resolvers,
    pending: Vec<Option<Pending>>,
    steps: Vec<Step>,
    leaving: Option<Leaving>,
    arrivals_per_s: f64,
    /// Flashes are this many times what the scenario says: an operator's fleet is not the reference's size.
    crowd: f64,
    tally: Tally,
    census: Census,
    upstream: Upstream,
    upstream_to: At,
    last_use: Vec<f64>,
    timeline: Timeline,
}

/// Runs a plan to its end.
pub(super) fn run(plan: Plan<'_>, progress: &Progress) -> Outcome {
    let mut run = Run::new(plan);
    run.prepare();
    while let Some((at, event)) = run.events.next(run.end) {
        run.now = at;
        if event == Event::Second {
            progress.advance(1);
        }
        run.handle(event);
    }
    run.finish()
}

// === impl Run ===

impl<'a> Run<'a> {
    fn new(plan: Plan<'a>) -> Self {
        let Plan { scenario, world, seed, .. } = plan;
        let nodes = world.machines.len();
        let origin = At::from_s((ROUNDS_BEFORE * scenario.interval_s).ceil() + 5.0);
        let audience = Audience::new(world, scenario, seed);
        let mut sites = vec![Vec::new(); world.fleet.pops.len()];
        for (node, pop) in (0u32..).zip(&world.fleet.pop_of) {
            sites[usize::from(pop.0)].push(node);
        }
        let cities = (0u16..).take(world.cities.len());
        Self {
            plan,
            now: At(0),
            origin,
            end: origin.plus_s(scenario.duration_s),
            events: Events::default(),
            arrivals: Random::new(seed, Purpose::Viewers),
            luck: Random::new(seed, Purpose::Luck),
            scraping: Random::new(seed, Purpose::Scrapes),
            harm: Random::new(seed, Purpose::Faults),
            viewers: Viewers::default(),
            edges: world.machines.iter().map(|machine| Edge::new(*machine)).collect(),
            sites,
            outwards: cities.map(|city| world.outwards(city)).collect(),
            replicas: (0..scenario.replicas).map(|id| Self::replica(plan, id, At(0))).collect(),
            resolvers: Resolvers::new(world.cities.len()),
            pending: vec![None; nodes * scenario.replicas],
            steps: faults::steps(scenario, plan.kills),
            leaving: None,
            arrivals_per_s: 0.0,
            crowd: 1.0,
            tally: Tally::default(),
            census: Census::default(),
            upstream: Upstream::new(nodes, audience.streams()),
            upstream_to: At(0),
            last_use: vec![0.0; nodes],
            timeline: Timeline::new(scenario.duration_s, world.fleet.pops.len()),
            audience,
        }
    }

    fn replica(plan: Plan<'a>, id: usize, now: At) -> Replica<'a> {
        let Plan { scenario, world, variant, .. } = plan;
        let settings = world.settings(scenario.interval_s);
        Replica::new(world.known(variant.knows_pops), variant, settings, id as u64, now.moment())
    }

    /// Misfortunes that were there before, the first viewers, and everything that is planned ahead.
    fn prepare(&mut self) {
        let scenario = self.plan.scenario;
        self.assign_exporters();
        for step in 0..self.steps.len() {
            let at_s = self.steps[step].at_s;
            if at_s <= 0.0 {
                self.strike(step);
            } else {
                self.events.plan(self.origin.plus_s(at_s), Event::Fault(step as u32));
            }
        }
        self.settle_in();
        for replica in 0..self.replicas.len() as u32 {
            for node in 0..self.edges.len() as u32 {
                let phase_s = self.scraping.between(0.0, scenario.interval_s);
                self.events.plan(At(0).plus_s(phase_s), Event::Scrape(replica, node));
            }
        }
        self.events.plan(At::from_s(1.0), Event::Second);
        self.events.plan(self.origin, Event::Arrive);
        for (flash, what) in (0u32..).zip(scenario.flashes) {
            self.events.plan(self.origin.plus_s(what.at_s), Event::Flash(flash, 0));
        }
    }

    /// The viewers of the start, placed by an oracle: at the nearest node below its share of true capacity.
    fn settle_in(&mut self) {
        let share = self.plan.scenario.util * self.audience.hour(0.0);
        let wanted_kbit = (share * self.plan.world.egress_mbps() * 1e3) as u64;
        let mut cursors = vec![0usize; self.outwards.len()];
        let (mut kbit, mut count) = (0u64, 0u32);
        while self.plan.viewers.map_or(kbit < wanted_kbit, |viewers| count < viewers) {
            let mut viewer = self.audience.anybody(&mut self.arrivals);
            viewer.manner.settled = true;
            let stays_s = super::hold::residual_s(&mut self.arrivals);
            let node = self.oracle(viewer.city, viewer.kbps, &mut cursors);
            kbit += u64::from(viewer.kbps);
            count += 1;
            let ticket = self.viewers.admit(viewer);
            self.attach(ticket, node);
            self.plan_departure(self.origin.plus_s(stays_s), ticket);
            self.plan_poll(ticket, self.origin, true);
        }
        self.census.initial = u64::from(count);
        if self.plan.world.own {
            let util = self.plan.scenario.util / REFERENCE_UTIL;
            self.crowd = f64::from(count) / (REFERENCE_VIEWERS * util);
        }
        self.arrivals_per_s = self.audience.arrivals_per_s(count as usize) / self.audience.hour(0.0);
    }

    fn oracle(&self, city: u16, kbps: u32, cursors: &mut [usize]) -> u32 {
        let order = &self.outwards[usize::from(city)];
        let slack = |node: u32| {
            let edge = &self.edges[node as usize];
            let own_mbps = FILLED_TO * edge.capacity_mbps() - edge.demand_mbps();
            let pop = usize::from(self.plan.world.fleet.pop_of[node as usize].0);
            match self.plan.world.uplinks[pop] {
                Some(uplink_mbps) => own_mbps.min(FILLED_TO * uplink_mbps - self.pop_demand_mbps(pop)),
                None => own_mbps,
            }
        };
        let cursor = &mut cursors[usize::from(city)];
        while order.get(*cursor).is_some_and(|node| slack(*node) < 0.5) {
            *cursor += 1;
        }
        let fits = order[*cursor..].iter().find(|node| slack(**node) >= f64::from(kbps) / 1e3);
        let emptiest = || {
            let use_of = |node: &u32| self.utilisation(*node);
            order.iter().min_by(|a, b| use_of(a).total_cmp(&use_of(b)))
        };
        fits.or_else(emptiest).copied().unwrap_or(0)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrive => self.next_arrival(),
            Event::Flash(flash, nth) => self.next_of_flash(flash, nth),
            Event::Connect(ticket) => self.connect(ticket),
            Event::Depart(ticket) => self.depart(ticket),
            Event::AskAgain(ticket) => self.ask(ticket),
            Event::Poll(ticket) => self.poll(ticket),
            Event::Scrape(replica, node) => {
                let next = self.now.plus_s(self.plan.scenario.interval_s);
                self.events.plan(next, Event::Scrape(replica, node));
                self.scrape(replica, node);
            }
            Event::Probe(replica, node) => self.probe(replica, node),
            Event::Confirm(replica, node) => self.scrape(replica, node),
            Event::Fill(replica, node) => self.fill(replica, node),
            Event::Receive(replica, node) => self.receive(replica, node),
            Event::Second => self.second(),
            Event::Fault(step) => self.strike(step as usize),
        }
    }

    /// Seconds of the scenario; below 0 before it begins.
    fn second_s(&self) -> f64 {
        self.now.s() - self.origin.s()
    }

    /// How full a node is: of its own true capacity or of its PoP's uplink, whichever is fuller.
    fn utilisation(&self, node: u32) -> f64 {
        let own = self.edges[node as usize].utilisation();
        self.uplink_use(node).map_or(own, |shared| own.max(shared))
    }

    /// How full the uplink is that a node shares.
    fn uplink_use(&self, node: u32) -> Option<f64> {
        let pop = usize::from(self.plan.world.fleet.pop_of[node as usize].0);
        let uplink_mbps = self.plan.world.uplinks[pop]?;
        Some(self.pop_demand_mbps(pop) / uplink_mbps)
    }

    fn pop_demand_mbps(&self, pop: usize) -> f64 {
        self.sites[pop].iter().map(|node| self.edges[*node as usize].demand_mbps()).sum()
    }

    /// Books the time until now on a node, before anything about it changes. Who shares its uplink is changed
    /// by it, too.
    fn settle(&mut self, node: u32) {
        let Some(shared) = self.uplink_use(node) else {
            let edge = &mut self.edges[node as usize];
            let seconds = edge.integrate(self.now, 1.0);
            self.tally.spend(edge, edge.utilisation(), seconds);
            return;
        };
        let pop = usize::from(self.plan.world.fleet.pop_of[node as usize].0);
        for node in &self.sites[pop] {
            let edge = &mut self.edges[*node as usize];
            let seconds = edge.integrate(self.now, 1.0 / shared.max(1.0));
            self.tally.spend(edge, edge.utilisation().max(shared), seconds);
        }
    }

    fn settle_all(&mut self) {
        for node in 0..self.edges.len() as u32 {
            self.settle(node);
        }
        self.settle_upstream();
    }

    fn settle_upstream(&mut self) {
        let seconds = self.now.since_s(self.upstream_to);
        let (pulled, placed) = self.upstream.kbps();
        self.tally.pulled_kbit += pulled * seconds;
        self.tally.placed_kbit += placed * seconds;
        self.upstream_to = self.now;
    }

    fn finish(mut self) -> Outcome {
        self.now = self.end;
        self.settle_all();
        self.census.remained = self.viewers.count() as u64;
        let kappa = self.replicas.iter().map(Replica::kappa).sum::<f64>() / self.replicas.len() as f64;
        Outcome {
            figures: Figures::of(&self.tally, kappa),
            timeline: self.timeline,
            crowd: self.crowd,
            census: self.census,
        }
    }
}

#[cfg(test)]
mod tests;
