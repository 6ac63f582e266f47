//! Upstream: which node of a layer has a stream for those who pull from it.
//!
//! *Each stream from one node*, whoever asks and whichever replica: weighted rendezvous hashing by the stream's own
//! name. Every node draws a cost for the stream, `−ln(u) ÷ capacity` of a hash of both, and the lowest wins; so a node's
//! share of streams is its share of the capacity, and when it dies only its own streams move, spread over all others.
//! ([`super::affinity`] has buckets in the stream's place, because it is weighed for each viewer; here a bucket would
//! move as a whole.)
//!
//! *With bounded load*: chance gives some nodes more than their share. A node keeps at most [`BOUND`] of it, those
//! streams for which its cost is lowest, and the others go to their next choice, which does the same: the stable
//! matching of streams and nodes (Gale & Shapley 1962). There is only one that is best for the streams, whatever the
//! order in which they came, so replicas that know the same streams agree without a word. What remains of it is one
//! number for each node, its *bar*: a stream goes to the first node in its own order whose bar its cost does not pass. A
//! stream that is a second old, or unknown to this replica, is judged by the same bars.
//!
//! *No pressure in it*: moving a stream from a node that is full means a second pull there and everywhere below, and
//! what fills it stays. Nodes that are down or drained are passed over; all else is for who sends viewers.
//!
//! **The hash is fixed for ever**, as that of [`super::affinity`], and its values are held by a test.

use std::collections::BinaryHeap;

use super::affinity;
use super::fleet::{Fleet, PoolIndex, share};
use super::node::NodeIndex;

/// How much more than its share of streams a node gets.
pub const BOUND: f64 = 1.2;
/// Streams that a node may have in any case: among few streams chance is large, and means little.
const ALWAYS: usize = 16;
/// Pairs of stream and node that are looked at for bars, some 100 ms. Among more, shares are so large that chance
/// passes the bound nowhere.
const MOST_PAIRS: usize = 8_000_000;

/// What a stream is hashed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey(u64);

/// The nodes of a pool that others pull from.
#[derive(Debug)]
pub struct Layer {
    first: u32,
    members: Box<[Member]>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    hash: u64,
    /// Capacity × weight.
    share: f64,
}

/// What no stream's cost may pass at each node of a layer. Empty: no node has more than it may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bars(Box<[Cost]>);

/// A cost is above 0, and such numbers are in the order of their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost(u64);

/// The streams that a node keeps, the dearest on top.
#[derive(Debug, Default)]
struct Kept {
    heap: BinaryHeap<(Cost, StreamKey)>,
    most: usize,
    has_refused: bool,
}

// === impl StreamKey ===

impl StreamKey {
    /// The key of "app/name". Vhosts do not count: servers that pull often do not know theirs.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(affinity::hash(name.as_bytes()))
    }

    /// As a number that may be summed up.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

// === impl Layer ===

impl Layer {
    /// The nodes of a pool.
    #[must_use]
    pub fn of(fleet: &Fleet, pool: PoolIndex) -> Self {
        let nodes = fleet.pool(pool).nodes().map(|index| fleet.node(index));
        let member =
            nodes.map(|node| Member { hash: affinity::hash(node.id.as_bytes()), share: share(node) });
        Self { first: fleet.pool(pool).members.start, members: member.collect() }
    }

    /// The node that has a stream, among those that are up; `None`: none is.
    #[must_use]
    pub fn choose(
        &self,
        key: StreamKey,
        bars: &Bars,
        is_up: impl Fn(NodeIndex) -> bool,
    ) -> Option<NodeIndex> {
        let costs = self.costs(key).filter(|(place, _)| is_up(self.node(*place)));
        let costs = costs.map(|(place, cost)| (!bars.let_pass(place, cost), cost, place));
        // Where no bar lets it pass, the cheapest takes it all the same.
        costs.min().map(|(.., place)| self.node(place))
    }

    /// The bars when these are all streams.
    #[must_use]
    pub fn bars(&self, keys: &[StreamKey], is_up: impl Fn(NodeIndex) -> bool) -> Bars {
        if keys.len().saturating_mul(self.members.len()) > MOST_PAIRS {
            return Bars::default();
        }
        let up: Vec<bool> = (0..self.members.len()).map(|place| is_up(self.node(place))).collect();
        let all: f64 =
            self.members.iter().zip(&up).filter(|(_, up)| **up).map(|(member, _)| member.share).sum();
        let mut kept: Vec<Kept> =
            self.members.iter().map(|member| Kept::up_to(keys.len(), member.share / all)).collect();
        for key in keys {
            let mut seeking = Some((Cost(0), *key));
            while let Some((refused_at, key)) = seeking {
                let next = self.costs(key).filter(|(place, cost)| up[*place] && *cost > refused_at);
                let next = next.min_by_key(|(_, cost)| *cost);
                seeking = next.and_then(|(place, cost)| kept[place].take(cost, key));
            }
        }
        if kept.iter().any(|kept| kept.has_refused) {
            Bars(kept.iter().map(Kept::bar).collect())
        } else {
            Bars::default()
        }
    }

    fn node(&self, place: usize) -> NodeIndex {
        NodeIndex(self.first + u32::try_from(place).unwrap_or(u32::MAX))
    }

    fn costs(&self, key: StreamKey) -> impl Iterator<Item = (usize, Cost)> + '_ {
        self.members.iter().enumerate().map(move |(place, member)| (place, member.cost(key)))
    }
}

// === impl Member ===

impl Member {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    fn cost(&self, key: StreamKey) -> Cost {
        let mixed = affinity::finish(self.hash ^ key.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let u = ((mixed >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        Cost((-u.ln() / self.share.max(1e-6)).to_bits())
    }
}

// === impl Bars ===

impl Bars {
    fn let_pass(&self, place: usize, cost: Cost) -> bool {
        self.0.get(place).is_none_or(|bar| cost <= *bar)
    }
}

// === impl Kept ===

impl Kept {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of streams, rounded up"
    )]
    fn up_to(streams: usize, share: f64) -> Self {
        let fair = streams as f64 * share;
        Self { most: ((BOUND * fair).ceil() as usize).max(ALWAYS), ..Self::default() }
    }

    /// Takes a stream; who has to go for it, if anybody.
    fn take(&mut self, cost: Cost, key: StreamKey) -> Option<(Cost, StreamKey)> {
        self.heap.push((cost, key));
        if self.heap.len() <= self.most {
            return None;
        }
        self.has_refused = true;
        self.heap.pop()
    }

    fn bar(&self) -> Cost {
        let dearest = self.heap.peek().map(|(cost, _)| *cost);
        dearest.filter(|_| self.has_refused).unwrap_or(Cost(u64::MAX))
    }
}

#[cfg(test)]
mod tests;
