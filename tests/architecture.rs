//! The law of imports, checked: fronts ask, the core decides, feeders tell it what is true.
//!
//! Walks `src/` and fails on any module that imports what its row in [`LAW`] does not grant, on a pure core
//! that reaches for the outside world, on a clock read outside `clock.rs`, and on a file that breaks the form
//! (`mod.rs`, over 600 lines, no `//!` at its head). The rules are functions of (path, text), so the tests
//! below show that each of them can fail.

#![expect(clippy::unwrap_used, reason = "a broken checkout should stop this test at once")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

#[path = "support/source.rs"]
mod source;

use source::Named;

/// Longest file, lines.
const FILE_LINES_MAX: usize = 600;

/// What a module may import of ours, besides itself.
enum Grant {
    /// These modules.
    Only(&'static [&'static str]),
    /// Anything except these: for the wiring and what stands above it.
    AllBut(&'static [&'static str]),
}

/// Who may import whom, and why so. A module without a row is refused, so that its place is decided on purpose.
const LAW: &[(&str, Grant, &str)] = &[
    ("schedule", Grant::Only(&[]), "the core is pure: everything it needs comes in as an argument"),
    ("exposition", Grant::Only(&[]), "the page reader is pure: text in, samples out"),
    ("clock", Grant::Only(&["schedule"]), "the clock gives moments and knows nothing else"),
    ("sockets", Grant::Only(&[]), "sockets are come by alike, whoever listens"),
    ("config", Grant::Only(&["schedule"]), "a configuration is checked by itself, without opening anything"),
    (
        "telemetry",
        Grant::Only(&["schedule", "config", "clock", "state", "resolver", "geo"]),
        "metrics count in the house's own words (reasons, precisions, node views), and ask nobody by themselves",
    ),
    (
        "state",
        Grant::Only(&["schedule", "config", "clock", "telemetry"]),
        "shared state joins tasks, not modules",
    ),
    ("geo", FEEDER, FEEDER_WHY),
    ("discovery", FEEDER, FEEDER_WHY),
    ("rebalance", FEEDER, FEEDER_WHY),
    ("scrape", FEEDER, FEEDER_WHY),
    ("streams", FEEDER, FEEDER_WHY),
    (
        "resolver",
        Grant::Only(&["geo", "state", "schedule", "config", "clock", "telemetry"]),
        "the one door knows the core, the state and where clients are, but no wire format",
    ),
    ("http", FRONT, FRONT_WHY),
    ("dns", FRONT, FRONT_WHY),
    ("app", Grant::AllBut(&["cli", "main"]), "the wiring joins all parts but not the command line above it"),
    (
        "top",
        Grant::Only(&[]),
        "a guest: it asks a running service as anybody may, and needs nothing of the house",
    ),
    ("order", Grant::Only(&[]), "a guest, too: it gives orders as anybody may"),
    ("demo", Grant::AllBut(&["cli", "main"]), "the tour stands on the wiring"),
    (
        "simulate",
        Grant::Only(&["schedule", "config", "app"]),
        "virtual time runs the core, no feeder and no front",
    ),
    (
        "fuzzing",
        Grant::AllBut(&["app", "cli", "demo", "main", "simulate"]),
        "fuzzers reach each room's readers, and need no running house for that",
    ),
    ("cli", Grant::AllBut(&["main"]), "arguments choose among everything"),
    ("main", Grant::AllBut(&[]), "the way in"),
    ("lib", Grant::AllBut(&[]), "the list of modules"),
];

const FEEDER: Grant = Grant::Only(&["schedule", "exposition", "state", "config", "clock", "telemetry"]);
const FEEDER_WHY: &str = "feeders tell the core what is true; they know no front and not each other";
const FRONT: Grant =
    Grant::Only(&["resolver", "state", "schedule", "config", "clock", "sockets", "telemetry"]);
const FRONT_WHY: &str = "fronts ask through the resolver; what feeders know reaches them by way of the state";

/// Modules that the pure core consists of.
const PURE: &[&str] = &["schedule", "exposition"];

/// Crates a pure module may name: plain data and plain algorithms.
const PURE_CRATES: &[&str] = &[
    "arrayvec",
    "foldhash",
    "ipnet",
    "itoa",
    "memchr",
    "prometheus_parse",
    "serde",
    "smallvec",
    "thiserror",
];

/// Crates that are often reached for and are refused to the pure core even before they are in `Cargo.toml`.
const IMPURE_CRATES: &[&str] =
    &["crossbeam", "fastrand", "getrandom", "hickory_proto", "hickory_server", "parking_lot", "rand"];

/// Parts of the standard library that a pure module may not name.
const IMPURE_STD: &[&str] = &[
    "std::collections::hash_map::RandomState",
    "std::env",
    "std::fs",
    "std::hash::RandomState",
    "std::io",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::sync::Barrier",
    "std::sync::Condvar",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::mpsc",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
];

/// Ways to read a clock; `clock.rs` alone may.
const CLOCKS: &[&str] =
    &["std::time::Instant::now", "std::time::SystemTime::now", "jiff::Timestamp::now", "jiff::Zoned::now"];

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: String,
    line: usize,
    rule: String,
    why: &'static str,
}

// === impl Violation ===

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} ({})", self.file, self.line, self.rule, self.why)
    }
}

/// Everything that one source text breaks. `whole_file_is_test`: it is declared under `#[cfg(test)]`.
fn violations(path: &str, text: &str, whole_file_is_test: bool) -> Vec<Violation> {
    let mut broken = Broken { file: path, found: Vec::new() };
    check_form(path, text, whole_file_is_test, &mut broken);
    let module = source::module_of(path);
    let top = module.get(1).map_or(if path == "src/main.rs" { "main" } else { "lib" }, String::as_str);
    let crates = crates();
    for named in source::read(path, text).named {
        let in_test = named.in_test || whole_file_is_test;
        check_modules(top, &named, &mut broken);
        if !in_test {
            check_clock(top, &named, &mut broken);
            check_purity(top, &named, &crates, &mut broken);
        }
    }
    broken.found
}

struct Broken<'a> {
    file: &'a str,
    found: Vec<Violation>,
}

// === impl Broken ===

impl Broken<'_> {
    fn add(&mut self, line: usize, rule: String, why: &'static str) {
        let violation = Violation { file: self.file.to_owned(), line, rule, why };
        if !self.found.contains(&violation) {
            self.found.push(violation);
        }
    }
}

fn check_form(path: &str, text: &str, whole_file_is_test: bool, broken: &mut Broken<'_>) {
    if path.ends_with("/mod.rs") {
        broken.add(
            1,
            "`mod.rs` is not used".into(),
            "a module is `foo.rs` beside `foo/`, so that tabs have names",
        );
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        broken.add(
            FILE_LINES_MAX + 1,
            format!("{lines} lines, the limit is {FILE_LINES_MAX}"),
            "what does not fit has two ideas in it",
        );
    }
    if !text.starts_with("//!") && !whole_file_is_test {
        broken.add(1, "does not begin with `//!`".into(), "a file says first what it is for");
    }
}

fn check_modules(top: &str, named: &Named, broken: &mut Broken<'_>) {
    let [root, target, ..] = named.path.as_slice() else { return };
    if root != "crate" || target == top || !target.starts_with(|c: char| c.is_lowercase()) {
        return;
    }
    let Some((_, grant, why)) = LAW.iter().find(|(module, ..)| *module == top) else {
        broken.add(
            1,
            format!("`{top}` has no row in LAW of tests/architecture.rs"),
            "its place is decided on purpose",
        );
        return;
    };
    let granted = match grant {
        Grant::Only(modules) => modules.contains(&target.as_str()),
        Grant::AllBut(modules) => !modules.contains(&target.as_str()),
    };
    if !granted {
        broken.add(named.line, format!("`{top}` may not import `crate::{target}`"), why);
    }
}

fn check_clock(top: &str, named: &Named, broken: &mut Broken<'_>) {
    let path = named.path.join("::");
    if top != "clock" && CLOCKS.iter().any(|clock| is_within(&path, clock)) {
        broken.add(
            named.line,
            format!("`{path}` outside clock.rs"),
            "time is injected, so that tests own it",
        );
    }
}

fn check_purity(top: &str, named: &Named, crates: &BTreeSet<String>, broken: &mut Broken<'_>) {
    if !PURE.contains(&top) {
        return;
    }
    let path = named.path.join("::");
    let first = named.path.first().map_or("", String::as_str);
    if IMPURE_STD.iter().any(|rule| is_within(&path, rule) || globs_over(&path, rule)) {
        broken.add(
            named.line,
            format!("`{top}` may not use `{path}`"),
            "the core does no I/O, reads no clock, locks nothing",
        );
    }
    let outside = crates.contains(first) || IMPURE_CRATES.contains(&first);
    if outside && !PURE_CRATES.contains(&first) {
        broken.add(
            named.line,
            format!("`{top}` may not use the crate `{first}`"),
            "the core runs without a runtime or a network",
        );
    }
}

/// `std::fs::read` is within `std::fs`.
fn is_within(path: &str, rule: &str) -> bool {
    path.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `std::sync::*` brings in `std::sync::Mutex`.
fn globs_over(path: &str, rule: &str) -> bool {
    path.strip_suffix("*").is_some_and(|parent| rule.starts_with(parent))
}

/// The crates of `Cargo.toml`, as source text names them.
fn crates() -> BTreeSet<String> {
    let manifest: toml::Table = include_str!("../Cargo.toml").parse().unwrap();
    let sections =
        ["dependencies", "dev-dependencies"].into_iter().filter_map(|section| manifest[section].as_table());
    sections.flat_map(toml::Table::keys).map(|name| name.replace('-', "_")).collect()
}

/// Every Rust file under `src`, by path from the package's root.
fn files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut folders) = (BTreeMap::new(), vec![root.join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in
            folder.read_dir().unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()))
        {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

/// Files that some `#[cfg(test)] mod name;` declares.
fn test_files(files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let declared = files.iter().flat_map(|(path, text)| {
        let folder = match path.as_str() {
            "src/lib.rs" | "src/main.rs" => "src".to_owned(),
            path => path.trim_end_matches(".rs").to_owned(),
        };
        source::read(path, text).test_modules.into_iter().map(move |name| format!("{folder}/{name}.rs"))
    });
    declared.collect()
}

#[test]
fn every_file_of_the_house_keeps_the_law() {
    let files = files();
    assert!(files.contains_key("src/lib.rs"), "no sources found: is the package's root where cargo says?");
    let test_files = test_files(&files);
    let broken: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| violations(path, text, test_files.contains(path)))
        .map(|violation| violation.to_string())
        .collect();
    assert!(broken.is_empty(), "the law of imports (ARCHITECTURE.md) is broken:\n{}", broken.join("\n"));
}

/// Asserts that a text, put at `path` below a head line, breaks exactly the rules that contain `expected`.
#[track_caller]
fn check(path: &str, text: &str, expected: &[&str]) {
    let found = violations(path, &format!("//! A head.\n{text}\n"), false);
    let shown: Vec<String> = found.iter().map(Violation::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{path}: {text}\nfound: {shown:#?}");
    for (violation, expected) in shown.iter().zip(expected) {
        assert!(violation.contains(expected), "{path}: {text}\nfound {violation}, expected {expected}");
    }
}

#[test]
fn the_core_may_use_plain_data_only() {
    check("src/schedule/node.rs", "use std::net::{IpAddr, Ipv4Addr};\nuse super::place::Location;", &[]);
    check("src/schedule.rs", "use std::sync::atomic::AtomicU64;\nuse arrayvec::ArrayVec;", &[]);
    check(
        "src/schedule.rs",
        "use crate::exposition::Sample;",
        &["src/schedule.rs:2: `schedule` may not import `crate::exposition`"],
    );
    check(
        "src/exposition.rs",
        "fn f() { crate::schedule::decide(); }",
        &["may not import `crate::schedule`"],
    );
    check(
        "src/schedule/a/b.rs",
        "\nuse super::super::super::state::State;",
        &["b.rs:3: `schedule` may not import `crate::state`"],
    );
    check("src/schedule.rs", "use nearcast::config::Config;", &["may not import `crate::config`"]);
    check(
        "src/schedule.rs",
        "pub use crate::{schedule::node, app, geo::Located};",
        &["`crate::app`", "`crate::geo`"],
    );
}

#[test]
fn the_core_may_not_reach_for_the_world() {
    check("src/schedule.rs", "use tokio::time::sleep;", &["may not use the crate `tokio`"]);
    check("src/schedule.rs", "fn f() { ::axum::serve(); }", &["the crate `axum`"]);
    check("src/schedule.rs", "use rand::random;", &["the crate `rand`"]);
    check("src/exposition.rs", "fn f() { dashmap::DashMap::new(); }", &["the crate `dashmap`"]);
    check("src/schedule.rs", "use std::{fs, sync::{Arc, Mutex}};", &["`std::fs`", "`std::sync::Mutex`"]);
    check("src/schedule.rs", "use std::net::UdpSocket as Door;", &["`std::net::UdpSocket`"]);
    check("src/schedule.rs", "use std::sync::*;", &["`std::sync::*`"]);
    check("src/schedule.rs", "use std::time::Instant;", &["`std::time::Instant`"]);
    check("src/schedule.rs", "use std::time::Duration;", &[]);
    check(
        "src/schedule.rs",
        "use std::sync;\nfn f(_: sync::RwLock<u8>) {}",
        &[":3: `schedule` may not use `std::sync::RwLock`"],
    );
}

#[test]
fn fronts_and_feeders_meet_only_in_the_state() {
    check("src/http/resolve.rs", "use crate::resolver::Question;\nuse crate::state::State;", &[]);
    for feeder in ["geo", "scrape", "discovery", "streams"] {
        check(
            "src/http/nodes.rs",
            &format!("use crate::{feeder}::Thing;"),
            &[&format!("`http` may not import `crate::{feeder}`")],
        );
        check(
            &format!("src/{feeder}.rs"),
            "use crate::http::problem;",
            &[&format!("`{feeder}` may not import `crate::http`")],
        );
    }
    check("src/dns/answer.rs", "use crate::resolver::Question;\nuse crate::telemetry::DnsTransport;", &[]);
    check("src/dns.rs", "use crate::geo::Located;", &["`dns` may not import `crate::geo`"]);
    check("src/dns.rs", "use crate::http::tls::Tls;", &["`dns` may not import `crate::http`"]);
    check("src/http.rs", "use crate::dns::Front;", &["`http` may not import `crate::dns`"]);
    check("src/scrape/page.rs", "use crate::geo::Located;", &["`scrape` may not import `crate::geo`"]);
    check("src/geo.rs", "use crate::resolver::Question;", &["`geo` may not import `crate::resolver`"]);
    check("src/resolver.rs", "use crate::geo::Located;\nuse crate::scrape::Scraper;", &["`crate::scrape`"]);
    check("src/state.rs", "use crate::resolver::Answer;", &["`state` may not import `crate::resolver`"]);
}

#[test]
fn the_wiring_is_imported_from_above_only() {
    for module in ["http", "scrape", "resolver", "config", "state", "schedule"] {
        check(&format!("src/{module}.rs"), "use crate::app::run;", &["may not import `crate::app`"]);
    }
    for module in ["cli", "demo", "simulate", "main"] {
        check(&format!("src/{module}.rs"), "use crate::app::run;", &[]);
    }
    check("src/app.rs", "use crate::cli::Arguments;", &["`app` may not import `crate::cli`"]);
    check("src/gossip.rs", "use crate::state::State;", &["`gossip` has no row"]);
}

#[test]
fn only_the_clock_reads_the_clock() {
    check("src/clock.rs", "use std::time::Instant;\nfn f() { Instant::now(); }", &[]);
    check(
        "src/http.rs",
        "use std::time::Instant;\nfn f() { Instant::now(); }",
        &["http.rs:3: `std::time::Instant::now`"],
    );
    check("src/scrape.rs", "fn f() { std::time::SystemTime::now(); }", &["`std::time::SystemTime::now`"]);
    check(
        "src/scrape.rs",
        "use std::time as t;\nfn f() { t::SystemTime::now(); }",
        &["`std::time::SystemTime::now`"],
    );
    check("src/scrape.rs", "fn f() { tokio::time::Instant::now(); }", &[]);
}

#[test]
fn test_code_is_spared_the_rules_on_the_world_but_not_the_law_of_imports() {
    let tests = "#[cfg(test)]\nmod tests {\n use super::*;\n use std::fs;\n #[tokio::test] async fn f() { tokio::fs::read(\"\"); }\n}";
    check("src/schedule.rs", tests, &[]);
    check("src/schedule.rs", &format!("{tests}\nuse std::fs;"), &[":8: `schedule` may not use `std::fs`"]);
    check("src/schedule.rs", "#[cfg(not(test))]\nuse std::fs;", &["`std::fs`"]);
    check(
        "src/schedule.rs",
        "#[cfg(test)]\nmod tests { use crate::http::x; }",
        &["may not import `crate::http`"],
    );
    assert!(violations("src/schedule/tests.rs", "use std::fs;\n", true).is_empty());
    let files = BTreeMap::from([("src/schedule.rs".to_owned(), "#[cfg(test)]\nmod tests;\n".to_owned())]);
    assert!(test_files(&files).contains("src/schedule/tests.rs"));
}

#[test]
fn words_in_comments_and_literals_are_no_imports() {
    check(
        "src/schedule.rs",
        "/// See [`crate::http::problem`] and /* std::fs.\n/* use tokio::x; /* nested */ std::fs */",
        &[],
    );
    check(
        "src/schedule.rs",
        r##"const A: &str = "use tokio::x; \" std::fs::read"; const B: &str = r#"" std::fs::x "#;"##,
        &[],
    );
    check(
        "src/schedule.rs",
        "fn f<'a>(x: &'a str) { match x { _ => ('\\'', '\"', 'a') }; std::fs::read(x); }",
        &["`std::fs::read`"],
    );
}

#[test]
fn a_file_has_a_form() {
    assert_eq!(violations("src/geo/mod.rs", "//! Geo.\n", false).len(), 1);
    assert_eq!(violations("src/geo.rs", "use std::fs;\n", false)[0].rule, "does not begin with `//!`");
    let long = format!("//! Long.\n{}", "//\n".repeat(FILE_LINES_MAX));
    assert_eq!(violations("src/geo.rs", &long, false)[0].rule, "601 lines, the limit is 600");
}
