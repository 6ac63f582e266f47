//! What media servers were told that asked where to pull a stream from.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::ByLabel;

/// What one was told. A closed set: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// A node.
    Told,
    /// Nobody has the stream.
    Unknown,
    /// Whoever has it is down.
    Down,
    /// No node of the next layer is up.
    NoNode,
}

// === impl Pulled ===

impl Pulled {
    /// The closed set.
    pub const ALL: [Self; 4] = [Self::Told, Self::Unknown, Self::Down, Self::NoNode];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Unknown => "unknown",
            Self::Down => "down",
            Self::NoNode => "no_node",
        }
    }
}

/// All of them at zero.
pub(super) fn register(registry: &mut Registry) -> ByLabel<Counter> {
    let pulls = ByLabel::default();
    for result in Pulled::ALL {
        let _: Counter = pulls.get_or_create_owned(&[("result", result.as_str())]);
    }
    let help = "Questions of media servers where to pull a stream from, by result";
    registry.register("stream_pulls", help, pulls.clone());
    pulls
}
