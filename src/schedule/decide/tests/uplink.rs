//! The uplink of a PoP in decisions.

use super::*;
use crate::schedule::uplink::{Uplink, UplinkSpec};

/// Two measured nodes in `sh`, whose uplink takes `uplink_mbps` at a limit of .8, and one in `bj`; all idle.
fn shared(uplink_mbps: f64) -> (Fleet, Ledger) {
    let mut nodes = vec![node("a", "sh", SHANGHAI), node("b", "sh", SHANGHAI), node("c", "bj", BEIJING)];
    for node in &mut nodes {
        node.exporters = vec!["http://10.0.0.1:9100/metrics".into()];
    }
    let pools = [PoolSpec { name: "edges".into(), on_overload: Default::default() }];
    let uplink = Uplink { mbps: uplink_mbps, limit: 0.8 };
    let fleet =
        Fleet::build(nodes, &pools, &[]).unwrap().with_uplinks(&[UplinkSpec { pop: "sh".into(), uplink }]);
    let ledger = Ledger::new(&fleet, 1.0, 10.0);
    for id in ["a", "b", "c"] {
        tell(&fleet, &ledger, id, 0.0, 0.0);
    }
    (fleet, ledger)
}

fn tell(fleet: &Fleet, ledger: &Ledger, id: &str, mbps: f32, carried_mbps: f32) {
    let slope = 1.0 / 800.0;
    let update = LineUpdate {
        base: [slope * (mbps + carried_mbps), 0.0, 0.0],
        slope: [slope, 0.0, 0.0],
        estimate_mbps: mbps,
        carried_mbps,
        status: status::HAS_V4,
        ..LineUpdate::default()
    };
    ledger.update(fleet.by_id(id).unwrap(), &update);
}

fn at_shanghai(
    fleet: &Fleet,
    ledger: &Ledger,
    kbps: u32,
    ticket: u64,
    policy: PolicyKind,
) -> (Outcome, String) {
    let decision = decide(fleet, ledger, &Ask { kbps, ticket, ..ask(policy, Some(SHANGHAI)) });
    (decision.outcome, ids(fleet, &decision)[0].clone())
}

#[test]
fn a_full_uplink_sends_viewers_to_another_pop_while_its_nodes_are_idle() {
    let (fleet, ledger) = shared(500.0);
    tell(&fleet, &ledger, "a", 390.0, 0.0);
    for policy in [PolicyKind::Priced, PolicyKind::Nearest, PolicyKind::LeastLoad, PolicyKind::Hash] {
        let asked = Ask { kbps: 12_000, ..ask(policy, Some(SHANGHAI)) };
        let decision = consider(&fleet, &ledger, &asked);
        assert_eq!(
            (decision.outcome, ids(&fleet, &decision)),
            (Outcome::Fit, vec!["c".to_owned()]),
            "{policy:?}"
        );
    }
    tell(&fleet, &ledger, "a", 100.0, 0.0);
    let eased = at_shanghai(&fleet, &ledger, 12_000, 1, PolicyKind::Nearest);
    assert_eq!(eased, (Outcome::Fit, "b".into()), "room again without b having been told anything");
}

#[test]
fn a_pop_without_a_configured_uplink_and_a_node_without_an_exporter_take_no_part() {
    let (fleet, ledger) = shared(500.0);
    let node = |id| fleet.by_id(id).unwrap();
    assert!(ledger.line(node("a")).is(status::UPLINK) && !ledger.line(node("c")).is(status::UPLINK));
    ledger.book(node("c"), 1_000_000, Moment(0));
    assert_eq!(ledger.uplink_pressure(node("c"), 0.0, true), 0.0);
    assert_eq!(ledger.uplink_pressure(node("a"), 0.0, true), 0.0);
}

#[test]
fn kappa_multiplies_bookings_and_carry_but_not_what_is_measured() {
    let (fleet, ledger) = shared(1_000.0);
    let a = fleet.by_id("a").unwrap();
    tell(&fleet, &ledger, "a", 200.0, 20.0);
    ledger.book(fleet.by_id("b").unwrap(), 40_000, Moment(0));
    ledger.set_kappa(3.0);
    let x = ledger.uplink_pressure(a, 4.0, true);
    assert!((x - (200.0 + 3.0 * 60.0 + 4.0) / 800.0).abs() < 1e-5, "{x}");
}

#[test]
fn many_threads_that_book_and_scrape_at_once_leave_exact_sums() {
    let (fleet, ledger) = shared(1e6);
    let (a, b) = (fleet.by_id("a").unwrap(), fleet.by_id("b").unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope
                .spawn(|| (0..5_000).for_each(|i| ledger.book(if i % 2 == 0 { a } else { b }, 7, Moment(0))));
        }
        scope.spawn(|| {
            for i in 0..2_000u16 {
                let batch = ledger.line(a).close_window(Moment(u64::from(i)));
                tell(&fleet, &ledger, "a", f32::from(i % 13), 0.5);
                ledger.release(a, batch.kbps);
            }
        });
    });
    let batch = ledger.line(a).close_window(Moment(9_999));
    tell(&fleet, &ledger, "a", 0.0, 0.0);
    ledger.release(a, batch.kbps);
    let left = ledger.uplink_pressure(b, 0.0, false) * 0.8e6;
    assert!(
        (left - 4.0 * 2_500.0 * 0.007).abs() < 0.01,
        "only the bookings of b are left, not {left} Mbit/s"
    );
}

proptest! {
    #[test]
    fn no_burst_between_two_scrapes_takes_an_uplink_over_its_limit(
        uplink_mbps in 10.0..1_500.0f64,
        measured in 0.0..600.0f32,
        kbps in prop::collection::vec(500..20_000u32, 1..400),
        policy in prop::sample::select(PolicyKind::ALL.to_vec()),
    ) {
        let (fleet, ledger) = shared(uplink_mbps);
        tell(&fleet, &ledger, "a", measured, 0.0);
        let limit = 0.8 * uplink_mbps;
        let mut sent = f64::from(measured);
        for (ticket, kbps) in (0..).zip(kbps) {
            let (outcome, id) = at_shanghai(&fleet, &ledger, kbps, ticket, policy);
            if outcome != Outcome::Fit {
                break;
            }
            if id != "c" {
                sent += f64::from(kbps) / 1_000.0;
                prop_assert!(sent < limit * 1.000_01, "{} of {} Mbit/s", sent, limit);
            }
        }
    }

    #[test]
    fn the_fast_choice_is_the_plain_one_while_uplinks_fill_and_ease(
        steps in prop::collection::vec((0..3usize, any::<bool>(), 0.0..420.0f32), 1..40),
    ) {
        let (fleet, ledger) = shared(500.0);
        for (at, is_booking, mbps) in steps {
            let id = ["a", "b", "c"][at];
            match is_booking {
                true => ledger.book(fleet.by_id(id).unwrap(), mbps as u32 * 200, Moment(0)),
                false => tell(&fleet, &ledger, id, mbps, 0.0),
            }
            let asked = ask(PolicyKind::Priced, Some(SHANGHAI));
            let plain = policy::Plain.scores(&Scene::new(&fleet, &ledger, &asked));
            let decision = consider(&fleet, &ledger, &asked);
            prop_assert_eq!(decision.outcome == Outcome::Fit, !plain.is_empty());
            if let Some((_, best, _)) = plain.first() {
                let chosen = plain.iter().find(|(node, _, _)| *node == decision.picks[0].node).unwrap().1;
                prop_assert!((chosen - best).abs() <= 0.2, "{} km against {} km", chosen, best);
            }
        }
    }

    #[test]
    fn no_booking_leaves_an_uplink_before_a_sample_or_the_carry_shows_it(
        steps in prop::collection::vec((0..3u8, 500..20_000u32), 1..200),
    ) {
        let (fleet, ledger) = shared(10_000.0);
        let a = fleet.by_id("a").unwrap();
        let mut shown = 0.0;
        let mut booked = 0.0;
        for (step, kbps) in steps {
            let mbps = f64::from(kbps) / 1_000.0;
            match step {
                // An answer, a scrape whose sample shows all that was booked, an update between scrapes.
                0 => {
                    ledger.book(a, kbps, Moment(0));
                    booked += mbps;
                }
                1 => {
                    let batch = ledger.line(a).close_window(Moment(0));
                    prop_assert!(f64::from(ledger.uplink_pressure(a, 0.0, false)) * 8_000.0 > shown + booked - 0.1);
                    (shown, booked) = (shown + booked, 0.0);
                    tell(&fleet, &ledger, "a", shown as f32, 0.0);
                    prop_assert!(f64::from(ledger.uplink_pressure(a, 0.0, false)) * 8_000.0 > shown - 0.1);
                    ledger.release(a, batch.kbps);
                }
                _ => tell(&fleet, &ledger, "a", shown as f32, 0.0),
            }
            let on_it = f64::from(ledger.uplink_pressure(a, 0.0, false)) * 8_000.0;
            prop_assert!((on_it - shown - booked).abs() < 0.1, "{} is not {}", on_it, shown + booked);
        }
    }
}
