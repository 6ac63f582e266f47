//! Laws: what holds for every fleet, whatever the formulas come to.

use super::*;
use crate::schedule::booking::TIERS;

/// Places, pressures, state bits and capacities of nodes; every third one shares the PoP of the one before.
type Spots = Vec<((f64, f64), f32, u32, f64)>;

/// Nodes with their scores, km, and pressures.
type Scores = Vec<(NodeIndex, f32, f32)>;

fn spots(pressure: std::ops::Range<f32>) -> impl Strategy<Value = Spots> {
    let place = (-60.0..70.0f64, -180.0..180.0f64);
    prop::collection::vec((place, pressure, 0..24u32, 100.0..40_000.0f64), 2..60)
}

fn bits(dice: u32) -> u32 {
    match dice {
        0 => status::DOWN,
        1 => status::STALE,
        2 => status::DRAINING,
        3 => status::STARTING,
        _ => 0,
    }
}

/// The fleet of some spots, but for those left out.
fn fleet_of(spots: &Spots, left_out: Option<usize>) -> (Fleet, Ledger) {
    let names: Vec<String> = (0..spots.len()).map(|i| format!("n{i:03}")).collect();
    let kept: Vec<usize> = (0..spots.len()).filter(|i| Some(*i) != left_out).collect();
    let nodes = kept.iter().map(|i| {
        let first = i - i % 3;
        let mut node = node(&names[*i], &format!("p{first:03}"), spots[first].0);
        node.bandwidth_mbps = Some(spots[*i].3);
        node
    });
    let loads: Vec<(&str, f32, u32)> =
        kept.iter().map(|i| (names[*i].as_str(), spots[*i].1, bits(spots[*i].2))).collect();
    world(nodes.collect(), &loads)
}

/// The lowest tier in which some node has room, with the scores there, best first; written plainly.
fn plain_tier(fleet: &Fleet, ledger: &Ledger, asked: &Ask<'_>) -> Option<(usize, Scores)> {
    let scene = Scene::new(fleet, ledger, asked);
    let at = |tier: usize| if tier == 0 { scene } else { scene.at_tier(tier) };
    (0..TIERS.len())
        .map(|tier| (tier, policy::Plain.scores(&at(tier))))
        .find(|(_, scores)| !scores.is_empty())
}

/// The least pressed of all, a km counting a little: fleets here are smaller than 64 nodes. Written plainly.
fn plain_least_pressed(fleet: &Fleet, ledger: &Ledger, asked: &Ask<'_>) -> Option<f32> {
    let client = asked.client.unwrap().point();
    let nodes = (0u32..).map(NodeIndex).take(fleet.nodes.len());
    let admissible = nodes.filter(|node| !ledger.line(*node).is(status::DOWN | status::DRAINING));
    let badness = admissible.map(|node| badness(fleet, ledger, client, node));
    badness.min_by(f32::total_cmp)
}

fn badness(fleet: &Fleet, ledger: &Ledger, client: crate::schedule::place::Point, node: NodeIndex) -> f32 {
    let x = ledger.line(node).pressure(1.0, 4.0);
    let km = client.near_km(fleet.pops[usize::from(fleet.pop_of(node).0)].point.unwrap());
    let known = if ledger.line(node).is(status::STALE) { x.max(0.94) + 0.25 } else { x };
    known + handicap(Some(km))
}

proptest! {
    #[test]
    fn in_every_tier_the_fast_choice_is_the_plain_scans(
        spots in spots(0.9..1.4), client in (-80.0..80.0f64, -180.0..180.0f64), bucket in any::<u8>(), count in 1..=8usize,
    ) {
        let (fleet, ledger) = fleet_of(&spots, None);
        let asked = Ask { bucket: Bucket(bucket), count, ..ask(PolicyKind::Priced, Some(client)) };
        let decision = consider(&fleet, &ledger, &asked);
        prop_assume!(decision.outcome != Outcome::Starting);
        match plain_tier(&fleet, &ledger, &asked) {
            Some((tier, plain)) => {
                prop_assert_eq!(decision.outcome, if tier == 0 { Outcome::Fit } else { Outcome::Overloaded });
                let chosen = plain.iter().find(|(node, _, _)| *node == decision.picks[0].node);
                let chosen = chosen.map(|(_, score, _)| *score);
                prop_assert!(chosen.is_some_and(|score| score - plain[0].1 <= 0.2), "{:?} of {:?}", chosen, plain);
                prop_assert!(decision.picks.iter().all(|pick| pick.pressure < TIERS[tier] * 1.000_01));
            }
            None => if let Some(best) = plain_least_pressed(&fleet, &ledger, &asked) {
                prop_assert_eq!(decision.outcome, Outcome::Overloaded);
                let chosen = badness(&fleet, &ledger, at(client).point(), decision.picks[0].node);
                prop_assert!(chosen <= best + 1e-6, "{} against {}", chosen, best);
            },
        }
    }

    /// Place by place the best there is, and nobody twice.
    #[test]
    fn nodes_named_together_are_the_best_of_the_plain_scan(
        spots in spots(0.2..1.1), client in (-80.0..80.0f64, -180.0..180.0f64), bucket in any::<u8>(), count in 1..=8usize,
    ) {
        let (fleet, ledger) = fleet_of(&spots, None);
        let asked = Ask { bucket: Bucket(bucket), count, ..ask(PolicyKind::Priced, Some(client)) };
        let scene = Scene::new(&fleet, &ledger, &asked).under(0.9).together();
        let plain = policy::Plain.scores(&scene);
        let mut picks = Picks::new();
        policy::rank(&scene, &mut picks);
        prop_assert_eq!(picks.len(), plain.len().min(count));
        for (pick, (_, best, _)) in picks.iter().zip(&plain) {
            let chosen = plain.iter().find(|(node, ..)| *node == pick.node).map(|(_, score, _)| *score);
            prop_assert!(chosen.is_some_and(|score| (score - best).abs() <= 0.2), "{:?} of {:?}", picks, plain);
            prop_assert!(pick.pressure < 0.9);
            prop_assert_eq!(picks.iter().filter(|other| other.node == pick.node).count(), 1);
        }
    }

    #[test]
    fn a_node_that_is_down_or_drained_never_answers_while_another_can(
        spots in spots(0.2..1.6), client in (-80.0..80.0f64, -180.0..180.0f64),
        policy in prop::sample::select(PolicyKind::ALL.to_vec()), ticket in any::<u64>(),
    ) {
        let (fleet, ledger) = fleet_of(&spots, None);
        let decision = consider(&fleet, &ledger, &Ask { ticket, ..ask(policy, Some(client)) });
        prop_assert!(!decision.picks.is_empty(), "an answer is never empty");
        let is_out = |node: NodeIndex| ledger.line(node).is(status::DOWN | status::DRAINING);
        if (0u32..).map(NodeIndex).take(fleet.nodes.len()).any(|node| !is_out(node)) {
            prop_assert!(decision.picks.iter().all(|pick| !is_out(pick.node)));
        }
    }

    #[test]
    fn removing_a_node_that_loses_changes_no_winner(
        spots in spots(0.2..1.2), client in (-80.0..80.0f64, -180.0..180.0f64), bucket in any::<u8>(), loser in any::<usize>(),
    ) {
        let (fleet, ledger) = fleet_of(&spots, None);
        let asked = Ask { bucket: Bucket(bucket), count: 1, ..ask(PolicyKind::Priced, Some(client)) };
        let scores = policy::Plain.scores(&Scene::new(&fleet, &ledger, &asked));
        // Terms are rounded to 0.01 km: of two that are closer than that either may win.
        prop_assume!(scores.len() > 1 && scores[1].1 - scores[0].1 > 0.05);
        let winner = ids(&fleet, &consider(&fleet, &ledger, &asked));
        let loser = loser % spots.len();
        prop_assume!(winner[0] != format!("n{loser:03}"));
        let (fleet, ledger) = fleet_of(&spots, Some(loser));
        prop_assert_eq!(ids(&fleet, &consider(&fleet, &ledger, &asked)), winner);
    }

    #[test]
    fn affinity_is_the_same_on_every_replica(spots in spots(0.2..0.9), reversed in any::<bool>(), bucket in any::<u8>()) {
        let (one, _) = fleet_of(&spots, None);
        let mut nodes: Vec<Node> = one.nodes.to_vec();
        if reversed { nodes.reverse() } else { nodes.rotate_left(1) }
        let (other, _) = world(nodes, &[]);
        let order = |fleet: &Fleet| -> Vec<(String, f32)> {
            let pool = &fleet.pools[0];
            let wanted = pool.groups.iter().flat_map(|group| pool.affinity.of(Bucket(bucket), group));
            wanted.map(|(node, term)| (fleet.node(node).id.to_string(), term)).collect()
        };
        prop_assert_eq!(order(&one), order(&other));
    }
}
