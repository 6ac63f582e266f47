//! `/explain` tells the truth about `/resolve`.

use serde_json::Value;

use super::stage::{
    CHICAGO, Edge, GB, JP, LONDON, NEW_YORK, PATIENCE, TOKYO, US, ips, live, resolve, scrape_each,
    start_scraped_twice, until_node,
};
use super::support::{Behaviour, Service, eventually};

/// From six countries, one by IPv6, one that no database knows.
const CLIENTS: [&str; 8] =
    [US, GB, JP, "114.114.114.114", "200.147.0.1", "1.1.1.1", "2001:4860:4860::8888", "10.1.2.3"];

async fn explain(service: &Service, query: &str) -> Value {
    let reply = service.admin(&format!("/explain?domain=live.example.com&{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {reply:#?}");
    reply.json()
}

fn candidate<'a>(explanation: &'a Value, id: &str) -> &'a Value {
    let candidates = explanation["candidates"].as_array().unwrap();
    candidates.iter().find(|c| c["id"] == id).unwrap_or_else(|| panic!("{id} is missing: {explanation:#}"))
}

/// Evidence stands still for the whole test: an interval of a minute, of which the first two scrapes come early.
async fn still_fleet(policy: &str) -> (Vec<Edge>, Service) {
    let pops = [CHICAGO, CHICAGO, NEW_YORK, NEW_YORK, LONDON, LONDON, TOKYO, TOKYO];
    let edges = Edge::start_each(&pops).await;
    for (edge, tx_mbps) in edges.iter().zip([100.0, 300.0, 500.0, 700.0, 200.0, 400.0, 900.0, 50.0]) {
        edge.exporter.set(|knobs| knobs.tx_mbps = tx_mbps);
    }
    edges[2].exporter.set(|knobs| knobs.system_cpu = 0.95);
    let head = format!(
        "[geoip]\ndefault_location = {{ latitude = 48.9, longitude = 2.4 }}\n\n{}",
        scrape_each(60_000)
    );
    let config = live(&head, &edges).replace("policy = \"nearest\"", &format!("policy = \"{policy}\""));
    let service = start_scraped_twice(&config, &edges).await;
    (edges, service)
}

async fn winner_is_what_resolve_names_first(policy: &str) {
    let (edges, service) = still_fleet(policy).await;
    for client in CLIENTS {
        for rest in
            ["", "&stream=live/one", "&bitrate=90Mbps", "&n=1", "&failed=203.0.113.1", "&current=203.0.113.5"]
        {
            let explanation = explain(&service, &format!("ip={client}{rest}")).await;
            let answer = resolve(&service, &format!("ip={client}{rest}")).await;
            let winner = edges.iter().find(|edge| explanation["winner"] == edge.id).unwrap();
            assert_eq!(ips(&answer)[0], winner.ip, "{client}{rest}: {answer}\n{explanation:#}");
            assert_eq!(explanation["reason"], answer["reason"], "{client}{rest}");
            assert_eq!(explanation["degraded"], answer["degraded"], "{client}{rest}");
            assert_eq!(candidate(&explanation, &winner.id)["rank"], 1, "{explanation:#}");
            assert_eq!(explanation["candidates"].as_array().unwrap().len(), edges.len());
        }
    }
}

#[tokio::test]
async fn winner_is_what_resolve_names_first_by_nearest() {
    winner_is_what_resolve_names_first("nearest").await;
}

#[tokio::test]
async fn winner_is_what_resolve_names_first_by_price() {
    winner_is_what_resolve_names_first("priced").await;
}

#[tokio::test]
async fn explaining_books_nothing() {
    let (edges, service) = still_fleet("nearest").await;
    for _ in 0..20 {
        explain(&service, &format!("ip={US}&bitrate=50Mbps")).await;
    }
    for edge in &edges {
        let shown = super::stage::node(&service, &edge.id).await;
        assert_eq!((&shown["answers"], &shown["booked_mbps"]), (&0.into(), &0.0.into()), "{shown:#}");
    }
}

#[tokio::test]
async fn every_candidate_says_where_it_stands_how_old_its_samples_are_and_why_it_is_out() {
    // More are well than stale, or staleness would be our own fault.
    let mut edges = Edge::start_each(&[CHICAGO, NEW_YORK, LONDON, TOKYO, TOKYO]).await;
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    edges[0].exporter.set(|knobs| knobs.system_cpu = 0.95);
    edges[1].exporter.refuse().await;
    edges[2].exporter.set(|knobs| knobs.behaviour = Behaviour::Garbage);
    for (edge, state) in edges.iter().zip(["overloaded", "down", "stale"]) {
        until_node(&service, &edge.id, state, |node| node["state"] == state).await;
    }
    let explanation = explain(&service, &format!("ip={US}&n=1")).await;
    let (well, other) = (&edges[3].id, &edges[4].id);
    assert!([well, other].contains(&&explanation["winner"].as_str().unwrap().to_owned()), "{explanation:#}");
    for (edge, why) in edges.iter().zip(["pressure", "down", "stale"]) {
        let candidate = candidate(&explanation, &edge.id);
        let said = candidate["excluded_because"].as_str().unwrap_or_default();
        assert!(said.contains(why), "{} is out because of {why}: {candidate:#}", edge.id);
    }
    let overloaded = candidate(&explanation, &edges[0].id)["excluded_because"].as_str().unwrap();
    assert!(overloaded.contains("0.80"), "the limit is named: {overloaded}");
    for id in [well, other] {
        assert_eq!(candidate(&explanation, id)["excluded_because"], Value::Null, "{explanation:#}");
    }
    let distances_km = [620.0, 1_690.0, 6_750.0, 10_200.0, 10_200.0];
    for (edge, expected_km) in edges.iter().zip(distances_km) {
        let candidate = candidate(&explanation, &edge.id);
        let km = candidate["distance_km"].as_f64().unwrap();
        assert!((km / expected_km - 1.0).abs() < 0.05, "{} stands {km} km off", edge.id);
        assert!(candidate["sample_age_s"].as_f64().unwrap() >= 0.0, "{candidate:#}");
        assert!(candidate["pressure"].as_f64().is_some(), "{candidate:#}");
    }
    let age_s = |id| candidate(&explanation, id)["sample_age_s"].as_f64().unwrap();
    assert!(age_s(&edges[2].id) > 2.9, "six intervals have passed: {explanation:#}");
}

#[tokio::test]
async fn failed_and_family_are_reasons_too() {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    let explanation = explain(&service, &format!("ip={US}&failed={}", edges[0].ip)).await;
    assert_eq!(explanation["winner"], *edges[1].id);
    let why = candidate(&explanation, &edges[0].id)["excluded_because"].as_str().unwrap();
    assert!(why.contains("failed"), "{why}");
    let reply = service.admin(&format!("/explain?domain=live.example.com&ip={US}&type=AAAA")).await;
    assert_eq!((reply.status, &reply.json()["code"]), (404, &"no-address".into()), "{reply:#?}");
    eventually("an unknown domain is one here too", PATIENCE, || async {
        let reply = service.admin("/explain?domain=other.example.com").await;
        if reply.status == 404 { Ok(()) } else { Err(format!("{reply:#?}")) }
    })
    .await;
}

/// What `kdig` is told for a client subnet: the first address, and the scope.
fn kdig(service: &Service, subnet: &str) -> (String, u64) {
    let (ip, port) = (service.dns().ip().to_string(), service.dns().port().to_string());
    let output = std::process::Command::new("kdig")
        .args([&format!("@{ip}"), "-p", &port, "+time=5", "+retry=0", "live.example.com", "A"])
        .arg(format!("+subnet={subnet}"))
        .output()
        .unwrap_or_else(|error| panic!("kdig is missing ({error}); apt-get install -y knot-dnsutils"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let record = text.lines().find(|line| line.starts_with("live.example.com.") && line.contains("\tA\t"));
    let option = text.lines().find_map(|line| line.split_once("CLIENT-SUBNET: "));
    let scope = option.and_then(|(_, said)| said.rsplit('/').next()?.trim().parse().ok());
    let first = record.and_then(|line| line.split('\t').next_back());
    let (Some(first), Some(scope)) = (first, scope) else { panic!("{subnet}: {text}") };
    (first.to_owned(), scope)
}

#[tokio::test]
async fn a_client_subnet_is_explained_as_a_dns_query_with_it_is_answered() {
    let edges = Edge::start_each(&[CHICAGO, LONDON, TOKYO]).await;
    // Unbooked, so that asking twice is asking the same.
    let head = format!(
        "[scheduler]\nbooking = false\n\n[dns]\nlisten = \"127.0.0.1:0\"\n\n[[dns.zones]]\n\
         apex = \"example.com\"\nns = [\"ns1.example.net\"]\n\n{}",
        scrape_each(500)
    );
    let service = start_scraped_twice(&live(&head, &edges), &edges).await;
    let mut seen = std::collections::BTreeSet::new();
    for subnet in ["8.8.8.0/24", "81.2.69.0/24", "133.11.0.0/16", "2001:200::/32", "2002:808:800::/40"] {
        let explanation = explain(&service, &format!("subnet={subnet}")).await;
        let winner = edges.iter().find(|edge| explanation["winner"] == edge.id).unwrap();
        let told = (winner.ip.clone(), explanation["subnet"]["scope"].as_u64().unwrap());
        assert_eq!(told, kdig(&service, subnet), "{subnet}: {explanation:#}");
        seen.insert(told.0);
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    // Of no bits: it is whoever asks that counts, and loopback is nowhere.
    let explanation = explain(&service, "subnet=0.0.0.0/0").await;
    assert_eq!(
        (&explanation["client_ip"], &explanation["reason"]),
        (&"127.0.0.1".into(), &"geo_unknown".into())
    );
    assert_eq!((explanation["subnet"]["scope"].as_u64(), kdig(&service, "0.0.0.0/0").1), (Some(0), 0));
}
