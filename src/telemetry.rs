//! What operators see: metrics and logs.
//!
//! Counters of the resolve path are plain atomics in fixed places ([`answers`]); a label look-up there would
//! cost as much as the decision. Everything rarer uses `prometheus-client` families. What is known elsewhere
//! anyway (nodes, readiness) is not counted twice: it is read when `/metrics` is asked.
//!
//! Labels are bounded: domains are the configured ones and `other`, the rest are closed sets or node ids.

pub mod answers;
mod classic;
mod dns;
mod fleet;
mod flood;
mod hooks;
mod logs;
pub mod mask;
mod media;
mod pulls;
mod reloads;
mod scrapes;

use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

pub use self::answers::{Answers, Refused};
pub use self::dns::{DnsReplies, DnsTransport};
pub use self::fleet::Present;
pub use self::flood::Lid;
use self::hooks::Hooks;
pub use self::logs::init_logs;
use self::media::Media;
pub use self::media::{Eviction, Heard};
pub use self::pulls::Pulled;
use self::reloads::Reloads;
use self::scrapes::Scrapes;
pub use self::scrapes::{CountedObserver, Page};

/// A family with one label.
type ByLabel<M> = Family<[(&'static str, &'static str); 1], M>;

/// Prefix of every metric.
const PREFIX: &str = "nearcast";

/// All counters of a process. One, shared.
pub struct Telemetry {
    /// What the resolve path counts.
    pub answers: Arc<Answers>,
    /// What the DNS front counts.
    pub dns: Arc<DnsReplies>,
    hooks: Hooks,
    scrapes: Scrapes,
    media: Media,
    problems: ByLabel<Counter>,
    connections: ByLabel<Gauge>,
    reaped: Counter,
    refused_connections: ByLabel<Counter>,
    failed_handshakes: Counter,
    certificate_ends: Gauge,
    rtt_reports: Counter,
    rtt_unknown: Counter,
    pulls: ByLabel<Counter>,
    reloads: Reloads,
    registry: Registry,
}

/// The two text formats there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Classic,
}

// === impl Telemetry ===

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// All counters at zero, no domain known.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let answers = Arc::new(Answers::default());
        registry.register_collector(Box::new(Arc::clone(&answers)));
        let dns = Arc::new(DnsReplies::default());
        registry.register_collector(Box::new(Arc::clone(&dns)));

        let problems = ByLabel::default();
        registry.register("http_problems", "Error answers by problem code, both sides", problems.clone());
        let connections = ByLabel::default();
        registry.register("http_connections", "Open HTTP connections by side", connections.clone());
        let reaped = Counter::default();
        let help = "Player connections closed because no request came in time";
        registry.register("http_connections_reaped", help, reaped.clone());

        let refused_connections = ByLabel::default();
        for reason in ["client", "crowded", "late"] {
            let _ = refused_connections.get_or_create(&[("reason", reason)]);
        }
        let help = "Player connections closed unserved: their client has enough, newcomers need room, or they waited too long";
        registry.register("http_connections_refused", help, refused_connections.clone());
        let failed_handshakes = Counter::default();
        let help = "TLS handshakes of players that did not come to an end";
        registry.register("tls_handshakes_failed", help, failed_handshakes.clone());
        let certificate_ends = Gauge::default();
        let help = "When the certificate in service ends, Unix time; 0: there is none";
        let (name, unit) = ("tls_certificate_not_after_timestamp", Unit::Seconds);
        registry.register_with_unit(name, help, unit, certificate_ends.clone());

        let (rtt_reports, rtt_unknown) = (Counter::default(), Counter::default());
        registry.register(
            "rtt_reports",
            "Reports of measured round-trip times taken in",
            rtt_reports.clone(),
        );
        let help = "Addresses in such reports that no node has";
        registry.register("rtt_unknown_addresses", help, rtt_unknown.clone());

        let build: ByLabel<Gauge> = ByLabel::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register("build_info", "Version of this process; always 1", build);

        let hooks = Hooks::register(&mut registry);
        let scrapes = Scrapes::register(&mut registry);
        let pulls = pulls::register(&mut registry);
        let media = Media::register(&mut registry);
        Self {
            answers,
            dns,
            hooks,
            scrapes,
            media,
            problems,
            connections,
            reaped,
            refused_connections,
            failed_handshakes,
            certificate_ends,
            rtt_reports,
            rtt_unknown,
            pulls,
            reloads: Reloads::register(&mut registry),
            registry,
        }
    }

    /// An error answer left, with this code.
    pub fn problem(&self, code: &'static str) {
        self.problems.get_or_create(&[("code", code)]).inc();
    }

    /// A connection of a side (`player` or `ops`) was opened; it counts until the guard is dropped.
    #[must_use]
    pub fn connection(&self, side: &'static str) -> OpenConnection {
        let gauge = self.connections.get_or_create_owned(&[("side", side)]);
        gauge.inc();
        OpenConnection(gauge)
    }

    /// A player connection was closed because no request came in time.
    pub fn reaped(&self) {
        self.reaped.inc();
    }

    /// Player connections were closed unserved: their client has enough (`client`), newcomers need room (`crowded`), or
    /// they waited too long (`late`).
    pub fn refused_connections(&self, reason: &'static str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.refused_connections.get_or_create(&[("reason", reason)]).inc_by(count);
    }

    /// Counts TLS handshakes that did not come to an end.
    #[must_use]
    pub fn failed_handshakes(&self) -> Counter {
        self.failed_handshakes.clone()
    }

    /// From now on a certificate is in service that ends at this Unix time, s; `None`: none is.
    pub fn certificate(&self, not_after: Option<u64>) {
        self.certificate_ends.set(i64::try_from(not_after.unwrap_or(0)).unwrap_or(i64::MAX));
    }

    /// A report of measured times was taken in, but for the times to this many addresses that no node has.
    pub fn rtt_reported(&self, unknown: usize) {
        self.rtt_reports.inc();
        self.rtt_unknown.inc_by(u64::try_from(unknown).unwrap_or(u64::MAX));
    }

    /// A media server asked where to pull a stream from, and was told this.
    pub fn pulled(&self, result: Pulled) {
        self.pulls.get_or_create(&[("result", result.as_str())]).inc();
    }

    /// The service starts with a configuration, at this Unix time, ms.
    pub fn configured(&self, unix_ms: u64) {
        self.reloads.configured(unix_ms);
    }

    /// Another configuration was taken over, at this Unix time, ms.
    pub fn reload_done(&self, unix_ms: u64) {
        self.reloads.done(unix_ms);
    }

    /// A configuration was refused.
    pub fn reload_refused(&self) {
        self.reloads.refused();
    }

    /// Drops what is counted for nodes that are no more, so that their series end.
    pub fn keep_nodes(&self, exists: impl Fn(&str) -> bool) {
        self.scrapes.keep_nodes(exists);
    }

    /// The whole page.
    #[must_use]
    pub fn page(&self, exposition: Exposition, present: Present) -> String {
        let mut now = Registry::with_prefix(PREFIX);
        now.register_collector(Box::new(present));
        let mut page = String::new();
        let written = text::encode_registry(&mut page, &self.registry)
            .and_then(|()| text::encode_registry(&mut page, &now))
            .and_then(|()| text::encode_eof(&mut page));
        if written.is_err() {
            // Writing to a string does not fail; a collector that does has cut the page short.
            tracing::error!("the metrics page is incomplete");
        }
        match exposition {
            Exposition::OpenMetrics => page,
            Exposition::Classic => classic::from_open_metrics(&page),
        }
    }
}

/// Counts as an open connection while it lives.
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

// === impl Exposition ===

impl Exposition {
    /// The `Content-Type`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests;
