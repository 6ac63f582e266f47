//! A true edge: what it really carries, and the counters its exporter would show.
//!
//! Demand is exact (kbit/s as whole numbers, so a million arrivals and departures leave no crumbs). What it
//! delivers saturates at its true capacity, and so do its counters: an overloaded edge looks merely full. That
//! is why a scheduler cannot read an overload off a counter, and why it must not come to one.

use crate::schedule::reading::{HostReading, MediaReading, Reading, StreamReading};

use super::time::At;

const BYTES_PER_MBIT: f64 = 1e6 / 8.0;
/// Exporter clocks begin somewhere in 2025: only differences may matter.
const EPOCH_S: f64 = 1_750_000_000.0;
/// Cores shown by an edge whose CPU is not modelled.
const SOME_CORES: f64 = 8.0;

/// What an edge can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Machine {
    /// Egress by configuration, Mbit/s: what the scheduler is told.
    pub(super) egress_mbps: f64,
    /// Logical CPUs; 0: not modelled.
    pub(super) cores: f64,
    /// CPU per Mbit/s sent.
    pub(super) cores_per_mbps: f64,
}

/// A true edge.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    machine: Machine,
    /// What it can really deliver, Mbit/s.
    capacity_mbps: f64,
    demand_kbps: u64,
    /// Slots of the viewers on it.
    pub(super) viewers: Vec<u32>,
    /// The media server's list of streams, by their keys, ready for a page.
    streams: Vec<StreamReading>,
    /// It answers.
    pub(super) alive: bool,
    /// How its exporter behaves.
    pub(super) exporter: Exporter,
    /// The page its exporter shows for ever.
    frozen: Option<Box<Reading>>,
    counted_to: At,
    sent_mbit: f64,
    busy_s: f64,
    up_s: f64,
    clients_total: u64,
    starts: u32,
}

/// How an edge's exporter behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exporter {
    /// It has the media server's own counters.
    pub(super) counts_clients: bool,
    /// It does not answer any more, though the edge does.
    pub(super) silent: bool,
    /// Its clock less ours, s.
    pub(super) clock_skew_s: f64,
}

// === impl Machine ===

impl Machine {
    /// What it can deliver when both NIC and CPU count, Mbit/s.
    pub(super) fn effective_mbps(self) -> f64 {
        if self.cores > 0.0 && self.cores_per_mbps > 0.0 {
            self.egress_mbps.min(self.cores / self.cores_per_mbps)
        } else {
            self.egress_mbps
        }
    }
}

// === impl Edge ===

impl Edge {
    /// An idle edge.
    pub(super) fn new(machine: Machine) -> Self {
        Self {
            machine,
            capacity_mbps: machine.effective_mbps(),
            demand_kbps: 0,
            viewers: Vec::new(),
            streams: Vec::new(),
            alive: true,
            exporter: Exporter { counts_clients: true, silent: false, clock_skew_s: 0.0 },
            frozen: None,
            counted_to: At(0),
            sent_mbit: 0.0,
            busy_s: 0.0,
            up_s: 0.0,
            clients_total: 0,
            starts: 1,
        }
    }

    /// What it can really deliver, Mbit/s.
    pub(super) fn capacity_mbps(&self) -> f64 {
        self.capacity_mbps
    }

    /// Changes what it can really deliver. Integrate before.
    pub(super) fn scale_capacity(&mut self, factor: f64) {
        self.capacity_mbps *= factor;
    }

    /// What its viewers want, Mbit/s.
    pub(super) fn demand_mbps(&self) -> f64 {
        self.demand_kbps as f64 / 1e3
    }

    /// Demand over true capacity; 1 = nothing is left, above 1 viewers stall.
    pub(super) fn utilisation(&self) -> f64 {
        self.demand_mbps() / self.capacity_mbps
    }

    /// A viewer of a stream (number and bitrate, kbit/s) comes; returns its place in the list. Integrate before.
    pub(super) fn attach(&mut self, slot: u32, kbps: u32, (stream, stream_kbps): (u16, u32)) -> u32 {
        self.watched(stream, stream_kbps);
        self.demand_kbps += u64::from(kbps);
        self.clients_total += 1;
        self.viewers.push(slot);
        (self.viewers.len() - 1) as u32
    }

    /// A viewer goes; returns the slot of the viewer that took its place in the list. Integrate before.
    pub(super) fn detach(&mut self, place: u32, kbps: u32, stream: u16) -> Option<u32> {
        self.unwatched(stream);
        self.demand_kbps -= u64::from(kbps);
        self.viewers.swap_remove(place as usize);
        self.viewers.get(place as usize).copied()
    }

    /// Runs the counters on to `now`; `granted` is the share of the demand that a shared uplink lets through
    /// (1 without one). Returns the seconds that passed.
    pub(super) fn integrate(&mut self, now: At, granted: f64) -> f64 {
        let seconds = now.since_s(self.counted_to);
        if seconds > 0.0 {
            let delivered = (self.demand_mbps() * granted).min(self.capacity_mbps);
            self.sent_mbit += delivered * seconds;
            self.busy_s += (delivered * self.machine.cores_per_mbps).min(self.cores()) * seconds;
            self.up_s += seconds;
            self.counted_to = now;
        }
        seconds
    }

    /// The machine begins anew: counters at 0, another media process.
    pub(super) fn restart(&mut self) {
        (self.sent_mbit, self.busy_s, self.up_s, self.clients_total) = (0.0, 0.0, 0.0, 0);
        self.starts += 1;
    }

    /// From now on the exporter shows this moment's page. Integrate before.
    pub(super) fn freeze(&mut self) {
        self.frozen = Some(Box::new(self.page()));
    }

    /// The exporter's page as of the last integration.
    pub(super) fn page(&self) -> Reading {
        if let Some(frozen) = &self.frozen {
            return (**frozen).clone();
        }
        let clock_s = EPOCH_S + self.exporter.clock_skew_s + self.counted_to.s();
        let sent_bytes = self.sent_mbit * BYTES_PER_MBIT;
        Reading {
            clock_s: Some(clock_s),
            grain_s: 0.0,
            host: Some(HostReading {
                cpus: self.cores() as u32,
                idle_s: self.up_s * self.cores() - self.busy_s,
                transmit_bytes: Some(sent_bytes),
                ..HostReading::default()
            }),
            processes: Vec::new(),
            media: self.exporter.counts_clients.then(|| MediaReading {
                identity: format!("srs-{}", self.starts).into(),
                clients: Some(self.viewers.len() as f64),
                clients_total: Some(self.clients_total as f64),
                send_bytes: Some(sent_bytes),
                receive_bytes: None,
            }),
            published: None,
            streams: if self.exporter.counts_clients { self.streams.clone() } else { Vec::new() },
        }
    }

    /// One viewer more of a stream.
    fn watched(&mut self, stream: u16, kbps: u32) {
        match self.place_of(stream) {
            Ok(at) => self.streams[at].clients += 1.0,
            Err(at) => {
                let new = StreamReading { key: u64::from(stream), clients: 1.0, kbps: f64::from(kbps) };
                self.streams.insert(at, new);
            }
        }
    }

    /// One viewer fewer of a stream; with the last one it goes from the list.
    fn unwatched(&mut self, stream: u16) {
        let Ok(at) = self.place_of(stream) else { return };
        self.streams[at].clients -= 1.0;
        if self.streams[at].clients < 0.5 {
            self.streams.remove(at);
        }
    }

    fn place_of(&self, stream: u16) -> Result<usize, usize> {
        self.streams.binary_search_by_key(&u64::from(stream), |stream| stream.key)
    }

    fn cores(&self) -> f64 {
        if self.machine.cores > 0.0 { self.machine.cores } else { SOME_CORES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge() -> Edge {
        Edge::new(Machine { egress_mbps: 100.0, cores: 4.0, cores_per_mbps: 0.01 })
    }

    fn bytes(edge: &Edge) -> f64 {
        edge.page().host.and_then(|host| host.transmit_bytes).unwrap()
    }

    #[test]
    fn the_exporter_integral_is_exact_and_saturates_at_the_true_capacity() {
        let mut edge = edge();
        edge.integrate(At::from_s(10.0), 1.0);
        edge.attach(0, 40_000, (0, 40_000));
        edge.integrate(At::from_s(12.5), 1.0);
        let place = edge.attach(1, 80_000, (1, 80_000));
        edge.integrate(At::from_s(20.0), 1.0);
        edge.detach(place, 80_000, 1);
        edge.integrate(At::from_s(21.0), 1.0);
        let expected_mbit = 2.5 * 40.0 + 7.5 * 100.0 + 40.0;
        assert!((bytes(&edge) - expected_mbit * 125_000.0).abs() < 1e-3);
        let host = edge.page().host.unwrap();
        let busy_s = 0.01 * expected_mbit;
        assert!((host.idle_s - (4.0 * 21.0 - busy_s)).abs() < 1e-9);
        assert!((edge.utilisation() - 0.4).abs() < 1e-12);
    }

    #[test]
    fn the_list_of_streams_has_those_that_are_watched_and_how_many_watch() {
        let mut edge = edge();
        let places: Vec<u32> = [3, 7, 7, 1].map(|stream| edge.attach(0, 10, (stream, 10))).to_vec();
        edge.detach(places[0], 10, 3);
        edge.detach(0, 10, 7);
        let listed: Vec<(u64, f64)> = edge.page().streams.iter().map(|s| (s.key, s.clients)).collect();
        assert_eq!(listed, [(1, 1.0), (7, 1.0)]);
    }

    #[test]
    fn a_bound_cpu_makes_the_edge_smaller_than_its_nic() {
        let machine = Machine { egress_mbps: 40_000.0, cores: 8.0, cores_per_mbps: 0.0004 };
        assert!((machine.effective_mbps() - 20_000.0).abs() < 1e-6);
        assert!((Machine { cores: 0.0, ..machine }.effective_mbps() - 40_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_restart_begins_counters_and_identity_anew() {
        let mut edge = edge();
        edge.attach(0, 1_000, (0, 1_000));
        edge.integrate(At::from_s(5.0), 1.0);
        let before = edge.page();
        edge.restart();
        let after = edge.page();
        assert_eq!(bytes(&edge), 0.0);
        assert_ne!(before.media.unwrap().identity, after.media.unwrap().identity);
    }
}
