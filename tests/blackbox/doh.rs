//! DNS over HTTPS by `kdig` and `curl`, real clients, and what is refused before the DNS front is asked.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::stage::{
    CHICAGO, Edge, LONDON, NEW_YORK, TOKYO, ips, live, resolve, scrape_each, start_scraped_twice,
};
use super::support::{Reply, Service, client};

/// A zone with the domain of the stage in it.
const ZONE: &str = r#"
[dns]
listen = "127.0.0.1:0"
ttl = "7s"

[[dns.zones]]
apex = "example.com"
ns = ["ns1.example.net"]
records = ["www 60 A 192.0.2.80", "www 40 AAAA 2001:db8::80", "text 60 TXT \"a b\" c"]
"#;

/// `www.example.com A`, ID 0, as RFC 8484 §4.1.1 has it.
const WWW: &str = "AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";

/// Clients are who loopback says, unless that says nothing.
fn config(more: &str, edges: &[Edge]) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n{more}\n{}{ZONE}",
        live(&scrape_each(500), edges)
    )
}

fn secured(folder: &Path, edges: &[Edge]) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("a.crt"), folder.join("a.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = format!(
        "[server.tls]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    config(&tls, edges)
}

/// What a program prints, and its complaint.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("{program} is missing ({error}); apt-get install -y knot-dnsutils curl")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

async fn get(service: &Service, path: &str, client_ip: Option<&str>) -> Reply {
    let headers: Vec<_> = client_ip.map(|ip| ("x-forwarded-for", ip)).into_iter().collect();
    super::support::get_with(&service.player_url(path), &headers).await.unwrap()
}

/// The first address of an answer in JSON.
fn first(reply: &Reply) -> String {
    reply.json()["Answer"][0]["data"].as_str().unwrap_or_else(|| panic!("{reply:#?}")).to_owned()
}

#[tokio::test]
async fn kdig_is_answered_by_https_in_both_methods_and_curl_finds_its_way_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = start_scraped_twice(&secured(folder.path(), &edges), &edges).await;
    let port = service.secure().port().to_string();
    let authority = folder.path().join("a.crt").display().to_string();
    let trusted = format!("+tls-ca={authority}");
    let table: &[(&[&str], &[&str])] = &[
        (&["live.example.com", "A"], &["HTTP/2", "POST", "status: NOERROR", "203.0.113.1"]),
        (&["+https-get", "live.example.com", "A"], &["HTTP/2", "GET", "status: NOERROR", "203.0.113.1"]),
        (&["live.example.com", "AAAA"], &["ANSWER: 0", "SOA"]),
        (&["nothing.example.com", "A"], &["status: NXDOMAIN", "SOA"]),
        (&["example.org", "A"], &["status: REFUSED"]),
        (&["live.example.com", "A", "+edns=1"], &["BADVERS"]),
        (&["live.example.com", "A", "+subnet=8.8.8.0/24"], &["CLIENT-SUBNET: 8.8.8.0/24/"]),
        (&["+https-get", "text.example.com", "TXT"], &["\"a b\" \"c\""]),
    ];
    for (arguments, parts) in table {
        let how =
            ["@127.0.0.1", "-p", &port, "+time=5", "+retry=0", "+https", &trusted, "+tls-host=localhost"];
        let said = run("kdig", &[&how[..], arguments].concat());
        for part in *parts {
            assert!(said.contains(part), "{arguments:?} lacks {part:?}:\n{said}");
        }
    }
    let metrics = service.admin("/metrics").await.body;
    for line in [
        "nearcast_dns_replies_total{transport=\"https\",rcode=\"noerror\"} 5",
        "nearcast_dns_replies_total{transport=\"https\",rcode=\"nxdomain\"} 1",
        "nearcast_dns_replies_total{transport=\"https\",rcode=\"badvers\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line:?} in\n{metrics}");
    }
    // curl asks us where its host is; who is there is of no concern, only which address it goes to.
    let output = Command::new("curl")
        .args(["-sv", "--noproxy", "*", "--max-time", "5", "--connect-timeout", "1", "--cacert", &authority])
        .args(["--doh-insecure", "--doh-url", &format!("https://127.0.0.1:{port}/dns-query")])
        .arg("http://live.example.com:9/live/x.flv")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Trying 203.0.113.1:9"), "{said}");
}

#[tokio::test]
async fn a_reply_may_be_kept_as_long_as_its_shortest_record_and_failures_not_at_all() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = start_scraped_twice(&config("", &edges), &edges).await;
    for (query, status, lifetime, part) in [
        ("name=www.example.com", 0, "private, max-age=60", "192.0.2.80"),
        ("name=WWW.example.com.&type=28", 0, "private, max-age=40", "2001:db8::80"),
        ("name=text.example.com&type=txt", 0, "private, max-age=60", r#"\"a b\" \"c\""#),
        ("name=www.example.com&type=MX", 0, "private, max-age=30", "hostmaster.example.com."),
        ("name=nothing.example.com&do=1&cd=0", 3, "private, max-age=30", "Authority"),
        ("name=example.org", 5, "no-store", "\"Status\":5"),
    ] {
        let reply = get(&service, &format!("/dns-query?{query}"), None).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "application/dns-json"), "{query}");
        assert_eq!(reply.header("cache-control"), lifetime, "{query}: {reply:#?}");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert_eq!(reply.json()["Status"], status, "{query}");
        assert!(reply.body.contains(part), "{query} lacks {part}: {}", reply.body);
    }
    let reply = get(&service, &format!("/dns-query?dns={WWW}"), None).await;
    let told = (reply.status, reply.header("content-type"), reply.header("cache-control"));
    assert_eq!(told, (200, "application/dns-message", "private, max-age=60"));
    let reply = get(&service, "/dns-query?name=live.example.com", None).await;
    let ttl = reply.json()["Answer"][0]["TTL"].as_u64().unwrap();
    assert!((1..=7).contains(&ttl), "{reply:#?}");
    assert_eq!(reply.header("cache-control"), format!("private, max-age={ttl}"));
}

#[tokio::test]
async fn the_clients_own_address_counts_unless_a_subnet_is_asked_for() {
    let edges = Edge::start_each(&[CHICAGO, NEW_YORK, LONDON, TOKYO]).await;
    // Unbooked, so that asking twice is asking the same.
    let config = format!("{}\n[scheduler]\nbooking = false\n", config("", &edges));
    let service = start_scraped_twice(&config, &edges).await;
    let mut seen = std::collections::BTreeSet::new();
    for client_ip in ["8.8.8.8", "133.11.0.1", "81.2.69.142", "2001:200::1"] {
        let by_resolve = ips(&resolve(&service, &format!("ip={client_ip}")).await)[0].to_owned();
        let own = get(&service, "/dns-query?name=live.example.com", Some(client_ip)).await;
        assert_eq!(first(&own), by_resolve, "{client_ip}");
        assert_eq!(own.json().get("edns_client_subnet"), None);
        let path = format!("/dns-query?name=live.example.com&edns_client_subnet={client_ip}");
        let named = get(&service, &path, Some("203.0.113.77")).await;
        assert_eq!(first(&named), by_resolve, "{client_ip}");
        assert!(named.json()["edns_client_subnet"].is_string(), "{named:#?}");
        seen.insert(by_resolve);
    }
    assert!(seen.len() > 1, "{seen:?}");
}

#[tokio::test]
async fn what_is_no_query_is_refused_by_name_and_without_dns_there_is_nothing() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = start_scraped_twice(&config("", &edges), &edges).await;
    // The last is a reply: QR is set.
    for dns in ["", "A", "AAAB", "AAA=", "AA A", "%00", "é", "AACAAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB"]
    {
        blames(&get(&service, &format!("/dns-query?dns={dns}"), None).await, "dns", dns);
    }
    for (query, name) in [
        ("", "dns"),
        ("type=A", "dns"),
        ("name=", "name"),
        ("name=a..b", "name"),
        ("name=%ff", "name"),
        ("name=a.example&name=b.example", "name"),
        ("name=a.example&type=", "type"),
        ("name=a.example&type=X", "type"),
        ("name=a.example&type=65536", "type"),
        ("name=a.example&edns_client_subnet=1.2.3", "edns_client_subnet"),
        ("name=a.example&edns_client_subnet=1.2.3.4/33", "edns_client_subnet"),
        (&format!("name=a.example&dns={WWW}"), "name"),
        (&format!("dns={WWW}&dns={WWW}"), "dns"),
    ] {
        blames(&get(&service, &format!("/dns-query?{query}"), None).await, name, query);
    }
    let url = service.player_url("/dns-query");
    let www = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
    for (media_type, body, status, code) in [
        ("application/dns-message", www.to_vec(), 200, Value::Null),
        ("Application/DNS-Message; x=y", www.to_vec(), 200, Value::Null),
        ("application/json", www.to_vec(), 415, "unsupported-media-type".into()),
        ("", www.to_vec(), 415, "unsupported-media-type".into()),
        ("application/dns-message", vec![], 400, "invalid-parameter".into()),
        ("application/dns-message", vec![0; 11], 400, "invalid-parameter".into()),
        ("application/dns-message", vec![0xff; 64], 400, "invalid-parameter".into()),
        ("application/dns-message", vec![0; 4_097], 413, "content-too-large".into()),
    ] {
        let reply = client().post(&url).header("content-type", media_type).body(body).send().await.unwrap();
        assert_eq!(reply.status(), status, "{media_type}: {reply:?}");
        assert_eq!(reply.headers()["access-control-allow-origin"], "*");
        let body = reply.bytes().await.unwrap();
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(told["code"], code);
    }
    // A body of no announced length.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, [0; 4_097]).unwrap();
    let (body, media_type) = (format!("@{}", file.display()), "content-type: application/dns-message");
    let how = ["-s", "--noproxy", "*", "-H", "transfer-encoding: chunked", "-H", media_type];
    let said = run("curl", &[&how[..], &["--data-binary", &body, &url]].concat());
    assert!(said.contains("content-too-large"), "{said}");
    // Octets that are a query and a bad one are told so in the DNS's words: FORMERR.
    let broken = get(&service, "/dns-query?dns=AAABAAACAAAAAAAA", None).await;
    assert_eq!((broken.status, broken.header("cache-control")), (200, "no-store"));
    let dumb = Service::start(&live(&scrape_each(500), &edges)).await;
    for query in ["name=live.example.com".to_owned(), format!("dns={WWW}")] {
        let reply = get(&dumb, &format!("/dns-query?{query}"), None).await;
        assert_eq!((reply.status, &reply.json()["code"]), (404, &Value::from("not-found")));
    }
}

/// Asserts that a reply refuses what was asked and says that it is for this name.
#[track_caller]
fn blames(reply: &Reply, name: &str, asked: &str) {
    assert_eq!((reply.status, reply.header("content-type")), (400, "application/problem+json"), "{asked}");
    let problem = reply.json();
    let faults = problem["invalid_params"].as_array().into_iter().flatten();
    assert!(faults.into_iter().any(|fault| fault["name"] == name), "{asked}: {problem}");
}
