//! What `/resolve` makes of bad questions, and of those who speak for others.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stage::{CHICAGO, Edge, GB, LONDON, US, ips, live, resolve, scrape_each};
use super::support::{Reply, Service, get_with};

/// One PoP in America and one in Europe; the callers on loopback are trusted, or not.
async fn serve(trusted: bool) -> (Vec<Edge>, Service) {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    let trusted = if trusted { "[\"127.0.0.0/8\"]" } else { "[]" };
    let head = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\ntrusted_proxies = {trusted}\n\n{}",
        scrape_each(500)
    );
    let service = Service::start(&live(&head, &edges)).await;
    (edges, service)
}

#[track_caller]
fn assert_problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (status, "application/problem+json"),
        "{reply:#?}"
    );
    let problem = reply.json();
    assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()), "{problem}");
    assert_eq!(problem["type"], format!("urn:nearcast:problem:{code}"));
    assert_eq!(reply.header("cache-control"), "no-store", "an error must not be remembered");
}

#[tokio::test]
async fn unknown_domain_is_404() {
    let (_edges, service) = serve(true).await;
    for domain in ["other.example.com", "example.com", "x.live.example.com", "localhost"] {
        let reply = service.get(&format!("/resolve?domain={domain}")).await;
        assert_problem(&reply, 404, "unknown-domain");
    }
    for domain in ["live.example.com", "LIVE.Example.COM", "live.example.com."] {
        assert_eq!(service.get(&format!("/resolve?domain={domain}")).await.status, 200, "{domain}");
    }
}

#[tokio::test]
async fn every_bad_parameter_is_400_and_named() {
    let (_edges, service) = serve(true).await;
    let long = "a".repeat(600);
    let with = |rest: &str| format!("domain=live.example.com&{rest}");
    let queries = [
        (String::new(), "domain", "missing-parameter"),
        (with("domain=live.example.com"), "domain", "invalid-parameter"),
        ("domain=".to_owned(), "domain", "invalid-parameter"),
        ("domain=a..b".to_owned(), "domain", "invalid-parameter"),
        (format!("domain={long}"), "domain", "invalid-parameter"),
        ("domain=l%C3%AFve.example.com".to_owned(), "domain", "invalid-parameter"),
        ("domain=%FF%FE".to_owned(), "domain", "invalid-parameter"),
        ("domain=live.example.com%00".to_owned(), "domain", "invalid-parameter"),
        ("domain=http://live.example.com/".to_owned(), "domain", "invalid-parameter"),
        (with("ip=256.1.1.1"), "ip", "invalid-parameter"),
        (with("ip=8.8.8.8&ip=8.8.4.4"), "ip", "invalid-parameter"),
        (with("n=0"), "n", "invalid-parameter"),
        (with("n=99999999999999999999"), "n", "invalid-parameter"),
        (with("n=1&n=2"), "n", "invalid-parameter"),
        (with("type=MX"), "type", "invalid-parameter"),
        (with("bitrate=3"), "bitrate", "invalid-parameter"),
        (with("bitrate=-3Mbps"), "bitrate", "invalid-parameter"),
        (with("bitrate=NaNMbps"), "bitrate", "invalid-parameter"),
        (with("bitrate=1e9Gbps"), "bitrate", "invalid-parameter"),
        (with(&format!("stream={long}")), "stream", "invalid-parameter"),
        (with("stream=a%0d%0ab"), "stream", "invalid-parameter"),
        (with("failed=203.0.113.1;203.0.113.2"), "failed", "invalid-parameter"),
        (with(&format!("failed={}", ["203.0.113.1"; 17].join(","))), "failed", "invalid-parameter"),
        (with("current=sh-1"), "current", "invalid-parameter"),
        (with("format=xml"), "format", "invalid-parameter"),
        (with("detail=perhaps"), "detail", "invalid-parameter"),
    ];
    for (query, name, code) in queries {
        let reply = service.get(&format!("/resolve?{query}")).await;
        assert_problem(&reply, 400, code);
        let problem = reply.json();
        let named: Vec<_> =
            problem["invalid_params"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
        assert_eq!(named, [name], "{query}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(name), "{query}: {problem}");
    }
}

#[tokio::test]
async fn all_bad_parameters_are_named_at_once() {
    let (_edges, service) = serve(true).await;
    let reply = service.get("/resolve?n=99&type=MX&format=xml").await;
    assert_problem(&reply, 400, "invalid-parameter");
    let problem = reply.json();
    let mut named: Vec<_> =
        problem["invalid_params"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["domain", "format", "n", "type"], "{problem}");
}

#[tokio::test]
async fn over_long_uri_is_414_and_other_paths_and_methods_are_problems_too() {
    let (_edges, service) = serve(true).await;
    let reply = service.get(&format!("/resolve?domain=live.example.com&x={}", "x".repeat(9_000))).await;
    assert_problem(&reply, 414, "uri-too-long");
    assert_problem(&service.get("/nodes").await, 404, "not-found");
    let response =
        super::support::client().post(service.player_url("/resolve?domain=live.example.com")).send();
    let response = response.await.unwrap();
    assert_eq!(response.status().as_u16(), 405);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_problem(&service.admin("/nodes/nobody").await, 404, "unknown-node");
}

/// The request below that is one, but for a header that is no text.
const ODD_HEADER: usize = 4;

/// Bytes that no client library would send: answered with an error or hung up on, and the service goes on.
#[tokio::test]
async fn bytes_that_are_no_request_harm_nobody() {
    let (_edges, service) = serve(true).await;
    let address = service.player_url("").replace("http://", "");
    let requests: [&[u8]; 6] = [
        b"GET /resolve?domain=l\xefve.example.com HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET /resolve?domain=live.example.com\0 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET  HTTP/9.9\r\n\r\n",
        b"GET /resolve?domain=live.example.com HTTP/1.1\r\nx-forwarded-for: \xff\xfe\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
    ];
    for (number, request) in requests.into_iter().enumerate() {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(request).await.unwrap();
        if number != ODD_HEADER {
            stream.shutdown().await.unwrap();
        }
        let mut answer = Vec::new();
        // A reset is an answer too.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap_or_default();
        // The odd header alone is none of the domain's business: it is answered, by the peer's own address.
        let fine =
            if number == ODD_HEADER { status == "200" } else { answer.is_empty() || status.starts_with('4') };
        assert!(fine, "{number}: {answer}");
    }
    resolve(&service, &format!("ip={US}")).await;
}

/// A question with an `X-Forwarded-For`.
async fn ask(service: &Service, query: &str, forwarded_for: &str) -> serde_json::Value {
    let url = service.player_url(&format!("/resolve?domain=live.example.com{query}"));
    let reply = get_with(&url, &[("x-forwarded-for", forwarded_for)]).await.unwrap();
    assert_eq!(reply.status, 200, "{reply:#?}");
    reply.json()
}

#[tokio::test]
async fn stranger_can_name_no_other_client() {
    let (_edges, service) = serve(false).await;
    for forwarded_for in [US, GB, "rubbish", "127.0.0.1, 8.8.8.8"] {
        let answer = ask(&service, "", forwarded_for).await;
        assert_eq!(answer["client_ip"], "127.0.0.1", "a forged header was believed: {answer}");
        assert_eq!(answer["reason"], "geo_unknown", "{answer}");
        assert_eq!(answer.get("ip_ignored"), None, "{answer}");
    }
    for ip in [US, GB, "rubbish"] {
        let answer = resolve(&service, &format!("ip={ip}")).await;
        assert_eq!(
            (&answer["client_ip"], &answer["ip_ignored"]),
            (&"127.0.0.1".into(), &true.into()),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn trusted_proxy_names_the_client_and_what_stands_left_of_it_is_nobodys_word() {
    let (edges, service) = serve(true).await;
    for (forwarded_for, client, edge) in [
        (US, US, &edges[0]),
        (GB, GB, &edges[1]),
        ("8.8.8.8, 81.2.69.1", GB, &edges[1]),
        ("8.8.8.8, 81.2.69.1, 127.0.0.2", GB, &edges[1]),
    ] {
        let answer = ask(&service, "", forwarded_for).await;
        assert_eq!(answer["client_ip"], client, "{forwarded_for}: {answer}");
        assert_eq!(ips(&answer)[0], edge.ip, "{forwarded_for}: {answer}");
        assert_eq!(answer.get("ip_ignored"), None, "{answer}");
    }
    let answer = ask(&service, &format!("&ip={US}"), GB).await;
    assert_eq!(answer["client_ip"], US, "what a trusted caller asks for beats its header: {answer}");
}

#[tokio::test]
async fn text_answer_is_one_address_a_line_and_may_be_kept_as_long_as_it_holds() {
    let (edges, service) = serve(true).await;
    let reply = service.get(&format!("/resolve?domain=live.example.com&ip={US}&format=text")).await;
    assert_eq!(reply.body, format!("{}\n{}\n", edges[0].ip, edges[1].ip));
    let reply = service.get(&format!("/resolve?domain=live.example.com&ip={US}")).await;
    let ttl = reply.json()["ttl"].as_u64().unwrap();
    assert_eq!(reply.header("cache-control"), format!("private, max-age={ttl}"));
    assert_eq!(reply.header("access-control-allow-origin"), "*");
}
