//! What an answer by DNS costs, beside three other name servers in the same run.
//!
//! `cargo bench --bench dns [-- [--mmdb FILE] [--rounds N] [NAME …]]` (needs `taskset`, `gdnsd`, `knotd` with its module geoip,
//! `pdns_server` with its backend geoip: `apt-get install gdnsd knot knot-module-geoip pdns-server pdns-backend-geoip`; seven
//! minutes). NAMEs choose servers: `gdnsd`, `nearcast-1000`; `inside` measures what of Nearcast's time is its own, without
//! sockets, and needs none of the above.
//!
//! One server at a time on core 0, with one thread for UDP; the load on core 1: 64 queries in flight, 10,000 client
//! subnets (/24). The load does not sleep while it waits: to wake it would be the server's work, which no network makes it
//! do. What is asked by TCP goes over 64 kept connections, one query at a time each. All servers have the same
//! GeoIP database, that of the binary unless another is named, and each is checked before it is measured: addresses that
//! it should name, different ones for different clients, the client subnet with a scope.
//!
//! What counts is CPU time of the server process per query (`/proc/PID/stat`), less what it spends when nobody asks, which
//! for Nearcast is scraping. Rounds are rotated; medians are printed, and medians of the ratios within each round.
//!
//! *What is compared*: gdnsd chooses the nearest of 100 sites, from lists made at its start. Knot and `PowerDNS` have one
//! address for each country. Nearcast decides by load and books each answer, and names four addresses; the row
//! `nearcast-1000-one` names one, as the others do.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

#[path = "../support/exporter.rs"]
mod exporter;
mod inside;
mod load;
mod servers;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use load::{Load, Sample};
use servers::{Kind, Server};

const ROUNDS: usize = 3;
/// What others are compared with.
const BASES: [&str; 2] = ["gdnsd", "knot"];

/// All that was measured of a server: samples by load, one a round.
struct Row {
    name: String,
    samples: Vec<Vec<Sample>>,
    /// CPU that it takes when nobody asks, share of a core.
    idle: f64,
}

fn main() {
    let pid = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-cp", "1", &pid]).stdout(Stdio::null()).status();
    assert!(pinned.expect("taskset: apt install util-linux").success());
    let mut wanted = Vec::new();
    let mut mmdb = None;
    let mut rounds = ROUNDS;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rounds" => {
                rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).expect("--rounds NUMBER");
            }
            "--mmdb" => mmdb = arguments.next().map(PathBuf::from),
            "--bench" => {}
            name => wanted.push(name.to_owned()),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mmdb = mmdb.unwrap_or_else(|| servers::database(folder.path()));
    if wanted.iter().any(|name| name == "inside") {
        inside::measure(&mmdb);
        return;
    }
    let exporter = exporter::start();
    let kinds: Vec<Kind> =
        Kind::all().into_iter().filter(|kind| wanted.is_empty() || wanted.contains(&kind.name())).collect();
    assert!(!kinds.is_empty(), "no server has that name");
    let mut rows: Vec<Row> = kinds
        .iter()
        .map(|kind| Row { name: kind.name(), samples: vec![Vec::new(); Load::ALL.len()], idle: 0.0 })
        .collect();
    for round in 0..rounds {
        for turn in 0..kinds.len() {
            let at = (turn + round * 2) % kinds.len();
            let began = Instant::now();
            let server = Server::start(&kinds[at], &mmdb, exporter);
            load::check(&server);
            eprintln!(
                "round {} of {rounds}: {} is up after {:.1} s",
                round + 1,
                server.name,
                began.elapsed().as_secs_f64()
            );
            let idle = server.idle();
            rows[at].idle = idle;
            for (samples, load) in rows[at].samples.iter_mut().zip(Load::ALL) {
                samples.push(load.put_on(&server, idle));
            }
        }
    }
    for (at, load) in Load::ALL.into_iter().enumerate() {
        print(load, at, &rows);
    }
}

fn print(load: Load, at: usize, rows: &[Row]) {
    println!("\n{}\n", load.title());
    println!(
        "| server | CPU per query, µs | ÷ gdnsd | ÷ knot | queries/s | p50, µs | p99, µs | idle, % of a core |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for row in rows {
        let samples = &row.samples[at];
        let of = |get: fn(&Sample) -> f64| median(samples.iter().map(get).collect());
        let ratios = BASES.map(|base| {
            let Some(base) = rows.iter().find(|row| row.name == base) else { return "–".to_owned() };
            let pairs = samples.iter().zip(&base.samples[at]);
            format!("{:.2}", median(pairs.map(|(own, base)| own.cpu_us / base.cpu_us).collect()))
        });
        println!(
            "| {} | {:.2} | {} | {} | {:.0} | {:.0} | {:.0} | {:.1} |",
            row.name,
            of(|sample| sample.cpu_us),
            ratios[0],
            ratios[1],
            of(|sample| sample.per_s),
            of(|sample| sample.p50_us),
            of(|sample| sample.p99_us),
            row.idle * 100.0,
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
