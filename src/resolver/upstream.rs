//! Back to source: where a media server pulls a stream from.
//!
//! Not a viewer's question: nobody is near or far, and the choice has to be the same for all who ask, so that each layer
//! pulls each stream once. At the source that is the origin which has the stream, in a layer between the node that
//! [`crate::schedule::upstream`] names.
//!
//! *Nothing is booked.* A server asks again every few seconds while it gets no data, and a booking for each would fill
//! the ledger of the origins with viewers that never come, and send publishers away. What a pull costs shows in the next
//! scrape; its connection counts among those that nobody asked for, which κ stands for.

use std::sync::Arc;

use arc_swap::Guard;

use super::{Question, Resolver, Role, Way};
use crate::schedule::booking::status;
use crate::schedule::fleet::{DomainIndex, PoolIndex};
use crate::schedule::node::{Node, NodeIndex};
use crate::schedule::upstream::StreamKey;
use crate::state::Live;
use crate::state::upstreams::is_up;

/// What a media server wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Pull<'a> {
    /// The node that asks, where it is known.
    pub node: Option<&'a str>,
    /// The pool that it speaks for; of no account where the node is known.
    pub pool: Option<&'a str>,
    /// The domain that it asked by; anything else is none.
    pub domain: Option<&'a str>,
    /// Which stream, "app/name".
    pub stream: &'a str,
    /// How it will connect.
    pub way: Way,
}

/// What a media server is told.
#[derive(Debug)]
pub struct PulledFrom {
    live: Guard<Arc<Live>>,
    node: NodeIndex,
}

/// Why there is nothing to pull.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PullRefusal {
    /// No origin of the pool has it.
    #[error("nobody publishes this stream to pool {pool}")]
    Unknown {
        /// The source.
        pool: Box<str>,
    },
    /// Those that have it cannot be reached.
    #[error("the origins that have this stream are down or have no port for this: {nodes}")]
    Down {
        /// Their ids.
        nodes: Box<str>,
    },
    /// No node of the next layer can be reached.
    #[error("no node of pool {pool} is up")]
    NoNode {
        /// The layer.
        pool: Box<str>,
        /// When to ask again, s.
        retry_after_s: u32,
    },
}

// === impl PulledFrom ===

impl PulledFrom {
    /// Where to pull from.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.live.fleet.node(self.node)
    }
}

// === impl Resolver ===

impl Resolver {
    /// Where a media server pulls a stream from; `None`: its pool pulls from nobody.
    ///
    /// # Errors
    /// Nobody has the stream, or nobody that has it can be reached.
    pub fn upstream(&self, pull: &Pull<'_>) -> Result<Option<PulledFrom>, PullRefusal> {
        let live = self.state.live();
        let domain = pull.domain.and_then(|name| live.fleet.domain(name));
        let Some(layer) = pool_of(&live, pull).and_then(|pool| live.fleet.upstream(pool, domain)) else {
            return Ok(None);
        };
        let up = |pool: &PoolIndex| live.fleet.upstream(*pool, domain);
        let source = std::iter::successors(Some(layer), up).last().unwrap_or(layer);
        let origin = self.holder(&live, source, domain, pull)?;
        let node = match layer == source {
            true => origin,
            false => between(&live, layer, pull)?,
        };
        Ok(Some(PulledFrom { live, node }))
    }

    /// The newest origin of the source that has the stream and can be reached. One that is being drained has it still, and
    /// is asked if nobody else has.
    fn holder(
        &self,
        live: &Live,
        source: PoolIndex,
        domain: Option<DomainIndex>,
        pull: &Pull<'_>,
    ) -> Result<NodeIndex, PullRefusal> {
        let vhost = domain.map_or("", |domain| &live.fleet.domains[usize::from(domain.0)].name);
        let known = self.state.streams().origins(vhost, pull.stream);
        let members = live.fleet.pool(source).members.clone();
        let known = known.iter().filter_map(|id| live.fleet.by_id(id));
        let known = known.filter(|node| members.contains(&node.0) && !is_asker(live, *node, pull));
        let serves = |node: &NodeIndex| {
            let line = live.ledger.line(*node);
            !line.is(status::DOWN) && (pull.way.bits() == 0 || line.is(pull.way.bits()))
        };
        let mut reachable = known.clone().filter(serves);
        let first = reachable.clone().find(|node| !live.ledger.line(*node).is(status::DRAINING));
        first.or_else(|| reachable.next()).ok_or_else(|| {
            let nodes: Vec<&str> = known.map(|node| &*live.fleet.node(node).id).collect();
            match nodes.is_empty() {
                true => PullRefusal::Unknown { pool: live.fleet.pool(source).name.clone() },
                false => PullRefusal::Down { nodes: nodes.join(", ").into() },
            }
        })
    }

    /// The origin that a publisher's stream is on already and stays on: it is of the pool, and in service.
    pub(super) fn held(&self, live: &Live, question: &Question<'_>, pool: PoolIndex) -> Option<NodeIndex> {
        let stream = question.stream.filter(|_| question.want.role == Role::Publish)?;
        let known = self.state.streams().origins(question.domain, stream);
        let members = live.fleet.pool(pool).members.clone();
        let mut known = known.iter().filter_map(|id| live.fleet.by_id(id));
        known.find(|node| {
            members.contains(&node.0) && !live.ledger.line(*node).is(status::DOWN | status::DRAINING)
        })
    }
}

/// The pool of who asks.
fn pool_of(live: &Live, pull: &Pull<'_>) -> Option<PoolIndex> {
    let named = || pull.node.and_then(|id| live.fleet.by_id(id)).map(|node| &*live.fleet.node(node).pool);
    let name = named().or(pull.pool)?;
    let at = live.fleet.pools.iter().position(|pool| &*pool.name == name)?;
    u16::try_from(at).ok().map(PoolIndex)
}

fn is_asker(live: &Live, node: NodeIndex, pull: &Pull<'_>) -> bool {
    pull.node.is_some_and(|id| *live.fleet.node(node).id == *id)
}

/// The node of a layer between that pulls the stream for all of those below.
fn between(live: &Live, layer: PoolIndex, pull: &Pull<'_>) -> Result<NodeIndex, PullRefusal> {
    let ways = pull.way.bits();
    let fits = |node| {
        is_up(&live.ledger, node)
            && (ways == 0 || live.ledger.line(node).is(ways))
            && !is_asker(live, node, pull)
    };
    live.upstreams.choose(layer, StreamKey::of(pull.stream), fits).ok_or_else(|| PullRefusal::NoNode {
        pool: live.fleet.pool(layer).name.clone(),
        retry_after_s: super::RETRY_AFTER_S,
    })
}

#[cfg(test)]
mod tests;
