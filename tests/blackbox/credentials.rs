//! Exporters that do not answer everybody: what they are shown, how that changes, and that nobody else sees it.

use rcgen::KeyPair;

use super::stage::{CHICAGO, Edge, LONDON, PATIENCE, US, live, node, scrape_each, until_node};
use super::support::{Behaviour, Service, eventually, nearcast};

const FIRST: &str = "the-first-token-there-is";
const SECOND: &str = "the-second-token-there-is";

/// `[scrape]` with a token for loopback.
fn guarded(edges: &[Edge]) -> String {
    let credentials = "[[scrape.credentials]]\nhosts = [\"127.0.0.0/8\"]\nallow_http = true\n\
                       bearer_token_file = \"exporter.token\"\n\n";
    live(&format!("{}{credentials}", scrape_each(500)), edges)
}

async fn until_healthy(service: &Service, edge: &Edge) {
    until_node(service, &edge.id, "is well", |node| {
        node["state"] == "healthy" && node["targets"][0]["ok"] == true
    })
    .await;
}

#[tokio::test]
async fn token_is_shown_to_the_exporter_follows_its_file_and_is_seen_by_nobody_else() {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    let guard = |token: &str| {
        let guard = Behaviour::Guarded(format!("Bearer {token}"));
        edges[0].exporter.set(|knobs| knobs.behaviour = guard);
    };
    guard(FIRST);
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    let nodes = until_node(&service, &edges[0].id, "is not let in", |node| {
        node["targets"][0]["error"] == "http: status 401"
    })
    .await;
    assert_ne!(nodes["state"], "healthy");
    // What cannot be read is named, and changes nothing.
    service.rewrite(&guarded(&edges));
    let refused = service.reload().await;
    assert_eq!(refused.status, 422, "{refused:#?}");
    let said = refused.json()["mistakes"][0]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("bearer_token_file: cannot read ") && said.contains("line "), "{said}");
    service.write("exporter.token", &format!("{FIRST}\n"));
    assert_eq!(service.reload().await.status, 200);
    until_healthy(&service, &edges[0]).await;
    // The exporter's token changes, and so does the file, and nobody says so.
    guard(SECOND);
    until_node(&service, &edges[0].id, "is not let in any more", |node| node["targets"][0]["ok"] == false)
        .await;
    service.write("exporter.token", SECOND);
    until_healthy(&service, &edges[0]).await;
    // A file that is emptied keeps the token that is in force.
    service.write("exporter.token", "\n");
    eventually("the log says so", PATIENCE, || async {
        let log = service.log();
        if log.contains("exporter.token is empty") { Ok(()) } else { Err(log) }
    })
    .await;
    until_healthy(&service, &edges[0]).await;
    let mut seen = service.log();
    for path in
        ["/nodes", "/metrics", "/readyz?verbose", &format!("/explain?domain=live.example.com&ip={US}")]
    {
        seen += &service.admin(path).await.body;
    }
    seen += &node(&service, &edges[0].id).await.to_string();
    seen += &refused.body;
    for token in [FIRST, SECOND] {
        assert!(!seen.contains(token), "{token} is shown to others");
    }
}

#[test]
fn check_names_files_that_are_missing_empty_or_no_certificate_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("empty.password", "\n");
    write("ca.pem", "what is this?\n");
    write(
        "nearcast.toml",
        r#"[[scrape.credentials]]
hosts = ["10.0.0.0/8"]
bearer_token_file = "absent.token"
ca_file = "ca.pem"

[[scrape.credentials]]
hosts = ["*.example.net"]
username = "nearcast"
password_file = "empty.password"

[[pools]]
name = "edges"
[[nodes]]
id = "a"
pool = "edges"
addresses = ["203.0.113.30"]
[[domains]]
name = "live.example.com"
pool = "edges"
"#,
    );
    let output = nearcast(folder.path(), &["check", "nearcast.toml"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let expected = [
        "error: scrape.credentials: bearer_token_file: cannot read absent.token: No such file",
        " --> nearcast.toml:3",
        "error: scrape.credentials: ca_file: ca.pem has no certificate in PEM in it",
        " --> nearcast.toml:4",
        "error: scrape.credentials: password_file: empty.password is empty",
        " --> nearcast.toml:9",
    ];
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), expected.len(), "{said}");
    assert!(lines.iter().zip(expected).all(|(line, expected)| line.starts_with(expected)), "{said}");
    let served = nearcast(folder.path(), &["serve", "--config", "nearcast.toml"]);
    assert_eq!(served.status.code(), Some(2));
    let said = String::from_utf8(served.stderr).unwrap();
    assert!(said.contains("line 9: password_file: empty.password is empty"), "{said}");
}

/// Puts what the example configuration names beside it.
pub(super) fn write_files_of_the_example(folder: &std::path::Path) {
    let key = KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
    for (name, content) in [
        ("exporter.token", "a-token"),
        ("exporter.password", "a password"),
        ("exporter-ca.pem", &certificate),
        ("nearcast.pem", &certificate),
        ("nearcast.key", &key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), content).unwrap();
    }
}
