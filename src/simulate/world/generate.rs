//! Fleets for held-out seeds, drawn by the rules the given ones were drawn by: edges in 75 % of the cities, more
//! where more viewers live, egress of 1, 2, 4, 10, 20, 40 Gbit/s with probability .2 .2 .2 .25 .1 .05, about one
//! in ten bound by its CPU before its NIC.

use crate::schedule::place::Location;

use super::super::alias::Alias;
use super::super::edge::Machine;
use super::super::random::{Purpose, Random};
use super::{City, Spec};

const CITIES_WITH_EDGES: f64 = 0.75;
/// Egress, Mbit/s; its probability; cores, and cores of the weaker build.
const BUILDS: [(f64, f64, f64, f64); 6] = [
    (1_000.0, 0.2, 4.0, 4.0),
    (2_000.0, 0.2, 4.0, 4.0),
    (4_000.0, 0.2, 8.0, 8.0),
    (10_000.0, 0.25, 16.0, 4.0),
    (20_000.0, 0.1, 32.0, 8.0),
    (40_000.0, 0.05, 32.0, 8.0),
];
const WEAKER_BUILD: f64 = 0.3;
const CORES_PER_MBPS: (f64, f64) = (0.000_315, 0.000_63);
/// Data centres lie around their city: standard deviation, degrees.
const SCATTER: f64 = 0.1;

pub(super) fn edges(count: usize, seed: u64, cities: &[City]) -> anyhow::Result<Vec<Spec>> {
    let mut random = Random::new(seed, Purpose::Fleet);
    let chosen = random.subset(cities.len(), CITIES_WITH_EDGES);
    let weights: Vec<f64> =
        chosen.iter().map(|city| cities[*city].viewers.sqrt() * random.between(0.3, 2.0)).collect();
    let (towns, builds) = (Alias::new(&weights), Alias::new(&BUILDS.map(|build| build.1)));
    let specs = (0..count).map(|i| {
        let city = &cities[chosen[towns.draw(&mut random)]];
        let (egress_mbps, _, cores, weaker) = BUILDS[builds.draw(&mut random)];
        let machine = Machine {
            egress_mbps,
            cores: if random.chance(WEAKER_BUILD) { weaker } else { cores },
            cores_per_mbps: random.between(CORES_PER_MBPS.0, CORES_PER_MBPS.1),
        };
        let (north, east) = (random.normal() * SCATTER, random.normal() * SCATTER);
        let location = Location::new(city.location.latitude() + north, city.location.longitude() + east)?;
        Ok(Spec { id: format!("e{i:04}").into(), pop: city.name.clone(), location, machine })
    });
    specs.collect()
}
