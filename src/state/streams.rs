//! Streams: which origin has which.
//!
//! Hooks tell at once, lists of the media servers put right what hooks missed. An entry ends with its unpublish, with
//! the media server that made it ([`record`]), with its node's leaving the fleet, or when two lists in a row lack it.
//!
//! Each node's record is the truth and stands behind a mutex of its own; the index by name is what questions read. A
//! change holds the record first and the index after it, never the other way round.

pub mod name;
pub mod record;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrayvec::ArrayVec;
use dashmap::{DashMap, Entry};

pub use self::name::{NameError, StreamName};
use self::name::{Parts, stem, vhost_of};
pub use self::record::Source;
use self::record::{Lost, Record};
use crate::schedule::Moment;

/// Streams known at most, some 60 MB. Further ones are published all the same, and known to nobody here.
const MOST_STREAMS: usize = 200_000;
/// Origins of one stream that are known at most.
pub const MOST_ORIGINS: usize = 8;
/// Longest part of an identity, bytes; a longer one counts as not told.
const LONGEST_PART: usize = 64;

/// Node ids, newest first.
pub type Origins = ArrayVec<Arc<str>, MOST_ORIGINS>;

/// The table.
#[derive(Debug)]
pub struct Streams {
    /// The nodes that have a stream, newest first; never empty.
    index: DashMap<Arc<StreamName>, Vec<Arc<str>>>,
    nodes: DashMap<Arc<str>, Arc<Mutex<Record>>>,
    /// Which nodes have told of a server id. Copied machines share theirs.
    servers: DashMap<Box<str>, Vec<Arc<str>>>,
    /// Streams in all records.
    count: AtomicUsize,
    most: usize,
}

/// Which process a media server is. Parts that were not told are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Survives a restart.
    pub server: Box<str>,
    /// Another one after each start.
    pub service: Box<str>,
    /// Process id.
    pub pid: Box<str>,
}

/// A publisher, as a hook tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// The node it is on.
    pub node: &'a str,
    /// Its media server.
    pub identity: &'a Identity,
    /// What it publishes.
    pub name: &'a StreamName,
    /// What the media server calls it.
    pub client: &'a str,
}

/// What became of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The node has the stream now.
    Here,
    /// Another node has it, and only one is to.
    Elsewhere(Arc<str>),
    /// The table is full: it goes on unknown.
    Full,
}

/// A media server's list of its published streams.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The streams.
    pub names: Vec<StreamName>,
    /// It names all of them.
    pub complete: bool,
    /// When it was asked for.
    pub sent: Moment,
}

/// Which streams are wanted. Absent parts want any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    /// This vhost, "" for the default one.
    pub vhost: Option<&'a str>,
    /// On this node.
    pub node: Option<&'a str>,
    /// With this in "app/stream".
    pub name: Option<&'a str>,
}

/// A stream and where it is.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What it is called.
    pub name: Arc<StreamName>,
    /// Where it is, newest first.
    pub origins: Vec<Origin>,
}

/// One media server that has it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its node.
    pub node: Arc<str>,
    /// Which process it is.
    pub identity: Identity,
    /// Since when it is known.
    pub since: Moment,
    /// How it became known.
    pub source: Source,
}

// === impl Identity ===

impl Identity {
    /// An identity of these parts.
    #[must_use]
    pub fn new(server: &str, service: &str, pid: &str) -> Self {
        let part = |part: &str| if part.len() > LONGEST_PART { Box::default() } else { part.into() };
        Self { server: part(server), service: part(service), pid: part(pid) }
    }

    /// That of an exporter's page, "server/service/pid" with `-` for what it does not tell; `None`: it is no SRS.
    #[must_use]
    pub fn of_page(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/').map(|part| if part == "-" { "" } else { part });
        let (server, service, pid) = (parts.next()?, parts.next()?, parts.next()?);
        (!server.is_empty()).then(|| Self::new(server, service, pid))
    }

    /// Whether this server is another process by now. What one of both does not tell is no difference.
    fn is_restarted(&self, now: &Self) -> bool {
        let differs = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
        differs(&self.service, &now.service) || differs(&self.pid, &now.pid)
    }

    /// Takes over what was not told before.
    fn complete(&mut self, now: &Self) {
        for (mine, other) in [(&mut self.service, &now.service), (&mut self.pid, &now.pid)] {
            if mine.is_empty() {
                mine.clone_from(other);
            }
        }
    }
}

// === impl Streams ===

impl Default for Streams {
    fn default() -> Self {
        Self::bounded(MOST_STREAMS)
    }
}

impl Streams {
    fn bounded(most: usize) -> Self {
        Self {
            index: DashMap::new(),
            nodes: DashMap::new(),
            servers: DashMap::new(),
            count: AtomicUsize::new(0),
            most,
        }
    }

    /// The origins that have a stream, whether they are up or not: the exact name first, then without its last
    /// extension; the vhost asked for first, then the default one.
    #[must_use]
    pub fn origins(&self, vhost: &str, name: &str) -> Origins {
        let vhost = vhost_of(vhost);
        let names = [Some(name), stem(name)];
        for vhost in [Some(&*vhost), Some("").filter(|_| !vhost.is_empty())].into_iter().flatten() {
            for name in names.into_iter().flatten() {
                if let Some(known) = self.index.get(&(vhost, name) as &dyn Parts) {
                    return known.iter().take(MOST_ORIGINS).cloned().collect();
                }
            }
        }
        Origins::new()
    }

    /// A publisher begins. Unless `anywhere`, not where another node that `counts` has its stream.
    pub fn publish(
        &self,
        publication: Publication<'_>,
        anywhere: bool,
        counts: impl Fn(&str) -> bool,
        now: Moment,
    ) -> Published {
        let Publication { node, identity, name, client } = publication;
        self.with(node, |node, record, lost| {
            let at = self.meet(node, record, identity, now, lost);
            let is_known = record.has(name);
            let key = match self.index.entry(Arc::new(name.clone())) {
                Entry::Vacant(_) if self.is_full() => return Published::Full,
                Entry::Vacant(vacant) => {
                    let known = vacant.insert(vec![Arc::clone(node)]);
                    Arc::clone(known.key())
                }
                Entry::Occupied(mut known) => {
                    let elsewhere = |other: &&Arc<str>| *other != node && !anywhere && counts(other);
                    if let Some(other) = known.get().iter().find(elsewhere) {
                        return Published::Elsewhere(Arc::clone(other));
                    }
                    if !is_known && (self.is_full() || known.get().len() >= MOST_ORIGINS) {
                        return Published::Full;
                    }
                    // The newest first: a publisher who came back is where he came back to.
                    known.get_mut().retain(|other| other != node);
                    known.get_mut().insert(0, Arc::clone(node));
                    Arc::clone(known.key())
                }
            };
            let before = record.count();
            record.begin(at, &key, client, now);
            self.count.fetch_add(record.count() - before, Relaxed);
            Published::Here
        })
    }

    /// A publisher has ended. Whether its stream has.
    pub fn unpublish(&self, publication: Publication<'_>, now: Moment) -> bool {
        let Publication { node, identity, name, client } = publication;
        self.with(node, |node, record, lost| {
            let at = self.meet(node, record, identity, now, lost);
            let name = Arc::new(name.clone());
            let ended = record.end(at, &name, client, now);
            if ended {
                self.count.fetch_sub(1, Relaxed);
                self.settle(node, record, &name);
            }
            ended
        })
    }

    /// A media server has told of all that it has.
    pub fn reconcile(&self, node: &str, identity: &Identity, listing: &Listing, now: Moment) {
        self.with(node, |node, record, lost| {
            if record.has_newer(identity, listing.sent) {
                return;
            }
            let at = self.meet(node, record, identity, now, lost);
            let room = self.most.saturating_sub(self.count.load(Relaxed));
            let added = record.reconcile(at, listing, now, room, lost);
            self.count.fetch_add(added.len(), Relaxed);
            for name in added {
                let mut known = self.index.entry(name).or_default();
                if !known.contains(node) {
                    // Behind those that hooks told of: when it began is not known.
                    known.push(Arc::clone(node));
                }
            }
        });
    }

    /// A media server of a node showed this identity when it was asked at `asked`: if it is another process than before,
    /// what that one had is over.
    pub fn restarted(&self, node: &str, identity: &Identity, asked: Moment, now: Moment) {
        self.with(node, |node, record, lost| {
            if !record.has_newer(identity, asked) {
                self.meet(node, record, identity, now, lost);
            }
        });
    }

    /// The one node whose media server has this id.
    #[must_use]
    pub fn node_of(&self, identity: &Identity) -> Option<Arc<str>> {
        match &**self.servers.get(&identity.server)? {
            [node] => Some(Arc::clone(node)),
            _ => None,
        }
    }

    /// Streams that are wanted, by vhost and name: `count` of them after the first `start`, and how many there are.
    #[must_use]
    pub fn list(&self, filter: Filter<'_>, start: usize, count: usize) -> (Vec<Listed>, usize) {
        let vhost = filter.vhost.map(vhost_of);
        let wanted = |name: &StreamName, known: &[Arc<str>]| {
            vhost.as_deref().is_none_or(|vhost| name.vhost() == vhost)
                && filter.name.is_none_or(|part| name.name().contains(part))
                && filter.node.is_none_or(|node| known.iter().any(|other| **other == *node))
        };
        let mut found: Vec<(Arc<StreamName>, Vec<Arc<str>>)> = Vec::new();
        for entry in self.index.iter().filter(|entry| wanted(entry.key(), entry.value())) {
            found.push((Arc::clone(entry.key()), entry.value().clone()));
        }
        found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let total = found.len();
        let page = found.into_iter().skip(start).take(count);
        let listed = page.map(|(name, known)| Listed { origins: self.holders(&name, &known), name });
        (listed.collect(), total)
    }

    /// How many streams there are, those on several media servers counted each.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets nodes that are not of the fleet, and what counts no more.
    pub(super) fn tidy(&self, exists: impl Fn(&str) -> bool, now: Moment) {
        let nodes: Vec<Arc<str>> = self.nodes.iter().map(|entry| Arc::clone(entry.key())).collect();
        for node in nodes {
            if exists(&node) {
                self.with(&node, |_, record, _| record.tidy(now));
            } else {
                self.forget(&node);
            }
        }
        if self.index.capacity() > 1_024 && self.index.len() < self.index.capacity() / 4 {
            self.index.shrink_to_fit();
        }
    }

    /// A node has left.
    fn forget(&self, node: &str) {
        let Some((node, record)) = self.nodes.remove(node) else { return };
        let mut record = lock(&record);
        record.dead = true;
        for server in std::mem::take(&mut record.servers) {
            self.count.fetch_sub(server.streams.len(), Relaxed);
            server.streams.keys().for_each(|name| self.settle(&node, &record, name));
            self.unlearn(&node, &server.identity.server);
        }
    }

    fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    /// Runs `change` on a node's record, and takes what was lost by it out of the other maps.
    fn with<T>(&self, node: &str, change: impl FnOnce(&Arc<str>, &mut Record, &mut Lost) -> T) -> T {
        loop {
            let (key, record) = self.record(node);
            let mut record = lock(&record);
            // It left between the look and the lock; who comes back begins anew.
            if record.dead {
                continue;
            }
            let mut lost = Lost::default();
            let told = change(&key, &mut record, &mut lost);
            self.count.fetch_sub(lost.names.len(), Relaxed);
            lost.names.iter().for_each(|name| self.settle(&key, &record, name));
            lost.servers.iter().for_each(|server| self.unlearn(&key, server));
            return told;
        }
    }

    fn record(&self, node: &str) -> (Arc<str>, Arc<Mutex<Record>>) {
        if let Some(known) = self.nodes.get(node) {
            return (Arc::clone(known.key()), Arc::clone(known.value()));
        }
        let key: Arc<str> = node.into();
        let record = Arc::clone(&self.nodes.entry(Arc::clone(&key)).or_default());
        (key, record)
    }

    /// A media server of a node was heard; its place in the record.
    fn meet(
        &self,
        node: &Arc<str>,
        record: &mut Record,
        identity: &Identity,
        now: Moment,
        lost: &mut Lost,
    ) -> usize {
        if !identity.server.is_empty() && !record.knows(&identity.server) {
            let mut known = self.servers.entry(identity.server.clone()).or_default();
            if !known.contains(node) {
                known.push(Arc::clone(node));
            }
        }
        record.meet(identity, now, lost)
    }

    fn unlearn(&self, node: &str, server: &str) {
        if let Some(mut known) = self.servers.get_mut(server) {
            known.retain(|other| **other != *node);
        }
        self.servers.remove_if(server, |_, known| known.is_empty());
    }

    /// Takes a node out of a stream's line in the index, if no media server there has it any more.
    fn settle(&self, node: &str, record: &Record, name: &Arc<StreamName>) {
        if record.has(name) {
            return;
        }
        if let Some(mut known) = self.index.get_mut(name) {
            known.retain(|other| **other != *node);
        }
        self.index.remove_if(name, |_, known| known.is_empty());
    }

    fn holders(&self, name: &Arc<StreamName>, known: &[Arc<str>]) -> Vec<Origin> {
        let mut origins = Vec::with_capacity(known.len());
        for node in known {
            let record = self.nodes.get(node).map(|record| Arc::clone(record.value()));
            let Some(record) = record else { continue };
            let record = lock(&record);
            let held = record.servers.iter().filter_map(|server| Some((server, server.streams.get(name)?)));
            origins.extend(held.map(|(server, held)| Origin {
                node: Arc::clone(node),
                identity: server.identity.clone(),
                since: held.since,
                source: held.source,
            }));
        }
        origins
    }
}

/// A panic while a record was changed leaves what the next list puts right.
fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
