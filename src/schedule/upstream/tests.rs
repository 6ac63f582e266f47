//! Streams over a layer: once, in proportion, within bounds, and few of them moved.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn layer(shares: &[f64]) -> Layer {
    let member = |(at, share): (usize, &f64)| Member {
        hash: affinity::hash(format!("mid-{at}").as_bytes()),
        share: *share,
    };
    Layer { first: 100, members: shares.iter().enumerate().map(member).collect() }
}

fn streams(count: usize) -> Vec<StreamKey> {
    (0..count).map(|at| StreamKey::of(&format!("live/stream-{at}"))).collect()
}

/// Where each stream is, by the bars of all of them.
fn placed(layer: &Layer, keys: &[StreamKey], is_up: impl Fn(NodeIndex) -> bool + Copy) -> Vec<NodeIndex> {
    let bars = layer.bars(keys, is_up);
    keys.iter().map(|key| layer.choose(*key, &bars, is_up).unwrap()).collect()
}

fn loads(placed: &[NodeIndex]) -> HashMap<NodeIndex, usize> {
    let mut loads = HashMap::new();
    for node in placed {
        *loads.entry(*node).or_default() += 1;
    }
    loads
}

#[test]
fn the_hash_never_changes() {
    let layer = layer(&[1.0; 10]);
    let choice = |name: &str| layer.choose(StreamKey::of(name), &Bars::default(), |_| true).unwrap().0;
    assert_eq!(["live/show", "live/a", "live/b", ""].map(choice), [100, 105, 103, 104]);
}

#[test]
fn streams_spread_in_proportion_to_capacity_and_nobody_passes_the_bound() {
    let shares: Vec<f64> = (0..20).map(|at| if at < 5 { 4_000.0 } else { 1_000.0 }).collect();
    let (layer, keys) = (layer(&shares), streams(5_000));
    let loads = loads(&placed(&layer, &keys, |_| true));
    for (at, share) in (100..).zip(&shares) {
        let fair = 5_000.0 * share / 35_000.0;
        let has = loads[&NodeIndex(at)] as f64;
        assert!((0.75 * fair..=(BOUND * fair).ceil()).contains(&has), "{at} has {has}, fair is {fair}");
    }
}

#[test]
fn a_bound_binds_where_chance_passes_it_and_the_order_of_streams_does_not_matter() {
    let (layer, keys) = (layer(&[1.0; 40]), streams(2_000));
    let free = loads(
        &keys.iter().map(|key| layer.choose(*key, &Bars::default(), |_| true).unwrap()).collect::<Vec<_>>(),
    );
    assert!(free.values().any(|has| *has > 60), "chance was kind: {free:?}");
    let bars = layer.bars(&keys, |_| true);
    assert!(loads(&placed(&layer, &keys, |_| true)).values().all(|has| *has <= 60));
    let mut other = keys.clone();
    other.sort_unstable();
    assert_eq!(bars, layer.bars(&other, |_| true));
    other.reverse();
    assert_eq!(bars, layer.bars(&other, |_| true));
}

#[test]
fn when_a_node_dies_only_its_share_moves_and_to_all_others() {
    let (layer, keys) = (layer(&[1.0; 20]), streams(5_000));
    let before = placed(&layer, &keys, |_| true);
    let (mut most_moved, mut most_others) = (0, 0);
    for dead in (100..120).map(NodeIndex) {
        let after = placed(&layer, &keys, |node| node != dead);
        let moved = before.iter().zip(&after).filter(|(a, b)| a != b);
        let others = moved.clone().filter(|(a, _)| **a != dead).count();
        most_moved = most_moved.max(moved.count());
        most_others = most_others.max(others);
        assert!(!after.contains(&dead));
    }
    println!(
        "of 5,000 streams over 20 nodes at most {most_moved} move, {most_others} of them not from the dead one"
    );
    assert!(most_moved <= 300, "{most_moved} moved, 1.2 × the fair share is 300");
    assert!(most_others <= 10, "{most_others}");
}

#[test]
fn a_new_stream_moves_hardly_any_other() {
    let (layer, keys) = (layer(&[1.0; 40]), streams(2_040));
    let mut before = placed(&layer, &keys[..2_000], |_| true);
    let mut moved = 0;
    for count in 2_001..=2_040 {
        let after = placed(&layer, &keys[..count], |_| true);
        moved += before.iter().zip(&after).filter(|(a, b)| a != b).count();
        before = after;
    }
    println!("40 new streams among 2,000 moved {moved} others");
    assert!(moved <= 20, "{moved}");
}

#[test]
fn nobody_up_is_nobody() {
    let layer = layer(&[1.0; 3]);
    assert_eq!(layer.choose(StreamKey::of("live/a"), &Bars::default(), |_| false), None);
    assert_eq!(layer.bars(&streams(100), |_| false), Bars::default());
}

proptest! {
    /// What the bars say is the matching: no stream prefers a node that keeps a dearer one, or has room.
    #[test]
    fn no_stream_and_node_would_rather_have_each_other(
        shares in prop::collection::vec(1.0f64..10.0, 1..8),
        count in 0usize..400,
    ) {
        let (layer, keys) = (layer(&shares), streams(count));
        let bars = layer.bars(&keys, |_| true);
        let placed: Vec<NodeIndex> = keys.iter().map(|key| layer.choose(*key, &bars, |_| true).unwrap()).collect();
        let loads = loads(&placed);
        let all: f64 = shares.iter().sum();
        for (key, node) in keys.iter().zip(&placed) {
            let costs: Vec<Cost> = layer.costs(*key).map(|(_, cost)| cost).collect();
            let mine = costs[(node.0 - 100) as usize];
            for (place, cost) in costs.iter().enumerate().filter(|(_, cost)| **cost < mine) {
                let other = NodeIndex(100 + place as u32);
                let most = Kept::up_to(count, shares[place] / all).most;
                prop_assert_eq!(loads.get(&other).copied().unwrap_or_default(), most);
                let keeps = keys.iter().zip(&placed).filter(|(_, at)| **at == other);
                let dearest = keeps.map(|(key, _)| layer.members[place].cost(*key)).max();
                prop_assert!(dearest < Some(*cost));
            }
        }
    }
}
