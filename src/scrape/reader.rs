//! A page becomes a [`Reading`].
//!
//! *What it decides*: what kind of exporter wrote the page, from what the page shows. No kind is configured: an
//! operator lists URLs, and one page may be several things at once (a media server that also tells its host).
//!
//! *Why so*: every exporter written in Go tells its own `process_cpu_seconds_total` beside what it is there for.
//! Only by knowing what a page is can we tell a media process from an exporter about media processes.

use std::sync::LazyLock;

use super::{client_library, node_exporter, process_exporter, srs, srs_streams};
use crate::exposition::{Labels, Sample, Selector};
use crate::schedule::reading::{ProbeFailure, Reading};

/// What on a page counts for the node that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Focus {
    /// Process groups that are media processes; empty: all.
    pub processes: Box<[Box<str>]>,
    /// Interfaces that carry viewers; empty: all physical ones.
    pub interfaces: Box<[Box<str>]>,
    /// `host:port` of the target, the name of a process that tells none.
    pub authority: Box<str>,
    /// Of a list of streams, how many it has at most, where what is published counts; `None`: it does not.
    pub published: Option<usize>,
}

/// A page that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// What it says.
    pub reading: Reading,
    /// Which metrics it shows.
    pub shown: Shown,
}

/// A set of wanted metric names, by their place in the list of all wanted names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown(u64);

/// Every metric that any reader wants. At most 64: [`Shown`] is one word.
static METRICS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let all = [node_exporter::METRICS, process_exporter::METRICS, srs::METRICS, client_library::METRICS];
    let mut all = all.concat();
    all.sort_unstable();
    all
});

static SELECTOR: LazyLock<Selector> = LazyLock::new(|| Selector::new(METRICS.iter().copied()));

/// Reads a page.
///
/// # Errors
/// `parse` if it is neither exposition text nor a list of streams, or a wanted line is wrong, `missing_metric` if it shows nothing of use.
pub fn read(page: &[u8], focus: &Focus) -> Result<Page, ProbeFailure> {
    let mut shown = Shown::default();
    if let Some(reading) = srs_streams::read(page, focus.published)? {
        return Ok(Page { reading, shown });
    }
    let samples = SELECTOR
        .samples(page, |name, labels| {
            shown.add(name);
            keep(name, labels, focus)
        })
        .map_err(|error| ProbeFailure::Parse(error.to_string()))?;
    let samples = Samples(&samples);
    let mut reading = Reading {
        clock_s: samples.gauge("node_time_seconds")?,
        grain_s: 0.0,
        host: node_exporter::read(samples, focus)?,
        processes: process_exporter::read(samples, focus)?,
        media: None,
        streams: Vec::new(),
        published: None,
    };
    if let Some((media, process)) = srs::read(samples)? {
        reading.media = Some(media);
        reading.processes.extend(process);
    }
    if !(is_node_exporter(shown) || is_process_exporter(shown) || is_srs(shown)) {
        reading.processes.extend(client_library::read(samples, page, focus)?);
    }
    if reading.host.is_none() && reading.processes.is_empty() && reading.media.is_none() {
        return Err(ProbeFailure::MissingMetric(what_is_missing(shown, focus)));
    }
    Ok(Page { reading, shown })
}

/// Whether a line with these labels is worth parsing. What is refused here can do the page no harm, so a mount
/// point or a process with an odd name only matters where it counts.
fn keep(name: &str, labels: &Labels<'_>, focus: &Focus) -> bool {
    match name.split_once('_').map(|(family, _)| family) {
        Some("node") => node_exporter::keep(name, labels, focus),
        Some("namedprocess") => process_exporter::keep(name, labels, focus),
        _ => !name.ends_with("_exporter_build_info"),
    }
}

fn is_node_exporter(shown: Shown) -> bool {
    shown.has("node_exporter_build_info") || shown.has("node_cpu_seconds_total")
}

fn is_process_exporter(shown: Shown) -> bool {
    process_exporter::METRICS.iter().any(|name| shown.has(name))
}

fn is_srs(shown: Shown) -> bool {
    srs::METRICS.iter().any(|name| shown.has(name))
}

/// The words for a page that has nothing for us.
fn what_is_missing(shown: Shown, focus: &Focus) -> String {
    if is_process_exporter(shown) && !focus.processes.is_empty() {
        return format!("no running process group is named {}", focus.processes.join(" or "));
    }
    if is_process_exporter(shown) {
        return "no running process group".into();
    }
    if is_node_exporter(shown) {
        return "node_cpu_seconds_total".into();
    }
    "nothing of node_exporter, process exporter, SRS or process_cpu_seconds_total".into()
}

/// The samples of one page, with look-ups that check what a number may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Samples<'a>(pub(super) &'a [Sample<'a>]);

// === impl Samples ===

impl<'a> Samples<'a> {
    /// All series of one metric.
    pub(super) fn of(self, name: &'a str) -> impl Iterator<Item = &'a Sample<'a>> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// A metric that has one series.
    pub(super) fn gauge(self, name: &'a str) -> Result<Option<f64>, ProbeFailure> {
        self.of(name).next().map(gauge).transpose()
    }

    /// A counter that has one series.
    pub(super) fn counter(self, name: &'a str) -> Result<Option<f64>, ProbeFailure> {
        self.of(name).next().map(counter).transpose()
    }
}

/// The value of a gauge: any finite number. NaN would poison every sum and comparison after it.
pub(super) fn gauge(sample: &Sample<'_>) -> Result<f64, ProbeFailure> {
    if sample.value.is_finite() {
        return Ok(sample.value);
    }
    Err(ProbeFailure::Parse(format!("{} is {}, not a finite number", sample.name, sample.value)))
}

/// The value of a counter: finite, and never below 0.
pub(super) fn counter(sample: &Sample<'_>) -> Result<f64, ProbeFailure> {
    let value = gauge(sample)?;
    if value >= 0.0 {
        return Ok(value);
    }
    Err(ProbeFailure::Parse(format!("counter {} is {value}, below 0", sample.name)))
}

// === impl Shown ===

impl Shown {
    /// Adds a wanted name.
    fn add(&mut self, name: &str) {
        if let Ok(index) = METRICS.binary_search(&name) {
            self.0 |= 1 << index;
        }
    }

    /// Whether the page shows this metric, with whatever labels.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        METRICS.binary_search(&name).is_ok_and(|index| self.0 & (1 << index) != 0)
    }

    /// Whether everything in here is in `other` too.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether the page is a `node_exporter`'s and nothing else, so that it may be asked for less.
    #[must_use]
    pub fn is_plain_node_exporter(self) -> bool {
        self.has("node_exporter_build_info") && !is_process_exporter(self) && !is_srs(self)
    }
}

#[cfg(test)]
mod tests;
