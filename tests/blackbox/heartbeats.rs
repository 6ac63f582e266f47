//! Heartbeats of SRS: recorded ones byte for byte, nodes that come and go by them, and who is not believed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::stage::{CHICAGO, Edge, PATIENCE, US, live, node, resolve, scrape_each, until_answer, until_node};
use super::support::{Service, eventually, post_json};

const ORIGIN: &str = include_str!("../fixtures/srs/heartbeat_originA_post.txt");
const EDGE: &str = include_str!("../fixtures/srs/heartbeat_edge1_post.txt");

const TOKEN: &str = "the-token-of-edges-0123";
const FILES: [(&str, &str); 1] = [("edges.token", TOKEN)];

/// Nodes of `edges` register near the United States, by token or from loopback.
fn registering(more: &str) -> String {
    format!(
        "[scrape]\ninterval = \"1s\"\n[streams]\nnetworks = [\"127.0.0.0/8\"]\n\
         [[pools]]\nname = \"edges\"\n[[domains]]\nname = \"live.example.com\"\npool = \"edges\"\n\
         [[callers]]\ntoken_file = \"edges.token\"\npool = \"edges\"\n[callers.register]\nbandwidth = \"1Gbps\"\n\
         location = {{ latitude = 41.88, longitude = -87.63 }}\n{more}"
    )
}

/// A recorded request as it was sent. The recording has its line ends as lines of text, and a folder in the body was
/// shortened after it, so the length is worked out anew.
fn as_sent(capture: &str) -> Vec<u8> {
    let (head, rest) = capture.split_once("\n\n").unwrap();
    let body = rest.lines().find(|line| line.starts_with('{')).unwrap();
    let length = head.lines().find(|line| line.starts_with("Content-Length: ")).unwrap();
    let head = head.replace(length, &format!("Content-Length: {}", body.len())).replace('\n', "\r\n");
    format!("{head}\r\n\r\n{body}").into_bytes()
}

/// Sends bytes from a loopback address, and returns the answer's head and body.
async fn send_from(service: &Service, from: &str, bytes: &[u8]) -> (String, Value) {
    let url = service.player_url("");
    let to: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).await.unwrap();
        assert!(length > 0, "closed without an answer: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if let Ok(body) = serde_json::from_str(body) {
            return (head.to_owned(), body);
        }
    }
}

/// A server with its own address; `n` is in all of its names.
fn beat(n: usize, sent_bytes: u64, clock_ms: u64) -> String {
    json!({
        "device_id": format!("edge-{n}"), "ip": format!("198.18.{}.{}", n / 200, n % 200 + 1),
        "server": format!("vid-{n}"), "service": "1", "pid": "7", "rtmp": ["1935"], "http": ["tcp://0.0.0.0:8080"],
        "summaries": { "data": { "ok": true, "self": { "pid": 7, "cpu_percent": 0.2 }, "system": {
            "cpu_percent": 0.1, "cpus_online": 8, "srs_sample_time": clock_ms, "srs_send_bytes": sent_bytes,
            "conn_srs": 3
        } } }
    })
    .to_string()
}

async fn post_beat(service: &Service, path: &str, body: String) -> Value {
    let reply = post_json(&service.player_url(path), body, &[]).await.unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

async fn until_nodes(service: &Service, count: usize) {
    eventually(&format!("there are {count} nodes"), PATIENCE, || async {
        let found = service.admin("/nodes").await.json()["nodes"].as_array().unwrap().len();
        if found == count { Ok(()) } else { Err(format!("{found} {}", service.log())) }
    })
    .await;
}

#[tokio::test]
async fn recorded_heartbeats_are_answered_in_the_shape_that_srs_accepted() {
    let service = Service::launch_with(&registering(""), &FILES, &[], "").await;
    for (capture, from) in [(ORIGIN, "127.0.0.2"), (EDGE, "127.0.0.3")] {
        let (head, body) = send_from(&service, from, &as_sent(capture)).await;
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
        assert_eq!(body["code"], 0, "{body}");
    }
    until_nodes(&service, 2).await;
    let origin = node(&service, "originA").await;
    assert_eq!((&origin["addresses"], &origin["state"]), (&json!(["127.0.0.2"]), &json!("starting")));
    assert_eq!(origin["heartbeat"]["servers"], json!(["vid-8970ilt"]));
    assert_eq!(origin["clients"], 4.0);
    let edge = node(&service, "edge1").await;
    assert_eq!((&edge["addresses"], &edge["state"]), (&json!(["127.0.0.3"]), &json!("unmeasured")));
}

#[tokio::test]
async fn a_server_registers_is_measured_resolved_and_down_when_it_falls_silent() {
    let service = Service::launch_with(&registering("trust_ip = true\nmissed = 2\n"), &FILES, &[], "").await;
    let path = format!("/t/{TOKEN}/api/v1/srs/register");
    let on = Arc::new(AtomicBool::new(true));
    let sends = async {
        // 100 Mbit/s by its own clock.
        for turn in 0.. {
            if !on.load(Ordering::Relaxed) {
                break;
            }
            let (sent, clock_ms) = (turn * 2_500_000, 1_000_000 + turn * 200);
            assert_eq!(post_beat(&service, &path, beat(1, sent, clock_ms)).await["code"], 0);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let looks = async {
        until_nodes(&service, 1).await;
        let measured = until_node(&service, "edge-1", "is measured", |node| node["state"] == "healthy").await;
        assert_eq!(measured["heartbeat"]["missing"], false);
        until_node(&service, "edge-1", "sends 100 Mbit/s", |node| {
            node["egress_mbps"].as_f64().is_some_and(|mbps| (mbps - 100.0).abs() < 20.0)
        })
        .await;
        let answer = resolve(&service, &format!("ip={US}")).await;
        assert_eq!(answer["ips"], json!(["198.18.0.2"]));
        // A reload keeps whoever has registered.
        let reply = service.reload().await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(node(&service, "edge-1").await["state"], "healthy");
        on.store(false, Ordering::Relaxed);
    };
    tokio::join!(sends, looks);
    let down = until_node(&service, "edge-1", "is down", |node| node["state"] == "down").await;
    assert!(down["reasons"][0].as_str().unwrap().starts_with("no heartbeat for "), "{down:#}");
    let events = service.admin("/events").await.body;
    assert!(events.contains("registered"), "{events}");
    assert!(!service.log().contains(TOKEN), "{}", service.log());
}

#[tokio::test]
async fn a_thousand_servers_that_begin_at_once_are_few_fleets() {
    let service = Service::launch_with(&registering("trust_ip = true\nmost = 1000\n"), &FILES, &[], "").await;
    let url = service.player_url(&format!("/t/{TOKEN}/api/v1/servers"));
    let client = crate::support::client();
    let began = tokio::time::Instant::now();
    let mut took = Vec::new();
    for n in 0..1_000 {
        let sent = tokio::time::Instant::now();
        let reply = client.post(&url).body(beat(n, 0, 1_000)).send().await.unwrap();
        let body: Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
        took.push(sent.elapsed());
        assert_eq!(body["code"], 0, "{n}: {body}");
    }
    let seconds = began.elapsed().as_secs_f64();
    took.sort();
    println!("1,000 registrations in {seconds:.2} s, median {:?}, p99 {:?}", took[500], took[990]);
    let refused = post_beat(&service, &format!("/t/{TOKEN}/api/v1/servers"), beat(1_000, 0, 1_000)).await;
    assert_eq!(refused["code"], 503, "{refused}");
    until_nodes(&service, 1_000).await;
    let fleets = service.log().matches("registered nodes are in service").count();
    println!("put in force in {fleets} fleets");
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let fleets = fleets as f64;
    assert!(fleets <= seconds + 3.0, "{fleets} fleets in {seconds:.1} s");
}

#[tokio::test]
async fn whoever_is_not_believed_registers_nothing_and_his_token_is_not_kept() {
    let config = registering("").replace("networks = [\"127.0.0.0/8\"]\n", "");
    let service = Service::launch_with(&config, &FILES, &[], "debug").await;
    let forged = "the-token-of-edges-0124";
    for path in [
        format!("/t/{forged}/api/v1/servers"),
        "/api/v1/servers".into(),
        format!("/t/{forged}/x/api/v1/servers"),
    ] {
        assert_eq!(post_beat(&service, &path, beat(1, 0, 1_000)).await["code"], 403);
    }
    assert_eq!(service.get(&format!("/t/{TOKEN}/api/v1/servers")).await.status, 405);
    assert_eq!(service.get(&format!("/t/{TOKEN}/nothing")).await.status, 404);
    let metrics = service.admin("/metrics").await.body;
    assert!(metrics.contains("nearcast_heartbeats_total{outcome=\"refused\"} 3\n"), "{metrics}");
    assert_eq!(service.admin("/nodes").await.json()["nodes"], json!([]));
    let log = service.log();
    assert!(log.contains("heartbeat refused"), "{log}");
    assert!(!log.contains(TOKEN) && !log.contains(forged), "{log}");
}

#[tokio::test]
async fn an_exporter_that_closes_while_heartbeats_come_is_a_node_that_leaves() {
    let mut edges = Edge::start_each(&[CHICAGO, super::stage::NEW_YORK]).await;
    let config = live(&scrape_each(500), &edges);
    let config = format!("{config}[streams]\n[[callers]]\ntoken_file = \"edges.token\"\npool = \"edges\"\n");
    let service = Service::launch_with(&config, &FILES, &[], "").await;
    let (leaving, id) = (edges[0].ip.clone(), edges[0].id.clone());
    until_node(&service, &id, "is measured", |node| node["state"] == "healthy").await;
    let path = format!("/t/{TOKEN}/{id}/api/v1/servers");
    let on = Arc::new(AtomicBool::new(true));
    let sends = async {
        while on.load(Ordering::Relaxed) {
            assert_eq!(post_beat(&service, &path, "{\"server\":\"vid-1\"}".into()).await["code"], 0);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let looks = async {
        until_node(&service, &id, "is heard", |node| node["heartbeat"]["missing"] == false).await;
        edges[0].exporter.refuse().await;
        let draining = until_node(&service, &id, "leaves", |node| node["state"] == "draining").await;
        assert!(draining["reasons"][0].as_str().unwrap().starts_with("leaving: "), "{draining:#}");
        assert_eq!(draining["drain"], Value::Null, "nobody's order");
        until_answer(&service, &format!("ip={US}&n=1"), "another edge is answered", |answer| {
            answer["ips"] != json!([leaving])
        })
        .await;
        on.store(false, Ordering::Relaxed);
    };
    tokio::join!(sends, looks);
    until_node(&service, &id, "is down when its heartbeats end, too", |node| node["state"] == "down").await;
}
