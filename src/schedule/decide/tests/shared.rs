//! Answers that are kept and given to many.

use super::*;
use crate::schedule::decide::decide_shared;
use crate::schedule::recursors::Crowd;

const CROWD: Crowd = Crowd { size: 1.0, viewers: 20.0, count: 2, ttl_s: 2 };

/// Two nodes at one site, and one a thousand kilometres away.
fn two_sites(loads: [f32; 3]) -> (Fleet, Ledger) {
    let nodes = vec![node("sh-1", "sh", SHANGHAI), node("sh-2", "sh", SHANGHAI), node("bj", "bj", BEIJING)];
    let loads: Vec<_> = ["sh-1", "sh-2", "bj"].into_iter().zip(loads).map(|(id, x)| (id, x, 0)).collect();
    world(nodes, &loads)
}

fn decided(world: &(Fleet, Ledger), crowd: &Crowd) -> (Vec<String>, Outcome) {
    let decision = decide_shared(&world.0, &world.1, &ask(PolicyKind::Priced, Some(SHANGHAI)), crowd);
    (ids(&world.0, &decision), decision.outcome)
}

#[test]
fn all_that_are_named_are_the_best_and_not_one_of_each_pop() {
    let world = two_sites([0.5; 3]);
    let (mut named, outcome) = decided(&world, &CROWD);
    named.sort();
    assert_eq!((named.join(" "), outcome), ("sh-1 sh-2".into(), Outcome::Fit));
}

#[test]
fn each_that_is_named_is_booked_its_part() {
    let (fleet, ledger) = two_sites([0.5; 3]);
    let _ = decide_shared(&fleet, &ledger, &ask(PolicyKind::Priced, Some(SHANGHAI)), &CROWD);
    let batch = |id| ledger.line(fleet.by_id(id).unwrap()).bookings();
    for id in ["sh-1", "sh-2"] {
        assert!((batch(id).answers - 10.0).abs() < 1e-9 && (batch(id).shared - 10.0).abs() < 1e-9);
        assert_eq!(batch(id).kbps, 40_000);
    }
    assert_eq!(batch("bj").kbps, 0);
    let mean_ms = ledger.line(fleet.by_id("sh-1").unwrap()).close_window(Moment(9_000)).kbps_ms / 40_000;
    assert_eq!(mean_ms, 1_000 + 1_000, "asked at 1 s, and they come over two seconds");
}

#[test]
fn a_node_without_room_for_the_whole_crowd_under_the_lower_limit_is_passed_over() {
    // 20 viewers of 4 Mbit/s are 0.1 of a limit.
    let (named, outcome) = decided(&two_sites([0.80, 0.86, 0.5]), &CROWD);
    assert_eq!((named.join(" "), outcome), ("sh-1 bj".into(), Outcome::Fit));
}

#[test]
fn where_no_node_has_room_for_all_it_is_enough_that_each_takes_its_part() {
    let crowd = Crowd { viewers: 300.0, ..CROWD };
    let (named, outcome) = decided(&two_sites([0.5, 0.0, 0.0]), &crowd);
    assert_eq!(outcome, Outcome::Fit, "{named:?}: 1,200 Mbit/s, and a node has 750");
    let (_, outcome) = decided(&two_sites([0.96, 0.97, 0.98]), &Crowd { viewers: 4.0, ..CROWD });
    assert_eq!(outcome, Outcome::Fit, "over .75 and under .80 of what there is");
    let (_, outcome) = decided(&two_sites([1.0, 1.01, 1.02]), &CROWD);
    assert_eq!(outcome, Outcome::Overloaded);
}

#[test]
fn what_a_crowd_is_short_of_by_the_clocks_of_its_recursor_counts_for_it() {
    let (fleet, ledger) = two_sites([0.5; 3]);
    let mut kappa = crate::schedule::kappa::Kappa::new(Some(1));
    let answered = crate::schedule::kappa::Answered { own: 0.0, shared: 10.0 };
    (0..300).for_each(|_| kappa.learn(30.0, answered, 3));
    ledger.learn(&kappa);
    let factor = ledger.crowd_factor() * ledger.kappa();
    assert!((2.5..3.5).contains(&factor), "{factor}");
    let _ = decide_shared(&fleet, &ledger, &ask(PolicyKind::Priced, Some(SHANGHAI)), &CROWD);
    let booked = ledger.line(fleet.by_id("sh-1").unwrap()).booked_mbps() * ledger.kappa();
    assert!((booked - 40.0 * factor).abs() < 1.0, "{booked}");
}
