//! Other services' HTTP-DNS, asked by curl: what players of theirs get is what `/resolve` would say.

use std::process::Command;

use serde_json::Value;

use super::stage::{
    CHICAGO, Edge, GB, JP, LONDON, TOKYO, US, ips, live, resolve, scrape_each, start_scraped_twice,
};
use super::support::Service;

/// The body and the status that curl gets.
fn curl(service: &Service, path: &str, more: &[&str]) -> (String, u16) {
    let output = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "--max-time", "5", "-w", "\n%{http_code}"])
        .args(more)
        .arg(service.player_url(path))
        .output()
        .unwrap_or_else(|error| panic!("curl is missing ({error}); apt-get install -y curl"));
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let (body, status) = said.rsplit_once('\n').unwrap();
    (body.to_owned(), status.parse().unwrap())
}

/// Unbooked, so that asking twice is asking the same.
fn config(edges: &[Edge], more: &str) -> String {
    format!("{}[scheduler]\nbooking = false\n{more}", live(&scrape_each(500), edges))
}

#[tokio::test]
async fn each_dialect_names_for_each_client_what_resolve_names() {
    let edges = Edge::start_each(&[CHICAGO, LONDON, TOKYO]).await;
    let service = start_scraped_twice(&config(&edges, ""), &edges).await;
    let mut seen = std::collections::BTreeSet::new();
    for client in [US, GB, JP] {
        let answer = resolve(&service, &format!("ip={client}")).await;
        let expected = ips(&answer);
        seen.insert(expected[0].to_owned());

        let query = format!("dn=live.example.com&ip={client}&ttl=1&clientip=1");
        let got = curl(&service, &format!("/d?{query}"), &[]);
        let (list, rest) = got.0.split_once(',').unwrap();
        let (ttl, named) = rest.split_once('|').unwrap();
        assert_eq!((list.split(';').collect::<Vec<_>>(), named), (expected.clone(), client), "{got:?}");
        assert!((1..=60).contains(&ttl.parse::<u32>().unwrap()), "{got:?}");
        let posted = curl(&service, "/d", &["-d", &query]);
        assert_eq!(posted.0.split_once(',').unwrap().0, list, "{posted:?}");

        let got = curl(&service, &format!("/100000/d?host=live.example.com&ip={client}"), &[]);
        let one: Value = serde_json::from_str(&got.0).unwrap();
        assert_eq!((ips(&one), &one["client_ip"]), (expected.clone(), &client.into()), "{got:?}");
        let path = format!("/100000/resolve?host=other.example.com,live.example.com&ip={client}");
        let many: Value = serde_json::from_str(&curl(&service, &path, &[]).0).unwrap();
        assert_eq!(ips(&many["dns"][1]), expected, "{many}");
        assert_eq!((ips(&many["dns"][0]).len(), &many["dns"][0]["host"]), (0, &"other.example.com".into()));
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    let metrics = service.admin("/metrics").await.body;
    let refused = "nearcast_resolve_refused_total{reason=\"unknown_domain\"} 3";
    assert!(metrics.lines().any(|line| line == refused), "{metrics}");
}

#[tokio::test]
async fn what_is_encrypted_or_signed_is_refused_aloud_and_a_reload_switches_a_dialect_off() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = start_scraped_twice(&config(&edges, ""), &edges).await;
    for (path, status, part) in [
        ("/d?dn=e4a30b77424e17d729ad13c95d360e83&id=1&clientip=1&ttl=1", 400, "dn asks for encryption"),
        ("/d?dn=live.example.com&alg=aes&id=1", 400, "alg asks for encryption"),
        ("/d?dn=nowhere.example.com", 200, ""),
        ("/100000/sign_d?host=live.example.com&t=1&s=1", 403, "\"InvalidSignature\""),
        ("/v2/d?id=100000&m=0&dn=live.example.com&exp=1&s=1", 403, "\"InvalidSignature\""),
        ("/100000/d", 400, "\"MissingArgument\""),
    ] {
        let (body, found) = curl(&service, path, &[]);
        assert_eq!(found, status, "{path}: {body}");
        assert!(body.contains(part) && !body.contains("203.0.113."), "{path}: {body}");
    }
    let asked = ["/d?dn=live.example.com", "/100000/d?host=live.example.com"];
    for (off, statuses) in [("dnspod", [404, 200]), ("alibaba", [200, 404])] {
        service.rewrite(&config(&edges, &format!("[dialects]\n{off} = false\n")));
        assert_eq!(service.reload().await.status, 200);
        assert_eq!(asked.map(|path| curl(&service, path, &[]).1), statuses, "{off}");
    }
}
