//! What the log says of failures, and what it must never say.

use serde_json::Value;

use super::stage::{CHICAGO, Edge, PATIENCE, live, scrape_each};
use super::support::{Reply, Service, eventually, get_with, post, post_json};

const ADMIN_TOKEN: &str = "an-operators-token-of-tests";
const SECRET: &str = "a-secret-that-replicas-share";
const CLIENT: &str = "198.51.100.77";
const CLIENT_V6: &str = "2001:db8:77:5::1234";
const NAMED: &str = "203.0.113.199";

/// A service whose one edge is drained, so that every question of a player fails.
async fn failing(server: &str, arguments: &[&str], logged: &str) -> (Service, Vec<Edge>) {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let head = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nadmin_token_file = \"admin.token\"\n\
         {server}\n[scheduler]\nrtt_secret_file = \"rtt.secret\"\n\n{}",
        scrape_each(500)
    );
    let files = [("admin.token", ADMIN_TOKEN), ("rtt.secret", SECRET)];
    let config = live(&head, &edges);
    let config = config.replace("name = \"edges\"\n\n", "name = \"edges\"\non_overload = \"refuse\"\n\n");
    let service = Service::launch_with(&config, &files, arguments, logged).await;
    let headers = [("authorization", &*bearer())];
    let drained = post_json(&service.admin_url("/nodes/chicago-1/drain"), "{}", &headers).await.unwrap();
    assert_eq!(drained.status, 200, "{drained:#?}");
    (service, edges)
}

fn bearer() -> String {
    format!("Bearer {ADMIN_TOKEN}")
}

async fn ask(service: &Service, query: &str, client: &str, id: &str) -> Reply {
    let headers = [("x-forwarded-for", client), ("x-request-id", id)];
    get_with(&service.player_url(&format!("/resolve?domain=live.example.com{query}")), &headers)
        .await
        .unwrap()
}

/// The lines that hold a text, once there is one: the log is read by a thread of its own.
async fn lines(service: &Service, text: &str) -> Vec<String> {
    eventually(&format!("a line with {text}"), PATIENCE, || async {
        let lines: Vec<String> =
            service.log().lines().filter(|line| line.contains(text)).map(str::to_owned).collect();
        if lines.is_empty() { Err(service.log()) } else { Ok(lines) }
    })
    .await
}

#[tokio::test]
async fn a_failure_is_one_line_under_its_name_and_keeps_clients_and_secrets_to_itself() {
    // All that our own code has to say, to the last detail.
    let (service, _edges) = failing("", &[], "nearcast=trace,info").await;
    let query = format!("&ip={NAMED}&stream=live/private&failed={CLIENT}&why=stall");
    for (client, id, network) in
        [(CLIENT, "first-7.a_b", "198.51.100.0/24"), (CLIENT_V6, "second", "2001:db8:77::/48")]
    {
        let reply = ask(&service, &query, client, id).await;
        assert_eq!(reply.status, 503, "{reply:#?}");
        assert_eq!(reply.header("x-request-id"), id);
        assert_eq!(reply.json()["instance"], format!("urn:nearcast:request:{id}"));
        let lines = lines(&service, id).await;
        let [line] = lines.as_slice() else { panic!("one line a failure: {lines:#?}") };
        for told in ["WARN", "request failed", "GET", "/resolve?domain=live.example.com&ip=…", network, "503"]
        {
            assert!(line.contains(told), "no {told} in {line}");
        }
        assert!(line.contains("code=\"overloaded\"") && line.contains("reason="), "{line}");
    }

    // What else can go wrong, each with something in it that must not be kept.
    let from = [("x-forwarded-for", CLIENT)];
    let report = format!("{{\"token\": \"{SECRET}\", \"rtt_ms\": {{\"{NAMED}\": 12}}}}");
    let forged = post_json(&service.player_url("/rtt"), report, &from).await.unwrap();
    assert_eq!(forged.status, 403);
    for path in
        [format!("/{CLIENT}?token={SECRET}"), format!("/resolve?domain={CLIENT}&n=99&{NAMED}={SECRET}")]
    {
        assert!(get_with(&service.player_url(&path), &from).await.unwrap().status >= 400);
    }
    let nearly = bearer().replace("tests", "test");
    let headers = [("authorization", &*nearly), ("x-request-id", "third")];
    let refused = get_with(&service.admin_url(&format!("/geo?ip={CLIENT}")), &headers).await.unwrap();
    assert_eq!((refused.status, refused.header("x-request-id")), (401, "third"));
    service.write("rtt.secret", "too-short");
    service.rewrite("[server]\nadmin_token_file = \"admin.token\"\nlisten = 1\n");
    assert_eq!(post(&service.admin_url("/-/reload")).await.unwrap().status, 401);
    let headers = [("authorization", &*bearer())];
    let refused = post_json(&service.admin_url("/-/reload"), "{}", &headers).await.unwrap();
    assert_eq!(refused.status, 422);
    lines(&service, "third").await;
    lines(&service, "configuration kept as it was").await;

    let log = service.log();
    for kept in [CLIENT, CLIENT_V6, NAMED, ADMIN_TOKEN, &nearly[7..], SECRET, "too-short", "live/private"] {
        assert!(!log.contains(kept), "{kept} is in the log:\n{log}");
    }
}

#[tokio::test]
async fn a_log_for_machines_is_json_to_the_last_line_and_tells_clients_if_it_shall() {
    let (service, _edges) = failing("log_client_addresses = \"full\"\n", &["--log-json"], "").await;
    assert_eq!(ask(&service, "", CLIENT, "of-a-machine").await.status, 503);
    let line: Value = serde_json::from_str(&lines(&service, "of-a-machine").await[0]).unwrap();
    for (field, value) in [
        ("level", "WARN".into()),
        ("message", "request failed".into()),
        ("id", "of-a-machine".into()),
        ("method", "GET".into()),
        ("path", "/resolve?domain=live.example.com".into()),
        ("client", CLIENT.into()),
        ("status", Value::from(503)),
        ("code", "overloaded".into()),
    ] {
        assert_eq!(line[field], value, "{field} of {line}");
    }
    for line in service.log().lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "no JSON: {line}");
    }
}

#[tokio::test]
async fn a_flood_of_failures_does_not_flood_the_log() {
    let (service, _edges) = failing("", &[], "").await;
    for number in 0..200 {
        assert_eq!(ask(&service, "", CLIENT, &format!("flood-{number}")).await.status, 503);
    }
    lines(&service, "flood-0").await;
    let written = service.log().lines().filter(|line| line.contains("flood-")).count();
    assert!((20..100).contains(&written), "{written} of 200");
    // Nothing is lost to who counts.
    let headers = [("authorization", &*bearer())];
    let metrics = get_with(&service.admin_url("/metrics"), &headers).await.unwrap().body;
    let counted = metrics.lines().find(|line| line.contains("code=\"overloaded\"")).unwrap();
    assert!(counted.ends_with(" 200"), "{counted}");
}
