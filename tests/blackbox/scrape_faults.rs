//! Broken, lying and dead exporters: each is named on its node, none makes a node vanish or look idle.

use std::fmt::Write as _;

use serde_json::Value;

use super::stage::{
    CHICAGO, Edge, LONDON, NEW_YORK, PATIENCE, US, ips, live, load, node, resolve, says, scrape_each,
    until_answer, until_node,
};
use super::support::{Behaviour, Service, TestExporter, eventually};

/// What the sick node carried while it was well: half of its bandwidth and a third of its cores.
const EGRESS_MBPS: f64 = 300.0;
const SYSTEM_CPU: f64 = 0.3;

/// A fleet of which the node nearest to the asker will fall sick: sick, next, far.
struct Ward {
    edges: Vec<Edge>,
    service: Service,
}

// === impl Ward ===

impl Ward {
    /// All well, and the first one's load seen.
    async fn open() -> Self {
        let edges = Edge::start_each(&[CHICAGO, NEW_YORK, LONDON]).await;
        edges[0].exporter.set(|knobs| (knobs.tx_mbps, knobs.system_cpu) = (EGRESS_MBPS, SYSTEM_CPU));
        let service = Service::start(&live(&scrape_each(500), &edges)).await;
        let ward = Self { edges, service };
        until_node(&ward.service, ward.id(), "shows its load", keeps_its_estimate).await;
        ward
    }

    fn id(&self) -> &str {
        &self.edges[0].id
    }

    fn behave(&self, behaviour: Behaviour) {
        self.edges[0].exporter.set(|knobs| knobs.behaviour = behaviour);
    }

    /// The sick node once its page fails with this label and these words.
    async fn until_failing(&self, label: &str, words: &str) -> Value {
        until_node(&self.service, self.id(), "names its failure", |node| {
            let target = &node["targets"][0];
            target["error_label"] == label && target["error"].as_str().is_some_and(|e| e.contains(words))
        })
        .await
    }

    /// The sick node once its page gives rise to this finding.
    async fn until_finding(&self, finding: &str) -> Value {
        until_node(&self.service, self.id(), "names what it found", |node| says(node, &[finding])).await
    }

    async fn until_well(&self) {
        self.behave(Behaviour::Good);
        until_node(&self.service, self.id(), "is well again", |node| {
            node["state"] == "healthy" && node["reasons"].as_array().is_some_and(Vec::is_empty)
        })
        .await;
    }
}

/// Neither idle nor unknown: the load is still that of the last good page.
fn keeps_its_estimate(node: &Value) -> bool {
    let near = |shown: Option<f64>, truth: f64| shown.is_some_and(|shown| (shown / truth - 1.0).abs() < 0.15);
    near(node["egress_mbps"].as_f64(), EGRESS_MBPS) && near(load(node, "system_cpu"), SYSTEM_CPU)
}

/// A page that comes but is broken: named, the estimate stays, the node is not called dead, answers go on.
async fn broken_page_is_named(behaviour: Behaviour, label: &str, words: &str) {
    let ward = Ward::open().await;
    ward.behave(behaviour);
    let node = ward.until_failing(label, words).await;
    assert!(keeps_its_estimate(&node), "the last estimate was lost: {node:#}");
    assert!(says(&node, &[label, words]), "no reason names it: {node:#}");
    assert!(["healthy", "stale"].contains(&node["state"].as_str().unwrap()), "{node:#}");
    resolve(&ward.service, &format!("ip={US}")).await;
    ward.until_well().await;
}

#[tokio::test]
async fn garbage_page_is_named_and_the_last_estimate_stays() {
    broken_page_is_named(Behaviour::Garbage, "parse", "").await;
}

#[tokio::test]
async fn empty_page_is_named_and_the_last_estimate_stays() {
    broken_page_is_named(Behaviour::Empty, "missing_metric", "").await;
}

#[tokio::test]
async fn binary_page_is_named_and_the_last_estimate_stays() {
    broken_page_is_named(Behaviour::Binary, "parse", "").await;
}

#[tokio::test]
async fn huge_page_is_cut_off_at_the_limit_and_the_last_estimate_stays() {
    broken_page_is_named(Behaviour::Huge, "too_large", "over 4194304 bytes").await;
}

#[tokio::test]
async fn truncated_page_is_named_and_the_last_estimate_stays() {
    broken_page_is_named(Behaviour::Truncated, "http", "ends early").await;
}

#[tokio::test]
async fn server_error_is_named_and_the_last_estimate_stays() {
    broken_page_is_named(Behaviour::Status(500), "http", "status 500").await;
}

#[tokio::test]
async fn redirect_is_named_and_never_followed() {
    let elsewhere = TestExporter::start().await;
    broken_page_is_named(Behaviour::Redirect(elsewhere.url()), "http", "redirects are not followed").await;
    assert!(elsewhere.requests().is_empty(), "another machine's page was asked for");
}

#[tokio::test]
async fn name_that_leads_to_a_closed_network_is_named_and_never_asked() {
    let edges = Edge::start_each(&[CHICAGO, NEW_YORK]).await;
    let by_name = edges[0].exporter.url().replace("127.0.0.1", "localhost");
    let config = live(&scrape_each(500), &edges[1..]) + &edges[0].toml_with_exporter(&by_name);
    let open = Service::start(&config).await;
    until_node(&open, &edges[0].id, "is well", |node| node["state"] == "healthy").await;
    drop(open);
    // The other one's address would be closed as well, and refused with the file.
    let closed = config
        .replace("interval", "allowed_networks = [\"10.0.0.0/8\"]\ninterval")
        .replace(&edges[1].exporter.url(), "http://10.0.0.1:9/metrics");
    let service = Service::launch(&closed).await;
    let asked = edges[0].exporter.requests().len();
    let node = until_node(&service, &edges[0].id, "names its failure twice", |node| {
        node["targets"][0]["error_label"] == "not_allowed" && node["targets"][0]["failed"].as_u64() >= Some(2)
    })
    .await;
    let error = node["targets"][0]["error"].as_str().unwrap();
    let words = ["127.0.0.1", "::1"].map(|ip| format!("address {ip} is not in scrape.allowed_networks"));
    assert!(words.iter().any(|words| error.contains(words)), "{node:#}");
    assert_ne!(node["state"], "down", "our own rule speaks against no machine: {node:#}");
    assert_eq!(edges[0].exporter.requests().len(), asked, "it was asked");
}

#[tokio::test]
async fn nan_is_named_and_never_a_load() {
    let lie = Behaviour::Lying { metric: "node_cpu_seconds_total", value: "NaN" };
    broken_page_is_named(lie, "parse", "node_cpu_seconds_total is NaN").await;
}

#[tokio::test]
async fn infinity_is_named_and_never_a_load() {
    let lie = Behaviour::Lying { metric: "node_network_transmit_bytes_total", value: "+Inf" };
    broken_page_is_named(lie, "parse", "node_network_transmit_bytes_total is inf").await;
}

#[tokio::test]
async fn negative_counter_is_named_and_never_a_load() {
    let lie = Behaviour::Lying { metric: "node_network_transmit_bytes_total", value: "-1" };
    broken_page_is_named(lie, "parse", "node_network_transmit_bytes_total is -1, below 0").await;
}

/// A counter beyond any hardware, for several scrapes in a row: the second window of the same nonsense would be
/// a difference of 0.
async fn absurd_counter_keeps_the_estimate(metric: &'static str) {
    let ward = Ward::open().await;
    ward.behave(Behaviour::Lying { metric, value: "1e300" });
    let before = ward.edges[0].exporter.requests().len();
    ward.until_finding(&format!("absurd: {metric}")).await;
    eventually("four pages were read", PATIENCE, || async {
        match ward.edges[0].exporter.requests().len() - before {
            5.. => Ok(()),
            read => Err(format!("{read}")),
        }
    })
    .await;
    let node = node(&ward.service, ward.id()).await;
    assert!(keeps_its_estimate(&node), "{metric} = 1e300 changed the load: {node:#}");
    assert!(says(&node, &["absurd", metric]), "named once and then forgotten: {node:#}");
    ward.until_well().await;
    assert!(keeps_its_estimate(&self::node(&ward.service, ward.id()).await));
}

#[tokio::test]
async fn absurd_egress_is_named_and_never_a_load() {
    absurd_counter_keeps_the_estimate("node_network_transmit_bytes_total").await;
}

#[tokio::test]
async fn absurd_cpu_time_is_named_and_never_idleness() {
    absurd_counter_keeps_the_estimate("node_cpu_seconds_total").await;
}

#[tokio::test]
async fn counters_that_began_anew_are_no_spike_and_no_idleness() {
    let ward = Ward::open().await;
    ward.edges[0].exporter.restart();
    let node = ward.until_finding("restarted: machine").await;
    assert!(keeps_its_estimate(&node), "{node:#}");
    ward.until_well().await;
}

#[tokio::test]
async fn frozen_page_is_named_and_goes_stale_with_its_last_estimate() {
    let ward = Ward::open().await;
    ward.behave(Behaviour::Frozen);
    let node = ward.until_finding("frozen").await;
    assert!(keeps_its_estimate(&node), "{node:#}");
    let node = until_node(&ward.service, ward.id(), "is stale", |node| node["state"] == "stale").await;
    assert!(keeps_its_estimate(&node), "{node:#}");
    until_answer(&ward.service, &format!("ip={US}"), "others are answered", |answer| {
        ips(answer)[0] == ward.edges[1].ip
    })
    .await;
    ward.until_well().await;
}

#[tokio::test]
async fn two_processes_behind_one_port_are_named() {
    let ward = Ward::open().await;
    ward.behave(Behaviour::Flapping);
    let node = ward.until_finding("identity_flapping").await;
    assert!(node["egress_mbps"].as_f64().unwrap() > EGRESS_MBPS / 2.0, "{node:#}");
    ward.until_well().await;
}

/// Pages that never end and requests that are never answered: nobody is there in time, twice.
async fn no_page_in_time_is_down(behaviour: Behaviour) {
    let ward = Ward::open().await;
    ward.behave(behaviour);
    let node = ward.until_failing("timeout", "500 ms").await;
    assert!(keeps_its_estimate(&node), "{node:#}");
    let node = until_node(&ward.service, ward.id(), "is down", |node| node["state"] == "down").await;
    assert!(node["targets"][0]["failed"].as_u64().unwrap() >= 2, "one failure is no death: {node:#}");
    assert!(keeps_its_estimate(&node), "{node:#}");
    let answer = resolve(&ward.service, &format!("ip={US}")).await;
    assert_eq!(ips(&answer)[0], ward.edges[1].ip, "{answer}");
    assert!(!ips(&answer).contains(&&*ward.edges[0].ip), "a dead node is no fallback: {answer}");
    ward.until_well().await;
}

#[tokio::test]
async fn page_that_never_ends_is_timeout_and_the_node_is_down_until_it_ends() {
    no_page_in_time_is_down(Behaviour::Slow).await;
}

#[tokio::test]
async fn exporter_that_never_answers_is_timeout_and_the_node_is_down_until_it_does() {
    no_page_in_time_is_down(Behaviour::Silent).await;
}

#[tokio::test]
async fn dead_exporter_is_down_after_two_probes_and_comes_back() {
    let mut ward = Ward::open().await;
    ward.edges[0].exporter.refuse().await;
    until_node(&ward.service, &ward.edges[0].id, "is down", |node| {
        let failed = node["targets"][0]["failed"].as_u64().unwrap();
        assert_eq!(node["state"] == "down", failed >= 2, "down after two probes, no sooner: {node:#}");
        node["state"] == "down" && says(node, &["connect", "refused"])
    })
    .await;
    let answer = resolve(&ward.service, &format!("ip={US}")).await;
    assert_eq!(ips(&answer)[0], ward.edges[1].ip, "{answer}");
    // Who comes back is filled up slowly: what it carries must fit under a quarter of its limits to be answered soon.
    ward.edges[0].exporter.set(|knobs| (knobs.tx_mbps, knobs.system_cpu) = (20.0, 0.05));
    ward.edges[0].exporter.resume();
    ward.until_well().await;
    until_answer(&ward.service, &format!("ip={US}"), "the node is answered again", |answer| {
        ips(answer)[0] == ward.edges[0].ip
    })
    .await;
}

#[tokio::test]
async fn nodes_whose_pages_stay_broken_are_stale_after_six_intervals_and_the_others_answer() {
    let broken = [
        Behaviour::Garbage,
        Behaviour::Empty,
        Behaviour::Binary,
        Behaviour::Truncated,
        Behaviour::Status(500),
        Behaviour::Redirect("http://127.0.0.1:9/".to_owned()),
        Behaviour::Lying { metric: "node_cpu_seconds_total", value: "NaN" },
    ];
    let sick = Edge::start_each(&[CHICAGO; 7]).await;
    // More than half of a stale fleet would be our own fault, so more are well, all behind one exporter.
    let well = Edge::start(100, NEW_YORK).await;
    let mut config = live(&scrape_each(500), &sick);
    for number in 100..109 {
        let edge = Edge::start(number, NEW_YORK).await;
        write!(config, "{}", edge.toml_with_exporter(&well.exporter.url())).unwrap();
    }
    for edge in &sick {
        edge.exporter.set(|knobs| knobs.tx_mbps = EGRESS_MBPS);
    }
    let service = Service::start(&config).await;
    for (edge, behaviour) in sick.iter().zip(broken) {
        until_node(&service, &edge.id, "shows its load", |node| {
            node["egress_mbps"].as_f64().is_some_and(|mbps| mbps > EGRESS_MBPS * 0.85)
        })
        .await;
        edge.exporter.set(|knobs| knobs.behaviour = behaviour);
    }
    for edge in &sick {
        let node = until_node(&service, &edge.id, "is stale", |node| {
            // 0.1 s of grace: ages are shown in tenths.
            let age_s = node["sample_age_s"].as_f64().unwrap();
            assert!(node["state"] != "stale" || age_s >= 2.9, "stale before six intervals: {node:#}");
            node["state"] == "stale"
        })
        .await;
        assert!(node["egress_mbps"].as_f64().unwrap() > EGRESS_MBPS * 0.85, "load lost: {node:#}");
        assert!(says(&node, &["no good sample"]), "{node:#}");
    }
    let answer = resolve(&service, &format!("ip={US}&n=8")).await;
    assert_eq!(answer["degraded"], false, "{answer}");
    for edge in &sick {
        assert!(!ips(&answer).contains(&&*edge.ip), "a stale node is answered: {answer}");
    }
}

#[tokio::test]
async fn when_every_page_breaks_the_fault_is_ours_and_answers_go_on() {
    let edges = Edge::start_each(&[CHICAGO, NEW_YORK, LONDON]).await;
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    for edge in &edges {
        edge.exporter.set(|knobs| knobs.behaviour = Behaviour::Garbage);
    }
    eventually("/readyz says whose fault it is", PATIENCE, || async {
        let reply = service.admin("/readyz").await;
        match reply.status == 503 && reply.body.contains("our own scraping is at fault") {
            true => Ok(()),
            false => Err(format!("{reply:#?}")),
        }
    })
    .await;
    let answer = resolve(&service, &format!("ip={US}")).await;
    assert_eq!(ips(&answer)[0], edges[0].ip, "the nearest by the last known loads: {answer}");
}
