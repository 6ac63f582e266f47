//! The loop in virtual time, with somebody asking who needs no network.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::probe::{Probed, Prober, Question};
use super::*;
use crate::schedule::reading::{ProbeFailure, Reading, Timing};

pub(super) const SETTINGS: config::Scrape =
    config::Scrape { interval_ms: 10_000, timeout_ms: 3_000, body_limit_bytes: 4 << 20, concurrency: 128 };

pub(super) fn node(id: &str, exporters: &[&str]) -> Node {
    Node { exporters: exporters.iter().map(|url| Box::from(*url)).collect(), ..Node::new(id, "edges", "pop") }
}

/// Takes some time for each probe and notes how many are under way.
#[derive(Debug, Default)]
struct FakeProber {
    takes: HashMap<&'static str, Duration>,
    under_way: AtomicUsize,
    most: AtomicUsize,
    panics: bool,
    /// Whether hosts "bad" and "hung" are well again.
    mended: AtomicBool,
}

impl Prober for Arc<FakeProber> {
    fn probe(&self, question: Question) -> BoxFuture<'static, Probed> {
        let this = Self::clone(self);
        Box::pin(async move {
            let now = this.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            this.most.fetch_max(now, Ordering::Relaxed);
            let host = question.url.host_str().unwrap().to_owned();
            let mended = this.mended.load(Ordering::Relaxed);
            let usual = if host == "hung" && !mended { 3_000 } else { 20 };
            let takes = this.takes.get(&*host).copied().unwrap_or(Duration::from_millis(usual));
            tokio::time::sleep(takes).await;
            this.under_way.fetch_sub(1, Ordering::Relaxed);
            assert!(!this.panics, "as told");
            let timing = Timing { sent: Default::default(), received: Default::default() };
            let outcome = match host.as_str() {
                "bad" if !mended => Err(ProbeFailure::Connect("refused".into())),
                "hung" if !mended => Err(ProbeFailure::Timeout(3_000)),
                _ => Ok(Reading::default()),
            };
            Probed { outcome, timing, collect: question.collect }
        })
    }
}

/// What the observer was told: when (ms since the start), node, target, label of the failure.
type Seen = (u64, String, usize, Option<&'static str>);

struct Notes {
    began: Instant,
    seen: Mutex<Vec<Seen>>,
}

impl Observer for Notes {
    fn observed(&self, node: &str, target: usize, outcome: Result<Reading, ProbeFailure>, _: Timing) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        let label = outcome.err().map(|failure| failure.label());
        self.seen.lock().unwrap().push((ms, node.to_owned(), target, label));
    }
}

impl Notes {
    fn of(&self, node: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.1 == node).cloned().collect()
    }

    fn times_of(&self, node: &str) -> Vec<u64> {
        self.of(node).into_iter().map(|(ms, ..)| ms).collect()
    }
}

/// These settings, and no target that may not be asked.
pub(super) fn how(settings: config::Scrape) -> How {
    How { settings, access: Access::default() }
}

fn start(
    nodes: &[Node],
    settings: config::Scrape,
    prober: FakeProber,
) -> (Scraper, Arc<Notes>, Arc<FakeProber>, CancellationToken) {
    let notes = Arc::new(Notes { began: Instant::now(), seen: Mutex::new(Vec::new()) });
    let prober = Arc::new(prober);
    let shared = Arc::clone(&prober);
    let cancel = CancellationToken::new();
    let scraper = Scraper::start_with(
        nodes,
        how(settings),
        Clock::system(),
        Arc::clone(&notes) as Arc<dyn Observer>,
        cancel.clone(),
        Box::new(move |_| Arc::new(Arc::clone(&shared))),
    );
    (scraper, notes, prober, cancel)
}

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_has_two_samples_within_three_seconds_and_then_one_each_interval() {
    let (_scraper, notes, ..) = start(&[node("a", &["http://good/"])], SETTINGS, FakeProber::default());
    pass(3_100).await;
    assert_eq!(notes.times_of("a").len(), 2);
    pass(60_000).await;
    let times = notes.times_of("a");
    assert!((7..=8).contains(&times.len()), "{times:?}");
    assert!(times[2..].windows(2).all(|pair| (9_990..=10_010).contains(&(pair[1] - pair[0]))), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn every_probe_is_reported_for_its_own_target() {
    let nodes = [node("a", &["http://good/", "http://bad/"]), node("b", &["not a url"])];
    let (_scraper, notes, ..) = start(&nodes, SETTINGS, FakeProber::default());
    pass(1_100).await;
    let mut of_a: Vec<_> = notes.of("a").into_iter().map(|(_, _, target, label)| (target, label)).collect();
    of_a.sort_unstable();
    assert_eq!(of_a, [(0, None), (1, Some("connect"))]);
    assert_eq!(notes.of("b")[0].3, Some("http"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_is_never_asked_twice_at_once_and_holds_up_nobody() {
    let takes = HashMap::from([("slow", Duration::from_secs(25))]);
    let nodes = [node("slow", &["http://slow/"]), node("a", &["http://good/"])];
    let (_scraper, notes, prober, _) = start(&nodes, SETTINGS, FakeProber { takes, ..FakeProber::default() });
    pass(100_000).await;
    assert_eq!(prober.most.load(Ordering::Relaxed), 2);
    assert!(notes.of("a").len() >= 10);
    let slow = notes.times_of("slow");
    assert!(
        (2..=4).contains(&slow.len()) && slow.windows(2).all(|pair| pair[1] - pair[0] >= 25_000),
        "{slow:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_probes_are_under_way_than_allowed_and_none_is_lost() {
    let urls: Vec<String> = (0..50).map(|n| format!("http://good/{n}")).collect();
    let nodes: Vec<Node> = urls.iter().enumerate().map(|(n, url)| node(&format!("n{n}"), &[url])).collect();
    let takes = HashMap::from([("good", Duration::from_millis(300))]);
    let settings = config::Scrape { concurrency: 4, ..SETTINGS };
    let (_scraper, notes, prober, _) = start(&nodes, settings, FakeProber { takes, ..FakeProber::default() });
    pass(9_000).await;
    assert_eq!(prober.most.load(Ordering::Relaxed), 4);
    assert!((0..50).all(|n| !notes.of(&format!("n{n}")).is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_large_fleet_is_asked_evenly() {
    let urls: Vec<String> = (0..2_000).map(|n| format!("http://good/{n}")).collect();
    let nodes: Vec<Node> = urls.iter().enumerate().map(|(n, url)| node(&format!("n{n}"), &[url])).collect();
    let (_scraper, notes, ..) = start(&nodes, SETTINGS, FakeProber::default());
    pass(40_100).await;
    let seen = notes.seen.lock().unwrap();
    for second in 20..40 {
        let count = seen.iter().filter(|(ms, ..)| ms / 1_000 == second).count();
        assert!((150..=250).contains(&count), "{count} in second {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_rhythm_of_what_stays() {
    let (scraper, notes, ..) = start(
        &[node("a", &["http://good/a"]), node("old", &["http://good/o"])],
        SETTINGS,
        FakeProber::default(),
    );
    pass(25_000).await;
    scraper.retarget(
        &[node("new", &["http://good/n"]), node("a", &["http://bad/x", "http://good/a"])],
        how(SETTINGS),
    );
    let old = notes.of("old").len();
    pass(40_000).await;
    assert_eq!(notes.of("old").len(), old);
    assert!(notes.of("new").len() >= 4);
    let kept: Vec<Seen> = notes.of("a").into_iter().filter(|(.., label)| label.is_none()).collect();
    assert!(kept[2..].windows(2).all(|pair| (9_990..=10_010).contains(&(pair[1].0 - pair[0].0))), "{kept:?}");
    assert_eq!(kept.last().unwrap().2, 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_under_way_during_a_reload_is_reported_for_the_new_place_or_not_at_all() {
    let takes = HashMap::from([("slow", Duration::from_secs(5))]);
    let nodes = [node("a", &["http://slow/"]), node("b", &["http://slow/b"])];
    let (scraper, notes, ..) = start(&nodes, SETTINGS, FakeProber { takes, ..FakeProber::default() });
    pass(1_500).await;
    scraper.retarget(&[node("a", &["http://bad/", "http://slow/"])], how(SETTINGS));
    pass(4_700).await;
    let slow: Vec<usize> =
        notes.of("a").into_iter().filter(|seen| seen.3.is_none()).map(|seen| seen.2).collect();
    assert_eq!(slow, [1]);
    assert_eq!(notes.of("b"), []);
}

#[tokio::test(start_paused = true)]
async fn an_extra_scrape_comes_at_once_but_not_twice_a_second() {
    let (scraper, notes, ..) = start(&[node("a", &["http://good/"])], SETTINGS, FakeProber::default());
    pass(4_000).await;
    let before = notes.of("a").len();
    for _ in 0..5_000 {
        scraper.rescrape("a");
        scraper.rescrape("nobody");
    }
    pass(500).await;
    assert_eq!(notes.of("a").len(), before + 1);
    pass(600).await;
    scraper.rescrape("a");
    pass(100).await;
    assert_eq!(notes.of("a").len(), before + 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_extra_scrape_is_confirmed_at_once_and_only_once() {
    let nodes = [node("dead", &["http://bad/"]), node("well", &["http://good/"])];
    let (scraper, notes, ..) = start(&nodes, SETTINGS, FakeProber::default());
    pass(4_000).await;
    let before = [notes.of("dead").len(), notes.of("well").len()];
    scraper.rescrape("dead");
    scraper.rescrape("well");
    pass(200).await;
    assert_eq!([notes.of("dead").len(), notes.of("well").len()], [before[0] + 1, before[1] + 1]);
    pass(200).await;
    assert_eq!(notes.of("dead").len(), before[0] + 2, "250 ms after the refusal");
    pass(600).await;
    assert_eq!([notes.of("dead").len(), notes.of("well").len()], [before[0] + 2, before[1] + 1]);
}

/// Nodes `name-0`, `name-1`, … with one exporter each at a host.
fn crowd(name: &str, host: &str, count: usize) -> Vec<Node> {
    (0..count).map(|n| node(&format!("{name}-{n}"), &[&format!("http://{host}/{n}")])).collect()
}

#[tokio::test(start_paused = true)]
async fn targets_that_hang_leave_the_others_their_interval_and_come_back_to_theirs() {
    let nodes = [crowd("hung", "hung", 40), crowd("well", "good", 60)].concat();
    let settings = config::Scrape { concurrency: 8, ..SETTINGS };
    let (_scraper, notes, prober, _) = start(&nodes, settings, FakeProber::default());
    // 40 deadlines of 3 s, six places: 20 s until all are found out.
    pass(40_000).await;
    notes.seen.lock().unwrap().clear();
    pass(120_000).await;
    assert!(prober.most.load(Ordering::Relaxed) <= 8);
    for n in 0..60 {
        let times = notes.times_of(&format!("well-{n}"));
        let kept = |pair: &[u64]| (9_900..=10_100).contains(&(pair[1] - pair[0]));
        assert!((11..=13).contains(&times.len()) && times.windows(2).all(kept), "{times:?}");
    }
    for n in 0..40 {
        let times = notes.times_of(&format!("hung-{n}"));
        assert!((1..=4).contains(&times.len()), "two places make 80 probes in two minutes: {times:?}");
    }
    prober.mended.store(true, Ordering::Relaxed);
    pass(60_000).await;
    notes.seen.lock().unwrap().clear();
    pass(60_000).await;
    let fewest = (0..40).map(|n| notes.times_of(&format!("hung-{n}")).len()).min();
    assert!(fewest >= Some(5), "{fewest:?}");
}

#[tokio::test(start_paused = true)]
async fn with_the_defaults_150_of_500_that_hang_delay_nobody_by_an_interval_even_at_the_start() {
    let nodes = [crowd("hung", "hung", 150), crowd("well", "good", 350)].concat();
    let (_scraper, notes, ..) = start(&nodes, config::Scrape::default(), FakeProber::default());
    pass(120_000).await;
    for n in 0..350 {
        let times = notes.times_of(&format!("well-{n}"));
        // From the second scrape to the third it may be an interval and a half, by the place of the target in it.
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(times[0] <= 10_000 && gaps.max() <= Some(20_000), "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silence_of_a_target_that_was_sound_is_confirmed_at_once_though_others_hang() {
    let suspect = node("suspect", &["http://good/"]);
    let nodes = [crowd("hung", "hung", 40), vec![suspect.clone()]].concat();
    let settings = config::Scrape { concurrency: 8, ..SETTINGS };
    let (scraper, notes, ..) = start(&nodes, settings, FakeProber::default());
    pass(60_000).await;
    let others = nodes[..40].to_vec();
    // From now on it hangs as well; a target with another URL is a new one, so it joins as sound.
    scraper.retarget(&[others, vec![node("suspect", &["http://hung/now"])]].concat(), how(settings));
    notes.seen.lock().unwrap().clear();
    scraper.rescrape("suspect");
    pass(3_100).await;
    assert_eq!(notes.of("suspect").len(), 1, "{:?}", notes.of("suspect"));
    pass(3_250).await;
    let times = notes.times_of("suspect");
    assert!(times.len() == 2 && times[1] - times[0] <= 3_300, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_is_reported_and_its_target_asked_again() {
    let prober = FakeProber { panics: true, ..FakeProber::default() };
    let (_scraper, notes, ..) = start(&[node("a", &["http://good/"])], SETTINGS, prober);
    pass(3_100).await;
    let labels: Vec<_> = notes.of("a").into_iter().map(|seen| seen.3).collect();
    assert_eq!(labels, [Some("parse"), Some("parse")]);
}

#[tokio::test(start_paused = true)]
async fn the_loop_ends_when_cancelled_and_when_dropped() {
    for by_token in [true, false] {
        let (scraper, notes, _, cancel) =
            start(&[node("a", &["http://good/"])], SETTINGS, FakeProber::default());
        pass(5_000).await;
        let before = notes.of("a").len();
        let mut scraper = Some(scraper);
        if by_token {
            cancel.cancel();
        } else {
            scraper.take();
        }
        pass(60_000).await;
        assert_eq!(notes.of("a").len(), before);
    }
}

/// Log lines end here.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_logged_once_and_so_is_its_end() {
    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let bad = "http://user:secret@bad/metrics";
    let (_scraper, notes, prober, _) = start(&[node("a", &[bad])], SETTINGS, FakeProber::default());
    let text = || String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    pass(60_000).await;
    assert!(notes.of("a").len() > 5);
    assert_eq!(text().lines().count(), 1, "{}", text());
    let expected =
        "target fails: connect: refused node=\"a\" url=\"http://bad:80/metrics\" reason=\"connect\"";
    assert!(text().contains("WARN") && text().contains(expected), "{}", text());
    prober.mended.store(true, Ordering::Relaxed);
    pass(60_000).await;
    assert_eq!(text().lines().count(), 2, "{}", text());
    assert!(text().contains("target answers again node=\"a\""), "{}", text());
}

#[tokio::test]
async fn a_real_page_reaches_the_observer() {
    let page = include_str!("../../tests/fixtures/exporters/srs_edge.txt");
    let exporter =
        test_exporter::TestExporter::start(move |_| test_exporter::Act::Send(test_exporter::page(page)))
            .await;
    let (told, mut heard) = mpsc::unbounded_channel();
    let settings = config::Scrape { interval_ms: 1_000, timeout_ms: 1_000, ..SETTINGS };
    let clock = Clock::system();
    let observer = Arc::new(Forward(told));
    let nodes = [node("a", &[&exporter.url()])];
    let _scraper = Scraper::start(&nodes, how(settings), clock, observer, CancellationToken::new());
    for _ in 0..2 {
        let (outcome, timing) = heard.recv().await.unwrap();
        assert_eq!(outcome.unwrap().media.unwrap().clients, Some(4.0));
        assert!(timing.age_ms() <= 1_000);
    }
}

/// Tells what it hears.
struct Forward(mpsc::UnboundedSender<(Result<Reading, ProbeFailure>, Timing)>);

impl Observer for Forward {
    fn observed(&self, _: &str, _: usize, outcome: Result<Reading, ProbeFailure>, timing: Timing) {
        // The test may have ended.
        let _ = self.0.send((outcome, timing));
    }
}
