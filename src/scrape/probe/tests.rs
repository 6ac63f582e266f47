use super::*;
use crate::config::{Exporters, Networks, Scrape};
use crate::scrape::Access;
use crate::scrape::test_exporter::{Act, TestExporter, answer, page};
use crate::scrape::tests::how;

const NODE_PAGE: &str = include_str!("../../../tests/fixtures/exporters/node_exporter_full.txt");
const PAGE: &str = "process_cpu_seconds_total 1\n";
const GZIPPED: &[u8] = include_bytes!("../../../tests/fixtures/exporters/mebibyte_of_comments.txt.gz");

/// Short enough to wait for, long enough for a loaded machine to answer in.
const SETTINGS: Scrape =
    Scrape { interval_ms: 10_000, timeout_ms: 2_000, body_limit_bytes: 100_000, concurrency: 8 };

async fn probe_url(settings: Scrape, url: &str, collect: Collect) -> Probed {
    let focus = Focus { authority: "192.0.2.1:9100".into(), ..Focus::default() };
    let url = Arc::new(Url::parse(url).unwrap());
    HttpProber::new(how(settings), Clock::system())
        .probe(Question { url, focus: Arc::new(focus), collect })
        .await
}

#[track_caller]
fn check(act: Act, expected: &'static str) -> impl Future<Output = ()> {
    check_with(SETTINGS, act, expected)
}

#[track_caller]
fn check_with(settings: Scrape, act: Act, expected: &'static str) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let exporter = TestExporter::start(move |_| act.clone()).await;
        let probed = probe_url(settings, &exporter.url(), Collect::Plain).await;
        let failure = probed.outcome.unwrap_err();
        assert_eq!(failure.to_string(), expected, "at {caller}");
    }
}

#[tokio::test]
async fn a_good_page_is_read_with_its_timing() {
    let exporter = TestExporter::start(|_| Act::Send(page(PAGE))).await;
    let probed = probe_url(SETTINGS, &exporter.url(), Collect::Plain).await;
    assert_eq!(&*probed.outcome.unwrap().processes[0].name, "192.0.2.1:9100");
    assert!(probed.timing.sent.0 > 0 && probed.timing.received >= probed.timing.sent);
    let head = exporter.requests()[0].to_lowercase();
    assert!(head.contains(concat!("user-agent: nearcast/", env!("CARGO_PKG_VERSION"))), "{head}");
    assert!(
        head.contains("accept: text/plain;version=0.0.4") && head.contains("accept-encoding: gzip"),
        "{head}"
    );
}

#[tokio::test]
async fn answers_that_are_no_page_are_named() {
    check(Act::Send(answer("500 Internal Server Error", "", b"")), "http: status 500").await;
    check(Act::Send(answer("404 Not Found", "", PAGE.as_bytes())), "http: status 404").await;
    check(Act::Send(answer("204 No Content", "", b"")), "http: status 204").await;
    check(
        Act::Send(answer("302 Found", "Location: http://192.0.2.9/\r\n", b"")),
        "http: status 302; redirects are not followed",
    )
    .await;
    check(Act::Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()), "http: answer is not HTTP").await;
    check(Act::Send(page("{\"code\":1090}")), "parse: the media server's API answers code 1090").await;
    check(Act::Send(page("<html>")), "parse: page is HTML, not exposition text").await;
    check(Act::Send(page("\x7fELF\0\0")), "parse: page is binary, not exposition text").await;
    check(Act::Send(page("hello\n")), "parse: page is not exposition text: line 1 is \"hello\"").await;
    check(Act::Send(page("process_cpu_seconds_total 1")), "parse: page ends in the middle of a line").await;
    let missing =
        "missing_metric: nothing of node_exporter, process exporter, SRS or process_cpu_seconds_total";
    check(Act::Send(page("up 1\n")), missing).await;
}

#[tokio::test]
async fn broken_bodies_are_named() {
    check(
        Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nprocess_".to_vec()),
        "http: body ends early",
    )
    .await;
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
    check(Act::Send(chunked.to_vec()), "http: body ends early").await;
    let no_gzip = answer("200 OK", "Content-Encoding: gzip\r\n", b"process_cpu_seconds_total 1\n");
    check(Act::Send(no_gzip), "http: body cannot be decoded: Invalid gzip header").await;
    let half = answer("200 OK", "Content-Encoding: gzip\r\n", &GZIPPED[..GZIPPED.len() / 2]);
    let settings = Scrape { body_limit_bytes: 4 << 20, ..SETTINGS };
    check_with(settings, Act::Send(half), "http: body ends early").await;
}

#[tokio::test]
async fn large_pages_are_refused_however_they_come() {
    let expected = "too_large: page is over 100000 bytes";
    check(Act::Send(page(&"#\n".repeat(50_001))), expected).await;
    // A length is believed before a byte of the body has come.
    check(Act::SendAndHang(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n".to_vec()), expected).await;
    let endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let thousand = "x 1\n".repeat(250);
    check(Act::SendAndRepeat(endless, format!("3e8\r\n{thousand}\r\n").into_bytes()), expected).await;
    let unlimited = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    check(Act::SendAndRepeat(unlimited, thousand.into_bytes()), expected).await;
    // 5 kB of gzip, one mebibyte of page.
    check(Act::Send(answer("200 OK", "Content-Encoding: gzip\r\n", GZIPPED)), expected).await;
}

#[tokio::test]
async fn a_page_of_just_the_limit_and_a_compressed_page_are_read() {
    let exact = format!("{}{PAGE}", "#\n".repeat((100_000 - PAGE.len()) / 2));
    assert_eq!(exact.len(), 100_000);
    let gzipped = answer("200 OK", "Content-Encoding: gzip\r\n", GZIPPED);
    for (body, limit) in [(page(&exact), 100_000), (gzipped, 2 << 20)] {
        let exporter = TestExporter::start(move |_| Act::Send(body.clone())).await;
        let settings = Scrape { body_limit_bytes: limit, ..SETTINGS };
        let probed = probe_url(settings, &exporter.url(), Collect::Plain).await;
        assert_eq!(probed.outcome.unwrap().processes.len(), 1);
    }
}

#[tokio::test]
async fn slow_answers_time_out() {
    let settings = Scrape { timeout_ms: 200, ..SETTINGS };
    let expected = "timeout: no complete page within 200 ms";
    check_with(settings, Act::SendAndHang(Vec::new()), expected).await;
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nprocess_".to_vec();
    check_with(settings, Act::SendAndHang(half), expected).await;
}

#[tokio::test]
async fn broken_connections_are_named() {
    check(Act::Reset, "connect: reset").await;
    check(Act::Send(Vec::new()), "connect: closed without an answer").await;
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    drop(listener);
    let probed = probe_url(SETTINGS, &url, Collect::Plain).await;
    assert_eq!(probed.outcome.unwrap_err().to_string(), "connect: refused");
}

#[tokio::test]
async fn a_tls_failure_is_named_without_the_password() {
    let exporter = TestExporter::start(|_| Act::Send(Vec::new())).await;
    let url = exporter.url().replace("http://", "https://user:secret@");
    let settings = Scrape { timeout_ms: 300, ..SETTINGS };
    let failure = probe_url(settings, &url, Collect::Plain).await.outcome.unwrap_err().to_string();
    assert!(!failure.contains("secret") && !failure.contains("127.0.0.1"), "{failure}");
}

#[tokio::test]
async fn a_password_in_the_url_is_sent_as_basic_authentication() {
    let exporter = TestExporter::start(|_| Act::Send(page(PAGE))).await;
    let url = exporter.url().replace("http://", "http://user:secret@");
    probe_url(SETTINGS, &url, Collect::Plain).await.outcome.unwrap();
    let head = exporter.requests()[0].to_lowercase();
    assert!(head.contains("authorization: basic dxnlcjpzzwnyzxq="), "{head}");
}

/// Asks with these networks open.
async fn probe_within(networks: &[&str], url: &str, collect: Collect) -> Probed {
    let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
    let exporters = Exporters { allowed_networks: Networks::new(networks), ..Exporters::default() };
    let how = How { settings: SETTINGS, access: Access::open(&exporters).unwrap() };
    let (url, focus) = (Arc::new(Url::parse(url).unwrap()), Arc::default());
    HttpProber::new(how, Clock::system()).probe(Question { url, focus, collect }).await
}

#[tokio::test]
async fn a_closed_address_is_refused_however_it_is_written() {
    let metadata = "not_allowed: address 169.254.169.254 is not in scrape.allowed_networks";
    let urls = [
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://[::ffff:169.254.169.254]/",
        "https://0xa9.0xfe.0xa9.0xfe/",
    ];
    for url in urls {
        for collect in [
            Collect::Plain,
            Collect::Plain.learn(read(NODE_PAGE.as_bytes(), &Focus::default()).unwrap().shown),
        ] {
            let probed = probe_within(&["0.0.0.0/0", "::/0"], url, collect).await;
            assert_eq!(probed.outcome.unwrap_err().to_string(), metadata, "{url}");
        }
    }
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_resolves_to_and_nobody_is_asked() {
    let exporter = TestExporter::start(|_| Act::Send(page(PAGE))).await;
    let url = exporter.url().replace("127.0.0.1", "localhost");
    let refused = probe_within(&["10.0.0.0/8"], &url, Collect::Plain).await.outcome.unwrap_err();
    let ProbeFailure::NotAllowed(ip) = refused else { panic!("{refused}") };
    assert!(ip.is_loopback());
    assert!(exporter.requests().is_empty());
    assert!(probe_within(&["127.0.0.0/8"], &url, Collect::Plain).await.outcome.is_ok());
}

#[tokio::test]
async fn a_redirect_to_a_closed_address_is_not_followed() {
    let elsewhere = "Location: http://169.254.169.254/latest/meta-data/\r\n";
    let exporter = TestExporter::start(move |_| Act::Send(answer("302 Found", elsewhere, b""))).await;
    let probed = probe_within(&["127.0.0.0/8"], &exporter.url(), Collect::Plain).await;
    assert_eq!(probed.outcome.unwrap_err().to_string(), "http: status 302; redirects are not followed");
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_dead_one_is_replaced() {
    let exporter = TestExporter::start(|_| Act::SendAndKeep(page(PAGE))).await;
    let client = Client::new(how(SETTINGS));
    let url = Url::parse(&exporter.url()).unwrap();
    for _ in 0..3 {
        client.get(url.clone()).await.unwrap();
    }
    assert_eq!(exporter.requests().len(), 3);
}

#[tokio::test]
async fn a_first_reset_is_asked_once_more() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let exporter =
        TestExporter::start(move |_| match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Act::Reset,
            _ => Act::Send(page(PAGE)),
        })
        .await;
    assert!(probe_url(SETTINGS, &exporter.url(), Collect::Plain).await.outcome.is_ok());
}

/// Probes twice with what the first probe learnt.
async fn learn_then_ask(exporter: &TestExporter) -> (Probed, Probed) {
    let first = probe_url(SETTINGS, &exporter.url(), Collect::Plain).await;
    assert!(matches!(first.collect, Collect::Some { .. }), "{first:?}");
    let second = probe_url(SETTINGS, &exporter.url(), first.collect.clone()).await;
    (first, second)
}

#[tokio::test]
async fn a_node_exporter_is_asked_by_collector_from_the_second_time_on() {
    let exporter = TestExporter::start(|_| Act::Send(page(NODE_PAGE))).await;
    let (first, second) = learn_then_ask(&exporter).await;
    assert_eq!(first.outcome.unwrap(), second.outcome.unwrap());
    assert!(matches!(second.collect, Collect::Some { .. }));
    let asked = exporter.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0], "/metrics");
    assert!(asked[1].starts_with("/metrics?collect[]=cpu&collect[]=netdev&"), "{asked:?}");
}

#[tokio::test]
async fn an_exporter_that_refuses_collectors_is_asked_plainly_for_good() {
    let exporter = TestExporter::start(|head| {
        let refused = answer("400 Bad Request", "", b"disabled collector: stat");
        Act::Send(if head.contains("collect") { refused } else { page(NODE_PAGE) })
    })
    .await;
    let (first, second) = learn_then_ask(&exporter).await;
    // The round is not lost: the whole page was asked for at once.
    assert_eq!(first.outcome.unwrap(), second.outcome.unwrap());
    assert_eq!(second.collect, Collect::Never);
    assert_eq!(exporter.asked().len(), 3);
}

#[tokio::test]
async fn an_exporter_whose_short_page_lacks_something_is_asked_plainly_for_good() {
    let exporter = TestExporter::start(|head| {
        let short = NODE_PAGE.replace("node_load1 ", "node_load_one ");
        Act::Send(page(if head.contains("collect") { &short } else { NODE_PAGE }))
    })
    .await;
    let (first, second) = learn_then_ask(&exporter).await;
    assert_eq!(first.outcome.unwrap(), second.outcome.unwrap());
    assert_eq!(second.collect, Collect::Never);
}

#[tokio::test]
async fn what_went_away_for_good_is_not_the_shortened_pages_fault() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let exporter = TestExporter::start(move |_| {
        let without = NODE_PAGE.replace("node_network_speed_bytes{", "node_no_speed{");
        let first = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        Act::Send(page(if first { NODE_PAGE } else { &without }))
    })
    .await;
    let (_, second) = learn_then_ask(&exporter).await;
    assert!(matches!(second.collect, Collect::Some { .. }), "{second:?}");
}

#[tokio::test]
async fn an_exporter_that_is_down_teaches_nothing() {
    let exporter = TestExporter::start(|head| {
        Act::Send(if head.contains("collect") { answer("503 Down", "", b"") } else { page(NODE_PAGE) })
    })
    .await;
    let learnt = probe_url(SETTINGS, &exporter.url(), Collect::Plain).await.collect;
    let down = TestExporter::start(|_| Act::Send(answer("503 Down", "", b""))).await;
    let probed = probe_url(SETTINGS, &down.url(), learnt.clone()).await;
    assert_eq!(probed.outcome.unwrap_err().label(), "http");
    assert_eq!(probed.collect, learnt);
}
