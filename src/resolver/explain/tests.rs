//! Tests of explanations of the optional terms.

use super::*;
use crate::resolver::{Family, Why};

fn question<'a>() -> Question<'a> {
    Question {
        domain: "live.example.com",
        client: "20.1.2.3".parse().unwrap(),
        stream: Some("live/show"),
        bitrate_kbps: None,
        failed: &[],
        why: Why::Connect,
        current: None,
        count: 3,
        family: Family::Both,
        want: crate::resolver::Want::default(),
    }
}

#[test]
fn what_is_not_configured_is_not_shown() {
    let explained = Resolver::for_tests().explain(&question()).unwrap();
    assert_eq!(explained.price_km, None);
    assert!(explained.candidates.iter().all(|node| node.price_km.is_none() && node.isp_km.is_none()));
}

#[test]
fn every_score_is_the_sum_of_its_terms() {
    let explained = Resolver::with_terms_for_tests().explain(&question()).unwrap();
    assert_eq!(explained.price_km, Some(100.0));
    let of = |id| explained.candidates.iter().find(|node| node.id == id).unwrap();
    assert_eq!((of("sh-1").price_km, of("sh-2").price_km), (Some(50.0), Some(0.0)));
    assert_eq!(
        (of("sh-1").isp_km, of("bj-1").isp_km, of("gz-1").isp_km),
        (Some(0.0), Some(300.0), Some(0.0))
    );
    let mut best: Option<(f64, &str)> = None;
    for node in &explained.candidates {
        let terms = [node.distance_km, node.congestion_km, node.affinity_km, node.price_km, node.isp_km];
        let sum: f64 = terms.into_iter().map(|km| km.unwrap()).sum();
        let score = node.score_km.unwrap();
        assert!((score - sum).abs() < 0.11, "{}: {score} km, its terms are {terms:?}", node.id);
        if best.is_none_or(|(least, _)| score < least) {
            best = Some((score, &node.id));
        }
    }
    assert_eq!(explained.winner, best.unwrap().1);
}

#[test]
fn an_uplink_is_a_resource_of_each_of_its_nodes() {
    let resolver = Resolver::with_terms_for_tests();
    let live = resolver.state.live();
    let view = |id| super::super::view::pop_uplink(&live, live.fleet.by_id(id).unwrap());
    assert_eq!(view("sh-1").unwrap().resource, "pop_uplink");
    assert_eq!((view("sh-1").unwrap().limit, view("bj-1").is_none()), (0.8, true));
}
