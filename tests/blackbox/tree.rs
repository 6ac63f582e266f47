//! A tree of three layers: 200 edges, a layer between, origins; 5,000 streams. Each node asks from its own address.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Client;
use serde_json::json;
use tokio::time::Instant;

use super::stage::{PATIENCE, scrape_each, until_node};
use super::support::{Service, TestExporter, eventually};

const EDGES: usize = 200;
const MIDDLES: usize = 20;
const ORIGINS: usize = 4;
const STREAMS: usize = 5_000;
/// Edges on which each stream is watched.
const WATCHED_ON: usize = 3;

fn edge(number: usize) -> String {
    format!("127.0.1.{}", number + 1)
}

fn middle(number: usize) -> String {
    format!("127.0.2.{}", number + 1)
}

fn origin(number: usize) -> String {
    format!("127.0.3.{}", number + 1)
}

/// `middle-0` has an exporter, by which it can die.
fn config(exporter: &str) -> String {
    let mut config = format!(
        "{}[streams]\npoll_interval = \"10m\"\n[[pools]]\nname = \"edges\"\nupstream = \"middle\"\n\
         [[pools]]\nname = \"middle\"\n[[pools]]\nname = \"origins\"\n\
         [[domains]]\nname = \"live.example.com\"\npool = \"edges\"\norigins = \"origins\"\n",
        scrape_each(500)
    );
    let mut node = |pool: &str, number: usize, address: String, more: &str| {
        write!(
            config,
            "[[nodes]]\nid = \"{pool}-{number}\"\npool = \"{pool}\"\npop = \"here\"\naddresses = [\"{address}\"]\n\
             media = {{ http = 8080 }}\n{more}\n"
        )
        .unwrap();
    };
    (0..EDGES).for_each(|number| node("edges", number, edge(number), ""));
    for number in 0..MIDDLES {
        let exporter = if number == 0 { format!("exporters = [\"{exporter}\"]") } else { String::new() };
        node("middle", number, middle(number), &exporter);
    }
    (0..ORIGINS).for_each(|number| node("origins", number, origin(number), "role = \"origin\""));
    config
}

fn at(address: &str) -> Client {
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.local_address(Some(address.parse().unwrap())).build().unwrap()
}

/// Where a node is told to pull a stream from: the host of `Location`.
async fn told(service: &Service, client: &Client, stream: usize) -> String {
    let url = service.player_url(&format!("/live/s{stream}.flv"));
    let reply = client.get(url).send().await.unwrap();
    assert_eq!(reply.status(), 302, "stream {stream}");
    let location = reply.headers()["location"].to_str().unwrap();
    let rest = location.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once(":8080").unwrap();
    assert_eq!(path, format!("/live/s{stream}.flv"));
    host.to_owned()
}

/// The edges on which a stream is watched.
fn watched_on(stream: usize) -> BTreeSet<usize> {
    (0..WATCHED_ON).map(|turn| (stream * 31 + turn * turn * 47 + 7 * turn) % EDGES).collect()
}

/// Runs `ask` for each of `count` nodes, a few at a time; what they answer, in order.
async fn each<T: Send + 'static, F>(count: usize, ask: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let mut answers = Vec::new();
    for first in (0..count).step_by(25) {
        let tasks: Vec<_> = (first..count.min(first + 25)).map(|number| tokio::spawn(ask(number))).collect();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
    }
    answers
}

async fn publish_all(service: &Arc<Service>) {
    each(ORIGINS, |number| {
        let service = Arc::clone(service);
        async move {
            let client = at(&origin(number));
            for stream in (number..STREAMS).step_by(ORIGINS) {
                let body = json!({
                    "server_id": format!("vid-{number}"), "service_id": "s", "action": "on_publish",
                    "client_id": stream.to_string(), "ip": "198.51.100.1", "vhost": "__defaultVhost__",
                    "app": "live", "stream": format!("s{stream}"),
                });
                let asked = client.post(service.player_url("/hooks/on_publish")).body(body.to_string());
                assert_eq!(asked.send().await.unwrap().text().await.unwrap(), "{\"code\":0}");
            }
        }
    })
    .await;
}

/// Streams are spread by a sweep each second, so one that was just published may move: waits until some sweeps have
/// changed nothing.
async fn until_spread(service: &Service) {
    let client = at(&edge(0));
    let last = Mutex::new((Vec::new(), Instant::now()));
    eventually("the streams are spread", PATIENCE, || async {
        let mut hosts = Vec::new();
        for stream in (0..STREAMS).step_by(10) {
            hosts.push(told(service, &client, stream).await);
        }
        let mut last = last.lock().unwrap();
        if last.0 != hosts {
            *last = (hosts, Instant::now());
        }
        let settled = last.1.elapsed();
        if settled > Duration::from_millis(2_500) { Ok(()) } else { Err(format!("the same for {settled:?}")) }
    })
    .await;
}

/// What every edge is told of its streams: stream → the hosts named, and how many edges asked.
async fn pulls_of_edges(service: &Arc<Service>) -> Vec<(BTreeSet<String>, usize)> {
    let answers = each(EDGES, |number| {
        let service = Arc::clone(service);
        async move {
            let client = at(&edge(number));
            let mut answers = Vec::new();
            for stream in (0..STREAMS).filter(|stream| watched_on(*stream).contains(&number)) {
                answers.push((stream, told(&service, &client, stream).await));
            }
            answers
        }
    })
    .await;
    let mut pulls = vec![(BTreeSet::new(), 0); STREAMS];
    for (stream, host) in answers.into_iter().flatten() {
        pulls[stream].0.insert(host);
        pulls[stream].1 += 1;
    }
    pulls
}

#[tokio::test]
async fn each_stream_is_pulled_once_by_each_layer_and_when_an_upstream_dies_only_its_share_moves() {
    let mut exporter = TestExporter::start().await;
    let service = Arc::new(Service::launch(&config(&exporter.url())).await);
    until_node(&service, "middle-0", "is measured", |node| node["state"] == "healthy").await;
    publish_all(&service).await;
    until_spread(&service).await;

    // One host for all edges of a stream; each layer between is asked for its own streams in turn.
    let before = pulls_of_edges(&service).await;
    let asked: usize = before.iter().map(|(_, edges)| edges).sum();
    let mut of_middle: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (stream, (hosts, _)) in before.iter().enumerate() {
        assert_eq!(hosts.len(), 1, "stream {stream} is pulled from {hosts:?}");
        of_middle.entry(hosts.first().unwrap().clone()).or_default().push(stream);
    }
    let loads: Vec<usize> = of_middle.values().map(Vec::len).collect();
    let fair = STREAMS / MIDDLES;
    println!(
        "{asked} pulls of {EDGES} edges: each of {STREAMS} streams from one of {} nodes, {} to {} each, fair {fair}",
        loads.len(),
        loads.iter().min().unwrap(),
        loads.iter().max().unwrap()
    );
    assert_eq!(loads.len(), MIDDLES);
    let of_middle = Arc::new(of_middle);
    let origins = each(MIDDLES, |number| {
        let (service, of_middle) = (Arc::clone(&service), Arc::clone(&of_middle));
        async move {
            let address = middle(number);
            let client = at(&address);
            let mut pulled = Vec::new();
            for stream in &of_middle[&address] {
                pulled.push((*stream, told(&service, &client, *stream).await));
            }
            pulled
        }
    })
    .await;
    let pulled: BTreeMap<usize, String> = origins.iter().flatten().cloned().collect();
    assert_eq!((pulled.len(), origins.iter().flatten().count()), (STREAMS, STREAMS), "once per stream");
    assert!(pulled.iter().all(|(stream, host)| *host == origin(stream % ORIGINS)), "where it is published");

    exporter.refuse().await;
    until_node(&service, "middle-0", "is down", |node| node["state"] == "down").await;
    let after = pulls_of_edges(&service).await;
    let dead = middle(0);
    let (mut moved, mut others, mut takers) = (0, 0, BTreeSet::new());
    for (stream, (before, after)) in before.iter().zip(&after).enumerate() {
        assert_eq!(after.0.len(), 1, "stream {stream} is pulled from {:?}", after.0);
        assert!(!after.0.contains(&dead), "stream {stream} is pulled from who is down");
        if before.0 != after.0 {
            moved += 1;
            others += usize::from(!before.0.contains(&dead));
            takers.extend(after.0.iter().cloned());
        }
    }
    println!(
        "{dead} dies: {moved} streams move ({others} of others), to {} nodes; 1.2 × fair is {}",
        takers.len(),
        fair * 6 / 5
    );
    assert!(moved <= fair * 6 / 5, "{moved}");
    assert!(others <= fair / 20 && takers.len() > MIDDLES / 2, "{others} of others, {} takers", takers.len());
}
