//! A crowd of which half is sick: 500 targets, 150 that hang, 50 without an end, 50 with garbage. The 250 others keep
//! their interval, and each sick one says what ails it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::stage::PATIENCE;
use super::support::{Service, eventually};

/// Also the deadline of a scrape.
const INTERVAL: Duration = Duration::from_secs(1);

/// Scrapes under way at once: by far too few for 150 that hold their places for an interval each.
const CONCURRENCY: usize = 48;

/// Until each that hangs has been found out: 150 deadlines, three quarters of the places, and as much again.
const FINDING_OUT: Duration = Duration::from_secs(8);

/// How long the crowd is watched after that.
const WATCHED: Duration = Duration::from_secs(12);

/// What ails a target, how many have it, and how their scrapes fail.
const KINDS: [(Kind, usize, Option<&str>); 4] = [
    (Kind::Well, 250, None),
    (Kind::Hangs, 150, Some("timeout")),
    (Kind::Endless, 50, Some("too_large")),
    (Kind::Garbage, 50, Some("parse")),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Well,
    Hangs,
    Endless,
    Garbage,
}

/// A target: its place in the crowd, which is its path.
type Id = (Kind, usize);

/// One server for all of them.
struct Crowd {
    addr: SocketAddr,
    /// When each was asked.
    asked: Arc<Mutex<HashMap<Id, Vec<Instant>>>>,
    server: JoinHandle<()>,
}

// === impl Crowd ===

impl Crowd {
    async fn gather() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::default();
        let notes = Arc::clone(&asked);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let notes = Arc::clone(&notes);
                // An error is a client that has had enough, which is its right.
                tokio::spawn(async move { answer(stream, &notes).await.unwrap_or(()) });
            }
        });
        Self { addr, asked, server }
    }

    fn config(&self) -> String {
        let mut config = format!(
            "[scrape]\ninterval = \"1s\"\nbody_limit = \"256KiB\"\nconcurrency = {CONCURRENCY}\n\
             [[pools]]\nname = \"edges\"\n[[domains]]\nname = \"live.example.com\"\npool = \"edges\"\n"
        );
        for (number, (kind, nth)) in ids().enumerate() {
            let (net, host) = (number / 250, number % 250 + 1);
            write!(
                config,
                "[[nodes]]\nid = \"{kind:?}-{nth}\"\npool = \"edges\"\naddresses = [\"198.51.{net}.{host}\"]\n\
                 location = {{ latitude = 1, longitude = 2 }}\nbandwidth = \"1Gbps\"\n\
                 exporters = [\"http://{}/{kind:?}/{nth}\"]\n",
                self.addr
            )
            .unwrap();
        }
        config
    }

    /// By how much scrapes of sound targets came later than an interval after the one before, from `since` on: p50, p99
    /// and the most.
    fn delays_ms(&self, since: Instant) -> [u128; 3] {
        let asked = self.asked.lock().unwrap();
        let well = asked.iter().filter(|((kind, _), _)| *kind == Kind::Well);
        let pairs = well.flat_map(|(_, times)| times.windows(2)).filter(|pair| pair[1] >= since);
        let gaps = pairs.map(|pair| pair[1] - pair[0]);
        let mut delays: Vec<u128> = gaps.map(|gap| gap.saturating_sub(INTERVAL).as_millis()).collect();
        delays.sort_unstable();
        [0.5, 0.99, 1.0].map(|share| delays[((delays.len() - 1) as f64 * share) as usize])
    }

    fn times_asked(&self, id: Id, since: Instant) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.get(&id).map_or(0, |times| times.iter().filter(|time| **time >= since).count())
    }

    /// Scrapes of a kind.
    fn counts(&self, of: Kind) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|((kind, _), _)| *kind == of).map(|(_, times)| times.len()).sum()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn ids() -> impl Iterator<Item = Id> {
    KINDS.iter().flat_map(|(kind, count, _)| (0..*count).map(|nth| (*kind, nth)))
}

/// Reads a request and answers it as its path says.
async fn answer(stream: TcpStream, asked: &Mutex<HashMap<Id, Vec<Instant>>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await? > 0 {}
    let path = head.split(' ').nth(1).unwrap_or_default();
    let Some(id) = ids().find(|(kind, nth)| path == format!("/{kind:?}/{nth}")) else { return Ok(()) };
    asked.lock().unwrap().entry(id).or_default().push(Instant::now());
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    match id.0 {
        Kind::Hangs => std::future::pending().await,
        Kind::Garbage => stream.write_all(&[head, &b"<html>not here</html>\n"[..]].concat()).await?,
        Kind::Well => {
            let cpu_s = asked.lock().unwrap()[&id].len();
            let page = format!("process_cpu_seconds_total 0.{cpu_s:03}\n");
            stream.write_all(&[head, page.as_bytes()].concat()).await?;
        }
        Kind::Endless => {
            stream.write_all(head).await?;
            loop {
                stream.write_all(&b"endless_total 1\n".repeat(512)).await?;
            }
        }
    }
    stream.shutdown().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_targets_keep_their_interval_while_half_of_the_crowd_is_sick() {
    let crowd = Crowd::gather().await;
    let began = Instant::now();
    let service = Service::launch(&crowd.config()).await;
    tokio::time::sleep(FINDING_OUT).await;
    let since = Instant::now();
    tokio::time::sleep(WATCHED).await;
    let counts = KINDS.map(|(kind, count, _)| format!("{kind:?} {count}: {}", crowd.counts(kind)));
    println!("scrapes by kind in {} s: {}", began.elapsed().as_secs(), counts.join(", "));
    for (from, what) in [(began, "from the start"), (since, "once they are found out")] {
        let [p50, p99, most] = crowd.delays_ms(from);
        println!("delay of sound targets {what}: p50 {p50} ms, p99 {p99} ms, most {most} ms");
    }
    let [_, p99, _] = crowd.delays_ms(since);
    assert!(p99 <= INTERVAL.as_millis(), "the sick hold up the sound: {p99} ms");
    let well = ids().filter(|(kind, _)| *kind == Kind::Well);
    let fewest = well.map(|id| crowd.times_asked(id, since)).min().unwrap();
    assert!(fewest as u64 >= WATCHED.as_secs() * 3 / 4, "a sound target was asked {fewest} times");
    eventually("each target says how it fares", PATIENCE, || says_how_it_fares(&service)).await;
    let page = service.admin("/metrics").await.body;
    for (kind, _, label) in KINDS {
        let line = format!("nearcast_scrape_failures_total{{node=\"{kind:?}-7\",reason=\"");
        let reasons: Vec<&str> =
            page.lines().filter_map(|line_found| line_found.strip_prefix(&line)?.split('"').next()).collect();
        assert_eq!(reasons, Vec::from_iter(label), "{kind:?} on /metrics");
    }
}

async fn says_how_it_fares(service: &Service) -> Result<(), String> {
    let listing = service.admin("/nodes").await.json();
    let nodes: HashMap<&str, &Value> = listing["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    for (kind, count, label) in KINDS {
        for nth in 0..count {
            let node = nodes[format!("{kind:?}-{nth}").as_str()];
            if node["targets"][0]["error_label"].as_str() != label {
                return Err(format!("{node:#}"));
            }
        }
    }
    Ok(())
}
