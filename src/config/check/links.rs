//! What concerns several sections: names that must be unique, names that must exist, pools that must have nodes.
//!
//! One mistake is one error: whoever mistypes a pool in a node is not told, too, that the pool has no nodes.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use toml::Spanned;

use super::{Draft, report_twins};
use crate::config::OnOverload;
use crate::config::literal_address;
use crate::config::report::{Report, Span, quoted};
use crate::config::suggest::nearest;
use crate::config::units::either;
use crate::schedule::isp::MOST_ISPS;

/// Most names that a message lists.
const MOST_LISTED: usize = 5;

/// The names there are of a kind.
#[derive(Debug)]
struct Names<'d> {
    /// "pool".
    kind: &'static str,
    /// In the order of the file.
    listed: Vec<&'d str>,
    set: HashSet<&'d str>,
    /// Whether an entry has a name that could not be read: it may be any that is looked for.
    incomplete: bool,
}

pub(super) fn check(draft: &Draft<'_>, report: &Report) {
    check_unique(draft, report);
    check_addresses(draft, report);

    let pools = Names::new("pool", draft.pools.iter().map(|pool| known(&pool.name)));
    let of_nodes = draft.nodes.iter().map(|node| ("pool", &node.pool));
    let of_domains = draft.domains.iter().map(|domain| ("pool", &domain.pool));
    let of_pools = draft.pools.iter().map(|pool| ("fallback", &pool.fallback));
    let upstreams = draft.pools.iter().map(|pool| ("upstream", &pool.upstream));
    let origins = draft.domains.iter().map(|domain| ("origins", &domain.origins));
    let of_callers = draft.callers.iter().map(|caller| ("pool", &caller.pool));
    let others = upstreams.chain(origins).chain(of_callers);
    for (key, name) in of_nodes.chain(of_domains).chain(of_pools).chain(others) {
        pools.look_up(key, name.as_ref(), report);
    }
    check_circles(draft, report);
    check_origins(draft, report);
    check_upstreams(draft, report);
    check_empty_pools(draft, &pools, report);

    check_isps(draft, report);
    check_exporters(draft, report);

    let of_nodes = draft.nodes.iter().map(|node| node.pop.or_else(|| known(&node.id)));
    let registered = draft.callers.iter().filter_map(|caller| Some(Some(caller.register.as_ref()?.pop?)));
    let pops = Names::new("PoP", of_nodes.chain(registered));
    for pop in &draft.geoip.pops {
        pops.look_up("pop", Some(pop), report);
    }
    for pop in &draft.pops {
        pops.look_up("name", pop.name.as_ref(), report);
    }
    super::streams::check(draft, report);
    if let Some(dns) = &draft.dns {
        super::dns::check(dns, (&draft.domains, &draft.nodes), draft.server.tls.is_some(), report);
    }
}

fn check_unique(draft: &Draft<'_>, report: &Report) {
    let ids = draft.nodes.iter().filter_map(|node| node.id.as_ref());
    report_twins(report, ids.map(|id| (*id.get_ref(), id.span())), |id| {
        format!("id: there is a node {} already", quoted(id))
    });
    let pools = draft.pools.iter().filter_map(|pool| pool.name.as_ref());
    report_twins(report, pools.map(|name| (*name.get_ref(), name.span())), |name| {
        format!("name: there is a pool {} already", quoted(name))
    });
    let pops = draft.pops.iter().filter_map(|pop| pop.name.as_ref());
    report_twins(report, pops.map(|name| (*name.get_ref(), name.span())), |name| {
        format!("name: PoP {} is listed already", quoted(name))
    });
    let domains = draft.domains.iter().filter_map(|domain| domain.name.as_ref());
    report_twins(report, domains.map(|name| (name.get_ref(), name.span())), |name| {
        format!("name: there is a domain {} already", quoted(name))
    });
}

/// A name is looked up when it is asked; an address can be told now.
fn check_exporters(draft: &Draft<'_>, report: &Report) {
    let allowed = &draft.scrape.1.allowed_networks;
    for exporter in draft.nodes.iter().flat_map(|node| &node.exporters) {
        let ip = reqwest::Url::parse(exporter.get_ref()).ok().and_then(|url| literal_address(&url));
        if let Some(ip) = ip.filter(|ip| !allowed.allow(*ip)) {
            let message = format!("exporters: address {ip} is not in scrape.allowed_networks");
            report.error(&exporter.span(), message);
        }
    }
}

/// Providers are bits of a 64-bit set.
fn check_isps(draft: &Draft<'_>, report: &Report) {
    let mut names: HashSet<String> = HashSet::new();
    for isp in draft.nodes.iter().flat_map(|node| &node.isps) {
        if names.insert(isp.get_ref().to_ascii_lowercase()) && names.len() > MOST_ISPS {
            report.error(&isp.span(), format!("isps: at most {MOST_ISPS} providers can be told apart"));
            return;
        }
    }
}

/// An address leads to one node: whoever sends it as `failed=` or `current=` means exactly one.
fn check_addresses(draft: &Draft<'_>, report: &Report) {
    let mut owners: HashMap<IpAddr, (usize, Span)> = HashMap::new();
    for (index, node) in draft.nodes.iter().enumerate() {
        for address in &node.addresses {
            let ip = *address.get_ref();
            let Some((owner, first)) = owners.get(&ip) else {
                owners.insert(ip, (index, address.span()));
                continue;
            };
            let message = match draft.nodes.get(*owner).and_then(|owner| known(&owner.id)) {
                _ if *owner == index => format!("addresses: {ip} is listed already"),
                Some(id) => format!("addresses: {ip} belongs to node {} already", quoted(id)),
                None => format!("addresses: {ip} belongs to another node already"),
            };
            report.clash(&address.span(), message, (first, "the first one"));
        }
    }
}

/// Fallbacks and upstreams must end somewhere.
fn check_circles(draft: &Draft<'_>, report: &Report) {
    let falling = draft.pools.iter().filter(|pool| matches!(pool.on_overload, OnOverload::Fallback(_)));
    let fallbacks = falling.filter_map(|pool| Some((known(&pool.name)?, pool.fallback.as_ref()?)));
    check_ways(draft, "fallback", "falls back to", &fallbacks.collect(), report);
    let upstreams = draft.pools.iter();
    let upstreams = upstreams.filter_map(|pool| Some((known(&pool.name)?, pool.upstream.as_ref()?)));
    check_ways(draft, "upstream", "pulls from", &upstreams.collect(), report);
}

/// Each circle is reported once, where it begins in the file.
fn check_ways(
    draft: &Draft<'_>,
    key: &str,
    verb: &str,
    next: &HashMap<&str, &Spanned<&str>>,
    report: &Report,
) {
    let mut done: HashSet<&str> = HashSet::new();
    for start in draft.pools.iter().filter_map(|pool| known(&pool.name)) {
        // The pools passed on the way; a name met again closes a circle unless an earlier walk has been there.
        let mut way = vec![start];
        while let Some(to) = way.last().and_then(|last| next.get(last)).map(|to| *to.get_ref()) {
            if done.contains(to) {
                break;
            }
            if let Some(at) = way.iter().position(|passed| *passed == to) {
                report_circle(&way[at..], (key, verb), next, report);
                break;
            }
            way.push(to);
        }
        done.extend(way);
    }
}

fn report_circle(
    circle: &[&str],
    (key, verb): (&str, &str),
    next: &HashMap<&str, &Spanned<&str>>,
    report: &Report,
) {
    let Some((first, written)) = circle.first().and_then(|first| Some((first, next.get(first)?))) else {
        return;
    };
    let message = if circle.len() == 1 {
        format!("{key}: pool {} {verb} itself", quoted(first))
    } else {
        format!("{key}: {} -> {first} is a circle, which ends nowhere", circle.join(" -> "))
    };
    report.error(&written.span(), message);
}

/// Whoever takes publishers has the streams: to pull them from elsewhere would be to ask for what it sends.
fn check_origins(draft: &Draft<'_>, report: &Report) {
    for origins in draft.domains.iter().filter_map(|domain| domain.origins.as_ref()) {
        let pulling = draft.pools.iter().filter(|pool| known(&pool.name) == Some(*origins.get_ref()));
        for upstream in pulling.filter_map(|pool| pool.upstream.as_ref()) {
            let message = format!(
                "origins: pool {} takes no publishers, it pulls from {}",
                quoted(origins.get_ref()),
                quoted(upstream.get_ref())
            );
            report.clash(&origins.span(), message, (&upstream.span(), "here"));
        }
    }
}

/// Without the table of streams nobody is told where to pull from: its nodes would be taken for players, and sent to
/// one another.
fn check_upstreams(draft: &Draft<'_>, report: &Report) {
    let first = draft.pools.iter().find_map(|pool| pool.upstream.as_ref());
    if let Some(upstream) = first.filter(|_| draft.streams.is_none()) {
        let message = "upstream: nobody can ask for it without [streams]: expected that table, if only empty";
        report.error(&upstream.span(), message);
    }
}

/// A pool that somebody is sent to needs nodes.
fn check_empty_pools(draft: &Draft<'_>, pools: &Names<'_>, report: &Report) {
    let mut staffed: HashSet<&str> = HashSet::new();
    for node in &draft.nodes {
        match known(&node.pool) {
            Some(pool) if pools.set.contains(pool) => staffed.insert(pool),
            // Reported already; the node may belong to any pool.
            _ => return,
        };
    }
    let registering = draft.callers.iter().filter(|caller| caller.register.is_some());
    staffed.extend(registering.filter_map(|caller| known(&caller.pool)));
    if staffed.is_empty() {
        // Not one node: reported already.
        return;
    }
    let fallbacks = draft.pools.iter().filter_map(|pool| pool.fallback.as_ref());
    let viewers = draft.domains.iter().filter_map(|domain| domain.pool.as_ref()).chain(fallbacks);
    let viewers = viewers.map(|pool| (pool, "viewers are sent to it here"));
    let origins = draft.domains.iter().filter_map(|domain| domain.origins.as_ref());
    let publishers = origins.map(|pool| (pool, "publishers are sent to it here"));
    let upstreams = draft.pools.iter().filter_map(|pool| pool.upstream.as_ref());
    let edges = upstreams.map(|pool| (pool, "streams are pulled from it here"));
    let mut asked_for: HashMap<&str, (Span, &str)> = HashMap::new();
    for (pool, why) in viewers.chain(publishers).chain(edges) {
        asked_for.entry(pool.get_ref()).or_insert_with(|| (pool.span(), why));
    }
    for name in draft.pools.iter().filter_map(|pool| pool.name.as_ref()) {
        if let Some((user, why)) = asked_for.get(name.get_ref()).filter(|_| !staffed.contains(name.get_ref()))
        {
            let message = format!("name: pool {} has no nodes", quoted(name.get_ref()));
            report.clash(&name.span(), message, (user, why));
        }
    }
}

fn known<'d>(name: &Option<Spanned<&'d str>>) -> Option<&'d str> {
    name.as_ref().map(|name| *name.get_ref())
}

// === impl Names ===

impl<'d> Names<'d> {
    fn new(kind: &'static str, names: impl Iterator<Item = Option<&'d str>> + Clone) -> Self {
        let incomplete = names.clone().any(|name| name.is_none());
        let mut set = HashSet::new();
        let listed = names.flatten().filter(|name| set.insert(*name)).collect();
        Self { kind, listed, set, incomplete }
    }

    /// Reports a name that does not exist. With no names at all, their absence was reported already.
    fn look_up(&self, key: &str, name: Option<&Spanned<&str>>, report: &Report) {
        let Some(name) = name else { return };
        if self.incomplete || self.listed.is_empty() || self.set.contains(name.get_ref()) {
            return;
        }
        let hint = match nearest(name.get_ref(), self.listed.iter().copied()) {
            Some(near) => format!("did you mean {}?", quoted(near)),
            None if self.listed.len() > MOST_LISTED => format!("there are {} others", self.listed.len()),
            None => format!("there is {}", either(self.listed.iter().map(|name| quoted(name)))),
        };
        report.error(
            &name.span(),
            format!("{key}: there is no {} {}; {hint}", self.kind, quoted(name.get_ref())),
        );
    }
}
