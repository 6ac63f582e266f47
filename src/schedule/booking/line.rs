//! One node's line in the ledger: one cache line, atomics only.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::schedule::inflight;
use crate::schedule::reading::Moment;

/// Elastic resources, in this order: bandwidth, system CPU, process CPU.
pub const ELASTIC: usize = 3;

/// Low bits of [`Line::booked`] that hold kbit/s (274 Tbit/s); above them stands the number of answers, in parts.
const KBPS_BITS: u32 = 38;
const KBPS_MASK: u64 = (1 << KBPS_BITS) - 1;
/// Low bits of [`Line::since`] that hold time, ms: 34 years.
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// Parts of an answer that are told apart: a node's share of one that stands for less than a viewer is less than one.
const PARTS: u64 = 16;

/// What one scrape tells the ledger about a node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LineUpdate {
    /// Pressure of each elastic resource as measured, carry included, bookings since then not.
    pub base: [f32; ELASTIC],
    /// Pressure that one more Mbit/s adds.
    pub slope: [f32; ELASTIC],
    /// Highest pressure among resources that bookings do not move.
    pub floor: f32,
    /// Own bookings of closed windows that the sample cannot have seen, Mbit/s; in `base` already.
    pub carried_mbps: f32,
    /// What one client has been seen to need, Mbit/s.
    pub mbps_per_client: f32,
    /// What the node is taken to send without bookings, Mbit/s: its part of its PoP's uplink.
    pub estimate_mbps: f32,
    /// Bits of [`status`](super::status).
    pub status: u32,
}

/// Viewers that one shared answer books on one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Party {
    /// How many they are taken to be. Whole sixteenths count.
    pub viewers: f32,
    /// How much more one of them counts than who asks for itself, see [`crate::schedule::kappa`].
    pub factor: f32,
    /// What each of them needs, kbit/s.
    pub kbps: u32,
    /// How much later they come on average than somebody who asks for itself, ms.
    pub later_ms: u64,
}

/// Bookings of the window that a scrape has just closed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Batch {
    /// Answers, shared ones as the viewers behind them.
    pub answers: f64,
    /// Of those, viewers taken to stand behind shared answers.
    pub shared: f64,
    /// Σ of their bitrates, kbit/s.
    pub kbps: u64,
    /// Σ of bitrate × time since the window began, kbit/s · ms.
    pub kbps_ms: u64,
    /// When the window began.
    pub since: Moment,
}

/// One node's line. 64 bytes and aligned to that: a candidate costs one cache miss.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Line {
    base: [AtomicU32; ELASTIC],
    slope: [AtomicU32; ELASTIC],
    floor: AtomicU32,
    status: AtomicU32,
    /// Answers since the window began in the upper 26 bits, in sixteenths, their kbit/s in the lower 38: one addition
    /// books both.
    booked: AtomicU64,
    kbps_ms: AtomicU64,
    /// When the window began, ms, in the lower 40 bits; above it the viewers behind shared answers, in sixteenths.
    since: AtomicU64,
    /// Answers that are still connecting, see [`inflight`].
    in_flight: AtomicU64,
}

// === impl Party ===

impl Party {
    /// What all of them need as it is booked, kbit/s.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, and bounded")]
    pub fn all_kbps(self) -> u64 {
        let all = f64::from(self.kbps) * f64::from(self.viewers) * f64::from(self.factor);
        ((all + 0.5) as u64).min(KBPS_MASK)
    }
}

// === impl Line ===

impl Line {
    /// Whether any of these [`status`](super::status) bits is set.
    #[must_use]
    pub fn is(&self, bits: u32) -> bool {
        self.status.load(Relaxed) & bits != 0
    }

    /// All [`status`](super::status) bits.
    #[must_use]
    pub fn status(&self) -> u32 {
        self.status.load(Relaxed)
    }

    /// Takes over what a scrape found. Bookings stay.
    pub fn update(&self, update: &LineUpdate) {
        for r in 0..ELASTIC {
            self.base[r].store(update.base[r].to_bits(), Relaxed);
            self.slope[r].store(update.slope[r].to_bits(), Relaxed);
        }
        self.floor.store(update.floor.to_bits(), Relaxed);
        self.status.store(update.status, Relaxed);
    }

    /// What the last update said.
    #[must_use]
    pub fn update_in_force(&self) -> LineUpdate {
        let read =
            |cells: &[AtomicU32; ELASTIC]| std::array::from_fn(|r| f32::from_bits(cells[r].load(Relaxed)));
        LineUpdate {
            base: read(&self.base),
            slope: read(&self.slope),
            floor: f32::from_bits(self.floor.load(Relaxed)),
            status: self.status(),
            ..LineUpdate::default()
        }
    }

    /// Books one answer of `kbps` at `now`.
    pub fn book(&self, kbps: u32, now: Moment) {
        let since = self.since();
        self.booked.fetch_add((PARTS << KBPS_BITS) | u64::from(kbps), Relaxed);
        self.kbps_ms.fetch_add(u64::from(kbps) * now.since_ms(since), Relaxed);
        inflight::add(&self.in_flight, 1.0, now);
    }

    /// Books several viewers at `now`.
    pub fn book_party(&self, party: Party, now: Moment) {
        let since = self.since();
        let (viewers, kbps) = (f64::from(party.viewers), party.all_kbps());
        self.booked.fetch_add(parts(viewers, KBPS_BITS) | kbps, Relaxed);
        self.since.fetch_add(parts(viewers, TIME_BITS), Relaxed);
        self.kbps_ms.fetch_add(kbps * (now.since_ms(since) + party.later_ms), Relaxed);
        inflight::add(&self.in_flight, party.viewers, now);
    }

    /// Own answers that are still connecting at `now`.
    #[must_use]
    pub fn in_flight(&self, now: Moment) -> f32 {
        inflight::at(&self.in_flight, now)
    }

    /// Closes the window: takes its bookings out and begins a new one at `now`.
    pub fn close_window(&self, now: Moment) -> Batch {
        let since = self.since.swap(now.0 & TIME_MASK, Relaxed);
        let booked = self.booked.swap(0, Relaxed);
        let kbps_ms = self.kbps_ms.swap(0, Relaxed);
        Batch {
            answers: unpacked(booked, KBPS_BITS),
            shared: unpacked(since, TIME_BITS),
            kbps: booked & KBPS_MASK,
            kbps_ms,
            since: Moment(since & TIME_MASK),
        }
    }

    /// When the window began.
    #[must_use]
    pub fn since(&self) -> Moment {
        Moment(self.since.load(Relaxed) & TIME_MASK)
    }

    /// Sets when the window began, on a line that replaces another one.
    pub fn set_since(&self, since: Moment) {
        self.since.store(since.0 & TIME_MASK, Relaxed);
    }

    /// Puts bookings of another line on this one, when a reload replaces the ledger.
    pub fn take_over(&self, batch: Batch) {
        self.booked.fetch_add(parts(batch.answers, KBPS_BITS) | batch.kbps & KBPS_MASK, Relaxed);
        self.since.fetch_add(parts(batch.shared, TIME_BITS), Relaxed);
        self.kbps_ms.fetch_add(batch.kbps_ms, Relaxed);
    }

    /// Bookings since the window began, which goes on.
    #[must_use]
    pub fn bookings(&self) -> Batch {
        let (booked, since) = (self.booked.load(Relaxed), self.since.load(Relaxed));
        Batch {
            answers: unpacked(booked, KBPS_BITS),
            shared: unpacked(since, TIME_BITS),
            kbps: booked & KBPS_MASK,
            since: Moment(since & TIME_MASK),
            ..Batch::default()
        }
    }

    /// Own bookings since the window began, Mbit/s.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "below 2^38 kbit/s; a pressure needs three digits")]
    pub fn booked_mbps(&self) -> f32 {
        (self.booked.load(Relaxed) & KBPS_MASK) as f32 / 1000.0
    }

    /// Answers since the window began, those that stand for several viewers as so many; rounded.
    #[must_use]
    pub fn answers(&self) -> u64 {
        ((self.booked.load(Relaxed) >> KBPS_BITS) + PARTS / 2) / PARTS
    }

    /// Pressure with `mbps` on top of what is measured, `kappa` times what is booked included.
    #[must_use]
    #[inline]
    pub fn pressure(&self, kappa: f32, mbps: f32) -> f32 {
        let extra = kappa * self.booked_mbps() + mbps;
        let mut x = f32::from_bits(self.floor.load(Relaxed));
        for r in 0..ELASTIC {
            let base = f32::from_bits(self.base[r].load(Relaxed));
            let slope = f32::from_bits(self.slope[r].load(Relaxed));
            x = x.max(base + slope * extra);
        }
        x
    }
}

/// A number in sixteenths, above `bits` others; what does not fit is as much as does.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, and within its bits")]
fn parts(number: f64, bits: u32) -> u64 {
    let most = (u64::MAX >> bits) as f64;
    // Rounded by hand: the instruction for it is not of every processor's, and so a call.
    ((number * PARTS as f64 + 0.5).min(most) as u64) << bits
}

#[expect(clippy::cast_precision_loss, reason = "26 bits fit exactly")]
fn unpacked(word: u64, bits: u32) -> f64 {
    (word >> bits) as f64 / PARTS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let line = Line::default();
        line.update(&LineUpdate {
            base: [0.5, 0.2, 0.0],
            slope: [0.001, 0.002, 0.0],
            floor: 0.1,
            status: 0,
            ..LineUpdate::default()
        });
        line
    }

    #[test]
    fn a_line_is_one_cache_line() {
        assert_eq!((size_of::<Line>(), align_of::<Line>()), (64, 64));
    }

    #[test]
    fn a_booking_raises_pressure_at_once_and_kappa_multiplies_it() {
        let line = line();
        assert!((line.pressure(1.0, 0.0) - 0.5).abs() < 1e-6);
        line.book(100_000, Moment(10));
        assert!((line.pressure(1.0, 0.0) - 0.6).abs() < 1e-6);
        assert!((line.pressure(4.0, 0.0) - 1.0).abs() < 1e-6, "system CPU: 0.2 + 0.002 * 400");
        assert!((line.pressure(1.0, 50.0) - 0.65).abs() < 1e-6);
    }

    #[test]
    fn the_floor_is_not_moved_by_bookings() {
        let line = Line::default();
        line.update(&LineUpdate { floor: 1.2, slope: [0.001; 3], ..LineUpdate::default() });
        line.book(1, Moment(0));
        assert!((line.pressure(1.0, 0.0) - 1.2).abs() < 1e-6);
    }

    #[test]
    fn closing_a_window_takes_exactly_its_bookings_out() {
        let line = line();
        line.close_window(Moment(1_000));
        line.book(3_000, Moment(1_400));
        line.book(5_000, Moment(2_000));
        let batch = line.close_window(Moment(3_000));
        assert_eq!(
            batch,
            Batch {
                answers: 2.0,
                shared: 0.0,
                kbps: 8_000,
                kbps_ms: 3_000 * 400 + 5_000 * 1_000,
                since: Moment(1_000)
            }
        );
        assert_eq!(line.close_window(Moment(4_000)), Batch { since: Moment(3_000), ..Batch::default() });
    }

    #[test]
    fn bookings_stay_when_a_scrape_only_updates_the_estimate() {
        let line = line();
        line.book(100_000, Moment(5));
        line.update(&LineUpdate {
            base: [0.7, 0.0, 0.0],
            slope: [0.001, 0.0, 0.0],
            floor: 0.0,
            status: 0,
            ..LineUpdate::default()
        });
        assert!((line.pressure(1.0, 0.0) - 0.8).abs() < 1e-6);
    }
}
