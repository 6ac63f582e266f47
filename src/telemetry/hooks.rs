//! Counters of what media servers ask.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Two labels of closed sets.
type Labels = [(&'static str, &'static str); 2];

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    hooks: Family<Labels, Counter>,
    coworker: super::ByLabel<Counter>,
}

// === impl Hooks ===

impl Hooks {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let hooks = Self::default();
        let help = "Hooks of media servers by what became of them";
        registry.register("hooks", help, hooks.hooks.clone());
        for outcome in ["found", "unknown"] {
            let _ = hooks.coworker.get_or_create(&[("outcome", outcome)]);
        }
        let help = "Questions of origins for the origin of a stream by what was found";
        registry.register("coworker_queries", help, hooks.coworker.clone());
        hooks
    }
}

// === impl Telemetry ===

impl super::Telemetry {
    /// A hook was answered; both words are of closed sets.
    pub fn hook(&self, hook: &'static str, outcome: &'static str) {
        self.hooks.hooks.get_or_create(&[("hook", hook), ("outcome", outcome)]).inc();
    }

    /// An origin asked for the origin of a stream; the word is of a closed set.
    pub fn coworker(&self, outcome: &'static str) {
        self.hooks.coworker.get_or_create(&[("outcome", outcome)]).inc();
    }
}
