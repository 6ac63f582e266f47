//! From the tree of the file to a checked [`Config`]: one reader per section, then what concerns several sections.
//!
//! Readers fill a [`Draft`], with defaults where something could not be read, so that the rest is still checked.
//! The configuration made of it counts only if nothing at all was reported.

mod credentials;
mod dialects;
mod dns;
mod domains;
mod geoip;
mod limits;
mod links;
mod nodes;
mod pools;
mod pops;
mod scheduler;
mod scrape;
mod server;
mod streams;
mod template;
mod thresholds;
mod tls;

use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use self::dns::DnsDraft;
use self::domains::DomainDraft;
use self::geoip::GeoipDraft;
use self::nodes::NodeDraft;
use self::pools::{PoolDraft, Profile};
use self::pops::PopDraft;
use self::streams::CallerDraft;
use self::thresholds::Layer;
use super::raw::Section;
use super::report::{Report, Span};
use super::values::{check_name, string};
use super::{Config, Dialects, Exporters, Geoip, Limits, Pool, Scheduler, Scrape, Server, Streams, profile};
use crate::schedule::isp;
use crate::schedule::node::{Node, Role};
use crate::schedule::thresholds::Thresholds;

/// Every section as read; references between them are still names with a place.
#[derive(Debug)]
struct Draft<'a> {
    server: Server,
    limits: Limits,
    dialects: Dialects,
    geoip: GeoipDraft<'a>,
    scrape: (Scrape, Exporters),
    /// `[thresholds]`.
    layer: Layer,
    scheduler: Scheduler,
    pops: Vec<PopDraft<'a>>,
    pools: Vec<PoolDraft<'a>>,
    nodes: Vec<NodeDraft<'a>>,
    domains: Vec<DomainDraft<'a>>,
    dns: Option<DnsDraft>,
    streams: Option<Streams>,
    callers: Vec<CallerDraft<'a>>,
}

/// Reads and checks the whole file. What is wrong goes to `report`; the result counts only if nothing did.
/// Relative paths in the file start from `folder`.
pub(super) fn config(table: &DeTable<'_>, folder: &Path, report: &Report) -> Config {
    let draft = Section::file(table, report, |file| Draft {
        server: file.table("server", |section| server::read(section, folder)),
        limits: file.table("limits", limits::read),
        dialects: file.table("dialects", dialects::read),
        geoip: file.table("geoip", |section| geoip::read(section, folder)),
        scrape: file.table("scrape", |section| scrape::read(section, folder)),
        layer: file.table("thresholds", thresholds::read),
        scheduler: file.table("scheduler", |section| scheduler::read(section, folder)),
        pops: file.tables("pops", pops::read).unwrap_or_default(),
        pools: at_least_one(file, "pools", pools::read),
        nodes: nodes(file),
        domains: at_least_one(file, "domains", |section| domains::read(section, folder)),
        dns: file.table_if_any("dns", |section| dns::read(section, folder)).map(Spanned::into_inner),
        streams: file.table_if_any("streams", streams::read).map(Spanned::into_inner),
        callers: file.tables("callers", |section| streams::read_caller(section, folder)).unwrap_or_default(),
    });
    links::check(&draft, report);
    draft.into_config()
}

/// At least one, unless they may come by themselves.
fn nodes<'a>(file: &mut Section<'a>) -> Vec<NodeDraft<'a>> {
    if file.some_table_has("callers", "register") {
        return file.tables("nodes", nodes::read).unwrap_or_default();
    }
    at_least_one(file, "nodes", nodes::read)
}

fn at_least_one<'a, T>(
    file: &mut Section<'a>,
    key: &'static str,
    read: impl FnMut(&mut Section<'a>) -> T,
) -> Vec<T> {
    file.demand(key);
    file.tables(key, read).unwrap_or_default()
}

/// The name of a pool, node or PoP. One that is misspelt is reported and still returned: it is known by that name
/// in the rest of the file.
fn own_name<'a>(section: &mut Section<'a>, key: &'static str) -> Option<Spanned<&'a str>> {
    let name = section.get(key, string)?;
    if let Err(why) = check_name(name.get_ref()) {
        section.report().error(&name.span(), format!("{key}: {why}"));
    }
    Some(name)
}

/// Reports every item that is equal to an earlier one.
fn report_twins<K: Eq + Hash>(
    report: &Report,
    items: impl IntoIterator<Item = (K, Span)>,
    message: impl Fn(&K) -> String,
) {
    let mut seen: HashMap<K, Span> = HashMap::new();
    for (item, span) in items {
        if let Some(first) = seen.get(&item) {
            report.clash(&span, message(&item), (first, "the first one"));
        } else {
            seen.insert(item, span);
        }
    }
}

// === impl Draft ===

impl Draft<'_> {
    fn into_config(self) -> Config {
        let mut limits: HashMap<Box<str>, (Option<Profile>, Layer)> = HashMap::new();
        let mut pools = Vec::with_capacity(self.pools.len());
        for pool in self.pools {
            let Some(name) = pool.name else { continue };
            let name: Box<str> = name.into_inner().into();
            let start = start_of_limits(pool.profile, Role::Edge);
            let thresholds = pool.layer.over(self.layer.over(start));
            limits.insert(name.clone(), (pool.profile, pool.layer));
            let upstream = pool.upstream.map(|upstream| upstream.into_inner().into());
            let relief = pool.relief;
            pools.push(Pool { name, on_overload: pool.on_overload, upstream, thresholds, relief });
        }
        let limits_of = |pool: Option<&str>, role: Role, own: Layer| {
            let (profile, pool) = pool.and_then(|pool| limits.get(pool)).copied().unwrap_or_default();
            let below = self.layer.over(start_of_limits(profile, role));
            own.over(pool.over(below))
        };
        let nodes = self.nodes.into_iter().filter_map(|node| {
            let pool = node.pool.as_ref().map(|pool| *pool.get_ref());
            let thresholds = limits_of(pool, node.role, node.layer);
            node.into_node(thresholds)
        });
        let mut nodes: Vec<Node> = nodes.collect();
        let place_of = |name: &str| {
            let is_it = |pop: &&PopDraft<'_>| pop.name.as_ref().is_some_and(|its| *its.get_ref() == name);
            self.pops.iter().find(is_it).and_then(|pop| pop.location)
        };
        for node in nodes.iter_mut().filter(|node| node.location.is_none()) {
            node.location = place_of(&node.pop);
        }
        let callers = self.callers.into_iter().filter_map(|caller| {
            let mut caller = caller.into_caller(|pool, role, own| limits_of(Some(pool), role, own))?;
            if let Some(template) = &mut caller.register {
                template.stand_at(place_of);
            }
            Some(caller)
        });
        let callers = callers.collect();
        let limit = self.layer.over(Thresholds::default()).bandwidth;
        Config {
            geoip: Geoip { isps: isp::names(&nodes), ..self.geoip.geoip },
            nodes,
            pops: self.pops.into_iter().filter_map(|pop| pop.into_pop(limit)).collect(),
            server: self.server,
            limits: self.limits,
            dialects: self.dialects,
            scrape: self.scrape.0,
            exporters: self.scrape.1,
            scheduler: self.scheduler,
            pools,
            domains: self.domains.into_iter().filter_map(DomainDraft::into_domain).collect(),
            dns: self.dns.and_then(DnsDraft::into_dns),
            streams: self.streams,
            callers,
        }
    }
}

/// The lowest layer: what the pool says its nodes are like, else what their role says.
fn start_of_limits(pool: Option<Profile>, role: Role) -> Thresholds {
    match pool {
        Some(Profile::Rtc) => Thresholds::rtc(),
        None => profile(role),
    }
}
