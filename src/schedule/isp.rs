//! Internet providers as numbers: a node's set is 64 bits, a client's is one of them.
//!
//! Only the providers that some node names count, in alphabetical order, so that everybody who has the same nodes
//! numbers them alike: the geo module, which knows the client's, and the fleet.

use super::node::Node;

/// Most providers that the nodes of a configuration can name.
pub const MOST_ISPS: usize = 64;

/// A client's internet provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IspId(pub u8);

// === impl IspId ===

impl IspId {
    /// A known one that no node names.
    pub const OTHER: Self = Self(64);

    /// The number of a provider among `names`, in whatever case it is written.
    #[must_use]
    pub fn of(name: &str, names: &[Box<str>]) -> Self {
        let at = names.iter().position(|known| known.eq_ignore_ascii_case(name));
        at.and_then(|at| u8::try_from(at).ok()).map_or(Self::OTHER, Self)
    }

    /// Its bit in a node's set; none for [`IspId::OTHER`].
    #[must_use]
    pub fn bit(self) -> u64 {
        1u64.checked_shl(u32::from(self.0)).unwrap_or(0)
    }
}

/// The providers that nodes name, in the order of their numbers: lower case, alphabetical, at most [`MOST_ISPS`].
#[must_use]
pub fn names(nodes: &[Node]) -> Vec<Box<str>> {
    let named = nodes.iter().flat_map(|node| &node.isps);
    let mut names: Vec<Box<str>> = named.map(|name| name.to_ascii_lowercase().into()).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MOST_ISPS);
    names
}

/// A node's providers as bits; 0: it names none, so it serves any alike.
#[must_use]
pub fn set(node: &Node, names: &[Box<str>]) -> u64 {
    node.isps.iter().map(|name| IspId::of(name, names).bit()).fold(0, |set, bit| set | bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_known_in_any_case_and_one_that_no_node_names_has_no_bit() {
        let names: Vec<Box<str>> = ["telecom", "unicom"].map(Into::into).to_vec();
        assert_eq!((IspId::of("Unicom", &names).bit(), IspId::of("TELECOM", &names).bit()), (2, 1));
        assert_eq!((IspId::of("mobile", &names), IspId::OTHER.bit()), (IspId::OTHER, 0));
        assert_eq!(IspId(63).bit(), 1 << 63);
    }
}
