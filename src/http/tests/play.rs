//! Redirects to streams, through the lane.

use futures_util::FutureExt as _;
use proptest::prelude::*;

use super::*;
use crate::http::sign::{Signer, SigningKey};

/// A client in Shanghai, of each family.
const NEAR: &str = "198.51.100.23:4711";
const NEAR_V6: &str = "[2001:db8:1::1]:4711";

fn layered() -> Arc<Front> {
    let config = config::Config::parse(
        "pools = [{ name = \"edges\" }]\n\
         nodes = [{ id = \"a\", pool = \"edges\", addresses = [\"192.0.2.1\"] }]\n\
         domains = [{ name = \"plain.example.com\", pool = \"edges\", redirect_downgrade = true, \
         redirect_host = \"{id}.edges.example.com\" }]",
        "test",
    );
    let front = front_of(Resolver::for_tests_layered());
    front.redirect_by(&config.unwrap().domains);
    front
}

pub(super) fn asked(method: &str, target: &str, host: &str) -> Request<Full<Bytes>> {
    let mut request = request(method, target);
    request.headers_mut().insert("host", host.parse().unwrap());
    request
}

async fn play(target: &str, host: &str, peer: &str) -> Answer {
    by_lane(&layered(), peer, asked("GET", target, host)).await
}

/// Sends a question until the answer is that of the nearest PoP's node wanted: which of them is a matter of affinity.
#[track_caller]
fn location(answer: &Answer) -> &str {
    assert_eq!(answer.status, 302, "{answer:?}");
    answer.header("location")
}

#[tokio::test]
async fn a_player_is_redirected_to_its_node_with_path_and_query_as_they_came() {
    let answer = play("/live/a%20b.flv?token=x%2By&u=1", "live.example.com:8080", NEAR).await;
    let url = location(&answer);
    let expected = ["http://203.0.113.10:8080", "http://203.0.113.11"];
    let base = expected.iter().find(|base| url.starts_with(**base)).unwrap();
    let id = if *base == expected[0] { "sh-1" } else { "sh-2" };
    assert_eq!(url, format!("{base}/live/a%20b.flv?token=x%2By&u=1&nc_hop={id}"));
    assert!(answer.body.is_empty());
    assert!(answer.header("cache-control").starts_with("private, max-age="));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-expose-headers").contains("Location"));
    let links: Vec<&str> = answer.headers.get_all("link").iter().map(|link| link.to_str().unwrap()).collect();
    assert_eq!(links.len(), 2, "{links:?}");
    for (at, link) in links.iter().enumerate() {
        assert!(link.starts_with("<http://203.0.113."), "{link}");
        assert!(link.ends_with(&format!("; rel=duplicate; pri={}", at + 1)), "{link}");
        assert!(link.contains("/live/a%20b.flv?token=x%2By&u=1&nc_hop="), "{link}");
    }
}

#[tokio::test]
async fn head_is_answered_as_get_and_a_range_is_the_nodes_business() {
    for method in ["GET", "HEAD"] {
        let mut request = asked(method, "/live/show.mp4", "live.example.com");
        request.headers_mut().insert("range", "bytes=0-99".parse().unwrap());
        let answer = by_lane(&layered(), NEAR, request).await;
        assert!(location(&answer).contains("/live/show.mp4?nc_hop="));
        assert!(answer.body.is_empty() && !answer.headers.contains_key("content-range"));
    }
}

#[tokio::test]
async fn a_client_gets_an_address_of_its_family_if_any_node_has_one() {
    let answer = play("/live/show.flv", "live.example.com", NEAR_V6).await;
    assert!(location(&answer).starts_with("http://[2001:db8::10]:8080/live/show.flv"), "{answer:?}");
    let answer = play("/live/show.flv", "live.example.com", NEAR).await;
    assert!(location(&answer).starts_with("http://203.0.113."), "{answer:?}");
}

#[tokio::test]
async fn a_node_that_has_no_port_for_it_is_never_answered() {
    let front = layered();
    for stream in 0..64 {
        let target = format!("/live/{stream}.flv");
        let answer = by_lane(&front, NEAR, asked("GET", &target, "live.example.com")).await;
        assert!(!location(&answer).contains("203.0.113.12"));
        let links = answer.headers.get_all("link").iter();
        assert!(links.map(|link| link.to_str().unwrap()).all(|link| !link.contains("203.0.113.12")));
    }
    play("/live/show.flv", "portless.example.com", NEAR).await.is_problem(404, "no-port");
}

#[tokio::test]
async fn who_asks_by_tls_is_sent_to_tls_and_downgraded_only_where_that_is_allowed() {
    let front = layered();
    let ask = |host: &'static str, hop: &str| {
        let mut request = asked("GET", &format!("/live/show.flv{hop}"), host);
        request.headers_mut().insert("x-forwarded-proto", "https".parse().unwrap());
        request.headers_mut().insert("x-forwarded-for", "198.51.100.23".parse().unwrap());
        request
    };
    let answer = by_lane(&front, PROXY, ask("live.example.com", "")).await;
    assert_eq!(location(&answer), "https://203.0.113.10:8443/live/show.flv?nc_hop=sh-1");
    assert!(!answer.headers.contains_key("link"), "no other node speaks HTTPS: {answer:?}");
    let only = by_lane(&front, PROXY, ask("live.example.com", "?nc_hop=sh-1")).await;
    only.is_problem(503, "no-node-available");
    let plain = by_lane(&front, PROXY, ask("plain.example.com", "?nc_hop=sh-1")).await;
    assert!(location(&plain).starts_with("http://sh-2.edges.example.com/live/show.flv"), "{plain:?}");
    let named = by_lane(&front, PROXY, ask("plain.example.com", "?nc_hop=sh-2")).await;
    assert!(location(&named).starts_with("https://sh-1.edges.example.com:8443/"), "{named:?}");
    // A stranger's header says nothing.
    let stranger = by_lane(&front, NEAR, ask("live.example.com", "")).await;
    assert!(location(&stranger).starts_with("http://"), "{stranger:?}");
}

#[tokio::test]
async fn a_player_that_is_sent_back_gets_another_node_and_three_times_is_enough() {
    let front = layered();
    let mut target = "/live/show.flv?k=v".to_owned();
    let mut hosts = std::collections::HashSet::new();
    for hop in 1..=3 {
        let answer = by_lane(&front, NEAR, asked("GET", &target, "live.example.com")).await;
        let url: http::Uri = location(&answer).parse().unwrap();
        assert!(hosts.insert(url.host().unwrap().to_owned()), "{url} again");
        assert_eq!(url.query().unwrap().split(',').count(), hop);
        target = url.path_and_query().unwrap().to_string();
    }
    let answer = by_lane(&front, NEAR, asked("GET", &target, "live.example.com")).await;
    answer.is_problem(503, "redirect-loop");
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn refusals_are_problems_that_web_players_can_read() {
    for (target, host, status, code) in [
        ("/live/show.flv", "nowhere.example.com", 404, "unknown-domain"),
        ("/live/show.flv?domain=nowhere.example.com", "live.example.com", 404, "unknown-domain"),
        ("/live/show.exe", "live.example.com", 404, "not-found"),
        ("/live/%ff.flv", "live.example.com", 400, "invalid-parameter"),
        ("/live/show.flv?nc_hop=%20", "live.example.com", 400, "invalid-parameter"),
    ] {
        let answer = play(target, host, NEAR).await;
        answer.is_problem(status, code);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(!answer.headers.contains_key("location"));
    }
    let answer = by_lane(&layered(), NEAR, asked("POST", "/live/show.flv", "live.example.com")).await;
    answer.is_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn browsers_may_ask_from_any_page() {
    let answer = by_lane(&layered(), NEAR, asked("OPTIONS", "/live/show.m3u8", "live.example.com")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-methods"), "GET, HEAD, OPTIONS");
    assert!(answer.header("access-control-expose-headers").starts_with("Location"));
}

#[tokio::test]
async fn a_redirect_is_limited_and_signed_as_resolve_is() {
    let front = layered();
    front.limit(Limits { requests_per_second: 1, burst: 2, ..Limits::default() });
    let key = SigningKey::new(b"0123456789abcdef").unwrap();
    let signer = Signer::new(vec![key.clone()], true).unwrap();
    front.sign_by([("live.example.com".into(), signer)].into_iter().collect());
    let expiry = front.resolver.unix_s() + 60;
    let signed = key.sign_query("domain=live.example.com&stream=live/show", expiry);
    let rest = signed.strip_prefix("domain=live.example.com&stream=live/show&").unwrap();
    let target = format!("/live/show.flv?{rest}");
    let answer = by_lane(&front, NEAR, asked("GET", &target, "live.example.com")).await;
    assert!(location(&answer).contains(&format!("/live/show.flv?{rest}&nc_hop=")));
    assert!(answer.header("x-nearcast-signature").starts_with("t="));
    // What the first node adds when it sends the player back does not break the signature.
    let back: http::Uri = location(&answer).parse().unwrap();
    let again = asked("GET", &back.path_and_query().unwrap().to_string(), "live.example.com");
    location(&by_lane(&front, NEAR, again).await);
    let other = "198.51.100.24:4711";
    let target = format!("/live/other.flv?{rest}");
    let forged = by_lane(&front, other, asked("GET", &target, "live.example.com")).await;
    forged.is_problem(403, "bad-signature");
    let unsigned = by_lane(&front, other, asked("GET", "/live/show.flv", "live.example.com")).await;
    unsigned.is_problem(403, "bad-signature");
    let often = by_lane(&front, other, asked("GET", "/live/show.flv", "live.example.com")).await;
    often.is_problem(429, "too-many-requests");
}

#[tokio::test]
async fn a_redirect_books_and_counts_as_an_answer_of_resolve() {
    let front = layered();
    for _ in 0..3 {
        location(&by_lane(&front, NEAR, asked("GET", "/live/show.flv", "live.example.com")).await);
    }
    let nodes = front.resolver.nodes();
    assert_eq!(nodes.iter().map(|node| node.answers).sum::<u64>(), 3);
}

/// The state in which an SRS edge is after `location` came with this status; `Err`: why it gives up. As in its
/// `srs_app_edge.cpp`: only a 302, only an absolute one, at most three.
fn followed_by_srs(status: u16, location: &str, depth: usize) -> Result<(), String> {
    let absolute = location.parse::<http::Uri>().ok().filter(|url| url.host().is_some());
    match absolute {
        _ if status != 302 => Err(format!("{status} is not followed")),
        None => Err(format!("{location} has no host")),
        Some(_) if depth >= 3 => Err("HttpRedirectDepth".to_owned()),
        Some(url) if matches!(url.scheme_str(), Some("http" | "https")) => Ok(()),
        Some(url) => Err(format!("{url} is not HTTP")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked for, and however often it is sent back: each redirect is one that SRS follows.
    #[test]
    fn every_redirect_obeys_what_srs_follows(
        name in "[a-zA-Z0-9_.%~+-]{1,20}",
        query in "([a-z]{1,3}=[a-zA-Z0-9%_.-]{0,6}&?){0,4}",
        extension in prop::sample::select(vec!["flv", "m3u8", "ts", "mpd", "mp4"]),
        v6 in any::<bool>(),
    ) {
        let front = layered();
        let peer = if v6 { NEAR_V6 } else { NEAR };
        let mut target = format!("/live/{name}.{extension}?{query}");
        for depth in 0..4 {
            let answer = by_lane(&front, peer, asked("GET", &target, "live.example.com"));
            let answer = answer.now_or_never().unwrap();
            if answer.status != 302 {
                let code = answer.json()["code"].as_str().unwrap().to_owned();
                let refused = ["invalid-parameter", "no-node-available", "redirect-loop"];
                prop_assert!(refused.contains(&&*code), "{}: {}", target, code);
                return Ok(());
            }
            let location = answer.header("location").to_owned();
            prop_assert_eq!(followed_by_srs(302, &location, depth), Ok(()));
            let url: http::Uri = location.parse().unwrap();
            prop_assert_eq!(url.path(), target.split('?').next().unwrap());
            prop_assert!(query.is_empty() || url.query().unwrap().starts_with(query.trim_end_matches('&')));
            target = url.path_and_query().unwrap().to_string();
        }
        prop_assert!(false, "four redirects");
    }
}
