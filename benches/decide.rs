//! What a decision costs: with booking and two fallbacks, on one core, beside the plain scan.
//!
//! `cargo bench --bench decide`. The reference world of the simulator: 82 cities, PoPs in them (500 PoPs: several around
//! each), 20,000 clients by the cities' weights, 4,000 streams by Zipf 0.9. Fleets of 300, 1,000 and 10,000 nodes.
//! Prints the median of 7 repeats in ns per decision; and, because memory decides most of it, how long this machine
//! takes for one load that misses its caches.

#![expect(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use nearcast::schedule::Moment;
use nearcast::schedule::affinity::Bucket;
use nearcast::schedule::booking::{Ledger, LineUpdate, status};
use nearcast::schedule::decide::decide;
use nearcast::schedule::fleet::{DomainSpec, Fleet, OnOverload, PoolIndex, PoolSpec};
use nearcast::schedule::node::{Node, NodeIndex};
use nearcast::schedule::place::Location;
use nearcast::schedule::policy::{Plain, Policy, PolicyKind};
use nearcast::schedule::scene::{Ask, Family, Picks, Scene, mix};

const ASKS: usize = 20_000;

struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 += 1;
        (mix(self.0) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A place up to `degrees` from another one.
    fn near(&mut self, (latitude, longitude): (f64, f64), degrees: f64) -> Location {
        let mut off = || (2.0 * self.unit() - 1.0) * degrees;
        let (latitude, longitude) = (latitude + off(), longitude + off());
        Location::new(latitude.clamp(-85.0, 85.0), (longitude + 540.0).rem_euclid(360.0) - 180.0).unwrap()
    }
}

struct City {
    place: (f64, f64),
    /// Σ of the weights up to this one.
    weight: f64,
}

fn cities() -> Vec<City> {
    let rows = include_str!("../tests/data/fleet/cities.csv").lines().skip(1);
    let mut sum = 0.0;
    let city = |row: &str| {
        let fields: Vec<&str> = row.split(',').collect();
        let number = |i: usize| fields[i].parse::<f64>().unwrap();
        sum += number(4);
        City { place: (number(2), number(3)), weight: sum }
    };
    rows.map(city).collect()
}

fn fleet(nodes: usize, pops: usize, dice: &mut Dice) -> Fleet {
    let cities = cities();
    let spread = if pops > cities.len() { 3.0 } else { 0.0 };
    let places: Vec<Location> =
        (0..pops).map(|i| dice.near(cities[i % cities.len()].place, spread)).collect();
    let nodes = (0..nodes).map(|i| Node {
        ipv4: vec![std::net::Ipv4Addr::from(0x0a00_0000 + u32::try_from(i).unwrap())],
        location: Some(places[i % pops]),
        bandwidth_mbps: Some([1e3, 2e3, 4e3, 1e4, 2e4, 4e4][(dice.unit() * 6.0) as usize]),
        ..Node::new(&format!("e{i:05}"), "edges", &format!("p{:04}", i % pops))
    });
    let pool = PoolSpec { name: "edges".into(), on_overload: OnOverload::Serve };
    let domain = DomainSpec { name: "live".into(), pool: "edges".into(), policy: PolicyKind::Priced };
    Fleet::build(nodes.collect(), &[pool], &[domain]).unwrap()
}

/// A ledger whose nodes are at `low` to `high` of their limit.
fn ledger(fleet: &Fleet, low: f64, high: f64, dice: &mut Dice) -> Ledger {
    let ledger = Ledger::new(fleet, 1.0, 10.0);
    for i in 0..u32::try_from(fleet.nodes.len()).unwrap() {
        let x = (low + (high - low) * dice.unit()) as f32;
        // A slope so small that a benchmark's millions of bookings do not fill the fleet.
        let update = LineUpdate {
            base: [x, 0.3, 0.2],
            slope: [1e-9, 1e-10, 1e-10],
            floor: 0.1,
            status: status::HAS_V4,
            ..LineUpdate::default()
        };
        ledger.update(NodeIndex(i), &update);
    }
    ledger
}

fn asks(dice: &mut Dice) -> Vec<Ask<'static>> {
    let cities = cities();
    let viewers = cities.last().map_or(0.0, |city| city.weight);
    let zipf: Vec<f64> = (1..=4_000)
        .scan(0.0, |sum, rank| {
            *sum += f64::from(rank).powf(-0.9);
            Some(*sum)
        })
        .collect();
    let ask = |i: usize| Ask {
        pool: PoolIndex(0),
        policy: PolicyKind::Priced,
        client: {
            let drawn = dice.unit() * viewers;
            let city = cities.partition_point(|city| city.weight <= drawn);
            Some(dice.near(cities[city].place, 1.0))
        },
        kbps: 3_000,
        family: Family::Both,
        avoid: &[],
        tried: &[],
        ways: 0,
        current: None,
        stays: false,
        count: 3,
        bucket: {
            let drawn = dice.unit() * zipf[zipf.len() - 1];
            Bucket::of_hash(zipf.partition_point(|sum| *sum <= drawn) as u64)
        },
        isp: None,
        affinity_km: 40.0,
        ticket: i as u64,
        rtt: None,
        now: Moment(10_000),
    };
    (0..ASKS).map(ask).collect()
}

fn median_ns(mut work: impl FnMut()) -> f64 {
    work();
    let mut runs: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_nanos() as f64 / ASKS as f64
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[3]
}

/// One load that depends on the one before and misses the caches: a walk through 16 MB in random order, ns.
fn miss_ns() -> f64 {
    const LINES: usize = 1 << 18;
    let mut order: Vec<usize> = (0..LINES).collect();
    for i in (1..LINES).rev() {
        order.swap(i, (mix(i as u64) % i as u64) as usize);
    }
    let mut next = vec![[0_usize; 8]; LINES];
    for (from, to) in order.iter().zip(order.iter().cycle().skip(1)) {
        next[*from][0] = *to;
    }
    let mut at = 0;
    median_ns(|| (0..ASKS).for_each(|_| at = black_box(next[at][0])))
}

fn main() {
    println!("One load that misses the caches: {:.0} ns\n", miss_ns());
    println!("| nodes | PoPs | load of the limit | decide + book, ns | plain scan, ns | ratio |");
    println!("|--:|--:|---|--:|--:|--:|");
    for (nodes, pops) in [(300, 82), (1_000, 82), (10_000, 500)] {
        let mut dice = Dice(nodes as u64);
        let fleet = fleet(nodes, pops, &mut dice);
        let asks = asks(&mut dice);
        for (name, low, high) in
            [(".2-.7", 0.2, 0.7), (".5-.95", 0.5, 0.95), ("half full", 0.9, 1.1), ("full", 1.26, 1.4)]
        {
            let ledger = ledger(&fleet, low, high, &mut dice);
            let fast = median_ns(|| {
                for ask in &asks {
                    black_box(decide(&fleet, &ledger, ask));
                }
            });
            let plain = median_ns(|| {
                for ask in &asks[..ASKS / 100] {
                    let mut picks = Picks::new();
                    Plain.rank(&Scene::new(&fleet, &ledger, ask), &mut picks);
                    black_box(picks);
                }
            }) * 100.0;
            println!("| {nodes} | {pops} | {name} | {fast:.0} | {plain:.0} | {:.4} |", fast / plain);
        }
    }
}
