//! Tests of decisions: what must hold for every fleet, and the plain cases by name.

mod laws;
mod rtt;
mod shared;
mod terms;
mod uplink;

use proptest::prelude::*;

use super::*;
use crate::schedule::Moment;
use crate::schedule::affinity::Bucket;
use crate::schedule::booking::LineUpdate;
use crate::schedule::fleet::{DomainSpec, PoolIndex, PoolSpec};
use crate::schedule::node::Node;
use crate::schedule::place::Location;
use crate::schedule::policy::PolicyKind;
use crate::schedule::scene::Family;
use crate::schedule::watch::reach;

const SHANGHAI: (f64, f64) = (31.23, 121.47);
const BEIJING: (f64, f64) = (39.90, 116.41);
const LONDON: (f64, f64) = (51.51, -0.13);

fn at((latitude, longitude): (f64, f64)) -> Location {
    Location::new(latitude, longitude).unwrap()
}

fn node(id: &str, pop: &str, place: (f64, f64)) -> Node {
    Node {
        ipv4: vec![[192, 0, 2, 1].into()],
        location: Some(at(place)),
        bandwidth_mbps: Some(1_000.0),
        ..Node::new(id, "edges", pop)
    }
}

/// A fleet with one pool, and a ledger in which node i is at `loads[i]` of its limit with `bits` set.
fn world(nodes: Vec<Node>, loads: &[(&str, f32, u32)]) -> (Fleet, Ledger) {
    let pools = [PoolSpec { name: "edges".into(), on_overload: Default::default() }];
    let domains =
        [DomainSpec { name: "live.example.com".into(), pool: "edges".into(), policy: PolicyKind::Nearest }];
    let fleet = Fleet::build(nodes, &pools, &domains).unwrap();
    let ledger = Ledger::new(&fleet, 1.0, 10.0);
    for (id, load, bits) in loads {
        let index = fleet.by_id(id).unwrap();
        ledger.update(
            index,
            &LineUpdate {
                base: [*load, 0.0, 0.0],
                slope: [1.0 / 800.0, 0.0, 0.0],
                floor: 0.0,
                status: bits | reach(fleet.node(index)),
                ..LineUpdate::default()
            },
        );
    }
    (fleet, ledger)
}

fn ask(policy: PolicyKind, client: Option<(f64, f64)>) -> Ask<'static> {
    Ask {
        pool: PoolIndex(0),
        policy,
        client: client.map(at),
        kbps: 4_000,
        family: Family::Both,
        avoid: &[],
        tried: &[],
        ways: 0,
        current: None,
        stays: false,
        count: 3,
        bucket: Bucket(3),
        isp: None,
        affinity_km: 40.0,
        ticket: 7,
        rtt: None,
        now: Moment(1_000),
    }
}

fn ids(fleet: &Fleet, decision: &Decision) -> Vec<String> {
    decision.picks.iter().map(|pick| fleet.node(pick.node).id.to_string()).collect()
}

fn three_cities(loads: [(f32, u32); 3]) -> (Fleet, Ledger) {
    let nodes = vec![node("sh", "sh", SHANGHAI), node("bj", "bj", BEIJING), node("ldn", "ldn", LONDON)];
    let [sh, bj, ldn] = loads;
    world(nodes, &[("sh", sh.0, sh.1), ("bj", bj.0, bj.1), ("ldn", ldn.0, ldn.1)])
}

#[test]
fn a_client_gets_the_nearest_node_and_fallbacks_from_other_pops() {
    let (fleet, ledger) = three_cities([(0.5, 0); 3]);
    let decision = decide(&fleet, &ledger, &ask(PolicyKind::Nearest, Some((30.0, 120.0))));
    assert_eq!(ids(&fleet, &decision), ["sh", "bj", "ldn"]);
    assert_eq!((decision.outcome, decision.spilled), (Outcome::Fit, false));
}

#[test]
fn overloaded_node_is_skipped_even_when_nearest() {
    let (fleet, ledger) = three_cities([(1.02, 0), (0.5, 0), (0.5, 0)]);
    let decision = decide(&fleet, &ledger, &ask(PolicyKind::Nearest, Some(SHANGHAI)));
    assert_eq!(ids(&fleet, &decision), ["bj", "ldn"]);
    assert!(decision.spilled);
}

#[test]
fn when_all_are_overloaded_the_least_pressed_near_node_answers() {
    let (fleet, ledger) = three_cities([(1.4, 0), (1.1, 0), (1.2, 0)]);
    let decision = decide(&fleet, &ledger, &ask(PolicyKind::Nearest, Some(SHANGHAI)));
    assert_eq!(decision.outcome, Outcome::Overloaded);
    assert_eq!(ids(&fleet, &decision)[0], "bj");
}

#[test]
fn a_stale_node_answers_only_when_nothing_fits_and_a_dead_one_only_when_all_are() {
    let (fleet, ledger) = three_cities([(0.1, status::STALE), (0.9, 0), (0.1, status::DOWN)]);
    assert_eq!(ids(&fleet, &decide(&fleet, &ledger, &ask(PolicyKind::Nearest, Some(SHANGHAI)))), ["bj"]);
    let (fleet, ledger) = three_cities([(0.1, status::STALE), (1.1, 0), (0.1, status::DOWN)]);
    let decision = decide(&fleet, &ledger, &ask(PolicyKind::Nearest, Some(SHANGHAI)));
    assert_eq!(
        (decision.outcome, ids(&fleet, &decision)),
        (Outcome::Overloaded, vec!["bj".into()]),
        "a relaxed tier"
    );
    let (fleet, ledger) = three_cities([(0.1, status::STALE), (1.3, 0), (0.1, status::DOWN)]);
    let decision = decide(&fleet, &ledger, &ask(PolicyKind::Nearest, Some(SHANGHAI)));
    assert_eq!(
        (decision.outcome, ids(&fleet, &decision)),
        (Outcome::Overloaded, vec!["sh".into(), "bj".into()])
    );
    let (fleet, ledger) = three_cities([(0.1, status::DOWN); 3]);
    let decision = decide(&fleet, &ledger, &ask(PolicyKind::Nearest, Some(SHANGHAI)));
    assert_eq!((decision.outcome, &*ids(&fleet, &decision)[0]), (Outcome::Silent, "sh"));
}

#[test]
fn before_the_first_sample_distance_and_capacity_decide() {
    let (fleet, ledger) = three_cities([(0.0, status::STARTING); 3]);
    let decision = decide(&fleet, &ledger, &ask(PolicyKind::Nearest, Some(LONDON)));
    assert_eq!((decision.outcome, &*ids(&fleet, &decision)[0]), (Outcome::Starting, "ldn"));
}

#[test]
fn a_failed_address_takes_its_whole_pop_out_of_the_answer() {
    let nodes = vec![node("a", "sh", SHANGHAI), node("b", "sh", SHANGHAI), node("c", "bj", BEIJING)];
    let (fleet, ledger) = world(nodes, &[("a", 0.1, 0), ("b", 0.1, 0), ("c", 0.5, 0)]);
    let avoid = [fleet.pop_of(fleet.by_id("a").unwrap())];
    for policy in PolicyKind::ALL {
        let decision = decide(&fleet, &ledger, &Ask { avoid: &avoid, ..ask(policy, Some(SHANGHAI)) });
        assert_eq!(ids(&fleet, &decision), ["c"], "{policy:?}");
    }
}

#[test]
fn a_client_stays_where_it_is_and_is_not_booked_again() {
    let (fleet, ledger) = three_cities([(0.5, 0); 3]);
    let london = fleet.by_id("ldn");
    let decision =
        decide(&fleet, &ledger, &Ask { current: london, ..ask(PolicyKind::Nearest, Some(SHANGHAI)) });
    assert_eq!(
        (decision.outcome, ids(&fleet, &decision)),
        (Outcome::Current, vec!["ldn".to_owned(), "sh".to_owned(), "bj".to_owned()])
    );
    assert!(ledger.lines().iter().all(|line| line.answers() == 0));
}

#[test]
fn a_client_on_an_overloaded_node_is_moved() {
    let (fleet, ledger) = three_cities([(0.5, 0), (0.5, 0), (1.01, 0)]);
    let asked = Ask { current: fleet.by_id("ldn"), ..ask(PolicyKind::Nearest, Some(SHANGHAI)) };
    assert_eq!(ids(&fleet, &decide(&fleet, &ledger, &asked))[0], "sh");
}

#[test]
fn a_burst_between_two_scrapes_fills_a_node_to_its_limit_and_then_the_next() {
    let (fleet, ledger) = three_cities([(0.5, 0); 3]);
    // 400 Mbit/s of room under the limit at each node: 100 viewers of 4 Mbit/s.
    for i in 0..250 {
        let _ = decide(&fleet, &ledger, &Ask { ticket: i, ..ask(PolicyKind::Nearest, Some(SHANGHAI)) });
    }
    let answers = |id| ledger.line(fleet.by_id(id).unwrap()).answers();
    assert_eq!((answers("sh"), answers("bj"), answers("ldn")), (99, 99, 52), "the 100th would reach 1.0");
    assert!(ledger.lines().iter().all(|line| line.pressure(1.0, 0.0) < 1.0));
}

#[test]
fn nodes_of_a_pop_share_a_burst() {
    let nodes = vec![node("a", "sh", SHANGHAI), node("b", "sh", SHANGHAI)];
    let (fleet, ledger) = world(nodes, &[("a", 0.2, 0), ("b", 0.2, 0)]);
    for i in 0..100 {
        let _ = decide(&fleet, &ledger, &Ask { ticket: i, ..ask(PolicyKind::Nearest, Some(SHANGHAI)) });
    }
    let answers = |id| ledger.line(fleet.by_id(id).unwrap()).answers();
    assert_eq!((answers("a"), answers("b")), (50, 50));
}

#[test]
fn least_load_takes_the_least_pressed_wherever_it_is() {
    let (fleet, ledger) = three_cities([(0.5, 0), (0.4, 0), (0.3, 0)]);
    let decision = decide(&fleet, &ledger, &ask(PolicyKind::LeastLoad, Some(SHANGHAI)));
    assert_eq!(ids(&fleet, &decision), ["ldn", "bj", "sh"]);
}

#[test]
fn round_robin_takes_turns_and_random_follows_capacity() {
    let mut nodes = vec![node("a", "a", SHANGHAI), node("b", "b", BEIJING), node("c", "c", LONDON)];
    nodes[2].bandwidth_mbps = Some(8_000.0);
    let loads = [("a", 0.1, 0), ("b", 0.1, 0), ("c", 0.1, 0)];
    let (fleet, ledger) = world(nodes, &loads);
    let count = |policy, n: u64| {
        let mut counts = [0; 3];
        for ticket in 0..n {
            let decision = consider(&fleet, &ledger, &Ask { ticket, ..ask(policy, Some(SHANGHAI)) });
            counts[decision.picks[0].node.get()] += 1;
        }
        counts
    };
    assert_eq!(count(PolicyKind::RoundRobin, 300), [100, 100, 100]);
    let [a, b, c] = count(PolicyKind::Random, 10_000);
    assert!(
        (900..1_100).contains(&a) && (900..1_100).contains(&b) && (7_850..8_150).contains(&c),
        "{a} {b} {c}"
    );
}

#[test]
fn an_asker_of_one_family_gets_only_nodes_that_have_it() {
    let mut nodes = vec![node("v4", "sh", SHANGHAI), node("v6", "bj", BEIJING)];
    nodes[1].ipv4.clear();
    nodes[1].ipv6.push("2001:db8::1".parse().unwrap());
    let (fleet, ledger) = world(nodes, &[("v4", 0.1, 0), ("v6", 0.1, 0)]);
    let asked = Ask { family: Family::V6, ..ask(PolicyKind::Nearest, Some(SHANGHAI)) };
    assert_eq!(ids(&fleet, &decide(&fleet, &ledger, &asked)), ["v6"]);
}

#[test]
fn more_answers_than_pops_come_from_the_same_pops() {
    let nodes = vec![node("a", "sh", SHANGHAI), node("b", "sh", SHANGHAI), node("c", "bj", BEIJING)];
    let (fleet, ledger) = world(nodes, &[("a", 0.1, 0), ("b", 0.2, 0), ("c", 0.5, 0)]);
    let decision = decide(&fleet, &ledger, &Ask { count: 8, ..ask(PolicyKind::Nearest, Some(SHANGHAI)) });
    assert_eq!(ids(&fleet, &decision), ["a", "c", "b"]);
}

/// What `nearest` means, written the slow and obvious way.
fn plain_nearest(fleet: &Fleet, ledger: &Ledger, asked: &Ask<'_>) -> Option<f64> {
    let client = asked.client.unwrap().point();
    let km = |i: usize| {
        let index = NodeIndex(u32::try_from(i).unwrap());
        client.distance_km(fleet.pops[usize::from(fleet.pop_of(index).0)].point.unwrap())
    };
    let line = |i: usize| &ledger.lines()[i];
    let fits =
        (0..fleet.nodes.len()).filter(|i| !line(*i).is(status::UNFIT) && line(*i).pressure(1.0, 4.0) < 1.0);
    fits.map(km).min_by(f64::total_cmp)
}

proptest! {
    #[test]
    fn the_fast_choice_is_the_plain_scans_choice(
        spots in prop::collection::vec(((-60.0..70.0f64, -180.0..180.0f64), 0.0..1.2f32, 100.0..40_000.0f64), 1..80),
        client in (-80.0..80.0f64, -180.0..180.0f64),
        bucket in any::<u8>(),
        count in 1..=8usize,
    ) {
        let names: Vec<String> = (0..spots.len()).map(|i| format!("n{i:03}")).collect();
        let nodes = spots.iter().enumerate().map(|(i, (_, _, mbps))| {
            let mut node = node(&names[i], &format!("p{:03}", i - i % 4), spots[i - i % 4].0);
            node.bandwidth_mbps = Some(*mbps);
            node
        });
        let loads: Vec<(&str, f32, u32)> = names.iter().zip(&spots).map(|(id, s)| (id.as_str(), s.1, 0)).collect();
        let (fleet, ledger) = world(nodes.collect(), &loads);
        let asked = Ask { bucket: Bucket(bucket), count, ..ask(PolicyKind::Priced, Some(client)) };
        let scene = Scene::new(&fleet, &ledger, &asked);
        let plain = policy::Plain.scores(&scene);
        let decision = consider(&fleet, &ledger, &asked);
        match plain.first() {
            None => prop_assert!(decision.outcome != Outcome::Fit),
            Some((_, best, _)) => {
                prop_assert_eq!(decision.outcome, Outcome::Fit);
                let chosen = plain.iter().find(|(node, _, _)| *node == decision.picks[0].node).unwrap().1;
                prop_assert!((chosen - best).abs() <= 0.2, "{} km against {} km", chosen, best);
            }
        }
    }

    #[test]
    fn the_walk_finds_what_a_plain_scan_finds_and_never_an_unfit_node(
        spots in prop::collection::vec(((-60.0..70.0f64, -180.0..180.0f64), 0.0..1.3f32, 0u32..24), 1..60),
        client in (-80.0..80.0f64, -180.0..180.0f64),
        policy in prop::sample::select(PolicyKind::ALL.to_vec()),
        ticket in any::<u64>(),
    ) {
        let names: Vec<String> = (0..spots.len()).map(|i| format!("n{i:03}")).collect();
        // Every third node shares the PoP of the one before.
        let nodes = spots.iter().enumerate().map(|(i, (place, _, _))| {
            node(&names[i], &format!("p{:03}", i - i % 3), if i % 3 == 0 { *place } else { spots[i - i % 3].0 })
        });
        let bits = |b: u32| match b { 0 => status::DOWN, 1 => status::STALE, 2 => status::DRAINING, 3 => status::STARTING, _ => 0 };
        let loads: Vec<(&str, f32, u32)> =
            names.iter().zip(&spots).map(|(id, (_, load, b))| (id.as_str(), *load, bits(*b))).collect();
        let (fleet, ledger) = world(nodes.collect(), &loads);
        let asked = Ask { ticket, ..ask(policy, Some(client)) };
        let decision = consider(&fleet, &ledger, &asked);
        prop_assert!(!decision.picks.is_empty(), "an answer is never empty");
        let mut seen: Vec<NodeIndex> = decision.picks.iter().map(|pick| pick.node).collect();
        seen.dedup();
        prop_assert_eq!(seen.len(), decision.picks.len());
        if let Some(best_km) = plain_nearest(&fleet, &ledger, &asked) {
            prop_assert_eq!(decision.outcome, Outcome::Fit);
            for pick in &decision.picks {
                prop_assert!(!ledger.line(pick.node).is(status::UNFIT));
                prop_assert!(pick.pressure < 1.0);
            }
            if policy == PolicyKind::Nearest {
                let chosen = f64::from(decision.picks[0].distance_km.unwrap());
                prop_assert!(chosen <= best_km * 1.05 + 0.01, "{} km, but {} km fits", chosen, best_km);
            }
        } else {
            prop_assert!(decision.outcome != Outcome::Fit);
        }
    }

    #[test]
    fn the_order_of_nodes_in_the_file_changes_nothing(
        spots in prop::collection::vec(((-60.0..70.0f64, -180.0..180.0f64), 0.0..1.3f32), 2..20),
        client in (-80.0..80.0f64, -180.0..180.0f64),
        policy in prop::sample::select(PolicyKind::ALL.to_vec()),
        ticket in any::<u64>(),
    ) {
        let names: Vec<String> = (0..spots.len()).map(|i| format!("n{i:03}")).collect();
        let build = |reversed: bool| {
            let mut nodes: Vec<Node> = names.iter().zip(&spots).map(|(id, (place, _))| node(id, id, *place)).collect();
            if reversed { nodes.reverse(); }
            let loads: Vec<(&str, f32, u32)> = names.iter().zip(&spots).map(|(id, s)| (id.as_str(), s.1, 0)).collect();
            world(nodes, &loads)
        };
        let asked = Ask { ticket, ..ask(policy, Some(client)) };
        let (fleet, ledger) = build(false);
        let (fleet_reversed, ledger_reversed) = build(true);
        let one = ids(&fleet, &decide(&fleet, &ledger, &asked));
        let other = ids(&fleet_reversed, &decide(&fleet_reversed, &ledger_reversed, &asked));
        prop_assert_eq!(one, other);
    }
}
