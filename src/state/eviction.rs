//! Eviction: who is connected to a node, and the hands that send somebody away.
//!
//! Whoever decides whom and how fast (`rebalance`) and whoever speaks to media servers (`scrape`) meet here.

use std::net::IpAddr;

use futures_util::future::BoxFuture;

use super::Live;
use crate::schedule::fleet::Pool;
use crate::schedule::node::NodeIndex;

/// Where a media server takes orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// `http://host:port`, without a path.
    pub base: Box<str>,
}

/// Somebody who is connected to a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// What the media server calls it.
    pub id: Box<str>,
    /// Where it connects from, as far as that is told.
    pub ip: Option<IpAddr>,
    /// It sends a stream, and does not watch one.
    pub publishes: bool,
    /// Connected for so long, s.
    pub alive_s: f64,
}

/// What became of an order to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evicted {
    /// It was sent away.
    Kicked,
    /// It had gone already.
    Gone,
}

/// Whoever speaks to media servers. Errors are words for an operator, without addresses and secrets.
pub trait Hands: Send + Sync + 'static {
    /// Who is connected.
    fn clients(&self, api: Api) -> BoxFuture<'static, Result<Vec<Client>, String>>;
    /// Sends somebody away.
    fn evict(&self, api: Api, client: Box<str>) -> BoxFuture<'static, Result<Evicted, String>>;
}

// === impl Live ===

impl Live {
    /// Where a node's media server takes orders: at the host of its first exporter, because the machine is reached
    /// there from here, else at its own address. `None`: it has no `media.api`.
    #[must_use]
    pub fn api(&self, node: NodeIndex) -> Option<Api> {
        let node = self.fleet.node(node);
        let port = node.ports.api?;
        let url = node.exporters.iter().find_map(|url| reqwest::Url::parse(url).ok());
        let host = url.and_then(|url| url.host_str().map(str::to_owned));
        let own = || {
            node.addresses().next().map(|ip| match ip {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            })
        };
        Some(Api { base: format!("http://{}:{port}", host.or_else(own)?).into() })
    }

    /// For how many viewers of a node, up to `most`, the other nodes of its pool have room.
    #[must_use]
    pub fn places_beside(&self, node: NodeIndex, most: u32) -> u32 {
        let pool = self.fleet.pools.iter().find(|pool| pool.members.contains(&node.0));
        let mbps = self.report(node).mbps_per_client.unwrap_or(f64::from(self.plan.default_kbps) / 1_000.0);
        let others = pool.into_iter().flat_map(Pool::nodes).filter(|other| *other != node);
        let mut places = 0;
        for other in others.filter(|other| !self.ledger.line(*other).is(self.ledger.unfit())) {
            let mut own = 0;
            while places < most && self.fits(other, own + 1, mbps) {
                (own, places) = (own + 1, places + 1);
            }
        }
        places
    }

    /// Whether so many viewers more would leave a node under its limits.
    #[expect(clippy::cast_possible_truncation, reason = "a bitrate needs three digits")]
    fn fits(&self, node: NodeIndex, viewers: u32, mbps: f64) -> bool {
        self.ledger.pressure(node, (f64::from(viewers) * mbps) as f32) < 1.0
    }
}
