//! Streams: where one lives, who may publish it here, and whether a node's next client is better off elsewhere.

use std::net::IpAddr;
use std::sync::Arc;

use super::Resolver;
use crate::config::{Streams as Rules, Verdict};
use crate::schedule::booking::status;
use crate::schedule::node::{Node, NodeIndex, Role, UrlHost};
use crate::state::Live;
use crate::state::hosts::Whose;
use crate::state::streams::{MOST_ORIGINS, Publication, Published, StreamName};

/// What a media server is told of a publisher or a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may go on.
    Admitted,
    /// It may, and the table is full: nobody will find the stream here.
    Unlisted,
    /// Its stream lives on this node.
    Elsewhere(Arc<str>),
    /// The node is over its threshold, or leaving, and another one of its pool has room.
    Overloaded,
}

/// Where a stream can be had by RTMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The node.
    pub node: Box<str>,
    /// Its address.
    pub ip: IpAddr,
    /// Its RTMP port.
    pub rtmp: u16,
    /// The port of its media server's API.
    pub api: Option<u16>,
}

// === impl Resolver ===

impl Resolver {
    /// A publisher comes to a node; admitted, the node has its stream from now on. Only origins have streams; `client` is
    /// where the publisher calls from, which tells a relay of another origin.
    #[must_use]
    pub fn publish(&self, publication: Publication<'_>, client: Option<IpAddr>, rules: &Rules) -> Admission {
        let live = self.state.live();
        let Some(index) = live.fleet.by_id(publication.node) else { return Admission::Admitted };
        let calls_from = client.and_then(|ip| node_at(&live, ip)).filter(|other| *other != index);
        let relayed = calls_from.is_some_and(|other| self.has(publication.name, &live.fleet.node(other).id));
        if !relayed && rules.overloaded_origin == Verdict::Refuse && is_better_left(&live, index) {
            return Admission::Overloaded;
        }
        if live.fleet.node(index).role != Role::Origin {
            return Admission::Admitted;
        }
        let anywhere = relayed || rules.second_origin == Verdict::Allow;
        let counts = |node: &str| live.fleet.by_id(node).is_some_and(|other| !is_down(&live, other));
        match self.state.streams().publish(publication, anywhere, counts, self.state.clock().now()) {
            Published::Here => Admission::Admitted,
            Published::Full => Admission::Unlisted,
            Published::Elsewhere(node) => Admission::Elsewhere(node),
        }
    }

    /// A publisher has left a node.
    pub fn unpublish(&self, publication: Publication<'_>) {
        self.state.streams().unpublish(publication, self.state.clock().now());
    }

    /// A viewer comes to a node.
    #[must_use]
    pub fn play(&self, node: &str, rules: &Rules) -> Admission {
        let live = self.state.live();
        let index = live.fleet.by_id(node).filter(|_| rules.overloaded_edge == Verdict::Refuse);
        match index.is_some_and(|index| is_better_left(&live, index)) {
            true => Admission::Overloaded,
            false => Admission::Admitted,
        }
    }

    fn has(&self, name: &StreamName, node: &str) -> bool {
        self.state.streams().origins(name.vhost(), name.name()).iter().any(|origin| **origin == *node)
    }

    /// What a node serves as.
    #[must_use]
    pub fn role(&self, node: &str) -> Option<Role> {
        let live = self.state.live();
        live.fleet.by_id(node).map(|index| live.fleet.node(index).role)
    }

    /// Where a stream can be had: the origin to which it was published last among those that are up and speak RTMP,
    /// the asker itself aside.
    #[must_use]
    pub fn origin(&self, vhost: &str, name: &str, asker: Option<&str>) -> Option<Upstream> {
        let live = self.state.live();
        let origins = self.state.streams().origins(vhost, name);
        let others = origins.iter().filter(|node| Some(&***node) != asker);
        let mut up = others.filter_map(|node| live.fleet.by_id(node)).filter(|index| !is_down(&live, *index));
        up.find_map(|index| Upstream::of(live.fleet.node(index)))
    }

    /// Other origins of a node's pool that have room and not yet this stream, the least pressed first: whom it is
    /// forwarded to. None for what was forwarded itself, or it would go round in circles.
    #[must_use]
    pub fn relays(
        &self,
        node: &str,
        (vhost, name): (&str, &str),
        client: Option<IpAddr>,
        count: usize,
    ) -> Vec<Upstream> {
        let live = self.state.live();
        let Some(index) = live.fleet.by_id(node).filter(|_| count > 0) else { return Vec::new() };
        if client.is_some_and(|ip| node_at(&live, ip).is_some()) {
            return Vec::new();
        }
        let have = self.state.streams().origins(vhost, name);
        let mut others: Vec<(f32, NodeIndex)> = live
            .fleet
            .siblings(index)
            .filter(|other| {
                let node = live.fleet.node(*other);
                node.role == Role::Origin && !have.iter().any(|id| **id == *node.id)
            })
            .filter_map(|other| Some((live.room(other, live.default_mbps())?, other)))
            .collect();
        others.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let upstreams = others.iter().filter_map(|(_, other)| Upstream::of(live.fleet.node(*other)));
        upstreams.take(count.min(MOST_ORIGINS)).collect()
    }
}

/// Whether a node is over its threshold or leaving, while another one of its pool has room.
fn is_better_left(live: &Live, index: NodeIndex) -> bool {
    let leaving = live.ledger.line(index).is(status::DRAINING);
    (leaving || live.ledger.pressure(index, 0.0) >= 1.0)
        && live.fleet.siblings(index).any(|other| live.room(other, live.default_mbps()).is_some())
}

fn is_down(live: &Live, index: NodeIndex) -> bool {
    live.ledger.line(index).is(status::DOWN)
}

/// The node that calls from there.
fn node_at(live: &Live, ip: IpAddr) -> Option<NodeIndex> {
    match live.whose(ip) {
        Some(Whose::One(index)) => Some(index),
        _ => None,
    }
}

// === impl Upstream ===

impl Upstream {
    /// `None`: the node speaks no RTMP.
    fn of(node: &Node) -> Option<Self> {
        let (ip, rtmp) = (node.addresses().next()?, node.ports.rtmp?);
        Some(Self { node: node.id.clone(), ip, rtmp, api: node.ports.api })
    }

    /// Its address as it stands in a URL.
    #[must_use]
    pub fn host(&self) -> String {
        UrlHost(self.ip).to_string()
    }

    /// The URL of a stream there, "app/stream", of a vhost ("": the default one), for a media server: those do not decode
    /// names, so that nothing is escaped.
    #[must_use]
    pub fn url(&self, vhost: &str, name: &str) -> String {
        let vhost = if vhost.is_empty() { String::new() } else { format!("?vhost={vhost}") };
        format!("rtmp://{}:{}/{name}{vhost}", self.host(), self.rtmp)
    }
}

#[cfg(test)]
mod tests;
