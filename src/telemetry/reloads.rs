//! What became of reloads, in metrics.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::ByLabel;

/// What is counted.
pub(super) struct Reloads {
    results: ByLabel<Counter>,
    taken_over_at: Gauge,
    last_was_good: Gauge,
}

// === impl Reloads ===

impl Reloads {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let results = ByLabel::default();
        for result in ["ok", "refused"] {
            let _ = results.get_or_create(&[("result", result)]);
        }
        registry.register("config_reloads", "Configuration reloads by result", results.clone());
        let taken_over_at = Gauge::default();
        let help = "When the configuration in force was taken over, Unix time";
        let (name, unit) = ("config_last_reload_success_timestamp", Unit::Seconds);
        registry.register_with_unit(name, help, unit, taken_over_at.clone());
        let last_was_good = Gauge::default();
        let help = "Whether the last attempt to reload was taken over: 1 or 0; 1 before the first";
        registry.register("config_last_reload_successful", help, last_was_good.clone());
        Self { results, taken_over_at, last_was_good }
    }

    /// The configuration in force was taken over at this Unix time, ms.
    pub(super) fn configured(&self, unix_ms: u64) {
        self.last_was_good.set(1);
        self.taken_over_at.set(i64::try_from(unix_ms / 1000).unwrap_or(i64::MAX));
    }

    /// By a reload.
    pub(super) fn done(&self, unix_ms: u64) {
        self.results.get_or_create(&[("result", "ok")]).inc();
        self.configured(unix_ms);
    }

    /// Another one was refused.
    pub(super) fn refused(&self) {
        self.results.get_or_create(&[("result", "refused")]).inc();
        self.last_was_good.set(0);
    }
}
