//! The world of a run: cities with viewers, edges, and the scheduler's own fleet made of them.
//!
//! The reference fleets are data (`tests/data/fleet`), the same that the evidence behind the figures used. Seeds
//! above 3 get a fleet drawn by the same rules ([`generate`]): they are held out, nothing is tuned on them.

mod generate;
mod own;

use std::collections::HashMap;
use std::net::Ipv4Addr;

use anyhow::Context;

use crate::schedule::fleet::{DomainSpec, Fleet, OnOverload, PoolSpec};
use crate::schedule::node::Node;
use crate::schedule::place::Location;
use crate::schedule::policy::PolicyKind;
use crate::schedule::terms::TermSettings;
use crate::schedule::thresholds::Thresholds;
use crate::schedule::uplink::{Uplink, UplinkSpec};
use crate::schedule::watch::WatchSettings;

use super::edge::Machine;
use super::random::{Purpose, Random};
use super::replica::Settings;
use super::scenario::{Scenario, SharedUplinks};

const CITIES: &str = include_str!("../../tests/data/fleet/cities.csv");

/// The reference fleets: number of edges, seed, data.
const FLEETS: [(usize, u64, &str); 9] = [
    (100, 1, include_str!("../../tests/data/fleet/edges-100-seed1.csv")),
    (100, 2, include_str!("../../tests/data/fleet/edges-100-seed2.csv")),
    (100, 3, include_str!("../../tests/data/fleet/edges-100-seed3.csv")),
    (300, 1, include_str!("../../tests/data/fleet/edges-300-seed1.csv")),
    (300, 2, include_str!("../../tests/data/fleet/edges-300-seed2.csv")),
    (300, 3, include_str!("../../tests/data/fleet/edges-300-seed3.csv")),
    (1_000, 1, include_str!("../../tests/data/fleet/edges-1000-seed1.csv")),
    (1_000, 2, include_str!("../../tests/data/fleet/edges-1000-seed2.csv")),
    (1_000, 3, include_str!("../../tests/data/fleet/edges-1000-seed3.csv")),
];

/// The one pool and domain of a simulated fleet.
const POOL: &str = "edges";

/// Where viewers live.
#[derive(Clone, Debug)]
pub(super) struct City {
    /// Its name; PoPs of the reference fleets are named after it.
    pub(super) name: Box<str>,
    /// Its place.
    pub(super) location: Location,
    /// Share of the viewers, any unit.
    pub(super) viewers: f64,
    /// Part of the world: "China", "Americas".
    pub(super) region: Box<str>,
}

/// Cities, edges and the scheduler's view of them.
#[derive(Debug)]
pub(super) struct World {
    /// Where viewers live.
    pub(super) cities: Vec<City>,
    /// True machines, in the order of the fleet's nodes.
    pub(super) machines: Vec<Machine>,
    /// What the scheduler knows.
    pub(super) fleet: Fleet,
    /// The same nodes, each a PoP of its own: for rules that know no PoPs.
    apart: Fleet,
    /// What the line that a PoP's nodes share carries, Mbit/s; `None`: more than they can send.
    pub(super) uplinks: Vec<Option<f64>>,
    /// How the scheduler is configured.
    scheduler: Scheduler,
    /// From each city to each node, km: city-major.
    km: Vec<f32>,
    /// It is an operator's own fleet, not the reference's.
    pub(super) own: bool,
}

/// Lines that PoPs share.
#[derive(Clone, Debug, Default)]
struct Lines {
    /// Those the scheduler is told of.
    told: Vec<UplinkSpec>,
    /// Those it is not.
    untold: Vec<UplinkSpec>,
}

/// How the scheduler is configured, where that matters here.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scheduler {
    /// L, km.
    congestion_km: f64,
    /// A, km.
    affinity_km: f64,
    /// `None`: not told.
    replicas: Option<u32>,
    /// Capacity of a node that tells none, Mbit/s.
    assumed_mbps: f64,
    /// Price and provider.
    terms: TermSettings,
}

/// The defaults of a configuration that says nothing.
const DEFAULT: Scheduler = Scheduler {
    congestion_km: 10.0,
    affinity_km: 40.0,
    replicas: None,
    assumed_mbps: 1_000.0,
    terms: TermSettings { price_km: 0.0, isp_km: 0.0, distance_budget_km: None },
};

/// An edge to be: a line of the data.
#[derive(Clone, Debug)]
struct Spec {
    id: Box<str>,
    pop: Box<str>,
    location: Location,
    machine: Machine,
}

// === impl World ===

impl World {
    /// The reference world of a scenario and seed.
    ///
    /// # Errors
    /// The embedded data cannot be read; never in a build that passed its tests.
    pub(super) fn reference(scenario: &Scenario, seed: u64) -> anyhow::Result<Self> {
        let cities = cities()?;
        let data = FLEETS.iter().find(|(size, of, _)| (*size, *of) == (scenario.edges, seed));
        let specs = match data {
            Some((_, _, csv)) => edges_of(csv, &cities)?,
            None => generate::edges(scenario.edges, seed, &cities)?,
        };
        let mut random = Random::new(seed, Purpose::Mistakes);
        let mut nodes: Vec<Node> = specs.iter().zip(0u32..).map(|(spec, i)| node(spec, i)).collect();
        if let Some((share, factor)) = scenario.understated {
            for index in random.subset(nodes.len(), share) {
                nodes[index].bandwidth_mbps = Some(specs[index].machine.egress_mbps * factor);
            }
        }
        let lines =
            scenario.uplinks.map_or_else(Lines::default, |uplinks| narrow(&specs, uplinks, &mut random));
        Self::assemble(cities, nodes, &by_id(&specs), &lines, None)
    }

    /// A small world for tests: one city per place, nodes by id.
    #[cfg(test)]
    pub(super) fn tiny(places: &[(f64, f64)], nodes: &[(&str, (f64, f64), f64)]) -> anyhow::Result<Self> {
        let cities = places.iter().map(|(latitude, longitude)| {
            let location = Location::new(*latitude, *longitude)?;
            Ok(City { name: "town".into(), location, viewers: 1.0, region: "China".into() })
        });
        let specs: Vec<Spec> = nodes
            .iter()
            .map(|(id, (latitude, longitude), egress_mbps)| {
                let machine = Machine { egress_mbps: *egress_mbps, cores: 0.0, cores_per_mbps: 0.0 };
                Ok(Spec {
                    id: (*id).into(),
                    pop: (*id).into(),
                    location: Location::new(*latitude, *longitude)?,
                    machine,
                })
            })
            .collect::<anyhow::Result<_>>()?;
        let nodes = specs.iter().zip(0u32..).map(|(spec, i)| node(spec, i)).collect();
        Self::assemble(cities.collect::<anyhow::Result<_>>()?, nodes, &by_id(&specs), &Lines::default(), None)
    }

    /// Puts a world together; its nodes stand in the order of the fleet's. `scheduler`: of an operator's own
    /// fleet, `None` of the reference's.
    fn assemble(
        cities: Vec<City>,
        nodes: Vec<Node>,
        machines: &HashMap<Box<str>, Machine>,
        lines: &Lines,
        scheduler: Option<Scheduler>,
    ) -> anyhow::Result<Self> {
        let pools = [PoolSpec { name: POOL.into(), on_overload: OnOverload::Serve }];
        let policy = PolicyKind::default();
        let domains = [DomainSpec { name: "live.example.com".into(), pool: POOL.into(), policy }];
        // By a name that keeps the order: a node's number is the same in both.
        let alone =
            |node: &Node| Node { pop: format!("{}\u{1}{}", node.pop, node.id).into(), ..node.clone() };
        let apart = nodes.iter().map(alone).collect();
        let apart = Fleet::build(apart, &pools, &domains)?;
        let fleet = Fleet::build(nodes, &pools, &domains)?.with_uplinks(&lines.told);
        let machines = fleet.nodes.iter().map(|node| {
            machines.get(&node.id).copied().with_context(|| format!("no machine for node {}", node.id))
        });
        let points: Vec<_> = fleet.nodes.iter().map(|node| node.location.map(Location::point)).collect();
        let mut km = Vec::with_capacity(cities.len() * points.len());
        for city in &cities {
            let from = city.location.point();
            km.extend(points.iter().map(|to| to.map_or(0.0, |to| from.distance_km(to)) as f32));
        }
        Ok(Self {
            machines: machines.collect::<anyhow::Result<_>>()?,
            uplinks: fleet.pops.iter().map(|pop| lines.of(&pop.name)).collect(),
            own: scheduler.is_some(),
            scheduler: scheduler.unwrap_or(DEFAULT),
            cities,
            fleet,
            apart,
            km,
        })
    }

    /// The fleet as a replica knows it, with its PoPs or without.
    pub(super) fn known(&self, knows_pops: bool) -> &Fleet {
        if knows_pops { &self.fleet } else { &self.apart }
    }

    /// What a replica is configured with.
    pub(super) fn settings(&self, interval_s: f64) -> Settings {
        let Scheduler { congestion_km, affinity_km, replicas, assumed_mbps, terms } = self.scheduler;
        Settings {
            watch: WatchSettings { interval_ms: (interval_s * 1e3) as u64, assumed_mbps },
            replicas,
            congestion_km: congestion_km as f32,
            affinity_km: affinity_km as f32,
            terms,
        }
    }

    /// From a city to a node, km.
    pub(super) fn km(&self, city: u16, node: u32) -> f32 {
        self.km[usize::from(city) * self.machines.len() + node as usize]
    }

    /// All nodes in order of their distance from a city.
    pub(super) fn outwards(&self, city: u16) -> Vec<u32> {
        let mut nodes: Vec<u32> = (0u32..).take(self.machines.len()).collect();
        nodes.sort_by(|a, b| self.km(city, *a).total_cmp(&self.km(city, *b)).then(a.cmp(b)));
        nodes
    }

    /// The region of each PoP: that of the city nearest to it.
    pub(super) fn region_of(&self, pop: usize) -> &str {
        let Some(point) = self.fleet.pops[pop].point else { return "elsewhere" };
        let km = |city: &City| city.location.point().distance_km(point);
        let nearest = self.cities.iter().min_by(|a, b| km(a).total_cmp(&km(b)));
        nearest.map_or("elsewhere", |city| &city.region)
    }

    /// Σ of configured egress, Mbit/s.
    pub(super) fn egress_mbps(&self) -> f64 {
        self.machines.iter().map(|machine| machine.egress_mbps).sum()
    }
}

/// Puts some PoPs on a line that carries only a share of what their edges can send.
fn narrow(specs: &[Spec], uplinks: SharedUplinks, random: &mut Random) -> Lines {
    let mut pops: Vec<&str> = specs.iter().map(|spec| &*spec.pop).collect();
    pops.sort_unstable();
    pops.dedup();
    let line = |index: usize| {
        let here = specs.iter().filter(|spec| &*spec.pop == pops[index]);
        let mbps = uplinks.factor * here.map(|spec| spec.machine.effective_mbps()).sum::<f64>();
        UplinkSpec {
            pop: pops[index].into(),
            uplink: Uplink { mbps, limit: Thresholds::default().bandwidth },
        }
    };
    let lines = random.subset(pops.len(), uplinks.share).into_iter().map(line).collect();
    match uplinks.told {
        true => Lines { told: lines, untold: Vec::new() },
        false => Lines { told: Vec::new(), untold: lines },
    }
}

// === impl Lines ===

impl Lines {
    /// The line of a PoP, Mbit/s.
    fn of(&self, pop: &str) -> Option<f64> {
        self.told.iter().chain(&self.untold).find(|spec| &*spec.pop == pop).map(|spec| spec.uplink.mbps)
    }
}

fn by_id(specs: &[Spec]) -> HashMap<Box<str>, Machine> {
    specs.iter().map(|spec| (spec.id.clone(), spec.machine)).collect()
}

/// The 82 cities of the reference world.
fn cities() -> anyhow::Result<Vec<City>> {
    let rows = CITIES.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let [_, name, latitude, longitude, viewers, region] = fields[..] else {
            anyhow::bail!("cities.csv: {line:?} has {} fields, not 6", fields.len());
        };
        Ok(City {
            name: name.into(),
            location: Location::new(number(latitude)?, number(longitude)?)?,
            viewers: number(viewers)?,
            region: region.into(),
        })
    });
    rows.collect()
}

fn edges_of(csv: &str, cities: &[City]) -> anyhow::Result<Vec<Spec>> {
    let rows = csv.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let [id, city, latitude, longitude, egress, cores, cores_per_mbps] = fields[..] else {
            anyhow::bail!("edges: {line:?} has {} fields, not 7", fields.len());
        };
        let city = cities.get(city.parse::<usize>()?).with_context(|| format!("no city {city}"))?;
        let machine = Machine {
            egress_mbps: number(egress)?,
            cores: number(cores)?,
            cores_per_mbps: number(cores_per_mbps)?,
        };
        let location = Location::new(number(latitude)?, number(longitude)?)?;
        Ok(Spec { id: id.into(), pop: city.name.clone(), location, machine })
    });
    rows.collect()
}

fn number(text: &str) -> anyhow::Result<f64> {
    text.trim().parse().with_context(|| format!("{text:?} is not a number"))
}

/// What the scheduler is told of an edge.
fn node(spec: &Spec, index: u32) -> Node {
    Node {
        ipv4: vec![Ipv4Addr::from(0xC612_0000 + index)],
        location: Some(spec.location),
        bandwidth_mbps: Some(spec.machine.egress_mbps),
        exporters: vec![format!("http://{}/metrics", spec.id).into()],
        ..Node::new(&spec.id, POOL, &spec.pop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue;
    use super::*;

    fn of(edges: usize, seed: u64) -> World {
        World::reference(&Scenario { edges, ..*catalogue::named("base").unwrap() }, seed).unwrap()
    }

    #[test]
    fn every_embedded_fleet_can_be_read() {
        for (edges, seed, _) in FLEETS {
            let world = of(edges, seed);
            assert_eq!(world.machines.len(), edges);
            assert_eq!(world.cities.len(), 82);
        }
    }

    #[test]
    fn machines_and_nodes_stand_in_the_same_order() {
        let world = of(1_000, 2);
        for (machine, node) in world.machines.iter().zip(&world.fleet.nodes) {
            assert_eq!(Some(machine.egress_mbps), node.bandwidth_mbps);
        }
    }

    #[test]
    fn a_node_has_the_same_number_whether_pops_are_known_or_not() {
        let world = of(1_000, 3);
        let ids = |fleet: &Fleet| fleet.nodes.iter().map(|node| node.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(world.known(true)), ids(world.known(false)));
        assert_eq!(world.known(false).pops.len(), 1_000);
    }

    #[test]
    fn a_narrow_line_is_the_same_whether_the_scheduler_is_told_or_not() {
        let lines = |name| World::reference(catalogue::named(name).unwrap(), 1).unwrap();
        let (untold, told) = (lines("uplink"), lines("uplink-told"));
        assert_eq!(untold.uplinks, told.uplinks);
        let pops = |world: &World| world.fleet.pops.iter().filter(|pop| pop.uplink.is_some()).count();
        assert_eq!((pops(&untold), pops(&told)), (0, untold.uplinks.iter().flatten().count()));
    }

    #[test]
    fn a_held_out_fleet_is_like_the_given_ones() {
        let given = of(300, 1);
        let drawn = of(300, 11);
        let ratio = drawn.egress_mbps() / given.egress_mbps();
        assert!((0.6..1.6).contains(&ratio), "{ratio}");
        assert!((45..=70).contains(&drawn.fleet.pops.len()));
    }

    #[test]
    fn nodes_come_in_order_of_distance() {
        let world = of(100, 1);
        let order = world.outwards(0);
        assert!(order.windows(2).all(|pair| world.km(0, pair[0]) <= world.km(0, pair[1])));
    }
}
