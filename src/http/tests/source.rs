//! Media servers that ask where to pull a stream from, through the lane.

use super::play::asked;
use super::*;
use crate::config::Streams;
use crate::http::srs::caller::{CallerToken, Callers};
use crate::schedule::Moment;
use crate::state::streams::{Identity, Publication, StreamName};

const TOKEN: &str = "0123456789abcdef";
/// `sh-1`, and a middle node.
const EDGE: &str = "203.0.113.10:40150";
const MIDDLE: &str = "203.0.113.41:40150";
/// Nobody's.
const NOBODY: &str = "198.51.100.23:4711";

/// The layered fleet, in which `or-1` has `live/livestream`.
fn layered() -> Arc<Front> {
    let front = front_of(Resolver::for_tests_layered());
    let token = CallerToken::new(TOKEN.as_bytes()).unwrap();
    let callers = Callers::new(Streams::default(), [(token, "edges".into())]).unwrap();
    front.answer_callers(Some(callers));
    let name = StreamName::new("", "live", "livestream").unwrap();
    let identity = Identity::default();
    let publication = Publication { node: "or-1", identity: &identity, name: &name, client: "1" };
    front.resolver.state().streams().publish(publication, true, |_| true, Moment(1));
    front
}

async fn ask(front: &Arc<Front>, peer: &str, target: &str) -> Answer {
    by_lane(front, peer, asked("GET", target, "127.0.0.1:18085")).await
}

#[track_caller]
fn is_told(answer: &Answer, url: &str) {
    assert_eq!((answer.status.as_str(), answer.header("location")), ("302", url), "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn an_edge_is_told_the_middle_and_the_middle_is_told_the_origin() {
    let front = layered();
    let middle = ask(&front, EDGE, "/live/livestream.flv").await;
    let url = middle.header("location").to_owned();
    is_told(&middle, &url);
    assert!(url.starts_with("http://203.0.113.4") && url.ends_with(":8080/live/livestream.flv"), "{url}");
    is_told(
        &ask(&front, MIDDLE, "/live/livestream.flv").await,
        "http://203.0.113.51:8080/live/livestream.flv",
    );
    assert!(front.resolver.nodes().iter().all(|node| node.answers == 0), "a pull is no viewer");
}

#[tokio::test]
async fn the_query_of_the_first_viewer_is_kept_but_not_where_that_has_been() {
    let answer = ask(&layered(), MIDDLE, "/live/livestream.flv?token=x&nc_hop=sh-1,sh-2,bj-1&vhost=v").await;
    is_told(&answer, "http://203.0.113.51:8080/live/livestream.flv?token=x&vhost=v");
}

#[tokio::test]
async fn a_token_speaks_for_whoever_has_no_address_of_ours() {
    let front = layered();
    let by_address = ask(&front, EDGE, "/live/livestream.flv").await.header("location").to_owned();
    for prefix in [format!("/t/{TOKEN}"), format!("/t/{TOKEN}/sh-2")] {
        is_told(&ask(&front, NOBODY, &format!("{prefix}/live/livestream.flv")).await, &by_address);
    }
    let forged = ask(&front, NOBODY, "/t/0123456789abcdeX/live/livestream.flv").await;
    let body = forged.is_problem(403, "bad-token");
    assert!(!body.to_string().contains("abcdeX"), "{body}");
    let other = ask(&front, NOBODY, &format!("/t/{TOKEN}/or-1/live/livestream.flv")).await;
    other.is_problem(403, "bad-token");
    ask(&front, NOBODY, &format!("/t/{TOKEN}/live/livestream.exe")).await.is_problem(404, "not-found");
    front.answer_callers(None);
    let off = ask(&front, NOBODY, &format!("/t/{TOKEN}/live/livestream.flv")).await;
    off.is_problem(404, "not-found");
}

#[tokio::test]
async fn a_stream_that_nobody_has_is_404_and_says_so() {
    let front = layered();
    for (peer, target) in
        [(EDGE, "/live/other.flv"), (MIDDLE, "/live/other.flv"), (EDGE, "/other/livestream.flv")]
    {
        ask(&front, peer, target).await.is_problem(404, "no-stream");
    }
    let page = by_router(&front, Side::Ops, PROXY, request("GET", "/metrics")).await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.contains("nearcast_stream_pulls_total{result=\"unknown\"} 3"), "{page}");
}

#[tokio::test]
async fn whoever_is_not_known_or_pulls_from_nobody_is_a_player() {
    let front = layered();
    // The host is no domain of ours, and a player needs one.
    for peer in [NOBODY, "203.0.113.51:1"] {
        ask(&front, peer, "/live/livestream.flv").await.is_problem(404, "unknown-domain");
    }
    let player = ask(&front, NOBODY, "/live/livestream.flv?vhost=live.example.com").await;
    assert!(player.header("location").contains("nc_hop="), "{player:?}");
    front.answer_callers(None);
    ask(&front, EDGE, "/live/livestream.flv").await.is_problem(404, "unknown-domain");
}
