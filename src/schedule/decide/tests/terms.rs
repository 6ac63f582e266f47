//! Price, provider and the distance budget in decisions.

use super::*;
use crate::schedule::isp::IspId;
use crate::schedule::terms::{TermSettings, Terms};

const TERMS: TermSettings = TermSettings { price_km: 100.0, isp_km: 300.0, distance_budget_km: None };

fn priced_world(nodes: Vec<Node>, terms: TermSettings) -> (Fleet, Ledger) {
    let ids: Vec<String> = nodes.iter().map(|node| node.id.to_string()).collect();
    let loads: Vec<(&str, f32, u32)> = ids.iter().map(|id| (id.as_str(), 0.1, 0)).collect();
    let (fleet, ledger) = world(nodes, &loads);
    (fleet, ledger.with_terms(terms))
}

/// Sorts equal streams alike, so that only place, price and provider tell nodes apart.
fn ask_of(isp: Option<IspId>) -> Ask<'static> {
    Ask { isp, affinity_km: 0.0, ..ask(PolicyKind::Priced, Some(SHANGHAI)) }
}

fn first(fleet: &Fleet, ledger: &Ledger, asked: &Ask<'_>) -> String {
    ids(fleet, &consider(fleet, ledger, asked))[0].clone()
}

#[test]
fn a_cheaper_node_wins_while_it_is_not_farther_than_the_price_is_worth() {
    // Hangzhou is 165 km from Shanghai.
    let hangzhou = (30.27, 120.15);
    for (price, expected) in [(1.0, "sh"), (2.0, "sh"), (3.0, "hz")] {
        let mut nodes = vec![node("sh", "sh", SHANGHAI), node("hz", "hz", hangzhou)];
        nodes[0].price = price;
        let (fleet, ledger) = priced_world(nodes, TERMS);
        assert_eq!(first(&fleet, &ledger, &ask_of(None)), expected, "price {price}");
    }
}

#[test]
fn equal_prices_are_no_term_whatever_they_are() {
    let mut nodes = vec![node("sh", "sh", SHANGHAI), node("bj", "bj", BEIJING)];
    nodes.iter_mut().for_each(|node| node.price = 7.5);
    let (fleet, ledger) = priced_world(nodes, TERMS);
    let pool = &fleet.pools[0];
    assert!(!pool.has_prices && fleet.excess_price.iter().all(|excess| *excess == 0.0));
    assert!(!Terms::new(&fleet, &ledger, pool, None).any());
}

#[test]
fn a_viewer_stays_in_his_providers_network_and_an_unknown_provider_changes_nothing() {
    let hangzhou = (30.27, 120.15);
    let mut nodes = vec![node("sh", "sh", SHANGHAI), node("hz", "hz", hangzhou)];
    nodes[0].isps = vec!["Telecom".into()];
    nodes[1].isps = vec!["unicom".into(), "telecom".into()];
    let (telecom, unicom) = (IspId(0), IspId(1));
    let (fleet, ledger) = priced_world(nodes.clone(), TERMS);
    for (isp, expected) in [
        (Some(telecom), "sh"),
        (Some(unicom), "hz"),
        (None, "sh"),
        // Of a third provider both are as far.
        (Some(IspId::OTHER), "sh"),
    ] {
        assert_eq!(first(&fleet, &ledger, &ask_of(isp)), expected, "{isp:?}");
    }
    nodes[1].isps.clear();
    let (fleet, ledger) = priced_world(nodes, TERMS);
    assert_eq!(
        first(&fleet, &ledger, &ask_of(Some(IspId::OTHER))),
        "hz",
        "a node without a list serves any alike"
    );
}

#[test]
fn terms_are_off_unless_configured() {
    let mut nodes = vec![node("sh", "sh", SHANGHAI), node("bj", "bj", BEIJING)];
    nodes[0].price = 1_000.0;
    nodes[0].isps = vec!["telecom".into()];
    let (fleet, ledger) = priced_world(nodes, TermSettings::default());
    assert_eq!(first(&fleet, &ledger, &ask_of(Some(IspId::OTHER))), "sh");
}

#[test]
fn when_nothing_fits_prices_and_providers_still_count() {
    let mut nodes = vec![node("a", "a", SHANGHAI), node("b", "b", SHANGHAI)];
    nodes[0].price = 2.0;
    let (fleet, ledger) = world(nodes, &[("a", 1.02, 0), ("b", 1.02, 0)]);
    let ledger = ledger.with_terms(TERMS);
    let decision = consider(&fleet, &ledger, &ask_of(None));
    assert_eq!((decision.outcome, &*ids(&fleet, &decision)[0]), (Outcome::Overloaded, "b"));
}

#[test]
fn the_controller_spends_the_distance_budget_and_not_more() {
    // 60 dear PoPs on a grid, each with a cheap one 40 to 160 km away.
    let mut nodes = Vec::new();
    for i in 0..60u32 {
        let place = (f64::from(i / 10) * 12.0 - 30.0, f64::from(i % 10) * 20.0 - 100.0);
        let mut dear = node(&format!("d{i:02}"), &format!("d{i:02}"), place);
        dear.price = 3.0;
        nodes.push(dear);
        nodes.push(node(
            &format!("z{i:02}"),
            &format!("z{i:02}"),
            (place.0 + 0.35 + f64::from(i % 10) / 8.0, place.1),
        ));
    }
    let budget = TermSettings { distance_budget_km: Some(20.0), ..TERMS };
    let (fleet, ledger) = priced_world(nodes, budget);
    let (mut detour, mut count) = (0.0, 0);
    for i in 0..60_000u64 {
        let site = &fleet.nodes[usize::try_from(i % 120).unwrap()].location.unwrap();
        let client = (site.latitude(), site.longitude());
        let asked = Ask { kbps: 0, ticket: i, affinity_km: 0.0, ..ask(PolicyKind::Priced, Some(client)) };
        let km = decide(&fleet, &ledger, &asked).detour_km.unwrap();
        if i >= 40_000 {
            (detour, count) = (detour + f64::from(km), count + 1);
        }
    }
    let mean = detour / f64::from(count);
    assert!((15.0..=22.0).contains(&mean), "{mean} km at C = {}", ledger.price_term().km());
}

fn scaled((latitude, longitude): (f64, f64), scale: f64) -> (f64, f64) {
    (latitude * scale, longitude * scale)
}

prop_compose! {
    /// Place, load, price and providers (bits) of a node.
    fn spot()(
        place in (-60.0..70.0f64, -180.0..180.0f64),
        load in 0.0..1.2f32,
        price in prop::sample::select(vec![0.0, 0.5, 1.0, 1.0, 3.0, 40.0]),
        isps in 0..8u8,
    ) -> ((f64, f64), f32, f64, u8) {
        (place, load, price, isps)
    }
}

proptest! {
    #[test]
    fn the_fast_choice_is_the_plain_one_with_prices_and_providers_and_tells_its_detour(
        spots in prop::collection::vec(spot(), 1..80),
        // The world, or a region in which prices outweigh distance.
        scale in prop::sample::select(vec![1.0, 0.02]),
        client in (-60.0..70.0f64, -180.0..180.0f64),
        bucket in any::<u8>(),
        count in 1..=8usize,
        isp in prop::option::of(prop::sample::select(vec![IspId(0), IspId(1), IspId(2), IspId::OTHER])),
        price_km in prop::sample::select(vec![0.0f32, 1.0, 100.0, 5_000.0]),
        isp_km in prop::sample::select(vec![0.0f32, 300.0, 20_000.0]),
        budget in prop::option::of(1.0..100.0f32),
    ) {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        let names: Vec<String> = (0..spots.len()).map(|i| format!("n{i:03}")).collect();
        let nodes = spots.iter().enumerate().map(|(i, (_, _, price, isps))| {
            let mut node = node(&names[i], &format!("p{:03}", i - i % 4), scaled(spots[i - i % 4].0, scale));
            node.price = *price;
            node.isps = (0..3).filter(|bit| isps & (1 << bit) != 0).map(|bit| NAMES[bit].into()).collect();
            node
        });
        let loads: Vec<(&str, f32, u32)> = names.iter().zip(&spots).map(|(id, s)| (id.as_str(), s.1, 0)).collect();
        let (fleet, ledger) = world(nodes.collect(), &loads);
        let ledger = ledger.with_terms(TermSettings { price_km, isp_km, distance_budget_km: budget });
        let asked = Ask { bucket: Bucket(bucket), count, isp, ..ask(PolicyKind::Priced, Some(scaled(client, scale))) };
        let scene = Scene::new(&fleet, &ledger, &asked);
        let plain = policy::Plain.scores(&scene);
        let decision = consider(&fleet, &ledger, &asked);
        let Some((_, best, _)) = plain.first() else {
            prop_assert!(decision.outcome != Outcome::Fit);
            return Ok(());
        };
        prop_assert_eq!(decision.outcome, Outcome::Fit);
        let score = |node| plain.iter().find(|(other, _, _)| *other == node).unwrap().1;
        let chosen = score(decision.picks[0].node);
        prop_assert!((chosen - best).abs() <= 0.2, "{} km against {} km", chosen, best);
        let has_prices = fleet.pools[0].has_prices;
        prop_assert_eq!(decision.detour_km.is_some(), has_prices && budget.is_some());
        if let Some(detour_km) = decision.detour_km {
            // Every node that is as good without its price as the best is a right answer to "how far".
            let unpriced = |(node, score, _): &(NodeIndex, f32, f32)| score - scene.terms(*node).price;
            let least = plain.iter().map(unpriced).fold(f32::INFINITY, f32::min);
            let km = |node| scene.pick(node, 0.0).distance_km.unwrap();
            let chosen_km = km(decision.picks[0].node);
            let ties = plain.iter().filter(|one| unpriced(one) - least <= 0.2);
            let off = ties.map(|one| (chosen_km - km(one.0) - detour_km).abs()).fold(f32::INFINITY, f32::min);
            prop_assert!(off < 0.5, "a detour of {} km is off by {}", detour_km, off);
        }
    }
}
