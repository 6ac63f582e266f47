//! What media servers tell of themselves, in metrics.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{ByLabel, Telemetry};

/// What became of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was from a node there is.
    Known,
    /// It was from a server that becomes a node.
    New,
    /// It was refused.
    Refused,
}

/// What became of sending a client away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The media server has done it.
    Kicked,
    /// The client had gone by itself.
    Gone,
    /// The media server could not be told.
    Failed,
    /// No other node had room, so nobody was sent away.
    NoRoom,
}

/// What is counted.
pub(super) struct Media {
    heartbeats: ByLabel<Counter>,
    evictions: Family<[(&'static str, &'static str); 2], Counter>,
}

// === impl Heard ===

impl Heard {
    const ALL: [Self; 3] = [Self::Known, Self::New, Self::Refused];

    /// The label.
    fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::New => "new",
            Self::Refused => "refused",
        }
    }
}

// === impl Eviction ===

impl Eviction {
    const ALL: [Self; 4] = [Self::Kicked, Self::Gone, Self::Failed, Self::NoRoom];

    /// The label.
    fn as_str(self) -> &'static str {
        match self {
            Self::Kicked => "kicked",
            Self::Gone => "gone",
            Self::Failed => "failed",
            Self::NoRoom => "no_room",
        }
    }
}

// === impl Media ===

impl Media {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let heartbeats = ByLabel::default();
        for heard in Heard::ALL {
            let _ = heartbeats.get_or_create(&[("outcome", heard.as_str())]);
        }
        let help = "Heartbeats of media servers by what became of them";
        registry.register("heartbeats", help, heartbeats.clone());
        let evictions = Family::default();
        for (cause, outcome) in
            ["drain", "relief"].into_iter().flat_map(|cause| Eviction::ALL.map(|of| (cause, of)))
        {
            let _ = evictions.get_or_create(&[("cause", cause), ("outcome", outcome.as_str())]);
        }
        let help = "Clients of nodes that were to be sent away, by cause and by what became of it";
        registry.register("evictions", help, evictions.clone());
        Self { heartbeats, evictions }
    }
}

// === impl Telemetry ===

impl Telemetry {
    /// A client was to be sent away.
    pub fn evicted(&self, cause: &'static str, outcome: Eviction) {
        self.media.evictions.get_or_create(&[("cause", cause), ("outcome", outcome.as_str())]).inc();
    }

    /// A heartbeat came.
    pub fn heartbeat(&self, heard: Heard) {
        self.media.heartbeats.get_or_create(&[("outcome", heard.as_str())]).inc();
    }
}
