//! Heartbeats at their front: who is believed, what is refused, and in which shape.

use std::sync::LazyLock;

use super::*;
use crate::config::{Config, Streams};
use crate::http::srs::caller::{CallerToken, Callers};

const TOKEN: &str = "the-token-of-edges";
/// What SRS 7.0.18 sends.
static BEAT: LazyLock<&str> = LazyLock::new(|| {
    let capture = include_str!("../../../tests/fixtures/srs/heartbeat_originA_post.txt");
    capture.lines().find(|line| line.starts_with('{')).unwrap()
});

/// `sh-1` has the address 203.0.113.10; a token speaks for `edges`, whose nodes may register.
fn listening() -> Arc<Front> {
    let front = front_of(Resolver::for_tests_measured());
    let token = CallerToken::new(TOKEN.as_bytes()).unwrap();
    front.answer_callers(Some(Callers::new(Streams::default(), [(token, "edges".into())]).unwrap()));
    let text = "pools = [{ name = \"edges\" }]\ndomains = [{ name = \"a.example\", pool = \"edges\" }]\nstreams = {}\n\
                callers = [{ token_file = \"a\", pool = \"edges\", register = { most = 2 } }]";
    let callers = Config::parse(text, "test").unwrap().callers;
    let templates = callers.into_iter().filter_map(|caller| caller.register).collect();
    front.resolver.state().registry().enrol_by(templates);
    front
}

async fn beat(front: &Arc<Front>, peer: &str, path: &str, body: &str) -> Answer {
    let mut request = request("POST", path);
    *request.body_mut() = Full::from(body.to_owned());
    by_router(front, Side::Player, peer, request).await
}

#[track_caller]
fn refused(answer: &Answer, code: u16, words: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["code"], code, "{body}");
    assert!(body["msg"].as_str().unwrap().contains(words), "{body}");
}

#[tokio::test]
async fn without_the_section_there_is_no_such_surface() {
    let front = front();
    front.answer_callers(None);
    let answer = beat(&front, STRANGER, "/api/v1/servers", &BEAT).await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (404, Some("not-found")));
}

#[tokio::test]
async fn every_way_to_a_heartbeat_is_answered_as_srs_and_its_proxy_do() {
    for path in ["api/v1/servers", "api/v1/srs/register"] {
        for (prefix, peer) in [
            (format!("/t/{TOKEN}/"), STRANGER),
            (format!("/t/{TOKEN}/sh-1/"), STRANGER),
            ("/".to_owned(), "203.0.113.10:40000"),
        ] {
            let front = listening();
            let answer = beat(&front, peer, &format!("{prefix}{path}"), &BEAT).await;
            assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
            let body = answer.json();
            assert_eq!((&body["code"], body["pid"].is_string()), (&0.into(), true), "{body}");
        }
    }
}

#[tokio::test]
async fn whoever_is_not_believed_is_refused_before_he_is_read() {
    let front = listening();
    for path in
        ["/t/the-token-of-edge/api/v1/servers", "/t/x/sh-1/api/v1/servers", "/t/%ff/api/v1/srs/register"]
    {
        refused(&beat(&front, "203.0.113.10:4711", path, "no JSON").await, 403, "not one of [[callers]]");
    }
    refused(&beat(&front, STRANGER, "/api/v1/servers", &BEAT).await, 403, "nothing speaks for");
    let spare = beat(&front, STRANGER, &format!("/t/{TOKEN}/spare-1/api/v1/servers"), &BEAT).await;
    refused(&spare, 403, "does not speak for that node");
    let nodes = front.resolver.state().registry().version();
    assert_eq!(nodes, 1, "nothing has registered since the templates were given");
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_by_name_and_leaves_nothing_behind() {
    let front = listening();
    let path = format!("/t/{TOKEN}/api/v1/servers");
    let large = format!("{{\"device_id\":\"a\",\"x\":\"{}\"}}", "x".repeat(70_000));
    for (body, code, words) in [
        ("", 400, "body: EOF"),
        ("{", 400, "body: EOF"),
        ("[1]", 400, "body: must be a JSON object"),
        ("{\"device_id\":7.5e300}", 400, "no name for a node"),
        ("{\"device_id\":\"a b\"}", 400, "no name for a node"),
        ("{}", 400, "no name for a node"),
        ("{\"device_id\":\"a\",\"ip\":7}", 400, "ip: must be an IP address"),
        ("{\"device_id\":\"a\",\"rtmp\":[\"x:1\"]}", 400, "rtmp: must be a list of endpoints"),
        (&large, 413, "more than 65536 bytes"),
        ("{\"device_id\":\"spare-1\"}", 409, "node spare-1 is another one"),
    ] {
        refused(&beat(&front, STRANGER, &path, body).await, code, words);
    }
    assert_eq!(front.resolver.state().registry().version(), 1);
    for (i, code) in [(1, 0), (2, 0), (3, 503)] {
        let body =
            beat(&front, &format!("198.51.100.{i}:4711"), &path, &BEAT.replace("originA", &format!("n{i}")))
                .await;
        assert_eq!(body.json()["code"], code);
    }
    let page = front.telemetry.page(crate::telemetry::Exposition::OpenMetrics, Default::default());
    for (outcome, count) in [("refused", 11), ("new", 2), ("known", 0)] {
        let line = format!("nearcast_heartbeats_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(page.contains(&line), "{outcome}: {page}");
    }
}
