//! Tests of the board: what it says of nodes in every condition, and what it takes for news.

use super::*;

fn row<'a>(roster: &Roster, board: &'a Board, id: &str) -> &'a Row {
    &board.rows[roster.nodes.iter().position(|node| &*node.id == id).unwrap()]
}

#[test]
fn a_board_says_how_each_node_fares_and_why() {
    let resolver = Resolver::for_tests_measured();
    let (roster, board) = (resolver.roster(), resolver.board());
    assert_eq!(roster.nodes.len(), board.rows.len());
    let why = |id: &str| row(&roster, &board, id).why.as_ref().map(Cause::code);
    assert_eq!((row(&roster, &board, "sh-1").state, why("sh-1")), ("healthy", None));
    assert!(row(&roster, &board, "sh-1").headroom > 0);
    assert_eq!((row(&roster, &board, "sh-2").state, why("sh-2")), ("overloaded", Some("over")));
    assert_eq!(row(&roster, &board, "sh-2").tightest, "process_cpu");
    assert_eq!((row(&roster, &board, "bj-1").state, why("bj-1")), ("down", Some("down")));
    assert_eq!(row(&roster, &board, "bj-1").pressure, None);
    assert_eq!((row(&roster, &board, "turn-1").state, why("turn-1")), ("unmeasured", Some("unmeasured")));
    let sum = Sum::of(&board);
    assert_eq!(sum.states.values().sum::<usize>(), board.rows.len());
    assert!(sum.states.keys().all(|state| SHOWN.contains(state)), "{sum:?}");
}

#[test]
fn the_same_evidence_is_no_news_and_a_drain_is() {
    let resolver = Resolver::for_tests_measured();
    let (before, after) = (resolver.board(), resolver.board());
    assert!(after.rows.iter().zip(&before.rows).all(|(now, then)| !now.differs(then)));
    resolver.drain("sh-1", Some("kernel"), Some(60)).unwrap();
    let (roster, after) = (resolver.roster(), resolver.board());
    let changed: Vec<_> =
        (0..after.rows.len()).filter(|at| after.rows[*at].differs(&before.rows[*at])).collect();
    assert_eq!(changed.len(), 1);
    let drained = row(&roster, &after, "sh-1");
    assert!(matches!(&drained.why, Some(Cause::Drain { reason: Some(reason), .. }) if reason == "kernel"));
    assert_eq!(drained.headroom, 0, "nobody is sent there");
}

#[test]
fn flows_name_the_nearer_site_that_was_passed_over() {
    let resolver = Resolver::for_tests();
    let ask = |ip: &str| {
        let question =
            crate::resolver::Question { client: ip.parse().unwrap(), ..crate::resolver::fixture::question() };
        resolver.resolve(&question).unwrap();
    };
    (0..30).for_each(|_| ask("114.114.114.114"));
    let flows = resolver.flows();
    assert!(flows.total > 0 && flows.flows.iter().all(|flow| flow.per_s > 0.0));
    let answers: u64 = ["sh-1", "sh-2", "bj-1", "gz-1"].iter().map(|id| resolver.sources(id).answers).sum();
    assert!(answers > 0);
    let all: f64 = flows.flows.iter().map(|flow| flow.per_s).sum();
    assert!((all - flows.per_s).abs() < 1e-6, "every asker has a place here");
}
