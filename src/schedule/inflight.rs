//! Answers in flight: given, but not yet a connection.
//!
//! A viewer connects 0–2 s after its answer, mostly in the middle of that. One exponential of the mean δ lets 37 % of
//! a second's answers through in that second, when 25 % of the viewers have come: κ sank to 0.7 in the first seconds
//! of a crowd, and the nearest node carried 1.08 of its capacity. Two exponentials in a row, each of δ/2, let 27 %
//! through. The first one stands here, because each answer moves it; the second one ([`Second`]) is moved by windows.
//!
//! `infl ← infl · e^(−2Δt/δ) + 1` at each answer, read as `infl · e^(−2Δt/δ)`. One 64-bit word holds the value and
//! its time, so that an answer updates it with one compare-and-swap.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::carry::CONNECT_DELAY_MS;
use super::reading::Moment;

/// Mean time in each of the two stages, ms.
const STAGE_MS: u64 = CONNECT_DELAY_MS / 2;

/// The second stage: answers that have left the first one, moved on once a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Second {
    held: f64,
    at: Moment,
}

// === impl Second ===

impl Second {
    /// Takes in those that left the first stage since the last call, evenly as far as one knows, and returns how many
    /// are in this stage at `now`.
    pub fn moved(&mut self, entered: f64, now: Moment) -> f64 {
        let stages = now.since_s(self.at) * 1000.0 / STAGE_MS as f64;
        if stages > 0.0 {
            let left = -(-stages).exp_m1();
            self.held = self.held * (1.0 - left) + entered * left / stages;
        } else {
            self.held += entered;
        }
        self.at = now;
        self.held
    }
}

/// Adds so many answers at `now`.
pub fn add(cell: &AtomicU64, answers: f32, now: Moment) {
    // A lost race retries; under contention the loser's Δt is 0 and costs no exponential worth counting.
    let _ = cell.fetch_update(Relaxed, Relaxed, |word| Some(pack(value(word, now) + answers, now)));
}

/// Answers in the first stage at `now`.
#[must_use]
pub fn at(cell: &AtomicU64, now: Moment) -> f32 {
    value(cell.load(Relaxed), now)
}

fn pack(value: f32, now: Moment) -> u64 {
    u64::from(value.to_bits()) << 32 | (now.0 & 0xffff_ffff)
}

fn value(word: u64, now: Moment) -> f32 {
    // Milliseconds wrap after 49 days; a wrapped difference is still right.
    let before = word & 0xffff_ffff;
    let elapsed_ms = (now.0 & 0xffff_ffff).wrapping_sub(before) & 0xffff_ffff;
    let bits = u32::try_from(word >> 32).unwrap_or_default();
    match elapsed_ms {
        0 => f32::from_bits(bits),
        // e^−40: nobody is still connecting. Also what a clock that ran back looks like.
        20_000.. => 0.0,
        #[expect(clippy::cast_precision_loss, reason = "below 20,000")]
        _ => f32::from_bits(bits) * (-(elapsed_ms as f32) / STAGE_MS as f32).exp(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_the_first_stage_after_half_the_connect_delay() {
        let cell = AtomicU64::new(0);
        for _ in 0..100 {
            add(&cell, 1.0, Moment(5_000));
        }
        assert!((at(&cell, Moment(5_000)) - 100.0).abs() < 1e-3);
        assert!((at(&cell, Moment(5_500)) - 36.79).abs() < 0.01);
        assert!(at(&cell, Moment(60_000)) == 0.0);
    }

    #[test]
    fn a_steady_stream_of_answers_settles_at_rate_times_delay() {
        let (cell, mut second) = (AtomicU64::new(0), Second::default());
        let mut before = 0.0;
        let mut both = 0.0;
        for ms in (0..20_000).step_by(10) {
            add(&cell, 1.0, Moment(ms));
            if ms % 1_000 == 990 {
                let first = f64::from(at(&cell, Moment(ms)));
                both = first + second.moved(100.0 + before - first, Moment(ms));
                before = first;
            }
        }
        assert!((98.0..102.0).contains(&both), "100 a second with 1 s of delay: {both}");
    }

    /// Connections of 100 answers a second whose viewers take 0–2 s: 25 in the first second, 75 in the second one.
    #[test]
    fn in_a_ramp_answers_are_let_through_as_viewers_come() {
        let (cell, mut second) = (AtomicU64::new(0), Second::default());
        let mut before = (0.0, 0.0);
        for (end, came) in [(1_000, 25.0), (2_000, 75.0), (3_000, 100.0), (4_000, 100.0)] {
            for ms in (end - 1_000..end).step_by(10) {
                add(&cell, 1.0, Moment(ms));
            }
            let first = f64::from(at(&cell, Moment(end)));
            let held = first + second.moved(100.0 + before.0 - first, Moment(end));
            let aligned = 100.0 + before.1 - held;
            assert!((aligned - came).abs() < 8.0, "by {end} ms: {aligned} let through, {came} came");
            before = (first, held);
        }
    }
}
