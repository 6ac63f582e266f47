//! Flows: where the last minute's viewers are and where they were sent, from squares of 1° to PoPs.
//!
//! It reads the ring of recent answers, which keeps no address, and counts; whether a PoP was the nearest is worked
//! out here again, from the middle of the square.

use std::collections::HashMap;

use serde::Serialize;

use super::super::Resolver;
use crate::schedule::fleet::PoolIndex;
use crate::schedule::place::Point;
use crate::state::Live;
use crate::state::recent::{Degree, Entry, Sample};

/// How far it looks back, ms.
const LOOK_BACK_MS: u64 = 60_000;
/// Flows shown at most.
const MOST: usize = 130;
/// A square is some 100 km wide: a PoP is farther than the nearest if it is by more than this, km.
const ROUGH_KM: f64 = 80.0;

/// Where viewers go.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Flows {
    /// Those with most viewers, largest first.
    pub flows: Vec<Flow>,
    /// How many there are in all.
    pub total: usize,
    /// Answers a second, those without a place included.
    pub per_s: f64,
}

/// From a square to a PoP.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flow {
    /// The middle of the square, degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
    /// Where they were sent: its place among the sites.
    pub pop: usize,
    /// The nearest site, if that is another.
    pub nearest: Option<usize>,
    /// Answers a second.
    pub per_s: f64,
}

/// Whose viewers a node was given in the last minute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// Answers.
    pub answers: u64,
    /// Of them, those whose nearest PoP it is in.
    pub nearest: u64,
    /// Those that have a nearer one: PoP and answers, most first.
    pub farther: Vec<(Box<str>, u64)>,
    /// Those whose place nobody knows.
    pub nowhere: u64,
}

/// The nearest PoP of a pool, by square.
#[derive(Default)]
struct Nearest(HashMap<(PoolIndex, u16), Option<(usize, f64)>>);

// === impl Resolver ===

impl Resolver {
    /// Where the last minute's viewers are and where they were sent. Costs a millisecond: for people.
    #[must_use]
    pub fn flows(&self) -> Flows {
        let live = self.state.live();
        let sample = live.recent.last(LOOK_BACK_MS, self.state.clock().now());
        let seconds = seconds(&sample);
        let mut nearest = Nearest::default();
        let mut counts: HashMap<(u16, usize), (u64, Option<usize>)> = HashMap::new();
        for entry in &sample.entries {
            if entry.degree == Degree::UNKNOWN {
                continue;
            }
            let pop = usize::from(live.fleet.pop_of(entry.node).0);
            let key = (entry.degree.number(), pop);
            let count = counts.entry(key).or_insert_with(|| (0, nearest.other(&live, entry)));
            count.0 += 1;
        }
        let total = counts.len();
        let mut flows: Vec<Flow> = counts
            .into_iter()
            .filter_map(|((degree, pop), (count, nearest))| {
                let place = Degree::numbered(degree).centre()?;
                let per_s = count_f64(count) / seconds;
                Some(Flow { latitude: place.latitude(), longitude: place.longitude(), pop, nearest, per_s })
            })
            .collect();
        flows.sort_by(|a, b| {
            b.per_s.total_cmp(&a.per_s).then(a.pop.cmp(&b.pop)).then(a.latitude.total_cmp(&b.latitude))
        });
        flows.truncate(MOST);
        let all = sample.entries.len() as u64;
        Flows { flows, total, per_s: count_f64(all) / seconds }
    }

    /// Whose viewers a node was given in the last minute.
    #[must_use]
    pub fn sources(&self, id: &str) -> Sources {
        let live = self.state.live();
        let Some(node) = live.fleet.by_id(id) else { return Sources::default() };
        let mut sample = live.recent.last(LOOK_BACK_MS, self.state.clock().now());
        let scale = 60.0 / seconds(&sample);
        sample.entries.retain(|entry| entry.node == node);
        let mut nearest = Nearest::default();
        let mut sources = Sources::default();
        let mut farther: HashMap<usize, u64> = HashMap::new();
        for entry in &sample.entries {
            match (entry.degree == Degree::UNKNOWN, nearest.other(&live, entry)) {
                (true, _) => sources.nowhere += 1,
                (false, None) => sources.nearest += 1,
                (false, Some(pop)) => *farther.entry(pop).or_default() += 1,
            }
        }
        let scaled = |count: u64| scaled(count, scale);
        sources.farther = farther
            .into_iter()
            .map(|(pop, count)| (live.fleet.pops[pop].name.clone(), scaled(count)))
            .collect();
        sources.farther.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        (sources.nearest, sources.nowhere) = (scaled(sources.nearest), scaled(sources.nowhere));
        let moved: u64 = sources.farther.iter().map(|(_, count)| count).sum();
        sources.answers = sources.nearest + sources.nowhere + moved;
        sources
    }
}

/// A young process has not seen a minute yet; dividing by one would say that it is idle.
fn seconds(sample: &Sample) -> f64 {
    let first = sample.entries.first().map(|entry| entry.at);
    let last = sample.entries.last().map(|entry| entry.at);
    let span = first.zip(last).map_or(0, |(first, last)| last.since_ms(first));
    let covers = sample.covers_ms.min(LOOK_BACK_MS);
    count_f64(if span < covers / 2 { span.max(1_000) } else { covers }) / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count_f64(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn scaled(count: u64, scale: f64) -> u64 {
    (count_f64(count) * scale).round() as u64
}

// === impl Nearest ===

impl Nearest {
    /// The PoP nearest to an asker, if it is another than that of the answer.
    fn other(&mut self, live: &Live, entry: &Entry) -> Option<usize> {
        let here = live.fleet.pop_of(entry.node);
        let centre = entry.degree.centre()?.point();
        let pool = live.fleet.domains.get(usize::from(entry.domain.0))?.pool;
        let key = (pool, entry.degree.number());
        let (pop, km) = (*self.0.entry(key).or_insert_with(|| nearest(live, pool, centre)))?;
        let here_km = live.fleet.pops[usize::from(here.0)].point?.distance_km(centre);
        (pop != usize::from(here.0) && here_km > km + ROUGH_KM).then_some(pop)
    }
}

fn nearest(live: &Live, pool: PoolIndex, centre: Point) -> Option<(usize, f64)> {
    let groups = live.fleet.pool(pool).groups.iter();
    let near = groups.filter_map(|group| Some((usize::from(group.pop.0), group.point?.distance_km(centre))));
    near.min_by(|a, b| a.1.total_cmp(&b.1))
}
