//! Scrapes in metrics: an observer that counts and passes on.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Telemetry;
use crate::schedule::reading::{ProbeFailure, Reading, Timing};
use crate::state::Observer;

/// Upper bounds, s: a page from next door takes milliseconds, the usual deadline is 3 s.
const BOUNDS_S: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 10.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Failure {
    node: String,
    reason: &'static str,
}

/// Duration over all exporters, failures by node: a histogram per node would be most of the page.
pub(super) struct Scrapes {
    duration: Histogram,
    failures: Failures,
    list_failures: Failures,
}

/// Counted by node and reason.
#[derive(Default)]
struct Failures {
    family: Family<Failure, Counter>,
    /// Every failure seen, so that those of nodes that are gone can be dropped.
    seen: std::sync::Mutex<std::collections::HashSet<Failure>>,
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// An exporter's, for a node's load.
    Exporter,
    /// An origin's list of streams.
    List,
}

/// Hears of every probe first, counts it, and tells the one behind.
pub struct CountedObserver {
    telemetry: Arc<Telemetry>,
    page: Page,
    behind: Arc<dyn Observer>,
}

// === impl Scrapes ===

impl Scrapes {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let duration = Histogram::new(BOUNDS_S);
        let help = "Time from asking an exporter to its last byte, failed scrapes included";
        registry.register_with_unit("scrape_duration", help, Unit::Seconds, duration.clone());
        let failures = Failures::default();
        let help = "Scrapes without a reading by node and reason";
        registry.register("scrape_failures", help, failures.family.clone());
        let list_failures = Failures::default();
        let help = "Polls of an origin's list of streams without a list by node and reason";
        registry.register("stream_list_failures", help, list_failures.family.clone());
        Self { duration, failures, list_failures }
    }

    fn observed(&self, page: Page, node: &str, failure: Option<&ProbeFailure>, timing: Timing) {
        let failures = match page {
            Page::Exporter => {
                // A moment counts milliseconds; a scrape of minutes is still exact.
                let ms = u32::try_from(timing.age_ms()).unwrap_or(u32::MAX);
                self.duration.observe(f64::from(ms) / 1000.0);
                &self.failures
            }
            Page::List => &self.list_failures,
        };
        if let Some(failure) = failure {
            failures.count(node, failure);
        }
    }

    pub(super) fn keep_nodes(&self, exists: impl Fn(&str) -> bool) {
        self.failures.keep_nodes(&exists);
        self.list_failures.keep_nodes(&exists);
    }
}

// === impl Failures ===

impl Failures {
    fn count(&self, node: &str, failure: &ProbeFailure) {
        let failure = Failure { node: node.to_owned(), reason: failure.label() };
        // The lock is held over the count, so that no series comes back after `keep_nodes` dropped it.
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.family.get_or_create(&failure).inc();
        seen.insert(failure);
    }

    fn keep_nodes(&self, exists: impl Fn(&str) -> bool) {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.retain(|failure| {
            let stays = exists(&failure.node);
            if !stays {
                self.family.remove(failure);
            }
            stays
        });
    }
}

// === impl CountedObserver ===

impl CountedObserver {
    /// Stands in front of `behind`.
    pub fn new(telemetry: Arc<Telemetry>, page: Page, behind: Arc<dyn Observer>) -> Self {
        Self { telemetry, page, behind }
    }
}

impl Observer for CountedObserver {
    fn observed(&self, node: &str, target: usize, outcome: Result<Reading, ProbeFailure>, timing: Timing) {
        self.telemetry.scrapes.observed(self.page, node, outcome.as_ref().err(), timing);
        self.behind.observed(node, target, outcome, timing);
    }
}
