use super::*;
use crate::scrape::tests::node;

const INTERVAL_MS: u64 = 10_000;

fn targets(nodes: &[Node], now_ms: u64) -> Targets {
    let mut targets = Targets::default();
    targets.replace(nodes, INTERVAL_MS, now_ms);
    targets
}

/// Takes all that is due up to some time, each probe ending at once; (time, node, index).
fn run(targets: &mut Targets, until_ms: u64) -> Vec<(u64, String, usize)> {
    let mut taken = Vec::new();
    while let Some(due_ms) = targets.next_due_ms().filter(|due_ms| *due_ms <= until_ms) {
        while let Some(id) = targets.take_due(due_ms) {
            let target = targets.get_mut(id).unwrap();
            target.busy = false;
            taken.push((due_ms, target.node.to_string(), target.index));
        }
    }
    taken
}

#[test]
fn a_target_is_taken_twice_early_and_then_in_its_place() {
    let mut targets = targets(&[node("a", &["http://192.0.2.1:9100/metrics"])], 0);
    let times: Vec<u64> = run(&mut targets, 60_000).into_iter().map(|(time, ..)| time).collect();
    assert!(times[0] < 1_000 && times[1] == times[0] + 2_000, "{times:?}");
    assert!((6_000..=18_001).contains(&times[2]), "{times:?}");
    assert!(times[2..].windows(2).all(|pair| pair[1] - pair[0] == INTERVAL_MS), "{times:?}");
}

#[test]
fn a_busy_target_loses_its_turn() {
    let mut targets = targets(&[node("a", &["http://192.0.2.1:9100/metrics"])], 0);
    let id = targets.take_due(1_000).unwrap();
    assert_eq!(targets.take_due(50_000), None);
    targets.get_mut(id).unwrap().busy = false;
    let due_ms = targets.next_due_ms().unwrap();
    assert!((50_000..=65_001).contains(&due_ms), "{due_ms}");
    assert_eq!(targets.take_due(due_ms), Some(id));
}

#[test]
fn a_target_that_hangs_lets_turns_pass_and_a_change_of_settings_forgets_that() {
    let mut targets = targets(&[node("a", &["http://192.0.2.1:9100/metrics"])], 0);
    run(&mut targets, 20_000);
    let id = targets.by_node["a"].targets[0];
    for _ in 0..3 {
        targets.get_mut(id).unwrap().circuit.ended(true, INTERVAL_MS);
    }
    assert_eq!(run(&mut targets, 60_000).len(), 1, "every fourth turn");
    targets.close_circuits();
    assert_eq!(run(&mut targets, 100_000).len(), 4);
}

#[test]
fn targets_that_stay_keep_their_rhythm_and_what_was_learnt() {
    let (first, second) = ("http://192.0.2.1:9100/metrics", "http://192.0.2.1:9256/metrics");
    let mut targets = targets(&[node("a", &[first]), node("gone", &[first])], 0);
    run(&mut targets, 20_000);
    let kept = targets.by_node["a"].targets[0];
    targets.get_mut(kept).unwrap().failing = true;
    let due_ms = targets.get_mut(kept).unwrap().due_ms;
    targets.replace(&[node("new", &[first]), node("a", &[second, first])], INTERVAL_MS, 20_000);
    assert_eq!(targets.targets.len(), 3);
    assert_eq!(targets.due.len(), 3);
    assert!(!targets.by_node.contains_key("gone"));
    let target = targets.get_mut(kept).unwrap();
    assert_eq!((target.index, target.failing, target.due_ms), (1, true, due_ms));
    // The new ones begin like at a start.
    let soon =
        run(&mut targets, 20_999).into_iter().filter(|(.., node, index)| (&**node, *index) != ("a", 1));
    assert_eq!(soon.count(), 2);
}

#[test]
fn a_shorter_interval_holds_at_once() {
    let mut targets = targets(&[node("a", &["http://192.0.2.1:9100/metrics"])], 0);
    run(&mut targets, 20_000);
    targets.replace(&[node("a", &["http://192.0.2.1:9100/metrics"])], 1_000, 20_000);
    assert!(targets.next_due_ms().unwrap() <= 21_501);
}

#[test]
fn the_same_url_twice_in_a_node_is_asked_for_each() {
    let url = "http://192.0.2.1:9100/metrics";
    let nodes = [node("a", &[url, url])];
    let mut targets = targets(&nodes, 0);
    targets.replace(&nodes, INTERVAL_MS, 0);
    let indexes: Vec<usize> = run(&mut targets, 999).into_iter().map(|(.., index)| index).collect();
    assert_eq!(indexes.len(), 2);
    assert!(indexes.contains(&0) && indexes.contains(&1));
}

#[test]
fn a_node_is_asked_out_of_turn_once_a_second() {
    let urls = ["http://192.0.2.1:9100/metrics", "http://192.0.2.1:9256/metrics"];
    let mut targets = targets(&[node("a", &urls)], 0);
    assert_eq!(targets.take_node("a", 5_000).len(), 2);
    assert_eq!(targets.take_node("a", 5_999), []);
    // Both are busy still.
    assert_eq!(targets.take_node("a", 6_000), []);
    assert_eq!(targets.take_node("nobody", 6_000), []);
}

#[test]
fn logs_show_no_password_and_no_query() {
    let mut targets = targets(&[node("a", &["https://user:secret@edge.example.org/metrics?token=x"])], 0);
    let id = targets.take_due(1_000).unwrap();
    let target = targets.get_mut(id).unwrap();
    assert_eq!(&*target.shown, "https://edge.example.org:443/metrics");
    assert_eq!(&*target.focus.authority, "edge.example.org:443");
    assert_eq!(target.collect, Collect::Never);
}
