//! Registry: media servers that send heartbeats, and the nodes that they are.
//!
//! *What it decides*: which node a heartbeat is from. One of the configuration takes it as a sign of life; where its
//! caller may register nodes, an unknown server becomes one. A node is one address ([`crate::schedule::fleet`]), so
//! processes that share an address are one node with several servers.
//!
//! *Why so*: whoever sends is believed for the pool of its token only. Within that, a name belongs to the address that
//! has it until that has fallen silent: two servers with one `device_id` would otherwise take each other's viewers.
//!
//! *Limits*: so many nodes for each caller, so many servers for each node, and names that a URL can carry. A heartbeat
//! costs a few look-ups and one judgement of its node; the fleet is put together later (`discovery`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::streams::Identity;
use super::{Live, State};
use crate::config::Template;
use crate::schedule::Moment;
use crate::schedule::node::{MediaPorts, Node, NodeIndex};
use crate::schedule::reading::Reading;
use crate::schedule::watch::pulse::MOST_SOURCES;

/// A server that has said nothing for so long no longer decides on its node's ports, ms.
const LEAD_MS: u64 = 60_000;

/// Of a server's id so much is kept, characters.
const LONGEST_SOURCE: usize = 64;

/// What a media server says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heartbeat {
    /// What its operator calls it; may be empty.
    pub device: Box<str>,
    /// The address that it sees of itself: mostly a private one.
    pub ip: Option<IpAddr>,
    /// Which process it is; empty: too old to say so.
    pub identity: Identity,
    /// Where it listens.
    pub ports: MediaPorts,
    /// How loaded it is; `None`: it does not tell.
    pub told: Option<Reading>,
}

/// Who sends it, as far as the caller's token and address say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// A node of the fleet.
    pub node: Option<Box<str>>,
    /// A name that the path gives; there may be no such node yet.
    pub named: Option<Box<str>>,
    /// The pool that it may speak for; `None`: it has no token.
    pub pool: Option<Box<str>>,
    /// Where it calls from.
    pub ip: IpAddr,
}

/// Why a heartbeat counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is from no node there is, and nobody may register.
    #[error("there is no such node, and nodes of {0} do not register: [callers.register]")]
    NoRegistration(Box<str>),
    /// It says no name that a node can have.
    #[error("{0:?} is no name for a node: device_id or server has to be 1 to 64 of A-Z a-z 0-9 . _ -")]
    NoName(Box<str>),
    /// Nobody could connect to it.
    #[error("nobody can connect to {0}")]
    Address(IpAddr),
    /// Another node has the name.
    #[error("node {id} is another one, at {owner}; each server needs a device_id of its own")]
    Taken {
        /// The name.
        id: Box<str>,
        /// Whose it is.
        owner: Box<str>,
    },
    /// A node that this is not has the address.
    #[error("address {ip} belongs to node {owner} already")]
    AddressTaken {
        /// The address.
        ip: IpAddr,
        /// Whose it is.
        owner: Box<str>,
    },
    /// As many nodes as may have registered.
    #[error("{0} nodes have registered already, which is callers.register.most")]
    Full(usize),
}

/// Nodes that came by themselves.
#[derive(Debug, Default)]
pub struct Registry {
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    templates: Vec<Template>,
    nodes: BTreeMap<Box<str>, Registered>,
    by_address: HashMap<IpAddr, Box<str>>,
    /// How often any of this has changed in a way that the fleet has to follow.
    version: u64,
}

#[derive(Debug)]
struct Registered {
    pool: Box<str>,
    address: IpAddr,
    ports: MediaPorts,
    /// The server whose ports count, and when it last said so.
    lead: (Box<str>, Moment),
    heard: Moment,
    /// The last heartbeat of each server, until the node is in the fleet.
    waiting: Vec<(Box<str>, Option<Reading>, Moment)>,
}

// === impl State ===

impl State {
    /// Takes in a heartbeat. Returns whether it is a new node's.
    ///
    /// # Errors
    /// It is nobody's who may be believed for a node.
    pub fn heartbeat(&self, from: &Sender, beat: Heartbeat) -> Result<bool, Refused> {
        self.heartbeat_at(from, beat, self.clock.now())
    }

    /// The same as of `now`.
    pub(super) fn heartbeat_at(&self, from: &Sender, beat: Heartbeat, now: Moment) -> Result<bool, Refused> {
        let live = self.live();
        let source: Box<str> = beat.source(from.ip).into();
        let mut table = self.registry.lock();
        let version = table.version;
        let known = table.node_of(&live, from, &beat, now)?;
        let is_new = match known {
            None => table.enrol(&live, from, &source, &beat, now)?,
            Some(index) => {
                table.renew(&live.fleet.node(index).id, &source, &beat, now);
                false
            }
        };
        if table.version != version {
            self.registry.changed.notify_one();
        }
        drop(table);
        if let Some(index) = known {
            if !beat.identity.server.is_empty() {
                self.streams.restarted(&live.fleet.node(index).id, &beat.identity, now, now);
            }
            live.beat(index, &source, beat.told, now, now);
        }
        Ok(is_new)
    }

    /// Nodes that came by themselves.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Tells nodes that are new in the fleet what their servers have said meanwhile.
    pub fn tell_waiting(&self) {
        let live = self.live();
        let mut table = self.registry.lock();
        let waiting: Vec<_> = table
            .nodes
            .iter_mut()
            .filter_map(|(id, node)| Some((live.fleet.by_id(id)?, std::mem::take(&mut node.waiting))))
            .collect();
        drop(table);
        let now = self.clock.now();
        for (index, waiting) in waiting {
            for (source, told, at) in waiting {
                live.beat(index, &source, told, at, now);
            }
        }
    }
}

// === impl Registry ===

impl Registry {
    /// From now on nodes may register by these. Those that no longer may are forgotten.
    pub fn enrol_by(&self, templates: Vec<Template>) {
        let mut table = self.lock();
        if table.templates == templates {
            return;
        }
        table.templates = templates;
        let Table { templates, nodes, .. } = &mut *table;
        nodes.retain(|_, node| templates.iter().any(|template| *template.pool() == *node.pool));
        table.tidy();
    }

    /// The nodes that have registered, made by `templates`, and their version. Those whose id or address is one of
    /// `configured` are left out, and those that no template is for.
    #[must_use]
    pub fn nodes(&self, configured: &[Node], templates: &[Template]) -> (Vec<Node>, u64) {
        let ids: HashSet<&str> = configured.iter().map(|node| &*node.id).collect();
        let addresses: HashSet<IpAddr> = configured.iter().flat_map(Node::addresses).collect();
        let table = self.lock();
        let own = |id: &str, node: &Registered| !ids.contains(id) && !addresses.contains(&node.address);
        let node = |id: &str, node: &Registered| {
            let template = templates.iter().find(|template| template.pool() == &*node.pool)?;
            Some(template.node(id, node.address, node.ports))
        };
        let nodes = table.nodes.iter().filter(|(id, of)| own(id, of)).filter_map(|(id, of)| node(id, of));
        (nodes.collect(), table.version)
    }

    /// Waits until the fleet has to follow. What came before the call is not missed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Says so without a heartbeat.
    pub fn poke(&self) {
        self.changed.notify_one();
    }

    /// How often something has changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// Forgets nodes that have been silent for too long.
    pub fn forget_silent(&self, now: Moment) {
        let mut table = self.lock();
        let before = table.nodes.len();
        let Table { templates, nodes, .. } = &mut *table;
        nodes.retain(|id, node| {
            let template = templates.iter().find(|template| *template.pool() == *node.pool);
            let stays = template.is_some_and(|template| now.since_ms(node.heard) <= template.forget_ms);
            if !stays {
                tracing::info!(node = %id, "registered node forgotten: it sends no heartbeats");
            }
            stays
        });
        if table.nodes.len() != before {
            table.tidy();
            drop(table);
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Table ===

impl Table {
    fn template(&self, pool: &str) -> Option<&Template> {
        self.templates.iter().find(|template| template.pool() == pool)
    }

    /// The template of whoever sends: of its pool, or the only one there is for those who are believed without a token.
    fn template_for(&self, from: &Sender) -> Option<&Template> {
        match (&from.pool, self.templates.as_slice()) {
            (Some(pool), _) => self.template(pool),
            (None, [only]) => Some(only),
            _ => None,
        }
    }

    /// After nodes have gone.
    fn tidy(&mut self) {
        self.by_address = self.nodes.iter().map(|(id, node)| (node.address, id.clone())).collect();
        self.version += 1;
    }

    /// The node of the fleet that a heartbeat is from: by the name in the path, by its own names, by its address.
    fn node_of(
        &mut self,
        live: &Live,
        from: &Sender,
        beat: &Heartbeat,
        now: Moment,
    ) -> Result<Option<NodeIndex>, Refused> {
        let index = from.node.as_deref().and_then(|id| live.fleet.by_id(id));
        if from.named.is_some() || (from.pool.is_none() && index.is_some()) {
            return Ok(index);
        }
        let template = self.template_for(from);
        let address = beat.address(from, template);
        let of_pool =
            |index: &NodeIndex| from.pool.as_ref().is_none_or(|pool| live.fleet.node(*index).pool == *pool);
        for name in [&beat.device, &beat.identity.server] {
            let Some(index) = live.fleet.by_id(name).filter(of_pool) else { continue };
            let registered = self.nodes.get_mut(name);
            let Some(registered) = registered.filter(|node| node.address != address) else {
                return Ok(Some(index));
            };
            let report = live.report(index);
            if report.pulse.as_ref().is_some_and(|pulse| !pulse.is_missing) {
                return Err(Refused::Taken {
                    id: name.clone(),
                    owner: registered.address.to_string().into(),
                });
            }
            // It has moved, and says so from its new address.
            tracing::info!(node = %name, from = %registered.address, to = %address, "registered node has moved");
            (registered.address, registered.heard) = (address, now);
            self.tidy();
            return Ok(Some(index));
        }
        Ok(live.fleet.at_address(address).filter(of_pool))
    }

    /// Notes that a node lives. Nothing is noted of configured nodes.
    fn renew(&mut self, id: &str, source: &str, beat: &Heartbeat, now: Moment) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.heard = now;
        if *node.lead.0 != *source && now.since_ms(node.lead.1) <= LEAD_MS {
            return;
        }
        node.lead = (source.into(), now);
        if node.ports != beat.ports {
            node.ports = beat.ports;
            self.version += 1;
        }
    }

    /// Makes a node of an unknown server, or adds a server to one that is about to be. Returns whether it is new.
    fn enrol(
        &mut self,
        live: &Live,
        from: &Sender,
        source: &str,
        beat: &Heartbeat,
        now: Moment,
    ) -> Result<bool, Refused> {
        let Some(template) = self.template_for(from) else {
            return Err(Refused::NoRegistration(from.pool.clone().unwrap_or_else(|| "no pool".into())));
        };
        let (pool, most): (Box<str>, usize) = (template.pool().into(), template.most);
        let address = beat.address(from, Some(template));
        let broadcast = matches!(address, IpAddr::V4(ip) if ip.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || broadcast {
            return Err(Refused::Address(address));
        }
        if let Some(owner) = live.fleet.at_address(address).map(|index| live.fleet.node(index)) {
            return Err(Refused::AddressTaken { ip: address, owner: owner.id.clone() });
        }
        if let Some(owner) = self.by_address.get(&address).cloned() {
            let node = self.nodes.get_mut(&owner).filter(|node| node.pool == pool);
            let Some(node) = node else { return Err(Refused::AddressTaken { ip: address, owner }) };
            node.hear(source, beat.told.clone(), now);
            return Ok(false);
        }
        let id = beat.id(from)?;
        let owner = self.nodes.get(id).map(|node| node.address.to_string());
        let owner = owner.or_else(|| live.fleet.by_id(id).map(|_| "another pool".to_owned()));
        if let Some(owner) = owner {
            return Err(Refused::Taken { id: id.into(), owner: owner.into() });
        }
        if self.nodes.values().filter(|node| node.pool == pool).count() >= most {
            return Err(Refused::Full(most));
        }
        let id: Box<str> = id.into();
        tracing::info!(node = %id, %pool, %address, "node registers by its heartbeats");
        let lead = (source.into(), now);
        let mut node = Registered { pool, address, ports: beat.ports, lead, heard: now, waiting: Vec::new() };
        node.hear(source, beat.told.clone(), now);
        self.by_address.insert(address, id.clone());
        self.nodes.insert(id, node);
        self.version += 1;
        Ok(true)
    }
}

// === impl Registered ===

impl Registered {
    /// Keeps what a server says until the node is in the fleet.
    fn hear(&mut self, source: &str, told: Option<Reading>, now: Moment) {
        self.heard = now;
        self.waiting.retain(|(waiting, ..)| **waiting != *source);
        if self.waiting.len() < MOST_SOURCES {
            self.waiting.push((source.into(), told, now));
        }
    }
}

// === impl Heartbeat ===

impl Heartbeat {
    /// What tells its server from others of the same node, in the letters of names.
    fn source(&self, ip: IpAddr) -> String {
        let name = [&self.identity.server, &self.device].into_iter().find(|name| !name.is_empty());
        let name = name.map_or_else(|| ip.to_string(), ToString::to_string);
        let letter = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        name.chars().take(LONGEST_SOURCE).map(letter).collect()
    }

    fn address(&self, from: &Sender, template: Option<&Template>) -> IpAddr {
        let own = self.ip.filter(|_| template.is_some_and(|template| template.trust_ip));
        own.unwrap_or(from.ip).to_canonical()
    }

    /// What a node of it is called.
    fn id<'a>(&'a self, from: &'a Sender) -> Result<&'a str, Refused> {
        let names = [from.named.as_deref().unwrap_or_default(), &self.device, &self.identity.server];
        let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        if crate::config::is_name(name) { Ok(name) } else { Err(Refused::NoName(name.into())) }
    }
}

#[cfg(test)]
mod tests;
