//! Tests of drains through the door: no new viewers, and everything as before when it ends.

use std::collections::HashMap;
use std::net::IpAddr;

use super::*;
use crate::resolver::{Family, Question, Reason, Want, Why};
use crate::schedule::fleet::{DomainSpec, Fleet, PoolSpec};
use crate::schedule::policy::PolicyKind;

const SH_1: &str = "203.0.113.10";

fn question(current: Option<&str>) -> Question<'static> {
    Question {
        domain: "live.example.com",
        client: "192.0.2.1".parse().unwrap(),
        stream: None,
        bitrate_kbps: None,
        failed: &[],
        why: Why::Connect,
        current: current.map(|ip| ip.parse::<IpAddr>().unwrap()),
        count: 3,
        family: Family::Both,
        want: Want::default(),
    }
}

/// How often each node is named first, and anywhere, in so many answers.
fn named(resolver: &Resolver, answers: usize) -> (HashMap<String, usize>, HashMap<String, usize>) {
    let (mut first, mut any) = (HashMap::new(), HashMap::new());
    for _ in 0..answers {
        let answer = resolver.resolve(&question(None)).unwrap();
        *first.entry(answer.node(&answer.picks[0]).id.to_string()).or_default() += 1;
        for pick in &answer.picks {
            *any.entry(answer.node(pick).id.to_string()).or_default() += 1;
        }
    }
    (first, any)
}

#[test]
fn a_drained_node_is_answered_no_more_until_it_is_undrained() {
    let resolver = Resolver::for_tests();
    assert!(named(&resolver, 200).0.contains_key("sh-1"));
    let view = resolver.drain("sh-1", Some("kernel update"), None).unwrap();
    let order = view.drain.unwrap();
    assert_eq!((view.state, order.reason.as_deref()), ("draining", Some("kernel update")));
    assert_eq!((order.until, order.left_s), (None, None));
    let (first, any) = named(&resolver, 200);
    assert!(!any.contains_key("sh-1"), "not even as a fallback");
    assert_eq!(first.len(), 3);
    let view = resolver.undrain("sh-1").unwrap();
    assert!(view.drain.is_none() && view.state == "unmeasured");
    assert!(named(&resolver, 200).0.contains_key("sh-1"));
    assert_eq!(resolver.undrain("sh-1").unwrap().state, "unmeasured", "said twice is as good as once");
    assert!(resolver.drain("sh-9", None, None).is_none() && resolver.undrain("sh-9").is_none());
}

#[test]
fn a_client_that_is_on_a_drained_node_is_moved() {
    let resolver = Resolver::for_tests();
    let answer = resolver.resolve(&question(Some(SH_1))).unwrap();
    assert_eq!((answer.reason, &*answer.node(&answer.picks[0]).id), (Reason::Affinity, "sh-1"));
    resolver.drain("sh-1", None, None).unwrap();
    let answer = resolver.resolve(&question(Some(SH_1))).unwrap();
    assert!(answer.picks.iter().all(|pick| &*answer.node(pick).id != "sh-1"));
}

#[test]
fn the_last_node_standing_is_answered_although_it_is_drained() {
    let resolver = Resolver::for_tests();
    for id in ["sh-1", "sh-2", "bj-1", "gz-1"] {
        resolver.drain(id, None, None).unwrap();
    }
    let answer = resolver.resolve(&question(None)).unwrap();
    assert!(answer.degraded && !answer.picks.is_empty());
}

#[test]
fn a_drain_expires_by_the_sweep() {
    let resolver = Resolver::for_tests();
    let before = resolver.state.clock().now();
    let order = resolver.drain("sh-1", None, Some(3_600)).unwrap().drain.unwrap();
    assert!((3_599.0..=3_600.0).contains(&order.left_s.unwrap()));
    assert!(order.until.unwrap().ends_with('Z'));
    resolver.state.sweep_at(before.plus_ms(3_599_000));
    assert_eq!(resolver.node("sh-1").unwrap().state, "draining");
    resolver.state.sweep_at(resolver.state.clock().now().plus_ms(3_600_000));
    let view = resolver.node("sh-1").unwrap();
    assert!(view.drain.is_none() && view.state == "unmeasured");
    assert!(named(&resolver, 200).0.contains_key("sh-1"));
}

/// The fixture's fleet without `gz-1`, and with an exporter for `sh-2`.
fn reloaded(resolver: &Resolver) -> Live {
    let live = resolver.state.live();
    let mut nodes = live.fleet.nodes.to_vec();
    nodes.retain(|node| &*node.id != "gz-1");
    for node in nodes.iter_mut().filter(|node| &*node.id == "sh-2") {
        node.exporters.push("http://192.0.2.1:9100/metrics".into());
    }
    let pool = PoolSpec { name: "edges".into(), on_overload: Default::default() };
    let policy = PolicyKind::default();
    let domain = DomainSpec { name: "live.example.com".into(), pool: "edges".into(), policy };
    let fleet = Fleet::build(nodes, &[pool], &[domain]).unwrap();
    Live::new(fleet, live.plan, resolver.state.clock().now())
}

#[test]
fn drains_and_the_last_answers_survive_a_reload() {
    let resolver = Resolver::for_tests();
    named(&resolver, 100);
    let before = resolver.drain_preview("sh-1").unwrap();
    for id in ["sh-1", "sh-2"] {
        resolver.drain(id, Some("kernel update"), Some(30)).unwrap();
    }
    resolver.state.replace(reloaded(&resolver));
    resolver.state.sweep();
    for id in ["sh-1", "sh-2"] {
        let view = resolver.node(id).unwrap();
        assert_eq!(
            (view.state, view.drain.unwrap().reason.unwrap()),
            ("draining", "kernel update".to_owned())
        );
    }
    assert_eq!(named(&resolver, 50).0, HashMap::from([("bj-1".to_owned(), 50)]));
    assert_eq!(resolver.drain_preview("sh-1").unwrap().answers, before.answers);
    resolver.state.sweep_at(resolver.state.clock().now().plus_ms(30_000));
    assert_eq!(resolver.node("sh-2").unwrap().state, "starting");
}

#[test]
fn a_preview_shares_out_exactly_the_answers_and_books_none() {
    let resolver = Resolver::for_tests();
    let to_sh_1 = named(&resolver, 300).0["sh-1"];
    // Stays where it is, is not booked, and is nobody whom a drain of another minute would meet.
    resolver.resolve(&question(Some(SH_1))).unwrap();
    let booked = || resolver.nodes().iter().map(|node| node.answers).collect::<Vec<_>>();
    let before = booked();
    let preview = resolver.drain_preview("sh-1").unwrap();
    assert_eq!(booked(), before);
    assert_eq!((preview.answers, preview.sampled, preview.sampled_s), (to_sh_1 as u64, to_sh_1, 60.0));
    assert_eq!(preview.nodes.iter().map(|node| node.answers).sum::<u64>(), preview.answers);
    let ids: Vec<&str> = preview.nodes.iter().map(|node| &*node.id).collect();
    assert_eq!(ids.len(), 3);
    assert!(!ids.contains(&"sh-1"));
    assert!((preview.nodes.iter().map(|node| node.share).sum::<f64>() - 1.0).abs() < 1e-3);
    assert_eq!(preview.verdict, format!("its {to_sh_1} viewers of the last minute fit on 3 nodes"));
    assert!(resolver.drain_preview("sh-9").is_none());
}
