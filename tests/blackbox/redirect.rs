//! Redirects to streams through the real binary: players to edges, media servers to where they pull from.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::stage::{CHICAGO, Edge, GB, LONDON, NEW_YORK, US, live, scrape_each, until_node};
use super::support::{Reply, Service, get_with};

const TRUST: &str = "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
                     trusted_proxies = [\"127.0.0.0/8\"]\n\n";

/// These edges with an HTTP port each.
fn with_ports(edges: &[Edge]) -> String {
    let config = live(&format!("{TRUST}{}", scrape_each(500)), edges);
    config.replace("processes =", "media = { http = 8080 }\nprocesses =")
}

async fn play(service: &Service, target: &str, client: &str) -> Reply {
    let headers = [("host", "live.example.com"), ("x-forwarded-for", client)];
    get_with(&service.player_url(target), &headers).await.unwrap()
}

/// Sends bytes from an address; status and `Location` of the answer.
async fn sent(service: &Service, from: &str, request: &[u8]) -> (u16, String) {
    let to: SocketAddr = service.player_url("").trim_start_matches("http://").parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    stream.write_all(request).await.unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 4_096]);
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..read]);
    }
    let head = String::from_utf8_lossy(&answer).into_owned();
    let location = head.lines().find_map(|line| line.strip_prefix("location: "));
    (head[9..12].parse().unwrap(), location.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn players_are_sent_to_the_nearest_edge_that_has_room() {
    let edges = Edge::start_each(&[CHICAGO, LONDON, NEW_YORK]).await;
    let service = Service::start(&with_ports(&edges)).await;
    for (client, ip) in [(US, "203.0.113.1"), (GB, "203.0.113.2")] {
        let reply = play(&service, "/live/show.flv?token=x", client).await;
        assert_eq!(reply.status, 302, "{reply:#?}");
        let location = reply.header("location").to_owned();
        assert!(
            location.starts_with(&format!("http://{ip}:8080/live/show.flv?token=x&nc_hop=")),
            "{location}"
        );
        let resolved =
            service.get(&format!("/resolve?domain=live.example.com&ip={client}&stream=live/show")).await;
        assert_eq!(resolved.json()["ips"][0], ip, "/resolve says the same");
    }
    edges[1].exporter.set(|knobs| knobs.process_cpu = 0.99);
    until_node(&service, &edges[1].id, "is overloaded", |node| node["state"] == "overloaded").await;
    let reply = play(&service, "/live/show.flv", GB).await;
    let location = reply.header("location");
    assert!(!location.is_empty() && !location.contains("203.0.113.2:"), "{reply:#?}");
    // An edge that has no room for itself sends its player back, and the next answer is another one.
    let sent_back = location.trim_start_matches("http://").split_once('/').unwrap().1.to_owned();
    let again = play(&service, &format!("/{sent_back}"), GB).await;
    assert_eq!(again.status, 302, "{again:#?}");
    let host = |location: &str| location.split('/').nth(2).unwrap().to_owned();
    assert_ne!(host(again.header("location")), host(location));
}

#[tokio::test]
async fn a_reload_changes_what_nodes_are_called_and_head_books_nothing_less() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let config = with_ports(&edges);
    let service = Service::start(&config).await;
    let named = config.replace("policy = ", "redirect_host = \"{id}.edges.example.com\"\npolicy = ");
    service.rewrite(&named);
    assert_eq!(service.reload().await.status, 200);
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let asked = client.head(service.player_url("/live/show.m3u8")).header("host", "live.example.com");
    let reply = asked.header("range", "bytes=0-1").send().await.unwrap();
    assert_eq!(reply.status(), 302);
    let location = reply.headers()["location"].to_str().unwrap();
    assert_eq!(location, "http://chicago-1.edges.example.com:8080/live/show.m3u8?nc_hop=chicago-1");
}

#[tokio::test]
async fn no_part_of_a_stream_url_can_be_abused() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = Service::start(&with_ports(&edges)).await;
    let long = "a".repeat(600);
    let longest = "a".repeat(9_000);
    let four = format!("/live/a.flv?nc_hop={}", ["sh-1"; 4].join(","));
    for (target, status, code) in [
        ("/live/%ff.flv", 400, "invalid-parameter"),
        ("/live/%.flv", 400, "invalid-parameter"),
        ("/live/a%0d%0aSet-Cookie:%20x.flv", 400, "invalid-parameter"),
        ("/live/a%00.flv", 400, "invalid-parameter"),
        ("/live/a%2f..%2fb.flv", 400, "invalid-parameter"),
        (&*format!("/live/{long}.flv"), 400, "invalid-parameter"),
        ("/live/a.flv?domain=a..b", 400, "invalid-parameter"),
        ("/live/a.flv?domain=http://x/", 400, "invalid-parameter"),
        ("/live/a.flv?vhost=%ff", 400, "invalid-parameter"),
        ("/live/a.flv?vhost=live.example.com&vhost=live.example.com", 400, "invalid-parameter"),
        ("/live/a.flv?vhost=a.example&domain=live.example.com", 400, "invalid-parameter"),
        ("/live/a.flv?nc_hop=a%0d%0ab", 400, "invalid-parameter"),
        ("/live/a.flv?nc_hop=,", 400, "invalid-parameter"),
        (&*four, 400, "invalid-parameter"),
        ("/live/a.flv?nc_hop=a,b,c", 503, "redirect-loop"),
        ("/live/a.flv?nc_hop=chicago-1", 503, "no-node-available"),
        ("/live/a.flv?domain=other.example.com", 404, "unknown-domain"),
        ("/live/a.sh", 404, "not-found"),
        ("/live/a.FLV", 404, "not-found"),
        ("/t/0123456789abcdef/live/a.flv", 404, "not-found"),
        ("/t/0123456789abcdef/chicago-1/live/a.flv", 404, "not-found"),
        (&*format!("/live/a.flv?{longest}"), 414, "uri-too-long"),
    ] {
        let reply = play(&service, target, US).await;
        assert_eq!((reply.status, &reply.json()["code"]), (status, &json!(code)), "{target}");
        assert!(!reply.headers.contains_key("location") && !reply.headers.contains_key("set-cookie"));
    }
    let reply = play(&service, "/live/a.flv?x=%0d%0aSet-Cookie:y&nc_hop=nobody", US).await;
    assert_eq!(reply.status, 302);
    assert!(reply.header("location").ends_with("/live/a.flv?x=%0d%0aSet-Cookie:y&nc_hop=nobody,chicago-1"));
}

/// One origin at 127.0.0.1 and one edge at 127.0.0.3, as in the recordings.
const RECORDED: &str = r#"
    [streams]
    poll_interval = "10m"
    [[pools]]
    name = "origins"
    [[pools]]
    name = "edges"
    [[domains]]
    name = "live.example.com"
    pool = "edges"
    origins = "origins"
    [[nodes]]
    id = "o-1"
    pool = "origins"
    role = "origin"
    addresses = ["127.0.0.1"]
    media = { rtmp = 19350, http = 18081, api = 19851 }
    [[nodes]]
    id = "e-1"
    pool = "edges"
    addresses = ["127.0.0.3"]
    media = { http = 18088 }
"#;

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/srs").join(name);
    std::fs::read_to_string(path).unwrap()
}

async fn publish(service: &Service, stream: &str) {
    let body = json!({
        "server_id": "vid-1", "service_id": "s", "action": "on_publish", "client_id": "c", "ip": "198.51.100.1",
        "vhost": "__defaultVhost__", "app": "live", "stream": stream,
    })
    .to_string();
    let head =
        format!("POST /hooks/on_publish HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    assert_eq!(sent(service, "127.0.0.1", format!("{head}{body}").as_bytes()).await.0, 200);
}

#[tokio::test]
async fn the_recorded_question_of_an_srs_edge_is_answered_as_in_the_recording() {
    let service = Service::launch(RECORDED).await;
    let recording = fixture("flv_edge_get_and_302.txt");
    let (request, answer) = recording.split_once("\n--- answer ---\n").unwrap();
    let request = format!("{}\r\n\r\n", request.trim_end().replace('\n', "\r\n"));
    assert!(request.contains("User-Agent: SRS/7.0.18(Hang)") && request.contains("Content-Length: 0"));
    assert_eq!(sent(&service, "127.0.0.3", request.as_bytes()).await.0, 404, "nobody publishes it yet");
    publish(&service, "livestream").await;
    let recorded = answer.trim().strip_prefix("HTTP 302 ").unwrap();
    let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
    let told = sent(&service, "127.0.0.3", request.as_bytes()).await;
    assert_eq!(told, (302, recorded["Location"].as_str().unwrap().to_owned()));
    // The origin itself is no edge, and by the host of the recording no player of a domain.
    assert_eq!(sent(&service, "127.0.0.1", request.as_bytes()).await.0, 404);
}

#[tokio::test]
async fn every_recorded_url_of_an_srs_edge_gets_what_it_follows() {
    let service = Service::launch(RECORDED).await;
    let mut cases = 0;
    for line in fixture("flv_edge_302_cases.log.txt").lines() {
        let url = line.strip_prefix("Edge: Connect to ").unwrap().split(' ').next().unwrap();
        let (host, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let stream = target.strip_prefix("live/").unwrap().split_once(".flv").unwrap().0;
        publish(&service, stream).await;
        let request = format!(
            "GET /{target} HTTP/1.1\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\nContent-Type: application/json\r\n\
             Host: {host}\r\nUser-Agent: SRS/7.0.18(Hang)\r\n\r\n"
        );
        let told = sent(&service, "127.0.0.3", request.as_bytes()).await;
        assert_eq!(told, (302, format!("http://127.0.0.1:18081/{target}")));
        cases += 1;
    }
    assert_eq!(cases, 4);
}
