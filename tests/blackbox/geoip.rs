//! Databases at the start and under way: a bad one is named and takes nothing away.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::stage::{CHICAGO, Edge, GB, LONDON, PATIENCE, ips, live, resolve, scrape_each};
use super::support::{Service, eventually, nearcast};

/// An address that only `city-flat-v4.mmdb` puts into Beijing; `city-nested.mmdb` has nothing on it.
const BEIJING: &str = "182.92.1.1";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/geo").join(name)
}

/// A folder with a database in it.
struct Databases {
    folder: TempDir,
}

// === impl Databases ===

impl Databases {
    fn with(name: &str) -> Self {
        let databases = Self { folder: TempDir::new().unwrap() };
        databases.put(name);
        databases
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("geo.mmdb")
    }

    /// Replaces the database in one step, as `geoipupdate` does.
    fn put(&self, name: &str) {
        let draft = self.folder.path().join("draft");
        std::fs::copy(fixture(name), &draft).unwrap();
        std::fs::rename(draft, self.path()).unwrap();
    }

    /// `[geoip]` that names it.
    fn toml(&self) -> String {
        format!("[geoip]\ndatabases = [{:?}]\n\n", self.path())
    }
}

/// What is known of an address.
async fn geo(service: &Service, ip: &str) -> Value {
    service.admin(&format!("/geo?ip={ip}")).await.json()
}

/// Starts the service with a database that cannot serve: it must say which and why, and end with 2.
fn refused_at_start(database: &str, words: &str) {
    let databases = Databases::with(database);
    let folder = tempfile::tempdir().unwrap();
    let node = "[[nodes]]\nid = \"a\"\npool = \"edges\"\naddresses = [\"203.0.113.1\"]\n";
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n{}{node}",
        live(&databases.toml(), &[])
    );
    std::fs::write(folder.path().join("nearcast.toml"), config).unwrap();
    for arguments in [&["serve", "--config", "nearcast.toml"][..], &["check", "nearcast.toml"]] {
        let output = nearcast(folder.path(), arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        let path = databases.path().display().to_string();
        assert!(said.contains(&path) && said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn truncated_database_at_start_is_named_and_ends_with_two() {
    refused_at_start("truncated.mmdb", "not a MaxMind DB file, or cut short");
}

#[test]
fn database_about_something_else_at_start_is_named_and_ends_with_two() {
    refused_at_start("asn-only.mmdb", "has neither coordinates nor countries");
}

#[test]
fn file_that_is_no_database_at_start_is_named_and_ends_with_two() {
    refused_at_start("make.py", "not a MaxMind DB file");
}

#[tokio::test]
async fn bad_database_at_reload_changes_nothing_and_a_good_one_is_taken_over() {
    let databases = Databases::with("city-nested.mmdb");
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    let service = Service::start(&live(&format!("{}{}", databases.toml(), scrape_each(500)), &edges)).await;
    let before = geo(&service, GB).await;
    assert_eq!((&before["city"], &before["precision"]), (&"London".into(), &"city".into()), "{before:#}");
    assert_eq!(geo(&service, BEIJING).await["precision"], "unknown");

    for (bad, why) in
        [("truncated.mmdb", "cut short"), ("asn-only.mmdb", "neither coordinates nor countries")]
    {
        databases.put(bad);
        eventually("the log says that the database stays as it was", PATIENCE, || async {
            let log = service.log();
            let said = log.lines().any(|line| line.contains("kept as it was") && line.contains(why));
            if said { Ok(()) } else { Err(log) }
        })
        .await;
        assert_eq!(geo(&service, GB).await, before, "{bad} changed an answer");
        let answer = resolve(&service, &format!("ip={GB}")).await;
        assert_eq!((ips(&answer)[0], &answer["reason"]), (&*edges[1].ip, &"nearest".into()), "{answer}");
    }

    databases.put("city-flat-v4.mmdb");
    eventually("the good database is taken over", PATIENCE, || async {
        let found = geo(&service, BEIJING).await;
        if found["city"] == "Beijing" { Ok(()) } else { Err(format!("{found:#}\n{}", service.log())) }
    })
    .await;
    let after = geo(&service, GB).await;
    assert_ne!(after["latitude"], before["latitude"], "the cache still answers from the old one: {after:#}");
}

#[tokio::test]
async fn database_that_is_gone_for_a_moment_is_kept() {
    let databases = Databases::with("city-nested.mmdb");
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = Service::start(&live(&format!("{}{}", databases.toml(), scrape_each(500)), &edges)).await;
    std::fs::remove_file(databases.path()).unwrap();
    eventually("the log says that it cannot be read", PATIENCE, || async {
        let log = service.log();
        if log.contains("cannot be read") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(geo(&service, GB).await["city"], "London");
}
