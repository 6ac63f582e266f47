use std::collections::HashMap;

use super::*;
use crate::config::Geoip;
use crate::geo::{Locator, Precision};
use crate::resolver::{FleetView, Reason, Resolver};
use crate::schedule::Moment;
use crate::schedule::reading::{ProbeFailure, Reading, Timing};
use crate::state::Observer;

/// What was learnt of a fleet.
const LEARNT: FleetView =
    FleetView { kappa: 4.0, kappa_dns: Some(6.0), hazard_per_s: 0.001, price_km: Some(55.5) };

struct Deaf;

impl Observer for Deaf {
    fn observed(&self, _: &str, _: usize, _: Result<Reading, ProbeFailure>, _: Timing) {}
}

/// A process that has seen a bit of everything.
fn seasoned() -> Arc<Telemetry> {
    let telemetry = Arc::new(Telemetry::new());
    telemetry.answers.set_domains(["live.example.com"]);
    telemetry.answers.answered(0, "live.example.com", Reason::Nearest, Precision::City);
    telemetry.answers.refused(Refused::UnknownDomain);
    telemetry.problem("unknown-domain");
    telemetry.reload_done(1_700_000_000_000);
    let observer = CountedObserver::new(Arc::clone(&telemetry), Page::Exporter, Arc::new(Deaf));
    let timing = Timing { sent: Moment(0), received: Moment(12) };
    observer.observed("sh-1", 0, Err(ProbeFailure::Timeout(3_000)), timing);
    observer.observed("sh-1", 0, Ok(Reading::default()), timing);
    let lists = CountedObserver::new(Arc::clone(&telemetry), Page::List, Arc::new(Deaf));
    lists.observed("sh-1", 0, Err(ProbeFailure::Timeout(3_000)), timing);
    telemetry
}

fn present() -> Present {
    let databases = Locator::open(&Geoip::default(), &HashMap::new()).unwrap().databases();
    Present { nodes: Vec::new(), ready: true, fleet: LEARNT, databases, streams: 3 }
}

#[test]
fn what_was_counted_is_on_the_page() {
    let telemetry = seasoned();
    let _open = telemetry.connection("player");
    let page = telemetry.page(Exposition::OpenMetrics, present());
    for line in [
        "nearcast_resolve_requests_total{domain=\"live.example.com\",reason=\"nearest\"} 1",
        "nearcast_resolve_requests_total{domain=\"other\",reason=\"nearest\"} 0",
        "nearcast_resolve_refused_total{reason=\"unknown_domain\"} 1",
        "nearcast_geo_lookups_total{precision=\"city\"} 1",
        "nearcast_http_problems_total{code=\"unknown-domain\"} 1",
        "nearcast_http_connections{side=\"player\"} 1",
        "nearcast_scrape_failures_total{node=\"sh-1\",reason=\"timeout\"} 1",
        "nearcast_scrape_duration_seconds_count 2",
        "nearcast_stream_list_failures_total{node=\"sh-1\",reason=\"timeout\"} 1",
        "nearcast_config_last_reload_success_timestamp_seconds 1700000000",
        "nearcast_ready 1",
        "nearcast_streams 3",
        "nearcast_price_km 55.5",
        "nearcast_geoip_database_errors_total{database=\"builtin\"} 0",
        "nearcast_kappa 4.0",
        "nearcast_kappa_dns 6.0",
        "nearcast_fleet_hazard_per_second 0.001",
        "# EOF",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not on\n{page}");
    }
    let built = "nearcast_geoip_database_build_timestamp_seconds{database=\"builtin\"} 1";
    assert!(page.contains(built), "{page}");
}

#[test]
fn series_of_nodes_that_are_gone_end() {
    let telemetry = seasoned();
    telemetry.keep_nodes(|node| node != "sh-1");
    let page = telemetry.page(Exposition::Classic, present());
    assert!(!page.contains("node=\"sh-1\""), "{page}");
}

#[test]
fn a_closed_connection_counts_no_more() {
    let telemetry = seasoned();
    drop(telemetry.connection("ops"));
    let page = telemetry.page(Exposition::Classic, present());
    assert!(page.contains("nearcast_http_connections{side=\"ops\"} 0"), "{page}");
}

/// An alert on a metric that nobody writes never fires.
#[test]
fn alert_rules_speak_of_metrics_there_are() {
    let page = seasoned().page(Exposition::Classic, present());
    let rules = include_str!("../../deploy/alerts.yaml");
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let names = rules.match_indices(PREFIX).map(|(at, _)| rules[at..].split(|c| !is_name(c)).next().unwrap());
    let metrics: std::collections::BTreeSet<&str> = names.filter(|name| *name != PREFIX).collect();
    assert!(metrics.len() >= 6, "{metrics:?}");
    for metric in metrics {
        assert!(page.contains(&format!("# TYPE {metric} ")), "{metric} is not on\n{page}");
    }
}

#[test]
fn what_nodes_have_proven_is_on_the_page_where_it_is_known() {
    let nodes = Resolver::for_tests_measured().nodes();
    let page = Telemetry::new().page(Exposition::Classic, Present { nodes, ..present() });
    let proven = |node| format!("nearcast_node_proven_mbps{{node=\"{node}\"}}");
    assert!(page.contains(&format!("{} 3000", proven("sh-1"))), "{page}");
    assert!(!page.contains(&proven("bj-1")), "nobody answers there: {page}");
    assert!(!page.contains("nearcast_node_capped_mbps{"), "none fell short: {page}");
}
