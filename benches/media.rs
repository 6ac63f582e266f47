//! What media servers get: the table of streams under churn, and how long hooks and coworkers wait.
//!
//! `cargo bench --bench media [-- churn] [-- latency]` (needs `taskset`; a minute). The service has one worker on core 0, the
//! media servers are on core 1.
//!
//! *churn*: 10,000 streams on two origins, then 1,000 publishes and unpublishes a second for 30 s, while each origin restarts
//! once. After each of them another origin asks for that stream: an answer that a hook has made wrong is stale, and is
//! asked for again until it is right. In the end all of it ends, twice over, and memory is compared.
//!
//! *latency*: 2,000 requests a second for 10 s, half of them hooks, half coworkers' questions; `/livez` before them, which does
//! nothing and shows what this machine makes of it.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a benchmark")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

const TOKEN: &str = "a-token-of-this-benchmark";
const ORIGINS: [&str; 2] = ["o-1", "o-2"];
const STREAMS: u64 = 10_000;
const CHURN_PER_S: u64 = 1_000;
const CHURN_S: u64 = 30;
/// When the two origins restart, s.
const RESTARTS_S: [u64; 2] = [10, 20];
const LATENCY_PER_S: u64 = 2_000;
const LATENCY_S: u64 = 10;
const CONNECTIONS: u64 = 16;

/// The service; it ends with this.
struct Service {
    child: Child,
    _folder: tempfile::TempDir,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection of a media server.
struct Connection(TcpStream);

fn main() {
    let wanted = |name| {
        let mut named = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
        named.peek().is_none() || named.any(|argument| argument == name)
    };
    let pid = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-cp", "1", &pid]).stdout(Stdio::null()).status();
    assert!(pinned.expect("taskset: apt install util-linux").success());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if wanted("latency") {
        runtime.block_on(latency());
    }
    if wanted("churn") {
        runtime.block_on(churn());
    }
}

// --- latency

/// What is asked, in turn.
#[derive(Clone, Copy)]
enum Mix {
    /// `/livez`: what this machine, this client and the way through the router take.
    Nothing,
    /// Hooks and coworkers' questions, one after the other.
    Media,
}

async fn latency() {
    let service = Service::start().await;
    let mut filling = Connection::open(service.address).await;
    for stream in 0..STREAMS {
        filling.hook("on_publish", ORIGINS[(stream % 2) as usize], 1, stream).await;
    }
    println!("| requests | count | /s | CPU each, µs | median, ms | p99 | p99.9 | longest |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for mix in [Mix::Nothing, Mix::Media] {
        let (began, cpu) = (Instant::now(), service.cpu_s());
        let times = ask_all(&service, mix).await;
        let took = began.elapsed().as_secs_f64();
        let each_us = (service.cpu_s() - cpu) * 1e6 / (LATENCY_PER_S * LATENCY_S) as f64;
        for (what, mut times) in times {
            times.sort_by(f64::total_cmp);
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
            println!(
                "| {what} | {} | {:.0} | {each_us:.0} | {:.2} | {:.2} | {:.2} | {:.2} |",
                times.len(),
                times.len() as f64 / took,
                at(0.5),
                at(0.99),
                at(0.999),
                at(1.0)
            );
        }
    }
}

/// How long each request took, ms, by what was asked.
async fn ask_all(service: &Service, mix: Mix) -> Vec<(&'static str, Vec<f64>)> {
    let began = Instant::now();
    let mut servers = JoinSet::new();
    for number in 0..CONNECTIONS {
        let address = service.address;
        servers.spawn(async move {
            let mut connection = Connection::open(address).await;
            let (mut hooks, mut others) = (Vec::new(), Vec::new());
            for turn in (number..LATENCY_PER_S * LATENCY_S).step_by(CONNECTIONS as usize) {
                sleep_until(began + Duration::from_micros(turn * 1_000_000 / LATENCY_PER_S)).await;
                let stream = turn * 7_919 % STREAMS;
                let sent = Instant::now();
                match mix {
                    Mix::Nothing => _ = connection.call("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await,
                    // A publisher that comes back: the table is changed, and stays as large as it is.
                    Mix::Media if (turn / CONNECTIONS).is_multiple_of(2) => {
                        connection.hook("on_publish", ORIGINS[(stream % 2) as usize], 1, stream).await;
                        hooks.push(sent.elapsed().as_secs_f64() * 1e3);
                        continue;
                    }
                    Mix::Media => _ = connection.origin_of(stream).await.expect("a stream that is there"),
                }
                others.push(sent.elapsed().as_secs_f64() * 1e3);
            }
            (hooks, others)
        });
    }
    let (mut hooks, mut others) = (Vec::new(), Vec::new());
    for (some, more) in servers.join_all().await {
        hooks.extend(some);
        others.extend(more);
    }
    match mix {
        Mix::Nothing => vec![("`/livez`", others)],
        Mix::Media => vec![("hooks", hooks), ("coworkers", others)],
    }
}

// --- churn

/// What the askers saw.
#[derive(Default)]
struct Seen {
    asked: AtomicU64,
    stale: AtomicU64,
    /// The longest time that an answer stayed wrong, ms.
    stale_ms: AtomicU64,
}

async fn churn() {
    let service = Service::start().await;
    let at_start = service.resident_mb();
    let mut levels = Vec::new();
    for round in 0..2 {
        fill(&service, round).await;
        let full = service.resident_mb();
        let seen = Arc::new(Seen::default());
        if round == 0 {
            let began = Instant::now();
            run_churn(&service, &seen).await;
            println!(
                "churn: {} hooks in {:.1} s, {} questions, {} stale, longest {} ms",
                CHURN_PER_S * CHURN_S,
                began.elapsed().as_secs_f64(),
                seen.asked.load(Relaxed),
                seen.stale.load(Relaxed),
                seen.stale_ms.load(Relaxed)
            );
        }
        // All of it ends by a restart of both.
        let mut connection = Connection::open(service.address).await;
        for origin in ORIGINS {
            connection.hook("on_publish", origin, 100 + round, u64::MAX).await;
            connection.hook("on_unpublish", origin, 100 + round, u64::MAX).await;
        }
        assert!(connection.total(service.admin).await == 0, "something is left in the table");
        // Memory is given back by the sweep, once a second.
        sleep(Duration::from_secs(3)).await;
        levels.push((full, service.resident_mb()));
    }
    println!("memory, MB: {at_start:.1} at the start");
    for (full, empty) in levels {
        println!("memory, MB: {full:.1} with {STREAMS} streams, {empty:.1} when all have ended");
    }
}

async fn fill(service: &Service, round: u64) {
    let mut connection = Connection::open(service.address).await;
    for stream in 0..STREAMS {
        connection.hook("on_publish", ORIGINS[(stream % 2) as usize], 10 * round + 1, stream).await;
    }
    assert_eq!(connection.total(service.admin).await, STREAMS);
}

/// Each server has streams of its own, which it ends and begins in turn, and asks for after that.
async fn run_churn(service: &Service, seen: &Arc<Seen>) {
    let began = Instant::now();
    let mut servers = JoinSet::new();
    let of_each = CONNECTIONS as usize / ORIGINS.len();
    let restarts = Arc::new(ORIGINS.map(|_| Barrier::new(of_each)));
    for number in 0..CONNECTIONS {
        let (address, seen, restarts) = (service.address, Arc::clone(seen), Arc::clone(&restarts));
        servers.spawn(async move {
            let mut connection = Connection::open(address).await;
            let origin = (number % 2) as usize;
            for turn in (number..CHURN_PER_S * CHURN_S).step_by(CONNECTIONS as usize) {
                sleep_until(began + Duration::from_micros(turn * 1_000_000 / CHURN_PER_S)).await;
                // An even number of servers: theirs are the streams of one origin, each of one server.
                let place = turn / CONNECTIONS / 2 % (STREAMS / CONNECTIONS);
                let stream = place * CONNECTIONS + number;
                let restart = RESTARTS_S[origin] * CHURN_PER_S;
                // The last word of the process before is said before the first of the next.
                if (restart..restart + CONNECTIONS).contains(&turn) {
                    restarts[origin].wait().await;
                }
                let is_restarted = turn >= restart;
                let begins = turn / CONNECTIONS % 2 == 1;
                let hook = if begins { "on_publish" } else { "on_unpublish" };
                connection.hook(hook, ORIGINS[origin], 1 + u64::from(is_restarted), stream).await;
                connection.check(stream, begins, &seen).await;
                if !begins && (restart..restart + 10 * CHURN_PER_S).contains(&turn) {
                    // One that the process before the restart had, and that nobody has begun again.
                    let other =
                        (place + STREAMS / CONNECTIONS / 2) % (STREAMS / CONNECTIONS) * CONNECTIONS + number;
                    connection.check(other, false, &seen).await;
                }
            }
        });
    }
    servers.join_all().await;
}

// --- a media server

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// A hook of the process number `process` of an origin.
    async fn hook(&mut self, hook: &str, origin: &str, process: u64, stream: u64) {
        let body = format!(
            r#"{{"server_id":"vid-{origin}","service_id":"s{process}","action":"{hook}","client_id":"c{stream}","ip":"198.51.100.1","vhost":"__defaultVhost__","app":"live","tcUrl":"rtmp://h/live","stream":"stream-{stream}","param":"","stream_url":"/live/stream-{stream}","stream_id":"vid-1"}}"#
        );
        let head = format!(
            "POST /t/{TOKEN}/{origin}/hooks/{hook} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
        );
        let answer = self.call(&format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        assert_eq!(answer, "{\"code\":0}", "{hook} of {stream} on {origin}");
    }

    /// Which origin has a stream, as one asks that has none.
    async fn origin_of(&mut self, stream: u64) -> Option<String> {
        let query = format!("vhost=__defaultVhost__&ip=127.0.0.1&app=live&stream=stream-{stream}&coworker=x");
        let head =
            format!("POST /t/{TOKEN}/o-3/api/v1/clusters?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 0");
        let answer = self.call(&format!("{head}\r\n\r\n")).await;
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["data"]["origin"]["ip"].as_str().map(str::to_owned)
    }

    /// Asks for a stream that is there or not since just now.
    async fn check(&mut self, stream: u64, is_there: bool, seen: &Seen) {
        let since = Instant::now();
        seen.asked.fetch_add(1, Relaxed);
        if self.origin_of(stream).await.is_some() == is_there {
            return;
        }
        seen.stale.fetch_add(1, Relaxed);
        while self.origin_of(stream).await.is_some() != is_there {
            assert!(since.elapsed() < Duration::from_secs(5), "stream {stream} stays as it was");
        }
        seen.stale_ms.fetch_max(since.elapsed().as_millis() as u64, Relaxed);
    }

    /// Streams in the table.
    async fn total(&self, admin: SocketAddr) -> u64 {
        let mut connection = Self::open(admin).await;
        let answer = connection.call("GET /streams?count=1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
        serde_json::from_str::<serde_json::Value>(&answer).unwrap()["total"].as_u64().unwrap()
    }

    /// One request; the body of its answer.
    async fn call(&mut self, request: &str) -> String {
        self.0.write_all(request.as_bytes()).await.unwrap();
        let (mut answer, mut chunk) = (Vec::new(), [0; 4_096]);
        loop {
            let read = self.0.read(&mut chunk).await.unwrap();
            assert_ne!(read, 0, "closed after {request}");
            answer.extend_from_slice(&chunk[..read]);
            let Ok(text) = std::str::from_utf8(&answer) else { continue };
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                assert!(head.starts_with("HTTP/1.1 200"), "{text}");
                return body.to_owned();
            }
        }
    }
}

// --- the service

impl Service {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.token"), TOKEN).unwrap();
        std::fs::write(folder.path().join("media.toml"), CONFIGURATION).unwrap();
        let mut child = Command::new("taskset")
            .args(["-c", "0", env!("CARGO_BIN_EXE_nearcast"), "serve", "--config", "media.toml"])
            .current_dir(folder.path())
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("taskset: apt install util-linux");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("player=")).expect("the service says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let field =
            |name: &str| line.split_once(name).unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
        let (address, admin) = (field("player="), field("admin="));
        sleep(Duration::from_secs(1)).await;
        Self { child, _folder: folder, address, admin }
    }

    /// CPU time so far, s.
    fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = |at: usize| fields.split(' ').nth(at).unwrap().parse::<f64>().unwrap();
        // User and system time, in hundredths.
        (ticks(11) + ticks(12)) / 100.0
    }

    fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

const CONFIGURATION: &str = r#"
streams = {}
callers = [{ token_file = "a.token", pool = "origins" }]
server = { listen = "127.0.0.1:0", admin_listen = "127.0.0.1:0", workers = 1 }
pools = [{ name = "origins" }]
domains = [{ name = "live.example.com", pool = "origins" }]
nodes = [
  { id = "o-1", pool = "origins", role = "origin", addresses = ["203.0.113.1"], media = { rtmp = 1935 } },
  { id = "o-2", pool = "origins", role = "origin", addresses = ["203.0.113.2"], media = { rtmp = 1935 } },
  { id = "o-3", pool = "origins", role = "origin", addresses = ["203.0.113.3"], media = { rtmp = 1935 } },
]
"#;
