//! Tests of what tasks share: bookings on an uplink over scrapes, sweeps and reloads.

mod readiness;

use super::*;
use crate::config::Config;
use crate::schedule::booking::status;
use crate::schedule::fleet::{Fleet, OnOverload, PoolSpec};
use crate::schedule::node::NodeIndex;
use crate::schedule::reading::{HostReading, MediaReading};
use crate::schedule::uplink::{Uplink, UplinkSpec};
use crate::schedule::watch::WatchSettings;

const NODES: &str = r#"
pools = [{ name = "edges" }]
domains = [{ name = "live.example.com", pool = "edges" }]
nodes = [
  { id = "sh-1", pool = "edges", pop = "sh", addresses = ["203.0.113.10"], bandwidth = "1Gbps", exporters = ["http://10.0.0.1:9100/metrics"] },
  { id = "sh-2", pool = "edges", pop = "sh", addresses = ["203.0.113.11"], bandwidth = "1Gbps", exporters = ["http://10.0.0.2:9100/metrics"] },
]
"#;

const A: NodeIndex = NodeIndex(0);
const B: NodeIndex = NodeIndex(1);

fn edges() -> PoolSpec {
    PoolSpec { name: "edges".into(), on_overload: OnOverload::Serve }
}

pub(in crate::state) fn live() -> Live {
    live_of(NODES)
}

fn live_of(text: &str) -> Live {
    let nodes = Config::parse(text, "test").unwrap().nodes;
    let uplink = Uplink { mbps: 1_250.0, limit: 0.8 };
    let fleet = Fleet::build(nodes, &[edges()], &[]).unwrap();
    let plan = Plan {
        booking: true,
        watch: WatchSettings { interval_ms: 10_000, assumed_mbps: 1_000.0 },
        default_kbps: 3_000,
        ttl_s: (5, 60),
        replicas: Some(1),
        congestion_km: 10.0,
        affinity_km: 40.0,
        terms: Default::default(),
    };
    Live::new(fleet.with_uplinks(&[UplinkSpec { pop: "sh".into(), uplink }]), plan, Moment(0))
}

/// A page on which `mbit` were sent by `at_s`.
fn page(live: &Live, node: NodeIndex, mbit: f64, at_s: u32) {
    let host = HostReading { cpus: 1, transmit_bytes: Some(mbit * 125_000.0), ..HostReading::default() };
    let reading = Reading { clock_s: Some(f64::from(at_s)), host: Some(host), ..Reading::default() };
    let at = Moment(u64::from(at_s) * 1_000);
    live.observe(node, 0, Ok(reading), Timing { sent: at, received: at }, at);
}

/// What is on the uplink of `sh`, Mbit/s.
fn on_uplink(live: &Live) -> f32 {
    live.ledger.uplink_pressure(B, 0.0, false) * 1_000.0
}

#[track_caller]
fn assert_near(found: f32, expected: f32) {
    assert!((found - expected).abs() < 0.2, "{found} Mbit/s on the uplink, expected {expected}");
}

#[test]
fn a_scrape_moves_bookings_into_the_carry_and_then_into_the_rate() {
    let live = live();
    page(&live, A, 0.0, 10);
    page(&live, A, 1_000.0, 20);
    assert_near(on_uplink(&live), 100.0);
    // 40 Mbit/s booked at the very end of the window: no sample can have seen any of it.
    live.ledger.book(A, 40_000, Moment(29_999));
    assert_near(on_uplink(&live), 140.0);
    page(&live, A, 2_000.0, 30);
    assert_near(on_uplink(&live), 140.0);
    // Its viewer connected a second after that: this window's rate shows nine tenths of it …
    page(&live, A, 3_360.0, 40);
    assert_near(on_uplink(&live), 140.0);
    assert_near(live.ledger.uplinks().told(A).1, 4.0);
    // … and the next one's all.
    page(&live, A, 4_760.0, 50);
    assert_near(on_uplink(&live), 140.0);
    assert_near(live.ledger.uplinks().told(A).1, 0.0);
}

#[test]
fn a_sweep_before_the_first_judgement_leaves_a_node_its_addresses() {
    let (state, _suspicions) = State::new(live(), Clock::system());
    state.sweep();
    assert!(
        state.live().ledger.line(A).is(status::HAS_V4) && state.live().ledger.line(A).is(status::STARTING)
    );
}

#[test]
fn a_reload_gives_a_measured_node_its_new_addresses_and_ports_at_once() {
    let reach = |live: &Live, node| live.ledger.line(node).status() & status::REACH;
    let (before, more) = (live(), "\"203.0.113.10\", \"2001:db8::10\"], media = { https = 8443 }");
    for node in [A, B] {
        page(&before, node, 0.0, 10);
        page(&before, node, 1_000.0, 20);
    }
    let next = live_of(&NODES.replace("\"203.0.113.10\"]", more));
    next.inherit(&before, Moment(25_000));
    let whole = status::HAS_V4 | status::HAS_V6 | status::HAS_HTTPS;
    assert_eq!((reach(&next, A), reach(&next, B)), (whole, status::HAS_V4));
    let last = live();
    last.inherit(&next, Moment(26_000));
    assert_eq!(reach(&last, A), status::HAS_V4, "and takes them away");
}

#[test]
fn a_reload_takes_what_is_on_an_uplink_along() {
    let before = live();
    page(&before, A, 0.0, 10);
    page(&before, A, 1_000.0, 20);
    before.ledger.book(A, 40_000, Moment(25_000));
    before.ledger.book(B, 7_000, Moment(25_000));
    let next = live();
    next.inherit(&before, Moment(25_000));
    assert_near(on_uplink(&next), 147.0);
    before.ledger.book(B, 3_000, Moment(25_001));
    next.inherit_bookings(&before);
    assert_near(on_uplink(&next), 150.0);
}

#[test]
fn many_more_viewers_than_the_configured_replicas_explain_are_an_alarm_until_they_are_gone() {
    let (state, _suspicions) = State::new(live(), Clock::system());
    assert!(!state.check_kappa(&state.live()), "nothing learnt: as configured");
    let media = |at_s: u32, clients: f64| MediaReading {
        identity: "srs".into(),
        clients: Some(100.0),
        clients_total: Some(clients),
        send_bytes: Some(f64::from(at_s) * 1e6),
        receive_bytes: None,
    };
    for (i, at_s) in (1u32..20).map(|i| (i, 10 * i)) {
        let media = Some(media(at_s, 500.0 * f64::from(i)));
        let reading = Reading { clock_s: Some(f64::from(at_s)), media, ..Reading::default() };
        let at = Moment(u64::from(at_s) * 1_000);
        state.live().observe(A, 0, Ok(reading), Timing { sent: at, received: at }, at);
    }
    assert!(state.check_kappa(&state.live()), "500 viewers every 10 s, no answer of ours, one replica");
    let unbound = Live::new(
        Fleet::build(Config::parse(NODES, "test").unwrap().nodes, &[edges()], &[]).unwrap(),
        Plan { replicas: None, ..state.live().plan },
        Moment(0),
    );
    state.replace(unbound);
    assert!(!state.check_kappa(&state.live()), "no number of replicas to hold it against");
}

#[test]
fn a_player_who_failed_at_a_node_has_its_whole_pop_probed_once_a_second() {
    let (state, mut suspicions) = State::new(live(), Clock::system());
    let mut probed = || -> Vec<Box<str>> {
        let mut ids: Vec<Box<str>> = std::iter::from_fn(|| suspicions.try_recv().ok()).collect();
        ids.sort();
        ids
    };
    for _ in 0..100 {
        state.suspect("203.0.113.11".parse().unwrap());
        state.suspect("192.0.2.200".parse().unwrap());
    }
    assert_eq!(probed(), ["sh-1".into(), "sh-2".into()]);
    assert_eq!(probed(), []);
}
