//! What `/resolve` costs over HTTP, beside a bare axum handler in the same run.
//!
//! `cargo bench --bench resolve` (needs `wrk` and `taskset`). One server at a time on core 0, the load on core 1:
//! `wrk -t1 -c64`, keep-alive, 10,000 random client addresses in `X-Forwarded-For`. The service knows 1,000 nodes in
//! 82 PoPs and scrapes an emulated exporter for each. What counts is CPU time of the server process per request
//! (`/proc/PID/stat`): on a noisy machine it is steadier than requests per second. Rounds alternate; medians and the
//! median of the pairwise ratios are printed, and the service's resident memory.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::zombie_processes,
    reason = "a benchmark"
)]

#[path = "support/exporter.rs"]
mod exporter;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ROUNDS: usize = 5;
const SECONDS: u32 = 4;
const NODES: usize = 1_000;
const POPS: usize = 82;
/// Answer of the bare handler: as long as an answer of the service.
const STATIC: &str = r#"{"domain":"live.example.com","ips":["10.0.0.1","10.0.1.1","10.0.2.1"],"ips_v6":[],"ttl":10,"client_ip":"198.51.100.23","reason":"nearest","degraded":false}"#;

/// A server process that is killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "--bare") {
        bare();
        return;
    }
    let folder = std::env::temp_dir().join(format!("nearcast-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = folder.join("clients.lua");
    std::fs::write(&script, wrk_script()).unwrap();
    let exporter = exporter::start();
    let config = folder.join("bench.toml");
    std::fs::write(&config, configuration(exporter)).unwrap();

    let bare = spawn(Command::new(std::env::current_exe().unwrap()).arg("--bare"), "bare ");
    let service = spawn(
        Command::new(env!("CARGO_BIN_EXE_nearcast")).args(["serve", "--config"]).arg(&config),
        "player=",
    );
    wait_until_ready(&service);
    let mut rows: [Vec<(f64, f64)>; 2] = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (row, server) in rows.iter_mut().zip([&bare, &service]) {
            let measured = load(server, &script);
            // The first round warms up: lists of near PoPs are made when first asked for.
            if round > 0 {
                row.push(measured);
            }
        }
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let cpu = |row: &[(f64, f64)]| median(row.iter().map(|(cpu, _)| *cpu).collect());
    let rate = |row: &[(f64, f64)]| median(row.iter().map(|(_, rate)| *rate).collect());
    let ratio = median(rows[0].iter().zip(&rows[1]).map(|(bare, service)| service.0 / bare.0).collect());
    println!("| server | CPU per request, us | requests/s | ratio of CPU |");
    println!("|---|--:|--:|--:|");
    println!("| bare axum, static JSON | {:.2} | {:.0} | 1 |", cpu(&rows[0]), rate(&rows[0]));
    println!("| /resolve, {NODES} nodes | {:.2} | {:.0} | {ratio:.2} |", cpu(&rows[1]), rate(&rows[1]));
    println!("resident memory of the service: {:.1} MB", resident_mb(service.child.id()));
    let _ = std::fs::remove_dir_all(folder);
}

/// The baseline: one route, one static answer.
fn bare() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = || async { ([("content-type", "application/json")], STATIC) };
        let router = axum::Router::new().route("/resolve", axum::routing::get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("bare {}", listener.local_addr().unwrap());
        // `axum::serve` comes with a feature that the product does not use: the same loop by hand.
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
}

/// Starts a server on core 0 and reads its address from the line that begins with (or holds) `mark`.
fn spawn(command: &mut Command, mark: &str) -> Server {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", "0"]).arg(command.get_program()).args(command.get_args());
    let mut child = pinned
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("taskset: apt install util-linux");
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (sender, lines) = std::sync::mpsc::channel();
    for stream in [Box::new(out) as Box<dyn Read + Send>, Box::new(err)] {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    loop {
        let line = lines.recv_timeout(Duration::from_secs(20)).expect("the server says where it listens");
        if let Some(at) = line.find(mark) {
            let address = line[at + mark.len()..].split_whitespace().next().unwrap().parse().unwrap();
            return Server { child, address };
        }
    }
}

/// CPU per request in µs, and requests per second.
fn load(server: &Server, script: &std::path::Path) -> (f64, f64) {
    let before = cpu_us(server.child.id());
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", "-c64", &format!("-d{SECONDS}s"), "-s"])
        .arg(script)
        .arg(format!("http://{}/resolve?domain=live.example.com", server.address))
        .output()
        .expect("wrk: apt install wrk");
    let spent = cpu_us(server.child.id()) - before;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("Non-2xx"), "every answer must be 200:\n{text}");
    let requests: f64 = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())
        .unwrap_or_else(|| panic!("wrk did not say how many requests it made:\n{text}"));
    (spent / requests, requests / f64::from(SECONDS))
}

/// User and system time of a process, µs.
fn cpu_us(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = after_name[11].parse::<f64>().unwrap() + after_name[12].parse::<f64>().unwrap();
    ticks * 10_000.0
}

fn resident_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn wait_until_ready(server: &Server) {
    for _ in 0..300 {
        if let Ok(mut stream) = std::net::TcpStream::connect(server.address) {
            let _ = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            if answer.starts_with("HTTP/1.1 200") {
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the service did not become ready");
}

/// 10,000 requests, made before the load begins.
fn wrk_script() -> String {
    "local requests = {}\nmath.randomseed(1)\nfor i = 1, 10000 do\n  local ip = math.random(1, 223) .. '.' .. \
     math.random(0, 255) .. '.' .. math.random(0, 255) .. '.' .. math.random(1, 254)\n  requests[i] = \
     wrk.format('GET', '/resolve?domain=live.example.com', { ['X-Forwarded-For'] = ip })\nend\nlocal at = 0\n\
     request = function()\n  at = at % 10000 + 1\n  return requests[at]\nend\n"
        .to_owned()
}

/// 1,000 nodes in 82 PoPs, spread over the inhabited latitudes by a low-discrepancy walk.
fn configuration(exporter: SocketAddr) -> String {
    let mut text = String::from(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\n[scrape]\ninterval = \"10s\"\n\
         [[pools]]\nname = \"edges\"\n[[domains]]\nname = \"live.example.com\"\npool = \"edges\"\n",
    );
    for i in 0..NODES {
        let pop = i % POPS;
        let latitude = -40.0 + (pop as f64 * 0.618_034).fract() * 100.0;
        let longitude = -180.0 + (pop as f64 * 0.754_878).fract() * 360.0;
        let _ = write!(
            text,
            "[[nodes]]\nid = \"e{i:04}\"\npool = \"edges\"\npop = \"p{pop:02}\"\naddresses = [\"10.0.{}.{}\"]\n\
             location = {{ latitude = {latitude:.4}, longitude = {longitude:.4} }}\nbandwidth = \"400Gbps\"\n\
             exporters = [\"http://{exporter}/{i}\"]\n",
            i / 250,
            i % 250 + 1,
        );
    }
    text
}
