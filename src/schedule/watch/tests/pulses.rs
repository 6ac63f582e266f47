//! Tests of nodes that send heartbeats: with exporters and without, and when they stop.

use super::*;

/// What an SRS tells of itself in a heartbeat: one core at `cores`, all CPUs at `busy`, `mbit` sent so far.
fn told(pid: u32, cores: f64, busy: f64, mbit: f64, at_ms: u64) -> Reading {
    #[expect(clippy::cast_precision_loss, reason = "a test's milliseconds")]
    let clock_s = at_ms as f64 / 1000.0;
    let mut reading = srs(pid, cores);
    reading.host = Some(HostReading { cpus: 8, busy: Some(busy), ..HostReading::default() });
    let media = reading.media.take().map(|media| MediaReading {
        send_bytes: Some(mbit * 125_000.0),
        clients_total: None,
        ..media
    });
    Reading { clock_s: Some(clock_s), grain_s: 3.0, media, ..reading }
}

impl Bench {
    fn beat(&mut self, source: &str, told: Option<Reading>, at_ms: u64) -> NodeReport {
        self.watch.beat(source, told, Moment(at_ms), &self.line);
        self.judge(at_ms)
    }
}

#[test]
fn heartbeats_with_summaries_are_a_load_like_any_other() {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.judge(0).state, NodeState::Unmeasured);
    assert_eq!(bench.beat("vid-1", Some(told(7, 0.2, 0.1, 0.0, 1_000)), 1_000).state, NodeState::Starting);
    let report = bench.beat("vid-1", Some(told(7, 0.2, 0.1, 4_000.0, 11_000)), 11_000);
    assert_eq!((report.state, report.load.egress_mbps), (NodeState::Healthy, Some(400.0)));
    assert_eq!((report.load.system_cpu, report.load.clients), (Some(0.1), Some(10.0)));
    let report = bench.beat("vid-1", Some(told(7, 0.9, 0.1, 8_000.0, 21_000)), 21_000);
    assert_eq!(report.state, NodeState::Overloaded);
    assert_eq!(report.reasons, ["process srs pid 7 at 0.90 of a core, limit 0.80"]);
}

#[test]
fn processes_that_share_a_node_add_up_and_the_hottest_decides() {
    let mut bench = Bench::new(&[]);
    for at_ms in [1_000, 11_000] {
        let mbit = if at_ms == 1_000 { 0.0 } else { 2_000.0 };
        bench.beat("vid-1", Some(told(7, 0.1, 0.3, mbit, at_ms)), at_ms);
        bench.beat("vid-2", Some(told(8, 0.5, 0.3, mbit, at_ms)), at_ms);
    }
    let report = bench.judge(11_000);
    assert_eq!((report.load.egress_mbps, report.load.clients), (Some(400.0), Some(20.0)));
    assert_eq!(report.load.hottest.unwrap().pid, Some(8));
    // One of them ends, the other goes on: what it told goes with it.
    for at_ms in [21_000, 31_000, 41_000, 51_000] {
        bench.beat("vid-1", Some(told(7, 0.1, 0.3, 2_000.0, at_ms)), at_ms);
    }
    let report = bench.judge(51_000);
    assert_eq!((report.state, report.targets.len()), (NodeState::Healthy, 1));
    assert_eq!(report.load.hottest.unwrap().pid, Some(7));
}

#[test]
fn without_summaries_it_is_up_and_unmeasured() {
    let mut bench = Bench::new(&[]);
    let report = bench.beat("vid-1", None, 1_000);
    assert_eq!((report.state, report.targets.len()), (NodeState::Unmeasured, 1));
    assert!(bench.line.is(status::UNMEASURED));
    assert_eq!(report.pulse.unwrap().sources, ["vid-1".into()]);
}

#[test]
fn missed_heartbeats_are_down_and_say_so_in_words() {
    let mut bench = Bench::new(&[]);
    bench.node.missed = Some(2);
    for at_ms in [1_000, 2_000] {
        bench.beat("vid-1", Some(told(7, 0.1, 0.1, 0.0, at_ms)), at_ms);
    }
    let look_again = bench.judge(2_000).pulse.unwrap().look_again;
    assert_ne!(bench.judge(look_again.0).state, NodeState::Down);
    let report = bench.judge(look_again.0 + 1);
    assert_eq!((report.state, look_again), (NodeState::Down, Moment(4_500)));
    assert_eq!(report.reasons[0], "no heartbeat for 3 s, one was due every 1.0 s");
    assert!(bench.line.is(status::DOWN));
    let report = bench.beat("vid-1", Some(told(7, 0.1, 0.1, 0.0, 6_000)), 6_000);
    assert_eq!(report.state, NodeState::Healthy);
}

#[test]
fn silent_exporters_with_heartbeats_are_a_node_that_leaves_and_without_them_a_dead_one() {
    let mut bench = Bench::new(&["host", "srs"]);
    for (at_s, clock) in [(1, 100.0), (11, 110.0)] {
        bench.page(0, host(clock, 0.0, 0.0), at_s * 1_000);
        bench.page(1, srs(812, 0.2), at_s * 1_000);
        bench.beat("vid-1", Some(told(812, 0.9, 0.9, 0.0, at_s * 1_000)), at_s * 1_000);
    }
    let report = bench.judge(11_000);
    assert_eq!((report.state, report.targets.len()), (NodeState::Healthy, 2), "told twice, it counts once");
    bench.fail(1, refused(), 21_000);
    bench.beat("vid-1", None, 21_000);
    let report = bench.fail(1, refused(), 31_000);
    assert_eq!((report.state, report.drain), (NodeState::Draining, None));
    assert!(report.reasons[0].starts_with("leaving: "), "{:?}", report.reasons);
    assert!(bench.line.is(status::DRAINING));
    assert_eq!(bench.judge(80_000).state, NodeState::Down, "now the heartbeats have ended, too");
}

#[test]
fn a_node_whose_exporters_answer_is_not_down_because_nobody_sends_heartbeats() {
    let mut bench = Bench::new(&["host"]);
    bench.beat("vid-1", None, 1_000);
    bench.page(0, host(100.0, 0.0, 0.0), 91_000);
    let report = bench.page(0, host(110.0, 0.0, 0.0), 101_000);
    assert_eq!(report.state, NodeState::Healthy);
    assert!(report.reasons[0].starts_with("no heartbeat for 100 s"), "{:?}", report.reasons);
    // A node that is there by its heartbeats alone is: the media server is gone, whatever the machine says.
    bench.node.missed = Some(3);
    assert_eq!(bench.judge(101_000).state, NodeState::Down);
}

#[test]
fn evidence_is_stale_in_the_rhythm_of_the_heartbeats() {
    let mut bench = Bench::new(&[]);
    bench.node.missed = Some(20);
    for at_ms in [0, 60_000, 120_000] {
        bench.beat("vid-1", Some(told(7, 0.1, 0.1, 0.0, at_ms)), at_ms);
    }
    assert_eq!(bench.judge(120_000 + 300_000).state, NodeState::Healthy);
    assert_eq!(bench.judge(120_000 + 360_001).state, NodeState::Stale);
}
