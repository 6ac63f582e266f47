//! The files for media servers in `deploy/` are what our own side accepts, and what nginx does.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files should stop at once")]

use std::path::PathBuf;
use std::process::Command;

use nearcast::config::Config;
use nearcast::http::{ROUTES, Side};

/// What stands in the files for us.
const US: &str = "nearcast:8080";

fn folder(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy")).join(name)
}

/// The configurations of media servers in a folder: name and text.
fn media_servers(name: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<(String, String)> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// Paths at which a line would call us; SRS itself puts a coworker's together.
fn paths(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| line.trim_start().trim_start_matches('#').trim()).filter_map(|line| {
        let (before, after) = line.split_once(US)?;
        let path = after.strip_suffix(';')?;
        Some(if before.trim_start().starts_with("coworkers") {
            format!("{path}/api/v1/clusters")
        } else {
            path.to_owned()
        })
    })
}

fn is_routed(path: &str) -> bool {
    let fits = |route: &str| {
        let (mut ours, mut asked) = (route.split('/'), path.split('/'));
        loop {
            match (ours.next(), asked.next()) {
                (None, None) => return true,
                (Some(our), Some(asked)) if our.starts_with('{') && !asked.is_empty() || our == asked => {}
                _ => return false,
            }
        }
    };
    // A stream's own route would fit nearly all.
    ROUTES
        .iter()
        .any(|route| route.side == Side::Player && !route.path.ends_with("{stream}") && fits(route.path))
}

#[test]
fn our_side_of_each_media_server_is_accepted_whole() {
    for name in ["srs", "nginx-rtmp"] {
        let path = folder(name).join("nearcast.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let config =
            Config::parse(&text, &path.display().to_string()).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!((config.callers.len(), config.nodes.len()), (2, 4), "{name}");
    }
}

#[test]
fn media_servers_call_us_where_we_listen() {
    for (folder, least) in [("srs", 7), ("nginx-rtmp", 4)] {
        let mut seen = 0;
        for (file, text) in media_servers(folder) {
            for path in paths(&text).filter(|path| !path.is_empty()) {
                assert!(is_routed(&path), "{file}: {path}");
                seen += 1;
            }
        }
        assert!(seen >= least, "{folder}: only {seen} paths");
    }
    assert!(!is_routed("/t/token/origin-1/hook/on_publish"));
}

#[test]
#[ignore = "needs nginx and libnginx-mod-rtmp; `make test` runs it"]
fn nginx_accepts_its_files() {
    let place = tempfile::tempdir().unwrap();
    for (file, text) in media_servers("nginx-rtmp") {
        // There is no host of that name here, and no right to the system's folders.
        let text = text.replace(US, "127.0.0.1:8080");
        let text = text.replace("/var/lib/nginx/hls", &place.path().join("hls").display().to_string());
        let text = format!("pid {};\n{text}", place.path().join("nginx.pid").display());
        let copy = place.path().join("nginx.conf");
        std::fs::write(&copy, text).unwrap();
        let nginx = Command::new("nginx").arg("-t").arg("-c").arg(&copy).output();
        let nginx = nginx.expect("nginx is missing; install it: apt-get install -y nginx libnginx-mod-rtmp");
        assert!(nginx.status.success(), "{file}: {}", String::from_utf8_lossy(&nginx.stderr));
    }
}
