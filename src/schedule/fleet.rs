//! The fleet: who there is, and who is near whom. Immutable; a reload makes a new one.
//!
//! Nodes stand in the order of pool, PoP and id, so the order in a file changes no decision, and the nodes of one
//! pool in one PoP — a *group* — are neighbours in memory. Nodes of a group share the distance, so a decision walks
//! tens of groups and not thousands of nodes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::affinity::{self, AffinityOrder};
use super::cells::Cells;
use super::isp;
use super::label::{self, Label};
use super::node::{Node, NodeIndex};
use super::place::{Location, Point};
use super::policy::PolicyKind;
use super::uplink::{Uplink, UplinkSpec};

/// A pool's place in [`Fleet::pools`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolIndex(pub u16);

/// A domain's place in [`Fleet::domains`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DomainIndex(pub u16);

/// A PoP's place in [`Fleet::pops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PopIndex(pub u16);

/// What a pool does when nothing in it fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnOverload {
    /// Answer the least-pressed near node, marked degraded.
    #[default]
    Serve,
    /// Refuse.
    Refuse,
    /// Ask another pool.
    Fallback(Box<str>),
}

/// A pool, by names.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSpec {
    /// Unique name.
    pub name: Box<str>,
    /// What it does when nothing in it fits.
    pub on_overload: OnOverload,
}

/// A domain, by names.
#[derive(Clone, Debug, PartialEq)]
pub struct DomainSpec {
    /// Lower case, no trailing dot.
    pub name: Box<str>,
    /// Its pool.
    pub pool: Box<str>,
    /// How a node is chosen.
    pub policy: PolicyKind,
}

/// A site.
#[derive(Clone, Debug)]
pub struct Pop {
    /// Its name.
    pub name: Box<str>,
    /// The middle of its nodes; `None`: none of them has a place.
    pub point: Option<Point>,
    /// The line its nodes share; `None`: not configured, so not judged.
    pub uplink: Option<Uplink>,
}

/// Nodes that serve the same thing.
#[derive(Debug)]
pub struct Pool {
    /// Its name.
    pub name: Box<str>,
    /// What it does when nothing in it fits.
    pub on_overload: OnOverload,
    /// The pool to ask then.
    pub fallback: Option<PoolIndex>,
    /// The pool that its nodes pull streams from; `None`: see [`Fleet::upstream`].
    pub upstream: Option<PoolIndex>,
    /// It takes some domain's publishers, so its nodes pull from nobody.
    pub takes_publishers: bool,
    /// Its nodes, those of a PoP side by side: a run of [`Fleet::nodes`].
    pub members: Range<u32>,
    /// Its PoPs, in the order of their names.
    pub groups: Box<[Group]>,
    /// Running sum of the members' configured capacity × weight, for choices in proportion to it.
    pub shares: Box<[f64]>,
    /// Which groups are near which cell.
    pub cells: Cells,
    /// Its nodes differ in price.
    pub has_prices: bool,
    /// Some of its nodes name internet providers.
    pub has_isps: bool,
    /// For each stream bucket the nodes of each group in order of affinity.
    pub affinity: AffinityOrder,
    /// The HTTPS port that every node of it has; `None`: they differ, or some have none.
    pub https: Option<u16>,
    /// Some of its nodes serve RTMP.
    pub has_rtmp: bool,
    /// Players are sent here: by a domain, or because a domain's own pool is full.
    pub is_played: bool,
}

/// The nodes of a pool in one PoP.
#[derive(Clone, Debug)]
pub struct Group {
    /// The PoP.
    pub pop: PopIndex,
    /// Its place.
    pub point: Option<Point>,
    /// Its nodes, a run of [`Fleet::nodes`].
    pub members: Range<u32>,
    /// Its number in the whole fleet.
    pub number: u32,
    /// Its place in [`Pool::groups`].
    pub place: u32,
}

/// A name that players ask for.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Lower case, no trailing dot.
    pub name: Box<str>,
    /// [`affinity::hash`] of the name: where its viewers without a stream stick begins with it.
    pub hash: u64,
    /// Its pool.
    pub pool: PoolIndex,
    /// How a node is chosen.
    pub policy: PolicyKind,
    /// The pool that takes its publishers; `None`: it has none.
    pub origins: Option<PoolIndex>,
}

/// Who there is.
#[derive(Debug, Default)]
pub struct Fleet {
    /// In the order of pool, PoP and id.
    pub nodes: Box<[Node]>,
    /// PoP of each node.
    pub pop_of: Box<[PopIndex]>,
    /// Group of each node, numbered over the whole fleet.
    pub group_of: Box<[u32]>,
    /// Price of each node less the lowest of its pool.
    pub excess_price: Box<[f32]>,
    /// Internet providers of each node, see [`isp`]; 0: any.
    pub isps: Box<[u64]>,
    /// How many groups there are.
    pub groups: u32,
    /// In the order of their names.
    pub pops: Box<[Pop]>,
    /// In the order of the configuration.
    pub pools: Box<[Pool]>,
    /// In the order of the configuration.
    pub domains: Box<[Domain]>,
    /// The origins of all domains that have any; `None`: there are none, or they differ.
    pub usual_origins: Option<PoolIndex>,
    by_id: HashMap<Box<str>, NodeIndex>,
    /// Asked by every question, for names that strangers choose: its hash is quick, and its seed is nobody's to know.
    by_domain: HashMap<Box<str>, DomainIndex, RandomState>,
    by_address: HashMap<IpAddr, NodeIndex>,
    by_label: HashMap<Box<str>, NodeIndex>,
}

/// A name that points nowhere, or too many of something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// A domain or a fallback names a pool that is not there.
    #[error("{by} names pool {pool}, which does not exist")]
    NoPool {
        /// Who names it.
        by: Box<str>,
        /// The name.
        pool: Box<str>,
    },
    /// More than 65,535 pools, domains or PoPs.
    #[error("too many {0}: at most 65,535")]
    TooMany(&'static str),
}

/// Assumed for shares where a node's capacity is not configured, Mbit/s: only their ratio matters.
const SHARE_MBPS: f64 = 1_000.0;

// === impl Fleet ===

impl Fleet {
    /// Puts a fleet together. Costs some milliseconds at 10,000 nodes: not for the resolve path.
    ///
    /// # Errors
    /// A pool that is named and not there, or more pools, domains or PoPs than fit 16 bits.
    pub fn build(
        mut nodes: Vec<Node>,
        pools: &[PoolSpec],
        domains: &[DomainSpec],
    ) -> Result<Self, FleetError> {
        let rank = |node: &Node| pools.iter().position(|pool| pool.name == node.pool);
        nodes.sort_by(|a, b| (rank(a), &a.pop, &a.id).cmp(&(rank(b), &b.pop, &b.id)));
        let pops = sites(&nodes);
        let pop_of = nodes
            .iter()
            .map(|node| {
                u16::try_from(pop_of(&pops, node)).map(PopIndex).map_err(|_| FleetError::TooMany("PoPs"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let index = |by: &str, name: &str| {
            let found = pools.iter().position(|pool| &*pool.name == name);
            let found = found.ok_or_else(|| FleetError::NoPool { by: by.into(), pool: name.into() })?;
            u16::try_from(found).map(PoolIndex).map_err(|_| FleetError::TooMany("pools"))
        };
        let mut built_pools: Vec<Pool> = Vec::with_capacity(pools.len());
        let mut groups = 0;
        for spec in pools {
            let fallback = match &spec.on_overload {
                OnOverload::Fallback(name) => Some(index(&spec.name, name)?),
                OnOverload::Serve | OnOverload::Refuse => None,
            };
            let pool = Pool::build(spec, fallback, &nodes, &pops, &pop_of, groups);
            groups += u32::try_from(pool.groups.len()).unwrap_or(u32::MAX);
            built_pools.push(pool);
        }
        let mut built_domains = Vec::with_capacity(domains.len());
        let mut by_domain = HashMap::with_capacity_and_hasher(domains.len(), RandomState::default());
        for (i, spec) in domains.iter().enumerate() {
            let at = u16::try_from(i).map_err(|_| FleetError::TooMany("domains"))?;
            by_domain.insert(spec.name.clone(), DomainIndex(at));
            let pool = index(&spec.name, &spec.pool)?;
            mark_played(&mut built_pools, pool);
            let hash = affinity::hash(spec.name.as_bytes());
            built_domains.push(Domain {
                name: spec.name.clone(),
                hash,
                pool,
                policy: spec.policy,
                origins: None,
            });
        }
        let mut group_of = vec![0; nodes.len()];
        for group in built_pools.iter().flat_map(|pool| &pool.groups) {
            group_of[group.members.start as usize..group.members.end as usize].fill(group.number);
        }
        let by_id = (0u32..).zip(&nodes).map(|(i, node)| (node.id.clone(), NodeIndex(i))).collect();
        let mut by_address = HashMap::new();
        for (i, node) in (0u32..).zip(&nodes) {
            by_address.extend(node.addresses().map(|ip| (ip, NodeIndex(i))));
        }
        let isp_names = isp::names(&nodes);
        let by_label = label::index(&nodes, &by_id);
        Ok(Self {
            excess_price: excess_prices(&nodes, &built_pools),
            isps: nodes.iter().map(|node| isp::set(node, &isp_names)).collect(),
            nodes: nodes.into(),
            pop_of: pop_of.into(),
            group_of: group_of.into(),
            groups,
            pops: pops.into(),
            pools: built_pools.into(),
            domains: built_domains.into(),
            usual_origins: None,
            by_id,
            by_domain,
            by_address,
            by_label,
        })
    }

    /// The same fleet with these uplinks. A name that no node's PoP has is passed over.
    #[must_use]
    pub fn with_uplinks(mut self, uplinks: &[UplinkSpec]) -> Self {
        for spec in uplinks {
            if let Some(pop) = self.pops.iter_mut().find(|pop| pop.name == spec.pop) {
                pop.uplink = Some(spec.uplink);
            }
        }
        self
    }

    /// The domain of this name (lower case, no trailing dot).
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<DomainIndex> {
        self.by_domain.get(name).copied()
    }

    /// The node that has this address.
    #[must_use]
    pub fn at_address(&self, ip: IpAddr) -> Option<NodeIndex> {
        self.by_address.get(&ip).copied()
    }

    /// The node of this id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<NodeIndex> {
        self.by_id.get(id).copied()
    }

    /// The node whose id is this as a label of a host name, see [`label`].
    #[must_use]
    pub fn by_label(&self, label: &str) -> Option<NodeIndex> {
        self.by_label.get(label).copied()
    }

    /// A node's id as a label of a host name; `None`: another node has it, or none can be made of it.
    #[must_use]
    pub fn label(&self, index: NodeIndex) -> Option<Label> {
        let label = label::of(&self.node(index).id)?;
        (self.by_label(&label) == Some(index)).then_some(label)
    }

    /// A node.
    #[must_use]
    pub fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index.get()]
    }

    /// A node's PoP.
    #[must_use]
    pub fn pop_of(&self, index: NodeIndex) -> PopIndex {
        self.pop_of[index.get()]
    }

    /// A node's group: the nodes of its pool in its PoP.
    #[must_use]
    pub fn group_of(&self, index: NodeIndex) -> Option<&Group> {
        self.pools.iter().flat_map(|pool| &pool.groups).find(|group| group.members.contains(&index.0))
    }

    /// A pool.
    #[must_use]
    pub fn pool(&self, index: PoolIndex) -> &Pool {
        &self.pools[usize::from(index.0)]
    }

    /// A node's pool.
    #[must_use]
    pub fn pool_with(&self, index: NodeIndex) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.members.contains(&index.0))
    }

    /// The other nodes of a node's pool.
    pub fn siblings(&self, index: NodeIndex) -> impl Iterator<Item = NodeIndex> + use<> {
        let pool = self.pool_with(index).map(Pool::nodes);
        pool.into_iter().flatten().filter(move |other| *other != index)
    }
}

/// Players are sent to this pool, and where it is full to its fallback.
fn mark_played(pools: &mut [Pool], pool: PoolIndex) {
    for pool in [Some(pool), pools[usize::from(pool.0)].fallback].into_iter().flatten() {
        pools[usize::from(pool.0)].is_played = true;
    }
}

/// Price of each node less the lowest of its pool, so that a price is never below 0.
#[expect(clippy::cast_possible_truncation, reason = "a price needs three digits")]
fn excess_prices(nodes: &[Node], pools: &[Pool]) -> Box<[f32]> {
    let mut excess = vec![0.0; nodes.len()];
    for pool in pools {
        let run = pool.members.start as usize..pool.members.end as usize;
        let lowest = nodes[run.clone()].iter().map(|node| node.price).fold(f64::INFINITY, f64::min);
        for (excess, node) in excess[run.clone()].iter_mut().zip(&nodes[run]) {
            *excess = (node.price - lowest) as f32;
        }
    }
    excess.into()
}

/// PoPs by name.
fn sites(nodes: &[Node]) -> Vec<Pop> {
    let mut names: Vec<&str> = nodes.iter().map(|node| &*node.pop).collect();
    names.sort_unstable();
    names.dedup();
    let mut pops: Vec<Pop> =
        names.iter().map(|name| Pop { name: (*name).into(), point: None, uplink: None }).collect();
    let mut points = vec![Vec::new(); pops.len()];
    for node in nodes {
        points[pop_of(&pops, node)].extend(node.location.map(Location::point));
    }
    for (pop, points) in pops.iter_mut().zip(points) {
        pop.point = Point::middle(points);
    }
    pops
}

/// The place of a node's PoP among `pops`, which are in the order of their names.
fn pop_of(pops: &[Pop], node: &Node) -> usize {
    pops.binary_search_by(|pop| pop.name.cmp(&node.pop)).unwrap_or_default()
}

// === impl Pool ===

impl Pool {
    fn build(
        spec: &PoolSpec,
        fallback: Option<PoolIndex>,
        nodes: &[Node],
        pops: &[Pop],
        pop_of: &[PopIndex],
        first_group: u32,
    ) -> Self {
        let start = (0u32..).zip(nodes).find(|(_, node)| node.pool == spec.name).map_or(0, |(i, _)| i);
        let own = nodes[start as usize..].iter().take_while(|node| node.pool == spec.name).count();
        let members = start..start + u32::try_from(own).unwrap_or(u32::MAX);
        let mut groups: Vec<Group> = Vec::new();
        for i in members.clone() {
            let pop = pop_of[i as usize];
            match groups.last_mut() {
                Some(group) if group.pop == pop => group.members.end = i + 1,
                _ => {
                    let place = u32::try_from(groups.len()).unwrap_or(u32::MAX);
                    let point = pops[usize::from(pop.0)].point;
                    groups.push(Group { pop, point, members: i..i + 1, number: first_group + place, place });
                }
            }
        }
        let own = &nodes[members.start as usize..members.end as usize];
        let shares = own.iter().map(share).scan(0.0, |sum, share| {
            *sum += share;
            Some(*sum)
        });
        let cells = Cells::new(groups.iter().map(|group| group.point).collect());
        Self {
            name: spec.name.clone(),
            on_overload: spec.on_overload.clone(),
            fallback,
            upstream: None,
            takes_publishers: false,
            shares: shares.collect(),
            has_prices: own.windows(2).any(|pair| pair[0].price != pair[1].price),
            has_isps: own.iter().any(|node| !node.isps.is_empty()),
            affinity: AffinityOrder::build(own, &groups, members.start),
            https: own
                .first()
                .and_then(|node| node.ports.https)
                .filter(|port| own.iter().all(|node| node.ports.https == Some(*port))),
            has_rtmp: own.iter().any(|node| node.ports.rtmp.is_some()),
            is_played: false,
            members,
            groups: groups.into(),
            cells,
        }
    }

    /// All nodes of the pool.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = NodeIndex> + use<> {
        self.members.clone().map(NodeIndex)
    }
}

// === impl Group ===

impl Group {
    /// The nodes of the group.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = NodeIndex> + use<> {
        self.members.clone().map(NodeIndex)
    }
}

/// What a node counts for where the pool is shared out.
pub(super) fn share(node: &Node) -> f64 {
    node.bandwidth_mbps.unwrap_or(SHARE_MBPS) * node.weight
}
