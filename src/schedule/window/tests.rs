//! Tests of windows: rates, and everything that must not become one.

use super::*;
use crate::schedule::reading::Moment;

/// A page whose clock runs with ours, received 50 ms after it was asked for.
fn timing(received_ms: u64) -> Timing {
    Timing { sent: Moment(received_ms - 50), received: Moment(received_ms) }
}

/// A machine of two CPUs, `busy` seconds of CPU used and `sent` bytes transmitted after `clock_s` seconds of life.
fn page(clock_s: f64, busy_s: f64, sent: f64) -> Reading {
    let host = HostReading {
        cpus: 2,
        idle_s: clock_s * 2.0 - busy_s,
        boot_time_s: Some(1_000.0),
        transmit_bytes: Some(sent),
        memory_total_bytes: Some(100.0),
        memory_available_bytes: Some(75.0),
        ..HostReading::default()
    };
    Reading { clock_s: Some(clock_s), host: Some(host), ..Reading::default() }
}

fn media(identity: &str, clients_total: f64, sent: f64) -> Reading {
    let media = MediaReading {
        identity: identity.into(),
        clients: Some(4.0),
        clients_total: Some(clients_total),
        send_bytes: Some(sent),
        receive_bytes: Some(0.0),
    };
    Reading { media: Some(media), ..Reading::default() }
}

fn process(name: &str, pid: u32, cpu: ProcessCpu, start_s: f64) -> ProcessReading {
    ProcessReading { name: name.into(), pid: Some(pid), cpu, processes: 1, start_time_s: Some(start_s) }
}

#[track_caller]
fn close(got: Option<f64>, expected: f64) {
    let got = got.expect("a value");
    assert!((got - expected).abs() < 1e-9, "{got}, expected {expected}");
}

#[test]
fn the_first_page_makes_no_rate_but_its_gauges_speak() {
    let window = Windows::default().fold(page(100.0, 3.0, 0.0), timing(1_000));
    assert_eq!(window.seconds, None);
    assert_eq!((window.load.system_cpu, window.load.egress_mbps), (None, None));
    close(window.load.memory, 0.25);
}

#[test]
fn rates_use_the_exporters_clock_and_not_the_time_of_receipt() {
    let mut windows = Windows::default();
    windows.fold(page(100.0, 0.0, 0.0), timing(1_000));
    // 2 s late: by our clock 12 s have passed, by the exporter's 10.
    let window = windows.fold(page(110.0, 5.0, 12_500_000.0), timing(13_000));
    assert_eq!((window.seconds, window.coarse), (Some(10.0), false));
    close(window.load.egress_mbps, 10.0);
    close(window.load.system_cpu, 0.25);
}

#[test]
fn a_skewed_clock_changes_nothing() {
    let run = |skew: f64| {
        let mut windows = Windows::default();
        windows.fold(page(100.0 + skew, 0.0, 0.0), timing(1_000));
        // Only the clock is skewed: the counters are those of the same machine.
        let mut later = page(110.0, 4.0, 1e6);
        later.clock_s = Some(110.0 + skew);
        let mut first = page(100.0, 0.0, 0.0);
        first.clock_s = Some(100.0 + skew);
        let mut windows = Windows::default();
        windows.fold(first, timing(1_000));
        windows.fold(later, timing(11_000)).load
    };
    assert_eq!(run(0.0), run(-60.0));
    assert_eq!(run(0.0), run(86_400.0));
}

#[test]
fn a_clock_step_falls_back_to_receive_time_and_is_named() {
    let mut windows = Windows::default();
    windows.fold(page(100.0, 0.0, 0.0), timing(1_000));
    let mut later = page(110.0, 5.0, 12_500_000.0);
    later.clock_s = Some(3_710.0);
    let window = windows.fold(later, timing(11_000));
    assert!(window.coarse);
    close(window.load.egress_mbps, 10.0);
    assert_eq!(window.findings, [Finding::ClockStep { exporter_s: 3_610.0, ours_s: 10.0 }]);
}

#[test]
fn a_frozen_page_closes_no_window_and_does_not_refresh_the_evidence() {
    let mut windows = Windows::default();
    windows.fold(page(100.0, 0.0, 0.0), timing(1_000));
    windows.fold(page(110.0, 5.0, 12_500_000.0), timing(11_000));
    let window = windows.fold(page(110.0, 5.0, 12_500_000.0), timing(21_000));
    assert_eq!((window.seconds, window.findings), (None, vec![Finding::Frozen]));
    close(window.load.egress_mbps, 10.0);
    assert_eq!(window.load.oldest, Moment(11_000));
}

#[test]
fn a_counter_that_went_back_keeps_the_old_estimate() {
    let mut windows = Windows::default();
    windows.fold(page(100.0, 0.0, 1e9), timing(1_000));
    windows.fold(page(110.0, 5.0, 1e9 + 12_500_000.0), timing(11_000));
    let window = windows.fold(page(120.0, 10.0, 5.0), timing(21_000));
    close(window.load.egress_mbps, 10.0);
    assert_eq!(window.findings, [Finding::CounterReset { what: "node_network_transmit_bytes_total" }]);
    let window = windows.fold(page(130.0, 15.0, 5.0 + 25_000_000.0), timing(31_000));
    close(window.load.egress_mbps, 20.0);
    assert!(window.findings.is_empty());
}

#[test]
fn a_reboot_drops_the_window_whole() {
    let mut windows = Windows::default();
    windows.fold(page(100.0, 0.0, 0.0), timing(1_000));
    windows.fold(page(110.0, 5.0, 12_500_000.0), timing(11_000));
    let mut rebooted = page(120.0, 0.0, 13_000_000.0);
    rebooted.host.as_mut().unwrap().boot_time_s = Some(5_000.0);
    let window = windows.fold(rebooted, timing(21_000));
    close(window.load.egress_mbps, 10.0);
    assert_eq!(window.findings, [Finding::Restarted { what: "machine".into() }]);
}

#[test]
fn numbers_that_cannot_be_are_named_and_never_become_load() {
    for absurd in [f64::NAN, f64::INFINITY, -5.0, 1e30] {
        let mut windows = Windows::default();
        windows.fold(page(100.0, 0.0, 0.0), timing(1_000));
        windows.fold(page(110.0, 5.0, 12_500_000.0), timing(11_000));
        let window = windows.fold(page(120.0, 10.0, absurd), timing(21_000));
        close(window.load.egress_mbps, 10.0);
        assert!(matches!(window.findings[..], [Finding::Absurd { .. }]), "{absurd}: {:?}", window.findings);
    }
}

/// A number beyond 64 bits, page after page: the difference of two of them is 0, and 0 would be an idle machine.
#[test]
fn counters_that_stay_absurd_keep_the_old_estimate() {
    let mut windows = Windows::default();
    windows.fold(page(100.0, 0.0, 0.0), timing(1_000));
    let good = windows.fold(page(110.0, 5.0, 12_500_000.0), timing(11_000));
    for (clock_s, received_ms) in [(120.0, 21_000), (130.0, 31_000), (140.0, 41_000)] {
        let mut lie = page(clock_s, 5.0, 1e300);
        lie.host.as_mut().unwrap().idle_s = 1e300;
        let window = windows.fold(lie, timing(received_ms));
        let names: Vec<_> = window
            .findings
            .iter()
            .map(|finding| match finding {
                Finding::Absurd { what, .. } => *what,
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(names, ["node_cpu_seconds_total", "node_network_transmit_bytes_total"]);
        assert_eq!(window.load.egress_mbps, good.load.egress_mbps);
        assert_eq!(window.load.system_cpu, good.load.system_cpu);
    }
}

#[test]
fn idle_time_that_did_not_pass_is_no_idleness() {
    let mut windows = Windows::default();
    windows.fold(page(100.0, 0.0, 0.0), timing(1_000));
    windows.fold(page(110.0, 15.0, 0.0), timing(11_000));
    let mut jumped = page(120.0, 30.0, 0.0);
    jumped.host.as_mut().unwrap().idle_s += 10_000.0;
    let window = windows.fold(jumped, timing(21_000));
    assert!(matches!(window.findings[..], [Finding::Absurd { what: "node_cpu_seconds_total", .. }]));
    close(window.load.system_cpu, 0.75);
}

#[test]
fn process_time_that_cannot_be_keeps_the_old_estimate() {
    let mut windows = Windows::default();
    let srs = |clock_s, cpu_s| Reading {
        clock_s: Some(clock_s),
        processes: vec![process("srs", 1, ProcessCpu::Seconds(cpu_s), 50.0)],
        ..Reading::default()
    };
    windows.fold(srs(100.0, 0.0), timing(1_000));
    windows.fold(srs(110.0, 5.0), timing(11_000));
    for (clock_s, cpu_s, received_ms) in
        [(120.0, 1e300, 21_000), (130.0, 1e300, 31_000), (140.0, 1e12, 41_000)]
    {
        let window = windows.fold(srs(clock_s, cpu_s), timing(received_ms));
        close(window.load.hottest.map(|hot| hot.cores), 0.5);
    }
    let gone = Reading { clock_s: Some(150.0), ..Reading::default() };
    assert_eq!(windows.fold(gone, timing(51_000)).load.hottest, None, "a process that is gone uses nothing");
}

#[test]
fn iowait_is_not_use_and_steal_is() {
    let mut windows = Windows::default();
    windows.fold(page(100.0, 0.0, 0.0), timing(1_000));
    let mut later = page(110.0, 20.0, 0.0);
    let host = later.host.as_mut().unwrap();
    host.iowait_s = 10.0;
    host.steal_s = 4.0;
    let load = windows.fold(later, timing(11_000)).load;
    close(load.system_cpu, 0.5);
    close(load.steal, 0.2);
}

#[test]
fn the_hottest_process_decides_and_a_group_is_a_mean() {
    let at = |cpu_a: f64, cpu_b: f64, group: f64| Reading {
        processes: vec![
            process("srs", 11, ProcessCpu::Seconds(cpu_a), 5.0),
            process("srs", 12, ProcessCpu::Seconds(cpu_b), 5.0),
            ProcessReading {
                processes: 4,
                pid: None,
                ..process("nginx", 0, ProcessCpu::Seconds(group), 5.0)
            },
        ],
        ..Reading::default()
    };
    let mut windows = Windows::default();
    windows.fold(at(0.0, 0.0, 0.0), timing(1_000));
    let hottest = windows.fold(at(2.0, 8.6, 30.0), timing(11_000)).load.hottest.unwrap();
    assert_eq!((&*hottest.name, hottest.pid, hottest.averaged_over), ("srs", Some(12), 1));
    assert!((hottest.cores - 0.86).abs() < 1e-9);
    let hottest = windows.fold(at(2.0, 8.6, 68.0), timing(21_000)).load.hottest.unwrap();
    assert_eq!((&*hottest.name, hottest.pid, hottest.averaged_over), ("nginx", None, 4));
    assert!((hottest.cores - 0.95).abs() < 1e-9);
}

#[test]
fn a_restarted_process_has_no_rate_for_one_window() {
    let at = |cpu: f64, start: f64| Reading {
        processes: vec![process("srs", 11, ProcessCpu::Seconds(cpu), start)],
        ..Reading::default()
    };
    let mut windows = Windows::default();
    windows.fold(at(100.0, 5.0), timing(1_000));
    let window = windows.fold(at(900.0, 500.0), timing(11_000));
    assert_eq!(window.load.hottest, None);
    assert_eq!(window.findings, [Finding::Restarted { what: "srs".into() }]);
}

#[test]
fn a_media_server_restart_drops_its_window_and_two_behind_one_port_are_refused() {
    let mut windows = Windows::default();
    windows.fold(media("a", 10.0, 0.0), timing(1_000));
    let window = windows.fold(media("a", 20.0, 12_500_000.0), timing(11_000));
    close(window.load.egress_mbps, 10.0);
    close(window.connected, 10.0);
    let window = windows.fold(media("b", 3.0, 5.0), timing(21_000));
    assert_eq!(window.findings, [Finding::Restarted { what: "media server".into() }]);
    close(window.load.egress_mbps, 10.0);
    let window = windows.fold(media("a", 30.0, 25_000_000.0), timing(31_000));
    assert_eq!(window.findings, [Finding::IdentityFlapping { now: "a".into(), before: "b".into() }]);
    assert_eq!(window.seconds, None);
    assert_eq!(window.load.oldest, Moment(21_000), "flapping evidence goes stale");
}

#[test]
fn a_second_look_within_moments_keeps_the_longer_window() {
    let mut windows = Windows::default();
    windows.fold(page(100.0, 0.0, 0.0), timing(1_000));
    assert_eq!(windows.fold(page(100.1, 0.1, 1e6), timing(1_100)).seconds, None);
    assert_eq!(windows.fold(page(110.0, 5.0, 12_500_000.0), timing(11_000)).seconds, Some(10.0));
}

/// What a server tells that looks at its interfaces every 9 s, asked every 9.3 s.
#[test]
fn counters_that_are_looked_at_now_and_then_make_no_spike_and_no_frozen_page() {
    let mut windows = Windows::default();
    let rates: Vec<Option<f64>> = (1..60)
        .map(|beat| {
            let at_s = 9.3 * f64::from(beat);
            let looked_s = (at_s / 9.0).floor() * 9.0;
            let mut page = page(looked_s, 0.0, looked_s * 1e6);
            page.grain_s = 9.0;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "ten minutes at most"
            )]
            let window = windows.fold(page, timing((at_s * 1000.0) as u64));
            assert_eq!(window.findings, [], "after {at_s} s");
            window.load.egress_mbps
        })
        .collect();
    assert_eq!(rates[0], None);
    assert!(rates[1..].iter().all(|rate| rate.is_some_and(|mbps| (mbps - 8.0).abs() < 1e-9)), "{rates:?}");
}

#[test]
fn a_share_of_the_cpus_that_is_told_counts_as_it_is() {
    let mut windows = Windows::default();
    let told = |busy| {
        let host = HostReading { cpus: 4, busy: Some(busy), ..HostReading::default() };
        Reading { host: Some(host), ..Reading::default() }
    };
    close(windows.fold(told(0.25), timing(1_000)).load.system_cpu, 0.25);
    close(windows.fold(told(0.5), timing(11_000)).load.system_cpu, 0.5);
    close(windows.fold(told(1.5), timing(21_000)).load.system_cpu, 1.0);
    let window = windows.fold(told(-1.0), timing(31_000));
    close(window.load.system_cpu, 1.0);
    assert_eq!(window.findings, [Finding::Absurd { what: "system CPU", value: -1.0 }]);
}
