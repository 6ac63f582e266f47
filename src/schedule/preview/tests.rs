//! Tests of previews: who takes the viewers, how full that makes them, and that nothing real is booked.

use super::*;
use crate::schedule::booking::LineUpdate;
use crate::schedule::fleet::{DomainSpec, PoolSpec};
use crate::schedule::node::Node;
use crate::schedule::policy::PolicyKind;
use crate::schedule::watch::reach;

const SHANGHAI: (f64, f64) = (31.23, 121.47);
const HANGZHOU: (f64, f64) = (30.27, 120.16);
const BEIJING: (f64, f64) = (39.90, 116.41);

fn at((latitude, longitude): (f64, f64)) -> Location {
    Location::new(latitude, longitude).unwrap()
}

/// 1 Gbit/s, 800 of which may be used.
fn node(id: &str, pool: &str, pop: &str, place: (f64, f64)) -> Node {
    Node {
        ipv4: vec![[192, 0, 2, 1].into()],
        location: Some(at(place)),
        bandwidth_mbps: Some(1_000.0),
        ..Node::new(id, pool, pop)
    }
}

/// `sh` is to leave; `hz` is near, `bj` far. Each sends what `loads` says, Mbit/s.
struct World {
    fleet: Fleet,
    ledger: Ledger,
}

impl World {
    fn new(on_overload: OnOverload, loads: [f32; 3]) -> Self {
        let nodes = vec![
            node("sh", "edges", "sh", SHANGHAI),
            node("hz", "edges", "hz", HANGZHOU),
            node("bj", "spare", "bj", BEIJING),
        ];
        Self::of(nodes, on_overload, &[("sh", loads[0]), ("hz", loads[1]), ("bj", loads[2])])
    }

    /// The same with all three in one pool.
    fn one_pool(loads: [f32; 3]) -> Self {
        let nodes = vec![
            node("sh", "edges", "sh", SHANGHAI),
            node("hz", "edges", "hz", HANGZHOU),
            node("bj", "edges", "bj", BEIJING),
        ];
        Self::of(nodes, OnOverload::Serve, &[("sh", loads[0]), ("hz", loads[1]), ("bj", loads[2])])
    }

    fn of(nodes: Vec<Node>, on_overload: OnOverload, loads: &[(&str, f32)]) -> Self {
        let pools = [
            PoolSpec { name: "edges".into(), on_overload },
            PoolSpec { name: "spare".into(), on_overload: OnOverload::Serve },
        ];
        let policy = PolicyKind::Priced;
        let domains = [DomainSpec { name: "live.example.com".into(), pool: "edges".into(), policy }];
        let fleet = Fleet::build(nodes, &pools, &domains).unwrap();
        let ledger = Ledger::new(&fleet, 1.0, 10.0);
        for (id, load) in loads {
            let index = fleet.by_id(id).unwrap();
            let update = LineUpdate {
                base: [load / 800.0, 0.0, 0.0],
                slope: [1.0 / 800.0, 0.0, 0.0],
                status: reach(fleet.node(index)),
                ..LineUpdate::default()
            };
            ledger.update(index, &update);
        }
        Self { fleet, ledger }
    }

    fn index(&self, id: &str) -> NodeIndex {
        self.fleet.by_id(id).unwrap()
    }

    /// `sh` is drained; its answers came from its own city, 3 Mbit/s each.
    fn without_sh(&self, answers: usize, egress_mbps: Option<f64>) -> Preview {
        let asked = Asked {
            domain: DomainIndex(0),
            place: Some(at(SHANGHAI)),
            isp: None,
            family: Family::Both,
            bucket: Bucket(3),
            kbps: 3_000,
        };
        let node = self.index("sh");
        let leaving = Leaving { node, egress_mbps, affinity_km: 40.0, now: Moment(1_000) };
        let preview = without(&self.fleet, &self.ledger, leaving, &vec![asked; answers]);
        let taken: usize = preview.takers.iter().map(|taker| taker.decisions).sum();
        assert_eq!(taken + preview.refused, preview.decisions, "{preview:?}");
        preview
    }

    fn ids(&self, preview: &Preview) -> Vec<&str> {
        preview.takers.iter().map(|taker| &*self.fleet.node(taker.node).id).collect()
    }
}

#[test]
fn viewers_go_to_the_nearest_other_node_and_nothing_real_is_booked() {
    let world = World::one_pool([300.0, 100.0, 100.0]);
    let preview = world.without_sh(20, Some(300.0));
    assert_eq!(world.ids(&preview), ["hz"]);
    assert_eq!((preview.answers, preview.decisions, preview.degraded), (20, 100, 0));
    let taker = &preview.takers[0];
    assert!((taker.mbps - 300.0).abs() < 1e-6);
    assert!((taker.pressure_now - 0.125).abs() < 1e-6);
    assert!((taker.pressure_after - 0.5).abs() < 1e-3, "400 of 800 Mbit/s, not {}", taker.pressure_after);
    let km = at(SHANGHAI).distance_km(at(HANGZHOU));
    assert!((preview.extra_km.unwrap() - km).abs() < 1.0);
    assert_eq!(preview.verdict(213), "its 213 viewers of the last minute fit on 1 node, +165 km on average");
    for line in world.ledger.lines() {
        assert_eq!(line.answers(), 0);
    }
}

#[test]
fn a_taker_that_fills_up_leaves_the_rest_to_the_next() {
    let world = World::one_pool([600.0, 500.0, 100.0]);
    let preview = world.without_sh(10, Some(600.0));
    assert_eq!(world.ids(&preview), ["bj", "hz"]);
    assert_eq!(preview.degraded, 0);
    assert!(preview.takers.iter().all(|taker| taker.pressure_after < 1.0), "{preview:?}");
    let moved: f64 = preview.takers.iter().map(|taker| taker.mbps).sum();
    assert!((moved - 600.0).abs() < 1e-6);
    assert!(preview.verdict(10).starts_with("its 10 viewers of the last minute fit on 2 nodes, +"));
}

#[test]
fn viewers_that_fit_nowhere_are_counted_as_degraded() {
    let world = World::one_pool([700.0, 700.0, 700.0]);
    let preview = world.without_sh(10, Some(600.0));
    assert!(preview.degraded > 0 && preview.degraded < preview.decisions && preview.refused == 0);
    let verdict = preview.verdict(10);
    assert!(verdict.contains("would find no node with room; they would go to 2 nodes"), "{verdict}");
    let full = World::one_pool([900.0; 3]).without_sh(10, Some(600.0));
    assert_eq!(full.degraded, full.decisions);
    assert_eq!(full.verdict(10), "its 10 viewers of the last minute would find no node with room");
}

#[test]
fn a_full_pool_refuses_or_asks_its_fallback_as_it_is_told() {
    let refuses = World::new(OnOverload::Refuse, [600.0, 800.0, 100.0]);
    let preview = refuses.without_sh(5, Some(60.0));
    assert_eq!((preview.refused, preview.degraded), (20, 20));
    assert_eq!(preview.shared_out(5), (vec![], 5));
    let falls_back = World::new(OnOverload::Fallback("spare".into()), [600.0, 800.0, 100.0]);
    let preview = falls_back.without_sh(5, Some(60.0));
    assert_eq!(falls_back.ids(&preview), ["bj"]);
    assert_eq!((preview.refused, preview.degraded), (0, 0));
}

#[test]
fn the_last_node_of_a_pool_has_nobody_to_take_its_viewers() {
    let world = World::of(vec![node("sh", "edges", "sh", SHANGHAI)], OnOverload::Serve, &[("sh", 100.0)]);
    let preview = world.without_sh(3, None);
    assert_eq!((preview.decisions, preview.refused, preview.degraded), (3, 3, 3));
}

#[test]
fn without_a_measured_egress_each_answer_moves_its_own_bitrate() {
    let world = World::one_pool([0.0; 3]);
    let preview = world.without_sh(7, None);
    assert_eq!((preview.answers, preview.decisions), (7, 7));
    assert!((preview.egress_mbps - 21.0).abs() < 1e-9);
    let asked = Asked {
        domain: DomainIndex(0),
        place: None,
        isp: None,
        family: Family::Both,
        bucket: Bucket(3),
        kbps: 3_000,
    };
    let leaving = Leaving { node: world.index("sh"), egress_mbps: None, affinity_km: 40.0, now: Moment(1) };
    let preview = without(&world.fleet, &world.ledger, leaving, &[asked]);
    assert_eq!(preview.extra_km, None, "nobody knows where the client is");
    assert_eq!(preview.verdict(1), "its one viewer of the last minute fits on 1 node");
}

#[test]
fn a_node_that_nobody_was_sent_to_says_so() {
    let preview = World::one_pool([300.0; 3]).without_sh(0, Some(300.0));
    assert_eq!((preview.decisions, preview.takers.len(), preview.extra_km), (0, 0, None));
    assert!(preview.verdict(0).starts_with("nobody was sent here"));
}

#[test]
fn a_great_egress_is_moved_in_a_bounded_number_of_decisions() {
    let preview = World::one_pool([100.0; 3]).without_sh(1, Some(4_000_000.0));
    assert_eq!(preview.decisions, MOST_DECISIONS);
}

#[test]
fn other_replicas_are_not_counted_twice() {
    let world = World::one_pool([300.0, 100.0, 100.0]);
    world.ledger.set_kappa(4.0);
    let preview = world.without_sh(20, Some(300.0));
    let after: f64 =
        preview.takers.iter().map(|taker| f64::from(taker.pressure_after - taker.pressure_now)).sum();
    // A margin for what others may have booked comes on top.
    assert!((0.37..0.55).contains(&after), "300 of 800 Mbit/s are 0.375, not {after}");
}

#[test]
fn counts_of_viewers_add_up_whatever_the_rounding() {
    let preview = World::one_pool([600.0, 500.0, 100.0]).without_sh(10, Some(600.0));
    for viewers in [0, 1, 2, 7, 213, 1_000_003] {
        let (counts, refused) = preview.shared_out(viewers);
        assert_eq!(counts.iter().sum::<u64>() + refused, viewers);
    }
}
