//! What a node's viewers should get, from the media server's own list of streams.

use crate::schedule::reading::StreamReading;

/// The last two lists, each in the order of its keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams {
    before: Vec<StreamReading>,
    now: Vec<StreamReading>,
    /// A list has come that no window was judged by.
    fresh: bool,
}

/// What the viewers of some streams should have got.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Expected {
    /// Mbit/s.
    pub(super) mbps: f64,
    /// Viewers, mean over the window.
    pub(super) clients: f64,
}

// === impl Expected ===

impl Expected {
    fn add(&mut self, kbps: f64, clients: f64) {
        self.mbps += kbps * clients / 1000.0;
        self.clients += clients;
    }

    /// What two lists tell together: several media servers share the node.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { mbps: self.mbps + other.mbps, clients: self.clients + other.clients }
    }
}

// === impl Streams ===

impl Streams {
    /// Takes in one more list; an empty one is none.
    pub(super) fn observe(&mut self, mut list: Vec<StreamReading>) {
        if list.is_empty() {
            return;
        }
        list.sort_unstable_by_key(|stream| stream.key);
        self.before = std::mem::replace(&mut self.now, list);
        self.fresh = !self.before.is_empty();
    }

    /// What the viewers between the two lists should have got, `Σ bitrate · mean clients`; `None`: the lists do not
    /// tell. `presence` is the share of the window that a newcomer was there.
    pub(super) fn expected(&mut self, presence: f64) -> Option<Expected> {
        if !std::mem::take(&mut self.fresh) {
            return None;
        }
        let mut before = self.before.iter().peekable();
        let mut expected = Expected::default();
        for stream in &self.now {
            while let Some(gone) = before.next_if(|other| other.key < stream.key) {
                expected.add(gone.kbps, mean_clients(gone.clients, 0.0, presence));
            }
            let was = before.next_if(|other| other.key == stream.key).map_or(0.0, |other| other.clients);
            expected.add(stream.kbps, mean_clients(was, stream.clients, presence));
        }
        for gone in before {
            expected.add(gone.kbps, mean_clients(gone.clients, 0.0, presence));
        }
        (expected.mbps > 0.0).then_some(expected)
    }
}

/// Who came was there for `presence` of the window, who went for half of it.
fn mean_clients(before: f64, now: f64, presence: f64) -> f64 {
    if now >= before { before + presence * (now - before) } else { 0.5 * (before + now) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(streams: &[(u64, f64, f64)]) -> Vec<StreamReading> {
        streams
            .iter()
            .map(|(key, clients, kbps)| StreamReading { key: *key, clients: *clients, kbps: *kbps })
            .collect()
    }

    #[test]
    fn each_stream_counts_with_its_own_bitrate_also_when_it_comes_or_goes() {
        let mut streams = Streams::default();
        streams.observe(list(&[(3, 10.0, 1_000.0), (1, 10.0, 4_000.0)]));
        assert_eq!(streams.expected(0.5), None, "one list makes no window");
        streams.observe(list(&[(1, 20.0, 4_000.0), (2, 4.0, 8_000.0)]));
        let expected = 4.0 * 15.0 + 8.0 * 2.0 + 1.0 * 5.0;
        assert!((streams.expected(0.5).unwrap().mbps - expected).abs() < 1e-9);
        streams.observe(Vec::new());
        assert_eq!(streams.expected(0.5), None, "each list is judged once");
    }
}
