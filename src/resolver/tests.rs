//! Tests of what players report and of what they are taken to need.

use super::*;
use crate::schedule::affinity;
use crate::schedule::reading::{Reading, StreamReading, Timing};
use crate::state::Observer;

/// Somebody in Shanghai who has just failed at both addresses of `sh-1`.
fn question(failed: &[IpAddr], why: Why) -> Question<'_> {
    Question {
        domain: "live.example.com",
        client: "198.51.100.23".parse().unwrap(),
        stream: Some("live/show"),
        bitrate_kbps: None,
        failed,
        why,
        current: None,
        count: 1,
        family: Family::Both,
        want: Want::default(),
    }
}

#[test]
fn reports_of_stalls_freeze_a_node_at_what_it_carries() {
    let failed: Vec<IpAddr> = ["203.0.113.10", "2001:db8::10"].map(|ip| ip.parse().unwrap()).into();
    for (why, freezes) in [(Why::Connect, false), (Why::Stall, true)] {
        let resolver = Resolver::for_tests_measured();
        for _ in 0..1_000 {
            let answer = resolver.resolve(&question(&failed, why)).unwrap();
            assert_ne!(answer.node(&answer.picks[0]).pop.as_ref(), "shanghai", "it is not sent back there");
        }
        resolver.scrape_sh_1(3);
        let live = resolver.state.live();
        let report = live.report(live.fleet.by_id("sh-1").unwrap());
        let carried = report.load.egress_mbps.unwrap();
        assert_eq!(report.capped_mbps.is_some(), freezes, "{why:?}");
        assert!(report.capped_mbps.is_none_or(|cap| cap >= carried), "{:?} of {carried}", report.capped_mbps);
    }
}

#[test]
fn a_stall_counts_once_for_a_node_and_explaining_counts_nothing() {
    let resolver = Resolver::for_tests_measured();
    let failed: Vec<IpAddr> = ["203.0.113.10", "2001:db8::10"].map(|ip| ip.parse().unwrap()).into();
    let live = resolver.state.live();
    let node = live.fleet.by_id("sh-1").unwrap();
    resolver.explain(&question(&failed, Why::Stall)).unwrap();
    assert_eq!(live.ledger.take_stalls(node), 0);
    resolver.resolve(&question(&failed, Why::Stall)).unwrap();
    assert_eq!(live.ledger.take_stalls(node), 1);
}

#[test]
fn what_a_viewer_needs_is_booked_by_the_best_that_is_known() {
    let resolver = Resolver::for_tests_measured();
    let explained = |stream, bitrate_kbps| {
        let question = Question { stream, bitrate_kbps, ..question(&[], Why::Connect) };
        let explained = resolver.explain(&question).unwrap();
        (explained.bitrate_from, explained.bitrate_mbps)
    };
    let told = |names: &[&str], kbps: f64| {
        let stream = |name: &&str| StreamReading { key: affinity::hash(name.as_bytes()), clients: 1.0, kbps };
        let reading = Reading { streams: names.iter().map(stream).collect(), ..Reading::default() };
        let now = resolver.state.clock().now();
        resolver.state.observed("sh-2", 0, Ok(reading), Timing { sent: now, received: now });
        resolver.state.sweep();
    };
    assert_eq!(explained(Some("live/show"), None), ("default", 3.0));
    told(&["live/show"], 4_500.0);
    assert_eq!(explained(Some("live/show"), None), ("stream", 4.5));
    assert_eq!(explained(Some("live/show"), Some(800)), ("asked", 0.8));
    assert_eq!(
        explained(Some("live/other"), None),
        ("default", 3.0),
        "one stream says nothing about another"
    );
    told(&["a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8", "a/9"], 6_000.0);
    assert_eq!(explained(Some("live/other"), None), ("p90", 6.0));
    assert_eq!(explained(None, None), ("p90", 6.0));
    let question = Question { failed: &[], ..question(&[], Why::Connect) };
    let answer = resolver.resolve(&question).unwrap();
    let line = resolver.state.live().ledger.line(answer.picks[0].node).booked_mbps();
    assert!((line - 4.5).abs() < 1e-6, "{line} Mbit/s booked");
}
