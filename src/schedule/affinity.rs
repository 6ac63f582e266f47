//! Affinity: streams stick to nodes, in kilometres.
//!
//! Each edge that serves a stream pulls it from upstream once. So a stream's viewers should meet on few edges,
//! the same ones from every replica, without a table that replicas would have to share: weighted rendezvous
//! hashing. In its Gumbel-max form it is a sum, and so it can be priced in km beside distance:
//!
//! `A · (G_max − G(h(stream, node)) + ln(cap_max / cap_node))`, `G(h) = −ln(−ln h)`.
//!
//! With equal distance and pressure this picks a node with probability ∝ capacity; when a node leaves, only its
//! own streams move. Streams are put into 256 buckets, and a bucket stands for all its streams: the order of a
//! PoP's nodes can then be worked out once per fleet and not per question.
//!
//! **The hash is fixed for ever**: every replica and every version must agree, so it is written out here and its
//! values are held by a test.

use super::fleet::{Group, share};
use super::node::{Node, NodeIndex};

/// Steps of a quantised term: 0.01 km with A = 40 km.
const STEPS: f64 = 4_096.0;

/// Buckets that streams fall into.
pub const BUCKETS: usize = 256;

/// G of the largest h there is (0.999): `−ln(−ln 0.999)`.
pub const G_MAX: f64 = 6.907_255_070_523_633;

/// For each bucket the nodes of each group, most wanted first. 4 bytes × nodes × 256: 10 MB at 10,000 nodes.
#[derive(Debug, Default)]
pub struct AffinityOrder {
    entries: Box<[Entry]>,
    /// The heads of all groups' orders, bucket by bucket: mostly all that a decision reads, and in few cache lines,
    /// where the orders are spread over megabytes.
    heads: Box<[Head]>,
    nodes: usize,
    groups: usize,
    first: u32,
}

/// One node in a group's order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Affinity term, [`STEPS`] to the unit.
    term: u16,
    /// The node's place in its group.
    offset: u16,
}

/// Nodes in a head.
const HEAD: usize = 4;

/// The first nodes of a group's order; where the group has fewer, the rest is of no meaning.
type Head = [Entry; HEAD];

/// A group's nodes in a bucket's order.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    head: &'a Head,
    /// The whole order, not touched before the head is used up.
    order: &'a [Entry],
    start: u32,
    at: usize,
}

/// A stream's bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket(pub u8);

// === impl AffinityOrder ===

impl AffinityOrder {
    /// Works the orders of a pool out: some 40 ms at 10,000 nodes. `nodes` are the pool's, the first of them
    /// number `first` of the fleet.
    #[must_use]
    pub fn build(nodes: &[Node], groups: &[Group], first: u32) -> Self {
        let largest = nodes.iter().map(share).fold(f64::MIN_POSITIVE, f64::max);
        let known: Vec<(u64, f64)> =
            nodes.iter().map(|node| (hash(node.id.as_bytes()), share(node) / largest)).collect();
        let mut entries = Vec::with_capacity(nodes.len() * BUCKETS);
        let mut heads = vec![Head::default(); groups.len() * BUCKETS];
        for bucket in 0..=u8::MAX {
            for group in groups {
                let from = entries.len();
                let run = (group.members.start - first) as usize..(group.members.end - first) as usize;
                for (offset, (node_hash, share)) in (0u16..).zip(&known[run]) {
                    let term = quantise(term(Bucket(bucket), *node_hash, *share));
                    entries.push(Entry { term, offset });
                }
                entries[from..].sort_unstable();
                let head = &mut heads[usize::from(bucket) * groups.len() + group.place as usize];
                head.iter_mut().zip(&entries[from..]).for_each(|(head, entry)| *head = *entry);
            }
        }
        Self { entries: entries.into(), heads: heads.into(), nodes: nodes.len(), groups: groups.len(), first }
    }

    /// Term of the most wanted node of a group for a bucket, in units of A.
    #[must_use]
    #[inline]
    pub fn lead(&self, bucket: Bucket, group: &Group) -> f32 {
        self.head(bucket, group)[0].term()
    }

    #[inline]
    fn head(&self, bucket: Bucket, group: &Group) -> &Head {
        &self.heads[usize::from(bucket.0) * self.groups + group.place as usize]
    }

    /// The nodes of a group for a bucket, most wanted first, each with its term in units of A.
    #[must_use]
    #[inline]
    pub fn of(&self, bucket: Bucket, group: &Group) -> Wanted<'_> {
        let row = usize::from(bucket.0) * self.nodes;
        let start = group.members.start;
        let run = (start - self.first) as usize..(group.members.end - self.first) as usize;
        Wanted {
            head: self.head(bucket, group),
            order: &self.entries[row + run.start..row + run.end],
            start,
            at: 0,
        }
    }
}

// === impl Wanted ===

impl Wanted<'_> {
    /// The term of the next node.
    #[must_use]
    #[inline]
    pub fn next_term(&self) -> Option<f32> {
        (self.at < self.order.len()).then(|| self.entry().term())
    }

    #[inline]
    fn entry(&self) -> Entry {
        if self.at < HEAD { self.head[self.at] } else { self.order[self.at] }
    }
}

impl Iterator for Wanted<'_> {
    type Item = (NodeIndex, f32);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let entry = (self.at < self.order.len()).then(|| self.entry())?;
        self.at += 1;
        Some((NodeIndex(self.start + u32::from(entry.offset)), entry.term()))
    }
}

impl Entry {
    #[inline]
    fn term(self) -> f32 {
        f32::from(self.term) / STEPS_F32
    }
}

impl AffinityOrder {
    /// The term of one node of a group for a bucket, in units of A. A walk over the group: for explanations.
    #[must_use]
    pub fn term_of(&self, bucket: Bucket, group: &Group, node: NodeIndex) -> Option<f32> {
        self.of(bucket, group).find(|(other, _)| *other == node).map(|(_, term)| term)
    }
}

const STEPS_F32: f32 = 4_096.0;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 16 bits; terms end near 15"
)]
fn quantise(term: f64) -> u16 {
    (term * STEPS).round().clamp(0.0, f64::from(u16::MAX)) as u16
}

// === impl Bucket ===

impl Bucket {
    /// The bucket of a stream key.
    #[must_use]
    pub fn of_stream(key: &str) -> Self {
        Self::of_hash(hash(key.as_bytes()))
    }

    /// The bucket of a 64-bit hash.
    #[must_use]
    pub fn of_hash(hash: u64) -> Self {
        // The upper bits of FNV are the well-mixed ones once finished.
        Self(finish(hash).to_be_bytes()[0])
    }
}

/// FNV-1a over bytes: short keys, no dependency, the same on every machine.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// The finaliser of splitmix64: FNV's low bits are poor.
pub(super) fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The affinity term of a node for a bucket, in units of A: 0 for the most wanted node, growing without bound.
/// `share` is its capacity over that of the largest node of the pool, above 0 up to 1.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
pub fn term(bucket: Bucket, node_hash: u64, share: f64) -> f64 {
    let mixed = finish(node_hash ^ (u64::from(bucket.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let h = (((mixed >> 11) as f64 + 0.5) / (1u64 << 53) as f64).clamp(1e-9, 0.999);
    let gumbel = -(-h.ln()).ln();
    (G_MAX - gumbel - share.clamp(1e-6, 1.0).ln()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(hash(b"live/show"), 17_914_687_837_965_266_905);
        let buckets: Vec<u8> =
            ["live/show", "live/a", "live/b", ""].map(|key| Bucket::of_stream(key).0).to_vec();
        assert_eq!(buckets, [157, 176, 193, 245]);
    }

    #[test]
    fn with_equal_distance_streams_spread_in_proportion_to_capacity() {
        let nodes: Vec<(u64, f64)> = (0..40)
            .map(|i| (hash(format!("node-{i}").as_bytes()), if i < 20 { 1.0 } else { 0.25 }))
            .collect();
        let mut large = 0;
        for bucket in 0..=255u8 {
            let best = nodes.iter().enumerate().min_by(|a, b| {
                term(Bucket(bucket), a.1.0, a.1.1).total_cmp(&term(Bucket(bucket), b.1.0, b.1.1))
            });
            large += u32::from(best.unwrap().0 < 20);
        }
        assert!((190..=220).contains(&large), "{large} of 256, expected 4 in 5");
    }
}
