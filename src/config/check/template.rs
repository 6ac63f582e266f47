//! `[callers.register]`: what a node is like that registers.

use std::ops::RangeInclusive;

use toml::Spanned;

use super::nodes::{self, BANDWIDTH_MBPS};
use super::thresholds::{self, Layer};
use crate::config::Template;
use crate::config::raw::Section;
use crate::config::report::quoted;
use crate::config::values::{
    Read, duration, exporter_url, integer, location, name, rate, string, switch, word,
};
use crate::schedule::node::{MediaPorts, Node, Role};
use crate::schedule::place::Location;
use crate::schedule::thresholds::Thresholds;

/// Most nodes of one caller: whoever has its token can make so many appear.
const MOST_NODES: RangeInclusive<u32> = 1..=10_000;
const NODES: u32 = 1_000;
/// How long a silent node is remembered, ms.
const FORGET_MS: RangeInclusive<u64> = 60_000..=604_800_000;
const FORGET: u64 = 600_000;
/// Heartbeats that may be missing.
const MISSED: RangeInclusive<u32> = 1..=100;
/// A template as read.
#[derive(Debug)]
pub(super) struct TemplateDraft<'a> {
    pub(super) role: Role,
    pub(super) pop: Option<&'a str>,
    location: Option<Location>,
    bandwidth_mbps: Option<f64>,
    exporters: Vec<Box<str>>,
    layer: Layer,
    missed: u32,
    trust_ip: bool,
    most: u32,
    forget_ms: u64,
}

pub(super) fn read<'a>(section: &mut Section<'a>) -> TemplateDraft<'a> {
    TemplateDraft {
        role: section.get_or("role", Role::default(), word(&nodes::ROLES, Role::as_str)),
        pop: section.get("pop", name).map(Spanned::into_inner),
        location: section.table_if_any("location", location).and_then(Spanned::into_inner),
        bandwidth_mbps: section.get("bandwidth", rate(BANDWIDTH_MBPS)).map(Spanned::into_inner),
        exporters: exporters(section),
        layer: section.table("thresholds", thresholds::read),
        missed: section.get_or("missed", crate::schedule::watch::pulse::MISSED, integer(MISSED)),
        trust_ip: section.get_or("trust_ip", false, switch),
        most: section.get_or("most", NODES, integer(MOST_NODES)),
        forget_ms: section.get_or("forget", FORGET, duration(FORGET_MS)),
    }
}

fn exporters(section: &mut Section<'_>) -> Vec<Box<str>> {
    let list = section.list("exporters", pattern).map(Spanned::into_inner).unwrap_or_default();
    super::report_twins(section.report(), list.iter().map(|url| (*url.get_ref(), url.span())), |url| {
        format!("exporters: {} is listed already", quoted(url))
    });
    list.into_iter().map(|url| (*url.get_ref()).into()).collect()
}

/// The URL of an exporter of each node.
fn pattern<'a>(value: &'a toml::de::DeValue<'a>) -> Read<&'a str> {
    let written = string(value)?;
    let tried = written.replace(Template::ADDRESS, "192.0.2.1");
    let tried = toml::de::DeValue::String(tried.into());
    match exporter_url(&tried) {
        Err(why) => Err(why.replace("192.0.2.1", Template::ADDRESS)),
        Ok((url, _)) => {
            let at_node = reqwest::Url::parse(url).is_ok_and(|url| url.host_str() == Some("192.0.2.1"));
            let message = || {
                format!("{} is the same for all nodes: expected http://{{ip}}:9100/metrics", quoted(written))
            };
            if at_node && written.contains(Template::ADDRESS) { Ok(written) } else { Err(message()) }
        }
    }
}

// === impl TemplateDraft ===

impl TemplateDraft<'_> {
    /// Its own limits over those that its pool and role give.
    pub(super) fn into_template(
        self,
        pool: &str,
        limits: impl FnOnce(Role, Layer) -> Thresholds,
    ) -> Template {
        let shared = Node {
            id: "".into(),
            pool: pool.into(),
            role: self.role,
            pop: self.pop.unwrap_or_default().into(),
            ipv4: Vec::new(),
            ipv6: Vec::new(),
            location: self.location,
            bandwidth_mbps: self.bandwidth_mbps,
            weight: 1.0,
            price: 1.0,
            isps: Vec::new(),
            thresholds: limits(self.role, self.layer),
            ports: MediaPorts::default(),
            processes: Vec::new(),
            interfaces: Vec::new(),
            exporters: self.exporters,
            missed: Some(self.missed),
        };
        Template::new(shared, self.pop.is_none(), self.trust_ip, self.most as usize, self.forget_ms)
    }
}
