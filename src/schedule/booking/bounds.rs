//! Bounds: what a scan reads before it looks at a node's line.
//!
//! A line is a cache line, and a scan that looked at every candidate's would spend its time waiting for memory. So
//! the ledger keeps a lower bound of each node's pressure, sixteen to a cache line, and for each group and each pool
//! how many nodes may have room: a full PoP is passed over at the cost of one load, a full pool too.
//!
//! **A bound is never above the pressure.** It leaves out what only adds to that: the asker's own bitrate, the margin
//! for other replicas, and the uplink of the node's PoP (which may ease without this node being looked at). It is
//! rewritten by every scrape, and by every booking that moves it by more than a hair.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::schedule::fleet::{Fleet, PoolIndex};
use crate::schedule::node::NodeIndex;

/// Limits over the limit in force: first that itself, then those of the relaxed tiers, .84, .88, .93 and 1.0 of
/// capacity where the limit is .80.
pub const TIERS: [f32; 5] = [1.0, 0.84 / 0.80, 0.88 / 0.80, 0.93 / 0.80, 1.0 / 0.80];

/// A bound may lie so far below the pressure before a booking rewrites it: most bookings are small, and what a bound
/// saves is to look at nodes that are worse by more.
const SLACK: f32 = 1.0 / 1_024.0;

/// In [`Bounds::least`]: the node is not eligible.
const UNFIT: u32 = 1 << 31;

/// Lower bounds of pressure, and counts of nodes that may have room.
#[derive(Debug)]
pub struct Bounds {
    /// Least pressure of each node, f32 bits; the sign bit is [`UNFIT`].
    least: Box<[AtomicU32]>,
    /// Group of each node, fleet-wide number.
    group_of: Box<[u32]>,
    /// Pool of each group.
    pool_of: Box<[u16]>,
    /// Eligible nodes by the lowest tier that has room for them, tier by tier, group by group.
    open: Box<[AtomicU32]>,
    /// The same by pool.
    open_in_pool: Box<[AtomicU32]>,
    groups: usize,
    pools: usize,
}

// === impl Bounds ===

impl Bounds {
    /// Bounds of a fleet of which nothing is known: nobody is eligible.
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        let zeros = |count: usize| (0..count).map(|_| AtomicU32::new(0)).collect();
        let (groups, pools) = (fleet.groups as usize, fleet.pools.len());
        let pool_of = fleet.pools.iter().zip(0u16..).flat_map(|(pool, i)| pool.groups.iter().map(move |_| i));
        Self {
            least: fleet.nodes.iter().map(|_| AtomicU32::new(UNFIT)).collect(),
            group_of: fleet.group_of.clone(),
            pool_of: pool_of.collect(),
            open: zeros(TIERS.len() * groups),
            open_in_pool: zeros(TIERS.len() * pools),
            groups,
            pools,
        }
    }

    /// Rewrites a node's bound, unless the one that stands is good enough. Whoever sees its tier change moves the
    /// counts: the swap makes that exact however many do it at once.
    pub fn set(&self, node: NodeIndex, least: f32, eligible: bool) {
        let bits = least.max(0.0).to_bits() | if eligible { 0 } else { UNFIT };
        let stands = self.least[node.get()].load(Relaxed);
        let above = f32::from_bits(bits) - f32::from_bits(stands);
        if (stands ^ bits) & UNFIT == 0 && (0.0..SLACK).contains(&above) && tier_of(stands) == tier_of(bits) {
            return;
        }
        let before = tier_of(self.least[node.get()].swap(bits, Relaxed));
        let after = tier_of(bits);
        if before != after {
            self.count(node, before, |count| count.fetch_sub(1, Relaxed));
            self.count(node, after, |count| count.fetch_add(1, Relaxed));
        }
    }

    fn count(&self, node: NodeIndex, tier: usize, change: impl Fn(&AtomicU32) -> u32) {
        if tier < TIERS.len() {
            let group = self.group_of[node.get()] as usize;
            change(&self.open[tier * self.groups + group]);
            change(&self.open_in_pool[tier * self.pools + usize::from(self.pool_of[group])]);
        }
    }

    /// Least pressure of a node; ∞: not eligible.
    #[must_use]
    #[inline]
    pub fn eligible(&self, node: NodeIndex) -> f32 {
        let bits = self.least[node.get()].load(Relaxed);
        if bits & UNFIT == 0 { f32::from_bits(bits) } else { f32::INFINITY }
    }

    /// Whether a node of a group may have room in this tier or a lower one.
    #[must_use]
    #[inline]
    pub fn is_open(&self, tier: usize, group: u32) -> bool {
        let group = group as usize;
        let open = |tier: usize| self.open[tier * self.groups + group].load(Relaxed) > 0;
        open(0) || (1..=tier).any(open)
    }

    /// Nodes of a group that may have room under the limit in force.
    #[must_use]
    pub fn open(&self, group: u32) -> u32 {
        self.open[group as usize].load(Relaxed)
    }

    /// The lowest tier in which a node of a pool may have room; `None`: in none.
    #[must_use]
    #[inline]
    pub fn lowest_tier(&self, pool: PoolIndex) -> Option<usize> {
        (0..TIERS.len())
            .find(|tier| self.open_in_pool[tier * self.pools + usize::from(pool.0)].load(Relaxed) > 0)
    }
}

/// The lowest tier that has room at a bound; [`TIERS`]`.len()`: none, or not eligible.
#[inline]
fn tier_of(bits: u32) -> usize {
    let least = if bits & UNFIT == 0 { f32::from_bits(bits) } else { f32::INFINITY };
    match least < TIERS[0] {
        true => 0,
        false => TIERS.iter().position(|limit| least < *limit).unwrap_or(TIERS.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pressure_falls_into_the_lowest_tier_above_it() {
        let tier = |x: f32| tier_of(x.to_bits());
        assert_eq!([0.0, 0.999, 1.0, 1.06, 1.12, 1.2, 1.25, f32::NAN].map(tier), [0, 0, 1, 2, 3, 4, 5, 5]);
        assert_eq!(tier_of(0.5_f32.to_bits() | UNFIT), 5);
    }
}
