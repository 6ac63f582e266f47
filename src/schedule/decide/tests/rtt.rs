//! Tests of decisions by measured round-trip times.

use super::*;
use crate::schedule::fleet::PopIndex;
use crate::schedule::rtt::Reports;

const NOW: Moment = Moment(1_000);

/// Each PoP with its time, ms, reported so often.
fn reports(times: u32, measured: &[(PopIndex, f32)]) -> Reports {
    let mut reports = Reports::default();
    for _ in 0..times {
        measured.iter().for_each(|(pop, ms)| reports.note(*pop, *ms, NOW));
    }
    reports
}

#[test]
fn a_network_far_from_its_near_pop_is_moved_after_three_reports_and_not_before() {
    let nodes = vec![node("sh", "sh", SHANGHAI), node("bj", "bj", BEIJING)];
    let (fleet, ledger) = world(nodes, &[("sh", 0.1, 0), ("bj", 0.1, 0)]);
    let pop = |id| fleet.pop_of(fleet.by_id(id).unwrap());
    // 150 km from Shanghai, 920 km from Beijing.
    let client = Some((32.5, 121.0));
    for policy in [PolicyKind::Priced, PolicyKind::Nearest] {
        for (times, first) in [(0, "sh"), (1, "sh"), (2, "sh"), (3, "bj")] {
            let row = reports(times, &[(pop("bj"), 5.0), (pop("sh"), 80.0)]).row(NOW);
            let asked = Ask { rtt: row.as_ref(), affinity_km: 0.0, ..ask(policy, client) };
            let decision = consider(&fleet, &ledger, &asked);
            assert_eq!(ids(&fleet, &decision)[0], first, "{policy:?} after {times} reports");
            assert!(!decision.spilled, "the other one has room");
        }
    }
}

#[test]
fn the_distance_of_an_answer_stays_that_of_the_map() {
    let (fleet, ledger) = world(vec![node("sh", "sh", SHANGHAI)], &[("sh", 0.1, 0)]);
    let row = reports(3, &[(PopIndex(0), 80.0)]).row(NOW);
    let asked = Ask { rtt: row.as_ref(), ..ask(PolicyKind::Priced, Some(BEIJING)) };
    let km = |asked| consider(&fleet, &ledger, asked).picks[0].distance_km;
    assert_eq!(km(&asked), km(&Ask { rtt: None, ..asked }));
}

proptest! {
    #[test]
    fn the_fast_choice_is_the_plain_one_with_measured_times(
        spots in prop::collection::vec(((-60.0..70.0f64, -180.0..180.0f64), 0.0..1.2f32, any::<bool>()), 1..80),
        scale in prop::sample::select(vec![1.0, 0.1]),
        client in (-80.0..80.0f64, -180.0..180.0f64),
        measured in prop::collection::vec((any::<prop::sample::Index>(), 0.1..2_000.0f32), 1..=16),
        fast in any::<bool>(),
        age_ms in 0..2_000_000u64,
        bucket in any::<u8>(),
        count in 1..=8usize,
    ) {
        let names: Vec<String> = (0..spots.len()).map(|i| format!("n{i:03}")).collect();
        let scaled = |(latitude, longitude): (f64, f64)| (latitude * scale, longitude * scale);
        let nodes = spots.iter().enumerate().map(|(i, _)| {
            let (place, _, placed) = spots[i - i % 2];
            let mut node = node(&names[i], &format!("p{:03}", i - i % 2), scaled(place));
            // One PoP in two is nowhere in small fleets: evidence of it does not count.
            node.location = node.location.filter(|_| placed || spots.len() > 20);
            node
        });
        let loads: Vec<(&str, f32, u32)> = names.iter().zip(&spots).map(|(id, s)| (id.as_str(), s.1, 0)).collect();
        let (fleet, ledger) = world(nodes.collect(), &loads);
        let measured: Vec<(PopIndex, f32)> = measured
            .iter()
            .map(|(at, ms)| (fleet.pop_of(NodeIndex(u32::try_from(at.index(spots.len())).unwrap())), *ms))
            .map(|(pop, ms)| (pop, if fast { ms / 100.0 } else { ms }))
            .collect();
        let row = reports(3, &measured).row(NOW.plus_ms(age_ms));
        let asked = Ask {
            bucket: Bucket(bucket),
            count,
            rtt: row.as_ref(),
            ..ask(PolicyKind::Priced, Some(scaled(client)))
        };
        let plain = policy::Plain.scores(&Scene::new(&fleet, &ledger, &asked));
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
}
