//! What players report: where they have just failed, and where they already are.

use std::time::Duration;

use super::stage::{
    CHICAGO, Edge, LONDON, NEW_YORK, PATIENCE, US, ips, live, node, resolve, scrape_each, start_scraped_twice,
};
use super::support::{Service, eventually, stays_so};

/// Long enough for a probe that was asked for to be there.
const A_MOMENT: Duration = Duration::from_millis(300);

/// Two edges in the nearest PoP, one in the next, one far away. Scraped twice at the start and then not for five
/// seconds at least: what is asked of an exporter meanwhile has another reason.
async fn quiet_fleet() -> (Vec<Edge>, Service) {
    let edges = Edge::start_each(&[CHICAGO, CHICAGO, NEW_YORK, LONDON]).await;
    let service = start_scraped_twice(&live(&scrape_each(10_000), &edges), &edges).await;
    (edges, service)
}

/// Requests so far, by edge.
fn asked(edges: &[Edge]) -> Vec<usize> {
    edges.iter().map(|edge| edge.exporter.requests().len()).collect()
}

#[tokio::test]
async fn failed_address_leaves_its_whole_pop_out_and_is_scraped_again_once() {
    let (edges, service) = quiet_fleet().await;
    let before = asked(&edges);
    let first = resolve(&service, &format!("ip={US}&n=8")).await;
    assert!([&*edges[0].ip, &*edges[1].ip].contains(&ips(&first)[0]), "{first}");
    for _ in 0..5 {
        let answer = resolve(&service, &format!("ip={US}&n=8&failed={}", edges[0].ip)).await;
        assert_eq!(ips(&answer), [&*edges[2].ip, &*edges[3].ip], "a PoP shares fate: {answer}");
        assert_eq!(answer["degraded"], false, "{answer}");
    }
    let mut expected = before;
    expected[0] += 1;
    expected[1] += 1;
    eventually("the PoP is probed at once", PATIENCE, || async {
        let asked = asked(&edges);
        if asked[..2] >= expected[..2] { Ok(()) } else { Err(format!("{asked:?}, expected {expected:?}")) }
    })
    .await;
    // A second probe, had the five reports caused one, would come in the same moment.
    stays_so("one probe each, of the reported node's PoP alone", A_MOMENT, || async {
        let asked = asked(&edges);
        if asked == expected { Ok(()) } else { Err(format!("{asked:?}, expected {expected:?}")) }
    })
    .await;
    let shown = node(&service, &edges[0].id).await;
    assert_eq!(shown["state"], "healthy", "a report alone proves nothing: {shown:#}");
    let others = resolve(&service, &format!("ip={US}&n=1")).await;
    assert!([&*edges[0].ip, &*edges[1].ip].contains(&ips(&others)[0]), "others get it still: {others}");
}

#[tokio::test]
async fn player_that_has_failed_everywhere_is_told_when_to_come_back() {
    let (edges, service) = quiet_fleet().await;
    let failed: Vec<&str> = edges.iter().map(|edge| &*edge.ip).collect();
    let reply =
        service.get(&format!("/resolve?domain=live.example.com&ip={US}&failed={}", failed.join(","))).await;
    assert_eq!((reply.status, &reply.json()["code"]), (503, &"no-node-available".into()), "{reply:#?}");
    assert!(!reply.header("retry-after").is_empty(), "{reply:#?}");
}

#[tokio::test]
async fn address_that_is_nobodys_is_no_reason_to_probe() {
    let (edges, service) = quiet_fleet().await;
    let before = asked(&edges);
    let answer = resolve(&service, &format!("ip={US}&failed=192.0.2.99")).await;
    assert_eq!(answer["reason"], "nearest", "{answer}");
    stays_so("nobody is probed", A_MOMENT, || async {
        let asked = asked(&edges);
        if asked == before { Ok(()) } else { Err(format!("{asked:?}, {before:?} before")) }
    })
    .await;
}

#[tokio::test]
async fn player_that_is_somewhere_stays_there_and_is_not_booked() {
    let (edges, service) = quiet_fleet().await;
    let far = &edges[3];
    for _ in 0..5 {
        let answer = resolve(&service, &format!("ip={US}&current={}", far.ip)).await;
        assert_eq!((ips(&answer)[0], &answer["reason"]), (&*far.ip, &"affinity".into()), "{answer}");
    }
    for edge in &edges {
        let shown = node(&service, &edge.id).await;
        assert_eq!((&shown["answers"], &shown["booked_mbps"]), (&0.into(), &0.0.into()), "{shown:#}");
    }
    let new = resolve(&service, &format!("ip={US}&n=1&bitrate=4Mbps")).await;
    let booked: Vec<f64> = {
        let mut booked = Vec::new();
        for edge in &edges {
            booked.push(node(&service, &edge.id).await["booked_mbps"].as_f64().unwrap());
        }
        booked
    };
    let total: f64 = booked.iter().sum();
    assert!((total - 4.0).abs() < 0.01, "a new player is booked with its bitrate: {booked:?} {new}");
}

#[tokio::test]
async fn player_whose_node_is_failed_or_overloaded_is_moved() {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    let far = &edges[1];
    let moved = resolve(&service, &format!("ip={US}&current={0}&failed={0}", far.ip)).await;
    assert_eq!(ips(&moved), [&*edges[0].ip], "{moved}");
    far.exporter.set(|knobs| knobs.system_cpu = 0.95);
    eventually("the player is moved off the overloaded node", PATIENCE, || async {
        let answer = resolve(&service, &format!("ip={US}&current={}", far.ip)).await;
        if ips(&answer)[0] == edges[0].ip { Ok(()) } else { Err(format!("{answer:#}")) }
    })
    .await;
}
