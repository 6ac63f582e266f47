//! What requests are called.

use super::*;

const BROUGHT: &str = "6f9619ff-8b86-d011";

fn named(target: &str, name: &str) -> Request<Full<Bytes>> {
    let mut request = request("GET", target);
    request.headers_mut().insert("x-request-id", name.parse().unwrap());
    request
}

fn instance(answer: &Answer) -> String {
    answer.json()["instance"].as_str().unwrap().replace("urn:nearcast:request:", "")
}

#[tokio::test]
async fn a_proxys_name_for_a_request_comes_back_on_both_ways_to_resolve() {
    for target in ["/resolve?domain=live.example.com", "/resolve?domain=nowhere.example.com"] {
        let lane = by_lane(&front(), PROXY, named(target, BROUGHT)).await;
        let routed = by_router(&front(), Side::Player, PROXY, named(target, BROUGHT)).await;
        for answer in [lane, routed] {
            assert_eq!(answer.header("x-request-id"), BROUGHT, "{answer:?}");
            assert!(answer.status == 200 || instance(&answer) == BROUGHT, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_strangers_name_for_a_request_is_not_taken() {
    let answer = by_lane(&front(), STRANGER, named("/resolve?domain=live.example.com", BROUGHT)).await;
    assert!(!answer.headers.contains_key("x-request-id"), "{answer:?}");
    for (peer, name) in [(STRANGER, BROUGHT), (PROXY, "not a name")] {
        let refused = by_lane(&front(), peer, named("/resolve", name)).await;
        let id = refused.header("x-request-id");
        assert!(id.len() == 16 && id == instance(&refused), "{refused:?}");
        let routed = by_router(&front(), Side::Ops, peer, named("/nodes", name)).await;
        assert_eq!((routed.status.as_u16(), routed.header("x-request-id").len()), (200, 16), "{routed:?}");
    }
}

#[tokio::test]
async fn every_routed_answer_has_a_name_and_an_errors_instance_ends_in_it() {
    for (side, method, target, status) in [
        (Side::Player, "GET", "/", 200),
        (Side::Player, "GET", "/livez", 200),
        (Side::Player, "OPTIONS", "/resolve", 204),
        (Side::Player, "DELETE", "/resolve", 405),
        (Side::Player, "GET", "/nowhere", 404),
        (Side::Ops, "GET", "/metrics", 200),
        (Side::Ops, "GET", "/nodes/nobody", 404),
        (Side::Ops, "GET", "/explain", 400),
    ] {
        let answer = by_router(&front(), side, STRANGER, request(method, target)).await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert_eq!(answer.header("x-request-id").len(), 16, "{target}: {answer:?}");
        if answer.status.is_client_error() {
            assert_eq!(instance(&answer), answer.header("x-request-id"), "{target}");
            assert_eq!(answer.header("content-type"), problem::MEDIA_TYPE);
            assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        }
    }
}

#[tokio::test]
async fn web_players_may_read_the_name_of_a_refused_request() {
    let refused = player("GET", "/resolve").await;
    assert_eq!(refused.header("access-control-expose-headers"), "Retry-After, X-Request-Id");
    let routed = by_router(&front(), Side::Player, STRANGER, request("HEAD", "/resolve")).await;
    assert_eq!(routed.header("access-control-expose-headers"), "Retry-After, X-Request-Id");
    assert_eq!(routed.header("access-control-allow-origin"), "*");
}
