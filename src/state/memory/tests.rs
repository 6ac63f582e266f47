//! Tests of what outlives a restart.

use super::super::tests::live;
use super::*;
use crate::clock::Clock;
use crate::schedule::fleet::{Fleet, PoolSpec};
use crate::schedule::node::{Node, NodeIndex};

fn state() -> std::sync::Arc<State> {
    State::new(live(), Clock::system()).0
}

fn remembered(nodes: &[(&str, Remembered)]) -> Memory {
    Memory { version: VERSION, nodes: nodes.iter().map(|(id, node)| ((*id).into(), node.clone())).collect() }
}

#[test]
fn what_was_proven_and_ordered_comes_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.json");
    assert!(Memory::read(&path).unwrap().is_none(), "there is none yet");
    let before = state();
    before.drain("sh-1", Some("new disk".into()), Some(60_000), Some(30));
    before.live().warm(NodeIndex(1), Record { proven_mbps: 730.0, capped_mbps: Some(700.0) }, Moment(5));
    before.memory().write(&path).unwrap();

    let after = state();
    after.recall(&Memory::read(&path).unwrap().unwrap());
    assert_eq!(after.memory().nodes["sh-2"], before.memory().nodes["sh-2"]);
    let report = after.live().report(NodeIndex(0));
    let drain = report.drain.as_ref().unwrap();
    assert_eq!(drain.reason.as_deref(), Some("new disk"));
    let left_ms = drain.until.unwrap().since_ms(after.clock().now());
    assert!((55_000..=60_000).contains(&left_ms), "{left_ms} ms left");
}

#[test]
fn an_order_that_ended_meanwhile_is_passed_over_and_a_node_that_is_gone_is_waited_for() {
    let over =
        Order { reason: None, since_unix_ms: 1_000, until_unix_ms: Some(2_000), evict_per_minute: None };
    let node = |drain| Remembered { proven_mbps: Some(10.0), drain, capped_mbps: None };
    let state = state();
    state.recall(&remembered(&[("sh-1", node(Some(over))), ("gone", node(None))]));
    assert!(state.live().report(NodeIndex(0)).drain.is_none());
    assert_eq!(state.memory().nodes.keys().map(|id| &**id).collect::<Vec<_>>(), ["gone", "sh-1"]);
    let a_day_later = state.clock().now().plus_ms(AWAIT_MS);
    assert!(state.awaited.at(a_day_later).nodes.is_empty(), "not for ever");
    assert_eq!(state.memory().len(), 1);
}

#[test]
fn what_is_remembered_of_a_node_is_taken_over_when_it_registers_after_the_restart() {
    let order = || Order {
        reason: Some("new kernel".into()),
        since_unix_ms: 1_000,
        until_unix_ms: None,
        evict_per_minute: Some(30),
    };
    let node = Remembered { proven_mbps: Some(10.0), drain: Some(order()), capped_mbps: None };
    let state = state();
    let before = remembered(&[("came-1", node)]);
    state.recall(&before);
    assert_eq!(state.memory(), before, "a write before it comes does not forget it");

    let (there, plan) = (state.live().fleet.nodes.clone(), state.live().plan);
    let came = Node {
        id: "came-1".into(),
        ipv4: vec!["192.0.2.77".parse().unwrap()],
        ipv6: Vec::new(),
        ..there[0].clone()
    };
    let fleet = |nodes| {
        let pool = PoolSpec { name: there[0].pool.clone(), on_overload: Default::default() };
        Live::new(Fleet::build(nodes, &[pool], &[]).unwrap(), plan, state.clock().now())
    };
    state.replace_registered(fleet(there.iter().cloned().chain([came.clone()]).collect()));
    let report = state.live().report(state.live().fleet.by_id("came-1").unwrap());
    let drain = report.drain.as_ref().unwrap();
    assert_eq!((drain.reason.as_deref(), drain.evict_per_minute), (Some("new kernel"), Some(30)));
    assert_eq!(report.proven_mbps, 10.0);

    state.undrain("came-1");
    state.replace_registered(fleet(there.to_vec()));
    state.replace_registered(fleet(there.iter().cloned().chain([came]).collect()));
    let report = state.live().report(state.live().fleet.by_id("came-1").unwrap());
    assert!(report.drain.is_none(), "once is enough");
}

#[test]
fn a_file_that_is_none_of_ours_is_named_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.json");
    for (text, words) in [
        ("", "not a memory of this service"),
        ("[1]", "not a memory of this service"),
        ("{\"version\":1,\"nodes\":{},\"more\":1}", "unknown field `more`"),
        ("{\"version\":2,\"nodes\":{}}", "version 2, expected 1"),
        ("{\"version\":1,\"nodes\":{\"a\":{\"proven_mbps\":-1}}}", "node a: -1 Mbit/s cannot be"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Memory::read(&path).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_memory_that_cannot_be_written_says_so_and_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no-such-folder").join("memory.json");
    assert!(matches!(state().memory().write(&path), Err(MemoryError::Io(_))));
}
