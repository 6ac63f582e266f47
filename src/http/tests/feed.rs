//! The stream that pages share: what is told once, what is told again, and how a page comes back.

use std::time::Duration;

use super::*;

/// Frames of a stream until one holds `word`, with all that came before.
async fn until(body: &mut Body, word: &str) -> String {
    let mut text = String::new();
    let read = async {
        while !text.contains(word) {
            let frame = body.frame().await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), read).await;
    assert!(in_time.is_ok(), "{word} never came: {text}");
    text
}

async fn stream(front: &Arc<Front>, target: &str) -> Body {
    let mut request = request("GET", target);
    request.extensions_mut().insert(front.peer(PROXY.parse().unwrap()));
    let response = router(Side::Ops, front).oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body()
}

fn last_id(text: &str) -> &str {
    text.rsplit("id: ").next().unwrap().lines().next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_page_is_told_what_changed_and_gets_what_it_missed_when_it_comes_back() {
    let front = front_of(Resolver::for_tests_measured());
    let stop = CancellationToken::new();
    let running = tokio::spawn(feed(Arc::clone(&front), stop.clone()));
    let board = by_router(&front, Side::Ops, PROXY, request("GET", "/board")).await.json();
    assert_eq!(board["nodes"].as_array().unwrap().len(), board["rows"].as_array().unwrap().len());
    let mut page = stream(&front, &format!("/nodes/events?since={}", board["id"].as_str().unwrap())).await;
    let first = until(&mut page, "event: fleet").await;
    assert!(first.contains("event: hello") && !first.contains("event: rows"), "nothing changed: {first}");

    front.resolver.drain("sh-1", Some("kernel"), None).unwrap();
    let told = until(&mut page, "event: happened").await;
    assert!(told.contains("event: rows") && told.contains("\"reason\":\"kernel\""), "{told}");
    assert_eq!(told.matches("event: rows").count(), 1);
    let told = told + &until(&mut page, "event: fleet").await;
    let id = last_id(&told).to_owned();
    drop(page);

    front.resolver.undrain("sh-1").unwrap();
    let mut other = stream(&front, &format!("/nodes/events?since={id}")).await;
    until(&mut other, "\"undrained\"").await;
    let mut back = stream(&front, &format!("/nodes/events?since={id}")).await;
    let missed = until(&mut back, "\"undrained\"").await;
    assert!(!missed.contains("event: reset"), "{missed}");
    for unknown in ["1-1", "x", "99999999999999-3"] {
        let mut page = stream(&front, &format!("/nodes/events?since={unknown}")).await;
        assert!(until(&mut page, "event: fleet").await.contains("event: reset"), "{unknown}");
    }
    // While nobody looks nothing is told; who comes back then begins anew.
    let id = last_id(&until(&mut other, "event: fleet").await).to_owned();
    drop((other, back));
    tokio::time::sleep(Duration::from_secs(30)).await;
    let mut other = stream(&front, &format!("/nodes/events?since={id}")).await;
    assert!(until(&mut other, "event: fleet").await.contains("event: reset"));
    stop.cancel();
    running.await.unwrap();
    while other.frame().await.is_some() {}
    by_router(&front, Side::Ops, PROXY, request("GET", "/nodes/events")).await.is_problem(503, "not-ready");
}
