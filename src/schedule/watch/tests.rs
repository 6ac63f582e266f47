//! Tests of a node's memory: states, reasons, bookings settled, targets that fail.

mod pulses;

use super::*;
use crate::schedule::booking::Line;
use crate::schedule::reading::{HostReading, MediaReading, ProcessCpu, ProcessReading, StreamReading};

const SETTINGS: WatchSettings = WatchSettings { interval_ms: 10_000, assumed_mbps: 1_000.0 };

fn node(exporters: &[&str]) -> Node {
    Node {
        ipv4: vec![[192, 0, 2, 1].into()],
        bandwidth_mbps: Some(1_000.0),
        exporters: exporters.iter().map(|url| Box::from(*url)).collect(),
        ..Node::new("sh-1", "edges", "shanghai")
    }
}

fn timing(received_ms: u64) -> Timing {
    Timing { sent: Moment(received_ms), received: Moment(received_ms) }
}

/// A machine with one CPU that has been `busy_s` seconds busy and sent `mbit` by `clock_s`.
fn host(clock_s: f64, busy_s: f64, mbit: f64) -> Reading {
    let host = HostReading {
        cpus: 1,
        idle_s: clock_s - busy_s,
        transmit_bytes: Some(mbit * 125_000.0),
        ..HostReading::default()
    };
    Reading { clock_s: Some(clock_s), host: Some(host), ..Reading::default() }
}

fn srs(pid: u32, cores: f64) -> Reading {
    Reading {
        processes: vec![ProcessReading {
            name: "srs".into(),
            pid: Some(pid),
            cpu: ProcessCpu::Cores(cores),
            processes: 1,
            start_time_s: None,
        }],
        media: Some(MediaReading {
            identity: format!("srs/{pid}").into(),
            clients: Some(10.0),
            clients_total: Some(10.0),
            send_bytes: Some(0.0),
            receive_bytes: Some(0.0),
        }),
        ..Reading::default()
    }
}

/// One node under test, with its line.
struct Bench {
    node: Node,
    watch: Watch,
    line: Line,
    learnt: Learnt,
}

impl Bench {
    fn new(exporters: &[&str]) -> Self {
        let node = node(exporters);
        let watch = Watch::new(&node, Moment(0));
        let line = Line::default();
        Self { node, watch, line, learnt: Learnt::new(Some(1), 1) }
    }

    fn page(&mut self, target: usize, reading: Reading, at_ms: u64) -> NodeReport {
        self.watch.observe(target, Ok(reading), timing(at_ms), &self.line);
        self.judge(at_ms)
    }

    fn fail(&mut self, target: usize, failure: ProbeFailure, at_ms: u64) -> NodeReport {
        self.watch.observe(target, Err(failure), timing(at_ms), &self.line);
        self.judge(at_ms)
    }

    fn judge(&mut self, at_ms: u64) -> NodeReport {
        let report = self.watch.judge(&self.node, SETTINGS, &self.learnt, Moment(at_ms));
        self.line.update(&self.watch.line(&self.node, SETTINGS, &self.learnt, Moment(at_ms)));
        report
    }
}

fn refused() -> ProbeFailure {
    ProbeFailure::Connect("connection refused".into())
}

#[test]
fn a_node_is_starting_until_its_first_window_and_then_healthy() {
    let mut bench = Bench::new(&["a"]);
    assert_eq!(bench.judge(0).state, NodeState::Starting);
    assert_eq!(bench.page(0, host(100.0, 0.0, 0.0), 1_000).state, NodeState::Starting);
    assert!(bench.line.is(status::STARTING));
    let report = bench.page(0, host(110.0, 2.0, 2_000.0), 11_000);
    assert_eq!((report.state, report.since), (NodeState::Healthy, Moment(11_000)));
    assert!((bench.line.pressure(1.0, 0.0) - 0.25).abs() < 1e-6, "200 of 800 Mbit/s, and 0.2 of 0.8 CPU");
}

#[test]
fn a_hot_process_overloads_an_idle_machine_and_says_so_in_words() {
    let mut bench = Bench::new(&["host", "srs"]);
    bench.page(0, host(100.0, 0.0, 0.0), 1_000);
    bench.page(1, srs(812, 0.2), 1_000);
    bench.page(0, host(110.0, 1.0, 100.0), 11_000);
    let report = bench.page(1, srs(812, 0.86), 11_000);
    assert_eq!(report.state, NodeState::Overloaded);
    assert_eq!(report.reasons, ["process srs pid 812 at 0.86 of a core, limit 0.80"]);
    assert!(bench.line.pressure(1.0, 0.0) > 1.0);
}

#[test]
fn a_refused_media_exporter_is_a_dead_node_and_a_refused_side_exporter_is_not() {
    let mut bench = Bench::new(&["host", "srs"]);
    for (at_s, clock) in [(1, 100.0), (11, 110.0)] {
        bench.page(0, host(clock, 0.0, 0.0), at_s * 1_000);
        bench.page(1, srs(812, 0.2), at_s * 1_000);
    }
    bench.fail(0, refused(), 21_000);
    assert_eq!(bench.fail(0, refused(), 31_000).state, NodeState::Healthy);
    bench.page(0, host(140.0, 0.0, 0.0), 41_000);
    assert_eq!(bench.fail(1, refused(), 41_000).state, NodeState::Healthy, "once is no death");
    let report = bench.fail(1, refused(), 51_000);
    assert_eq!(report.state, NodeState::Down);
    assert_eq!(report.reasons, ["srs: connect: connection refused"]);
    assert!(bench.line.is(status::DOWN));
    assert_eq!(bench.page(1, srs(813, 0.2), 61_000).state, NodeState::Healthy, "a good page ends it");
}

#[test]
fn broken_pages_make_a_node_stale_after_six_intervals_and_never_down() {
    let mut bench = Bench::new(&["a"]);
    bench.page(0, host(100.0, 0.0, 0.0), 1_000);
    bench.page(0, host(110.0, 1.0, 100.0), 11_000);
    let garbage = ProbeFailure::Parse("no exposition text".into());
    for i in 2..8 {
        assert_eq!(bench.fail(0, garbage.clone(), 1_000 + i * 10_000).state, NodeState::Healthy);
    }
    let report = bench.fail(0, garbage, 81_000);
    assert_eq!(report.state, NodeState::Stale);
    assert_eq!(report.reasons, ["no good sample for 70 s", "a: parse: no exposition text"]);
    assert!((bench.line.pressure(1.0, 0.0) - 0.125).abs() < 1e-6, "the last estimate stays");
}

#[test]
fn pages_that_never_come_right_make_a_node_stale_and_a_good_one_ends_it() {
    let mut bench = Bench::new(&["a"]);
    let status = || ProbeFailure::Http("status 404".into());
    assert_eq!(bench.fail(0, status(), 51_000).state, NodeState::Starting);
    let report = bench.fail(0, status(), 61_000);
    assert_eq!(report.state, NodeState::Stale);
    assert_eq!(report.reasons, ["no good sample for 61 s", "a: http: status 404"]);
    assert_eq!(bench.page(0, host(100.0, 0.0, 0.0), 71_000).state, NodeState::Starting);
    assert_eq!(bench.page(0, host(110.0, 1.0, 100.0), 81_000).state, NodeState::Healthy);
}

#[test]
fn a_target_that_never_answered_is_named_and_the_others_count() {
    let mut bench = Bench::new(&["host", "process"]);
    bench.fail(1, refused(), 1_000);
    bench.page(0, host(100.0, 0.0, 0.0), 1_000);
    let report = bench.page(0, host(110.0, 1.0, 100.0), 11_000);
    assert_eq!(report.state, NodeState::Healthy);
    assert_eq!(report.reasons, ["process: connect: connection refused"]);
}

#[test]
fn bookings_leave_the_ledger_when_a_window_has_seen_them_and_the_rest_is_carried() {
    let mut bench = Bench::new(&["host"]);
    bench.page(0, host(100.0, 0.0, 0.0), 1_000);
    bench.page(0, host(110.0, 0.0, 0.0), 11_000);
    bench.line.book(80_000, Moment(16_000));
    assert!((bench.line.pressure(1.0, 0.0) - 0.1).abs() < 1e-6);
    // Connected at 17 s: 4 of the window's 10 seconds show its 80 Mbit/s.
    let report = bench.page(0, host(120.0, 0.0, 320.0), 21_000);
    assert!((report.carried_mbps - 48.0).abs() < 1e-9);
    assert!(
        (bench.line.pressure(1.0, 0.0) - 0.1).abs() < 1e-6,
        "32 measured and 48 carried are the 80 booked"
    );
}

#[test]
fn a_failed_scrape_keeps_every_booking() {
    let mut bench = Bench::new(&["host"]);
    bench.page(0, host(100.0, 0.0, 0.0), 1_000);
    bench.page(0, host(110.0, 0.0, 0.0), 11_000);
    bench.line.book(80_000, Moment(12_000));
    for i in 2..30 {
        bench.fail(0, refused(), 1_000 + i * 10_000);
    }
    assert!((bench.line.booked_mbps() - 80.0).abs() < 1e-6);
}

#[test]
fn a_node_without_exporters_is_unmeasured_and_carries_no_bookings() {
    let mut bench = Bench::new(&[]);
    let report = bench.judge(5);
    assert_eq!(report.state, NodeState::Unmeasured);
    bench.line.book(8_000_000, Moment(6));
    assert!(bench.line.pressure(1.0, 100.0) == 0.0);
}

#[test]
fn capacity_nobody_tells_is_assumed_and_shown_as_such() {
    let mut bench = Bench::new(&["host"]);
    bench.node.bandwidth_mbps = None;
    bench.page(0, host(100.0, 0.0, 0.0), 1_000);
    let report = bench.page(0, host(110.0, 0.0, 9_000.0), 11_000);
    assert_eq!(report.reasons, ["egress 900 Mbit/s is 0.90 of 1000 Mbit/s (assumed capacity), limit 0.80"]);
}

fn order(since_ms: u64, until_ms: Option<u64>) -> Drain {
    Drain {
        reason: Some("kernel update".into()),
        since: Moment(since_ms),
        until: until_ms.map(Moment),
        evict_per_minute: None,
    }
}

#[test]
fn a_drained_node_stays_draining_whatever_its_evidence_says_until_it_is_undrained() {
    let mut bench = Bench::new(&["a"]);
    bench.page(0, host(100.0, 0.0, 0.0), 1_000);
    bench.page(0, host(110.0, 1.0, 100.0), 11_000);
    bench.watch.drain(order(12_000, None));
    let report = bench.judge(12_000);
    assert_eq!((report.state, report.since), (NodeState::Draining, Moment(12_000)));
    assert_eq!(report.reasons, ["drained by an operator: kernel update"]);
    assert!(bench.line.is(status::DRAINING));
    bench.fail(0, refused(), 21_000);
    assert_eq!(bench.fail(0, refused(), 31_000).state, NodeState::Draining);
    assert!(bench.line.is(status::DRAINING) && bench.line.is(status::DOWN));
    bench.watch.drain(Drain { reason: None, ..order(32_000, None) });
    let report = bench.page(0, host(140.0, 1.0, 3_100.0), 41_000);
    assert_eq!(report.reasons, ["drained by an operator"]);
    assert_eq!(
        report.drain.map(|order| order.since),
        Some(Moment(12_000)),
        "a second order begins nothing anew"
    );
    assert!(bench.watch.undrain().is_some());
    assert_eq!(bench.judge(42_000).state, NodeState::Healthy);
    assert!(!bench.line.is(status::DRAINING));
    assert!(bench.line.pressure(1.0, 0.0) > 0.4, "it was away meanwhile, so it is filled up slowly");
    assert!(bench.watch.undrain().is_none());
}

#[test]
fn a_drain_ends_by_itself_when_its_time_is_up() {
    let mut bench = Bench::new(&[]);
    bench.watch.drain(order(5, Some(60_005)));
    let report = bench.judge(60_004);
    assert_eq!(report.state, NodeState::Draining);
    assert!(bench.line.is(status::UNMEASURED), "what is known of the node otherwise stays known");
    let report = bench.judge(60_005);
    assert_eq!((report.state, report.drain), (NodeState::Unmeasured, None));
    assert!(!bench.line.is(status::DRAINING));
}

/// A list of one stream of 3 Mbit/s.
fn list(clients: f64) -> Reading {
    let stream = StreamReading { key: 1, clients, kbps: 3_000.0 };
    Reading { streams: vec![stream], ..Reading::default() }
}

/// A media server that has sent `mbit` to 100 viewers by then.
fn busy(mbit: f64) -> Reading {
    let media = MediaReading {
        identity: "srs/812".into(),
        clients: Some(100.0),
        clients_total: Some(1_000.0),
        send_bytes: Some(mbit * 125_000.0),
        receive_bytes: None,
    };
    Reading { media: Some(media), ..Reading::default() }
}

#[test]
fn a_page_of_streams_is_no_load_and_settles_no_booking() {
    let mut bench = Bench::new(&["streams", "host"]);
    for at_s in [1, 11, 21] {
        assert_eq!(bench.page(0, list(10.0), at_s * 1_000).state, NodeState::Starting, "it shows no load");
    }
    bench.line.book(50_000, Moment(21_500));
    let report = bench.page(0, list(20.0), 31_000);
    assert_eq!((report.evidence, report.windows), (None, 0));
    assert!((bench.line.booked_mbps() - 50.0).abs() < 1e-6, "no window of it shows the egress");
    bench.page(1, host(100.0, 0.0, 0.0), 32_000);
    let report = bench.page(1, host(110.0, 1.0, 1_000.0), 42_000);
    assert_eq!(report.state, NodeState::Healthy, "nor is it waited for");
    assert!(bench.line.booked_mbps().abs() < 1e-6);
    bench.fail(0, refused(), 43_000);
    assert_eq!(
        bench.fail(0, refused(), 53_000).state,
        NodeState::Healthy,
        "it is not the media server's death"
    );
}

#[test]
fn a_page_of_streams_shows_what_viewers_should_get() {
    for (delivered_mbps, falls_short) in [(301.0, false), (240.0, true)] {
        let mut bench = Bench::new(&["host", "srs", "streams"]);
        for (round, at_s) in (1u32..6).map(|round| (f64::from(round), 10 * u64::from(round))) {
            // One viewer fewer than counted: the list is younger than the rate.
            bench.page(2, list(99.0), at_s * 1_000 - 500);
            bench.page(1, busy(0.0), at_s * 1_000);
            let sent = 10.0 * round * delivered_mbps;
            let report = bench.page(0, host(10.0 * round, 0.0, sent), at_s * 1_000);
            if round >= 4.0 {
                assert_eq!(report.capped_mbps.is_some(), falls_short, "{delivered_mbps} of 300 Mbit/s");
            }
        }
    }
}

/// What happens to a node of which 10 answers are booked in each second: pages that come, fail or begin anew.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Page,
    Fails,
    CounterReset,
}

proptest::proptest! {
    /// A booking is at all times on the line, or carried, or old enough for the rate to show it.
    #[test]
    fn no_booking_is_ever_lost_or_negative_whatever_the_pages_do(
        turns in proptest::collection::vec(
            proptest::sample::select(vec![Turn::Page, Turn::Page, Turn::Fails, Turn::CounterReset]), 1..30),
    ) {
        let mut bench = Bench::new(&["a"]);
        let (mut mbit, mut booked): (f64, Vec<u64>) = (0.0, Vec::new());
        bench.page(0, host(100.0, 0.0, mbit), 0);
        for (i, turn) in (0u64..).zip(&turns) {
            let end_ms = (i + 1) * 10_000;
            for at_ms in (end_ms - 10_000..end_ms).step_by(1_000) {
                bench.line.book(1_000, Moment(at_ms));
                booked.push(at_ms);
            }
            let carried_before = bench.watch.carried.unseen_mbps;
            let on_line_before = f64::from(bench.line.booked_mbps());
            match turn {
                Turn::Page => { mbit += 100.0; bench.page(0, host(100.0 + end_ms as f64 / 1e3, 0.0, mbit), end_ms); }
                Turn::Fails => { bench.fail(0, refused(), end_ms); }
                Turn::CounterReset => { mbit = 0.0; bench.page(0, host(100.0 + end_ms as f64 / 1e3, 0.0, mbit), end_ms); }
            }
            let (carried, on_line) = (bench.watch.carried.unseen_mbps, f64::from(bench.line.booked_mbps()));
            proptest::prop_assert!(carried >= 0.0 && on_line >= 0.0);
            // Whoever was booked in the last second before the end cannot be in any rate yet.
            proptest::prop_assert!(carried + on_line >= 1.0 - 1e-6, "{turn:?}: {carried} + {on_line} Mbit/s");
            if !matches!(turn, Turn::Page) && bench.watch.settled_at.is_none_or(|at| at.0 < end_ms) {
                proptest::prop_assert!((carried - carried_before).abs() < 1e-9, "silence frees nothing");
                proptest::prop_assert!((on_line - on_line_before).abs() < 1e-6, "silence frees nothing");
            }
        }
    }
}
