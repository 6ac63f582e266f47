//! Programs that find their edge by us and then play from it: what DNS is for.

use std::path::Path;
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::stage::{CHICAGO, Edge, LONDON, live, scrape_each, start_scraped_twice};
use super::support::{Service, post_json};

/// What every stream begins with here: the header of an FLV file.
const FLV: &[u8] = b"FLV\x01\x05\0\0\0\x09\0\0\0\0";

/// The machine that asks is in Chicago.
const HERE: &str =
    "[[geoip.overrides]]\nnetwork = \"127.0.0.0/8\"\nlocation = { latitude = 41.9, longitude = -87.6 }\n\n";

const ZONE: &str = r#"
[dns]
listen = "127.0.0.1:0"
tls_listen = "127.0.0.1:0"

[[dns.zones]]
apex = "example.com"
ns = ["ns1.example.net"]
"#;

/// Edges that really serve media: at addresses of their own on loopback, all at the same port, and each puts its name
/// into its streams.
async fn start_media(edges: &mut [Edge]) -> u16 {
    let mut port = 0;
    for (number, edge) in edges.iter_mut().enumerate() {
        edge.ip = format!("127.0.1.{}", number + 1);
        let listener = TcpListener::bind((&*edge.ip, port)).await.unwrap();
        port = listener.local_addr().unwrap().port();
        let stream = [FLV, edge.id.as_bytes()].concat();
        tokio::spawn(async move {
            while let Ok((mut player, _)) = listener.accept().await {
                let (mut request, mut buffer) = (Vec::new(), [0; 1_024]);
                while !request.ends_with(b"\r\n\r\n") {
                    match player.read(&mut buffer).await {
                        Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
                        _ => break,
                    }
                }
                let head = b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nConnection: close\r\n\r\n";
                let _ = player.write_all(&[head, &*stream].concat()).await;
            }
        });
    }
    port
}

/// Two sites, the certificate of which is for the address by which we are asked.
fn secured(folder: &Path, edges: &[Edge], ports: &str) -> String {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("a.crt"), folder.join("a.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[server.tls]\nlisten = \"127.0.0.1:0\"\n\
         certificate = \"{}\"\nkey = \"{}\"\n\n",
        certificate.display(),
        key.display()
    );
    let config = format!("{}{HERE}{ZONE}", live(&format!("{tls}{}", scrape_each(500)), edges));
    config.replace("processes =", &format!("media = {{ {ports} }}\nprocesses ="))
}

/// What a program prints; it has to succeed.
fn run(program: &str, package: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("{program} is missing ({error}); install it: apt-get install -y {package}")
    });
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}{complaint}", String::from_utf8_lossy(&output.stdout));
    output.stdout
}

/// The stream as curl plays it that knows of no other resolver than us.
fn played(service: &Service, folder: &Path, port: u16) -> Vec<u8> {
    let door = format!("https://127.0.0.1:{}/dns-query", service.secure().port());
    let authority = folder.join("a.crt").display().to_string();
    let url = format!("http://live.example.com:{port}/live/show.flv");
    let how = ["-sS", "--noproxy", "*", "--max-time", "10", "--cacert", &authority, "--doh-url", &door, &url];
    run("curl", "curl", &how)
}

// On a thread of their own, the edges go on serving while this one waits for programs.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn curl_asks_by_https_and_plays_from_the_edge_that_was_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let mut edges = Edge::start_each(&[LONDON, CHICAGO]).await;
    let port = start_media(&mut edges).await;
    let config = secured(folder.path(), &edges, &format!("http = {port}"));
    let service = start_scraped_twice(&config, &edges).await;
    let stream = |edge: &Edge| [FLV, edge.id.as_bytes()].concat();
    assert_eq!(played(&service, folder.path(), port), stream(&edges[1]), "not the nearest");
    let asked = "\nnearcast_dns_replies_total{transport=\"https\",rcode=\"noerror\"} ";
    let metrics = service.admin("/metrics").await.body;
    let (_, count) = metrics.split_once(asked).unwrap();
    let count: u64 = count.lines().next().unwrap().parse().unwrap();
    assert!(count > 0, "curl asked somebody else");
    let drain = service.admin_url(&format!("/nodes/{}/drain", edges[1].id));
    assert_eq!(post_json(&drain, "{\"reason\":\"test\"}", &[]).await.unwrap().status, 200);
    assert_eq!(played(&service, folder.path(), port), stream(&edges[0]), "not the one that is left");
}

/// SRV tells a name and a port, the name an address; by TLS, with the certificate checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_srv_and_https_say_leads_to_the_edge_that_was_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let mut edges = Edge::start_each(&[LONDON, CHICAGO]).await;
    let port = start_media(&mut edges).await;
    let config = secured(folder.path(), &edges, &format!("rtmp = {port}, https = {port}"));
    let service = start_scraped_twice(&config, &edges).await;
    let (door, authority) = (service.dns_tls(), folder.path().join("a.crt").display().to_string());
    let kdig = |question: &[&str]| {
        let (server, port) = (format!("@{}", door.ip()), door.port().to_string());
        let how = [&*server, "-p", &port, "+time=5", "+retry=0"];
        let trusted = [&*format!("+tls-ca={authority}"), "+tls-host=127.0.0.1"].map(str::to_owned);
        let trusted: Vec<&str> = trusted.iter().map(String::as_str).collect();
        String::from_utf8(run("kdig", "knot-dnsutils", &[&how[..], &trusted, question].concat())).unwrap()
    };
    let said = kdig(&["+short", "_rtmp._tcp.live.example.com", "SRV"]);
    let best = said.lines().find(|line| line.starts_with("1 0 ")).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(best, format!("1 0 {port} chicago-2.nodes.example.com."));
    let name = best.rsplit(' ').next().unwrap();
    assert_eq!(kdig(&["+short", name, "A"]).trim(), edges[1].ip);
    let whole = kdig(&["_rtmp._tcp.live.example.com", "SRV"]);
    let (_, beside) = whole.split_once("ADDITIONAL SECTION").unwrap_or_else(|| panic!("{whole}"));
    assert!(beside.contains(&edges[1].ip) && beside.contains(&edges[0].ip), "{whole}");
    let told = kdig(&["+short", "live.example.com", "HTTPS"]);
    assert_eq!(told.trim(), format!("1 . port={port} ipv4hint={},{}", edges[1].ip, edges[0].ip));
    let (host, flv) =
        (format!("{}:{port}:{}", name.trim_end_matches('.'), edges[1].ip), [FLV, b"chicago-2"].concat());
    let url = format!("http://{}:{port}/", name.trim_end_matches('.'));
    assert_eq!(run("curl", "curl", &["-sS", "--noproxy", "*", "--resolve", &host, &url]), flv);
}
