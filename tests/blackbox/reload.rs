//! Reloading: by signal, by request and by a changed file; all of it or nothing.

use super::load::Load;
use super::stage::{
    CHICAGO, Edge, LONDON, NEW_YORK, PATIENCE, TOKYO, US, live, node, resolve, scrape_each, until_node,
};
use super::support::{Service, eventually, get_with};

/// Reloads of the short run, and of `make soak`.
const RELOADS: u32 = 300;
const RELOADS_VAR: &str = "NEARCAST_SOAK_RELOADS";

const QUESTION: &str = "/resolve?domain=live.example.com&ip=8.8.8.8&n=1";

async fn until_nodes(service: &Service, count: u64) {
    eventually(&format!("there are {count} nodes"), PATIENCE, || async {
        let found = service.admin("/readyz?verbose").await.json();
        let nodes = found["nodes"].as_u64().or_else(|| found["readiness"]["nodes"].as_u64());
        if nodes == Some(count) { Ok(()) } else { Err(format!("{found} {}", service.log())) }
    })
    .await;
}

async fn metric(service: &Service, name: &str) -> f64 {
    let page = service.admin("/metrics").await.body;
    let line =
        page.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn another_node_comes_by_signal_by_request_and_by_a_changed_file() {
    let edges = Edge::start_each(&[CHICAGO, LONDON, TOKYO, NEW_YORK]).await;
    let config = |count: usize| live(&scrape_each(500), &edges[..count]);
    let service = Service::start(&config(1)).await;
    service.rewrite(&config(2));
    service.signal("HUP");
    until_nodes(&service, 2).await;
    service.rewrite(&config(3));
    let reply = service.reload().await;
    assert_eq!(reply.status, 200, "{reply:#?}");
    assert_eq!(reply.json()["nodes"], 3);
    assert_eq!(reply.json()["restart_needed"].as_array().unwrap().len(), 0);
    until_nodes(&service, 3).await;
    // Nobody says so.
    service.rewrite(&config(4));
    until_nodes(&service, 4).await;
    assert!(service.log().contains("a changed file"), "{}", service.log());
    until_node(&service, &edges[3].id, "is scraped", |node| node["state"] == "healthy").await;
}

#[tokio::test]
async fn what_cannot_be_taken_over_changes_nothing_and_is_said_everywhere() {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    let good = live(&scrape_each(500), &edges);
    let service = Service::start(&good).await;
    let before = metric(&service, "nearcast_config_last_reload_success_timestamp_seconds").await;
    assert_eq!(metric(&service, "nearcast_config_last_reload_successful").await, 1.0);
    service.rewrite(&good.replace("interval", "intervall").replace("\"nearest\"", "\"fastest\""));
    let reply = service.reload().await;
    assert_eq!((reply.status, reply.header("content-type")), (422, "application/problem+json"), "{reply:#?}");
    let problem = reply.json();
    assert_eq!(problem["code"], "invalid-configuration");
    let mistakes = problem["mistakes"].as_array().unwrap();
    let said: Vec<_> = mistakes
        .iter()
        .map(|one| (one["line"].as_u64().unwrap(), one["message"].as_str().unwrap()))
        .collect();
    assert_eq!(said.len(), 2, "{problem:#}");
    assert!(said[0].0 == 6 && said[0].1.contains("unknown key `intervall`"), "{said:?}");
    assert!(said[1].1.contains("`fastest` is not one of"), "{said:?}");
    assert_eq!(metric(&service, "nearcast_config_last_reload_successful").await, 0.0);
    assert_eq!(metric(&service, "nearcast_config_last_reload_success_timestamp_seconds").await, before);
    assert!(service.log().contains("configuration kept as it was"), "{}", service.log());
    resolve(&service, &format!("ip={US}")).await;
    // A part that cannot be prepared stops the others, too.
    service.rewrite(
        &good
            .replace("[[pools]]", "[scheduler]\nrtt_secret_file = \"nowhere\"\n\n[[pools]]")
            .replace(&edges[1].toml(), ""),
    );
    let problem = service.reload().await.json();
    let said = problem["mistakes"][0]["message"].as_str().unwrap();
    assert!(said.contains("scheduler.rtt_secret_file: cannot read"), "{problem:#}");
    until_nodes(&service, 2).await;
    service.rewrite(&good);
    assert_eq!(service.reload().await.status, 200);
    assert_eq!(metric(&service, "nearcast_config_last_reload_successful").await, 1.0);
}

#[tokio::test]
async fn a_reload_keeps_bookings_and_names_what_needs_a_restart() {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    // No scrape sees what is booked here.
    let config = live(&scrape_each(30_000), &edges);
    let service = super::stage::start_scraped_twice(&config, &edges).await;
    for _ in 0..10 {
        resolve(&service, &format!("ip={US}&n=1&bitrate=10Mbps")).await;
    }
    let booked = node(&service, &edges[0].id).await["booked_mbps"].as_f64().unwrap();
    assert!(booked > 90.0, "{booked}");
    let moved = "[server]\nlisten = \"127.0.0.1:9\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 7\n\n";
    service.rewrite(&format!("{moved}{}", config.replace("500ms", "501ms")));
    let reply = service.reload().await;
    assert_eq!(reply.json()["restart_needed"], serde_json::json!(["server.listen", "server.workers"]));
    let after = node(&service, &edges[0].id).await;
    assert!((after["booked_mbps"].as_f64().unwrap() - booked).abs() < 1.0, "{booked} became {after:#}");
    assert_ne!(after["state"], "starting", "its memory is gone: {after:#}");
}

#[tokio::test]
async fn another_token_in_the_file_locks_out_the_one_before_it() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let config = live(&scrape_each(500), &edges);
    let service = Service::start(&config).await;
    service.write("admin.token", "the-first-token-there-is");
    let server = "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
                  admin_token_file = \"admin.token\"\n\n";
    service.rewrite(&format!("{server}{config}"));
    assert_eq!(service.reload().await.status, 200);
    assert_eq!(service.admin("/nodes").await.status, 401);
    let asks = async |token: &str| {
        let header = format!("Bearer {token}");
        get_with(&service.admin_url("/nodes"), &[("authorization", &header)]).await.unwrap().status
    };
    assert_eq!(asks("the-first-token-there-is").await, 200);
    // The key file alone changes, and nobody says so.
    service.write("admin.token", "the-second-token-there-is");
    eventually("the second token counts", PATIENCE, || async {
        match asks("the-second-token-there-is").await {
            200 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    assert_eq!(asks("the-first-token-there-is").await, 401);
}

#[tokio::test]
async fn reloads_under_load_fail_no_question_and_keep_the_memory() {
    let reloads: u32 = std::env::var(RELOADS_VAR).map_or(RELOADS, |text| text.parse().unwrap());
    let edges = Edge::start_each(&[CHICAGO, LONDON, TOKYO, NEW_YORK]).await;
    let configs = [
        live(&scrape_each(1_000), &edges),
        live(&scrape_each(1_000), &edges[..3]),
        live(&scrape_each(1_000), &edges).replace("\"nearest\"", "\"fastest\""),
    ];
    let service = Service::start(&configs[0]).await;
    let load = Load::start(&service.player_url(QUESTION), 2, 2);
    // The heap settles within some thousand reloads; what grows after that is a leak.
    let warm_up = if reloads > 1_000 { reloads / 4 } else { reloads / 2 };
    let mut warm_kib = 0;
    for number in 0..reloads {
        if number == warm_up {
            warm_kib = service.rss_kib();
        }
        // Good, bad, good with a node less, bad, …
        let (config, status) = [(0, 200), (2, 422), (1, 200), (2, 422)][number as usize % 4];
        service.rewrite(&configs[config]);
        let reply = service.reload().await;
        assert_eq!(reply.status, status, "reload {number}: {reply:#?}");
    }
    let kib = service.rss_kib();
    let asked = load.end_without_failure().await;
    println!(
        "{reloads} reloads, {asked} questions, none failed; {warm_kib} KiB after {warm_up}, {kib} KiB at the end"
    );
    assert!(asked > u64::from(reloads), "hardly any load: {asked}");
    assert!(kib * 10 <= warm_kib * 11, "memory grew from {warm_kib} to {kib} KiB");
}
