//! The table of targets: what is asked, when next, and what is under way.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use reqwest::Url;

use super::circuit::Circuit;
use super::collect::Collect;
use super::reader::Focus;
use super::rhythm::Rhythm;
use crate::schedule::node::{Node, Role};

/// Shortest time between two extra scrapes of one node, ms. Players' failure reports ask for them, and anybody can
/// claim to be a player.
const RESCRAPE_GAP_MS: u64 = 1_000;

/// Names a target for as long as it is in the table; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TargetId(u64);

/// What makes a target of a new list the same as one of the old: node and URL as configured.
type Key = (Arc<str>, Arc<str>);

/// One exporter URL of one node.
#[derive(Debug)]
pub(super) struct Target {
    /// Node's id.
    pub(super) node: Arc<str>,
    /// Its place in the node's `exporters`.
    pub(super) index: usize,
    /// The URL as configured.
    text: Arc<str>,
    /// Where; `None` if it is no URL, which the configuration's check refuses.
    pub(super) url: Option<Arc<Url>>,
    /// The URL without password and query, for logs.
    pub(super) shown: Arc<str>,
    /// What counts on its page.
    pub(super) focus: Arc<Focus>,
    /// How it is asked.
    pub(super) collect: Collect,
    /// What asking it costs lately.
    pub(super) circuit: Circuit,
    /// Whether the last probe failed.
    pub(super) failing: bool,
    /// Queued or under way: it is not asked twice at once.
    pub(super) busy: bool,
    /// A player failed at the node: if nobody answers this probe, that is to be confirmed at once.
    pub(super) suspected: bool,
    rhythm: Rhythm,
    /// How many regular scrapes have been due, up to two.
    started: u8,
    /// When the next one is, ms since the loop began.
    due_ms: u64,
}

/// All targets.
#[derive(Debug, Default)]
pub(super) struct Targets {
    targets: HashMap<TargetId, Target>,
    /// Exactly one entry for each target.
    due: BinaryHeap<Reverse<(u64, TargetId)>>,
    by_node: HashMap<Arc<str>, OfNode>,
    last_id: u64,
}

/// The targets of one node.
#[derive(Debug, Default)]
struct OfNode {
    targets: Vec<TargetId>,
    /// When it was last asked out of turn, ms since the loop began.
    rescraped_ms: Option<u64>,
}

/// How many streams SRS lists at most when it is asked thus (`count=`; 10 if it is not told).
fn page_size(url: &str) -> usize {
    let count = url.split(['?', '&']).find_map(|pair| pair.strip_prefix("count="));
    count.and_then(|count| count.parse().ok()).unwrap_or(10)
}

// === impl Targets ===

impl Targets {
    /// Takes over a new list. A target that stays (same node, same URL) keeps its place in time, what was learnt of
    /// it and its failure; a probe of one that goes will find nobody to report for.
    pub(super) fn replace(&mut self, nodes: &[Node], interval_ms: u64, now_ms: u64) {
        let mut old: HashMap<Key, (TargetId, Target)> = HashMap::with_capacity(self.targets.len());
        for (id, target) in self.targets.drain() {
            old.insert(target.key(), (id, target));
        }
        let mut old_nodes = std::mem::take(&mut self.by_node);
        for node in nodes {
            let name: Arc<str> = Arc::from(&*node.id);
            let rescraped_ms = old_nodes.remove(&*node.id).and_then(|of_node| of_node.rescraped_ms);
            let mut of_node = OfNode { targets: Vec::with_capacity(node.exporters.len()), rescraped_ms };
            for (index, text) in node.exporters.iter().enumerate() {
                let fresh = Target::new(node, &name, index, text, interval_ms, now_ms);
                let (id, target) = match old.remove(&fresh.key()) {
                    Some((id, target)) => (id, target.renewed(fresh, interval_ms, now_ms)),
                    None => (self.next_id(), fresh),
                };
                of_node.targets.push(id);
                self.targets.insert(id, target);
            }
            self.by_node.insert(name, of_node);
        }
        self.due = self.targets.iter().map(|(id, target)| Reverse((target.due_ms, *id))).collect();
    }

    /// When the next target is due, ms since the loop began.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.due.peek().map(|Reverse((due_ms, _))| *due_ms)
    }

    /// Takes the next target that is due, sets its next time, and marks it busy. One that is busy still is passed
    /// over: a slow target loses a turn and is never asked twice at once. So is one whose circuit says so.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Option<TargetId> {
        loop {
            let Reverse((due_ms, id)) = *self.due.peek().filter(|Reverse((due_ms, _))| *due_ms <= now_ms)?;
            self.due.pop();
            let Some(target) = self.targets.get_mut(&id) else { continue };
            target.due_ms = target.next_due_ms(due_ms, now_ms);
            self.due.push(Reverse((target.due_ms, id)));
            if !target.busy && target.circuit.takes_turn() {
                target.busy = true;
                return Some(id);
            }
        }
    }

    /// Forgets what targets cost.
    pub(super) fn close_circuits(&mut self) {
        for target in self.targets.values_mut() {
            target.circuit = Circuit::default();
        }
    }

    /// Targets of a node to be asked now, marked busy; none if it was asked out of turn within the last second.
    pub(super) fn take_node(&mut self, node: &str, now_ms: u64) -> Vec<TargetId> {
        let Some(of_node) = self.by_node.get_mut(node) else { return Vec::new() };
        if of_node.rescraped_ms.is_some_and(|last| now_ms < last + RESCRAPE_GAP_MS) {
            return Vec::new();
        }
        of_node.rescraped_ms = Some(now_ms);
        let targets = &mut self.targets;
        let idle = |id: &&TargetId| {
            targets.get_mut(id).is_some_and(|target| {
                target.suspected = true;
                !std::mem::replace(&mut target.busy, true)
            })
        };
        of_node.targets.iter().filter(idle).copied().collect()
    }

    /// A target, if it is still in the table.
    pub(super) fn get_mut(&mut self, id: TargetId) -> Option<&mut Target> {
        self.targets.get_mut(&id)
    }

    fn next_id(&mut self) -> TargetId {
        self.last_id += 1;
        TargetId(self.last_id)
    }
}

// === impl Target ===

impl Target {
    fn new(node: &Node, name: &Arc<str>, index: usize, text: &str, interval_ms: u64, now_ms: u64) -> Self {
        let url = Url::parse(text).ok();
        let authority = url.as_ref().map(authority).unwrap_or_default();
        let shown = url.as_ref().map_or_else(
            || "(no URL)".to_owned(),
            |url| format!("{}://{authority}{}", url.scheme(), url.path()),
        );
        let rhythm = Rhythm::new(text, interval_ms);
        Self {
            node: Arc::clone(name),
            index,
            text: text.into(),
            collect: Collect::for_url(url.as_ref().is_some_and(|url| url.query().is_some())),
            url: url.map(Arc::new),
            shown: shown.into(),
            focus: Arc::new(Focus {
                processes: node.processes.clone().into(),
                interfaces: node.interfaces.clone().into(),
                authority: authority.into(),
                published: (node.role == Role::Origin).then(|| page_size(text)),
            }),
            circuit: Circuit::default(),
            failing: false,
            busy: false,
            suspected: false,
            rhythm,
            started: 0,
            due_ms: rhythm.first(now_ms),
        }
    }

    fn key(&self) -> Key {
        (Arc::clone(&self.node), Arc::clone(&self.text))
    }

    /// This target with what a new list says of it.
    fn renewed(mut self, fresh: Self, interval_ms: u64, now_ms: u64) -> Self {
        let rhythm = self.rhythm.with_interval(interval_ms);
        if rhythm != self.rhythm {
            self.rhythm = rhythm;
            self.due_ms = self.due_ms.min(rhythm.next(now_ms));
        }
        if self.focus != fresh.focus {
            // Other interfaces may need other collectors.
            self.collect = fresh.collect;
        }
        Self { index: fresh.index, focus: fresh.focus, ..self }
    }

    /// When it is due after a turn that was due at `due_ms` and taken now.
    fn next_due_ms(&mut self, due_ms: u64, now_ms: u64) -> u64 {
        self.started = self.started.saturating_add(1).min(2);
        if self.started == 1 {
            return self.rhythm.second(due_ms).max(now_ms + 1);
        }
        // Turns that were slept through are not made up for.
        self.rhythm.next(due_ms.max(now_ms.saturating_sub(1)))
    }
}

/// `host:port`, without user and password.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests;
