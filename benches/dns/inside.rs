//! What of an answer is ours: the same questions put to the front itself, without sockets.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nearcast::clock::Clock;
use nearcast::config::Config;
use nearcast::dns::{CookieSecret, Front, ZoneKeys};
use nearcast::geo::Locator;
use nearcast::resolver::Resolver;
use nearcast::schedule::booking::{LineUpdate, status};
use nearcast::schedule::fleet::{DomainSpec, Fleet, PoolSpec};
use nearcast::schedule::node::NodeIndex;
use nearcast::schedule::terms::TermSettings;
use nearcast::schedule::watch::WatchSettings;
use nearcast::state::{Live, Plan, State};
use nearcast::telemetry::Telemetry;

use crate::{load, servers};

const TURNS: usize = 15;

/// Prints ns for an answer by the number of nodes: the median and the least of some turns through all subnets.
pub(crate) fn measure(mmdb: &Path) {
    println!("| nodes | ns for an answer, median | least |");
    println!("|--:|--:|--:|");
    for nodes in [100, 1_000, 10_000] {
        let (front, clock) = front(nodes, mmdb);
        let queries: Vec<Vec<u8>> = load::subnets().map(|subnet| load::query(Some(subnet))).collect();
        let mut out = Vec::with_capacity(1_500);
        let mut turn = || {
            let began = Instant::now();
            for query in &queries {
                front.answer_http(query, Ipv4Addr::LOCALHOST.into(), &mut out);
                assert!(black_box(&out).len() > 60);
            }
            clock.tick();
            began.elapsed().as_nanos() as f64 / queries.len() as f64
        };
        (0..10).for_each(|_| _ = turn());
        let mut turns: Vec<f64> = (0..TURNS).map(|_| turn()).collect();
        turns.sort_by(f64::total_cmp);
        println!("| {nodes} | {:.0} | {:.0} |", turns[TURNS / 2], turns[0]);
    }
}

fn front(nodes: usize, mmdb: &Path) -> (Front, Clock) {
    let text = servers::configuration(nodes, mmdb, "127.0.0.1:0", "127.0.0.1:1", 8);
    let config = Config::parse(&text, "bench").unwrap();
    let pools = [PoolSpec { name: "edges".into(), on_overload: config.pools[0].on_overload.clone() }];
    let domain = &config.domains[0];
    let domains =
        [DomainSpec { name: domain.name.clone(), pool: domain.pool.clone(), policy: domain.policy }];
    let fleet = Fleet::build(config.nodes.clone(), &pools, &domains).unwrap();
    let plan = Plan {
        watch: WatchSettings { interval_ms: 10_000, assumed_mbps: 1_000.0 },
        default_kbps: 3_000,
        ttl_s: (5, 60),
        replicas: None,
        congestion_km: 10.0,
        affinity_km: 40.0,
        terms: TermSettings::default(),
        booking: true,
    };
    let clock = Clock::system();
    let live = Live::new(fleet, plan, clock.now());
    for index in 0..u32::try_from(nodes).unwrap() {
        let update = LineUpdate {
            base: [0.01, 0.1, 0.1],
            slope: [1.25e-7, 1e-9, 1e-9],
            status: status::HAS_V4,
            ..LineUpdate::default()
        };
        live.ledger.update(NodeIndex(index), &update);
    }
    let (state, _) = State::new(live, clock.clone());
    let locator = Locator::open(&config.geoip, &HashMap::new()).unwrap();
    let resolver = Resolver::new(state, Arc::new(locator), 7);
    let dns = config.dns.as_ref().unwrap();
    let telemetry = Arc::new(Telemetry::new());
    let keys = ZoneKeys::open(&dns.zones).unwrap();
    (Front::new(Arc::new(resolver), telemetry, CookieSecret([7; 16]), dns, &keys, &config.domains), clock)
}
