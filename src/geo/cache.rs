//! Remembers answers per network, one cache for each thread.
//!
//! *Why so.* A look-up takes 0.5 to 0.8 µs (measured on a 63 MB city file) and more in a busy server, the rest of a
//! decision less than that. Clients come in networks, so the answer is kept for the whole /24 (IPv4) or /48 (IPv6),
//! but only where it holds for all of that: where its covering prefix is no longer. A network has a choice of two
//! slots, side by side in memory, where the one used last stays: with one slot each, a quarter of 10,000 networks
//! would push each other out for ever. Nothing to lock, no allocation after the first use of a thread.
//!
//! *Invalidation.* Each slot carries the generation of the snapshot that answered, so a reload empties the cache
//! without touching it.
//!
//! *Cost.* 2¹⁵ pairs of slots of 24 bytes: 1.6 MB for each thread that locates, touched as far as it is used.

use std::cell::RefCell;
use std::net::IpAddr;

use super::{Located, Precision};
use crate::schedule::isp::IspId;
use crate::schedule::place::Location;

/// log₂ of the number of pairs of slots.
const PAIR_BITS: u32 = 15;

/// Coordinates are kept in units of 10⁻⁷ degrees (11 mm).
const UNITS_PER_DEGREE: f64 = 1e7;

/// Latitude of a place that is not there.
const NOWHERE: i32 = i32::MIN;

thread_local! {
    static CACHE: RefCell<Vec<[Slot; 2]>> = const { RefCell::new(Vec::new()) };
}

/// The /24 or /48 an address lies in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(Rust, packed(2))]
struct Key {
    high: u32,
    low: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Generations start at 1, so that an empty slot matches nothing.
    generation: u32,
    key: Key,
    packed: Packed,
}

/// [`Located`] in 14 bytes instead of 32. Packed, as the key is: a slot stays at 24 bytes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(Rust, packed(2))]
pub(super) struct Packed {
    latitude: i32,
    longitude: i32,
    /// Zeros: unknown.
    country: [u8; 2],
    precision: u8,
    prefix: u8,
    /// The number and 1; 0: unknown.
    isp: u8,
}

/// The remembered answer for a canonical address, or a fresh one with the generation it belongs to.
pub(super) fn get_or(generation: u32, ip: IpAddr, fresh: impl Fn() -> (u32, Located)) -> Located {
    let Some((key, length)) = Key::of(ip) else { return fresh().1 };
    CACHE
        .try_with(|cache| {
            let mut pairs = cache.try_borrow_mut().ok()?;
            if pairs.is_empty() {
                *pairs = vec![Default::default(); 1 << PAIR_BITS];
            }
            let [first, second] = pairs.get_mut(key.pair())?;
            if first.generation == generation && first.key == key {
                return Some(first.packed.located());
            }
            if second.generation == generation && second.key == key {
                std::mem::swap(first, second);
                return Some(first.packed.located());
            }
            let (generation, located) = fresh();
            if located.prefix <= length {
                *second = std::mem::replace(first, Slot { generation, key, packed: Packed::new(located) });
            }
            Some(located)
        })
        .ok()
        .flatten()
        // Only while the thread is being torn down.
        .unwrap_or_else(|| fresh().1)
}

/// The remembered answer for a canonical address; `None`: none is.
pub(super) fn known(generation: u32, ip: IpAddr) -> Option<Located> {
    let (key, _) = Key::of(ip)?;
    let known = CACHE.try_with(|cache| {
        let pairs = cache.try_borrow().ok()?;
        let slot =
            pairs.get(key.pair())?.iter().find(|slot| slot.generation == generation && slot.key == key)?;
        Some(slot.packed.located())
    });
    known.ok().flatten()
}

/// Has the processor read what is remembered of an address's network, and does not wait for it.
pub(super) fn prefetch(ip: IpAddr) {
    let Some((key, _)) = Key::of(ip) else { return };
    let _ = CACHE.try_with(|cache| {
        if let Ok(pairs) = cache.try_borrow()
            && let Some([first, _]) = pairs.get(key.pair())
        {
            std::hint::black_box(first.generation);
        }
    });
}

// === impl Key ===

impl Key {
    /// The network to remember an address by and its prefix length. `None` for `::/8`, whose keys would be taken
    /// for IPv4 (no client has such an address).
    fn of(ip: IpAddr) -> Option<(Self, u8)> {
        match ip {
            IpAddr::V4(v4) => Some((Self { high: u32::from(v4) >> 8, low: 0 }, 24)),
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                (a >> 8 != 0).then(|| (Self { high: u32::from(a) << 16 | u32::from(b), low: c }, 48))
            }
        }
    }

    /// Fibonacci hashing: neighbouring networks go to different pairs, and the high bits depend on all others.
    fn pair(self) -> usize {
        let key = u64::from(self.high) << 16 | u64::from(self.low);
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PAIR_BITS)) as usize
    }
}

// === impl Packed ===

impl Packed {
    pub(super) fn new(located: Located) -> Self {
        let (latitude, longitude) = located
            .location
            .map_or((NOWHERE, 0), |location| (units(location.latitude()), units(location.longitude())));
        Self {
            latitude,
            longitude,
            country: located.country.unwrap_or_default(),
            precision: located.precision as u8,
            prefix: located.prefix,
            isp: located.isp.map_or(0, |isp| isp.0 + 1),
        }
    }

    pub(super) fn located(self) -> Located {
        let location = (self.latitude != NOWHERE).then(|| {
            let (latitude, longitude) = (f64::from(self.latitude), f64::from(self.longitude));
            Location::new(latitude / UNITS_PER_DEGREE, longitude / UNITS_PER_DEGREE).ok()
        });
        Located {
            location: location.flatten(),
            precision: match self.precision {
                0 => Precision::Override,
                1 => Precision::City,
                2 => Precision::Country,
                3 => Precision::Default,
                _ => Precision::Unknown,
            },
            country: (self.country != [0, 0]).then_some(self.country),
            isp: self.isp.checked_sub(1).map(IspId),
            prefix: self.prefix,
        }
    }
}

fn units(degrees: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 180 degrees, so 1.8e9")]
    let units = (degrees * UNITS_PER_DEGREE).round() as i32;
    units
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    fn located(prefix: u8) -> Located {
        let location = Location::new(31.23, 121.47).ok();
        Located {
            location,
            precision: Precision::City,
            country: Some(*b"CN"),
            isp: Some(IspId::OTHER),
            prefix,
        }
    }

    /// Asks for `ips` in turn and returns how often a fresh answer was needed.
    fn misses(generation: u32, ips: &[&str], answer: Located) -> usize {
        let count = Cell::new(0);
        for ip in ips {
            let got = get_or(generation, ip.parse().unwrap(), || {
                count.set(count.get() + 1);
                (generation, answer)
            });
            assert_eq!(got, answer);
        }
        count.get()
    }

    /// Far from the generations of real snapshots, which other tests on this thread may have left behind.
    const UNUSED: u32 = 4_000_000_000;

    #[test]
    fn network_is_asked_about_once() {
        assert_eq!(misses(UNUSED, &["20.1.2.3", "20.1.2.200", "20.1.2.3", "20.1.3.1"], located(24)), 2);
        assert_eq!(misses(UNUSED, &["2400:1:2::1", "2400:1:2:ffff::1", "2400:1:3::1"], located(48)), 2);
    }

    #[test]
    fn answer_that_holds_for_less_than_a_network_is_not_kept() {
        assert_eq!(misses(UNUSED + 1, &["20.1.2.3", "20.1.2.3"], located(25)), 2);
        assert_eq!(misses(UNUSED + 1, &["2400:1:2::1", "2400:1:2::1"], located(49)), 2);
    }

    #[test]
    fn new_generation_forgets_the_old_answers() {
        assert_eq!(misses(UNUSED + 2, &["20.1.2.3"], located(24)), 1);
        assert_eq!(misses(UNUSED + 3, &["20.1.2.3"], located(24)), 1);
    }

    #[test]
    fn ipv6_network_is_never_taken_for_an_ipv4_one() {
        assert_eq!(misses(UNUSED + 4, &["20.1.2.3"], located(24)), 1);
        assert_eq!(misses(UNUSED + 4, &["14:102::1", "14:102::1"], located(8)), 2);
    }

    #[test]
    fn two_networks_with_the_same_place_in_the_cache_do_not_push_each_other_out() {
        let pair = |third: u8, last: u8| Key::of([20, third, last, 1].into()).unwrap().0.pair();
        let (third, last) = (0..=255)
            .flat_map(|third| (0..=255).map(move |last| (third, last)))
            .find(|&(third, last)| (third, last) != (0, 0) && pair(third, last) == pair(0, 0))
            .unwrap();
        let rival = format!("20.{third}.{last}.1");
        assert_eq!(misses(UNUSED + 5, &["20.0.0.1", &rival, "20.0.0.1", &rival], located(24)), 2);
    }

    #[test]
    fn slot_is_small() {
        assert_eq!(size_of::<Slot>(), 24);
    }

    proptest! {
        #[test]
        fn packing_keeps_everything_to_a_centimetre(
            latitude in -90.0..=90.0_f64, longitude in -180.0..=180.0_f64, prefix: u8, known: bool,
        ) {
            let given = Located {
                location: known.then(|| Location::new(latitude, longitude).unwrap()),
                precision: Precision::Country,
                country: known.then_some(*b"FR"),
                isp: known.then_some(IspId(7)),
                prefix,
            };
            let got = Packed::new(given).located();
            prop_assert_eq!(Packed::new(got).located(), got);
            prop_assert_eq!((got.precision, got.country, got.prefix), (given.precision, given.country, given.prefix));
            prop_assert_eq!(got.isp, given.isp);
            prop_assert_eq!(got.location.is_some(), known);
            if let (Some(got), Some(given)) = (got.location, given.location) {
                prop_assert!(got.distance_km(given) < 1e-5, "{} {}", got, given);
            }
        }

        #[test]
        fn packing_keeps_decimal_degrees_exactly(latitude in -9_000_000..=9_000_000_i32) {
            let degrees = f64::from(latitude) / 1e5;
            let given = Located { location: Location::new(degrees, -degrees).ok(), ..located(24) };
            prop_assert_eq!(Packed::new(given).located(), given);
        }
    }
}
