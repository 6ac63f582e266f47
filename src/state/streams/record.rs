//! Record: what one node has, by the media servers on it.
//!
//! *Who a media server is*: its server id, which a restart keeps, and service and pid, which it changes. So another
//! service or pid of the same server is a restart, and its streams are gone. Another *server* may be a second process
//! beside the first, or the same one after its id was lost with its container; the first is told of again, the second never.

use std::collections::HashMap;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::name::StreamName;
use super::{Identity, Listing};
use crate::schedule::Moment;

/// A media server that has not been heard since another one came to its node is over after so long, ms.
const SILENT_MS: u64 = 30_000;
/// Lists in a row that lack a stream before it is over: one may have been made while it began.
const LACKED: u8 = 2;
/// How long it is remembered that a stream ended, ms: longer than a list may be under way.
const GONE_MS: u64 = 60_000;
/// Publishers of one stream on one media server that are told apart: one, and those that it refuses as busy.
const MOST_PUBLISHERS: usize = 4;
/// Media servers on one node that are told apart.
const MOST_SERVERS: usize = 8;

/// How a stream became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// By a hook, at once.
    Hook,
    /// By a list of the media server.
    List,
}

/// One node.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) servers: Vec<Server>,
    /// When streams ended that a list on its way may still name.
    gone: HashMap<Arc<StreamName>, Moment>,
    /// The node has left: what is still told of it is not taken.
    pub(super) dead: bool,
}

/// One media server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) identity: Identity,
    born: Moment,
    heard: Moment,
    pub(super) streams: HashMap<Arc<StreamName>, Held>,
}

/// One stream of it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) since: Moment,
    pub(super) source: Source,
    pub(super) publishers: ArrayVec<Box<str>, MOST_PUBLISHERS>,
    lacked: u8,
    /// The last list that named it.
    seen: Moment,
}

/// What is over by a change.
#[derive(Debug, Default)]
pub(super) struct Lost {
    pub(super) names: Vec<Arc<StreamName>>,
    /// Ids of media servers.
    pub(super) servers: Vec<Box<str>>,
}

// === impl Record ===

impl Record {
    /// Whether any media server here has a stream.
    pub(super) fn has(&self, name: &StreamName) -> bool {
        self.servers.iter().any(|server| server.streams.contains_key(name))
    }

    /// How many streams there are, those of several media servers counted each.
    pub(super) fn count(&self) -> usize {
        self.servers.iter().map(|server| server.streams.len()).sum()
    }

    /// Whether a media server of this id is here.
    pub(super) fn knows(&self, server: &str) -> bool {
        self.servers.iter().any(|known| *known.identity.server == *server)
    }

    /// Whether a page that was asked for at `asked` shows a process that has been followed by another one since.
    pub(super) fn has_newer(&self, identity: &Identity, asked: Moment) -> bool {
        let mut servers = self.servers.iter().filter(|known| known.identity.server == identity.server);
        servers.any(|known| known.identity.is_restarted(identity) && known.born >= asked)
    }

    /// A media server was heard. Its place in the record; `lost` gets what is over by that.
    pub(super) fn meet(&mut self, identity: &Identity, now: Moment, lost: &mut Lost) -> usize {
        let at = match self.servers.iter().position(|server| server.identity.server == identity.server) {
            Some(at) => at,
            None => {
                if self.servers.len() >= MOST_SERVERS {
                    self.drop_silent(lost);
                }
                let streams = HashMap::new();
                self.servers.push(Server { identity: identity.clone(), born: now, heard: now, streams });
                self.servers.len() - 1
            }
        };
        let server = &mut self.servers[at];
        server.heard = now;
        if server.identity.is_restarted(identity) {
            lost.names.extend(server.streams.drain().map(|(name, _)| name));
            server.identity = identity.clone();
            server.born = now;
        }
        server.identity.complete(identity);
        self.supplant(at, now, lost)
    }

    /// Drops the media servers that fell silent when this one came. Its place afterwards.
    fn supplant(&mut self, at: usize, now: Moment, lost: &mut Lost) -> usize {
        let born = self.servers[at].born;
        if self.servers.len() == 1 || now.since_ms(born) < SILENT_MS {
            return at;
        }
        let before = self.servers[..at].iter().filter(|server| server.heard < born).count();
        for server in self.servers.extract_if(.., |server| server.heard < born) {
            lost.add(server);
        }
        at - before
    }

    fn drop_silent(&mut self, lost: &mut Lost) {
        let silent = (0..self.servers.len()).min_by_key(|at| self.servers[*at].heard);
        if let Some(at) = silent {
            lost.add(self.servers.swap_remove(at));
        }
    }

    /// A publisher has begun.
    pub(super) fn begin(&mut self, at: usize, name: &Arc<StreamName>, publisher: &str, now: Moment) {
        self.gone.remove(name);
        let held = self.servers[at].streams.entry(Arc::clone(name));
        let held = held.or_insert_with(|| Held::new(Source::Hook, now));
        (held.source, held.lacked) = (Source::Hook, 0);
        if !held.publishers.iter().any(|known| **known == *publisher) {
            if held.publishers.is_full() {
                held.publishers.remove(0);
            }
            held.publishers.push(publisher.into());
        }
    }

    /// A publisher has ended. Whether its stream has: another one may have it, who was refused as busy meanwhile.
    pub(super) fn end(&mut self, at: usize, name: &Arc<StreamName>, publisher: &str, now: Moment) -> bool {
        let server = &mut self.servers[at];
        let Some(held) = server.streams.get_mut(name) else { return false };
        let known = held.publishers.len();
        held.publishers.retain(|other| **other != *publisher);
        // Who was never heard of ends nothing that somebody else has begun.
        if !held.publishers.is_empty() || (known > 0 && held.publishers.len() == known) {
            return false;
        }
        server.streams.remove(name);
        self.gone.insert(Arc::clone(name), now);
        true
    }

    /// Takes in a list that the media server at this place made: what it names is there, what it lacks twice is not.
    /// What was not known before, at most `room` streams.
    pub(super) fn reconcile(
        &mut self,
        at: usize,
        listing: &Listing,
        now: Moment,
        room: usize,
        lost: &mut Lost,
    ) -> Vec<Arc<StreamName>> {
        let mut added = Vec::new();
        let (sent, born) = (listing.sent, self.servers[at].born);
        for name in &listing.names {
            let server = &mut self.servers[at];
            if let Some(held) = server.streams.get_mut(name) {
                (held.seen, held.lacked) = (now, 0);
            } else if added.len() < room && self.gone.get(name).is_none_or(|gone| *gone < sent) {
                let name = Arc::new(name.clone());
                let held = Held { seen: now, ..Held::new(Source::List, now) };
                server.streams.insert(Arc::clone(&name), held);
                added.push(name);
            }
        }
        if !listing.complete {
            return added;
        }
        for (index, server) in self.servers.iter_mut().enumerate() {
            if index != at && server.heard >= born {
                continue;
            }
            server.streams.retain(|name, held| {
                if held.seen == now || held.since >= sent {
                    return true;
                }
                held.lacked += 1;
                if held.lacked >= LACKED {
                    lost.names.push(Arc::clone(name));
                }
                held.lacked < LACKED
            });
        }
        added
    }

    /// Forgets what no list on its way can name any more, and gives memory back.
    pub(super) fn tidy(&mut self, now: Moment) {
        self.gone.retain(|_, gone| now.since_ms(*gone) < GONE_MS);
        shrink(&mut self.gone);
        for server in &mut self.servers {
            shrink(&mut server.streams);
        }
    }
}

/// Gives memory back where a map has once been far larger.
fn shrink<V>(map: &mut HashMap<Arc<StreamName>, V>) {
    if map.capacity() > 64 && map.len() < map.capacity() / 4 {
        map.shrink_to(2 * map.len());
    }
}

// === impl Lost ===

impl Lost {
    fn add(&mut self, server: Server) {
        self.names.extend(server.streams.into_keys());
        self.servers.push(server.identity.server);
    }
}

// === impl Held ===

impl Held {
    fn new(source: Source, now: Moment) -> Self {
        Self { since: now, source, publishers: ArrayVec::new(), lacked: 0, seen: Moment(0) }
    }
}
