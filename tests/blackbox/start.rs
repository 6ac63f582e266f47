//! Before anything is known: answers by distance alone, and no claim to be ready.

use std::time::Duration;

use super::stage::{
    CHICAGO, Edge, GB, LONDON, PATIENCE, US, ips, live, node, resolve, scrape_each, until_answer,
};
use super::support::{Behaviour, Service, client, eventually, stays_so};

#[tokio::test]
async fn before_the_first_scrapes_answers_say_starting_and_readiness_is_denied() {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    for edge in &edges {
        edge.exporter.set(|knobs| knobs.behaviour = Behaviour::Silent);
    }
    // Each exporter hangs for the whole of its deadline: 2 s.
    let service = Service::launch(&live(&scrape_each(2_000), &edges)).await;
    for (client, edge) in [(US, &edges[0]), (GB, &edges[1])] {
        let answer = resolve(&service, &format!("ip={client}")).await;
        assert_eq!(answer["reason"], "starting", "{answer}");
        assert_eq!(ips(&answer)[0], edge.ip, "the nearest all the same: {answer}");
    }
    for reply in [service.get("/readyz").await, service.admin("/readyz").await] {
        assert_eq!(reply.status, 503, "{reply:#?}");
        assert_eq!(reply.json()["code"], "not-ready");
        assert!(!reply.header("retry-after").is_empty());
    }
    let said = service.admin("/readyz").await.json();
    assert!(said["detail"].as_str().unwrap().contains("0 of 2 nodes measured"), "operators are told: {said}");
    assert_eq!(service.get("/livez").await.status, 200, "not ready is not dead");

    for edge in &edges {
        edge.exporter.set(|knobs| knobs.behaviour = Behaviour::Good);
    }
    eventually("the service is ready", PATIENCE, || async {
        let reply = service.get("/readyz").await;
        if reply.status == 200 { Ok(()) } else { Err(format!("{reply:#?}")) }
    })
    .await;
    until_answer(&service, &format!("ip={US}"), "loads are known", |answer| answer["reason"] == "nearest")
        .await;
}

/// What is known of a node may be written down anew before anything is known.
#[tokio::test]
async fn nodes_without_exporters_are_answered_for_good() {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    let config = live(&scrape_each(500), &edges);
    let without: Vec<&str> = config.lines().filter(|line| !line.starts_with("exporters")).collect();
    let service = Service::start(&without.join("\n")).await;
    stays_so("the nearest is answered", Duration::from_millis(1_500), || async {
        let answer = resolve(&service, &format!("ip={US}")).await;
        match ips(&answer)[0] == edges[0].ip && answer["reason"] == "nearest" {
            true => Ok(()),
            false => Err(answer.to_string()),
        }
    })
    .await;
    assert_eq!(node(&service, &edges[0].id).await["state"], "unmeasured");
}

#[tokio::test]
async fn a_fleet_that_nobody_reaches_is_answered_all_the_same_and_called_degraded() {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    for edge in &edges {
        edge.exporter.set(|knobs| knobs.behaviour = Behaviour::Reset);
    }
    let service = Service::launch(&live(&scrape_each(500), &edges)).await;
    let answer = until_answer(&service, &format!("ip={US}"), "all are down", |answer| {
        answer["reason"] == "stale_load"
    })
    .await;
    assert_eq!((ips(&answer)[0], &answer["degraded"]), (&*edges[0].ip, &true.into()), "{answer}");
}

#[tokio::test]
async fn the_service_ends_with_zero_when_asked_to() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    let status = service.terminate().await;
    assert!(status.success(), "{status}");
}

/// What was ordered before a restart holds after it; a file that is of no use is put aside and said.
#[tokio::test]
async fn a_drain_outlives_a_restart_and_a_broken_state_file_does_not_stop_the_service() {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nearcast.state.json");
    let head = format!("{}\n[scheduler]\nstate_file = \"{}\"\n", scrape_each(500), file.display());
    let config = live(&head, &edges);
    let service = Service::start(&config).await;
    let order = client().post(service.admin_url(&format!("/nodes/{}/drain", edges[0].id)));
    let drained = order.header("content-type", "application/json").body("{\"reason\": \"new disk\"}").send();
    assert_eq!(drained.await.unwrap().status(), 200);
    assert!(service.terminate().await.success());

    let service = Service::start(&config).await;
    let shown = node(&service, &edges[0].id).await;
    assert_eq!(
        (&shown["state"], &shown["drain"]["reason"]),
        (&"draining".into(), &"new disk".into()),
        "{shown}"
    );
    assert_eq!(ips(&resolve(&service, &format!("ip={US}")).await)[0], edges[1].ip);
    assert!(service.terminate().await.success());

    std::fs::write(&file, "{\"version\": 1, \"nodes\": {\"x\": {\"proven_mbps\": -5}}}").unwrap();
    let service = Service::start(&config).await;
    assert!(service.log().contains("node x: -5 Mbit/s cannot be"), "{}", service.log());
    assert!(file.with_extension("bad").exists());
    assert_eq!(ips(&resolve(&service, &format!("ip={US}")).await)[0], edges[0].ip);
}
