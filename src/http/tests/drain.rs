//! Drains over HTTP: what is answered, what is refused, and that a browser's foreign page gets nowhere.

use super::*;

const DRAIN: &str = "/nodes/sh-1/drain";

async fn post(front: &Arc<Front>, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method("POST").uri(target).header("host", "127.0.0.1:8081");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    by_router(front, Side::Ops, PROXY, request.body(Full::from(body.to_owned())).unwrap()).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_drain_is_answered_with_the_node_and_an_undrain_ends_it() {
    let front = front();
    let body = r#"{"reason": "kernel update", "ttl_s": 3600}"#;
    for _ in 0..2 {
        let drained = post(&front, DRAIN, &[JSON], body).await;
        assert_eq!((drained.status, drained.header("cache-control")), (StatusCode::OK, "no-store"));
        let node = drained.json();
        assert_eq!((&node["id"], &node["state"]), (&"sh-1".into(), &"draining".into()));
        assert_eq!(node["reasons"][0], "drained by an operator: kernel update");
        assert_eq!(keys(&node["drain"]), ["evict_per_minute", "for_s", "left_s", "reason", "until"]);
        assert!(node["drain"]["left_s"].as_f64().unwrap() > 3_590.0);
    }
    let listed = by_router(&front, Side::Ops, PROXY, request("GET", "/nodes?state=draining")).await.json();
    assert_eq!(listed["nodes"][0]["drain"]["reason"], "kernel update");
    for _ in 0..200 {
        let asked = request("GET", "/resolve?domain=live.example.com&detail=1");
        let body = by_lane(&front, STRANGER, asked).await.json();
        assert!(body["nodes"].as_array().unwrap().iter().all(|node| node["id"] != "sh-1"));
    }
    for _ in 0..2 {
        let node = post(&front, "/nodes/sh-1/undrain", &[], "").await.json();
        assert_eq!((&node["state"], &node["drain"]), (&"unmeasured".into(), &Value::Null));
    }
    let node = post(&front, DRAIN, &[], "").await.json();
    assert_eq!((&node["drain"]["reason"], &node["drain"]["until"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn wrong_orders_are_refused_and_change_nothing() {
    let front = front();
    let form = ("content-type", "application/x-www-form-urlencoded");
    post(&front, DRAIN, &[form], "reason=a").await.is_problem(415, "unsupported-media-type");
    post(&front, DRAIN, &[("content-type", "text/plain")], "{}")
        .await
        .is_problem(415, "unsupported-media-type");
    for (body, name) in
        [(r#"{"ttl_s": 0}"#, "ttl_s"), (r#"{"reason": []}"#, "reason"), ("[]", "body"), ("{", "body")]
    {
        let problem = post(&front, DRAIN, &[JSON], body).await.is_problem(400, "invalid-parameter");
        assert_eq!(problem["invalid_params"][0]["name"], name, "{body}");
    }
    let long = format!(r#"{{"reason": "{}"}}"#, "a".repeat(9_000));
    post(&front, DRAIN, &[JSON], &long).await.is_problem(400, "invalid-parameter");
    let problem = post(&front, "/nodes/sh-1/undrain", &[JSON], r#"{"ttl_s": 5}"#).await;
    problem.is_problem(400, "invalid-parameter");
    post(&front, "/nodes/sh-9/drain", &[], "").await.is_problem(404, "unknown-node");
    post(&front, "/nodes/sh-9/undrain", &[], "").await.is_problem(404, "unknown-node");
    post(&front, "/nodes/%ff/drain", &[], "").await.is_problem(400, "invalid-parameter");
    let node = by_router(&front, Side::Ops, PROXY, request("GET", "/nodes/sh-1")).await.json();
    assert_eq!(node["state"], "unmeasured");
    by_router(&front, Side::Ops, PROXY, request("GET", DRAIN)).await.is_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_foreign_page_cannot_drain() {
    let front = front();
    for target in [DRAIN, "/nodes/sh-1/undrain"] {
        for origin in ["https://evil.example", "null", "http://127.0.0.1:8080"] {
            let answer = post(&front, target, &[("origin", origin), JSON], "{}").await;
            answer.is_problem(403, "cross-origin");
        }
        let ours = post(&front, target, &[("origin", "http://127.0.0.1:8081"), JSON], "{}").await;
        assert_eq!(ours.status, 200);
    }
}

#[tokio::test]
async fn a_preview_says_where_the_last_answers_would_go() {
    let front = front();
    let preview = || by_router(&front, Side::Ops, PROXY, request("GET", "/nodes/sh-1/drain-preview"));
    assert!(preview().await.json()["verdict"].as_str().unwrap().starts_with("nobody was sent here"));
    for _ in 0..100 {
        by_lane(&front, STRANGER, request("GET", "/resolve?domain=live.example.com")).await;
    }
    let before = by_router(&front, Side::Ops, PROXY, request("GET", "/nodes/sh-1")).await.json();
    let body = preview().await.json();
    assert_eq!(body["answers"], before["answers"], "nothing has been settled, so they are the ledger's");
    let taken: u64 =
        body["nodes"].as_array().unwrap().iter().map(|node| node["answers"].as_u64().unwrap()).sum();
    assert_eq!(taken, body["answers"].as_u64().unwrap());
    by_router(&front, Side::Ops, PROXY, request("GET", "/nodes/sh-9/drain-preview"))
        .await
        .is_problem(404, "unknown-node");
}
