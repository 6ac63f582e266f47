//! HTTPS and HTTP/2 for players and operators, by a real client, and certificates that change under it.

use std::path::Path;
use std::process::Command;

use super::stage::{CHICAGO, Edge, PATIENCE, live, scrape_each};
use super::support::{Service, eventually};

const QUESTION: &str = "/resolve?domain=live.example.com&ip=8.8.8.8";

/// Writes a certificate for `localhost` and its key; the certificate's own text.
fn write_certificate(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    // The key first: a pair that does not match for a moment changes nothing.
    std::fs::write(folder.join("a.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("a.crt"), made.cert.pem()).unwrap();
    made.cert.pem()
}

fn secured(folder: &Path, more: &str, edges: &[Edge]) -> String {
    let (certificate, key) = (folder.join("a.crt"), folder.join("a.key"));
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n{more}\n[server.tls]\nlisten = \"127.0.0.1:0\"\n\
         certificate = \"{}\"\nkey = \"{}\"\nadmin = true\n\n{}",
        certificate.display(),
        key.display(),
        live(&scrape_each(500), edges)
    )
}

/// `curl` to `https://localhost`, trusting one certificate: what it prints, or its complaint.
fn curl(address: std::net::SocketAddr, path: &str, trusted: &str, more: &[&str]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trusted.crt");
    std::fs::write(&file, trusted).unwrap();
    let output = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "--max-time", "10", "--cacert"])
        .arg(&file)
        .args(["--resolve", &format!("localhost:{}:127.0.0.1", address.port())])
        .args(more)
        .arg(format!("https://localhost:{}{path}", address.port()))
        .output()
        .unwrap_or_else(|error| panic!("curl is missing ({error}); install it: apt-get install -y curl"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[tokio::test]
async fn who_asks_by_https_is_redirected_to_https_and_nowhere_else_unless_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = write_certificate(folder.path());
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = Service::launch(&secured(folder.path(), "", &edges)).await;
    for (ports, allowed, told) in [
        (
            "http = 8080, https = 8443",
            false,
            "https://203.0.113.1:8443/live/show.flv?domain=live.example.com",
        ),
        ("http = 8080", false, "no-port"),
        ("http = 8080", true, "http://203.0.113.1:8080/live/show.flv?domain=live.example.com"),
    ] {
        let config = secured(folder.path(), "", &edges);
        let config = config.replace("processes =", &format!("media = {{ {ports} }}\nprocesses ="));
        service.rewrite(&config.replace("policy =", &format!("redirect_downgrade = {allowed}\npolicy =")));
        let reload = ["-X", "POST", "-o", "/dev/null", "-w", "%{http_code}"];
        let admin: std::net::SocketAddr =
            service.admin_url("").trim_start_matches("http://").parse().unwrap();
        assert_eq!(curl(admin, "/-/reload", &trusted, &reload).unwrap(), "200");
        for version in ["--http1.1", "--http2"] {
            let target = "/live/show.flv?domain=live.example.com";
            let answer = curl(service.secure(), target, &trusted, &[version, "-i"]).unwrap();
            assert!(answer.contains(told), "{version} {ports}: {answer}");
        }
    }
}

#[tokio::test]
async fn players_and_operators_are_answered_by_https_in_both_versions_of_http() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = write_certificate(folder.path());
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = Service::launch(&secured(folder.path(), "", &edges)).await;
    let admin = service.admin_url("");
    let admin: std::net::SocketAddr = admin.trim_start_matches("http://").parse().unwrap();
    let version = ["-w", "\nHTTP/%{http_version}"];
    for (how, said) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")] {
        for tls in ["--tls-max=1.2", "--tlsv1.3"] {
            let (max, value) = tls.split_once('=').map_or((tls, None), |(name, value)| (name, Some(value)));
            let mut more = vec![how, max];
            more.extend(value);
            more.extend(version);
            let answer = curl(service.secure(), QUESTION, &trusted, &more).unwrap();
            assert!(answer.contains("\"ips\":[\"") && answer.ends_with(said), "{how} {tls}: {answer}");
        }
    }
    let nodes = curl(admin, "/nodes", &trusted, &[]).unwrap();
    assert!(nodes.contains("chicago"), "{nodes}");
    // Plain HTTP stays at its own door, and is not understood at this one.
    assert_eq!(service.get(QUESTION).await.status, 200);
    assert!(super::support::get(&format!("http://{}{QUESTION}", service.secure())).await.is_err());
    // What is older than TLS 1.2 is not spoken, and a stranger's certificate is not ours.
    let refused = curl(service.secure(), QUESTION, &trusted, &["--tls-max", "1.1"]).unwrap_err();
    assert!(refused.contains("curl: (35)"), "{refused}");
    let refused =
        curl(service.secure(), QUESTION, &write_certificate(tempfile::tempdir().unwrap().path()), &[]);
    assert!(refused.as_ref().is_err_and(|error| error.contains("curl: (60)")), "{refused:?}");
}

#[tokio::test]
async fn another_certificate_counts_at_once_and_a_broken_one_never() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_certificate(folder.path());
    let edges = Edge::start_each(&[CHICAGO]).await;
    let config = secured(folder.path(), "", &edges).replace("admin = true", "admin = false");
    let service = Service::start(&config).await;
    assert!(curl(service.secure(), QUESTION, &first, &[]).is_ok());
    let ends = "nearcast_tls_certificate_not_after_timestamp_seconds 67090118400";
    let page = service.admin("/metrics").await.body;
    assert!(page.contains(ends), "{page}");
    // Nobody says so; the files are watched.
    let second = write_certificate(folder.path());
    eventually("the second certificate is shown", PATIENCE, || {
        let seen = curl(service.secure(), QUESTION, &second, &[]);
        async move { seen }
    })
    .await;
    assert!(curl(service.secure(), QUESTION, &first, &[]).is_err());
    std::fs::write(folder.path().join("a.crt"), &first).unwrap();
    let reply = service.reload().await;
    let said = reply.json()["mistakes"][0]["message"].as_str().unwrap().to_owned();
    assert!(reply.status == 422 && said.contains("do not fit each other"), "{reply:#?}");
    assert!(curl(service.secure(), QUESTION, &second, &[]).is_ok());
}
