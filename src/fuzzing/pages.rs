//! Pages of exporters.

use std::sync::LazyLock;

use crate::exposition::{MAX_SAMPLES, Sample, Selector};
use crate::schedule::load::Load;
use crate::schedule::reading::{Moment, ProcessCpu, Reading, Timing};
use crate::schedule::window::Windows;
use crate::scrape::{Focus, read};

/// Names of every length class, two of them beginnings of others.
const NAMES: [&str; 5] = ["a", "up", "node_load1", "node_load15", "node_cpu_seconds_total"];

static SELECTOR: LazyLock<Selector> = LazyLock::new(|| Selector::new(NAMES));

/// A page becomes samples: one for each wanted line, and written out again they are the same samples.
pub fn exposition(page: &[u8]) {
    let none = SELECTOR.samples(page, |_, _| false);
    let Ok(samples) = SELECTOR.samples(page, |_, _| true) else { return };
    assert!(none.is_ok_and(|samples| samples.is_empty()), "lines that are not kept cannot do harm");
    assert!(samples.len() <= MAX_SAMPLES);
    let wanted = page.split(|byte| *byte == b'\n').filter(|line| is_wanted(line)).count();
    assert_eq!(samples.len(), wanted, "a wanted line was lost or made up");

    let written: String = samples.iter().map(line).collect();
    match SELECTOR.samples(written.as_bytes(), |_, _| true) {
        Ok(again) => assert!(same(&samples, &again), "{written}\nis not\n{samples:?}\nbut\n{again:?}"),
        Err(error) => panic!("{written}\nwas a good page: {error}"),
    }
}

/// An independent reading of which lines count: the name ends at a brace or white space.
fn is_wanted(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let end = line.iter().position(|byte| matches!(byte, b'{' | b' ' | b'\t')).unwrap_or(line.len());
    NAMES.iter().any(|name| name.as_bytes() == &line[..end])
}

fn line(sample: &Sample<'_>) -> String {
    let labels: Vec<String> =
        sample.labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    match labels.as_slice() {
        [] => format!("{} {}\n", sample.name, sample.value),
        labels => format!("{}{{{}}} {}\n", sample.name, labels.join(","), sample.value),
    }
}

fn same(one: &[Sample<'_>], other: &[Sample<'_>]) -> bool {
    let equal = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(a, b)| a.name == b.name && a.labels == b.labels && equal(a.value, b.value))
}

/// Two pages of one target, a zero byte between, become readings and a window: no number in either may poison a sum.
pub fn pages(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let pages = [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()];
    let named = Focus {
        processes: ["srs".into()].into(),
        interfaces: ["eth0".into()].into(),
        authority: "192.0.2.1:9100".into(),
        published: None,
    };
    for focus in [&Focus::default(), &named] {
        let mut windows = Windows::default();
        for (page, at_ms) in pages.into_iter().zip([10_000, 20_000]) {
            let Ok(page) = read(page, focus) else { continue };
            check_reading(&page.reading);
            let timing = Timing { sent: Moment(at_ms), received: Moment(at_ms + 20) };
            let window = windows.fold(page.reading, timing);
            check_load(&window.load);
            let counted = [window.seconds, window.connected].into_iter().flatten();
            counted.for_each(|number| assert_sane("of a window", number));
        }
    }
}

/// SRS's list of streams: each stream once, with numbers that can be.
pub fn streams(page: &[u8]) {
    let Ok(page) = read(page, &Focus { published: Some(100), ..Focus::default() }) else { return };
    let streams = &page.reading.streams;
    if let Some(published) = &page.reading.published {
        let whole = |stream: &[Box<str>; 3]| !stream[1].is_empty() && !stream[2].is_empty();
        assert!(published.streams.iter().all(whole), "no app or no name: {published:?}");
    }
    assert!(
        streams.windows(2).all(|pair| pair[0].key < pair[1].key),
        "a stream is listed twice: {streams:?}"
    );
    check_reading(&page.reading);
}

#[track_caller]
fn assert_sane(what: &str, number: f64) {
    assert!(number.is_finite() && number >= 0.0, "{what} {number}");
}

fn check_reading(reading: &Reading) {
    for stream in &reading.streams {
        assert_sane("clients of a stream", stream.clients);
        assert_sane("kbps of a stream", stream.kbps);
        assert!(stream.kbps > 0.0);
    }
    if let Some(host) = &reading.host {
        // A sum over CPUs and shares of a whole.
        for number in [host.idle_s, host.iowait_s, host.steal_s] {
            assert_sane("CPU seconds", number);
        }
        host.disk_io_s.iter().for_each(|(_, seconds)| assert_sane("disk seconds", *seconds));
        let shares = host.fullest_disk.iter().map(|(_, share)| *share);
        shares.for_each(|share| assert!((0.0..=1.0).contains(&share), "a disk is full by {share}"));
        let sums = [host.transmit_bytes, host.receive_bytes, host.udp_receive_drops, host.udp_send_drops];
        sums.into_iter().flatten().for_each(|number| assert_sane("a counter of the host", number));
    }
    for process in &reading.processes {
        let (ProcessCpu::Seconds(number) | ProcessCpu::Cores(number)) = process.cpu;
        assert_sane("CPU of a process", number);
        assert!(process.processes > 0, "a group without processes: {process:?}");
    }
    if let Some(media) = &reading.media {
        let numbers = [media.clients_total, media.send_bytes, media.receive_bytes];
        numbers.into_iter().flatten().for_each(|number| assert_sane("a counter of the media server", number));
    }
}

fn check_load(load: &Load) {
    let shares = [load.system_cpu, load.steal, load.memory].into_iter().flatten();
    let disks = [&load.busiest_disk, &load.fullest_disk].into_iter().flatten().map(|(_, share)| *share);
    for share in shares.chain(disks) {
        assert!((0.0..=1.0).contains(&share), "a share of {share}: {load:?}");
    }
    let rates = [
        load.egress_mbps,
        load.ingress_mbps,
        load.link_mbps,
        load.udp_drops_per_s,
        load.clients,
        load.arrivals_per_s,
        load.hottest.as_ref().map(|process| process.cores),
    ];
    rates.into_iter().flatten().for_each(|number| assert_sane("load", number));
}
