//! Round-trip times: what players of one network measured to each PoP, and what that is worth in km.
//!
//! Distance on the map is a guess at the network's; a measured time is not. Reports come from players and may be
//! wrong or invented, so their influence is bounded on every side: it takes [`ENOUGH`] reports to count at all,
//! what counts fades to nothing in [`LIFE_MS`], and no report makes a PoP seem nearer than a quarter of its
//! distance or farther than four times of it and 100 km.

use std::net::IpAddr;

use arrayvec::ArrayVec;

use super::fleet::PopIndex;
use super::reading::Moment;

/// PoPs remembered for one client network.
pub const MOST_POPS: usize = 16;
/// Reports it takes until a PoP's times count.
pub const ENOUGH: u32 = 3;
/// Without a report for so long, a PoP's times are forgotten, ms.
pub const LIFE_MS: u64 = 30 * 60 * 1_000;
/// No measured km is below a PoP's distance divided by this: what search bounds are divided by too.
pub const NEARER_AT_MOST: f32 = 4.0;

/// No measured km is above a PoP's distance times this, and [`FARTHER_KM`].
const FARTHER_AT_MOST: f32 = 4.0;
/// Room for the last mile, km: a PoP in the client's own street is 10 ms away, too.
const FARTHER_KM: f32 = 100.0;
/// Light in fibre goes 200 km in a ms, there and back is half of that.
const KM_PER_MS: f32 = 100.0;
/// Gain of the mean of reports.
const GAIN: f32 = 0.3;

/// A client network: the /24 of an IPv4 address, the /48 of an IPv6 address. Its clients share their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(u64);

/// What is known of one PoP.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Evidence {
    pop: PopIndex,
    /// Exponentially weighted mean of the reports, ms.
    mean_ms: f32,
    /// Reports behind it.
    reports: u32,
    /// The last of them.
    at: Moment,
}

/// What one client network has reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reports {
    list: ArrayVec<Evidence, MOST_POPS>,
}

/// One PoP's usable evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured {
    pop: PopIndex,
    /// What the mean time stands for, km.
    km: f32,
    /// How much of it counts, above 0 to 1: it fades with age.
    weight: f32,
}

/// The usable part of a network's reports as of one question. Small, so that it can be copied out of a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RttRow {
    list: ArrayVec<Measured, MOST_POPS>,
}

// === impl Network ===

impl Network {
    /// The network of an address; the caller takes IPv4 out of IPv6 first.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            // A bit above the 48 of IPv6, so that no two networks share a number.
            IpAddr::V4(ip) => Self(1 << 48 | u64::from(u32::from(ip) >> 8)),
            IpAddr::V6(ip) => {
                let [a, b, c, ..] = ip.segments().map(u64::from);
                Self(a << 32 | b << 16 | c)
            }
        }
    }

    /// Its number: the same on every replica and in every version.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

// === impl Reports ===

impl Reports {
    /// Takes in a report of `ms` to a PoP. A 17th PoP takes the place of the one that was not heard of for longest.
    pub fn note(&mut self, pop: PopIndex, ms: f32, now: Moment) {
        let fresh = Evidence { pop, mean_ms: ms, reports: 1, at: now };
        if let Some(known) = self.list.iter_mut().find(|known| known.pop == pop) {
            *known = match now.since_ms(known.at) >= LIFE_MS {
                true => fresh,
                false => Evidence {
                    pop,
                    mean_ms: known.mean_ms + GAIN * (ms - known.mean_ms),
                    reports: known.reports.saturating_add(1),
                    at: now,
                },
            };
        } else if self.list.try_push(fresh).is_err()
            && let Some(oldest) = self.list.iter_mut().min_by_key(|known| known.at)
        {
            *oldest = fresh;
        }
    }

    /// When the last report came.
    #[must_use]
    pub fn last(&self) -> Moment {
        self.list.iter().map(|known| known.at).max().unwrap_or_default()
    }

    /// What counts now; `None`: nothing.
    #[must_use]
    pub fn row(&self, now: Moment) -> Option<RttRow> {
        let usable = self.list.iter().filter(|known| known.reports >= ENOUGH);
        let list: ArrayVec<Measured, MOST_POPS> = usable
            .map(|known| Measured {
                pop: known.pop,
                km: known.mean_ms * KM_PER_MS,
                weight: weight(now.since_ms(known.at)),
            })
            .filter(|measured| measured.weight > 0.0)
            .collect();
        (!list.is_empty()).then_some(RttRow { list })
    }

    /// Gives each PoP its number in another fleet; those that have none are forgotten. `false`: all of them are.
    pub fn renumber(&mut self, number: impl Fn(PopIndex) -> Option<PopIndex>) -> bool {
        let kept = self.list.iter().filter_map(|known| Some(Evidence { pop: number(known.pop)?, ..*known }));
        self.list = kept.collect();
        !self.list.is_empty()
    }
}

/// From 1 for a report of this moment down to 0 at the end of its life.
#[expect(clippy::cast_precision_loss, reason = "half an hour of ms needs seven digits")]
fn weight(age_ms: u64) -> f32 {
    1.0 - age_ms.min(LIFE_MS) as f32 / LIFE_MS as f32
}

// === impl RttRow ===

impl RttRow {
    /// How far a PoP counts as being whose distance on the map is `map_km`; `None`: there is no evidence of it.
    /// Never below `map_km` ÷ [`NEARER_AT_MOST`].
    #[must_use]
    pub fn measured_km(&self, pop: PopIndex, map_km: f32) -> Option<f32> {
        let measured = self.list.iter().find(|measured| measured.pop == pop)?;
        let least = map_km / NEARER_AT_MOST;
        let bounded = measured.km.max(least).min(FARTHER_AT_MOST * map_km + FARTHER_KM);
        Some((map_km + measured.weight * (bounded - map_km)).max(least))
    }

    /// The same, and the distance on the map where there is no evidence.
    #[must_use]
    pub fn km(&self, pop: PopIndex, map_km: f32) -> f32 {
        self.measured_km(pop, map_km).unwrap_or(map_km)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment(1_000_000);

    fn reported(ms: f32, times: u32) -> Reports {
        let mut reports = Reports::default();
        (0..times).for_each(|_| reports.note(PopIndex(1), ms, NOW));
        reports
    }

    #[track_caller]
    fn check_km(ms: f32, map_km: f32, age_ms: u64, expected: f32) {
        let row = reported(ms, ENOUGH).row(NOW.plus_ms(age_ms)).unwrap();
        let km = row.km(PopIndex(1), map_km);
        assert!((km - expected).abs() < 0.5, "{ms} ms to {map_km} km after {age_ms} ms: {km} km");
    }

    #[test]
    fn a_network_is_believed_from_the_third_report_on() {
        assert_eq!(reported(5.0, 2).row(NOW), None);
        assert!(reported(5.0, 3).row(NOW).is_some());
    }

    #[test]
    fn influence_is_bounded_to_a_factor_of_four() {
        check_km(10.0, 900.0, 0, 1_000.0);
        check_km(0.1, 1_000.0, 0, 250.0);
        check_km(2_000.0, 1_000.0, 0, 4_100.0);
        check_km(2_000.0, 0.0, 0, 100.0);
    }

    #[test]
    fn evidence_fades_and_ends_after_half_an_hour() {
        check_km(20.0, 1_000.0, LIFE_MS / 2, 1_500.0);
        assert_eq!(reported(20.0, 9).row(NOW.plus_ms(LIFE_MS)), None);
        let mut late = reported(20.0, 9);
        late.note(PopIndex(1), 5.0, NOW.plus_ms(LIFE_MS));
        assert_eq!(late.row(NOW.plus_ms(LIFE_MS)), None, "old reports do not vouch for a new one");
    }

    #[test]
    fn a_pop_without_evidence_stays_where_the_map_has_it() {
        let row = reported(5.0, 3).row(NOW).unwrap();
        assert_eq!((row.km(PopIndex(2), 700.0), row.measured_km(PopIndex(2), 700.0)), (700.0, None));
    }

    #[test]
    fn the_mean_follows_reports_slowly() {
        let mut reports = reported(10.0, 3);
        reports.note(PopIndex(1), 110.0, NOW);
        assert!((reports.list[0].mean_ms - 40.0).abs() < 1e-3);
    }

    #[test]
    fn a_seventeenth_pop_takes_the_place_of_the_oldest() {
        let mut reports = Reports::default();
        (0..17).for_each(|i| reports.note(PopIndex(i), 5.0, Moment(1_000 + u64::from(i))));
        assert_eq!(reports.list.len(), MOST_POPS);
        assert!(reports.list.iter().all(|known| known.pop != PopIndex(0)));
        assert_eq!(reports.last(), Moment(1_016));
    }

    #[test]
    fn reports_follow_their_pop_into_another_fleet() {
        let mut reports = reported(5.0, 3);
        reports.note(PopIndex(2), 5.0, NOW);
        assert!(reports.renumber(|pop| (pop == PopIndex(1)).then_some(PopIndex(7))));
        assert!(reports.row(NOW).unwrap().measured_km(PopIndex(7), 500.0).is_some());
        assert!(!reports.renumber(|_| None));
    }

    proptest! {
        #[test]
        fn no_report_leaves_the_bounds(
            ms in 0.1..2_000.0f32, map_km in 0.0..20_016.0f32, age_ms in 0..LIFE_MS,
        ) {
            let km = reported(ms, 3).row(NOW.plus_ms(age_ms)).map_or(map_km, |row| row.km(PopIndex(1), map_km));
            prop_assert!(km >= map_km / 4.0 && km <= 4.0 * map_km + 100.1, "{} km", km);
        }
    }
}
