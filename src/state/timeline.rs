//! Timeline: what happened lately, for people.
//!
//! A bounded list of events, newest last. What lasts (an overload, a drain, an answer that is degraded) is *one*
//! event that is changed while it lasts and says at its end for how long it did, so that a page shows one line and
//! not two. Every change gives the event a new `version`: who has seen version n asks for what is newer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// Events remembered.
const MOST: usize = 2_000;

/// What sort of thing happened: pages filter by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A node passed its limits.
    Overload,
    /// A node could not be seen.
    Scrape,
    /// A person did something.
    Operator,
    /// What players were told.
    Answers,
    /// Something does not add up.
    Finding,
}

/// What happened, with what a sentence about it needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A node is over a limit.
    Overloaded {
        /// Its tightest resource at the peak.
        resource: &'static str,
        /// Highest pressure so far.
        peak: f64,
    },
    /// Its samples are too old.
    Stale {
        /// Which exporter fails; empty: none says why.
        target: Box<str>,
        /// How, as a label.
        error: &'static str,
    },
    /// Nobody answers there.
    Down {
        /// Which exporter fails.
        target: Box<str>,
        /// How, as a label.
        error: &'static str,
    },
    /// So many nodes came into one state within a second.
    Many {
        /// Which.
        state: &'static str,
        /// How many.
        nodes: usize,
    },
    /// An operator took it out.
    Drained {
        /// Why.
        reason: Option<Box<str>>,
        /// Until then, Unix ms; `None`: until somebody says so.
        until_unix_ms: Option<u64>,
    },
    /// An operator put it back.
    Undrained,
    /// A drain ended by itself.
    DrainExpired,
    /// It delivers less than its configured capacity.
    Capped {
        /// What it is taken to be able to send, Mbit/s.
        mbps: f64,
        /// What it was taken for, Mbit/s.
        capacity_mbps: f64,
    },
    /// Players were sent to nodes over their limit.
    Degraded {
        /// Who asked for what.
        domain: Box<str>,
        /// Answers of that kind so far.
        answers: u64,
    },
    /// Another configuration was taken over.
    Reloaded {
        /// Nodes that are new.
        added: usize,
        /// Nodes that are gone.
        removed: usize,
        /// Nodes there are now.
        nodes: usize,
    },
    /// Nodes came by their heartbeats, or were forgotten.
    Registered {
        /// Nodes that are new.
        added: usize,
        /// Nodes that are gone.
        removed: usize,
        /// Nodes there are now.
        nodes: usize,
    },
    /// A configuration was refused.
    ReloadRefused {
        /// In one line.
        summary: Box<str>,
    },
    /// It is not in the configuration any more.
    Removed,
    /// Most nodes cannot be seen: the fault is here.
    StaleFleet {
        /// Nodes that cannot be seen.
        stale: usize,
        /// Nodes there are.
        nodes: usize,
    },
    /// More viewers arrive by answer than the configured replicas explain.
    Kappa {
        /// So many.
        kappa: f64,
    },
    /// The service began.
    Started {
        /// Nodes there are.
        nodes: usize,
    },
}

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Stays the same while it lasts.
    pub id: u64,
    /// Grows with every change of any event.
    #[serde(skip)]
    pub version: u64,
    /// When it began, Unix ms.
    pub at_unix_ms: u64,
    /// Of what sort.
    pub kind: Kind,
    /// Which node.
    pub node: Option<Box<str>>,
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// It lasted so long, s; `None`: it lasts, or is of the sort that does not.
    pub for_s: Option<u64>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Timeline(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Event>,
    /// What lasts, by what and of whom.
    open: HashMap<(&'static str, Box<str>), Open>,
    next_id: u64,
    version: u64,
}

#[derive(Debug)]
struct Open {
    id: u64,
    began_ms: u64,
    touched_ms: u64,
}

// === impl What ===

impl What {
    /// Its code, as it is serialised.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Overloaded { .. } => "overloaded",
            Self::Stale { .. } => "stale",
            Self::Down { .. } => "down",
            Self::Many { .. } => "many",
            Self::Drained { .. } => "drained",
            Self::Undrained => "undrained",
            Self::DrainExpired => "drain_expired",
            Self::Capped { .. } => "capped",
            Self::Degraded { .. } => "degraded",
            Self::Reloaded { .. } => "reloaded",
            Self::Registered { .. } => "registered",
            Self::ReloadRefused { .. } => "reload_refused",
            Self::Removed => "removed",
            Self::StaleFleet { .. } => "stale_fleet",
            Self::Kappa { .. } => "kappa",
            Self::Started { .. } => "started",
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Overloaded { .. } => Kind::Overload,
            Self::Many { state: "overloaded", .. } => Kind::Overload,
            Self::Stale { .. } | Self::Down { .. } | Self::Many { .. } | Self::StaleFleet { .. } => {
                Kind::Scrape
            }
            Self::Degraded { .. } => Kind::Answers,
            Self::Capped { .. } | Self::Kappa { .. } => Kind::Finding,
            Self::Drained { .. }
            | Self::Undrained
            | Self::DrainExpired
            | Self::Reloaded { .. }
            | Self::Registered { .. }
            | Self::ReloadRefused { .. }
            | Self::Removed
            | Self::Started { .. } => Kind::Operator,
        }
    }
}

// === impl Kind ===

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Overload, Self::Scrape, Self::Operator, Self::Answers, Self::Finding];

    /// The word used in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Scrape => "scrape",
            Self::Operator => "operator",
            Self::Answers => "answers",
            Self::Finding => "finding",
        }
    }
}

// === impl Timeline ===

impl Timeline {
    /// Notes what is over when it is said.
    pub fn note(&self, node: Option<&str>, what: What, unix_ms: u64) {
        self.lock().push(node, what, unix_ms);
    }

    /// Notes what lasts from now on. If it is under way already, `changed` may bring it up to date, and says
    /// whether it did. `of`: whom it befalls.
    pub fn open(
        &self,
        of: &str,
        node: Option<&str>,
        what: What,
        unix_ms: u64,
        changed: impl FnOnce(&mut What) -> bool,
    ) {
        let mut inner = self.lock();
        let key = (what.code(), of.into());
        if let Some(open) = inner.open.get_mut(&key) {
            open.touched_ms = unix_ms;
            let id = open.id;
            inner.change(id, |event| changed(&mut event.what));
            return;
        }
        let id = inner.push(node, what, unix_ms);
        inner.open.insert(key, Open { id, began_ms: unix_ms, touched_ms: unix_ms });
    }

    /// What lasted is over. `false`: it was not under way.
    pub fn close(&self, code: &'static str, of: &str, unix_ms: u64) -> bool {
        let mut inner = self.lock();
        let Some(open) = inner.open.remove(&(code, of.into())) else { return false };
        let for_s = unix_ms.saturating_sub(open.began_ms) / 1_000;
        inner.change(open.id, |event| {
            event.for_s = Some(for_s);
            true
        });
        true
    }

    /// Closes what has this code and was not touched for so long. It ended when it was last touched.
    pub fn close_untouched(&self, code: &'static str, for_ms: u64, unix_ms: u64) {
        let mut inner = self.lock();
        let over = |open: &Open| open.touched_ms + for_ms <= unix_ms;
        let keys: Vec<_> = inner.open.iter().filter(|(key, open)| key.0 == code && over(open)).collect();
        let keys: Vec<_> = keys.into_iter().map(|(key, _)| key.clone()).collect();
        for open in keys.iter().filter_map(|key| inner.open.remove(key)).collect::<Vec<_>>() {
            let for_s = (open.touched_ms.saturating_sub(open.began_ms) / 1_000).max(1);
            inner.change(open.id, |event| {
                event.for_s = Some(for_s);
                true
            });
        }
    }

    /// The events that `wanted` wants, newest first, at most so many.
    #[must_use]
    pub fn latest(&self, most: usize, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        self.lock().events.iter().rev().filter(|event| wanted(event)).take(most).cloned().collect()
    }

    /// What was added or changed after a version, oldest first, and the version now.
    #[must_use]
    pub fn changed_since(&self, version: u64) -> (Vec<Event>, u64) {
        let inner = self.lock();
        if inner.version == version {
            return (Vec::new(), version);
        }
        let changed = inner.events.iter().filter(|event| event.version > version).cloned();
        (changed.collect(), inner.version)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inner ===

impl Inner {
    fn push(&mut self, node: Option<&str>, what: What, unix_ms: u64) -> u64 {
        self.version += 1;
        self.next_id += 1;
        if self.events.len() == MOST {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            id: self.next_id,
            version: self.version,
            at_unix_ms: unix_ms,
            kind: what.kind(),
            node: node.map(Into::into),
            what,
            for_s: None,
        });
        self.next_id
    }

    /// Changes an event, unless it is forgotten already.
    fn change(&mut self, id: u64, change: impl FnOnce(&mut Event) -> bool) {
        let first = self.events.front().map_or(0, |event| event.id);
        let place = id.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        let Some(event) = place.and_then(|at| self.events.get_mut(at)) else { return };
        if change(event) {
            self.version += 1;
            event.version = self.version;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overload(peak: f64) -> What {
        What::Overloaded { resource: "bandwidth", peak }
    }

    fn higher(peak: f64) -> impl FnOnce(&mut What) -> bool {
        move |what| match what {
            What::Overloaded { peak: before, .. } if peak > *before => {
                *before = peak;
                true
            }
            _ => false,
        }
    }

    #[test]
    fn what_lasts_is_one_line_that_ends_with_its_length_and_peak() {
        let timeline = Timeline::default();
        timeline.open("sh-1", Some("sh-1"), overload(1.0), 10_000, higher(1.0));
        let (seen, version) = timeline.changed_since(0);
        assert_eq!((seen.len(), seen[0].for_s), (1, None));
        timeline.open("sh-1", Some("sh-1"), overload(0.9), 20_000, higher(0.9));
        assert!(timeline.changed_since(version).0.is_empty(), "no news in a lower pressure");
        timeline.open("sh-1", Some("sh-1"), overload(1.2), 30_000, higher(1.2));
        assert!(timeline.close("overloaded", "sh-1", 90_000));
        assert!(!timeline.close("overloaded", "sh-1", 91_000));
        let (changed, _) = timeline.changed_since(version);
        assert_eq!((changed.len(), changed[0].id, changed[0].for_s), (1, seen[0].id, Some(80)));
        assert_eq!(changed[0].what, overload(1.2));
    }

    #[test]
    fn the_oldest_are_forgotten_and_a_change_to_them_is_none() {
        let timeline = Timeline::default();
        timeline.open("a", Some("a"), overload(1.0), 1, |_| false);
        (0..MOST).for_each(|_| timeline.note(None, What::Undrained, 2));
        assert!(timeline.close("overloaded", "a", 3));
        let all = timeline.latest(usize::MAX, |_| true);
        assert_eq!(all.len(), MOST);
        assert!(all.iter().all(|event| event.what == What::Undrained));
    }

    #[test]
    fn what_nobody_touches_any_more_ends_when_it_was_last_touched() {
        let timeline = Timeline::default();
        let degraded = || What::Degraded { domain: "a.example".into(), answers: 1 };
        timeline.open("a.example", None, degraded(), 1_000, |_| true);
        timeline.open("a.example", None, degraded(), 6_000, |_| true);
        timeline.close_untouched("degraded", 60_000, 65_000);
        assert_eq!(timeline.latest(1, |_| true)[0].for_s, None);
        timeline.close_untouched("degraded", 60_000, 66_000);
        assert_eq!(timeline.latest(1, |_| true)[0].for_s, Some(5));
    }
}
