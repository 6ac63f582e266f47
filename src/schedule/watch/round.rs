//! A round: one window of a node's viewers, put together from the target that shows the egress and the one that
//! counts clients. They may be the same page; if not, they come moments apart, in either order.

use super::target::Closed;
use crate::schedule::booking::{Batch, Line};
use crate::schedule::carry::CONNECT_DELAY_MS;
use crate::schedule::inflight::Second;
use crate::schedule::learnt::Lesson;
use crate::schedule::reading::{Moment, Timing};
use crate::schedule::traffic::Flow;

#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    /// Egress, Mbit/s, and the window it was measured over.
    rate: Option<Rate>,
    /// Clients that connected, by the counters read in this round.
    connected: Option<f64>,
    /// Own answers of the ledger windows settled in this round …
    own: f64,
    /// … viewers behind those that are shared …
    shared: f64,
    /// … their part of all, as of the last window that had any …
    shared_part: f64,
    /// … and the share of the window that one of them was present, on average.
    presence: f64,
    /// Clients when the round began.
    clients_before: Option<f64>,
    /// Own answers that were still connecting when the round began …
    in_flight_before: f64,
    /// … of which so many were in the first stage …
    first_before: f64,
    /// … and the others in this one.
    second: Second,
    /// The last rate came over receive time.
    coarse: bool,
}

/// Few answers say nothing about when in the window viewers came.
const FEW_ANSWERS: f64 = 3.0;

/// Share of the window that a viewer who came in it was present: falls out of exact booking.
#[expect(clippy::cast_precision_loss, reason = "bookings stay below 2^52")]
fn presence(batch: &Batch, start: Moment, end: Moment) -> f64 {
    let length_ms = end.since_ms(start) as f64;
    if batch.answers < FEW_ANSWERS || batch.kbps == 0 || length_ms <= 0.0 {
        return 0.5;
    }
    let mean_ms = batch.kbps_ms as f64 / batch.kbps as f64 + CONNECT_DELAY_MS as f64;
    1.0 - (mean_ms / length_ms).clamp(0.0, 1.0)
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    seconds: f64,
    coarse: bool,
    egress_mbps: Option<f64>,
}

// === impl Round ===

impl Round {
    /// A client counter was read.
    pub(super) fn connected(&mut self, connected: Option<f64>, _at: Moment) {
        if let Some(connected) = connected {
            self.connected = Some(self.connected.unwrap_or(0.0) + connected);
        }
    }

    /// The egress was read.
    pub(super) fn rate(&mut self, closed: &Closed) {
        self.coarse = closed.coarse;
        let Closed { seconds, coarse, egress_mbps, .. } = *closed;
        self.rate = Some(Rate { seconds, coarse, egress_mbps });
    }

    /// The ledger window that began at `start` was settled.
    pub(super) fn own(&mut self, batch: &Batch, start: Moment, end: Moment) {
        self.own += batch.answers;
        self.shared += batch.shared;
        self.presence = presence(batch, start, end);
    }

    /// The whole round, once both halves of it are there; then the next begins.
    pub(super) fn lesson(&mut self, clients: Option<f64>, line: &Line, timing: Timing) -> Option<Lesson> {
        let (rate, connected, clients_now) = (self.rate?, self.connected?, clients?);
        let in_flight = self.in_flight(line, timing);
        let own_aligned = self.own + self.in_flight_before - in_flight;
        let clients_before = self.clients_before.replace(clients_now);
        let (own, shared) = (std::mem::take(&mut self.own), std::mem::take(&mut self.shared));
        if own > 0.0 {
            self.shared_part = shared / own;
        }
        (self.rate, self.connected, self.in_flight_before) = (None, None, in_flight);
        let flow = Flow {
            rate_mbps: rate.egress_mbps?,
            clients_before: clients_before?,
            clients_now,
            connected,
            seconds: rate.seconds,
            coarse: rate.coarse,
        };
        Some(Lesson {
            flow,
            own,
            own_aligned,
            shared_part: self.shared_part,
            presence: self.presence,
            system_cores_per_mbps: 0.0,
            process_cores_per_mbps: 0.0,
        })
    }

    /// Own answers that the page just read cannot show as connections.
    #[expect(clippy::cast_precision_loss, reason = "a scrape takes seconds")]
    fn in_flight(&mut self, line: &Line, timing: Timing) -> f64 {
        let now = timing.received;
        let first = f64::from(line.in_flight(now));
        let left_first = (self.own + self.first_before - first).max(0.0);
        self.first_before = first;
        let both = first + self.second.moved(left_first, now);
        // The page may be as old as its scrape took: who came meanwhile is not on it.
        let older = 1.0 + timing.age_ms() as f64 / CONNECT_DELAY_MS as f64;
        (both * older).min(self.own + self.in_flight_before)
    }

    /// Whether the last rate came over receive time.
    pub(super) fn is_coarse(&self) -> bool {
        self.coarse
    }
}
