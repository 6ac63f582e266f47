//! What strangers write into a question: who they claim to be, and what no parameter may be.

use serde_json::Value;

use crate::stage::{CHICAGO, Edge, live, scrape_each};
use crate::support::{Reply, Service, get_with};

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
            assert_eq!(reply.status, 400, "{query}: {reply:#?}");
            assert_eq!(reply.header("content-type"), "application/problem+json", "{query}");
            let problem = reply.json();
            let faults = problem["invalid_params"].as_array().into_iter().flatten();
            let named: Vec<&Value> = faults.map(|fault| &fault["name"]).collect();
            assert!(named.contains(&&Value::from(*name)), "{query} blames {named:?}");
        }
    }
    let target = format!("domain=live.example.com&x={}", "a".repeat(9 * 1024));
    assert_eq!(ask(&service, &target, &[]).await.status, 414);
    assert_eq!(ask(&service, "domain=live.example.com", &[]).await.status, 200);
}
