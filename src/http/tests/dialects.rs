//! Other services' HTTP-DNS, through the lane; readers of the answers are written after those services' SDKs.

use serde_json::json;

use super::*;
use crate::http::sign::{Signer, SigningKey};

const LIVE: &str = "dn=live.example.com";

async fn asked(front: &Arc<Front>, target: &str) -> Answer {
    by_lane(front, STRANGER, request("GET", target)).await
}

async fn text(target: &str) -> String {
    let answer = player("GET", target).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/plain; charset=utf-8"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// What `ResponseParser` of the Android SDK (com.tencent.msdk.dns.core.rest.share.rsp) makes of an answer.
#[derive(Debug, PartialEq)]
struct Parsed {
    client: String,
    ttl: u32,
    v4: Vec<String>,
    v6: Vec<String>,
}

fn list(text: &str) -> Vec<String> {
    // What is no address is dropped afterwards (`IpValidator`).
    text.split(';').filter(|ip| ip.parse::<std::net::IpAddr>().is_ok()).map(str::to_owned).collect()
}

/// `(.*),(.*)\|(.*)`, greedy, over the whole answer: a line end would not match. `None`: `Response.EMPTY`.
fn parsed_of_one_family(raw: &str) -> Option<Parsed> {
    let (rest, client) = raw.rsplit_once('|').filter(|_| !raw.contains('\n'))?;
    let (ips, ttl) = rest.rsplit_once(',')?;
    Some(Parsed { client: client.to_owned(), ttl: ttl.parse().ok()?, v4: list(ips), v6: Vec::new() })
}

/// `(.*),(.*)-(.*),(.*)\|(.*)`.
fn parsed_of_both(raw: &str) -> Option<Parsed> {
    let (rest, client) = raw.rsplit_once('|').filter(|_| !raw.contains('\n'))?;
    let (rest, ttl_v6) = rest.rsplit_once(',')?;
    let (rest, v6) = rest.rsplit_once('-')?;
    let (v4, ttl_v4) = rest.rsplit_once(',')?;
    let ttl = ttl_v4.parse::<u32>().ok()?.min(ttl_v6.parse().ok()?);
    Some(Parsed { client: client.to_owned(), ttl, v4: list(v4), v6: list(v6) })
}

/// `(.*)\.:` before either, line by line; what does not match is passed over.
fn parsed_lines(raw: &str, parse: fn(&str) -> Option<Parsed>) -> Vec<(String, Parsed)> {
    let line = |line: &str| {
        let (name, rest) = line.split_once(".:")?;
        Some((name.to_owned(), parse(rest)?))
    };
    raw.split('\n').filter_map(line).collect()
}

// === DNSPod ===

#[tokio::test]
async fn dnspod_is_answered_in_its_grammar() {
    let plain = text(&format!("/d?{LIVE}")).await;
    let v4: Vec<&str> = plain.split(';').collect();
    assert_eq!(v4.len(), 3, "{plain:?}");
    assert!(v4.iter().all(|ip| ip.parse::<std::net::Ipv4Addr>().is_ok()), "{plain:?}");

    let parsed = parsed_of_one_family(&text(&format!("/d?{LIVE}&ttl=1&clientip=1")).await).unwrap();
    assert_eq!((parsed.v4.len(), parsed.client.as_str()), (3, "198.51.100.23"));
    assert!((5..=60).contains(&parsed.ttl), "{parsed:?}");

    let v6 = text(&format!("/d?{LIVE}&type=aaaa")).await;
    assert!(v6.split(';').all(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()), "{v6:?}");

    for case in ["addrs", "ADDRS"] {
        let raw = text(&format!("/d?{LIVE}&type={case}&ttl=1&clientip=1")).await;
        let parsed = parsed_of_both(&raw).unwrap_or_else(|| panic!("{raw:?}"));
        assert_eq!((parsed.v4.len(), parsed.v6.is_empty()), (3, false), "{raw:?}");
    }
    let named = text("/d?dn=Live.example.com.&query=1&ttl=1&clientip=1").await;
    let lines = parsed_lines(&named, parsed_of_one_family);
    // An SDK finds the answer by the name that it asked for.
    assert_eq!((lines.len(), lines[0].0.as_str()), (1, "Live.example.com"), "{named:?}");
}

#[tokio::test]
async fn dnspod_says_nothing_where_there_is_nothing() {
    let nothing = "dn=nowhere.example.com";
    assert_eq!(text(&format!("/d?{nothing}")).await, "");
    assert_eq!(text(&format!("/d?{nothing}&ttl=1&clientip=1&type=addrs")).await, "");
    assert_eq!(text(&format!("/d?{nothing}&query=1")).await, "nowhere.example.com.:0");
    assert_eq!(
        text(&format!("/d?{nothing}&query=1&type=addrs&ttl=1&clientip=1")).await,
        "nowhere.example.com.:0-0|198.51.100.23"
    );
    let answer = player("GET", &format!("/d?{nothing}")).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    // One family of two: its SDK wants a lifetime behind the 0, or it believes neither.
    let front = front_of(Resolver::for_tests_layered());
    let one = asked(&front, "/d?dn=portless.example.com&type=addrs&ttl=1&clientip=1").await;
    let raw = String::from_utf8(one.body.to_vec()).unwrap();
    let parsed = parsed_of_both(&raw).unwrap_or_else(|| panic!("{raw:?}"));
    assert_eq!((parsed.v4, parsed.v6), (vec!["203.0.113.60".to_owned()], Vec::new()), "{raw:?}");
}

#[tokio::test]
async fn dnspod_answers_several_names_line_by_line_and_books_each() {
    let front = front();
    let target = "/d?dn=live.example.com,nowhere.example.com,live.example.com&ttl=1&clientip=1";
    let answer = asked(&front, target).await;
    let raw = String::from_utf8(answer.body.to_vec()).unwrap();
    assert_eq!(raw.lines().nth(1), Some("nowhere.example.com.:0|198.51.100.23"), "{raw:?}");
    let lines = parsed_lines(&raw, parsed_of_one_family);
    assert_eq!(lines.len(), 2, "{raw:?}");
    let shortest = lines.iter().map(|(_, parsed)| parsed.ttl).min().unwrap();
    assert_eq!(answer.header("cache-control"), format!("private, max-age={shortest}"));
    assert_eq!(front.resolver.nodes().iter().map(|node| node.answers).sum::<u64>(), 2);
}

#[tokio::test]
async fn dnspod_takes_a_form_as_it_takes_a_query() {
    let form = |body: &str, media_type: &'static str| {
        let mut asked = Request::post("/d?ttl=1").body(Full::from(body.to_owned())).unwrap();
        asked.headers_mut().insert("content-type", media_type.parse().unwrap());
        asked
    };
    const FORM: &str = "application/x-www-form-urlencoded";
    let long = format!("dn={}", "a".repeat(4_096));
    for (body, media_type, status) in [
        ("dn=live.example.com&clientip=1", FORM, 200),
        ("dn=live.example.com&ttl=1", FORM, 400),
        ("", FORM, 400),
        ("dn=live.example.com", "text/plain", 415),
        (&long, FORM, 413),
    ] {
        let answer = by_lane(&front(), STRANGER, form(body, media_type)).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        if status == 200 {
            parsed_of_one_family(std::str::from_utf8(&answer.body).unwrap()).unwrap();
        }
    }
    let whole = by_lane(&front(), STRANGER, request("POST", &format!("/d?{LIVE}"))).await;
    assert_eq!(whole.status, 200);
}

// === Alibaba ===

#[tokio::test]
async fn alibaba_is_answered_in_its_members() {
    let one = player("GET", "/100000/d?host=live.example.com").await;
    assert_eq!((one.status, one.header("content-type")), (StatusCode::OK, "application/json"));
    let body = one.json();
    assert_eq!(keys(&body), ["client_ip", "host", "ips", "origin_ttl", "ttl"]);
    assert_eq!((&body["host"], &body["client_ip"]), (&json!("live.example.com"), &json!("198.51.100.23")));
    assert_eq!((body["ips"].as_array().unwrap().len(), &body["ttl"]), (3, &body["origin_ttl"]));
    assert_eq!(one.header("cache-control"), format!("private, max-age={}", body["ttl"]));
    let v6 = player("GET", "/100000/d?host=live.example.com&query=6").await.json();
    assert_eq!(keys(&v6), ["client_ip", "host", "ipsv6", "origin_ttl", "ttl"]);
    let both = player("GET", "/100000/d?host=live.example.com&query=4,6").await.json();
    assert!(both["ips"][0].as_str().unwrap().starts_with("203.0.113."), "{both}");
    assert!(both["ipsv6"][0].as_str().unwrap().starts_with("2001:db8:"), "{both}");
    // "The ips field may be an empty list": its SDK asks the DNS then.
    let none = player("GET", "/100000/d?host=nowhere.example.com&query=4,6").await;
    let expected = json!({
        "host": "nowhere.example.com", "client_ip": "198.51.100.23", "ips": [], "ipsv6": [], "ttl": 60
    });
    assert_eq!(
        (none.status, none.json(), none.header("cache-control")),
        (StatusCode::OK, expected, "no-store")
    );
}

/// `ResolveHostResponse.fromResponse` of the Android SDK: `host`, `type` and `ttl` must be there, and `ips` is of the
/// family that `type` says.
#[tokio::test]
async fn alibaba_answers_several_names_each_by_its_record_types() {
    let front = front();
    let target = "/1/resolve?host=live.example.com,nowhere.example.com&query=4,6";
    let body = asked(&front, target).await.json();
    let items: Vec<(&str, u64, usize)> = body["dns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            assert!(item["ttl"].as_u64().unwrap() > 0 && item["client_ip"] == "198.51.100.23", "{item}");
            let (ips, kind) = (item["ips"].as_array().unwrap(), item["type"].as_u64().unwrap());
            assert!(ips.iter().all(|ip| ip.as_str().unwrap().contains(':') == (kind == 28)), "{item}");
            (item["host"].as_str().unwrap(), kind, ips.len())
        })
        .collect();
    assert_eq!(items[0], ("live.example.com", 1, 3));
    assert!(items[1].2 > 0, "{items:?}");
    assert_eq!(items[2..], [("nowhere.example.com", 1, 0), ("nowhere.example.com", 28, 0)]);
    assert_eq!(front.resolver.nodes().iter().map(|node| node.answers).sum::<u64>(), 1);
    let old = player("GET", "/1/resolve?host=live.example.com").await.json();
    assert_eq!((old["dns"].as_array().unwrap().len(), &old["dns"][0]["type"]), (1, &json!(1)));
}

#[tokio::test]
async fn alibaba_is_refused_in_its_codes() {
    for (target, status, code) in [
        ("/x/d", 400, "MissingArgument"),
        ("/x/d?host=a..b", 400, "InvalidHost"),
        ("/x/d?host=a.example,b.example", 400, "TooManyHosts"),
        ("/x/resolve?host=a,b,c,d,e,f", 400, "TooManyHosts"),
        ("/x/d?host=live.example.com&query=A", 400, "InvalidQuery"),
        ("/v2/d?id=100000&m=0&dn=live.example.com&exp=1&s=1", 403, "InvalidSignature"),
        ("/v2/resolve?host=live.example.com", 403, "InvalidSignature"),
        ("/x/sign_d?host=live.example.com&t=1&s=1", 403, "InvalidSignature"),
        ("/x/sign_resolve?host=live.example.com&t=1&s=1", 403, "InvalidSignature"),
    ] {
        let answer = player("GET", target).await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(!answer.header("x-request-id").is_empty());
        let body = answer.json();
        assert_eq!((&body["code"], keys(&body)), (&json!(code), vec!["code", "message"]), "{target}");
    }
}

// === both ===

#[tokio::test]
async fn each_dialect_can_be_switched_off_and_the_other_stays() {
    let paths = ["/d?dn=live.example.com", "/1/d?host=live.example.com", "/1/resolve?host=live.example.com"];
    for (dnspod, alibaba) in [(true, false), (false, true), (false, false)] {
        let front = front();
        front.understand(config::Dialects { dnspod, alibaba });
        for (path, is_on) in paths.into_iter().zip([dnspod, alibaba, alibaba]) {
            for method in ["GET", "HEAD", "OPTIONS", "PUT"] {
                let answer = by_lane(&front, STRANGER, request(method, path)).await;
                let expected = match method {
                    _ if !is_on => 404,
                    "OPTIONS" => 204,
                    "PUT" => 405,
                    _ => 200,
                };
                assert_eq!(answer.status, expected, "{method} {path}");
                if !is_on && method != "HEAD" {
                    answer.is_problem(404, "not-found");
                }
            }
        }
        let signed = asked(&front, "/1/sign_d?host=live.example.com").await;
        assert_eq!(signed.status, if alibaba { 403 } else { 404 });
        let posted = by_lane(&front, STRANGER, request("POST", paths[0])).await;
        assert_eq!(posted.status, if dnspod { 200 } else { 404 });
        // What is ours stays ours.
        assert_eq!(
            asked(&front, "/resolve?domain=live.example.com").await.json()["domain"],
            "live.example.com"
        );
    }
}

#[tokio::test]
async fn streams_are_still_streams_beside_them() {
    let front = front_of(Resolver::for_tests_layered());
    for target in ["/live/d.flv", "/live/resolve.m3u8", "/live/sign_d.flv"] {
        let mut stream = request("GET", target);
        stream.headers_mut().insert("host", "live.example.com".parse().unwrap());
        let answer = by_lane(&front, STRANGER, stream).await;
        assert_eq!(answer.status, 302, "{target}: {answer:?}");
        assert!(answer.header("location").contains(target), "{answer:?}");
    }
    for target in ["/live/e", "/d/d/d", "/d/", "/1/d/", "/1/resolves"] {
        asked(&front, target).await.is_problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_client_is_who_the_rule_of_resolve_says() {
    for (peer, target, client) in [
        (STRANGER, "ip=192.0.2.7", "198.51.100.23"),
        (PROXY, "ip=192.0.2.7", "192.0.2.7"),
        (PROXY, "ip=2001:db8:1::7", "2001:db8:1::7"),
        (PROXY, "x=1", "192.0.2.9"),
        (STRANGER, "ip=rubbish", "198.51.100.23"),
    ] {
        let ask = async |path: String| {
            let mut asked = request("GET", &path);
            asked.headers_mut().insert("x-forwarded-for", "192.0.2.9".parse().unwrap());
            by_lane(&front(), peer, asked).await
        };
        let dnspod = ask(format!("/d?{LIVE}&clientip=1&ttl=1&{target}")).await;
        let raw = String::from_utf8(dnspod.body.to_vec()).unwrap();
        assert_eq!(parsed_of_one_family(&raw).unwrap().client, client, "{target}");
        let alibaba = ask(format!("/1/d?host=live.example.com&{target}")).await.json();
        assert_eq!(alibaba["client_ip"], client, "{target}");
    }
    let refused = by_lane(&front(), PROXY, request("GET", &format!("/d?{LIVE}&ip=rubbish"))).await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn what_asks_for_a_signature_is_told_in_no_dialect() {
    let key = SigningKey::new(b"0123456789abcdef").unwrap();
    for is_required in [true, false] {
        let front = front();
        let signer = Signer::new(vec![key.clone()], is_required).unwrap();
        front.sign_by([("live.example.com".into(), signer)].into_iter().collect());
        let status = if is_required { 403 } else { 200 };
        for target in [
            "/d?dn=LIVE.example.com.",
            "/d?dn=nowhere.example.com,live.example.com",
            "/1/d?host=Live.Example.com",
            "/1/resolve?host=nowhere.example.com,live.example.com",
        ] {
            let answer = asked(&front, target).await;
            assert_eq!(answer.status, status, "{target}: {answer:?}");
            let body = String::from_utf8(answer.body.to_vec()).unwrap();
            assert_eq!(body.contains("203.0.113."), !is_required, "{target}: {body}");
            assert_eq!(
                body.contains("UnsignedInterfaceDisabled"),
                is_required && target.starts_with("/1"),
                "{target}: {body}"
            );
        }
        let booked: u64 = front.resolver.nodes().iter().map(|node| node.answers).sum();
        assert_eq!(booked > 0, !is_required);
    }
}

#[tokio::test]
async fn a_full_pool_that_refuses_says_when_to_come_back() {
    let front = front_of(Resolver::for_tests_measured());
    for (target, part) in
        [("/d?dn=full.example.com", "overloaded"), ("/1/d?host=full.example.com", "ServiceUnavailable")]
    {
        let answer = asked(&front, target).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"), "{answer:?}");
        assert!(std::str::from_utf8(&answer.body).unwrap().contains(part), "{answer:?}");
    }
    // In a list what is there counts for more.
    let list = asked(&front, "/d?dn=full.example.com,live.example.com").await;
    assert_eq!(list.status, 200);
    assert!(list.body.starts_with(b"full.example.com.:0\nlive.example.com.:203.0.113."), "{list:?}");
    let metrics = by_router(&front, Side::Ops, PROXY, request("GET", "/metrics")).await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "nearcast_resolve_refused_total{reason=\"all_overloaded\"} 3",
        "nearcast_http_problems_total{code=\"overloaded\"} 2",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in {metrics}");
    }
}

#[tokio::test]
async fn several_names_take_as_much_as_several_requests() {
    let front = front();
    front.limit(Limits { requests_per_second: 1, burst: 5, ..Limits::default() });
    let four = "/1/resolve?host=live.example.com,live.example.com,live.example.com,live.example.com";
    assert_eq!(asked(&front, four).await.status, 200);
    let answer = asked(&front, "/d?dn=live.example.com,live.example.com").await;
    answer.is_problem(429, "too-many-requests");
    assert_eq!((answer.header("retry-after"), answer.header("ratelimit")), ("1", "\"client\";r=0;t=1"));
    assert_eq!(front.resolver.nodes().iter().map(|node| node.answers).sum::<u64>(), 4);
    // Who speaks for nobody pays nothing.
    for _ in 0..3 {
        assert_eq!(by_lane(&front, PROXY, request("GET", four)).await.status, 200);
    }
}
