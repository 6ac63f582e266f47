//! A map from networks to values that also tells how far around an address its answer holds.
//!
//! A plain binary tree: at most 32 or 128 steps, 16 bytes a node plus the value. The ends of the walk give the
//! covering prefix for free, which a sorted list or a hash map per prefix length would not.

use std::net::IpAddr;

use ipnet::IpNet;

/// Values by network, both families.
#[derive(Clone, Debug)]
pub(super) struct Networks<T> {
    v4: Vec<Node<T>>,
    v6: Vec<Node<T>>,
}

#[derive(Clone, Debug)]
struct Node<T> {
    /// By next bit; 0 (the root, nobody's child) stands for none.
    children: [u32; 2],
    value: Option<T>,
}

// === impl Networks ===

impl<T> Networks<T> {
    pub(super) fn new() -> Self {
        Self { v4: vec![Node::empty()], v6: vec![Node::empty()] }
    }

    /// The place for a network's value, made if need be.
    pub(super) fn slot(&mut self, network: IpNet) -> &mut Option<T> {
        let bits = bits(network.network());
        let nodes = match network {
            IpNet::V4(_) => &mut self.v4,
            IpNet::V6(_) => &mut self.v6,
        };
        let mut at = 0;
        for depth in 0..network.prefix_len() {
            let side = bit(bits, depth);
            let mut child = nodes[at].children[side] as usize;
            if child == 0 {
                child = nodes.len();
                nodes.push(Node::empty());
                nodes[at].children[side] = u32::try_from(child).unwrap_or(0);
            }
            at = child;
        }
        &mut nodes[at].value
    }

    /// Shows `visit` every value whose network holds `ip`, with its prefix length, shortest first. Returns the
    /// shortest prefix of `ip` within which every address is shown the same values.
    pub(super) fn walk<'a>(&'a self, ip: IpAddr, mut visit: impl FnMut(u8, &'a T)) -> u8 {
        let nodes = match ip {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        let bits = bits(ip);
        let mut at = 0;
        let mut depth = 0;
        loop {
            let node = &nodes[at];
            if let Some(value) = &node.value {
                visit(depth, value);
            }
            if node.children == [0, 0] {
                return depth;
            }
            at = node.children[bit(bits, depth)] as usize;
            depth += 1;
            if at == 0 {
                return depth;
            }
        }
    }
}

// === impl Node ===

impl<T> Node<T> {
    fn empty() -> Self {
        Self { children: [0, 0], value: None }
    }
}

/// The address as the high bits of a number, so that bit 0 is the first of either family.
fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn bit(bits: u128, depth: u8) -> usize {
    usize::from(bits >> (127 - depth) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree(networks: &[IpNet]) -> Networks<IpNet> {
        let mut tree = Networks::new();
        for network in networks {
            *tree.slot(*network) = Some(network.trunc());
        }
        tree
    }

    fn holders(tree: &Networks<IpNet>, ip: IpAddr) -> (Vec<IpNet>, u8) {
        let mut seen = Vec::new();
        let prefix = tree.walk(ip, |_, network| seen.push(*network));
        (seen, prefix)
    }

    #[test]
    fn walk_shows_the_networks_around_an_address_from_wide_to_narrow() {
        let networks = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32"].map(|n| n.parse().unwrap());
        let tree = tree(&networks);
        assert_eq!(holders(&tree, "10.1.2.3".parse().unwrap()), (networks.to_vec(), 32));
        assert_eq!(holders(&tree, "10.1.2.2".parse().unwrap()), (networks[..2].to_vec(), 32));
        assert_eq!(holders(&tree, "10.1.128.1".parse().unwrap()), (networks[..2].to_vec(), 17));
        assert_eq!(holders(&tree, "10.128.0.1".parse().unwrap()), (networks[..1].to_vec(), 9));
        assert_eq!(holders(&tree, "128.0.0.1".parse().unwrap()), (vec![], 1));
        assert_eq!(holders(&tree, "::1".parse().unwrap()), (vec![], 0));
    }

    fn network() -> impl Strategy<Value = IpNet> {
        // Few distinct bits, so that networks nest and touch.
        (
            prop::sample::select(vec![0x0a00_0000_u32, 0x0a01_0000, 0x0a01_8000, 0xc000_0000]),
            0..=32_u8,
            any::<u8>(),
        )
            .prop_map(|(base, length, low)| {
                IpNet::new(IpAddr::V4((base | u32::from(low)).into()), length).unwrap().trunc()
            })
    }

    proptest! {
        #[test]
        fn every_address_within_the_covering_prefix_gets_the_same_networks(
            networks in prop::collection::vec(network(), 0..12), base in network(), host: u32,
        ) {
            let tree = tree(&networks);
            let ip = base.network();
            let (seen, prefix) = holders(&tree, ip);
            let mut expected: Vec<_> = networks.iter().filter(|n| n.contains(&ip)).copied().collect();
            expected.sort_by_key(IpNet::prefix_len);
            expected.dedup();
            prop_assert_eq!(&seen, &expected);

            let IpAddr::V4(v4) = ip else { unreachable!() };
            let mask = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            let neighbour = IpAddr::V4((u32::from(v4) & !mask | host & mask).into());
            prop_assert_eq!(holders(&tree, neighbour), (seen, prefix));
        }
    }
}
