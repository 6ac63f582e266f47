//! Every crate in the build has a licence, a name and a source that `deny.toml` permits.
//!
//! `cargo deny` does the same and more, but takes minutes to build; this asks `cargo metadata` and is there for
//! everybody. It reads the very lists that cargo-deny reads, so that the two cannot disagree on what is allowed.

#![expect(clippy::unwrap_used, reason = "a broken checkout should stop this test at once")]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// The lists of `deny.toml` that are checked here.
struct Rules {
    licences: BTreeSet<String>,
    banned: BTreeSet<String>,
    registries: BTreeSet<String>,
}

/// One crate of the build.
struct Package {
    name: String,
    version: String,
    licence: String,
    /// `None`: this repository.
    source: Option<String>,
}

// === impl Rules ===

impl Rules {
    fn read() -> Self {
        let file: toml::Table = include_str!("../deny.toml").parse().unwrap();
        let words = |list: &toml::Value| list.as_array().unwrap().iter().map(word).collect();
        Self {
            licences: words(&file["licenses"]["allow"]),
            banned: words(&file["bans"]["deny"]),
            registries: words(&file["sources"]["allow-registry"]),
        }
    }

    /// What is wrong with a crate, in words.
    fn faults(&self, package: &Package) -> Vec<String> {
        let Package { name, version, licence, source } = package;
        let mut faults = Vec::new();
        if source.is_some() && !permits(licence, &self.licences) {
            faults.push(format!(
                "{name} {version}: licence `{licence}` is not in deny.toml's [licenses] allow"
            ));
        }
        if self.banned.contains(name) {
            faults.push(format!(
                "{name} {version}: banned by deny.toml; `cargo tree -i {name}` tells who brings it"
            ));
        }
        let registry = source.as_deref().map(|source| source.trim_start_matches("registry+"));
        if registry.is_some_and(|registry| !self.registries.contains(registry)) {
            faults.push(format!("{name} {version}: source {source:?} is not in deny.toml's [sources]"));
        }
        faults
    }
}

/// An entry of a list: a word, or a table that names a crate.
fn word(entry: &toml::Value) -> String {
    entry.as_str().or_else(|| entry.get("crate")?.as_str()).unwrap().to_owned()
}

/// Whether an SPDX expression can be met with these licences alone. `/` is the old way to write `OR`.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    any(&words, &mut at, allowed) && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

/// A licence, with its exception if it has one (the pair must then be listed as a whole), or a parenthesis.
fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = any(words, at, allowed);
        *at += 1;
        return met && words.get(*at - 1) == Some(&")");
    }
    match (words.get(*at), words.get(*at + 1)) {
        (Some(&"WITH"), Some(exception)) => {
            *at += 2;
            allowed.contains(&format!("{word} WITH {exception}"))
        }
        _ => allowed.contains(*word),
    }
}

/// The crates that a build on this machine takes in, tests included. Asks no network.
fn packages() -> Vec<Package> {
    let rustc =
        Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into())).arg("-vV").output().unwrap();
    let version = String::from_utf8(rustc.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--all-features"])
        .args(["--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    // `packages` lists the whole lock file; only what `resolve` reaches for this platform is built.
    let used: BTreeSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.filter(|package| used.contains(package["id"].as_str().unwrap())).map(Package::read).collect()
}

// === impl Package ===

impl Package {
    fn read(package: &Value) -> Self {
        let text = |key: &str| package[key].as_str().map(str::to_owned);
        Self {
            name: text("name").unwrap(),
            version: text("version").unwrap(),
            licence: text("license").unwrap_or_default(),
            source: text("source"),
        }
    }
}

#[test]
fn every_crate_of_the_build_is_permitted() {
    let rules = Rules::read();
    let packages = packages();
    assert!(
        packages.iter().any(|package| package.name == "tokio"),
        "the list of crates is not the whole list"
    );
    let faults: Vec<String> = packages.iter().flat_map(|package| rules.faults(package)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn licence_expressions_are_weighed() {
    let allowed = ["MIT", "Apache-2.0", "ISC"].map(str::to_owned).into();
    for good in
        ["MIT", "MIT OR GPL-3.0", "GPL-2.0/MIT", "(MIT OR GPL-3.0) AND ISC", "MIT AND (Apache-2.0 OR ISC)"]
    {
        assert!(permits(good, &allowed), "{good}");
    }
    let others = [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "Apache-2.0 WITH LLVM-exception",
        "MIT ISC",
    ];
    for bad in others.into_iter().chain(["(MIT", "MIT)"]) {
        assert!(!permits(bad, &allowed), "{bad}");
    }
}

#[test]
fn a_bad_crate_is_named_with_all_its_faults() {
    let package = Package {
        name: "openssl".to_owned(),
        version: "0.10.0".to_owned(),
        licence: "AGPL-3.0".to_owned(),
        source: Some("git+https://example.org/openssl".to_owned()),
    };
    let faults = Rules::read().faults(&package);
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert!(faults.iter().all(|fault| fault.starts_with("openssl 0.10.0: ")), "{faults:#?}");
}
