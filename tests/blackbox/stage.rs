//! The stage: edges with emulated exporters, the configuration that names them, and looks at the service.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Service, TestExporter, eventually};

/// Time for a change to be seen: some scrapes, and more on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A client that the built-in database has in the United States, one in Great Britain, one in Japan.
pub(crate) const US: &str = "8.8.8.8";
pub(crate) const GB: &str = "81.2.69.1";
pub(crate) const JP: &str = "133.11.0.1";

/// A site: name, degrees north, degrees east.
pub(crate) type Pop = (&'static str, f64, f64);

pub(crate) const CHICAGO: Pop = ("chicago", 41.88, -87.63);
pub(crate) const NEW_YORK: Pop = ("newyork", 40.71, -74.01);
pub(crate) const LONDON: Pop = ("london", 51.51, -0.13);
pub(crate) const TOKYO: Pop = ("tokyo", 35.68, 139.69);

/// An edge of 1 Gbit/s with one exporter that shows everything.
pub(crate) struct Edge {
    pub(crate) id: String,
    pub(crate) ip: String,
    pub(crate) exporter: TestExporter,
    pub(crate) mbps: u32,
    pool: &'static str,
    pop: Pop,
}

// === impl Edge ===

impl Edge {
    /// Edge number `number` of the pool `edges`.
    pub(crate) async fn start(number: usize, pop: Pop) -> Self {
        Self::start_in("edges", number, pop).await
    }

    /// The same of another pool; numbers are unique in the fleet.
    pub(crate) async fn start_in(pool: &'static str, number: usize, pop: Pop) -> Self {
        let (id, ip) = (format!("{}-{number}", pop.0), format!("203.0.113.{number}"));
        Self { id, ip, exporter: TestExporter::start().await, mbps: 1_000, pool, pop }
    }

    /// One of each of these sites, numbered from 1.
    pub(crate) async fn start_each(pops: &[Pop]) -> Vec<Self> {
        let mut edges = Vec::new();
        for (number, pop) in (1..).zip(pops) {
            edges.push(Self::start(number, *pop).await);
        }
        edges
    }

    /// Its `[[nodes]]`.
    pub(crate) fn toml(&self) -> String {
        self.toml_with_exporter(&self.exporter.url())
    }

    /// The same with another edge's exporter: nodes whose own load does not matter may share one.
    pub(crate) fn toml_with_exporter(&self, url: &str) -> String {
        let Self { id, ip, mbps, pool, pop: (pop, latitude, longitude), .. } = self;
        format!(
            "[[nodes]]\nid = \"{id}\"\npool = \"{pool}\"\npop = \"{pop}\"\naddresses = [\"{ip}\"]\n\
             location = {{ latitude = {latitude}, longitude = {longitude} }}\nbandwidth = \"{mbps}Mbps\"\n\
             exporters = [\"{url}\"]\nprocesses = [\"srs\"]\n\n"
        )
    }
}

/// `[scrape]` with this interval, ms.
pub(crate) fn scrape_each(interval_ms: u32) -> String {
    format!("[scrape]\ninterval = \"{interval_ms}ms\"\n\n")
}

/// A pool `edges` behind `live.example.com` by the policy `nearest`, and these edges.
pub(crate) fn live(head: &str, edges: &[Edge]) -> String {
    let mut config = format!(
        "{head}[[pools]]\nname = \"edges\"\n\n[[domains]]\nname = \"live.example.com\"\npool = \"edges\"\n\
         policy = \"nearest\"\n\n"
    );
    for edge in edges {
        write!(config, "{}", edge.toml()).unwrap();
    }
    config
}

/// Starts the service and waits until every edge has been scraped twice, ready or not: readiness takes a third
/// scrape, for which a test with a long interval would wait long.
pub(crate) async fn start_scraped_twice(config: &str, edges: &[Edge]) -> Service {
    let service = Service::launch(config).await;
    for edge in edges {
        until_node(&service, &edge.id, "is measured", |node| node["state"] != "starting").await;
    }
    service
}

/// The answer to a viewer of `live.example.com`; `query` is the rest of the query. Always a 200.
pub(crate) async fn resolve(service: &Service, query: &str) -> Value {
    let reply = service.get(&format!("/resolve?domain=live.example.com&{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {reply:#?}");
    let answer = reply.json();
    assert!(!ips(&answer).is_empty(), "an empty answer with 200: {answer}");
    answer
}

/// The IPv4 addresses of an answer.
pub(crate) fn ips(answer: &Value) -> Vec<&str> {
    let ips = answer["ips"].as_array().unwrap_or_else(|| panic!("no `ips` in {answer}"));
    ips.iter().map(|ip| ip.as_str().unwrap()).collect()
}

/// A node as `/nodes/{id}` shows it.
pub(crate) async fn node(service: &Service, id: &str) -> Value {
    let reply = service.admin(&format!("/nodes/{id}")).await;
    assert_eq!(reply.status, 200, "a configured node vanished: {id}: {reply:#?}");
    reply.json()
}

/// Looks at a node until it is as wanted, and returns it so.
pub(crate) async fn until_node(
    service: &Service,
    id: &str,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    eventually(&format!("{id} {what}"), PATIENCE, || async {
        let node = node(service, id).await;
        if wanted(&node) { Ok(node) } else { Err(format!("{node:#}")) }
    })
    .await
}

/// Asks until the answer is as wanted, and returns it.
pub(crate) async fn until_answer(
    service: &Service,
    query: &str,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    eventually(what, PATIENCE, || async {
        let answer = resolve(service, query).await;
        if wanted(&answer) { Ok(answer) } else { Err(format!("{answer:#}")) }
    })
    .await
}

/// What a resource of a node shows as its load.
pub(crate) fn load(node: &Value, resource: &str) -> Option<f64> {
    let resources = node["resources"].as_array()?;
    resources.iter().find(|one| one["resource"] == resource)?["load"].as_f64()
}

/// Whether one of a node's reasons holds all of these words.
pub(crate) fn says(node: &Value, words: &[&str]) -> bool {
    let reasons = node["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
    reasons.into_iter().any(|reason| words.iter().all(|word| reason.contains(word)))
}
