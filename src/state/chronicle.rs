//! Chronicle: once a second, what became of every node goes into its history and, if it is news, onto the timeline.
//!
//! It looks at reports that scrapes have left and at the ring of recent answers; nothing on the resolve path knows of
//! it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::history::{History, Hour};
use super::timeline::{Timeline, What};
use super::{Live, State};
use crate::schedule::Moment;
use crate::schedule::health::{Drain, NodeState};
use crate::schedule::node::NodeIndex;
use crate::schedule::watch::NodeReport;

/// More nodes than this that come into one state within a second are one event: a dead site is one piece of news.
const MANY: usize = 12;
/// Degraded answers of a domain are one event as long as no pause between them is longer, ms.
const PAUSE_MS: u64 = 60_000;

/// What is kept for people.
#[derive(Debug, Default)]
pub struct Chronicle {
    /// What happened.
    pub timeline: Timeline,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    history: History,
    seen: HashMap<Box<str>, Seen>,
    /// Answers that the ring had counted, and of which fleet.
    counted: u64,
    generation: Option<u64>,
}

/// What was last seen of a node.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    state: NodeState,
    capped: bool,
}

// === impl State ===

impl State {
    /// What is kept for people.
    #[must_use]
    pub fn chronicle(&self) -> &Chronicle {
        &self.chronicle
    }

    /// Writes this second down.
    pub(super) fn chronicle_at(&self, live: &Live, now: Moment) {
        let unix_ms = self.clock.unix_ms_of(now);
        let mut inner = self.chronicle.lock();
        let answers = inner.answers(live, now);
        inner.history.turn(now);
        let mut news = Vec::new();
        for (index, report) in live.reports() {
            let id = &live.fleet.node(index).id;
            inner.history.note(id, &report.pressure.by, answers.get(&index).copied().unwrap_or(0.0));
            let after = Seen { state: report.state, capped: report.capped_mbps.is_some() };
            let before = match inner.seen.get_mut(id) {
                Some(seen) => std::mem::replace(seen, after),
                None => {
                    inner.seen.insert(id.clone(), after);
                    Seen { state: NodeState::Starting, ..after }
                }
            };
            if before.state != after.state || after.state == NodeState::Overloaded {
                news.push((index, before.state, report));
            } else if before.capped != after.capped {
                self.tell_of_capacity(live, index, &report, unix_ms);
            }
        }
        drop(inner);
        self.tell(live, &news, unix_ms);
        self.chronicle.timeline.close_untouched("degraded", PAUSE_MS, unix_ms);
    }

    /// So many answers of a domain were degraded since it was last said.
    pub fn note_degraded(&self, domain: &str, answers: u64) {
        let what = What::Degraded { domain: domain.into(), answers };
        self.chronicle.timeline.open(domain, None, what, self.clock.unix_ms(), |what| {
            if let What::Degraded { answers: sum, .. } = what {
                *sum += answers;
            }
            true
        });
    }

    /// Something happened that the state cannot see by itself.
    pub fn note(&self, what: What) {
        self.chronicle.timeline.note(None, what, self.clock.unix_ms());
    }

    /// A node was taken out.
    pub(super) fn tell_of_drain(&self, id: &str, order: &Drain) {
        let what = What::Drained {
            reason: order.reason.clone(),
            until_unix_ms: order.until.map(|until| self.clock.unix_ms_of(until)),
        };
        let again = what.clone();
        self.chronicle.timeline.open(id, Some(id), what, self.clock.unix_ms_of(order.since), |before| {
            let changed = *before != again;
            *before = again;
            changed
        });
    }

    /// A node was put back, by an operator or because the time was up.
    pub(super) fn tell_of_undrain(&self, id: &str, what: What) {
        let unix_ms = self.clock.unix_ms();
        if self.chronicle.timeline.close("drained", id, unix_ms) {
            self.chronicle.timeline.note(Some(id), what, unix_ms);
        }
    }

    /// Another configuration's fleet is in force.
    pub(super) fn tell_of_reload(&self, before: &Live, next: &Live) {
        self.tell_of_change(before, next, |added, removed, nodes| What::Reloaded { added, removed, nodes });
    }

    /// A fleet with other registered nodes is in force.
    pub(super) fn tell_of_registration(&self, before: &Live, next: &Live) {
        self.tell_of_change(before, next, |added, removed, nodes| What::Registered { added, removed, nodes });
    }

    fn tell_of_change(&self, before: &Live, next: &Live, what: impl FnOnce(usize, usize, usize) -> What) {
        let ids = |live: &Live| live.fleet.nodes.iter().map(|node| node.id.clone()).collect::<HashSet<_>>();
        let (old, new) = (ids(before), ids(next));
        let unix_ms = self.clock.unix_ms();
        let removed = old.difference(&new).count();
        let what = what(new.difference(&old).count(), removed, new.len());
        for id in old.difference(&new).take(MANY) {
            self.chronicle.timeline.note(Some(id), What::Removed, unix_ms);
        }
        self.chronicle.timeline.note(None, what, unix_ms);
        let mut inner = self.chronicle.lock();
        inner.history.keep(|node| new.contains(node));
        inner.seen.retain(|node, _| new.contains(node));
    }

    fn tell(&self, live: &Live, news: &[(NodeIndex, NodeState, std::sync::Arc<NodeReport>)], unix_ms: u64) {
        let timeline = &self.chronicle.timeline;
        let fresh = |state| news.iter().filter(|(_, old, new)| *old != state && new.state == state).count();
        let storm =
            [NodeState::Overloaded, NodeState::Stale, NodeState::Down].map(|state| (state, fresh(state)));
        for (state, nodes) in storm.into_iter().filter(|(_, nodes)| *nodes > MANY) {
            timeline.note(None, What::Many { state: state.as_str(), nodes }, unix_ms);
        }
        for (index, before, report) in news {
            let id = &*live.fleet.node(*index).id;
            if *before != report.state {
                timeline.close(before.as_str(), id, unix_ms);
                if *before == NodeState::Draining {
                    self.tell_of_undrain(id, What::DrainExpired);
                }
            }
            if storm.iter().any(|(state, nodes)| *state == report.state && *before != *state && *nodes > MANY)
            {
                continue;
            }
            match (report.state, &report.drain) {
                (NodeState::Overloaded, _) => overloaded(timeline, id, report, unix_ms),
                (NodeState::Stale, _) => {
                    let (target, error) = failing(report);
                    timeline.open(id, Some(id), What::Stale { target, error }, unix_ms, |_| false);
                }
                (NodeState::Down, _) => {
                    let (target, error) = failing(report);
                    timeline.open(id, Some(id), What::Down { target, error }, unix_ms, |_| false);
                }
                (NodeState::Draining, Some(order)) => self.tell_of_drain(id, order),
                _ => {}
            }
        }
    }

    fn tell_of_capacity(&self, live: &Live, index: NodeIndex, report: &NodeReport, unix_ms: u64) {
        let id = &*live.fleet.node(index).id;
        match (report.capped_mbps, report.capacity) {
            (Some(mbps), Some(capacity)) => {
                let what = What::Capped { mbps, capacity_mbps: capacity.mbps };
                self.chronicle.timeline.open(id, Some(id), what, unix_ms, |_| false);
            }
            _ => {
                self.chronicle.timeline.close("capped", id, unix_ms);
            }
        }
    }
}

fn overloaded(timeline: &Timeline, id: &str, report: &NodeReport, unix_ms: u64) {
    let Some((resource, peak)) = report.pressure.tightest() else { return };
    let what = What::Overloaded { resource: resource.as_str(), peak };
    let again = what.clone();
    timeline.open(id, Some(id), what, unix_ms, |before| match before {
        What::Overloaded { peak: highest, .. } if peak > *highest + 0.005 => {
            *before = again;
            true
        }
        _ => false,
    });
}

/// The first exporter that fails, and how.
fn failing(report: &NodeReport) -> (Box<str>, &'static str) {
    let failing = report.targets.iter().find_map(|target| Some((target, target.failure.as_ref()?)));
    let is_missing = report.pulse.as_ref().is_some_and(|pulse| pulse.is_missing);
    let nobody = || if is_missing { ("heartbeats".into(), "timeout") } else { ("".into(), "frozen") };
    failing.map_or_else(nobody, |(target, failure)| (target.url.clone(), failure.label()))
}

// === impl Chronicle ===

impl Chronicle {
    /// The last hour of a node.
    #[must_use]
    pub fn hour(&self, node: &str, now: Moment) -> Option<Hour> {
        self.lock().history.hour(node, now)
    }

    /// Answers a second that each of these nodes was given lately.
    #[must_use]
    pub fn rates<'a>(&self, nodes: impl Iterator<Item = &'a str>) -> Vec<f32> {
        let inner = self.lock();
        nodes.map(|node| inner.history.rate(node)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inner ===

impl Inner {
    /// Answers to each node since the last call. Where more were given than the ring remembers, those that it does
    /// stand for all.
    fn answers(&mut self, live: &Live, now: Moment) -> HashMap<NodeIndex, f32> {
        if self.generation.replace(live.generation) != Some(live.generation) {
            // A ring of another fleet counts anew.
            self.counted = self.counted.min(live.recent.count());
        }
        let (entries, given) = live.recent.since(self.counted, now);
        self.counted += given;
        #[expect(clippy::cast_precision_loss, reason = "a count of one second")]
        let each = given as f32 / entries.len().max(1) as f32;
        let mut answers = HashMap::new();
        for entry in entries {
            *answers.entry(entry.node).or_insert(0.0) += each;
        }
        answers
    }
}

#[cfg(test)]
mod tests;
