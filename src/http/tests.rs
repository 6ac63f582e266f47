mod contract;
mod dialects;
mod doh;
mod drain;
mod feed;
mod names;
mod pages;
mod play;
mod rtt;
mod schema;
mod servers;
mod source;

use std::convert::Infallible;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU64;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::service::Service as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::lane::Lane;
use super::serve::Gauge;
use super::srs::caller::CallerToken;
use super::*;
use crate::config::{ClientAddressHeader, Limits, Server};
use crate::resolver::Reason;
use crate::schedule::health::NodeState;

/// The fleet of every test here: `live.example.com` served by `sh-1`, `sh-2` (IPv4 only), `bj-1` and `gz-1`.
pub(super) fn front() -> Arc<Front> {
    front_of(Resolver::for_tests())
}

fn front_of(resolver: Resolver) -> Arc<Front> {
    let telemetry = Arc::new(Telemetry::new());
    telemetry.answers.set_domains(["live.example.com"]);
    let front = Front::new(Arc::new(resolver), telemetry, &server(), Limits::default());
    let settings = config::Streams { networks: vec!["127.0.0.0/8".parse().unwrap()], ..Default::default() };
    let token = CallerToken::new(b"0123456789abcdef").unwrap();
    front.answer_callers(Some(Callers::new(settings, [(token, "edges".into())]).unwrap()));
    front.reload_by(Arc::new(|| Box::pin(std::future::ready(Ok(Default::default())))));
    Arc::new(front)
}

/// Loopback is a trusted proxy, ports are free ones.
pub(super) fn server() -> Server {
    Server {
        listen: "127.0.0.1:0".parse().unwrap(),
        admin_listen: "127.0.0.1:0".parse().unwrap(),
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        client_address_header: ClientAddressHeader::XForwardedFor,
        workers: 2,
        ..Server::default()
    }
}

const PROXY: &str = "127.0.0.1:4711";
const STRANGER: &str = "198.51.100.23:4711";

fn request(method: &str, target: &str) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri(target).body(Full::default()).unwrap()
}

async fn by_router(front: &Arc<Front>, side: Side, peer: &str, mut request: Request<Full<Bytes>>) -> Answer {
    request.extensions_mut().insert(front.peer(peer.parse().unwrap()));
    Answer::read(router(side, front).oneshot(request).await).await
}

async fn by_lane(front: &Arc<Front>, peer: &str, request: Request<Full<Bytes>>) -> Answer {
    let peer = front.peer(peer.parse().unwrap());
    let begun = Arc::new(AtomicU64::new(0));
    let gauge = Arc::new(Gauge::default());
    let lane = Lane::new(Arc::clone(front), router(Side::Player, front), peer, begun, gauge);
    Answer::read(lane.call(request).await).await
}

/// The answers to so many equal requests on one connection's lane.
async fn by_lane_again(front: &Arc<Front>, peer: &str, header: Option<&str>, times: usize) -> Vec<Answer> {
    let peer = front.peer(peer.parse().unwrap());
    let gauge = Arc::new(Gauge::default());
    let lane = Lane::new(Arc::clone(front), router(Side::Player, front), peer, Arc::default(), gauge);
    let mut answers = Vec::with_capacity(times);
    for _ in 0..times {
        let mut asked = request("GET", "/resolve?domain=live.example.com");
        if let Some(client) = header {
            asked.headers_mut().insert("x-forwarded-for", client.parse().unwrap());
        }
        answers.push(Answer::read(lane.call(asked).await).await);
    }
    answers
}

#[tokio::test]
async fn who_asks_too_often_is_told_so_and_nobody_else_is() {
    let front = front();
    front.limit(Limits { requests_per_second: 1, burst: 3, ..Limits::default() });
    let answers = by_lane_again(&front, STRANGER, None, 5).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    let refused = &answers[4];
    assert_eq!(refused.json()["code"], "too-many-requests");
    let header = |name: &str| refused.headers[name].to_str().unwrap();
    assert_eq!((header("retry-after"), header("access-control-allow-origin")), ("1", "*"));
    assert_eq!(
        (header("ratelimit-policy"), header("ratelimit")),
        ("\"client\";q=3;w=3", "\"client\";r=0;t=1")
    );
    // A header from a stranger makes nobody else of him; probes are for supervisors.
    assert_eq!(by_lane_again(&front, STRANGER, Some("192.0.2.1"), 1).await[0].status, 429);
    assert_eq!(by_lane(&front, STRANGER, request("GET", "/livez")).await.status, 200);
    assert_eq!(by_lane(&front, STRANGER, request("POST", "/rtt")).await.status, 429);
    // Behind a proxy each client has a bucket of its own, and the proxy none.
    for (client, passed) in [(Some("192.0.2.1"), 3), (Some("192.0.2.2"), 3), (None, 9)] {
        let answers = by_lane_again(&front, PROXY, client, 9).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), passed, "{client:?}");
    }
}

async fn player(method: &str, target: &str) -> Answer {
    by_lane(&front(), STRANGER, request(method, target)).await
}

async fn ops(target: &str) -> Answer {
    by_router(&front(), Side::Ops, PROXY, request("GET", target)).await
}

/// A response, read to its end.
#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Answer {
    async fn read<B>(outcome: Result<Response<B>, Infallible>) -> Self
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let Ok(response) = outcome;
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn is_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), problem::MEDIA_TYPE);
        assert_eq!(self.header("cache-control"), "no-store");
        let body = self.json();
        assert_eq!(body["code"], code);
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("urn:nearcast:problem:{code}"));
        assert!(body["instance"].as_str().unwrap().starts_with("urn:nearcast:request:"));
        body
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

// === the lane and the router ===

#[tokio::test]
async fn the_lane_and_the_router_answer_byte_for_byte_alike() {
    // A front each: answers book, so a shared one could tell the second asker something else.
    for target in [
        "/resolve?domain=live.example.com",
        "/resolve?domain=live.example.com&detail=1&n=8&stream=live/one&bitrate=3Mbps",
        "/resolve?domain=LIVE.example.com.&format=text&type=A",
        "/resolve?domain=live.example.com&type=AAAA&ip=192.0.2.1&failed=203.0.113.10&current=203.0.113.11",
    ] {
        for peer in [STRANGER, PROXY] {
            let lane = by_lane(&front(), peer, request("GET", target)).await;
            let mut router = by_router(&front(), Side::Player, peer, request("GET", target)).await;
            // The lane leaves the length to hyper, which writes the same.
            assert_eq!(router.headers.remove("content-length").unwrap(), lane.body.len().to_string());
            assert_eq!(lane.status, 200);
            assert_eq!(lane, router, "{target}");
        }
    }
}

#[tokio::test]
async fn the_lane_and_the_router_refuse_alike() {
    for target in ["/resolve", "/resolve?domain=nowhere.example.com", "/resolve?domain=live.example.com&n=9"]
    {
        let lane = by_lane(&front(), STRANGER, request("GET", target)).await;
        let router = by_router(&front(), Side::Player, STRANGER, request("GET", target)).await;
        let without_instance = |answer: &Answer| {
            let mut body = answer.json();
            body["instance"] = Value::Null;
            body
        };
        assert_eq!(lane.status, router.status);
        assert_eq!(without_instance(&lane), without_instance(&router));
    }
}

// === /resolve ===

#[tokio::test]
async fn a_domain_is_answered_with_addresses_of_three_nodes() {
    let answer = player("GET", "/resolve?domain=live.example.com").await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(keys(&body), ["client_ip", "degraded", "domain", "ips", "ips_v6", "reason", "ttl"]);
    assert_eq!(body["domain"], "live.example.com");
    assert_eq!(body["ips"].as_array().unwrap().len(), 3);
    assert_eq!(body["client_ip"], "198.51.100.23");
    assert!(Reason::ALL.iter().any(|reason| body["reason"] == reason.as_str()));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), format!("private, max-age={}", body["ttl"]));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.headers.contains_key("x-nearcast-degraded"), body["degraded"] == true);
}

#[tokio::test]
async fn detail_explains_the_answer() {
    let body = player("GET", "/resolve?domain=live.example.com&detail=1&n=2").await.json();
    assert_eq!(keys(&body["geo"]), ["country", "latitude", "longitude", "precision"]);
    let nodes = body["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    for (node, ip) in nodes.iter().zip(body["ips"].as_array().unwrap()) {
        assert_eq!(keys(node), ["distance_km", "id", "ip", "pop", "pressure"]);
        assert_eq!(&node["ip"], ip);
    }
    assert!(body.as_object().unwrap().contains_key("sample_age_s"));
}

#[tokio::test]
async fn type_keeps_to_one_family() {
    let v4 = player("GET", "/resolve?domain=live.example.com&type=A").await.json();
    assert!(!v4["ips"].as_array().unwrap().is_empty());
    assert_eq!(v4["ips_v6"], serde_json::json!([]));
    let v6 = player("GET", "/resolve?domain=live.example.com&type=AAAA").await.json();
    assert_eq!(v6["ips"], serde_json::json!([]));
    assert!(v6["ips_v6"][0].as_str().unwrap().starts_with("2001:db8:"));
}

#[tokio::test]
async fn n_limits_the_nodes() {
    for n in [1, 2] {
        let body = player("GET", &format!("/resolve?domain=live.example.com&n={n}")).await.json();
        assert_eq!(body["ips"].as_array().unwrap().len(), n);
    }
}

#[tokio::test]
async fn text_is_one_address_a_line() {
    let answer = player("GET", "/resolve?domain=live.example.com&format=text&type=A").await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.ends_with('\n'));
    assert!(text.lines().all(|line| line.parse::<std::net::Ipv4Addr>().is_ok()));
}

#[tokio::test]
async fn only_trusted_peers_name_the_client() {
    let target = "/resolve?domain=live.example.com&ip=192.0.2.77";
    let stranger = player("GET", target).await.json();
    assert_eq!((&stranger["client_ip"], &stranger["ip_ignored"]), (&"198.51.100.23".into(), &true.into()));
    let proxy = by_lane(&front(), PROXY, request("GET", target)).await.json();
    assert_eq!((&proxy["client_ip"], &proxy["ip_ignored"]), (&"192.0.2.77".into(), &Value::Null));

    let mut forwarded = request("GET", "/resolve?domain=live.example.com");
    forwarded.headers_mut().insert("x-forwarded-for", "192.0.2.78".parse().unwrap());
    let proxy = by_lane(&front(), PROXY, forwarded.clone()).await.json();
    assert_eq!(proxy["client_ip"], "192.0.2.78");
    let stranger = by_lane(&front(), STRANGER, forwarded).await.json();
    assert_eq!(stranger["client_ip"], "198.51.100.23");
}

#[tokio::test]
async fn a_reload_changes_whom_we_trust() {
    let front = front();
    front.retrust(&Server { trusted_proxies: Vec::new(), ..server() });
    let body =
        by_lane(&front, PROXY, request("GET", "/resolve?domain=live.example.com&ip=192.0.2.77")).await.json();
    assert_eq!(body["ip_ignored"], true);
}

#[tokio::test]
async fn wrong_questions_are_problems_that_web_players_can_read() {
    for (target, status, code) in [
        ("/resolve", 400, "missing-parameter"),
        ("/resolve?domain=live.example.com&n=0", 400, "invalid-parameter"),
        ("/resolve?domain=a.example&domain=b.example", 400, "invalid-parameter"),
        ("/resolve?domain=m%C3%BCnchen.example", 400, "invalid-parameter"),
        ("/resolve?domain=nowhere.example.com", 404, "unknown-domain"),
    ] {
        let answer = player("GET", target).await;
        let body = answer.is_problem(status, code);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        if status == 400 {
            assert!(["domain", "n"].iter().any(|name| body["invalid_params"][0]["name"] == *name));
        }
    }
}

#[tokio::test]
async fn an_endless_uri_is_refused_on_both_ways() {
    for path in ["/resolve", "/nowhere"] {
        let target = format!("{path}?domain={}", "a".repeat(9_000));
        player("GET", &target).await.is_problem(414, "uri-too-long");
    }
}

#[tokio::test]
async fn head_has_headers_only() {
    let answer = player("HEAD", "/resolve?domain=live.example.com").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.is_empty());
    assert!(answer.header("cache-control").starts_with("private, max-age="));
    assert_ne!(answer.header("content-length"), "0");
}

#[tokio::test]
async fn browsers_may_ask_from_anywhere() {
    let answer = player("OPTIONS", "/resolve?domain=live.example.com").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-methods"), "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn a_get_with_a_body_is_a_get() {
    let asked = Request::get("/resolve?domain=live.example.com").body(Full::from("{}")).unwrap();
    assert_eq!(by_lane(&front(), STRANGER, asked).await.status, 200);
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "BREW"] {
        let answer = player(method, "/resolve?domain=live.example.com").await;
        answer.is_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), "GET,HEAD,OPTIONS");
    }
}

// === the table ===

#[tokio::test]
async fn every_route_answers_its_method_on_its_side_and_only_there() {
    for route in ROUTES {
        let target = route.path.replace("{id}", "sh-1").replace("{app}/{stream}", "live/show.flv");
        for side in [Side::Player, Side::Ops] {
            let served = ROUTES.iter().any(|r| (r.side, r.path) == (side, route.path));
            // A stream has no end to wait for.
            let is_stream = (side, &*target) == (Side::Ops, "/nodes/events");
            let method = if is_stream { "HEAD" } else { route.method };
            let answer = by_router(&front(), side, PROXY, request(method, &target)).await;
            assert_ne!(answer.status, 405, "{method} {target}");
            if !served {
                answer.is_problem(404, "not-found");
            }
        }
    }
}

#[tokio::test]
async fn no_path_of_nowhere_is_served() {
    for target in ["/nowhere", "/resolve/", "/Resolve", "//", "/nodes", "/metrics"] {
        player("GET", target).await.is_problem(404, "not-found");
    }
}

// === ops side ===

#[tokio::test]
async fn nodes_are_listed_counted_and_filtered() {
    let body = ops("/nodes").await.json();
    assert_eq!(body["summary"]["total"], 4);
    let states = body["summary"]["states"].as_object().unwrap();
    assert_eq!(states.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 4);
    for (query, total) in [
        ("pop=shanghai", 2),
        ("pop=shanghai&q=SH-2", 1),
        ("q=beij", 1),
        ("q=", 4),
        ("pool=edges", 4),
        ("pool=edge", 0),
        ("state=draining", 0),
    ] {
        let body = ops(&format!("/nodes?{query}")).await.json();
        assert_eq!(body["summary"]["total"], total, "{query}");
        assert_eq!(body["nodes"].as_array().unwrap().len(), total, "{query}");
    }
    for query in ["pop=a&pop=b", "pop=", "state=no-such-state", "q=a%00b"] {
        ops(&format!("/nodes?{query}")).await.is_problem(400, "invalid-parameter");
    }
    let problem = ops("/nodes?state=ill").await.json();
    let reason = problem["invalid_params"][0]["reason"].as_str().unwrap();
    assert!(NodeState::ALL.iter().all(|state| reason.contains(state.as_str())), "{reason}");
}

#[tokio::test]
async fn one_node_is_shown_by_its_id() {
    assert_eq!(ops("/nodes/sh-1").await.json()["id"], "sh-1");
    ops("/nodes/sh-9").await.is_problem(404, "unknown-node");
    ops("/nodes/%ff").await.is_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn explain_and_geo_take_any_address() {
    assert_eq!(ops("/explain?domain=live.example.com&ip=192.0.2.1&stream=live/one").await.status, 200);
    ops("/explain?domain=nowhere.example.com").await.is_problem(404, "unknown-domain");
    ops("/explain").await.is_problem(400, "missing-parameter");
    let mapped = ops("/geo?ip=::ffff:192.0.2.1").await;
    assert_eq!((mapped.status, mapped.header("cache-control")), (StatusCode::OK, "no-store"));
    ops("/geo?ip=here").await.is_problem(400, "invalid-parameter");
    assert_eq!(ops("/geo").await.status, 200);
}

#[tokio::test]
async fn a_client_subnet_is_explained_as_the_dns_would_answer_it() {
    for (subnet, client, scope) in [
        ("192.0.2.0/24", "192.0.2.0", None),
        ("114.114.0.0/16", "114.114.0.0", None),
        ("2001:db8:1::/48", "2001:db8:1::", None),
        // One that stands for IPv4; one that says nothing.
        ("2002:c000:200::/40", "2002:c000:200::", Some(40)),
        ("0.0.0.0/0", "127.0.0.1", Some(0)),
        ("::/0&ip=192.0.2.7", "192.0.2.7", Some(0)),
        ("192.0.2.0/24&ip=198.51.100.7", "192.0.2.0", None),
    ] {
        let body = ops(&format!("/explain?domain=live.example.com&subnet={subnet}")).await.json();
        assert_eq!(
            (&body["client_ip"], &body["subnet"]["network"]),
            (&client.into(), &subnet.split('&').next().into()),
            "{body}"
        );
        let network = body["geo"]["network"].as_str().unwrap();
        let known: u64 = network.split_once('/').unwrap().1.parse().unwrap();
        assert_eq!(body["subnet"]["scope"], scope.unwrap_or(known), "{body}");
    }
    let of_kind = async |kind: &str| {
        let target = format!("/explain?domain=live.example.com&subnet=192.0.2.0/24{kind}");
        let body = ops(&target).await.json();
        let candidates = body["candidates"].as_array().unwrap();
        let out = candidates.iter().filter(|one| one["excluded_because"].to_string().contains("family"));
        out.map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of_kind("").await, [""; 0]);
    assert_eq!(of_kind("&type=AAAA").await, ["sh-2"]);
    for (query, name) in [
        ("subnet=192.0.2.1/24", "subnet"),
        ("subnet=192.0.2.0", "subnet"),
        ("subnet=192.0.2.0/33", "subnet"),
        ("subnet=", "subnet"),
        ("subnet=192.0.2.0/24&subnet=192.0.2.0/24", "subnet"),
        ("subnet=192.0.2.0/24&ip=here", "ip"),
        ("subnet=192.0.2.0/24&type=MX", "type"),
    ] {
        let answer = ops(&format!("/explain?domain=live.example.com&{query}")).await;
        let problem = answer.is_problem(400, "invalid-parameter");
        assert_eq!(problem["invalid_params"][0]["name"], name, "{query}");
    }
    let mut page = request("GET", "/explain?domain=live.example.com&subnet=192.0.2.0/24");
    page.headers_mut().insert("accept", "text/html".parse().unwrap());
    let page = by_router(&front(), Side::Ops, PROXY, page).await;
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.status == 200 && html.contains("192.0.2.0"), "{html}");
}

#[tokio::test]
async fn probes_answer_on_both_sides() {
    for side in [Side::Player, Side::Ops] {
        let live = by_router(&front(), side, STRANGER, request("GET", "/livez")).await;
        assert_eq!((live.status, &live.body[..]), (StatusCode::OK, &b"ok\n"[..]));
    }
    let verbose = ops("/readyz?verbose").await;
    let readiness = if verbose.status == 200 { verbose.json() } else { verbose.json()["readiness"].clone() };
    assert!(readiness["ready"].is_boolean());
    assert!(readiness["reasons"].is_array());
    ops("/readyz?verbose=maybe").await.is_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let classic = ops("/metrics").await;
    assert_eq!(classic.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let mut asked = request("GET", "/metrics");
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    asked.headers_mut().insert("accept", accept.parse().unwrap());
    let open = by_router(&front(), Side::Ops, PROXY, asked).await;
    assert_eq!(open.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.body.ends_with(b"# EOF\n"));
}

#[tokio::test]
async fn answers_refusals_and_problems_are_counted_once_whichever_way_they_went() {
    let front = front();
    for target in ["/resolve?domain=live.example.com", "/resolve?domain=nowhere.example.com", "/resolve"] {
        by_lane(&front, STRANGER, request("GET", target)).await;
        by_router(&front, Side::Player, STRANGER, request("GET", target)).await;
    }
    by_router(&front, Side::Ops, PROXY, request("GET", "/nowhere")).await;
    let page = by_router(&front, Side::Ops, PROXY, request("GET", "/metrics")).await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    let sum = |family: &str| -> f64 {
        let samples = page.lines().filter(|line| line.starts_with(family));
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    assert_eq!(sum("nearcast_resolve_requests_total{domain=\"live.example.com\""), 2.0);
    assert_eq!(sum("nearcast_resolve_refused_total{reason=\"unknown_domain\""), 2.0);
    assert_eq!(sum("nearcast_http_problems_total{code=\"unknown-domain\""), 2.0);
    assert_eq!(sum("nearcast_http_problems_total{code=\"missing-parameter\""), 2.0);
    assert_eq!(sum("nearcast_http_problems_total{code=\"not-found\""), 1.0);
}

#[tokio::test]
async fn a_panic_on_the_ops_side_is_a_problem_and_no_more() {
    let front = front();
    let broken = Router::new().route("/", axum::routing::get(async || -> Body { panic!("on purpose") }));
    let broken = boundary::guard(broken, &front).with_state(Arc::clone(&front));
    let answer = Answer::read(broken.oneshot(request("GET", "/")).await).await;
    let body = answer.is_problem(500, "internal");
    assert!(!body.to_string().contains("on purpose"));
}

#[tokio::test]
async fn a_router_without_peer_does_not_guess_one() {
    let asked = request("GET", "/resolve?domain=live.example.com");
    let answer = Answer::read(router(Side::Player, &front()).oneshot(asked).await).await;
    answer.is_problem(500, "internal");
}

#[tokio::test]
async fn the_contract_is_served_as_it_stands_in_the_repository() {
    let answer = ops("/openapi.yaml").await;
    assert_eq!(answer.header("content-type"), "application/yaml");
    assert_eq!(&answer.body[..], include_bytes!("../../openapi.yaml"));
}

#[tokio::test]
async fn what_stands_at_the_root_says_what_to_ask() {
    let body = player("GET", "/").await.json();
    assert_eq!(body["service"], "nearcast");
}

#[tokio::test]
#[ignore = "needs promtool: apt-get install prometheus"]
async fn promtool_finds_nothing_to_complain_about() {
    let front = front();
    for target in ["/resolve?domain=live.example.com", "/resolve"] {
        by_lane(&front, STRANGER, request("GET", target)).await;
    }
    let page = by_router(&front, Side::Ops, PROXY, request("GET", "/metrics")).await.body;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is not installed: apt-get install prometheus");
    promtool.stdin.take().unwrap().write_all(&page).unwrap();
    let verdict = promtool.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&[verdict.stdout, verdict.stderr].concat()).into_owned();
    let page = String::from_utf8_lossy(&page);
    assert!(verdict.status.success() && complaints.is_empty(), "{complaints}\n{page}");
}
