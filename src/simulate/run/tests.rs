use super::super::scenario::{Fault, Flash, Latency, Polls, SharedUplinks, Trouble};
use super::super::{Options, PRODUCT, catalogue};
use super::*;

/// A short, small world: 100 edges for two minutes, with everything in it that can happen to viewers.
fn busy() -> Scenario {
    const FLASH: Flash = Flash { at_s: 30.0, viewers: 8_000, over_s: 10.0, region: "China", mbps: 3.0 };
    Scenario {
        edges: 100,
        duration_s: 120.0,
        warmup_s: 10.0,
        latency: Latency::Jitter(0.2, 3.0),
        util: 0.1,
        flashes: &[FLASH],
        retries: 1,
        polls: Some(Polls { share: 0.2, every_s: 20.0, with_current: true }),
        without_counter: 0.3,
        geo_error: 0.05,
        past: 0.05,
        uplinks: Some(SharedUplinks { share: 0.2, factor: 0.5, told: false }),
        faults: &[
            Fault { at_s: 20.0, what: Trouble::Flapping(0.05, 15.0) },
            Fault { at_s: 35.0, what: Trouble::LargestPopDies("China") },
            Fault { at_s: 40.0, what: Trouble::Restart(1) },
            Fault { at_s: 50.0, what: Trouble::CountersReset(0.2) },
            Fault { at_s: 60.0, what: Trouble::ShowEnds(0, 0.1, 10.0) },
        ],
        ..*catalogue::named("base").unwrap()
    }
}

fn outcome(scenario: &Scenario, world: &World, variant: &str, seed: u64) -> Outcome {
    let variant = Variant::named(variant, crate::schedule::policy::PolicyKind::default()).unwrap();
    let plan = Plan { scenario, world, variant: &variant, seed, kills: &[], viewers: None };
    run(plan, &Progress::new(false, 1))
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_not() {
    let world = World::reference(&busy(), 1).unwrap();
    let scenario = busy();
    let text = |seed| {
        let outcome = outcome(&scenario, &world, PRODUCT, seed);
        format!("{:?} {:?} {:?}", outcome.figures, outcome.census, outcome.timeline)
    };
    let first = text(1);
    assert_eq!(first, text(1));
    assert_ne!(first, text(2));
}

#[test]
fn every_viewer_is_accounted_for() {
    let world = World::reference(&busy(), 2).unwrap();
    for variant in [PRODUCT, "naive"] {
        let Census { initial, arrived, departed, no_shows, remained } =
            outcome(&busy(), &world, variant, 2).census;
        assert_eq!(initial + arrived, departed + no_shows + remained, "{variant}");
        assert!(arrived > 8_000 && departed > 0 && no_shows > 0 && remained > 0);
    }
}

#[test]
fn edges_carry_exactly_their_viewers() {
    let world = World::reference(&busy(), 3).unwrap();
    let scenario = busy();
    let variant = Variant::named("naive", crate::schedule::policy::PolicyKind::default()).unwrap();
    let mut run = Run::new(Plan {
        scenario: &scenario,
        world: &world,
        variant: &variant,
        seed: 3,
        kills: &[],
        viewers: None,
    });
    run.prepare();
    while let Some((at, event)) = run.events.next(run.end) {
        run.now = at;
        run.handle(event);
    }
    for (node, edge) in (0u32..).zip(&run.edges) {
        let mut kbps = 0;
        for (place, slot) in (0u32..).zip(&edge.viewers) {
            let (_, viewer) = run.viewers.in_slot(*slot);
            assert_eq!((viewer.node, viewer.place), (Some(node), place));
            kbps += u64::from(viewer.kbps);
        }
        assert!((edge.demand_mbps() - kbps as f64 / 1e3).abs() < 1e-9);
    }
}

/// Ten edges side by side, each with room for a tenth of a flash that comes within one scrape.
fn herd() -> (World, Scenario) {
    const FLASH: Flash = Flash { at_s: 31.0, viewers: 1_000, over_s: 5.0, region: "China", mbps: 3.0 };
    let nodes: Vec<(String, (f64, f64), f64)> =
        (0..10).map(|i| (format!("n{i}"), (30.0, 120.0 + f64::from(i)), 1_000.0)).collect();
    let nodes: Vec<_> = nodes.iter().map(|(id, place, mbps)| (id.as_str(), *place, *mbps)).collect();
    let world = World::tiny(&[(30.0, 119.9)], &nodes).unwrap();
    let scenario = Scenario {
        edges: 10,
        replicas: 1,
        util: 0.05,
        duration_s: 60.0,
        warmup_s: 20.0,
        flashes: &[FLASH],
        ..*catalogue::named("base").unwrap()
    };
    (world, scenario)
}

#[test]
fn naive_herds_and_booking_does_not() {
    let (world, scenario) = herd();
    let naive = outcome(&scenario, &world, "naive", 1).figures;
    let booked = outcome(&scenario, &world, "nearest", 1).figures;
    assert!(naive.peak > 1.5, "all of them go to the first edge: {}", naive.peak);
    assert!(booked.peak < 0.85, "nobody goes where there is no room: {}", booked.peak);
    assert!(naive.over_80 > 0.5 && booked.over_80 < 0.1);
}

#[test]
fn a_killed_pop_cuts_its_viewers_and_they_find_another() {
    let (world, scenario) = herd();
    let variant = Variant::named(PRODUCT, crate::schedule::policy::PolicyKind::default()).unwrap();
    let kills = [Kill { pop: "n0".into(), at_s: 45.0 }];
    let plan =
        Plan { scenario: &scenario, world: &world, variant: &variant, seed: 1, kills: &kills, viewers: None };
    let outcome = run(plan, &Progress::new(false, 1));
    assert!(outcome.figures.churn > 20.0);
    assert!(outcome.figures.wasted < 10.0, "failed= keeps them from going there again");
    assert_eq!(outcome.timeline.pops[0].last().copied(), Some(0.0));
}

#[test]
fn the_table_of_two_policies_is_the_same_on_one_thread_and_on_two() {
    let table = |threads| {
        let options = Options {
            scenarios: vec!["silent".into()],
            policies: vec!["random".into(), "naive".into()],
            seeds: vec![1],
            viewers: Some(500),
            threads,
            ..Options::default()
        };
        let mut text = Vec::new();
        super::super::run(&options, &mut text, false).unwrap();
        String::from_utf8(text).unwrap()
    };
    let first = table(1);
    assert_eq!(first, table(2));
    assert!(first.contains("silent") && first.contains("naive"));
}
