//! What an overload looks like from outside: the next nearest, the least bad, a refusal, another pool.

use std::fmt::Write as _;

use super::stage::{
    CHICAGO, Edge, GB, JP, LONDON, NEW_YORK, PATIENCE, TOKYO, US, ips, live, resolve, says, scrape_each,
    until_answer, until_node,
};
use super::support::{Service, eventually};

fn overload(edge: &Edge) {
    edge.exporter.set(|knobs| knobs.system_cpu = 0.95);
}

#[tokio::test]
async fn every_client_gets_the_edge_nearest_to_it() {
    let edges = Edge::start_each(&[CHICAGO, LONDON, TOKYO]).await;
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    for (client, edge) in [(US, &edges[0]), (GB, &edges[1]), (JP, &edges[2])] {
        let answer = resolve(&service, &format!("ip={client}&n=1")).await;
        assert_eq!(ips(&answer), [&*edge.ip], "{client}: {answer}");
        assert_eq!(answer["reason"], "nearest", "{answer}");
        assert_eq!((&answer["degraded"], &answer["client_ip"]), (&false.into(), &client.into()), "{answer}");
        let ttl = answer["ttl"].as_u64().unwrap();
        assert!((5..=60).contains(&ttl), "{answer}");
    }
}

#[tokio::test]
async fn overloaded_nearest_edge_is_passed_over_for_the_next_nearest_until_it_rests() {
    let edges = Edge::start_each(&[LONDON, CHICAGO, NEW_YORK]).await;
    let (nearest, next) = (&edges[1], &edges[2]);
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    overload(nearest);
    until_node(&service, &nearest.id, "is overloaded and says of what, how much and the limit", |node| {
        node["state"] == "overloaded" && says(node, &["CPU", "0.9", "0.80"])
    })
    .await;
    let answer = resolve(&service, &format!("ip={US}&n=3")).await;
    assert_eq!(ips(&answer)[0], next.ip, "{answer}");
    assert_eq!((&answer["reason"], &answer["degraded"]), (&"spilled".into(), &false.into()), "{answer}");
    assert!(!ips(&answer).contains(&&*nearest.ip), "an overloaded node is no fallback: {answer}");
    nearest.exporter.set(|knobs| knobs.system_cpu = 0.1);
    let back = until_answer(&service, &format!("ip={US}"), "the nearest is answered again", |answer| {
        ips(answer)[0] == nearest.ip
    })
    .await;
    assert_eq!(back["reason"], "nearest");
}

#[tokio::test]
async fn hot_media_process_overloads_a_node_whose_machine_is_idle() {
    let edges = Edge::start_each(&[CHICAGO, NEW_YORK]).await;
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    edges[0].exporter.set(|knobs| knobs.process_cpu = 0.9);
    let node =
        until_node(&service, &edges[0].id, "is overloaded", |node| node["state"] == "overloaded").await;
    assert!(says(&node, &["srs", "4242", "0.80"]), "it names the process: {node:#}");
    let answer = resolve(&service, &format!("ip={US}")).await;
    assert_eq!((ips(&answer)[0], &answer["reason"]), (&*edges[1].ip, &"spilled".into()), "{answer}");
}

#[tokio::test]
async fn full_bandwidth_overloads_a_node_and_viewers_are_counted_by_their_bitrate() {
    let edges = Edge::start_each(&[CHICAGO, NEW_YORK]).await;
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    // 60 Mbit/s are left under the limit of 80 % of 1 Gbit/s, as long as nothing else is booked.
    edges[0].exporter.set(|knobs| knobs.tx_mbps = 740.0);
    until_node(&service, &edges[0].id, "shows its egress", |node| {
        node["egress_mbps"].as_f64().is_some_and(|mbps| (mbps - 740.0).abs() < 20.0)
    })
    .await;
    let small = resolve(&service, &format!("ip={US}&bitrate=1Mbps")).await;
    assert_eq!(ips(&small)[0], edges[0].ip, "{small}");
    let large = resolve(&service, &format!("ip={US}&bitrate=100Mbps")).await;
    assert_eq!((ips(&large)[0], &large["reason"]), (&*edges[1].ip, &"spilled".into()), "{large}");
}

#[tokio::test]
async fn when_all_are_overloaded_the_answer_is_200_and_degraded() {
    let edges = Edge::start_each(&[CHICAGO, NEW_YORK]).await;
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    edges.iter().for_each(overload);
    for edge in &edges {
        until_node(&service, &edge.id, "is overloaded", |node| node["state"] == "overloaded").await;
    }
    let reply = service.get(&format!("/resolve?domain=live.example.com&ip={US}")).await;
    let answer = reply.json();
    assert_eq!(reply.status, 200);
    assert_eq!(
        (&answer["reason"], &answer["degraded"]),
        (&"all_overloaded".into(), &true.into()),
        "{answer}"
    );
    assert!(!ips(&answer).is_empty());
    assert_eq!(reply.header("x-nearcast-degraded"), "all_overloaded");
}

/// `live.example.com` refuses, `next.example.com` falls back to another pool.
async fn strict_pools(edges: &[Edge]) -> Service {
    let mut config = scrape_each(500);
    config.push_str(
        "[[pools]]\nname = \"strict\"\non_overload = \"refuse\"\n\n\
         [[pools]]\nname = \"first\"\non_overload = \"fallback\"\nfallback = \"reserve\"\n\n\
         [[pools]]\nname = \"reserve\"\n\n\
         [[domains]]\nname = \"live.example.com\"\npool = \"strict\"\npolicy = \"nearest\"\n\n\
         [[domains]]\nname = \"next.example.com\"\npool = \"first\"\npolicy = \"nearest\"\n\n",
    );
    for edge in edges {
        write!(config, "{}", edge.toml()).unwrap();
    }
    Service::start(&config).await
}

#[tokio::test]
async fn full_pool_that_refuses_says_503_and_when_to_come_back() {
    let edges = [
        Edge::start_in("strict", 1, CHICAGO).await,
        Edge::start_in("first", 2, CHICAGO).await,
        Edge::start_in("reserve", 3, LONDON).await,
    ];
    let service = strict_pools(&edges).await;
    assert_eq!(ips(&resolve(&service, &format!("ip={US}")).await), [&*edges[0].ip]);
    overload(&edges[0]);
    let reply = eventually("the full pool refuses", PATIENCE, || async {
        let reply = service.get(&format!("/resolve?domain=live.example.com&ip={US}")).await;
        if reply.status == 200 { Err(format!("{reply:#?}")) } else { Ok(reply) }
    })
    .await;
    assert_eq!(reply.status, 503, "{reply:#?}");
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!(reply.json()["code"], "overloaded");
    assert!(reply.header("retry-after").parse::<u32>().unwrap() > 0, "{reply:#?}");
    assert_eq!(reply.header("access-control-allow-origin"), "*", "a web player may read why");
}

#[tokio::test]
async fn full_pool_with_a_fallback_is_answered_by_the_other_pool() {
    let edges = [
        Edge::start_in("strict", 1, CHICAGO).await,
        Edge::start_in("first", 2, CHICAGO).await,
        Edge::start_in("reserve", 3, LONDON).await,
    ];
    let service = strict_pools(&edges).await;
    let ask = || async { service.get(&format!("/resolve?domain=next.example.com&ip={US}")).await.json() };
    let answer = ask().await;
    assert_eq!((ips(&answer), &answer["reason"]), (vec![&*edges[1].ip], &"nearest".into()), "{answer}");
    overload(&edges[1]);
    let answer = eventually("the other pool answers", PATIENCE, || async {
        let answer = ask().await;
        if ips(&answer) == [&*edges[2].ip] { Ok(answer) } else { Err(format!("{answer:#}")) }
    })
    .await;
    assert_eq!(
        (&answer["reason"], &answer["degraded"]),
        (&"fallback_pool".into(), &false.into()),
        "{answer}"
    );
}
