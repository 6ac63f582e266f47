//! What media servers tell of themselves, in metrics.

use prometheus_client::metrics::counter::Counter;
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

/// What is counted.
pub(super) struct Media {
    heartbeats: ByLabel<Counter>,
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

// === impl Media ===

impl Media {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let heartbeats = ByLabel::default();
        for heard in Heard::ALL {
            let _ = heartbeats.get_or_create(&[("outcome", heard.as_str())]);
        }
        let help = "Heartbeats of media servers by what became of them";
        registry.register("heartbeats", help, heartbeats.clone());
        Self { heartbeats }
    }
}

// === impl Telemetry ===

impl Telemetry {
    /// A heartbeat came.
    pub fn heartbeat(&self, heard: Heard) {
        self.media.heartbeats.get_or_create(&[("outcome", heard.as_str())]).inc();
    }
}
