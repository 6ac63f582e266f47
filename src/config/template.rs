//! What a node that registers is like, beside what it says of itself.

use std::net::IpAddr;

use crate::schedule::node::{MediaPorts, Node, UrlHost};
use crate::schedule::place::Location;

/// `[callers.register]`: nodes of this pool may come by themselves, by their heartbeats.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// All that is the same for each: pool, role, place, capacity, limits. What is a node's own is not filled in.
    shared: Node,
    /// Whether its PoP is its own, for want of a configured one.
    own_pop: bool,
    /// Whether the address that a heartbeat names is taken for the node's, instead of the one that it comes from;
    /// default no.
    pub trust_ip: bool,
    /// Most nodes that are registered at once, 1…10,000; default 1,000.
    pub most: usize,
    /// How long a node that sends nothing any more is remembered, ms, 1 min…7 d; default 10 min.
    pub forget_ms: u64,
}

// === impl Template ===

impl Template {
    /// Where a node's address stands in its exporters' URLs.
    pub const ADDRESS: &str = "{ip}";

    /// A template of what nodes share.
    pub(super) fn new(shared: Node, own_pop: bool, trust_ip: bool, most: usize, forget_ms: u64) -> Self {
        Self { shared, own_pop, trust_ip, most, forget_ms }
    }

    /// Puts its nodes where their PoP is, unless they have a place of their own.
    pub(super) fn stand_at(&mut self, place_of: impl FnOnce(&str) -> Option<Location>) {
        if self.shared.location.is_none() && !self.own_pop {
            self.shared.location = place_of(&self.shared.pop);
        }
    }

    /// The pool that nodes appear in.
    #[must_use]
    pub fn pool(&self) -> &str {
        &self.shared.pool
    }

    /// Heartbeats in a row that may be missing.
    #[must_use]
    pub fn missed(&self) -> Option<u32> {
        self.shared.missed
    }

    /// The node that has registered.
    #[must_use]
    pub fn node(&self, id: &str, address: IpAddr, ports: MediaPorts) -> Node {
        let host = UrlHost(address).to_string();
        let mut node = self.shared.clone();
        node.id = id.into();
        if self.own_pop {
            node.pop = id.into();
        }
        match address {
            IpAddr::V4(ip) => node.ipv4 = vec![ip],
            IpAddr::V6(ip) => node.ipv6 = vec![ip],
        }
        node.ports = ports;
        for url in &mut node.exporters {
            *url = url.replace(Self::ADDRESS, &host).into();
        }
        node
    }
}
