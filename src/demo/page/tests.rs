use std::collections::BTreeMap;

use super::*;
use crate::demo::edge::Hardware;

const BEGAN_MS: u64 = 1_795_375_879_000;

fn query(collectors: &[&str]) -> Vec<(String, String)> {
    collectors.iter().map(|name| ("collect[]".to_owned(), (*name).to_owned())).collect()
}

/// A page as the crate of the field reads it: `name{label="value"}` with sorted labels → value.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let scrape = prometheus_parse::Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let number = |value: &prometheus_parse::Value| match *value {
        prometheus_parse::Value::Counter(v)
        | prometheus_parse::Value::Gauge(v)
        | prometheus_parse::Value::Untyped(v) => v,
        _ => panic!("no histograms here"),
    };
    scrape
        .samples
        .iter()
        .map(|sample| {
            let labels: BTreeMap<_, _> = sample.labels.iter().collect();
            let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            (format!("{} {}", sample.metric, labels.join(",")).trim().to_owned(), number(&sample.value))
        })
        .collect()
}

fn edge() -> Edge {
    let mut edge = Edge::new(Hardware { cores: 2, bandwidth_mbps: 1_000, process_when_full: 800_000 }, 3, 0);
    edge.attach(0, 100_000);
    edge.attach(0, 100_000);
    edge
}

fn page(edge: &Edge, now_ms: u64) -> Page<'_> {
    Page { node: "sha-1", edge, past: Past::new(3), unix_ms: BEGAN_MS + now_ms }
}

#[test]
fn every_line_of_both_pages_is_read_back() {
    let mut edge = edge();
    edge.advance(10_000);
    let all = Collectors::from_query(&[]).unwrap();
    for text in [page(&edge, 10_000).machine(&all), page(&edge, 10_000).media()] {
        let samples = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(parse(&text).len(), samples);
    }
}

#[test]
fn two_pages_give_the_rates_that_were_served() {
    let mut edge = edge();
    let all = Collectors::from_query(&[]).unwrap();
    edge.advance(1_000);
    let (before, busy_before) = (parse(&page(&edge, 1_000).machine(&all)), edge.counters().busy_ns);
    edge.advance(11_000);
    let (after, busy_after) = (parse(&page(&edge, 11_000).machine(&all)), edge.counters().busy_ns);
    let grown = |name: &str| after[name] - before[name];

    assert!((grown("node_time_seconds") - 10.0).abs() < 1e-6);
    assert!(grown("node_boot_time_seconds").abs() < 1e-9);
    let mbps = grown("node_network_transmit_bytes_total device=eth0") * 8.0 / 10.0 / 1e6;
    assert!((mbps - 200.0).abs() < 1e-3, "{mbps}");
    let mode = |mode: &str| grown(&format!("node_cpu_seconds_total cpu=0,mode={mode}"));
    let modes: f64 = ["idle", "iowait", "softirq", "steal", "system", "user"].map(mode).iter().sum();
    assert!((modes - 10.0).abs() < 0.04, "a CPU has ten seconds in ten seconds, not {modes}");
    let busy_s = (mode("softirq") + mode("system") + mode("user")) * 2.0;
    assert!((busy_s - (busy_after - busy_before) as f64 / 1e9).abs() < 0.05, "{busy_s}");
}

#[test]
fn the_media_page_counts_viewers_and_cores() {
    let mut edge = edge();
    edge.advance(10_000);
    edge.detach(10_000, 100_000);
    let media = parse(&page(&edge, 10_000).media());
    assert!((media["srs_clients"] - 1.0).abs() < f64::EPSILON);
    assert!((media["srs_clients_total"] - 2.0).abs() < f64::EPSILON);
    assert!((media["srs_send_bytes_total"] - 250e6).abs() < f64::EPSILON);
    // 100 of 1,000 Mbit/s at 0.8 cores for a full link, and 0.002 of its own: 8.2 % of one core.
    assert!((media["srs_cpu_percent"] - 8.2).abs() < 1e-9);
}

#[test]
fn collect_leaves_only_the_asked_collectors() {
    let edge = edge();
    let asked = Collectors::from_query(&query(&["cpu", "time"])).unwrap();
    let text = page(&edge, 0).machine(&asked);
    assert!(text.contains("node_cpu_seconds_total{") && text.contains("\nnode_time_seconds "));
    assert!(!text.contains("node_network_") && !text.contains("node_memory_"));
    assert!(text.contains("node_scrape_collector_success{collector=\"cpu\"} 1"));
    assert!(!text.contains("collector=\"netdev\""));
    assert!(text.contains("node_exporter_build_info"), "the exporter always speaks of itself");
}

#[test]
fn unknown_collectors_are_refused_as_the_real_exporter_does() {
    assert_eq!(
        Collectors::from_query(&query(&["cpu", "weather"])).unwrap_err().to_string(),
        "missing collector: weather"
    );
    assert!(Collectors::from_query(&query(&["udp_queues"])).is_ok(), "real, if silent here");
}
