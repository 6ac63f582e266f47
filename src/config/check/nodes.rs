//! `[[nodes]]`: the servers that serve media.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use toml::Spanned;

use super::thresholds::{self, Layer};
use crate::config::raw::Section;
use crate::config::report::quoted;
use crate::config::values::{
    exporter_url, location, number, player_address, port, positive, rate, string, text, word,
};
use crate::schedule::node::{MediaPorts, Node, Role};
use crate::schedule::place::Location;
use crate::schedule::thresholds::Thresholds;

/// Egress capacity of a machine, Mbit/s: 1 Mbps to 10 Tbps.
pub(super) const BANDWIDTH_MBPS: RangeInclusive<f64> = 1.0..=1e7;

/// A weight above this is a mistyped one.
const MOST_WEIGHT: f64 = 100.0;

/// A price above this is a mistyped one.
const PRICE: RangeInclusive<f64> = 0.0..=1_000.0;

/// The words of `role`.
pub(super) const ROLES: [Role; 4] = [Role::Edge, Role::Origin, Role::Rtc, Role::Turn];

/// A node as read.
#[derive(Debug)]
pub(super) struct NodeDraft<'a> {
    /// As written, even if it cannot be an id.
    pub(super) id: Option<Spanned<&'a str>>,
    pub(super) pool: Option<Spanned<&'a str>>,
    pub(super) pop: Option<&'a str>,
    pub(super) role: Role,
    pub(super) addresses: Vec<Spanned<IpAddr>>,
    pub(super) location: Option<Location>,
    pub(super) bandwidth_mbps: Option<f64>,
    pub(super) weight: f64,
    pub(super) price: f64,
    pub(super) isps: Vec<Spanned<&'a str>>,
    pub(super) layer: Layer,
    pub(super) ports: MediaPorts,
    pub(super) processes: Vec<Box<str>>,
    pub(super) interfaces: Vec<Box<str>>,
    pub(super) exporters: Vec<Spanned<&'a str>>,
}

pub(super) fn read<'a>(section: &mut Section<'a>) -> NodeDraft<'a> {
    section.demand("id");
    NodeDraft {
        id: super::own_name(section, "id"),
        pool: section.require("pool", string),
        role: section.get_or("role", Role::default(), word(&ROLES, Role::as_str)),
        pop: super::own_name(section, "pop").map(Spanned::into_inner),
        addresses: read_addresses(section),
        location: section.table_if_any("location", location).and_then(Spanned::into_inner),
        bandwidth_mbps: section.get("bandwidth", rate(BANDWIDTH_MBPS)).map(Spanned::into_inner),
        weight: section.get_or("weight", 1.0, positive(MOST_WEIGHT)),
        price: section.get_or("price", 1.0, number(PRICE)),
        isps: read_isps(section),
        ports: section.table("media", read_ports),
        exporters: read_exporters(section),
        processes: read_words(section, "processes"),
        interfaces: read_words(section, "interfaces"),
        layer: section.table("thresholds", thresholds::read),
    }
}

fn read_addresses(section: &mut Section<'_>) -> Vec<Spanned<IpAddr>> {
    section.demand("addresses");
    section.list("addresses", player_address).map(Spanned::into_inner).unwrap_or_default()
}

fn read_ports(section: &mut Section<'_>) -> MediaPorts {
    let mut read = |key| section.get(key, port).map(Spanned::into_inner);
    MediaPorts {
        rtmp: read("rtmp"),
        http: read("http"),
        https: read("https"),
        api: read("api"),
        srt: read("srt"),
        rtc: read("rtc"),
    }
}

/// Pages scraped twice would count their load twice.
fn read_exporters<'a>(section: &mut Section<'a>) -> Vec<Spanned<&'a str>> {
    let list = section.list("exporters", exporter_url).map(Spanned::into_inner).unwrap_or_default();
    super::report_twins(section.report(), list.iter().map(|url| (&url.get_ref().1, url.span())), |_| {
        "exporters: this page is listed already".to_owned()
    });
    list.into_iter().map(|url| Spanned::new(url.span(), url.into_inner().0)).collect()
}

fn read_isps<'a>(section: &mut Section<'a>) -> Vec<Spanned<&'a str>> {
    let list = section.list("isps", text).map(Spanned::into_inner).unwrap_or_default();
    let names = list.iter().map(|isp| (isp.get_ref().to_ascii_lowercase(), isp.span()));
    super::report_twins(section.report(), names, |isp| format!("isps: {} is listed already", quoted(isp)));
    list
}

fn read_words(section: &mut Section<'_>, key: &'static str) -> Vec<Box<str>> {
    let list = section.list(key, text).map(Spanned::into_inner).unwrap_or_default();
    super::report_twins(section.report(), list.iter().map(|word| (*word.get_ref(), word.span())), |word| {
        format!("{key}: {} is listed already", quoted(word))
    });
    list.into_iter().map(|word| word.into_inner().into()).collect()
}

// === impl NodeDraft ===

impl NodeDraft<'_> {
    /// The node, its limits worked out by the caller; `None` if it lacks what was reported.
    pub(super) fn into_node(self, thresholds: Thresholds) -> Option<Node> {
        let id = self.id?.into_inner();
        let addresses = || self.addresses.iter().map(|ip| *ip.get_ref());
        Some(Node {
            id: id.into(),
            pool: self.pool?.into_inner().into(),
            role: self.role,
            pop: self.pop.unwrap_or(id).into(),
            ipv4: addresses()
                .filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(ip) } else { None })
                .collect(),
            ipv6: addresses()
                .filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(ip) } else { None })
                .collect(),
            location: self.location,
            bandwidth_mbps: self.bandwidth_mbps,
            weight: self.weight,
            price: self.price,
            isps: self.isps.into_iter().map(|isp| isp.into_inner().into()).collect(),
            thresholds,
            ports: self.ports,
            processes: self.processes,
            interfaces: self.interfaces,
            exporters: self.exporters.into_iter().map(|url| url.into_inner().into()).collect(),
            missed: None,
        })
    }
}
