//! Tests of readiness: whom it waits for, and for how long.

use super::super::*;
use crate::config::Config;
use crate::schedule::fleet::{DomainSpec, Fleet, OnOverload, PoolSpec};
use crate::schedule::node::NodeIndex;
use crate::schedule::policy::PolicyKind;
use crate::schedule::watch::WatchSettings;

const INTERVAL_MS: u64 = 10_000;

/// A fleet of nodes `n0`, `n1` …, each with one exporter.
fn state(nodes: usize) -> Arc<State> {
    let node = |i| {
        format!(
            "[[nodes]]\nid = \"n{i}\"\npool = \"p\"\naddresses = [\"192.0.2.{i}\"]\nexporters = [\"http://10.0.0.{i}/\"]\n"
        )
    };
    let text: String = (0..nodes).map(node).collect();
    let text = format!("pools = [{{ name = \"p\" }}]\ndomains = [{{ name = \"d\", pool = \"p\" }}]\n{text}");
    let pool = PoolSpec { name: "p".into(), on_overload: OnOverload::Serve };
    let domain = DomainSpec { name: "d".into(), pool: "p".into(), policy: PolicyKind::default() };
    let fleet = Fleet::build(Config::parse(&text, "test").unwrap().nodes, &[pool], &[domain]).unwrap();
    let plan = Plan {
        watch: WatchSettings { interval_ms: INTERVAL_MS, assumed_mbps: 1_000.0 },
        default_kbps: 3_000,
        ttl_s: (5, 60),
        replicas: None,
        congestion_km: 10.0,
        affinity_km: 40.0,
        terms: crate::schedule::terms::TermSettings::default(),
        booking: true,
    };
    let clock = Clock::system();
    State::new(Live::new(fleet, plan, clock.now()), clock).0
}

/// Every one of these nodes has answered with an error page for more than six intervals.
fn never_right(state: &State, nodes: std::ops::Range<u32>) {
    let late = state.clock().now().plus_ms(7 * INTERVAL_MS);
    for i in nodes {
        let failure = Err(ProbeFailure::Http("status 404".into()));
        state.live().observe(NodeIndex(i), 0, failure, Timing { sent: late, received: late }, late);
    }
    state.sweep();
}

#[test]
fn a_replica_does_not_wait_for_pages_that_never_come_right() {
    let state = state(10);
    for i in 0..8 {
        let refused = || Err(ProbeFailure::Connect("refused".into()));
        for _ in 0..2 {
            state.observed(&format!("n{i}"), 0, refused(), Timing { sent: Moment(1), received: Moment(1) });
        }
    }
    assert!(!state.readiness().ready);
    never_right(&state, 8..10);
    assert_eq!(state.readiness(), Readiness { ready: true, reasons: Vec::new(), nodes: 10, measured: 10 });
}

#[test]
fn a_replica_that_understands_no_page_at_all_is_not_ready() {
    let state = state(3);
    never_right(&state, 0..3);
    let readiness = state.readiness();
    assert!(!readiness.ready && readiness.reasons[0].contains("our own scraping"), "{readiness:?}");
    assert!(state.live().ledger.stale_rule_off());
}
