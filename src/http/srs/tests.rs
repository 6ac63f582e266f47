//! Tests of what media servers are told: recorded calls, bad ones, and who is believed.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::caller::{CallerToken, Callers};
use crate::config::{Limits, Streams, Verdict};
use crate::http::{Front, Side, router};
use crate::resolver::Resolver;
use crate::telemetry::Telemetry;

const TOKEN: &str = "the-token-of-origins";
const O_1: &str = "203.0.113.21:4711";
const O_2: &str = "203.0.113.22:4711";
const E_1: &str = "203.0.113.31:4711";
const STRANGER: &str = "198.51.100.23:4711";
const FORM: &str = "application/x-www-form-urlencoded";

fn front_with(resolver: Resolver, settings: Streams) -> Arc<Front> {
    let front = Front::new(
        Arc::new(resolver),
        Arc::new(Telemetry::new()),
        &crate::http::tests::server(),
        Limits::default(),
    );
    let token = CallerToken::new(TOKEN.as_bytes()).unwrap();
    front.answer_callers(Some(Callers::new(settings, [(token, "origins".into())]).unwrap()));
    Arc::new(front)
}

fn front() -> Arc<Front> {
    front_with(Resolver::for_tests_with_origins([Some(0.1); 5]), Streams::default())
}

async fn asked(front: &Arc<Front>, peer: &str, mut request: Request<Body>) -> Response<String> {
    request.extensions_mut().insert(front.peer(peer.parse().unwrap()));
    let Ok(response) = router(Side::Player, front).oneshot(request).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
}

async fn posted(front: &Arc<Front>, peer: &str, path: &str, body: &str) -> Response<String> {
    let kind = if body.starts_with("call=") { FORM } else { "application/json" };
    let request = Request::post(path).header("content-type", kind).body(Body::from(body.to_owned()));
    asked(front, peer, request.unwrap()).await
}

/// The code that SRS is told.
async fn code(front: &Arc<Front>, peer: &str, path: &str, body: &str) -> i64 {
    let answer = posted(front, peer, path, body).await;
    assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
    assert_eq!(answer.headers()["content-type"], "application/json");
    serde_json::from_str::<Value>(answer.body()).unwrap()["code"].as_i64().unwrap()
}

fn body(action: &str, stream: &str, client: &str) -> String {
    json!({
        "server_id": "vid-1", "service_id": "s", "action": action, "client_id": client,
        "ip": "198.51.100.1", "vhost": "__defaultVhost__", "app": "live", "stream": stream,
    })
    .to_string()
}

async fn cluster(front: &Arc<Front>, peer: &str, target: &str) -> Value {
    let mut answers = Vec::new();
    for method in ["GET", "POST"] {
        let request = Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
        let answer = asked(front, peer, request).await;
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        answers.push(serde_json::from_str::<Value>(answer.body()).unwrap());
    }
    assert_eq!(answers[0], answers[1]);
    answers.remove(0)
}

#[tokio::test]
async fn a_published_stream_is_found_by_other_origins_until_it_ends() {
    let front = front();
    let query = "/api/v1/clusters?vhost=__defaultVhost__&ip=127.0.0.1&app=live&stream=a&coworker=h:8080";
    assert_eq!(cluster(&front, O_2, query).await["data"]["origin"], Value::Null);
    assert_eq!(code(&front, O_1, "/hooks/on_publish", &body("on_publish", "a", "c")).await, 0);
    let answer = cluster(&front, O_2, query).await;
    let expected = json!({
        "code": 0,
        "data": {
            "query": { "ip": "127.0.0.1", "vhost": "__defaultVhost__", "app": "live", "stream": "a" },
            "origin": {
                "ip": "203.0.113.21", "port": 1935, "vhost": "__defaultVhost__",
                "api": "203.0.113.21:1985", "routers": ["203.0.113.21:1985"],
            },
        },
    });
    assert_eq!(answer, expected);
    assert_eq!(cluster(&front, O_1, query).await["data"]["origin"], Value::Null, "the asker itself");
    assert_eq!(code(&front, O_1, "/hooks/on_unpublish", &body("on_unpublish", "a", "c")).await, 0);
    assert_eq!(cluster(&front, O_2, query).await["data"]["origin"], Value::Null);
}

#[tokio::test]
async fn a_query_is_taken_as_it_stands_first_and_decoded_after_that() {
    let front = front();
    for stream in ["a+b%20c", "上海"] {
        assert_eq!(code(&front, O_1, "/hooks/on_publish", &body("on_publish", stream, "c")).await, 0);
    }
    let found = |stream: &str| format!("/api/v1/clusters?vhost=v&app=live&stream={stream}&ip=x");
    for stream in ["a+b%20c", "a+b%20c.flv", "a%2Bb%2520c", "%E4%B8%8A%E6%B5%B7", "上海"] {
        let target: http::Uri = match found(stream).parse() {
            Ok(uri) => uri,
            Err(error) => panic!("{stream}: {error}"),
        };
        let answer = cluster(&front, O_2, &target.to_string()).await;
        assert_eq!(answer["data"]["origin"]["ip"], "203.0.113.21", "{stream}");
    }
    for query in ["", "?app=live", "?app=&stream=a", "?stream=a"] {
        assert_eq!(cluster(&front, O_2, &format!("/api/v1/clusters{query}")).await["code"], 400, "{query}");
    }
}

#[tokio::test]
async fn a_second_origin_and_a_full_one_are_refused_in_the_callers_own_shape() {
    let front = front();
    assert_eq!(code(&front, O_1, "/hooks/on_publish", &body("on_publish", "a", "c")).await, 0);
    assert_eq!(code(&front, O_2, "/hooks/on_publish", &body("on_publish", "a", "c")).await, 409);
    let form = "call=publish&addr=198.51.100.1&app=live&name=a&clientid=1";
    let answer = posted(&front, O_2, "/hooks/on_publish", form).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(answer.body().contains("\"sent-away\"") && answer.body().contains("o-1"), "{answer:?}");

    let full = [Some(0.95), Some(0.1), Some(0.1), Some(0.95), Some(0.1)];
    let settings = Streams { overloaded_edge: Verdict::Refuse, relays: 1, ..Streams::default() };
    let front = front_with(Resolver::for_tests_with_origins(full), settings);
    assert_eq!(code(&front, O_1, "/hooks/on_publish", &body("on_publish", "a", "c")).await, 503);
    assert_eq!(code(&front, E_1, "/hooks/on_play", &body("on_play", "a", "c")).await, 503);
    assert!(front.resolver.state().streams().is_empty());
    let answer = posted(&front, O_1, "/hooks/on_forward", &body("on_forward", "a", "c")).await;
    assert_eq!(answer.body(), r#"{"code":0,"data":{"urls":["rtmp://203.0.113.22:1936/live/a"]}}"#);
}

#[tokio::test]
async fn an_edge_of_nginx_rtmp_is_told_where_to_pull_from() {
    let front = front();
    let play = "call=play&addr=198.51.100.1&app=live&name=a&clientid=1";
    assert_eq!(posted(&front, E_1, "/hooks/on_play", play).await.status(), StatusCode::OK);
    let publish = "call=publish&addr=198.51.100.1&app=live&name=a&clientid=1";
    assert_eq!(posted(&front, O_1, "/hooks/on_publish", publish).await.status(), StatusCode::OK);
    let answer = posted(&front, E_1, "/hooks/on_play", play).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()["location"], "rtmp://203.0.113.21:1935/live/a");
    assert_eq!(
        posted(&front, O_1, "/hooks/on_play", play).await.status(),
        StatusCode::OK,
        "an origin has it"
    );
    let done = "call=publish_done&addr=198.51.100.1&app=live&name=a&clientid=1";
    assert_eq!(posted(&front, O_1, "/hooks/on_publish_done", done).await.status(), StatusCode::OK);
    assert!(front.resolver.state().streams().is_empty());
}

#[tokio::test]
async fn bad_calls_are_refused_and_leave_nothing_behind() {
    let front = front();
    let publish = body("on_publish", "a", "c");
    let forged = "/t/the-token-of-origin5/hooks/on_publish";
    let of_an_edge = format!("/t/{TOKEN}/e-1/hooks/on_publish");
    let huge = body("on_publish", &"a".repeat(70_000), "c");
    let long = body("on_publish", &"a".repeat(600), "c");
    for (peer, path, body, code_told) in [
        (STRANGER, "/hooks/on_publish", &*publish, 403),
        (STRANGER, "/hooks/on_publish?node=o-1", &publish, 403),
        (O_1, forged, &publish, 403),
        (O_1, &of_an_edge, &publish, 403),
        (O_1, "/hooks/on_fire", &publish, 404),
        (O_1, "/hooks/on_publish", &huge, 413),
        (O_1, "/hooks/on_publish", &long, 400),
        (O_1, "/hooks/on_publish", "", 400),
        (O_1, "/hooks/on_publish", "0", 400),
        (O_1, "/hooks/on_publish", "{\"action\":\"on_publish\"", 400),
        (O_1, "/hooks/on_publish", "{\"action\":\"on_publish\",\"app\":1,\"stream\":\"a\"}", 400),
        (O_1, "/hooks/on_play", &publish, 400),
    ] {
        assert_eq!(code(&front, peer, path, body).await, code_told, "{peer} {path}");
    }
    for (path, form, status) in [
        ("/hooks/on_publish", "call=publish&app=live", 400),
        ("/hooks/on_fire", "call=publish&app=live&name=a", 404),
        (forged, "call=publish&app=live&name=a", 403),
    ] {
        let answer = posted(&front, O_1, path, form).await;
        assert_eq!(answer.status().as_u16(), status, "{path} {form}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    assert!(front.resolver.state().streams().is_empty());
    let cluster = cluster(&front, STRANGER, "/api/v1/clusters?app=live&stream=a").await;
    assert_eq!((&cluster["code"], cluster.get("data")), (&json!(403), None));
}

#[tokio::test]
async fn a_token_speaks_by_the_path_and_by_the_query() {
    let front = front();
    for (path, stream) in [("/o-1/hooks/on_publish", "a"), ("/hooks/on_publish?node=o-1", "b")] {
        let path = format!("/t/{TOKEN}{path}");
        assert_eq!(code(&front, STRANGER, &path, &body("on_publish", stream, "c")).await, 0);
    }
    assert_eq!(front.resolver.state().streams().origins("", "live/b").as_slice(), [Arc::from("o-1")]);
    let asked_by_o_1 = format!("/t/{TOKEN}/o-1/api/v1/clusters?app=live&stream=a");
    assert_eq!(cluster(&front, STRANGER, &asked_by_o_1).await["data"]["origin"], Value::Null);
    // Who is believed and nobody we know goes on, and is in no table.
    let unknown = format!("/t/{TOKEN}/o-9/hooks/on_publish");
    assert_eq!(code(&front, STRANGER, &unknown, &body("on_publish", "z", "c")).await, 0);
    assert_eq!(front.resolver.state().streams().len(), 2);
}

#[tokio::test]
async fn without_streams_in_the_configuration_there_is_nothing_here() {
    let front = front();
    front.answer_callers(None);
    let answer = posted(&front, O_1, "/hooks/on_publish", &body("on_publish", "a", "c")).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let request = Request::get("/api/v1/clusters?app=live&stream=a").body(Body::empty()).unwrap();
    assert_eq!(asked(&front, O_1, request).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn calls_are_counted_by_closed_sets_of_words() {
    let front = front();
    code(&front, O_1, "/hooks/on_publish", &body("on_publish", "a", "c")).await;
    code(&front, STRANGER, "/hooks/on_play", &body("on_play", "a", "c")).await;
    code(&front, O_1, "/hooks/anything-at-all", &body("on_play", "a", "c")).await;
    cluster(&front, O_2, "/api/v1/clusters?app=live&stream=a").await;
    let page = front.telemetry.page(crate::telemetry::Exposition::Classic, Default::default());
    for line in [
        "nearcast_hooks_total{hook=\"on_publish\",outcome=\"allowed\"} 1",
        "nearcast_hooks_total{hook=\"on_play\",outcome=\"stranger\"} 1",
        "nearcast_hooks_total{hook=\"other\",outcome=\"no_hook\"} 1",
        "nearcast_coworker_queries_total{outcome=\"found\"} 2",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}
