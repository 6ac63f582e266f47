//! Bitrates: what a viewer of each stream needs, as seen on all nodes together.
//!
//! Every node that has a stream tells what it receives of it. A starved edge receives too little, a restarted one
//! nothing at first, so no mean is taken: the estimate follows each report by one small step at most. Half of the
//! reports must be wrong before it goes wrong: a running median.
//!
//! Scrapes write behind a mutex; once a second what is known is published whole, and the resolve path reads that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::schedule::Moment;
use crate::schedule::reading::StreamReading;

/// Streams known at most, some 5 MB; further ones wait until others are forgotten.
const MOST_STREAMS: usize = 100_000;
/// A stream that no node has told of for so long is over, ms.
const FORGET_MS: u64 = 600_000;
/// How far one report moves an estimate: steady encoders vary less, and a doubled bitrate is followed in 15 reports.
const STEP: f64 = 1.05;
/// Fewer streams say nothing about the next one.
const FEW_STREAMS: usize = 10;
/// What a stream can need, kbit/s: beyond it a report is a broken counter, and its booking would fill a node.
const PLAUSIBLE_KBPS: std::ops::RangeInclusive<f64> = 1.0..=100_000.0;

/// What is known of all streams.
#[derive(Debug, Default)]
pub struct Bitrates {
    seen: Mutex<Seen>,
    known: ArcSwap<KnownBitrates>,
    /// See [`Bitrates::p90_kbps`]; 0: too few are known.
    p90_kbps: AtomicU32,
}

#[derive(Debug, Default)]
struct Seen {
    streams: HashMap<u64, Estimate>,
    /// Something was told since it was last published.
    fresh: bool,
}

#[derive(Clone, Copy, Debug)]
struct Estimate {
    kbps: f64,
    seen: Moment,
}

/// What was known at one moment. Immutable; a new one replaces it.
#[derive(Debug, Default)]
pub struct KnownBitrates {
    kbps: HashMap<u64, u32>,
}

// === impl Bitrates ===

impl Bitrates {
    /// Takes in a list of streams that a node told at `now`.
    pub(super) fn observe(&self, streams: &[StreamReading], now: Moment) {
        if streams.is_empty() {
            return;
        }
        let mut seen = self.seen();
        seen.fresh = true;
        for stream in streams.iter().filter(|stream| PLAUSIBLE_KBPS.contains(&stream.kbps)) {
            let full = seen.streams.len() >= MOST_STREAMS;
            match seen.streams.get_mut(&stream.key) {
                Some(known) => known.follow(stream.kbps, now),
                None if full => {}
                None => {
                    seen.streams.insert(stream.key, Estimate { kbps: stream.kbps, seen: now });
                }
            }
        }
    }

    /// Publishes what is known at `now`, and forgets what is over.
    pub(super) fn publish(&self, now: Moment) {
        let mut seen = self.seen();
        let before = seen.streams.len();
        seen.streams.retain(|_, known| now.since_ms(known.seen) < FORGET_MS);
        if !std::mem::take(&mut seen.fresh) && seen.streams.len() == before {
            return;
        }
        let kbps: HashMap<u64, u32> =
            seen.streams.iter().map(|(key, known)| (*key, whole(known.kbps))).collect();
        drop(seen);
        let p90_kbps = p90(kbps.values().copied().collect());
        self.p90_kbps.store(p90_kbps.unwrap_or(0), Relaxed);
        self.known.store(Arc::new(KnownBitrates { kbps }));
    }

    /// What was last published. Hold the guard for one request, never across an await.
    #[must_use]
    pub fn known(&self) -> Guard<Arc<KnownBitrates>> {
        self.known.load()
    }

    /// What nine in ten streams need at most, kbit/s; `None`: too few are known. The stand-in for an unknown stream:
    /// with the mean, an unknown stream of 8 Mbit/s overloads nodes before it is known.
    #[must_use]
    pub fn p90_kbps(&self) -> Option<u32> {
        Some(self.p90_kbps.load(Relaxed)).filter(|kbps| *kbps > 0)
    }

    /// A panic while a list was taken in leaves estimates that the next list mends.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Estimate ===

impl Estimate {
    fn follow(&mut self, kbps: f64, now: Moment) {
        self.kbps = kbps.clamp(self.kbps / STEP, self.kbps * STEP);
        self.seen = now;
    }
}

// === impl KnownBitrates ===

impl KnownBitrates {
    /// Whether no stream is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kbps.is_empty()
    }

    /// What a viewer of the stream with this key needs, kbit/s.
    #[must_use]
    pub fn of(&self, key: u64) -> Option<u32> {
        self.kbps.get(&key).copied()
    }
}

fn p90(mut kbps: Vec<u32>) -> Option<u32> {
    if kbps.len() < FEW_STREAMS {
        return None;
    }
    let at = (kbps.len() * 9).div_ceil(10) - 1;
    Some(*kbps.select_nth_unstable(at).1)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within what is plausible")]
fn whole(kbps: f64) -> u32 {
    kbps.ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bitrates: &Bitrates, key: u64, kbps: f64, at_s: u64) {
        bitrates.observe(&[StreamReading { key, clients: 1.0, kbps }], Moment(at_s * 1_000));
    }

    fn known(bitrates: &Bitrates, key: u64, at_s: u64) -> Option<u32> {
        bitrates.publish(Moment(at_s * 1_000));
        bitrates.known().of(key)
    }

    #[test]
    fn a_starved_edge_does_not_pull_a_stream_down() {
        let bitrates = Bitrates::default();
        for round in 0..100 {
            for kbps in [4_000.0, 900.0, 4_010.0] {
                told(&bitrates, 1, kbps, round * 10);
            }
        }
        let kbps = known(&bitrates, 1, 1_000).unwrap();
        assert!((3_790..=4_010).contains(&kbps), "{kbps}");
    }

    #[test]
    fn a_bitrate_that_changes_for_good_is_followed() {
        let bitrates = Bitrates::default();
        told(&bitrates, 1, 2_000.0, 0);
        for round in 1..=15 {
            told(&bitrates, 1, 4_000.0, round * 10);
        }
        assert_eq!(known(&bitrates, 1, 160), Some(4_000));
    }

    #[test]
    fn streams_that_are_over_are_forgotten_and_make_room() {
        let bitrates = Bitrates::default();
        let list = |from: u64| -> Vec<StreamReading> {
            (from..from + 100_000).map(|key| StreamReading { key, clients: 1.0, kbps: 1_000.0 }).collect()
        };
        bitrates.observe(&list(0), Moment(0));
        told(&bitrates, 200_000, 1_000.0, 1);
        assert_eq!(known(&bitrates, 200_000, 2), None, "it is full");
        told(&bitrates, 7, 1_000.0, 300);
        assert_eq!(known(&bitrates, 7, 601), Some(1_000));
        assert_eq!(bitrates.known().of(8), None, "unseen for ten minutes");
        told(&bitrates, 200_000, 1_000.0, 602);
        assert_eq!(known(&bitrates, 200_000, 603), Some(1_000));
    }

    #[test]
    fn the_p90_speaks_once_ten_streams_are_known() {
        let bitrates = Bitrates::default();
        for key in 1..=9 {
            told(&bitrates, key, 1_000.0, 0);
        }
        bitrates.publish(Moment(0));
        assert_eq!(bitrates.p90_kbps(), None);
        told(&bitrates, 10, 8_000.0, 0);
        bitrates.publish(Moment(0));
        assert_eq!(bitrates.p90_kbps(), Some(1_000));
        told(&bitrates, 11, 8_000.0, 0);
        bitrates.publish(Moment(0));
        assert_eq!(bitrates.p90_kbps(), Some(8_000));
    }

    #[test]
    fn what_no_stream_can_need_is_not_believed() {
        let bitrates = Bitrates::default();
        for kbps in [0.0, -1.0, 1e9, f64::NAN, f64::INFINITY] {
            told(&bitrates, 1, kbps, 0);
        }
        assert_eq!(known(&bitrates, 1, 0), None);
        assert!(bitrates.known().is_empty());
    }
}
