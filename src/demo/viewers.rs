//! The demo's audience: who comes when, from where, for what, and how long they stay.
//!
//! Pure: given a seed and the time it draws viewers, [`super::crowd`] lives them. Arrivals are a Poisson process
//! whose rate is set so that the fleet floats around half of its limit, with a slow swell on top. Every 90 s a
//! flash crowd gathers in one city for one stream, enough to fill that city's edges: this is when spilling can
//! be watched.
//!
//! Streams follow Zipf's law. Stays are the heavy-tailed mixture of real viewers (many look in, some stay, few
//! remain for hours) with all times shortened, since the tour takes minutes. On a large fleet one drawn viewer
//! stands for several: the demo asks at most [`ASKS_PER_S`] times a second, and the bitrate makes up for it.

use std::net::Ipv4Addr;

use super::cities::{CITIES, City};
use super::fleet::Planned;
use super::random::{Random, running_totals};

/// Share of the fleet's limit (80 % of all links) that the everyday audience needs.
const EVERYDAY: f64 = 0.50;

/// Share of a link at which it counts as overloaded.
const LIMIT: f64 = 0.80;

/// How often the everyday audience asks at most, per second.
const ASKS_PER_S: f64 = 80.0;

/// Mean of [`stay_ms`], ms; a test holds the two together.
const MEAN_STAY_MS: f64 = 50_000.0;

/// Bitrates that streams are published in, kbit/s.
const BITRATES: [u32; 6] = [1_000, 1_500, 2_500, 3_000, 4_000, 8_000];

/// Streams on air. With Zipf's exponent below, the first draws some 4 % of all viewers.
const STREAMS: u32 = 200;
const ZIPF: f64 = 0.9;

/// The first flash crowd comes early enough for an impatient visitor.
const FIRST_FLASH_MS: u64 = 25_000;
const FLASH_EVERY_MS: u64 = 90_000;
/// A flash crowd gathers in this time, or longer where it would ask faster than [`FLASH_ASKS_PER_S`].
const FLASH_MS: f64 = 12_000.0;
const FLASH_ASKS_PER_S: f64 = 60.0;
const FLASH_KBPS: u32 = 3_000;

/// The service takes no higher bitrate for one viewer's, kbit/s.
const MOST_KBPS: f64 = 100_000.0;

/// The swell of the everyday audience: ±15 % in three minutes.
const SWELL: f64 = 0.15;
const SWELL_MS: f64 = 180_000.0;

/// One who wants to watch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Viewer {
    /// An address of the city's network.
    pub(super) address: Ipv4Addr,
    /// "live/room-7".
    pub(super) stream: String,
    pub(super) kbps: u32,
    pub(super) stay_ms: u64,
}

/// A crowd that gathers.
#[derive(Clone, Debug)]
struct Flash {
    city: usize,
    ends_ms: u64,
    per_s: f64,
    stream: String,
}

/// All viewers to come.
#[derive(Debug)]
pub(super) struct Audience {
    random: Random,
    /// Running totals of the cities' viewers.
    cities: Vec<f64>,
    /// Bitrate of every stream, kbit/s, the most watched first.
    streams: Vec<u32>,
    /// Running totals of the streams' shares.
    popularity: Vec<f64>,
    /// Capacity of every city that has edges, Mbit/s.
    sites: Vec<f64>,
    /// Everyday arrivals per second.
    per_s: f64,
    /// How many real viewers one drawn viewer stands for.
    bundle: f64,
    began_ms: u64,
    next_ms: u64,
    next_flash_ms: u64,
    flashes: u32,
    flash: Option<Flash>,
}

// === impl Audience ===

impl Audience {
    /// The audience that half fills a fleet.
    pub(super) fn new(plan: &[Planned], seed: u64, now_ms: u64) -> Self {
        let mut random = Random::new(seed);
        let streams: Vec<u32> = (0..STREAMS).map(|_| BITRATES[index(&mut random, BITRATES.len())]).collect();
        let popularity = running_totals((1..=STREAMS).map(|rank| f64::from(rank).powf(-ZIPF)));
        let mut sites = vec![0.0; plan.iter().map(|edge| edge.city + 1).max().unwrap_or(0)];
        for edge in plan {
            sites[edge.city] += f64::from(edge.hardware.bandwidth_mbps);
        }
        let wanted_kbps = sites.iter().sum::<f64>() * 1_000.0 * LIMIT * EVERYDAY;
        let viewers_per_s = wanted_kbps / mean_kbps(&streams, &popularity) / (MEAN_STAY_MS / 1_000.0);
        let bundle = (viewers_per_s / ASKS_PER_S).max(1.0);
        Self {
            random,
            cities: running_totals(CITIES.iter().map(|city| city.viewers)),
            streams,
            popularity,
            sites,
            per_s: viewers_per_s / bundle,
            bundle,
            began_ms: now_ms,
            next_ms: now_ms,
            next_flash_ms: now_ms + FIRST_FLASH_MS,
            flashes: 0,
            flash: None,
        }
    }

    /// Everyday arrivals per second.
    pub(super) fn per_s(&self) -> f64 {
        self.per_s
    }

    /// The next viewer who has come by now, if any. Call again until there is none.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<Viewer> {
        self.gather(now_ms);
        if self.next_ms > now_ms {
            return None;
        }
        // Who could not be asked for in time (the machine slept) does not come in a heap afterwards.
        self.next_ms = self.next_ms.max(now_ms.saturating_sub(1_000));
        let everyday = self.per_s * self.swell(now_ms);
        let flash = self.flash.as_ref().map_or(0.0, |flash| flash.per_s);
        self.next_ms += whole_ms(self.random.exponential(1_000.0 / (everyday + flash).max(0.001)));
        let of_the_flash = self.random.between(0.0, everyday + flash) < flash;
        Some(match self.flash.clone().filter(|_| of_the_flash) {
            Some(flash) => self.viewer(flash.city, flash.stream, FLASH_KBPS),
            None => self.anyone(),
        })
    }

    /// One who is already watching when the demo begins; `stay_ms` is what remains of the stay.
    pub(super) fn resident(&mut self) -> Viewer {
        let mut viewer = self.anyone();
        // Whoever one meets in the middle is likelier to stay long.
        let stay = viewer.stay_ms.max(stay_ms(&mut self.random));
        viewer.stay_ms = stay * (self.random.bits() % 1_000) / 1_000;
        viewer
    }

    /// The city where a flash crowd gathers now.
    pub(super) fn flash_city(&self, now_ms: u64) -> Option<&'static City> {
        self.flash.as_ref().filter(|flash| flash.ends_ms > now_ms).map(|flash| &CITIES[flash.city])
    }

    /// Starts and ends flash crowds.
    fn gather(&mut self, now_ms: u64) {
        self.flash = self.flash.take().filter(|flash| flash.ends_ms > now_ms);
        if self.next_flash_ms > now_ms {
            return;
        }
        self.next_flash_ms = now_ms + FLASH_EVERY_MS;
        self.flashes += 1;
        let city = self.random.pick(&self.cities[..self.sites.len()]);
        // Together with the everyday audience this is some 30 % more than the city's edges may carry.
        let wanted_kbps = self.sites[city] * 1_000.0 * LIMIT * 0.8;
        let viewers = wanted_kbps / (f64::from(FLASH_KBPS) * self.bundle);
        let gathers_ms = FLASH_MS.max(viewers / FLASH_ASKS_PER_S * 1_000.0);
        self.flash = Some(Flash {
            city,
            ends_ms: now_ms + whole_ms(gathers_ms),
            per_s: viewers / gathers_ms * 1_000.0,
            stream: format!("live/match-{}", self.flashes),
        });
    }

    fn anyone(&mut self) -> Viewer {
        let city = self.random.pick(&self.cities);
        let stream = self.random.pick(&self.popularity);
        self.viewer(city, format!("live/room-{}", stream + 1), self.streams[stream])
    }

    fn viewer(&mut self, city: usize, stream: String, kbps: u32) -> Viewer {
        let [.., high, low] = self.random.bits().to_be_bytes();
        let address = CITIES[city].viewer_address(u16::from_be_bytes([high, low]));
        // Nobody receives exactly the nominal bitrate.
        let kbps = (f64::from(kbps) * self.bundle * self.random.between(0.8, 1.2)).min(MOST_KBPS);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some Mbit/s")]
        Viewer { address, stream, kbps: kbps as u32, stay_ms: stay_ms(&mut self.random) }
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one demo")]
    fn swell(&self, now_ms: u64) -> f64 {
        let turns = now_ms.saturating_sub(self.began_ms) as f64 / SWELL_MS;
        SWELL.mul_add((turns * std::f64::consts::TAU).sin(), 1.0)
    }
}

/// How long a viewer stays: 40 % look in (exponential), 45 % watch (lognormal), 15 % remain (Pareto, capped).
fn stay_ms(random: &mut Random) -> u64 {
    let kind = random.unit();
    let seconds = if kind < 0.40 {
        1.0 + random.exponential(15.0)
    } else if kind < 0.85 {
        random.lognormal(40.0, 0.8)
    } else {
        random.pareto(45.0, 1.3)
    };
    whole_ms(seconds.min(600.0) * 1_000.0)
}

/// Mean bitrate of what is watched, kbit/s.
fn mean_kbps(streams: &[u32], popularity: &[f64]) -> f64 {
    let before = std::iter::once(0.0).chain(popularity.iter().copied());
    let shares = popularity.iter().zip(before).map(|(total, before)| total - before);
    let sum: f64 = streams.iter().zip(shares).map(|(kbps, share)| f64::from(*kbps) * share).sum();
    sum / popularity.last().copied().unwrap_or(1.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and below an hour")]
fn whole_ms(ms: f64) -> u64 {
    ms as u64
}

fn index(random: &mut Random, len: usize) -> usize {
    usize::try_from(random.bits() % len.max(1) as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::fleet::plan;

    /// Everyone who comes within a time, in the demo's own steps.
    fn crowd(audience: &mut Audience, from_ms: u64, to_ms: u64) -> Vec<Viewer> {
        (from_ms..to_ms)
            .step_by(25)
            .flat_map(|now_ms| std::iter::from_fn(|| audience.next(now_ms)).collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn viewers_come_from_cities_by_weight() {
        let mut audience = Audience::new(&plan(24, 1), 1, 0);
        let total: f64 = CITIES.iter().map(|city| city.viewers).sum();
        let mut seen = vec![0_u32; CITIES.len()];
        for _ in 0..50_000 {
            let [a, b, ..] = audience.anyone().address.octets();
            seen[CITIES.iter().position(|city| city.network == [a, b]).unwrap()] += 1;
        }
        for (city, seen) in CITIES.iter().zip(seen) {
            let expected = 50_000.0 * city.viewers / total;
            let error = (f64::from(seen) - expected).abs();
            assert!(error < 5.0 * expected.sqrt(), "{}: {seen} instead of {expected}", city.name);
        }
    }

    #[test]
    fn mean_stay_is_what_the_rate_is_made_for() {
        let mut random = Random::new(5);
        let mean = (0..200_000).map(|_| stay_ms(&mut random) as f64).sum::<f64>() / 200_000.0;
        assert!((mean / MEAN_STAY_MS - 1.0).abs() < 0.03, "{mean}");
    }

    #[track_caller]
    fn check_demand(edges: usize) {
        let plan = plan(edges, 1);
        let limit_kbps: f64 = plan.iter().map(|edge| f64::from(edge.hardware.bandwidth_mbps) * 800.0).sum();
        let mut audience = Audience::new(&plan, 1, 0);
        audience.next_flash_ms = u64::MAX;
        // One whole swell; kbit/s × ms of stay per ms is the mean traffic.
        let viewers = crowd(&mut audience, 0, 180_000);
        let work: f64 = viewers.iter().map(|viewer| f64::from(viewer.kbps) * viewer.stay_ms as f64).sum();
        let pressure = work / 180_000.0 / limit_kbps;
        assert!((0.40..0.60).contains(&pressure), "{edges} edges: {pressure}");
        assert!(viewers.len() <= 90 * 180, "{} asks in three minutes", viewers.len());
    }

    #[test]
    fn the_everyday_audience_half_fills_fleets_of_any_size() {
        check_demand(12);
        check_demand(24);
        check_demand(200);
        check_demand(500);
    }

    #[test]
    fn a_flash_crowd_wants_most_of_what_one_city_has() {
        let plan = plan(24, 1);
        let mut audience = Audience::new(&plan, 1, 0);
        let early = crowd(&mut audience, 0, FIRST_FLASH_MS);
        assert!(early.iter().all(|viewer| viewer.stream.starts_with("live/room-")));
        assert!(audience.flash_city(FIRST_FLASH_MS).is_none());
        let during = crowd(&mut audience, FIRST_FLASH_MS, FIRST_FLASH_MS + FLASH_EVERY_MS);
        let fans: Vec<_> = during.iter().filter(|viewer| viewer.stream == "live/match-1").collect();
        let [a, b, ..] = fans[0].address.octets();
        assert!(fans.iter().all(|viewer| viewer.address.octets()[..2] == [a, b]), "all from one city");
        let site: f64 = plan
            .iter()
            .filter(|edge| CITIES[edge.city].network == [a, b])
            .map(|edge| f64::from(edge.hardware.bandwidth_mbps))
            .sum();
        let mbps: f64 = fans.iter().map(|viewer| f64::from(viewer.kbps) / 1_000.0).sum();
        assert!((0.5..0.8).contains(&(mbps / site)), "{mbps} of {site}");
    }

    #[test]
    fn who_was_missed_does_not_come_in_a_heap() {
        let mut audience = Audience::new(&plan(24, 1), 1, 0);
        let rate = audience.per_s();
        let after_an_hour = crowd(&mut audience, 3_600_000, 3_600_025).len();
        assert!((after_an_hour as f64) < 4.0 * rate, "{after_an_hour} at {rate} per second");
    }
}
