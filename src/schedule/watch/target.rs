//! One exporter of a node.

use super::TargetReport;
use super::streams::Streams;
use crate::schedule::health::Probes;
use crate::schedule::load::Load;
use crate::schedule::reading::{ProcessCpu, Reading, Timing};
use crate::schedule::window::{Window, Windows};

#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    pub(super) windows: Windows,
    pub(super) probes: Probes,
    pub(super) load: Load,
    /// What this target can tell, best first: the one that shows the egress settles the bookings.
    /// `None`: no page yet, or only lists of streams, which are no load and settle nothing.
    pub(super) rank: Option<Rank>,
    /// The media server's lists of streams.
    pub(super) streams: Streams,
    /// It has shown a media server's own counters: if it dies, the media server is gone.
    pub(super) is_media: bool,
    pub(super) closed_a_window: bool,
    pub(super) coarse: bool,
    pub(super) report: TargetReport,
}

/// How well a target shows the egress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// The NIC's own counters.
    Nic,
    /// The media server's count of what it sent.
    Media,
    /// Not at all.
    Other,
}

/// A window that a good page closed.
#[derive(Clone, Debug)]
pub(super) struct Closed {
    pub(super) seconds: f64,
    pub(super) coarse: bool,
    /// Egress of this target's page, Mbit/s.
    pub(super) egress_mbps: Option<f64>,
    /// Clients that connected, by the media server's counter.
    pub(super) connected: Option<f64>,
}

// === impl Target ===

impl Target {
    /// What the heartbeats of one server tell. Where others have the URL of a page it has the server's name.
    pub(super) fn of_heartbeats(source: &str) -> Self {
        let url = format!("heartbeat:{source}").into();
        Self { report: TargetReport { url, ..TargetReport::default() }, ..Self::default() }
    }

    /// Takes in a good page; returns the window it closed.
    pub(super) fn good(&mut self, mut reading: Reading, timing: Timing) -> Option<Closed> {
        self.streams.observe(std::mem::take(&mut reading.streams));
        self.probes.good(timing.received);
        self.report.failure = None;
        if reading.host.is_none() && reading.media.is_none() && reading.processes.is_empty() {
            self.rank = None;
            self.report.findings.clear();
            return None;
        }
        let shows_nic = reading.host.as_ref().is_some_and(|host| host.transmit_bytes.is_some());
        self.is_media |= reading.media.is_some();
        self.rank = Some(match (shows_nic, reading.media.is_some()) {
            (true, _) => Rank::Nic,
            (false, true) => Rank::Media,
            (false, false) => Rank::Other,
        });
        // Only gauges: nothing to wait for, each page is a window of its own.
        let has_counters = reading.host.is_some()
            || reading.media.is_some()
            || reading.processes.iter().any(|process| matches!(process.cpu, ProcessCpu::Seconds(_)));
        let Window { seconds, coarse, load, connected, findings } = self.windows.fold(reading, timing);
        self.load = load;
        self.coarse = coarse;
        self.report.findings = findings;
        self.closed_a_window |= seconds.is_some() || !has_counters;
        Some(Closed { seconds: seconds?, coarse, egress_mbps: self.load.egress_mbps, connected })
    }
}
