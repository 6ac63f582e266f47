//! What an answer by DNS costs, beside gdnsd, Knot DNS and `PowerDNS` in the same run.
//!
//! `cargo bench --bench dns [-- udp] [-- tcp]` (needs `taskset`; for the others `apt-get install gdnsd knot
//! knot-module-geoip pdns-server pdns-backend-geoip`). One server at a time is asked, all of them are on core 0 with one
//! thread for UDP, the load is on core 1: 64 questions in flight, each with one of 10,000 client subnets (/24) from all over
//! the world. All of them read the built-in country database. gdnsd looks up one of six ordered lists that it has made at
//! its start, Knot and `PowerDNS` a record by country; the service decides, books and names two nodes.
//!
//! What counts is CPU time for each question, by UDP of all threads of the others, of the threads that answer DNS here (the
//! service scrapes beside that), by TCP of whole processes. Each is asked for the same in turn, several times over; medians, and the median of
//! the ratios within a round.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

#[path = "dns/load.rs"]
mod load;
#[path = "dns/servers.rs"]
mod servers;

use std::time::Duration;

use self::load::Asked;
use self::servers::Server;

const ROUNDS: usize = 5;
const WINDOW: Duration = Duration::from_secs(2);
/// Nodes that the service chooses among.
const NODES: [usize; 3] = [100, 1_000, 10_000];

fn main() {
    let wanted = |name| {
        let mut named = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
        named.peek().is_none() || named.any(|argument| argument == name)
    };
    let folder = tempfile::tempdir().unwrap();
    let mut all =
        vec![servers::gdnsd(folder.path()), servers::knot(folder.path()), servers::powerdns(folder.path())];
    all.extend(NODES.map(|nodes| servers::nearcast(folder.path(), nodes)));
    for server in &all {
        load::check(server);
    }
    load::stay_on_core_1();
    if wanted("udp") {
        rounds("UDP", &all, load::by_udp);
    }
    if wanted("tcp") {
        rounds("TCP", &all, load::by_tcp);
    }
}

fn rounds(way: &str, servers: &[Server], ask: fn(&Server, Duration) -> Asked) {
    let mut measured: Vec<Vec<Asked>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..=ROUNDS {
        for (row, server) in measured.iter_mut().zip(servers) {
            let asked = ask(server, WINDOW);
            // The first round warms caches up.
            if round > 0 {
                row.push(asked);
            }
        }
    }
    println!(
        "\n| {way} | CPU µs a question (lowest, highest) | ÷ gdnsd | ÷ Knot | questions/s | p50 / p99 µs |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    for (server, row) in servers.iter().zip(&measured) {
        let ratio = |to: usize| median(row.iter().zip(&measured[to]).map(|(a, b)| a.cpu_us / b.cpu_us));
        let cpu: Vec<f64> = row.iter().map(|asked| asked.cpu_us).collect();
        println!(
            "| {} | {:.2} ({:.2}, {:.2}) | {:.2} | {:.2} | {:.0} | {:.0} / {:.0} |",
            server.name,
            median(cpu.iter().copied()),
            cpu.iter().copied().fold(f64::INFINITY, f64::min),
            cpu.iter().copied().fold(0.0, f64::max),
            ratio(0),
            ratio(1),
            median(row.iter().map(|asked| asked.per_s)),
            median(row.iter().map(|asked| asked.p50_us)),
            median(row.iter().map(|asked| asked.p99_us)),
        );
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
