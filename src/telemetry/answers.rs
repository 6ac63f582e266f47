//! Counters of the resolve path: atomics in fixed places, read by a collector.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use tokio::time::Instant;

use crate::geo::Precision;
use crate::resolver::Reason;

/// One answer in so many is timed: the path reads no clock otherwise, and a histogram needs no census.
const TIMED_ONE_IN: u32 = 64;

/// Upper bounds of the buckets of the duration histogram, ns.
const BOUNDS_NS: [u64; 12] =
    [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 10_000_000];

/// Why a question was not answered. A closed set: it is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such domain.
    UnknownDomain,
    /// Every node overloaded, and the pool refuses then.
    AllOverloaded,
    /// No address of the family.
    NoAddress,
    /// No node in service.
    NoNode,
    /// No node has a port for that.
    NoPort,
    /// The domain takes no publishers.
    NoOrigins,
}

/// What the resolve path counts.
#[derive(Debug, Default)]
pub struct Answers {
    domains: ArcSwap<Domains>,
    /// Answers for a domain that the table does not know (yet).
    other: Row,
    refused: [AtomicU64; Refused::ALL.len()],
    located: [AtomicU64; PRECISIONS.len()],
    duration: Duration,
}

/// Rows by the resolver's domain number, and by name for the moment of a reload when numbers disagree.
#[derive(Debug, Default)]
struct Domains {
    rows: Vec<Arc<Row>>,
    by_name: HashMap<Box<str>, usize>,
}

/// Answers of one domain. On cache lines of its own, so that two busy domains do not slow each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Row {
    name: Box<str>,
    by_reason: [AtomicU64; Reason::ALL.len()],
}

#[derive(Debug, Default)]
struct Duration {
    buckets: [AtomicU64; BOUNDS_NS.len() + 1],
    sum_ns: AtomicU64,
}

const PRECISIONS: [Precision; 5] =
    [Precision::Override, Precision::City, Precision::Country, Precision::Default, Precision::Unknown];

// === impl Refused ===

impl Refused {
    /// The closed set.
    pub const ALL: [Self; 6] = [
        Self::UnknownDomain,
        Self::AllOverloaded,
        Self::NoAddress,
        Self::NoNode,
        Self::NoPort,
        Self::NoOrigins,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownDomain => "unknown_domain",
            Self::AllOverloaded => "all_overloaded",
            Self::NoAddress => "no_address",
            Self::NoNode => "no_node",
            Self::NoPort => "no_port",
            Self::NoOrigins => "no_origins",
        }
    }
}

// === impl Answers ===

impl Answers {
    /// Takes over the domains of a configuration, in its order. Domains that stay keep their counts.
    pub fn set_domains<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let before = self.domains.load();
        let row = |name: &str| match before.by_name.get(name) {
            Some(at) => Arc::clone(&before.rows[*at]),
            None => Arc::new(Row { name: name.into(), ..Row::default() }),
        };
        let rows: Vec<_> = names.into_iter().map(row).collect();
        let by_name = rows.iter().enumerate().map(|(at, row)| (row.name.clone(), at)).collect();
        self.domains.store(Arc::new(Domains { rows, by_name }));
    }

    /// An answer was given. `number` is the resolver's number of the domain; the name decides when the two
    /// tables are of different reloads.
    pub fn answered(&self, number: u16, domain: &str, reason: Reason, precision: Precision) {
        let domains = self.domains.load();
        let by_number = domains.rows.get(usize::from(number)).filter(|row| *row.name == *domain);
        let by_name = || domains.by_name.get(domain).map(|at| &domains.rows[*at]);
        let row = by_number.or_else(by_name).map_or(&self.other, |row| row);
        row.by_reason[reason.index()].fetch_add(1, Relaxed);
        self.located[place(precision)].fetch_add(1, Relaxed);
    }

    /// A question was refused.
    pub fn refused(&self, why: Refused) {
        self.refused[why as usize].fetch_add(1, Relaxed);
    }

    /// Degraded answers so far, by domain.
    #[must_use]
    pub fn degraded(&self) -> Vec<(Box<str>, u64)> {
        let of = |row: &Row| {
            [Reason::AllOverloaded, Reason::StaleLoad]
                .map(|reason| row.by_reason[reason.index()].load(Relaxed))
        };
        let domains = self.domains.load();
        domains.rows.iter().map(|row| (row.name.clone(), of(row).iter().sum())).collect()
    }

    /// Starts timing one question in 64; `None` for the others.
    #[must_use]
    pub fn stopwatch(&self) -> Option<Instant> {
        thread_local! {
            static ASKED: Cell<u32> = const { Cell::new(0) };
        }
        let asked = ASKED.get();
        ASKED.set(asked.wrapping_add(1));
        asked.is_multiple_of(TIMED_ONE_IN).then(Instant::now)
    }

    /// The answer to a timed question is written.
    pub fn took(&self, began: Option<Instant>) {
        let Some(began) = began else { return };
        let ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.duration.observe(ns);
    }
}

impl Collector for Answers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Answered questions by domain and reason";
        let mut requests = encoder.encode_descriptor("resolve_requests", help, None, MetricType::Counter)?;
        let domains = self.domains.load();
        let other = [("other", &self.other)];
        for (domain, row) in domains.rows.iter().map(|row| (&*row.name, &**row)).chain(other) {
            for reason in Reason::ALL {
                let labels = [("domain", domain), ("reason", reason.as_str())];
                counter(&mut requests, &labels, &row.by_reason[reason.index()])?;
            }
        }

        let help = "Questions without an answer by reason; malformed ones count as HTTP problems only";
        let mut refused = encoder.encode_descriptor("resolve_refused", help, None, MetricType::Counter)?;
        for why in Refused::ALL {
            counter(&mut refused, &[("reason", why.as_str())], &self.refused[why as usize])?;
        }

        let help = "Clients of answered questions by how well their place is known";
        let mut located = encoder.encode_descriptor("geo_lookups", help, None, MetricType::Counter)?;
        for precision in PRECISIONS {
            counter(&mut located, &[("precision", precision.as_str())], &self.located[place(precision)])?;
        }

        let help = "Time from a question to its written answer; one in 64 is timed";
        let unit = Unit::Seconds;
        let duration =
            encoder.encode_descriptor("resolve_duration", help, Some(&unit), MetricType::Histogram)?;
        self.duration.encode(duration)
    }
}

// === impl Duration ===

impl Duration {
    fn observe(&self, ns: u64) {
        self.buckets[BOUNDS_NS.partition_point(|bound| *bound < ns)].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    #[expect(clippy::cast_precision_loss, reason = "a sum of nanoseconds is exact for 104 days of work")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BOUNDS_NS.iter().map(|ns| *ns as f64 / 1e9).chain([f64::INFINITY]);
        // The count is the sum of what was read, so that it agrees with the last bucket.
        let buckets: Vec<(f64, u64)> =
            bounds.zip(&self.buckets).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum_s = self.sum_ns.load(Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum_s, count, &buckets, None)
    }
}

pub(super) fn counter<const N: usize>(
    family: &mut MetricEncoder<'_>,
    labels: &[(&str, &str); N],
    value: &AtomicU64,
) -> fmt::Result {
    family.encode_family(labels)?.encode_counter::<NoLabelSet, u64, f64>(&value.load(Relaxed), None)
}

/// The place of a precision in [`PRECISIONS`].
fn place(precision: Precision) -> usize {
    match precision {
        Precision::Override => 0,
        Precision::City => 1,
        Precision::Country => 2,
        Precision::Default => 3,
        Precision::Unknown => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(answers: &Answers, domain: &str) -> u64 {
        let domains = answers.domains.load();
        let row = domains.by_name.get(domain).map(|at| &domains.rows[*at]);
        row.map_or(&answers.other, |row| row).by_reason[Reason::Nearest.index()].load(Relaxed)
    }

    #[test]
    fn counts_survive_a_reload_that_renumbers_domains() {
        let answers = Answers::default();
        answers.set_domains(["a.example", "b.example"]);
        answers.answered(1, "b.example", Reason::Nearest, Precision::City);
        answers.set_domains(["b.example"]);
        // A worker still holds the old numbering.
        answers.answered(1, "b.example", Reason::Nearest, Precision::City);
        answers.answered(0, "b.example", Reason::Nearest, Precision::City);
        assert_eq!(count(&answers, "b.example"), 3);
    }

    #[test]
    fn an_unknown_domain_counts_as_other_and_as_no_one_elses() {
        let answers = Answers::default();
        answers.set_domains(["a.example"]);
        answers.answered(0, "new.example", Reason::Nearest, Precision::City);
        assert_eq!(count(&answers, "a.example"), 0);
        assert_eq!(count(&answers, "other"), 1);
    }

    #[test]
    fn a_duration_falls_into_the_bucket_that_still_holds_it() {
        let duration = Duration::default();
        for ns in [0, 500, 501, 10_000_000, 10_000_001, u64::from(u32::MAX)] {
            duration.observe(ns);
        }
        let counts: Vec<u64> = duration.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn places_agree_with_the_table() {
        for (at, precision) in PRECISIONS.into_iter().enumerate() {
            assert_eq!(place(precision), at);
        }
    }

    #[test]
    fn one_question_in_64_is_timed() {
        let answers = Answers::default();
        assert_eq!((0..128).filter(|_| answers.stopwatch().is_some()).count(), 2);
    }
}
