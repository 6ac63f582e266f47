//! What a decision costs: with booking and two fallbacks, on one core, beside the plain scan.
//!
//! `cargo bench --bench decide`. Fleets of 300, 1,000 and 10,000 nodes in 82, 82 and 500 PoPs at random places;
//! 20,000 clients at random places, streams by Zipf. Prints the median of 7 repeats in ns per decision.

#![expect(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use nearcast::schedule::Moment;
use nearcast::schedule::affinity::Bucket;
use nearcast::schedule::booking::{Ledger, LineUpdate, status};
use nearcast::schedule::decide::decide;
use nearcast::schedule::fleet::{DomainSpec, Fleet, OnOverload, PoolIndex, PoolSpec};
use nearcast::schedule::node::{MediaPorts, Node, NodeIndex, Role};
use nearcast::schedule::place::Location;
use nearcast::schedule::policy::{Plain, Policy, PolicyKind};
use nearcast::schedule::scene::{Ask, Family, Picks, Scene, mix};
use nearcast::schedule::thresholds::Thresholds;

const ASKS: usize = 20_000;

struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 += 1;
        (mix(self.0) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn place(&mut self) -> Location {
        Location::new(self.unit() * 110.0 - 45.0, self.unit() * 360.0 - 180.0).unwrap()
    }
}

fn fleet(nodes: usize, pops: usize, dice: &mut Dice) -> Fleet {
    let places: Vec<Location> = (0..pops).map(|_| dice.place()).collect();
    let nodes = (0..nodes).map(|i| Node {
        id: format!("e{i:05}").into(),
        pool: "edges".into(),
        role: Role::Edge,
        pop: format!("p{:04}", i % pops).into(),
        ipv4: vec![std::net::Ipv4Addr::from(0x0a00_0000 + u32::try_from(i).unwrap())],
        ipv6: Vec::new(),
        location: Some(places[i % pops]),
        bandwidth_mbps: Some([1e3, 2e3, 4e3, 1e4, 2e4, 4e4][(dice.unit() * 6.0) as usize]),
        weight: 1.0,
        price: 1.0,
        isps: Vec::new(),
        thresholds: Thresholds::default(),
        ports: MediaPorts::default(),
        processes: Vec::new(),
        interfaces: Vec::new(),
        exporters: Vec::new(),
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
    let ask = |i: usize| Ask {
        pool: PoolIndex(0),
        policy: PolicyKind::Priced,
        client: Some(dice.place()),
        kbps: 3_000,
        family: Family::Both,
        avoid: &[],
        current: None,
        count: 3,
        bucket: Bucket::of_hash((dice.unit().powi(3) * 4_000.0) as u64),
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

fn main() {
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
