//! Tests of what is told: once, in one line, and no flood.

use super::super::tests::live;
use super::*;
use crate::clock::Clock;
use crate::schedule::reading::{HostReading, ProbeFailure, Reading, Timing};
use crate::state::Observer;

const A: &str = "sh-1";

fn page(state: &State, at_s: u32, outcome: Result<f64, ProbeFailure>) {
    let reading = outcome.map(|mbit| Reading {
        clock_s: Some(f64::from(at_s)),
        host: Some(HostReading {
            cpus: 1,
            idle_s: f64::from(at_s),
            transmit_bytes: Some(mbit * 125_000.0),
            ..HostReading::default()
        }),
        ..Reading::default()
    });
    let at = Moment(u64::from(at_s) * 1_000);
    state.observed(A, 0, reading, Timing { sent: at, received: at });
}

fn told(state: &State) -> Vec<(String, Option<u64>)> {
    let events = state.chronicle().timeline.latest(100, |_| true);
    events.into_iter().rev().map(|event| (event.what.code().to_owned(), event.for_s)).collect()
}

#[test]
fn an_overload_is_told_once_and_with_its_length_when_it_is_over() {
    let (state, _suspicions) = State::new(live(), Clock::system());
    for (at_s, mbit) in [(10, 0.0), (20, 9_000.0), (30, 18_000.0), (40, 18_100.0), (50, 18_200.0)] {
        page(&state, at_s, Ok(mbit));
        state.sweep_at(Moment(u64::from(at_s) * 1_000 + 500));
        state.sweep_at(Moment(u64::from(at_s) * 1_000 + 1_500));
    }
    assert_eq!(
        told(&state),
        [("overloaded".to_owned(), Some(20))],
        "{:?}",
        state.live().report(NodeIndex(0))
    );
    let hour = state.chronicle().hour(A, Moment(51_500)).unwrap();
    assert!(hour.pressure[0].iter().flatten().any(|pressure| *pressure > 1.1), "{hour:?}");
}

#[test]
fn a_drain_is_told_with_its_reason_and_its_end() {
    let (state, _suspicions) = State::new(live(), Clock::system());
    state.drain(A, Some("kernel".into()), None, None);
    state.sweep();
    state.drain(A, Some("kernel, again".into()), None, None);
    state.sweep();
    assert_eq!(told(&state), [("drained".to_owned(), None)]);
    state.undrain(A);
    state.sweep();
    assert_eq!(told(&state), [("drained".to_owned(), Some(0)), ("undrained".to_owned(), None)]);
    let kept = state.chronicle().timeline.latest(2, |_| true);
    assert!(
        matches!(&kept[1].what, What::Drained { reason: Some(reason), .. } if &**reason == "kernel, again")
    );
}

#[test]
fn a_dead_exporter_is_named() {
    let (state, _suspicions) = State::new(live(), Clock::system());
    for at_s in [10, 20] {
        page(&state, at_s, Err(ProbeFailure::Connect("refused".into())));
    }
    state.sweep_at(Moment(21_000));
    let events = state.chronicle().timeline.latest(1, |_| true);
    let What::Down { target, error } = &events[0].what else { panic!("{events:?}") };
    assert_eq!((&**target, *error), ("http://10.0.0.1:9100/metrics", "connect"));
}

#[test]
fn degraded_answers_without_a_pause_are_one_event() {
    let (state, _suspicions) = State::new(live(), Clock::system());
    (0..3).for_each(|_| state.note_degraded("a.example", 5));
    state.note_degraded("b.example", 1);
    let events =
        state.chronicle().timeline.latest(9, |event| event.kind == super::super::timeline::Kind::Answers);
    assert_eq!(events.len(), 2);
    assert_eq!(events[1].what, What::Degraded { domain: "a.example".into(), answers: 15 });
}
