//! Upstreams: the layers of a fleet, and how its streams are spread over them as of the last sweep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;

use super::streams::Streams;
use crate::schedule::booking::{Ledger, status};
use crate::schedule::fleet::{DomainIndex, Fleet, PoolIndex};
use crate::schedule::node::NodeIndex;
use crate::schedule::upstream::{Bars, Layer, StreamKey};

/// The pools of a fleet that others pull from, by their numbers.
#[derive(Debug, Default)]
pub struct Upstreams(Box<[Option<Spread>]>);

/// One of them.
#[derive(Debug)]
struct Spread {
    layer: Layer,
    bars: ArcSwap<Bars>,
    /// What the bars were worked out for.
    of: AtomicU64,
}

// === impl Upstreams ===

impl Upstreams {
    /// Those of a fleet, of which no stream is known.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Self {
        let is_layer = |pool: &PoolIndex| fleet.pools.iter().any(|other| other.upstream == Some(*pool));
        let pools = (0u16..).zip(&fleet.pools).map(|(at, _)| PoolIndex(at));
        let spread =
            |pool| Spread { layer: Layer::of(fleet, pool), bars: ArcSwap::default(), of: AtomicU64::new(0) };
        Self(pools.map(|pool| Some(pool).filter(is_layer).map(spread)).collect())
    }

    /// The node of a layer that has a stream; `None`: nobody is up, or nobody pulls from that pool.
    #[must_use]
    pub fn choose(
        &self,
        pool: PoolIndex,
        key: StreamKey,
        is_up: impl Fn(NodeIndex) -> bool,
    ) -> Option<NodeIndex> {
        let spread = self.0.get(usize::from(pool.0))?.as_ref()?;
        spread.layer.choose(key, &spread.bars.load(), is_up)
    }

    /// Spreads streams over the nodes that are up. Costs a walk over all of both where either has changed.
    pub(super) fn spread(&self, fleet: &Fleet, ledger: &Ledger, streams: &Streams) {
        for (pool, spread) in (0u16..).map(PoolIndex).zip(&self.0) {
            let Some(spread) = spread else { continue };
            let mut keys = Vec::new();
            streams.for_each_name(|name| {
                if serves(fleet, pool, fleet.domain(name.vhost())) {
                    keys.push(StreamKey::of(name.name()));
                }
            });
            let is_up = |node| is_up(ledger, node);
            let state = digest(&keys, fleet.pool(pool).nodes().filter(|node| is_up(*node)));
            if spread.of.swap(state, Relaxed) != state {
                spread.bars.store(Arc::new(spread.layer.bars(&keys, is_up)));
            }
        }
    }
}

/// Whether a node can be pulled from.
#[must_use]
pub fn is_up(ledger: &Ledger, node: NodeIndex) -> bool {
    let line = ledger.line(node);
    !line.is(status::DOWN | status::DRAINING) && line.is(status::HAS_HTTP | status::HAS_HTTPS)
}

/// Whether a domain's streams pass a layer; those of no domain of ours pass all.
fn serves(fleet: &Fleet, layer: PoolIndex, domain: Option<DomainIndex>) -> bool {
    let Some(at) = domain else { return true };
    let edges = fleet.domains[usize::from(at.0)].pool;
    let mut way = std::iter::successors(Some(edges), |pool| fleet.upstream(*pool, domain));
    way.any(|pool| pool == layer)
}

/// A number that is another one for other streams or other nodes, in whatever order.
fn digest(keys: &[StreamKey], up: impl Iterator<Item = NodeIndex>) -> u64 {
    let spread = |number: u64| crate::schedule::scene::mix(number);
    let streams = keys.iter().fold(1, |sum: u64, key| sum.wrapping_add(spread(key.number())));
    up.fold(streams, |sum, node| sum.wrapping_add(spread(u64::from(node.0) | 1 << 40)))
}
