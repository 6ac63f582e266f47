//! The audience: where viewers live, what they watch, what it takes. Drawn, never decided.

use crate::schedule::affinity::Bucket;

use super::alias::Alias;
use super::hold;
use super::random::{Purpose, Random};
use super::scenario::{Flash, Scenario};
use super::viewers::{Manner, Viewer};
use super::world::World;

/// Streams of the background, Zipf by rank.
pub(super) const STREAMS: usize = 4_000;
const ZIPF: f64 = 0.9;
/// Bitrates of streams, kbit/s, each as likely.
const KBPS: [u32; 6] = [1_000, 1_500, 2_500, 3_000, 4_000, 8_000];
/// A viewer's own bitrate is its stream's, up to so much off either way.
const SPREAD: f64 = 0.2;
/// Share of viewers who ask and never connect.
const NO_SHOWS: f64 = 0.04;
/// Share of a flash's viewers who live in its region.
const IN_REGION: f64 = 0.8;
/// Bookings of streams of unknown bitrate take the one that 90 % of known streams do not exceed.
const CAUTIOUS: f64 = 0.9;

/// Draws viewers.
#[derive(Clone, Debug)]
pub(super) struct Audience {
    cities: Alias,
    /// For each flash: cities of its region, and the others.
    crowds: Vec<(Alias, Alias)>,
    streams: Alias,
    /// Of each stream, flashes after the background, kbit/s.
    kbps: Vec<u32>,
    buckets: Vec<Bucket>,
    scenario: Scenario,
}

// === impl Audience ===

impl Audience {
    /// The audience of a scenario in a world; the seed says which stream has which bitrate.
    pub(super) fn new(world: &World, scenario: &Scenario, seed: u64) -> Self {
        // Where a fleet has no viewers in a region, its flash comes from everywhere.
        let weights = |keep: &dyn Fn(&str) -> bool| {
            let kept = world.cities.iter().map(|city| if keep(&city.region) { city.viewers } else { 0.0 });
            let kept: Vec<f64> = kept.collect();
            let all = world.cities.iter().map(|city| city.viewers);
            if kept.iter().any(|weight| *weight > 0.0) {
                Alias::new(&kept)
            } else {
                Alias::new(&all.collect::<Vec<_>>())
            }
        };
        let mut random = Random::new(seed, Purpose::Streams);
        let popularity: Vec<f64> = (1..=STREAMS).map(|rank| (rank as f64).powf(-ZIPF)).collect();
        let mut kbps: Vec<u32> = (0..STREAMS).map(|_| KBPS[random.below(KBPS.len())]).collect();
        kbps.extend(scenario.flashes.iter().map(|flash| (flash.mbps * 1e3) as u32));
        let crowd = |flash: &Flash| {
            (weights(&|region| region == flash.region), weights(&|region| region != flash.region))
        };
        Self {
            cities: weights(&|_| true),
            crowds: scenario.flashes.iter().map(crowd).collect(),
            streams: Alias::new(&popularity),
            buckets: (0..kbps.len()).map(|stream| Bucket::of_stream(&format!("live/{stream}"))).collect(),
            kbps,
            scenario: *scenario,
        }
    }

    /// A viewer of the background.
    pub(super) fn anybody(&self, random: &mut Random) -> Viewer {
        let city = self.cities.draw(random);
        let stream = self.streams.draw(random);
        self.viewer(city, stream, random)
    }

    /// A viewer of flash number `flash`.
    pub(super) fn one_of(&self, flash: usize, random: &mut Random) -> Viewer {
        let (region, elsewhere) = &self.crowds[flash];
        let crowd = if random.chance(IN_REGION) { region } else { elsewhere };
        let city = crowd.draw(random);
        self.viewer(city, STREAMS + flash, random)
    }

    fn viewer(&self, city: usize, stream: usize, random: &mut Random) -> Viewer {
        let mistaken = random.chance(self.scenario.geo_error);
        let located = if mistaken { self.cities.draw(random) } else { city };
        let factor = random.between(1.0 - SPREAD, 1.0 + SPREAD);
        let past = random.chance(self.scenario.past);
        let shows = self.scenario.stays && stream >= STREAMS;
        let hold_s = if shows { hold::of_a_show_s(random) } else { hold::fresh_s(random) };
        Viewer {
            city: city as u16,
            located: located as u16,
            stream: stream as u16,
            kbps: (f64::from(self.kbps[stream]) * factor).round() as u32,
            hold_s: hold_s as f32,
            manner: Manner {
                past,
                no_show: random.chance(NO_SHOWS),
                polls: self.scenario.polls.is_some_and(|polls| random.chance(polls.share)),
                ..Manner::default()
            },
            ..Viewer::default()
        }
    }

    /// What the scheduler is told a viewer of this stream takes, kbit/s: the stream's bitrate if anybody knows
    /// it, else a cautious guess. Never the viewer's own.
    pub(super) fn told_kbps(&self, stream: u16) -> u32 {
        if self.scenario.bitrate_known {
            return self.kbps[usize::from(stream)];
        }
        let mut known = KBPS;
        known.sort_unstable();
        known[((known.len() as f64 * CAUTIOUS) as usize).min(known.len() - 1)]
    }

    /// What a viewer of whatever stream takes, kbit/s: DNS does not tell which.
    pub(super) fn mean_kbps(&self) -> u32 {
        KBPS.iter().sum::<u32>() / KBPS.len() as u32
    }

    /// The stream's own bitrate, kbit/s: what an edge pulls.
    pub(super) fn stream_kbps(&self, stream: u16) -> u32 {
        self.kbps[usize::from(stream)]
    }

    /// Which nodes a stream sticks to.
    pub(super) fn bucket(&self, stream: u16) -> Bucket {
        self.buckets[usize::from(stream)]
    }

    /// Streams there are, flashes included.
    pub(super) fn streams(&self) -> usize {
        self.kbps.len()
    }

    /// Arrivals per second that keep `viewers` there, no-shows included.
    pub(super) fn arrivals_per_s(&self, viewers: usize) -> f64 {
        viewers as f64 / hold::mean_s() / (1.0 - NO_SHOWS)
    }

    /// Arrivals at this second of the run, relative to the mean.
    pub(super) fn hour(&self, second_s: f64) -> f64 {
        if self.scenario.day {
            1.0 - DAY_SWING * (std::f64::consts::TAU * second_s / DAY_S).cos()
        } else {
            1.0
        }
    }

    /// The highest value of [`Self::hour`].
    pub(super) fn busiest_hour(&self) -> f64 {
        if self.scenario.day { 1.0 + DAY_SWING } else { 1.0 }
    }
}

const DAY_S: f64 = 86_400.0;
const DAY_SWING: f64 = 0.45;
