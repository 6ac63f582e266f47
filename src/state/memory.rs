//! Memory: what outlives a restart.
//!
//! Three things are known that no scrape tells again: what a node has once proven to send, that it was found short of
//! its configured capacity, and that an operator drained it. They are kept in a file, if the configuration names
//! one: written whole and renamed into place, so that a reader never sees half of it. A file that cannot be read is said
//! and passed over: a service that knows less is better than none.
//!
//! Nodes that register are not there yet when the file is read. What it says of nodes that there are not is kept for a
//! day, in the file too, and taken over when they come: a drained server stays so over a restart of this service.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Live, State};
use crate::schedule::Moment;
use crate::schedule::health::Drain;
use crate::schedule::proven::Record;

/// The form of the file. Another number is another form, and is refused.
const VERSION: u32 = 1;
/// How long a node that is not there is waited for, ms.
const AWAIT_MS: u64 = 86_400_000;
/// The largest file that is read, bytes: 65,535 nodes need less.
const MOST_BYTES: u64 = 64 << 20;

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    version: u32,
    /// By node id; nodes of which there is nothing to remember are left out.
    nodes: BTreeMap<Box<str>, Remembered>,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    /// Highest egress at which its viewers got what they should, Mbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proven_mbps: Option<f64>,
    /// What it is taken to be able to send since it fell short, Mbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capped_mbps: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drain: Option<Order>,
}

/// An operator's order, on the wall clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Box<str>>,
    since_unix_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_unix_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evict_per_minute: Option<u32>,
}

/// What was remembered of nodes that are not of the fleet yet. No more than a file has, and only ever fewer.
#[derive(Debug, Default)]
pub(super) struct Awaited(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    nodes: BTreeMap<Box<str>, Remembered>,
    until: Moment,
}

/// Why a file of memory is of no use.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is not what this program writes.
    #[error("not a memory of this service: {0}")]
    Form(#[from] serde_json::Error),
    /// It is of another version.
    #[error("version {0}, expected {VERSION}")]
    Version(u32),
    /// A number in it cannot be.
    #[error("node {node}: {mbps} Mbit/s cannot be")]
    Number {
        /// The node.
        node: Box<str>,
        /// The number.
        mbps: f64,
    },
    /// It is far too large.
    #[error("{0} bytes, at most {MOST_BYTES}")]
    Size(u64),
}

// === impl Memory ===

impl Memory {
    /// Reads a file; `None`: there is none yet.
    ///
    /// # Errors
    /// It cannot be read, or is not what [`Memory::write`] makes.
    pub fn read(path: &Path) -> Result<Option<Self>, MemoryError> {
        let size = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if size > MOST_BYTES {
            return Err(MemoryError::Size(size));
        }
        let memory: Self = serde_json::from_slice(&std::fs::read(path)?)?;
        if memory.version != VERSION {
            return Err(MemoryError::Version(memory.version));
        }
        for (node, remembered) in &memory.nodes {
            for mbps in [remembered.proven_mbps, remembered.capped_mbps].into_iter().flatten() {
                if !mbps.is_finite() || mbps < 0.0 {
                    return Err(MemoryError::Number { node: node.clone(), mbps });
                }
            }
        }
        Ok(Some(memory))
    }

    /// Writes it to a file beside `path` and renames that into place.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn write(&self, path: &Path) -> Result<(), MemoryError> {
        let beside = path.with_extension("new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        Ok(())
    }

    /// How many nodes it tells of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it tells of no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

// === impl State ===

impl State {
    /// What is to be remembered now. Nodes that are not of the fleet any more are forgotten, those that are waited for
    /// are not.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let live = self.live.load();
        let known = |record: f64| Some(record).filter(|mbps| *mbps > 0.0);
        let nodes = live.reports().filter_map(|(index, report)| {
            let remembered = Remembered {
                proven_mbps: known(report.proven_mbps),
                capped_mbps: report.capped_mbps.and_then(known),
                drain: report.drain.as_ref().map(|drain| self.order(drain)),
            };
            let id = live.fleet.node(index).id.clone();
            (remembered != Remembered::default()).then_some((id, remembered))
        });
        let mut all = self.awaited.at(self.clock.now()).nodes.clone();
        all.extend(nodes);
        Memory { version: VERSION, nodes: all }
    }

    /// Takes over what was remembered of nodes that are of the fleet, and of others when they come. Orders that have
    /// ended meanwhile are not given again.
    pub fn recall(&self, memory: &Memory) {
        let _orders = self.orders();
        let until = self.clock.now().plus_ms(AWAIT_MS);
        *self.awaited.lock() = Waiting { nodes: memory.nodes.clone(), until };
        self.recall_newcomers(&self.live.load());
    }

    /// Takes over what was remembered of nodes that have been waited for and are of this fleet.
    pub(super) fn recall_newcomers(&self, live: &Live) {
        let now = self.clock.now();
        let mut waiting = self.awaited.at(now);
        waiting.nodes.retain(|id, remembered| {
            let Some(index) = live.fleet.by_id(id) else { return true };
            let record = Record {
                proven_mbps: remembered.proven_mbps.unwrap_or(0.0),
                capped_mbps: remembered.capped_mbps,
            };
            live.warm(index, record, now);
            if let Some(order) = remembered.drain.as_ref().and_then(|order| self.drain_of(order, now)) {
                live.drain(index, order, now);
            }
            false
        });
    }

    fn order(&self, drain: &Drain) -> Order {
        Order {
            reason: drain.reason.clone(),
            since_unix_ms: self.clock.unix_ms_of(drain.since),
            until_unix_ms: drain.until.map(|until| self.clock.unix_ms_of(until)),
            evict_per_minute: drain.evict_per_minute,
        }
    }

    /// The order on this process's clock; `None`: it is over. It begins with the process at the earliest.
    fn drain_of(&self, order: &Order, now: Moment) -> Option<Drain> {
        let unix_ms = self.clock.unix_ms();
        let until = match order.until_unix_ms {
            Some(until) => Some(now.plus_ms(until.checked_sub(unix_ms).filter(|left| *left > 0)?)),
            None => None,
        };
        let since = Moment(now.0.saturating_sub(unix_ms.saturating_sub(order.since_unix_ms)));
        Some(Drain { reason: order.reason.clone(), since, until, evict_per_minute: order.evict_per_minute })
    }
}

// === impl Awaited ===

impl Awaited {
    /// Who is waited for as of `now`; in the end nobody.
    fn at(&self, now: Moment) -> MutexGuard<'_, Waiting> {
        let mut waiting = self.lock();
        if now >= waiting.until {
            waiting.nodes.clear();
        }
        waiting
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
