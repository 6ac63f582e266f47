//! Carry: the part of closed windows' bookings that the sample could not have seen.
//!
//! A counter rate over [a, b] contains a viewer who connected at s only with the share (b−s)/(b−a). Who was
//! booked at t connects δ later, and the sample itself may be `age` old, so of a batch of bookings the share
//! `((t̄ − a) + δ + age) / (b − a)`, clamped to 0…1, is still unseen: that is carried, the rest is in the rate.
//! With all bookings of one window this is `carry = clamp((SM + (δ+age)·S)/Δ, 0, S)`.
//!
//! When windows are shorter than δ (a scrape each second), a batch may be unseen for more than one window. So
//! the last few batches are kept until each is wholly in the rate. With windows of 5 s and more, the second
//! one always is, and this is the formula above.
//!
//! A rate is an average, but a client counter tells who is there at the window's end. For what that cannot show, only
//! those count who were still *connecting*: a viewer connects 0 to 2δ after its answer, each moment as likely, so of
//! bookings made τ before the end the share `1 − (τ − age)/2δ` is not there yet. Bookings are taken to lie evenly about
//! their mean moment, as far as their window reaches on both sides.

use super::booking::Batch;
use super::reading::Moment;

/// δ: from an answer to the viewer's first byte, ms. The mean of 0–2 s in the reference model.
pub const CONNECT_DELAY_MS: u64 = 1_000;

/// Batches remembered. Four windows of half a second outlive δ + 1 s of age.
const REMEMBERED: usize = 6;

/// Bookings of one node that closed windows have not wholly shown.
#[derive(Clone, Debug, Default)]
pub struct Carry {
    batches: arrayvec::ArrayVec<Pending, REMEMBERED>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    kbps: u64,
    answers: f64,
    /// Mean moment of the bookings, weighted by bitrate …
    booked_at: Moment,
    /// … and how far from it they lie at most, ms.
    spread_ms: u64,
}

/// What closed windows have not shown, Mbit/s of own bookings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Carried {
    /// What the rate lacks of them.
    pub unseen_mbps: f64,
    /// What the client counter lacks: they were still connecting.
    pub connecting_mbps: f64,
}

// === impl Carry ===

impl Carry {
    /// Takes in the bookings of the window [`start`, `end`] that a sample has just closed, and returns what
    /// must still be carried. `age_ms` bounds how old the sample was when it came.
    pub fn settle(&mut self, batch: Batch, start: Moment, end: Moment, age_ms: u64) -> Carried {
        if let Some(mean_ms) = batch.kbps_ms.checked_div(batch.kbps) {
            if self.batches.is_full() {
                // Never lose a booking: the two oldest become one, at the younger's moment.
                let oldest = self.batches.remove(0);
                self.batches[0].kbps += oldest.kbps;
                self.batches[0].answers += oldest.answers;
            }
            let booked_at = batch.since.plus_ms(mean_ms);
            let spread_ms = mean_ms.min(end.since_ms(booked_at));
            self.batches.push(Pending { kbps: batch.kbps, answers: batch.answers, booked_at, spread_ms });
        }
        let mut carried = Carried::default();
        self.batches.retain(|pending| {
            let unseen = unseen(pending.booked_at, start, end, age_ms);
            let connecting = connecting(pending, end, age_ms);
            carried.unseen_mbps += unseen * mbps(pending.kbps);
            carried.connecting_mbps += connecting * mbps(pending.kbps);
            unseen > 0.0 || connecting > 0.0
        });
        carried
    }
}

/// Share of a booking that the window [`start`, `end`] cannot have shown.
fn unseen(booked_at: Moment, start: Moment, end: Moment, age_ms: u64) -> f64 {
    let connected = booked_at.plus_ms(CONNECT_DELAY_MS + age_ms);
    let length_s = end.since_s(start);
    if length_s <= 0.0 {
        return 1.0;
    }
    (connected.since_s(start) / length_s).clamp(0.0, 1.0)
}

/// Share of bookings whose viewers cannot have been connected on a page that came at `end`.
#[expect(clippy::cast_precision_loss, reason = "a window takes minutes at most")]
fn connecting(pending: &Pending, end: Moment, age_ms: u64) -> f64 {
    const MOST_MS: f64 = 2.0 * CONNECT_DELAY_MS as f64;
    // From 0 to u ms before the page was made: the integral of 1 − u/2δ.
    let not_there = |u: f64| match u {
        _ if u <= 0.0 => u,
        _ if u < MOST_MS => u - u * u / (2.0 * MOST_MS),
        _ => 0.5 * MOST_MS,
    };
    let middle = end.since_ms(pending.booked_at) as f64 - age_ms as f64;
    // A single moment is a narrow stretch.
    let spread = (pending.spread_ms as f64).max(1.0);
    ((not_there(middle + spread) - not_there(middle - spread)) / (2.0 * spread)).clamp(0.0, 1.0)
}

#[expect(clippy::cast_precision_loss, reason = "bookings stay below 2^52 kbit/s")]
fn mbps(kbps: u64) -> f64 {
    kbps as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(kbps: u64, mean_ms: u64, since: u64) -> Batch {
        Batch { answers: 1.0, shared: 0.0, kbps, kbps_ms: kbps * mean_ms, since: Moment(since) }
    }

    #[test]
    fn one_window_is_the_formula_of_the_specification() {
        let (start, end) = (Moment(10_000), Moment(20_000));
        let carried = Carry::default().settle(batch(8_000, 4_000, 10_000), start, end, 200).unseen_mbps;
        let expected = (8.0 * 4.0 + (1.0 + 0.2) * 8.0) / 10.0;
        assert!((carried - expected).abs() < 1e-9, "{carried} against {expected}");
    }

    #[test]
    fn bookings_of_the_last_second_are_carried_whole_and_those_of_the_first_hardly() {
        let window = (Moment(10_000), Moment(20_000));
        let late = Carry::default().settle(batch(1_000, 9_500, 10_000), window.0, window.1, 0);
        let early = Carry::default().settle(batch(1_000, 0, 10_000), window.0, window.1, 0);
        assert!((late.unseen_mbps - 1.0).abs() < 1e-9);
        assert!((early.unseen_mbps - 0.1).abs() < 1e-9);
    }

    #[test]
    fn who_is_still_connecting_is_not_on_the_counter_yet() {
        let settle = |mean_ms: u64, age_ms: u64| {
            let carried = Carry::default();
            let window = (Moment(10_000), Moment(20_000));
            let carried = { carried }.settle(batch(1_000, mean_ms, 10_000), window.0, window.1, age_ms);
            carried.connecting_mbps
        };
        assert!((settle(5_000, 0) - 0.1).abs() < 1e-9, "one second's worth of ten");
        assert!((settle(5_000, 500) - 0.15).abs() < 1e-9, "and the page's age");
        assert!((settle(10_000, 0) - 1.0).abs() < 1e-3, "all at the very end");
        assert!(settle(0, 0).abs() < 1e-9, "all at the very beginning");
        assert!((settle(9_000, 0) - 0.5).abs() < 1e-9, "evenly over the last two seconds");
    }

    #[test]
    fn with_one_second_windows_a_booking_is_carried_until_it_is_wholly_in_the_rate() {
        let mut carry = Carry::default();
        let first = carry.settle(batch(1_000, 500, 10_000), Moment(10_000), Moment(11_000), 0);
        let second = carry.settle(Batch::default(), Moment(11_000), Moment(12_000), 0);
        let third = carry.settle(Batch::default(), Moment(12_000), Moment(13_000), 0);
        assert!((first.unseen_mbps - 1.0).abs() < 1e-9);
        assert!(
            (second.unseen_mbps - 0.5).abs() < 1e-9,
            "connected at 11.5 s: half of the second window shows it"
        );
        assert!(third.unseen_mbps.abs() < 1e-9);
        assert!((first.connecting_mbps - 0.75).abs() < 1e-9, "a quarter is there at the end of its second");
        assert!((second.connecting_mbps - 0.25).abs() < 1e-9 && third.connecting_mbps.abs() < 1e-9);
    }

    #[test]
    fn more_batches_than_are_remembered_lose_nothing() {
        let mut carry = Carry::default();
        let mut carried = 0.0;
        for i in 0..20 {
            let at = Moment(10_000 + i);
            carried = carry.settle(batch(1_000, 0, 10_000 + i), at, at, 0).unseen_mbps;
        }
        assert!((carried - 20.0).abs() < 1e-9);
    }
}
