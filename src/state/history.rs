//! History: the last hour of every node, for people.
//!
//! A ring of 180 steps of 20 s for each node: the highest pressure of each resource within the step, so that a peak
//! is seen however short, and the answers given. 3.2 kB a node, 32 MB for ten thousand, whatever happens.

use std::collections::HashMap;

use crate::schedule::Moment;
use crate::schedule::load::Resource;

/// Length of a step, ms.
pub const STEP_MS: u64 = 20_000;
/// Steps remembered: an hour.
pub const STEPS: usize = 180;

/// Resources in a track.
const RESOURCES: usize = Resource::ALL.len();
/// Nothing was measured in the step.
const NOTHING: u16 = u16::MAX;
/// Units of a pressure of 1.
const SCALE: f64 = 10_000.0;
/// How much of a second's answers goes into the rate.
const NEW_SHARE: f32 = 0.2;

/// The last hour of all nodes.
#[derive(Debug, Default)]
pub struct History {
    tracks: HashMap<Box<str>, Box<Track>>,
    /// Number of the step that is being written.
    step: u64,
    began: Option<u64>,
}

/// One node's hour.
#[derive(Debug)]
struct Track {
    pressure: [[u16; STEPS]; RESOURCES],
    answers: [f32; STEPS],
    /// Answers a second lately.
    rate: f32,
}

/// One node's hour, oldest step first.
#[derive(Clone, Debug, Default)]
pub struct Hour {
    /// Highest pressure in each step, by [`Resource::index`]; `None`: nothing measured.
    pub pressure: [Vec<Option<f64>>; RESOURCES],
    /// Answers a second in each step; `None`: before this process.
    pub answers: Vec<Option<f64>>,
}

// === impl History ===

impl History {
    /// Begins another second. Steps that are over are closed for all nodes at once.
    pub fn turn(&mut self, now: Moment) {
        let step = now.0 / STEP_MS;
        let began = *self.began.get_or_insert(step);
        let new = step.saturating_sub(self.step.max(began)).min(STEPS as u64);
        for old in (0..new).map(|back| step - back) {
            self.tracks.values_mut().for_each(|track| track.clear(place(old)));
        }
        self.step = step;
    }

    /// What a node came to in this second: its pressures, and so many answers.
    pub fn note(&mut self, node: &str, pressure: &[Option<f64>; RESOURCES], answers: f32) {
        let at = place(self.step);
        let track = match self.tracks.get_mut(node) {
            Some(track) => track,
            None => self.tracks.entry(node.into()).or_default(),
        };
        for (kept, pressure) in track.pressure.iter_mut().zip(pressure) {
            if let Some(pressure) = pressure.map(stored) {
                kept[at] = if kept[at] == NOTHING { pressure } else { kept[at].max(pressure) };
            }
        }
        track.answers[at] += answers;
        track.rate += NEW_SHARE * (answers - track.rate);
    }

    /// Forgets nodes that are no more.
    pub fn keep(&mut self, exists: impl Fn(&str) -> bool) {
        self.tracks.retain(|node, _| exists(node));
    }

    /// Answers a second that a node was given lately.
    #[must_use]
    pub fn rate(&self, node: &str) -> f32 {
        self.tracks.get(node).map_or(0.0, |track| if track.rate < 0.005 { 0.0 } else { track.rate })
    }

    /// The hour of a node.
    #[must_use]
    pub fn hour(&self, node: &str, now: Moment) -> Option<Hour> {
        let track = self.tracks.get(node)?;
        let first = (self.step + 1).saturating_sub(STEPS as u64);
        let steps = || first..=self.step;
        let began = self.began.unwrap_or(self.step);
        let step_s = |step: u64| {
            let length_ms = if step == self.step { (now.0 % STEP_MS).max(1_000) } else { STEP_MS };
            f64::from(u32::try_from(length_ms).unwrap_or(u32::MAX)) / 1_000.0
        };
        let pressure = track.pressure.each_ref().map(|kept| {
            let read = |step: u64| {
                let value = kept[place(step)];
                (step >= began && value != NOTHING).then(|| f64::from(value) / SCALE)
            };
            steps().map(read).collect()
        });
        let answers = steps()
            .map(|step| (step >= began).then(|| f64::from(track.answers[place(step)]) / step_s(step)))
            .collect();
        Some(Hour { pressure, answers })
    }
}

// === impl Track ===

impl Default for Track {
    fn default() -> Self {
        Self { pressure: [[NOTHING; STEPS]; RESOURCES], answers: [0.0; STEPS], rate: 0.0 }
    }
}

impl Track {
    fn clear(&mut self, at: usize) {
        self.pressure.iter_mut().for_each(|kept| kept[at] = NOTHING);
        self.answers[at] = 0.0;
    }
}

fn place(step: u64) -> usize {
    usize::try_from(step % STEPS as u64).unwrap_or_default()
}

/// Up to a pressure of 6.5.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped just before")]
fn stored(pressure: f64) -> u16 {
    (pressure * SCALE).round().clamp(0.0, f64::from(NOTHING - 1)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pressure: f64) -> [Option<f64>; RESOURCES] {
        [Some(pressure); RESOURCES]
    }

    #[test]
    fn a_step_keeps_its_peak_and_the_hour_forgets_what_is_older() {
        let mut history = History::default();
        for (second, pressure) in [(0, 0.2), (3, 0.9), (10, 0.4), (25, 0.3)] {
            history.turn(Moment(second * 1_000));
            history.note("sh-1", &all(pressure), 40.0);
        }
        let hour = history.hour("sh-1", Moment(25_000)).unwrap();
        assert_eq!(hour.pressure[0], [Some(0.9), Some(0.3)]);
        assert_eq!(hour.answers, [Some(6.0), Some(8.0)]);
        history.turn(Moment(3_700_000));
        let hour = history.hour("sh-1", Moment(3_700_000)).unwrap();
        assert_eq!(hour.pressure[0].len(), STEPS);
        assert!(hour.pressure[0].iter().all(Option::is_none));
        assert!(hour.answers.iter().all(|answers| *answers == Some(0.0)));
    }

    #[test]
    fn what_was_not_measured_is_a_gap_and_not_a_zero() {
        let mut history = History::default();
        history.turn(Moment(0));
        history.note("sh-1", &[None; RESOURCES], 0.0);
        assert_eq!(history.hour("sh-1", Moment(0)).unwrap().pressure[0], [None]);
        history.keep(|_| false);
        assert!(history.hour("sh-1", Moment(0)).is_none());
    }

    #[test]
    fn a_node_costs_little_over_three_kilobytes() {
        assert!(size_of::<Track>() < 3_300);
    }
}
