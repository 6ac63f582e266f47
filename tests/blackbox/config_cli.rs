//! The command line: what it prints, and the status it ends with.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::credentials::write_files_of_the_example;
use super::stage::{CHICAGO, Edge, LONDON, US, live, scrape_each};
use super::support::{Behaviour, nearcast};

/// Status for input that cannot be used.
const BAD_INPUT: i32 = 2;

/// Seven mistakes, each in a line of its own.
const BROKEN: &str = r#"[server]
listen = "nowhere"
[scrape]
interval = "10"
intervall = "10s"
[[pools]]
name = "edges"
[[nodes]]
id = "a"
pool = "edgez"
addresses = ["203.0.113.300"]
exporters = ["ftp://x/"]
[[domains]]
name = "live.example.com"
pool = "edges"
policy = "nearst"
"#;

/// Where the mistakes are, and a word of what is said of each.
const MISTAKES: [(usize, &str); 7] = [
    (2, "listen: `nowhere`"),
    (4, "interval: 10 has no unit"),
    (5, "unknown key `intervall`"),
    (10, "no pool `edgez`"),
    (11, "`203.0.113.300` is not an IP address"),
    (12, "exporters: `ftp://x/`"),
    (16, "did you mean \"nearest\"?"),
];

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn assert_names_every_mistake(said: &str) {
    for (line, words) in MISTAKES {
        let at = said.find(words).unwrap_or_else(|| panic!("{words} is not said:\n{said}"));
        let place = said[at..].lines().nth(1).unwrap();
        assert!(place.contains(&format!("broken.toml:{line}:")), "{words} in line {line}: {place}");
    }
    assert!(said.contains("7 errors in broken.toml"), "{said}");
}

#[test]
fn check_prints_every_mistake_with_its_line_and_ends_with_two() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.toml"), BROKEN).unwrap();
    let output = nearcast(folder.path(), &["check", "broken.toml"]);
    assert_eq!(output.status.code(), Some(BAD_INPUT));
    assert_names_every_mistake(&stderr(&output));
    assert_eq!(stdout(&output), "");
}

#[test]
fn serve_refuses_a_broken_configuration_with_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.toml"), BROKEN).unwrap();
    let output = nearcast(folder.path(), &["serve", "--config", "broken.toml"]);
    assert_eq!(output.status.code(), Some(BAD_INPUT));
    assert_names_every_mistake(&stderr(&output));
}

#[test]
fn the_example_configuration_passes_its_check() {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nearcast.example.toml");
    std::fs::copy(example, folder.path().join("nearcast.toml")).unwrap();
    write_files_of_the_example(folder.path());
    let output = nearcast(folder.path(), &["check", "nearcast.toml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("ok, 5 nodes in 5 pools for 2 domains"), "{}", stdout(&output));
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["check", "absent.toml"][..], &["serve", "--config", "absent.toml"]] {
        let output = nearcast(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(BAD_INPUT), "{arguments:?}");
        assert!(stderr(&output).contains("absent.toml"), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn explain_prints_a_winner_that_is_in_the_configuration() {
    let edges = Edge::start_each(&[LONDON, CHICAGO]).await;
    let (status, printed) = explain(&live(&scrape_each(500), &edges), "live.example.com").await;
    assert_eq!(status, Some(0));
    let explanation: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(explanation["winner"], "chicago-2", "the nearest to the United States: {explanation:#}");
    assert_eq!(explanation["reason"], "nearest");
    assert_eq!(explanation["candidates"].as_array().unwrap().len(), 2);
    assert_eq!(explanation["candidates"][0]["state"], "healthy", "it was scraped first: {explanation:#}");
}

#[tokio::test]
async fn explain_answers_from_what_there_is_when_no_exporter_does() {
    let edges = Edge::start_each(&[LONDON, CHICAGO]).await;
    for edge in &edges {
        edge.exporter.set(|knobs| knobs.behaviour = Behaviour::Garbage);
    }
    let (status, printed) = explain(&live(&scrape_each(500), &edges), "live.example.com").await;
    assert_eq!(status, Some(0));
    let explanation: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(explanation["winner"], "chicago-2");
    assert_eq!(explanation["reason"], "starting");
}

#[tokio::test]
async fn explain_of_an_unknown_domain_fails_and_says_so() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let (status, said) = explain(&live(&scrape_each(500), &edges), "other.example.com").await;
    assert_eq!(status, Some(1));
    assert!(said.contains("other.example.com") && said.contains("unknown domain"), "{said}");
}

/// Runs `nearcast explain` for a client in the United States: its status, and what it printed.
async fn explain(config: &str, domain: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("nearcast.toml"), config).unwrap();
    let domain = domain.to_owned();
    // The exporters are served by this very thread.
    let run = tokio::task::spawn_blocking(move || {
        nearcast(folder.path(), &["explain", "--config", "nearcast.toml", "--domain", &domain, "--ip", US])
    });
    let output = run.await.unwrap();
    let printed = if output.status.success() { stdout(&output) } else { stderr(&output) };
    (output.status.code(), printed)
}

#[test]
fn geoip_says_where_an_address_is() {
    let folder = tempfile::tempdir().unwrap();
    let output = nearcast(folder.path(), &["geoip", US]);
    assert!(output.status.success());
    assert!(stdout(&output).contains("United States"), "{}", stdout(&output));
    let output = nearcast(folder.path(), &["geoip", "192.168.1.1"]);
    assert!(output.status.success());
    assert!(stdout(&output).contains("private network"), "{}", stdout(&output));
}

#[test]
fn what_is_no_address_or_no_command_ends_with_two() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["geoip", "here"][..], &["fly"], &[], &["serve"], &["check"]] {
        let output = nearcast(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(BAD_INPUT), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_reader_that_stops_early_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nearcast"))
        .args(["geoip", US])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stderr(&output), "");
}
