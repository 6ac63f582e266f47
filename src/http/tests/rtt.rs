//! Tests of reports of measured times, from the token to the answer that they change.

use serde_json::json;

use super::contract::{contract, keeps_the_contract};
use super::*;

fn taking() -> Arc<Front> {
    front_of(Resolver::for_tests_with_reports())
}

async fn post(front: &Arc<Front>, peer: &str, body: impl Into<Bytes>) -> Answer {
    let asked = Request::post("/rtt").body(Full::new(body.into())).unwrap();
    let answer = by_lane(front, peer, asked).await;
    let contract = contract();
    keeps_the_contract(&contract, &contract["paths"]["/rtt"]["post"]["responses"], &answer, "POST /rtt");
    answer
}

async fn token(front: &Arc<Front>, peer: &str) -> String {
    let asked = request("GET", "/resolve?domain=live.example.com&detail=1");
    let answer = by_lane(front, peer, asked).await;
    let contract = contract();
    keeps_the_contract(&contract, &contract["paths"]["/resolve"]["get"]["responses"], &answer, "a token");
    answer.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_secret_there_is_no_token_and_no_surface() {
    let detailed = player("GET", "/resolve?domain=live.example.com&detail=1").await.json();
    assert!(!keys(&detailed).contains(&"token"));
    post(&front(), STRANGER, "{}").await.is_problem(404, "not-found");
}

#[tokio::test]
async fn a_token_is_given_with_detail_only() {
    let asked = request("GET", "/resolve?domain=live.example.com");
    assert!(!keys(&by_lane(&taking(), STRANGER, asked).await.json()).contains(&"token"));
    assert_eq!(token(&taking(), STRANGER).await.len(), 80);
}

#[tokio::test]
async fn a_report_is_taken_and_unknown_addresses_are_counted() {
    let front = taking();
    let token = token(&front, STRANGER).await;
    let body = json!({ "token": token, "rtt_ms": { "203.0.113.10": 12.5, "192.0.2.200": 7 }, "more": 1 });
    let answer = post(&front, "198.51.100.99:1", body.to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let page = by_router(&front, Side::Ops, PROXY, request("GET", "/metrics")).await.body;
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(page.contains("nearcast_rtt_reports_total 1\n"), "{page}");
    assert!(page.contains("nearcast_rtt_unknown_addresses_total 1\n"), "{page}");
}

#[tokio::test]
async fn the_example_of_the_contract_is_taken_but_for_its_token() {
    let mut example = contract()
        .pointer("/paths/~1rtt/post/requestBody/content/application~1json/example")
        .unwrap()
        .clone();
    let front = taking();
    post(&front, STRANGER, example.to_string()).await.is_problem(403, "bad-token");
    example["token"] = token(&front, STRANGER).await.into();
    assert_eq!(post(&front, STRANGER, example.to_string()).await.status, 204);
}

#[tokio::test]
async fn tokens_of_other_networks_and_forged_ones_are_refused() {
    let front = taking();
    let token = token(&front, STRANGER).await;
    let forged = format!("f{}", &token[1..]);
    for (peer, token) in [("198.51.101.23:1", token.as_str()), (STRANGER, &forged), (STRANGER, "")] {
        let body = json!({ "token": token, "rtt_ms": {} }).to_string();
        let answer = post(&front, peer, body).await;
        answer.is_problem(403, "bad-token");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_read_names_the_member() {
    let front = taking();
    let many: serde_json::Map<String, Value> = (0..17).map(|i| (format!("192.0.2.{i}"), 5.into())).collect();
    for (body, member) in [
        ("no json".to_owned(), "body"),
        ("[]".to_owned(), "body"),
        (format!("{{\"token\":\"{}\"}}", "0".repeat(5_000)), "body"),
        (json!({ "token": 1, "rtt_ms": {} }).to_string(), "token"),
        (json!({ "token": "", "rtt_ms": [] }).to_string(), "rtt_ms"),
        (json!({ "token": "", "rtt_ms": many }).to_string(), "rtt_ms"),
        (json!({ "token": "", "rtt_ms": { "here": 5 } }).to_string(), "rtt_ms"),
        (json!({ "token": "", "rtt_ms": { "192.0.2.1": 0.05 } }).to_string(), "rtt_ms"),
        (json!({ "token": "", "rtt_ms": { "192.0.2.1": 2_001 } }).to_string(), "rtt_ms"),
        (json!({ "token": "", "rtt_ms": { "192.0.2.1": "5" } }).to_string(), "rtt_ms"),
    ] {
        let problem = post(&front, STRANGER, body).await.is_problem(400, "invalid-parameter");
        assert_eq!(problem["invalid_params"][0]["name"], member);
    }
    post(&front, STRANGER, "{}").await.is_problem(400, "missing-parameter");
}

#[tokio::test]
async fn web_players_may_report_from_anywhere() {
    let answer = by_lane(&taking(), STRANGER, request("OPTIONS", "/rtt")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-methods")),
        (204, "POST, OPTIONS")
    );
}

#[tokio::test]
async fn three_reports_change_what_explain_says_and_two_do_not() {
    // The country database puts this client in China: Shanghai, Beijing and Guangzhou are in reach of it.
    const CLIENT: &str = "114.114.114.114:1";
    let front = taking();
    let token = token(&front, CLIENT).await;
    let contract = contract();
    for (reports, known) in [(1, false), (2, false), (3, true)] {
        let body = json!({ "token": token, "rtt_ms": { "203.0.113.10": 80, "203.0.113.11": 5, "203.0.113.30": 90 } });
        assert_eq!(post(&front, CLIENT, body.to_string()).await.status, 204);
        let target = "/explain?domain=live.example.com&ip=114.114.114.114";
        let answer = by_router(&front, Side::Ops, PROXY, request("GET", target)).await;
        keeps_the_contract(&contract, &contract["paths"]["/explain"]["get"]["responses"], &answer, target);
        let explained = answer.json();
        for node in explained["candidates"].as_array().unwrap() {
            let measured = known && node["pop"] != "beijing";
            assert_eq!(node["rtt_km"].is_number(), measured, "after {reports} reports: {node:#}");
            let number = |member: &str| node[member].as_f64().unwrap();
            let far = if measured { number("rtt_km") } else { number("distance_km") };
            let sum = far + number("congestion_km") + number("affinity_km");
            assert!((number("score_km") - sum).abs() < 0.11, "{node:#}");
        }
    }
}
