//! What requests are called.

use std::sync::Mutex;

use axum::routing::get;

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

/// Log lines end here.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn boom() {
    panic!("no room for {STRANGER} in here");
}

#[tokio::test]
async fn a_panic_is_one_line_under_the_requests_name_and_tells_the_client_nothing() {
    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let front = front();
    let router =
        boundary::guard(Router::new().route("/boom", get(boom)), &front).with_state(Arc::clone(&front));
    let mut request = named("/boom?ip=203.0.113.9&n=1", BROUGHT);
    request.headers_mut().insert("x-forwarded-for", "198.51.100.23".parse().unwrap());
    request.extensions_mut().insert(front.peer(PROXY.parse().unwrap()));
    let answer = Answer::read(router.oneshot(request).await).await;
    answer.is_problem(500, "internal");
    assert_eq!((answer.header("x-request-id"), &*instance(&answer)), (BROUGHT, BROUGHT));
    assert!(!answer.json().to_string().contains("room"), "{answer:?}");

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    for told in [
        "ERROR",
        "request failed",
        &format!("id={BROUGHT}"),
        "method=\"GET\"",
        "path=\"/boom?ip=…&n=1\"",
        "client=198.51.100.0/24",
        "status=500",
        "reason=\"panic: no room for 198.51.100.0/24:4711 in here\"",
    ] {
        assert!(text.contains(told), "no {told} in {text}");
    }
}
