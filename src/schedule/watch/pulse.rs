//! Pulse: the media servers of a node that send heartbeats, and whether they still do.
//!
//! A node may have several (processes that share its ports), told apart by the id that each keeps over restarts. How
//! often one sends is not told; it is seen. A heartbeat says more than a scrape that fails: a server that leaves
//! gracefully closes its exporter first and goes on sending while its viewers finish (measured with SRS 7.0.18).

use crate::schedule::reading::Moment;

/// Servers of one node that are told apart. More of them on one machine are more than its ports have processes.
pub const MOST_SOURCES: usize = 16;
/// What is said of a node whose exporters are silent while it sends heartbeats.
pub(super) const LEAVING: &str = "leaving: its exporters are silent while its heartbeats come, as when a media server waits for its viewers to end";
/// Heartbeats in a row that may be missing where nothing else is configured.
pub const MISSED: u32 = 3;
/// Taken for the interval until two heartbeats have shown it, ms. SRS sends every 9.9 s unless told otherwise.
const ASSUMED_MS: u64 = 10_000;
/// Bounds of an interval, ms: what is sent faster need not be followed, what is sent slower says nothing.
const SHORTEST_MS: u64 = 100;
const LONGEST_MS: u64 = 600_000;

/// One server's heartbeats.
#[derive(Clone, Debug, PartialEq)]
struct Pulse {
    source: Box<str>,
    last: Moment,
    /// `None`: only one has come.
    interval_ms: Option<u64>,
}

/// The servers of one node, in the order of their first heartbeat.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulses(Vec<Pulse>);

/// What is known of a node's heartbeats at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct PulseReport {
    /// The servers that send them.
    pub sources: Vec<Box<str>>,
    /// The last one came.
    pub last: Moment,
    /// They come so often, ms.
    pub interval_ms: u64,
    /// None came for longer than may be.
    pub is_missing: bool,
    /// When the node has to be looked at again if nothing comes until then.
    pub look_again: Moment,
}

// === impl PulseReport ===

impl PulseReport {
    /// That they are missing, in words.
    pub(super) fn in_words(&self, now: Moment) -> String {
        #[expect(clippy::cast_precision_loss, reason = "at most ten minutes")]
        let interval_s = self.interval_ms as f64 / 1000.0;
        format!("no heartbeat for {:.0} s, one was due every {interval_s:.1} s", now.since_s(self.last))
    }
}

// === impl Pulse ===

impl Pulse {
    fn interval_ms(&self) -> u64 {
        self.interval_ms.unwrap_or(ASSUMED_MS)
    }

    /// From then on one too many is missing. Half an interval more, because they are sent when a server gets to it.
    fn due(&self, missed: u32) -> Moment {
        let interval_ms = self.interval_ms();
        self.last.plus_ms(interval_ms * u64::from(missed.max(1)) + interval_ms / 2)
    }

    /// A gap twice as long is rather a heartbeat that was lost than a slower rhythm, so it counts for little.
    fn beat(&mut self, at: Moment) {
        let gap_ms = at.since_ms(self.last).clamp(SHORTEST_MS, LONGEST_MS);
        self.interval_ms = Some(match self.interval_ms {
            None => gap_ms,
            Some(known_ms) if gap_ms < known_ms => (known_ms + gap_ms) / 2,
            Some(known_ms) => known_ms + (gap_ms.min(known_ms * 2) - known_ms) / 8,
        });
        self.last = at;
    }
}

// === impl Pulses ===

impl Pulses {
    /// Takes in a heartbeat; returns the server's place, or `None` if there are too many.
    pub(super) fn beat(&mut self, source: &str, at: Moment) -> Option<usize> {
        let known = self.0.iter().position(|pulse| &*pulse.source == source);
        match known {
            Some(place) => self.0[place].beat(at),
            None if self.0.len() >= MOST_SOURCES => return None,
            None => self.0.push(Pulse { source: source.into(), last: at, interval_ms: None }),
        }
        known.or(Some(self.0.len() - 1))
    }

    /// The servers that send.
    pub(super) fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|pulse| &*pulse.source)
    }

    /// Whether one of them still sends.
    pub(super) fn is_beating(&self, missed: u32, now: Moment) -> bool {
        self.0.iter().any(|pulse| now <= pulse.due(missed))
    }

    /// Forgets a server that has stopped while another goes on, and returns the place that it had.
    pub(super) fn forget_one(&mut self, missed: u32, now: Moment) -> Option<usize> {
        let stopped = self.0.iter().position(|pulse| now > pulse.due(missed))?;
        self.is_beating(missed, now).then(|| {
            self.0.remove(stopped);
            stopped
        })
    }

    /// The slowest of their rhythms, ms; 0: there are none.
    pub(super) fn interval_ms(&self) -> u64 {
        self.0.iter().map(Pulse::interval_ms).max().unwrap_or_default()
    }

    pub(super) fn report(&self, missed: u32, now: Moment) -> Option<PulseReport> {
        let last = self.0.iter().map(|pulse| pulse.last).max()?;
        let due = self.0.iter().map(|pulse| pulse.due(missed)).filter(|due| now <= *due);
        Some(PulseReport {
            sources: self.sources().map(Box::from).collect(),
            last,
            interval_ms: self.interval_ms(),
            is_missing: !self.is_beating(missed, now),
            look_again: due.min().unwrap_or(Moment(u64::MAX)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beats(at_ms: &[u64]) -> Pulses {
        let mut pulses = Pulses::default();
        for at in at_ms {
            pulses.beat("vid-1", Moment(*at));
        }
        pulses
    }

    #[test]
    fn the_interval_is_what_was_seen_and_a_lost_heartbeat_hardly_changes_it() {
        assert_eq!(beats(&[0]).interval_ms(), ASSUMED_MS);
        assert_eq!(beats(&[0, 2_000]).interval_ms(), 2_000);
        assert_eq!(beats(&[0, 2_000, 4_000, 8_000]).interval_ms(), 2_250);
        assert_eq!(beats(&[0, 2_000, 4_000, 400_000]).interval_ms(), 2_250, "nor does a long pause");
        assert_eq!(
            beats(&[0, 20_000, 22_000, 24_000, 26_000, 28_000]).interval_ms(),
            3_125,
            "faster is fast"
        );
    }

    #[test]
    fn it_counts_as_stopped_when_one_more_is_missing_than_may_be() {
        let pulses = beats(&[0, 1_000]);
        assert!(pulses.is_beating(3, Moment(4_500)));
        assert!(!pulses.is_beating(3, Moment(4_501)));
        let report = pulses.report(3, Moment(2_000)).unwrap();
        assert_eq!((report.is_missing, report.look_again), (false, Moment(4_500)));
        let report = pulses.report(3, Moment(4_501)).unwrap();
        assert_eq!((report.is_missing, report.look_again), (true, Moment(u64::MAX)));
    }

    #[test]
    fn a_server_that_stops_is_forgotten_only_while_another_goes_on() {
        let mut pulses = beats(&[0, 1_000]);
        assert_eq!(pulses.forget_one(3, Moment(9_000)), None, "the last one is what the node goes by");
        pulses.beat("vid-2", Moment(9_000));
        assert_eq!(pulses.forget_one(3, Moment(9_000)), Some(0));
        assert_eq!(pulses.forget_one(3, Moment(9_000)), None);
        assert_eq!(pulses.report(3, Moment(9_000)).unwrap().sources, ["vid-2".into()]);
    }

    #[test]
    fn however_many_names_are_made_up_only_so_many_are_kept() {
        let mut pulses = Pulses::default();
        let kept = (0..100).filter(|i| pulses.beat(&format!("vid-{i}"), Moment(0)).is_some()).count();
        assert_eq!(kept, MOST_SOURCES);
    }
}
