//! What strangers write into a question: who they claim to be, and what no parameter may be.

use serde_json::Value;

use crate::stage::{CHICAGO, Edge, live, scrape_each};
use crate::support::{Reply, Service, get_with, post_json};

/// A service whose only trusted peer is loopback (every test's), and `10.0.0.0/8` behind it.
async fn service() -> (Service, Vec<Edge>) {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let head = "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
                trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n\n";
    let service = Service::start(&live(&format!("{head}{}", scrape_each(500)), &edges)).await;
    (service, edges)
}

async fn ask(service: &Service, query: &str, headers: &[(&str, &str)]) -> Reply {
    get_with(&service.player_url(&format!("/resolve?{query}")), headers).await.unwrap()
}

/// Asserts that a reply refuses what was asked and says that it is for this name.
#[track_caller]
fn blames(reply: &Reply, name: &str, asked: &str) {
    assert_eq!(reply.status, 400, "{asked}: {reply:#?}");
    assert_eq!(reply.header("content-type"), "application/problem+json", "{asked}");
    let problem = reply.json();
    let faults = problem["invalid_params"].as_array().into_iter().flatten();
    let named: Vec<&Value> = faults.map(|fault| &fault["name"]).collect();
    assert!(named.contains(&&Value::from(name)), "{asked} blames {named:?}");
}

#[tokio::test]
async fn a_client_is_who_the_nearest_trusted_proxy_says_and_nobody_else() {
    let (service, _edges) = service().await;
    const XFF: &str = "x-forwarded-for";
    for (lines, expected) in [
        (&[][..], "127.0.0.1"),
        (&[(XFF, "198.51.100.7")], "198.51.100.7"),
        // What stands left of the first stranger is the stranger's own invention.
        (&[(XFF, "192.0.2.66, 198.51.100.7")], "198.51.100.7"),
        (&[(XFF, "192.0.2.66, 198.51.100.7, 10.0.0.2")], "198.51.100.7"),
        (&[(XFF, "192.0.2.66"), (XFF, "198.51.100.7")], "198.51.100.7"),
        (&[(XFF, "10.9.9.9, 10.0.0.2")], "10.9.9.9"),
        (&[(XFF, "198.51.100.7:4711")], "198.51.100.7"),
        (&[(XFF, "[2001:db8::7]:4711")], "2001:db8::7"),
        (&[(XFF, "::ffff:198.51.100.7")], "198.51.100.7"),
        // A token that is no address ends the walk at the last good one.
        (&[(XFF, "198.51.100.7, unknown, 10.0.0.2")], "10.0.0.2"),
        (&[(XFF, "198.51.100.7, 010.0.0.1")], "127.0.0.1"),
        (&[(XFF, "198.51.100.7,")], "127.0.0.1"),
        (&[(XFF, "é")], "127.0.0.1"),
        // Headers that are not the configured one say nothing.
        (&[("x-real-ip", "198.51.100.7")], "127.0.0.1"),
        (&[("forwarded", "for=198.51.100.7")], "127.0.0.1"),
        (&[("cf-connecting-ip", "198.51.100.7")], "127.0.0.1"),
        (&[("true-client-ip", "198.51.100.7")], "127.0.0.1"),
        (&[("x-real-ip", "192.0.2.66"), (XFF, "198.51.100.7")], "198.51.100.7"),
    ] {
        let reply = ask(&service, "domain=live.example.com", lines).await;
        assert_eq!(reply.status, 200, "{lines:?}: {reply:#?}");
        assert_eq!(reply.json()["client_ip"], expected, "{lines:?}");
    }
}

#[tokio::test]
async fn every_abused_parameter_is_refused_by_name_and_the_service_lives() {
    let (service, _edges) = service().await;
    let long = "a".repeat(600);
    let many = ["192.0.2.1"; 17].join(",");
    let abused: &[(&str, &[&str])] = &[
        ("domain", &["", "%00", "a..b", "%ff", "%C3%BC.example", "a%0d%0ab", "%2e%2e%2f", "a%20b", &long]),
        ("ip", &["", "1.2.3", "1.2.3.4.5", "0x7f.1", "2130706433", "::g", "%00", "1.2.3.4/8", &long]),
        ("n", &["", "0", "9", "-1", "1.0", "1e0", "99999999999999999999", "%31%00", "x"]),
        ("type", &["", "MX", "A,AAAA", "%41%00", &long]),
        ("format", &["", "xml", "JSON%0d%0a", &long]),
        ("detail", &["2", "yes", "-1", "%00"]),
        ("bitrate", &["", "3", "-3Mbps", "NaNMbps", "infMbps", "1Tbps", "1e999Mbps", "%00"]),
        ("failed", &["", ",", "192.0.2.1,", "a", &many, "%00"]),
        ("why", &["", "slow", "%00"]),
        ("current", &["", "here", "1.2.3.4:80", "%00"]),
        ("stream", &["", "a%00b", "a%0d%0ab", "%ff", "a%7fb", &long]),
    ];
    for (name, values) in abused {
        let twice = format!("1&{name}=1");
        for value in values.iter().copied().chain([twice.as_str()]) {
            let rest = if *name == "domain" { "" } else { "domain=live.example.com&" };
            let query = format!("{rest}{name}={value}");
            let reply = ask(&service, &query, &[]).await;
            blames(&reply, name, &query);
        }
    }
    let target = format!("domain=live.example.com&x={}", "a".repeat(9 * 1024));
    assert_eq!(ask(&service, &target, &[]).await.status, 414);
    assert_eq!(ask(&service, "domain=live.example.com", &[]).await.status, 200);
}

/// Bytes that no surface may stumble over, as a body.
fn rubbish() -> Vec<Vec<u8>> {
    let deep = "[".repeat(5_000);
    let texts = ["", " ", "{", "[]", "null", "\"text\"", "{} {}", "{\"a\":1,}", "NaN", "\u{feff}{}", &deep];
    let mut bodies: Vec<Vec<u8>> = texts.into_iter().map(|text| text.as_bytes().to_vec()).collect();
    bodies.extend([b"\x00".to_vec(), b"{\"\xff\":1}".to_vec(), vec![b' '; 64 * 1024]]);
    bodies
}

#[tokio::test]
async fn every_abused_body_of_a_report_is_refused_by_member() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let head = format!("[scheduler]\nrtt_secret_file = \"rtt.secret\"\n\n{}", scrape_each(500));
    let files = [("rtt.secret", "0123456789abcdef")];
    let service = Service::launch_with(&live(&head, &edges), &files, &[], "").await;
    let url = service.player_url("/rtt");
    for body in rubbish() {
        let asked = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        blames(&post_json(&url, body, &[]).await.unwrap(), "body", &asked);
    }
    let token = "0".repeat(80);
    let many: Vec<String> = (0..17).map(|n| format!("\"192.0.2.{n}\":1")).collect();
    let times = |times: &str| format!("{{\"token\":\"{token}\",\"rtt_ms\":{times}}}");
    for (body, member) in [
        ("{}".to_owned(), "token"),
        ("{\"token\":\"\"}".to_owned(), "rtt_ms"),
        ("{\"token\":7,\"rtt_ms\":{}}".to_owned(), "token"),
        (times("[]"), "rtt_ms"),
        (times("{\"here\":1}"), "rtt_ms"),
        (times("{\"192.0.2.1\":\"1\"}"), "rtt_ms"),
        (times("{\"192.0.2.1\":-1}"), "rtt_ms"),
        (times("{\"192.0.2.1\":2001}"), "rtt_ms"),
        (times("{\"192.0.2.1/8\":1}"), "rtt_ms"),
        (times(&format!("{{{}}}", many.join(","))), "rtt_ms"),
    ] {
        blames(&post_json(&url, body.clone(), &[]).await.unwrap(), member, &body);
    }
    // Well-formed and forged.
    for token in ["", "é", "\\u0000", &"f".repeat(80), &"f".repeat(3_000)] {
        let body = format!("{{\"token\":\"{token}\",\"rtt_ms\":{{\"{}\":1}}}}", edges[0].ip);
        assert_eq!(post_json(&url, body, &[]).await.unwrap().status, 403, "{token}");
    }
    assert_eq!(ask(&service, "domain=live.example.com", &[]).await.status, 200);
}

#[tokio::test]
async fn the_operators_side_refuses_abuse_by_name_too() {
    let (service, _edges) = service().await;
    let long = "a".repeat(65);
    for (path, name, values) in [
        ("/nodes", "pool", &["", "%00", "%ff", &long][..]),
        ("/nodes", "pop", &["", "a%0d%0ab", &long]),
        ("/nodes", "state", &["", "HEALTHY", "%00", "healthy,down"]),
        ("/nodes", "q", &["%00", "%4", &long]),
        ("/geo", "ip", &["", "1.2.3", "here", "1.2.3.4/8", "%00"]),
        ("/explain", "domain", &["", "a..b", "%ff", "a%20b"]),
        ("/explain", "ip", &["", "0x7f.1", "::g"]),
        ("/explain", "n", &["0", "9", "-1", "x"]),
        ("/explain", "failed", &["", ",", "a"]),
        ("/readyz", "verbose", &["yes", "2", "%00"]),
    ] {
        let twice = format!("1&{name}=1");
        for value in values.iter().copied().chain([twice.as_str()]) {
            let rest = if path == "/explain" && name != "domain" { "domain=live.example.com&" } else { "" };
            let asked = format!("{path}?{rest}{name}={value}");
            blames(&service.admin(&asked).await, name, &asked);
        }
    }
    for path in ["/nodes/%ff", "/nodes/%ff/drain-preview"] {
        blames(&service.admin(path).await, "id", path);
    }
    for path in ["/nodes/%2e%2e%2fetc", "/nodes/%00", "/nodes//drain-preview"] {
        assert_eq!(service.admin(path).await.status, 404, "{path}");
    }
    for path in ["/nodes/chicago-1/drain", "/nodes/chicago-1/undrain", "/-/reload"] {
        for body in rubbish().into_iter().filter(|body| !body.is_empty()) {
            let asked = format!("{path} {}", String::from_utf8_lossy(&body[..body.len().min(40)]));
            blames(&post_json(&service.admin_url(path), body, &[]).await.unwrap(), "body", &asked);
        }
    }
    let drain = service.admin_url("/nodes/chicago-1/drain");
    for (body, member) in [
        ("{\"reason\":7}".to_owned(), "reason"),
        ("{\"reason\":\"two\\nlines\"}".to_owned(), "reason"),
        (format!("{{\"reason\":\"{}\"}}", "a".repeat(201)), "reason"),
        ("{\"ttl_s\":0}".to_owned(), "ttl_s"),
        ("{\"ttl_s\":1.5}".to_owned(), "ttl_s"),
        ("{\"ttl_s\":99999999999}".to_owned(), "ttl_s"),
        ("{\"for_ever\":true}".to_owned(), "body"),
    ] {
        blames(&post_json(&drain, body.clone(), &[]).await.unwrap(), member, &body);
    }
    let foreign = post_json(&drain, "{}", &[("origin", "https://attacker.example")]).await.unwrap();
    assert_eq!(foreign.status, 403, "{foreign:#?}");
    assert_eq!(service.admin("/nodes/chicago-1").await.json()["state"], "healthy", "nothing of it was done");
}
