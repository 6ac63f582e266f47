//! What a page costs: `prometheus-parse` over the whole page against our way (select, parse, guard, read).
//!
//! `cargo bench --bench exposition`. Prints the median of seven repeats. Compare only within one run.

#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::hint::black_box;
use std::time::Instant;

use nearcast::scrape::{Focus, read};

/// Calls in one repeat, repeats in one figure.
const CALLS: u32 = 200;
const REPEATS: usize = 7;

fn main() {
    let pages: [(&str, &str); 4] = [
        ("node_exporter", include_str!("../tests/fixtures/exporters/node_exporter_full.txt")),
        (
            "node_exporter, cpu+netdev",
            include_str!("../tests/fixtures/exporters/node_exporter_cpu_netdev.txt"),
        ),
        ("process exporter", include_str!("../tests/fixtures/exporters/process_exporter.txt")),
        ("srs", include_str!("../tests/fixtures/exporters/srs_edge.txt")),
    ];
    println!("{:<26} {:>8} {:>12} {:>12} {:>7}", "page", "bytes", "crate ns", "ours ns", "ratio");
    for (name, page) in pages {
        // What a process exporter tells of everything else on the machine is not asked for.
        let processes = if name == "process exporter" { vec!["curl".into()] } else { Vec::new() };
        let focus = Focus { processes: processes.into(), ..Focus::default() };
        let whole = median(|| {
            let lines = page.lines().map(|line| Ok(line.to_owned()));
            black_box(prometheus_parse::Scrape::parse(lines).is_ok());
        });
        let ours = median(|| {
            black_box(read(black_box(page.as_bytes()), &focus).is_ok());
        });
        println!("{name:<26} {:>8} {whole:>12.0} {ours:>12.0} {:>7.1}", page.len(), whole / ours);
    }
}

/// Median nanoseconds of one call.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn median(mut call: impl FnMut()) -> f64 {
    call();
    let mut repeats: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..CALLS {
                call();
            }
            began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
        })
        .collect();
    repeats.sort_by(f64::total_cmp);
    repeats[REPEATS / 2]
}
