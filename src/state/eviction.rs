//! Eviction: who is connected to a node, and the hands that send somebody away.
//!
//! Whoever decides whom and how fast (`rebalance`) and whoever speaks to media servers (`scrape`) meet here.

use std::net::IpAddr;

use futures_util::future::BoxFuture;

use crate::schedule::node::{Node, UrlHost};

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

// === impl Api ===

impl Api {
    /// Where a node's media server takes orders: at the host of its first exporter, because the machine is reached there
    /// from here, else at its own address. `None`: it has no `media.api`.
    #[must_use]
    pub fn of(node: &Node) -> Option<Self> {
        let port = node.ports.api?;
        let url = node.exporters.iter().find_map(|url| reqwest::Url::parse(url).ok());
        let host = url.and_then(|url| url.host_str().map(str::to_owned));
        let own = || node.addresses().next().map(|ip| UrlHost(ip).to_string());
        Some(Self { base: format!("http://{}:{port}", host.or_else(own)?).into() })
    }
}
