//! What a node is: the part of it that configuration or discovery tells and that no scrape changes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::place::Location;
use super::thresholds::Thresholds;

/// A node's place in [`super::fleet::Fleet::nodes`]. Valid for one fleet snapshot only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub u32);

/// What a node serves as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Serves viewers and pulls from an upstream.
    #[default]
    Edge,
    /// Takes publishers; the source of streams.
    Origin,
    /// Serves WebRTC: bound by CPU before bandwidth, so its thresholds start lower.
    Rtc,
    /// Relays WebRTC.
    Turn,
}

/// Ports for redirects and interop; `None` where the node does not speak it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaPorts {
    /// RTMP, usually 1935.
    pub rtmp: Option<u16>,
    /// HTTP-FLV and HLS, usually 8080.
    pub http: Option<u16>,
    /// The same with TLS.
    pub https: Option<u16>,
    /// The media server's own API, usually 1985.
    pub api: Option<u16>,
    /// SRT, usually 10080.
    pub srt: Option<u16>,
    /// WebRTC over UDP, usually 8000.
    pub rtc: Option<u16>,
}

/// One server that serves media.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique name.
    pub id: Box<str>,
    /// Name of the pool it serves.
    pub pool: Box<str>,
    /// What it serves as.
    pub role: Role,
    /// Site; nodes of one PoP share fate and, for the choice, distance.
    pub pop: Box<str>,
    /// IPv4 addresses that players connect to.
    pub ipv4: Vec<Ipv4Addr>,
    /// IPv6 addresses that players connect to.
    pub ipv6: Vec<Ipv6Addr>,
    /// Where it stands; `None` until it has been located (by its own address) or cannot be.
    pub location: Option<Location>,
    /// Configured egress capacity, Mbit/s; `None`: the NIC's speed counts.
    pub bandwidth_mbps: Option<f64>,
    /// Multiplies its capacity in choices, above 0…100, 1 by default.
    pub weight: f64,
    /// What its traffic costs, relative to others of its pool, 0…1,000; 1 by default.
    pub price: f64,
    /// Internet providers whose line it is on; empty: any client's.
    pub isps: Vec<Box<str>>,
    /// Limits in force for this node: defaults, then its role's profile, its pool's, its own.
    pub thresholds: Thresholds,
    /// Ports players use.
    pub ports: MediaPorts,
    /// Process names that count as media processes; empty: every process on its pages does.
    pub processes: Vec<Box<str>>,
    /// Network interfaces that carry viewers; empty: all physical ones.
    pub interfaces: Vec<Box<str>>,
    /// Exporter pages, in the order of the configuration.
    pub exporters: Vec<Box<str>>,
    /// Heartbeats in a row that may be missing before it counts as down; `None`: none are expected of it.
    pub missed: Option<u32>,
}

/// An address as it stands in a URL: IPv6 gets its brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlHost(pub IpAddr);

// === impl Role ===

impl Role {
    /// The word used in configuration and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Origin => "origin",
            Self::Rtc => "rtc",
            Self::Turn => "turn",
        }
    }
}

// === impl Node ===

impl Node {
    /// An edge of which nothing else is told.
    #[must_use]
    pub fn new(id: &str, pool: &str, pop: &str) -> Self {
        Self {
            id: id.into(),
            pool: pool.into(),
            role: Role::Edge,
            pop: pop.into(),
            ipv4: Vec::new(),
            ipv6: Vec::new(),
            location: None,
            bandwidth_mbps: None,
            weight: 1.0,
            price: 1.0,
            isps: Vec::new(),
            thresholds: Thresholds::default(),
            ports: MediaPorts::default(),
            processes: Vec::new(),
            interfaces: Vec::new(),
            exporters: Vec::new(),
            missed: None,
        }
    }

    /// All addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.ipv4.iter().map(|ip| IpAddr::V4(*ip)).chain(self.ipv6.iter().map(|ip| IpAddr::V6(*ip)))
    }
}

// === impl UrlHost ===

impl fmt::Display for UrlHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "{ip}"),
            IpAddr::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

// === impl NodeIndex ===

impl NodeIndex {
    /// As an index into a slice of nodes.
    #[must_use]
    pub fn get(self) -> usize {
        self.0 as usize
    }
}
