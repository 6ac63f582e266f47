//! Hosts: which node an address speaks for that is not one where players go.
//!
//! A media server calls from the address that its machine has inside, which is mostly that of its exporters. Only literal
//! addresses count: what a name resolves to is for others to say.

use std::collections::HashMap;
use std::net::IpAddr;

use reqwest::Url;

use super::Live;
use crate::config::literal_address;
use crate::schedule::fleet::Fleet;
use crate::schedule::node::NodeIndex;

/// The hosts of exporters.
#[derive(Debug, Default)]
pub struct Hosts(HashMap<IpAddr, Whose>);

/// Whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This node's.
    One(NodeIndex),
    /// That of a machine with several nodes: which of them calls has to be told otherwise.
    Several,
}

// === impl Hosts ===

impl Hosts {
    /// Those of a fleet.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Self {
        let mut hosts = HashMap::new();
        for (index, node) in (0u32..).map(NodeIndex).zip(&fleet.nodes) {
            let urls = node.exporters.iter().filter_map(|url| Url::parse(url).ok());
            for ip in urls.filter_map(|url| literal_address(&url)) {
                let whose = hosts.entry(ip).or_insert(Whose::One(index));
                if *whose != Whose::One(index) {
                    *whose = Whose::Several;
                }
            }
        }
        Self(hosts)
    }

    /// Whose exporters an address has.
    #[must_use]
    pub fn at(&self, ip: IpAddr) -> Option<Whose> {
        self.0.get(&ip).copied()
    }
}

// === impl Live ===

impl Live {
    /// Whose address it is: where players go, or where exporters are.
    #[must_use]
    pub fn whose(&self, ip: IpAddr) -> Option<Whose> {
        self.fleet.at_address(ip).map(Whose::One).or_else(|| self.hosts.at(ip))
    }
}
