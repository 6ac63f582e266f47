//! Traffic: what one viewer needs on a node, and how fast viewers leave it.
//!
//! Both come from the client counter, and only from windows on the exporter's own clock: under receive-time jitter
//! the maximum below would lock the peaks of the jitter in.
//!
//! - `br`, Mbit/s per client, with clients as the **mean over the window**: in a ramp the clients at its end have
//!   not sent for all of it.
//! - `est = max(rate, clients · peak)`, where `peak` is the slowly sinking maximum of Mbit/s per client: a show
//!   whose bitrate halves and doubles again live is not taken for room. Clients are those at the window's end, so
//!   whoever is among them must not be carried as well ([`super::carry::Carried`]).
//! - *Departures.* A rate is T/2 old at birth and ages until the next scrape, while viewers leave. Their hazard h
//!   (per second) is learnt, and half of it credited: `est · e^(−min(0.15, ½·h·(time since the window's middle)))`.
//!   More than half breaks the limit, half is free (−9 km at T = 10 s, −18 km at T = 30 s, no overload).

use super::carry::CONNECT_DELAY_MS;

/// How fast a new Mbit/s per client replaces the old one.
const GAIN: f64 = 0.1;
/// How long the peak takes to sink to 1/e above the mean, s.
const PEAK_SINKS_S: f64 = 120.0;
/// Clients below which a ratio is noise.
const FEW_CLIENTS: f64 = 20.0;
/// A peak further above the mean than this is not believed.
const PEAK_MOST: f64 = 1.5;
/// Share of the hazard that is credited.
const CREDIT: f64 = 0.5;
/// Most that departures may take off an estimate, as an exponent.
const CREDIT_MOST: f64 = 0.15;
/// Memory of departures, per window.
const KEEP: f64 = 0.85;
/// Weight of the fleet's hazard, in departures.
const PRIOR_DEPARTURES: f64 = 5.0;

/// One window of one node, as far as viewers are concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// Egress, Mbit/s.
    pub rate_mbps: f64,
    /// Clients when the window began …
    pub clients_before: f64,
    /// … and when it ended.
    pub clients_now: f64,
    /// Clients that connected in it.
    pub connected: f64,
    /// Its length, s.
    pub seconds: f64,
    /// Over receive time.
    pub coarse: bool,
}

/// What a node's windows have taught.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    mbps_per_client: f64,
    peak: f64,
    /// Σ of departures, fading.
    departures: f64,
    /// Σ of client-seconds, fading the same.
    exposure: f64,
    /// Departures per client-second of the last window.
    last_hazard: f64,
}

/// Departures of the whole fleet, per client-second: the prior of each node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FleetHazard {
    departures: f64,
    exposure: f64,
}

// === impl Flow ===

impl Flow {
    /// Clients, mean over the window.
    #[must_use]
    pub fn mean_clients(&self) -> f64 {
        0.5 * (self.clients_before + self.clients_now)
    }

    /// Clients that left in the window.
    #[must_use]
    pub fn departed(&self) -> f64 {
        (self.clients_before + self.connected - self.clients_now).max(0.0)
    }
}

// === impl Traffic ===

impl Traffic {
    /// Takes in one window. `frozen`: the node is suspected of a wrong capacity, so what a viewer needs is not learnt.
    pub fn learn(&mut self, flow: &Flow, frozen: bool) {
        let clients = flow.mean_clients();
        if clients >= FEW_CLIENTS && !flow.coarse && !frozen {
            let ratio = flow.rate_mbps / clients;
            let mean = match self.mbps_per_client {
                0.0 => ratio,
                before => before + GAIN * (ratio - before),
            };
            self.mbps_per_client = mean;
            let sunk = mean + (self.peak - mean).max(0.0) * (-flow.seconds / PEAK_SINKS_S).exp();
            self.peak = ratio.max(sunk).min(mean * PEAK_MOST);
        }
        let exposure = flow.clients_now.max(flow.clients_before) * flow.seconds;
        self.departures = self.departures * KEEP + flow.departed();
        self.exposure = self.exposure * KEEP + exposure;
        self.last_hazard = if exposure > 0.0 { flow.departed() / exposure } else { 0.0 };
    }

    /// Mbit/s per client; 0 until learnt.
    #[must_use]
    pub fn mbps_per_client(&self) -> f64 {
        self.mbps_per_client
    }

    /// What so many clients are taken to need at most, Mbit/s; `None`: they are too few to tell.
    #[must_use]
    pub fn by_clients_mbps(&self, clients: f64) -> Option<f64> {
        (clients >= FEW_CLIENTS).then_some(clients * self.peak)
    }

    /// Viewers that leave, per viewer and second. The smaller of a slow memory and the last window: when a show
    /// has ended its hazard is dropped with the next scrape.
    #[must_use]
    pub fn hazard(&self, fleet: f64) -> f64 {
        if fleet <= 0.0 {
            return 0.0;
        }
        let slow = (self.departures + PRIOR_DEPARTURES) / (self.exposure + PRIOR_DEPARTURES / fleet);
        slow.min(fleet.max(self.last_hazard))
    }
}

/// What is left of an estimate, as a factor, `since_window_end_s` after a window of `interval_s` ended.
#[must_use]
pub fn staying(hazard: f64, since_window_end_s: f64, interval_s: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let delay_s = CONNECT_DELAY_MS as f64 / 1000.0;
    let since_middle_s = (since_window_end_s + 0.5 * interval_s - delay_s).max(0.0);
    (-(CREDIT * hazard * since_middle_s).min(CREDIT_MOST)).exp()
}

// === impl FleetHazard ===

impl Default for FleetHazard {
    /// Before anything is known: a viewer stays ten minutes.
    fn default() -> Self {
        Self { departures: PRIOR_DEPARTURES, exposure: PRIOR_DEPARTURES * 600.0 }
    }
}

impl FleetHazard {
    /// Takes in one window of one of `nodes` nodes; remembers about ten rounds.
    pub fn learn(&mut self, flow: &Flow, nodes: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a fleet is below 2^52 nodes")]
        let keep = (-0.1 / nodes.max(1) as f64).exp();
        self.departures = self.departures * keep + flow.departed();
        self.exposure = self.exposure * keep + flow.mean_clients() * flow.seconds;
    }

    /// Departures per viewer and second.
    #[must_use]
    pub fn value(&self) -> f64 {
        if self.exposure > 0.0 { self.departures / self.exposure } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(rate_mbps: f64, clients_before: f64, clients_now: f64) -> Flow {
        Flow { rate_mbps, clients_before, clients_now, connected: 50.0, seconds: 10.0, coarse: false }
    }

    #[test]
    fn what_a_viewer_needs_is_worked_out_over_the_mean_of_clients() {
        let mut traffic = Traffic::default();
        traffic.learn(&flow(300.0, 0.0, 200.0), false);
        assert!((traffic.mbps_per_client() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_bitrate_that_halves_live_is_not_taken_for_room_at_once() {
        let mut traffic = Traffic::default();
        for _ in 0..50 {
            traffic.learn(&flow(300.0, 100.0, 100.0), false);
        }
        let halved = flow(150.0, 100.0, 100.0);
        traffic.learn(&halved, false);
        assert!(traffic.by_clients_mbps(100.0).unwrap() > 270.0);
        for _ in 0..100 {
            traffic.learn(&halved, false);
        }
        assert!(traffic.by_clients_mbps(100.0).unwrap() < 151.0);
    }

    #[test]
    fn a_coarse_window_teaches_no_bitrate() {
        let mut traffic = Traffic::default();
        traffic.learn(&Flow { coarse: true, ..flow(900.0, 100.0, 100.0) }, false);
        assert!(traffic.mbps_per_client() == 0.0);
    }

    #[test]
    fn departures_are_half_credited_and_bounded() {
        assert!((staying(0.0, 5.0, 10.0) - 1.0).abs() < 1e-12);
        let left = staying(0.002, 5.0, 10.0);
        assert!((left - (-0.5 * 0.002 * 9.0_f64).exp()).abs() < 1e-12);
        assert!((staying(1.0, 60.0, 10.0) - (-0.15_f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn a_finished_shows_hazard_is_dropped_with_the_next_window() {
        let fleet = 1.0 / 600.0;
        let mut traffic = Traffic::default();
        traffic.learn(&Flow { connected: 0.0, ..flow(300.0, 1_000.0, 100.0) }, false);
        assert!(traffic.hazard(fleet) > 0.05);
        traffic.learn(&Flow { connected: 0.0, ..flow(30.0, 100.0, 100.0) }, false);
        assert!((traffic.hazard(fleet) - fleet).abs() < 1e-12);
    }
}
