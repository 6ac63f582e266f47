//! Media servers that call us, through the real binary: recorded calls of SRS byte for byte, tokens, lists of origins.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::stage::PATIENCE;
use super::support::{Reply, Service, eventually, post_json};

const TOKEN: &str = "a-token-that-origins-have";
const OTHER: &str = "another-token-of-the-same";

/// `o-1` at 127.0.0.1, as in the recordings, `o-2` and `e-1` beside it.
fn config(api: u16, poll_interval: &str) -> String {
    format!(
        r#"
        [streams]
        poll_interval = "{poll_interval}"
        [[callers]]
        token_file = "origins.token"
        pool = "origins"
        [[pools]]
        name = "origins"
        [[pools]]
        name = "edges"
        [[domains]]
        name = "live.example.com"
        pool = "edges"
        [[nodes]]
        id = "o-1"
        pool = "origins"
        role = "origin"
        addresses = ["127.0.0.1"]
        media = {{ rtmp = 19350, api = {api} }}
        [[nodes]]
        id = "o-2"
        pool = "origins"
        role = "origin"
        addresses = ["127.0.0.2"]
        media = {{ rtmp = 19351 }}
        [[nodes]]
        id = "e-1"
        pool = "edges"
        addresses = ["127.0.0.3"]
        "#
    )
}

async fn service(api: u16, poll_interval: &str) -> Service {
    Service::launch_with(&config(api, poll_interval), &[("origins.token", TOKEN)], &[], "debug").await
}

/// A recorded request as it came, and what stood in its recorded answer.
fn recorded(name: &str) -> (Vec<u8>, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/srs").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let (request, answer) = text.split_once("\n--- answer ---\nHTTP 200 {}\n").unwrap();
    let (head, body) = request.split_once("\n\n").unwrap();
    let body = body.trim_matches('\n');
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    // Its folder on the recording machine was taken out of that one.
    let is_whole = length == body.len().to_string() || name == "hook_on_hls.txt";
    assert!(is_whole, "{name}: {length} octets promised, {} there", body.len());
    let head = head
        .replace(&format!("Content-Length: {length}"), &format!("Content-Length: {}", body.len()))
        .replace('\n', "\r\n");
    let request = format!("{head}\r\n\r\n{body}").into_bytes();
    (request, serde_json::from_str(answer.trim()).unwrap())
}

/// Sends bytes from an address, and reads the answer that its length promises.
async fn sent(service: &Service, from: &str, request: &[u8]) -> (u16, Value) {
    let to: SocketAddr = service.player_url("").trim_start_matches("http://").parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    stream.write_all(request).await.unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() < length.parse().unwrap() {
            continue;
        }
        let text = String::from_utf8(answer).unwrap();
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        return (text[9..12].parse().unwrap(), serde_json::from_str(body).unwrap());
    }
}

async fn replayed(service: &Service, from: &str, name: &str) -> Value {
    let (request, accepted) = recorded(name);
    let (status, answer) = sent(service, from, &request).await;
    assert_eq!((status, &answer["code"]), (200, &accepted["code"]), "{name}: {answer}");
    answer
}

async fn names(service: &Service) -> Vec<String> {
    let listed = service.admin("/streams").await.json();
    let name = |stream: &Value| stream["name"].as_str().unwrap().to_owned();
    listed["streams"].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn every_recorded_hook_is_answered_in_the_shape_that_srs_accepted() {
    let service = service(19_851, "10m").await;
    for name in ["hook_on_connect.txt", "hook_on_publish.txt", "hook_on_hls.txt"] {
        assert_eq!(replayed(&service, "127.0.0.1", name).await, json!({ "code": 0 }), "{name}");
    }
    assert_eq!(names(&service).await, ["live/livestream"]);
    for number in 1..=8 {
        let name = format!("hook_on_play_{number}.txt");
        assert_eq!(replayed(&service, "127.0.0.3", &name).await, json!({ "code": 0 }), "{name}");
    }
    assert_eq!(replayed(&service, "127.0.0.1", "hook_on_unpublish.txt").await, json!({ "code": 0 }));
    assert_eq!(names(&service).await, [""; 0]);
}

#[tokio::test]
async fn the_recorded_question_of_an_origin_is_answered_as_srs_answers_it() {
    let service = service(19_851, "10m").await;
    let asked = "coworker_query_to_dedicated_service.txt";
    assert_eq!(replayed(&service, "127.0.0.2", asked).await["data"]["origin"], Value::Null);
    replayed(&service, "127.0.0.1", "hook_on_publish.txt").await;
    let answer = replayed(&service, "127.0.0.2", asked).await;
    let srs = include_str!("../fixtures/srs/coworker_answer_from_srs.txt");
    let srs = &srs[srs.find('{').unwrap()..];
    assert_eq!(answer, serde_json::from_str::<Value>(srs).unwrap());
    assert_eq!(
        replayed(&service, "127.0.0.1", asked).await["data"]["origin"],
        Value::Null,
        "the asker itself"
    );
    // A second origin is told to refuse.
    let (request, _) = recorded("hook_on_publish.txt");
    let by_a_stranger = String::from_utf8(request).unwrap().replace("\"127.0.0.1\"", "\"127.0.0.9\"");
    let (status, refused) = sent(&service, "127.0.0.2", by_a_stranger.as_bytes()).await;
    assert_eq!((status, &refused["code"]), (200, &json!(409)), "{refused}");
}

async fn hook(service: &Service, path: &str, stream: &str) -> Reply {
    let body = json!({
        "server_id": "vid-1", "service_id": "s", "action": "on_publish", "client_id": "c",
        "ip": "198.51.100.1", "vhost": "__defaultVhost__", "app": "live", "stream": stream,
    });
    let url = service.player_url(path);
    post_json(&url, body.to_string(), &[("x-forwarded-for", "198.51.100.9")]).await.unwrap()
}

#[tokio::test]
async fn a_token_counts_while_it_is_in_its_file_and_stands_in_no_log() {
    let service = service(19_851, "10m").await;
    let path = |token: &str| format!("/t/{token}/o-1/hooks/on_publish");
    assert_eq!(hook(&service, "/hooks/on_publish", "a").await.json()["code"], 403);
    assert_eq!(hook(&service, &path(OTHER), "a").await.json()["code"], 403);
    assert_eq!(hook(&service, &path(TOKEN), "a").await.json()["code"], 0);
    hook(&service, &format!("/t/{TOKEN}/nowhere"), "a").await;
    service.write("origins.token", OTHER);
    assert_eq!(service.reload().await.status, 200);
    assert_eq!(hook(&service, &path(TOKEN), "b").await.json()["code"], 403);
    assert_eq!(hook(&service, &path(OTHER), "c").await.json()["code"], 0);
    assert_eq!(names(&service).await, ["live/a", "live/c"]);
    service.write("origins.token", "short");
    let refused = service.reload().await;
    assert_eq!(refused.status, 422, "{refused:#?}");
    assert!(refused.body.contains("callers.token_file of origins") && refused.body.contains("fewer than 16"));
    assert_eq!(hook(&service, &path(OTHER), "d").await.json()["code"], 0, "nothing has changed");
    let log = service.log();
    assert!(!log.contains(TOKEN) && !log.contains(OTHER), "{log}");
    assert!(log.contains("/t/…/nowhere") && log.contains("hook refused"), "{log}");
}

/// An API that lists these streams as published, until told otherwise; asked by how many so far.
async fn api(streams: &Arc<Mutex<(Vec<&'static str>, usize)>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let streams = Arc::clone(streams);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4_096];
            let read = stream.read(&mut head).await.unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let listed = |name: &&str| {
                json!({ "url": format!("/live/{name}"), "app": "live", "name": name, "clients": 1,
                        "publish": { "active": true }, "kbps": { "recv_30s": 0 } })
            };
            let page = {
                let mut streams = streams.lock().unwrap();
                streams.1 += usize::from(head.starts_with("GET /api/v1/streams/?count=10000 "));
                let list: Vec<Value> = streams.0.iter().map(listed).collect();
                json!({ "code": 0, "server": "vid-1", "service": "s", "pid": "7", "streams": list })
                    .to_string()
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{page}",
                page.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

#[tokio::test]
async fn what_an_origin_lists_is_known_and_what_two_lists_lack_is_not() {
    let told = Arc::new(Mutex::new((vec!["a", "b"], 0)));
    let service = service(api(&told).await, "1s").await;
    let known = async |expected: &[&str]| {
        eventually("the table is as the origin lists", PATIENCE, async || {
            let names = names(&service).await;
            if names == expected { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .await;
    };
    known(&["live/a", "live/b"]).await;
    let origin = &service.admin("/streams?name=live/a").await.json()["streams"][0]["origins"][0];
    assert_eq!(
        (&origin["node"], &origin["pid"], &origin["source"]),
        (&json!("o-1"), &json!("7"), &json!("list"))
    );
    // A hook of the same process is no news of a restart, and outlives a list that was made before it.
    assert_eq!(hook(&service, &format!("/t/{TOKEN}/o-1/hooks/on_publish"), "c").await.json()["code"], 0);
    let asked = {
        let mut told = told.lock().unwrap();
        told.0 = vec!["b", "c"];
        told.1
    };
    known(&["live/b", "live/c"]).await;
    assert!(told.lock().unwrap().1 >= asked + 2, "one list that lacks a stream is not enough");
}
