//! What is counted, exactly: every change of a node's load first books the time since the last one.

use super::edge::Edge;

/// A node at its limit of 80 % is not over it: half a per cent is allowed for the viewer that fills it.
pub(super) const OVER_80: f64 = 0.805;
const OVER_85: f64 = 0.85;
const FULL: f64 = 1.0;

/// Sums of a run. Times are seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) over_80_s: f64,
    pub(super) over_85_s: f64,
    pub(super) over_100_s: f64,
    pub(super) peak: f64,
    pub(super) viewing_s: f64,
    pub(super) bad_viewing_s: f64,
    pub(super) answers: u64,
    pub(super) answers_to_full: u64,
    pub(super) degraded: u64,
    pub(super) km_sum: f64,
    pub(super) connects: u64,
    pub(super) flips: u64,
    pub(super) node_s: f64,
    pub(super) pulled_kbit: f64,
    pub(super) placed_kbit: f64,
    pub(super) stalls: u64,
    pub(super) dead_ends: u64,
    pub(super) cut: u64,
}

/// Viewers over the whole run, for the books to balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// There at the start.
    pub(super) initial: u64,
    /// Came during the run.
    pub(super) arrived: u64,
    /// Left after watching.
    pub(super) departed: u64,
    /// Never managed to connect.
    pub(super) no_shows: u64,
    /// Still there at the end.
    pub(super) remained: u64,
}

/// Which edges the fleet pulls streams to for placed viewers, and what that takes.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    streams: usize,
    /// Placed viewers of each (node, stream), node-major.
    viewers: Vec<u32>,
    pulled_kbps: u64,
    placed_kbps: u64,
}

// === impl Tally ===

impl Tally {
    /// A node has spent so many seconds at this use.
    pub(super) fn spend(&mut self, edge: &Edge, utilisation: f64, seconds: f64) {
        let viewing_s = edge.viewers.len() as f64 * seconds;
        self.viewing_s += viewing_s;
        if utilisation > self.peak && seconds > 0.0 {
            self.peak = utilisation;
        }
        if utilisation > OVER_80 {
            self.over_80_s += seconds;
            if utilisation > OVER_85 {
                self.over_85_s += seconds;
            }
            if utilisation > FULL {
                self.over_100_s += seconds;
                self.bad_viewing_s += viewing_s;
            }
        }
    }

    /// A node's use at two looks a second apart.
    pub(super) fn flip(&mut self, before: f64, now: f64) {
        self.flips += u64::from((before > OVER_80) != (now > OVER_80));
        self.node_s += 1.0;
    }
}

// === impl Upstream ===

impl Upstream {
    /// Nobody watches anything.
    pub(super) fn new(nodes: usize, streams: usize) -> Self {
        Self { streams, viewers: vec![0; nodes * streams], pulled_kbps: 0, placed_kbps: 0 }
    }

    /// A placed viewer starts to watch.
    pub(super) fn starts(&mut self, node: u32, stream: u16, stream_kbps: u32, kbps: u32) {
        let viewers = &mut self.viewers[node as usize * self.streams + usize::from(stream)];
        *viewers += 1;
        if *viewers == 1 {
            self.pulled_kbps += u64::from(stream_kbps);
        }
        self.placed_kbps += u64::from(kbps);
    }

    /// A placed viewer stops.
    pub(super) fn stops(&mut self, node: u32, stream: u16, stream_kbps: u32, kbps: u32) {
        let viewers = &mut self.viewers[node as usize * self.streams + usize::from(stream)];
        *viewers -= 1;
        if *viewers == 0 {
            self.pulled_kbps -= u64::from(stream_kbps);
        }
        self.placed_kbps -= u64::from(kbps);
    }

    /// Pulled and placed traffic now, kbit/s.
    pub(super) fn kbps(&self) -> (f64, f64) {
        (self.pulled_kbps as f64, self.placed_kbps as f64)
    }
}
