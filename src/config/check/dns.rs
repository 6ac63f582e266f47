//! `[dns]`: zones, and their static records as lines of a master file.
//!
//! A record is one line of RFC 1035 §5 (`www 300 A 192.0.2.1`), read by the same crate that reads queries, so every type
//! and escape of the standard is understood; names that do not end in a dot are below the apex.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use domain::base::Record;
use domain::base::iana::{Class, Rtype};
use domain::base::name::{Name, ToLabelIter as _, ToName};
use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};
use toml::Spanned;
use toml::de::DeValue;

use super::DomainDraft;
use super::nodes::NodeDraft;
use super::report_twins;
use crate::config::raw::Section;
use crate::config::report::{Report, Span, quoted};
use crate::config::values::{
    Read, domain_name, duration, host_pattern, integer, socket_address, string, text,
};
use crate::config::{Dns, DnsRecord, DnsSoa, DnsZone};
use crate::schedule::label;

/// TTLs of dynamic answers, ms: whole seconds are checked apart.
const TTL_MS: std::ops::RangeInclusive<u64> = 1_000..=3_600_000;
/// Times in a SOA, ms: what 31 bits of seconds hold.
const SOA_MS: std::ops::RangeInclusive<u64> = 1_000..=2_147_483_647_000;
/// Negative TTLs, ms: three hours at most, as RFC 2308 §5 suggests.
const NEGATIVE_MS: std::ops::RangeInclusive<u64> = 0..=10_800_000;
/// Most replies a second to one network.
const MOST_RESPONSES: u32 = 1_000_000;
/// Most queries between two that are written down.
const MOST_QUERIES: u32 = 1_000_000;
/// Most ALPN protocol ids, and the longest: registered ones have up to 16 characters.
const MOST_PROTOCOLS: usize = 8;
const LONGEST_PROTOCOL: usize = 16;
/// What nodes are called.
const NODE_HOST: &str = "{id}.nodes";
/// Longest NSID.
const LONGEST_NSID: usize = 64;
/// Most keys of a zone: one in force, one before and one after it, and one to spare.
const MOST_KEYS: usize = 4;
/// Types that a static record may have. No delegations and no aliases: we answer for all below an apex ourselves.
const STATIC: [Rtype; 9] = [
    Rtype::A,
    Rtype::AAAA,
    Rtype::TXT,
    Rtype::CAA,
    Rtype::SRV,
    Rtype::HTTPS,
    Rtype::SVCB,
    Rtype::MX,
    Rtype::TLSA,
];

/// `[dns]` as read.
#[derive(Debug)]
pub(super) struct DnsDraft {
    listen: Option<Spanned<SocketAddr>>,
    tls_listen: Option<Spanned<SocketAddr>>,
    ttl_s: u32,
    answers: usize,
    responses_per_second: u32,
    log_one_in: u32,
    nsid: Option<Box<str>>,
    alpn: Vec<Box<str>>,
    zones: Vec<ZoneDraft>,
}

#[derive(Debug)]
struct ZoneDraft {
    apex: Option<Spanned<String>>,
    ns: Vec<Box<str>>,
    node_host: Box<str>,
    soa: DnsSoa,
    records: Vec<Spanned<DnsRecord>>,
    keys: Vec<PathBuf>,
}

/// Relative paths start from `folder`.
pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> DnsDraft {
    let listen = section.require("listen", socket_address);
    let tls_listen = section.get("tls_listen", socket_address);
    section.demand("zones");
    let nsid = section.get("nsid", |value| {
        let name = text(value)?;
        match name.len() <= LONGEST_NSID && name.is_ascii() {
            true => Ok(name),
            false => Err(format!("expected up to {LONGEST_NSID} ASCII characters")),
        }
    });
    DnsDraft {
        listen,
        tls_listen,
        ttl_s: seconds(section, "ttl", TTL_MS, 10),
        answers: section.get_or("answers", 8, integer(1..=8)) as usize,
        responses_per_second: section.get_or("responses_per_second", 1_000, integer(0..=MOST_RESPONSES)),
        log_one_in: section.get_or("log_one_in", 0, integer(0..=MOST_QUERIES)),
        nsid: nsid.map(|name| name.into_inner().into()),
        alpn: read_alpn(section),
        zones: section.tables("zones", |section| read_zone(section, folder)).unwrap_or_default(),
    }
}

fn read_alpn(section: &mut Section<'_>) -> Vec<Box<str>> {
    let list = section.list("alpn", |value| {
        let id = text(value)?;
        let fine = id.len() <= LONGEST_PROTOCOL && id.chars().all(|c| c.is_ascii_graphic());
        // Who speaks HTTPS speaks it anyway; saying so again is an error of the wire (RFC 9460 §7.1.2).
        match fine && id != "http/1.1" {
            true => Ok(id),
            false => Err(format!(
                "{} is not expected: a protocol beside http/1.1 of up to {LONGEST_PROTOCOL} characters, such as h2",
                quoted(id)
            )),
        }
    });
    let Some(list) = list else { return Vec::new() };
    if list.get_ref().len() > MOST_PROTOCOLS {
        let found = list.get_ref().len();
        section
            .report()
            .error(&list.span(), format!("alpn: {found} are too many: expected up to {MOST_PROTOCOLS}"));
    }
    let list = list.into_inner();
    report_twins(section.report(), list.iter().map(|id| (*id.get_ref(), id.span())), |id| {
        format!("alpn: {} is listed already", quoted(id))
    });
    list.into_iter().map(|id| id.into_inner().into()).collect()
}

fn read_zone(section: &mut Section<'_>, folder: &Path) -> ZoneDraft {
    let apex = section.require("apex", domain_name);
    section.demand("ns");
    let ns = section.list("ns", domain_name).map(Spanned::into_inner).unwrap_or_default();
    let node_host = section.get("node_host", |value| {
        let pattern = host_pattern(value)?;
        match pattern.split('.').next().is_some_and(|label| label.contains("{id}")) {
            true => Ok(pattern),
            false => Err(format!("{} does not begin with the label that has {{id}} in it", quoted(&pattern))),
        }
    });
    let hostmaster = format!("hostmaster.{}", apex.as_ref().map_or("invalid", |apex| apex.get_ref()));
    let soa = section.table_if_any("soa", |section| read_soa(Some(section), &hostmaster));
    let origin = apex.as_ref().map(|apex| apex.get_ref().clone()).unwrap_or_default();
    let records = section.list("records", |value| {
        let line = string(value)?;
        record(line, &origin).map_err(|why| format!("{} {why}", quoted(line)))
    });
    ZoneDraft {
        ns: ns.into_iter().map(|name| name.into_inner().into()).collect(),
        node_host: node_host.map_or_else(|| NODE_HOST.into(), |pattern| pattern.into_inner().into()),
        soa: soa.map_or_else(|| read_soa(None, &hostmaster), Spanned::into_inner),
        // Without an apex nothing can be said of what is below it.
        records: match &apex {
            Some(_) => records.map(Spanned::into_inner).unwrap_or_default(),
            None => Vec::new(),
        },
        keys: read_keys(section, folder),
        apex,
    }
}

/// Files that are there, are read when they are needed.
fn read_keys(section: &mut Section<'_>, folder: &Path) -> Vec<PathBuf> {
    let Some(keys) = section.list("keys", private_file) else { return Vec::new() };
    let report = section.report();
    if keys.get_ref().len() > MOST_KEYS {
        let found = keys.get_ref().len();
        report.error(&keys.span(), format!("keys: {found} are too many: expected up to {MOST_KEYS}"));
    }
    let keys = keys.into_inner();
    report_twins(report, keys.iter().map(|key| (*key.get_ref(), key.span())), |key| {
        format!("keys: {} is there already", quoted(key))
    });
    keys.into_iter().map(|key| folder.join(key.into_inner())).collect()
}

/// The secret one of a pair of files; the other one is found by its name.
fn private_file<'a>(value: &'a DeValue<'a>) -> Read<&'a str> {
    let path = text(value)?;
    match path.ends_with(".private") {
        true => Ok(path),
        false => {
            Err(format!("{} does not end in .private, as `nearcast dnssec keygen` has it", quoted(path)))
        }
    }
}

fn read_soa(section: Option<&mut Section<'_>>, hostmaster: &str) -> DnsSoa {
    let default = DnsSoa {
        mailbox: hostmaster.into(),
        serial: 1,
        refresh_s: 7_200,
        retry_s: 900,
        expire_s: 1_209_600,
        negative_ttl_s: 30,
    };
    let Some(section) = section else { return default };
    DnsSoa {
        mailbox: section.get("mailbox", domain_name).map_or(default.mailbox, |name| name.into_inner().into()),
        serial: section.get_or("serial", default.serial, integer(0..=u32::MAX)),
        refresh_s: seconds(section, "refresh", SOA_MS, default.refresh_s),
        retry_s: seconds(section, "retry", SOA_MS, default.retry_s),
        expire_s: seconds(section, "expire", SOA_MS, default.expire_s),
        negative_ttl_s: seconds(section, "negative_ttl", NEGATIVE_MS, default.negative_ttl_s),
    }
}

/// A duration in whole seconds, because the DNS knows no others.
fn seconds(
    section: &mut Section<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
    default: u32,
) -> u32 {
    let read = section.get(key, |value| {
        let ms = duration(range)(value)?;
        match ms % 1_000 {
            0 => u32::try_from(ms / 1_000).map_err(|_| "is too long".to_owned()),
            _ => Err("expected whole seconds".to_owned()),
        }
    });
    read.map_or(default, Spanned::into_inner)
}

/// One line of a master file.
fn record(line: &str, origin: &str) -> Result<DnsRecord, String> {
    let apex: Name<Bytes> =
        format!("{origin}.").parse().map_err(|_| "has no apex to start from".to_owned())?;
    let mut file = Zonefile::new();
    file.set_origin(apex.clone());
    file.set_default_class(Class::IN);
    file.extend_from_slice(line.as_bytes());
    file.extend_from_slice(b"\n");
    let not_a_record = |why: &dyn std::fmt::Display| format!("is not a record: {why}");
    let entry = file.next_entry().map_err(|why| not_a_record(&why))?;
    let Some(Entry::Record(record)) = entry else { return Err(not_a_record(&"expected NAME TTL TYPE DATA")) };
    if file.next_entry().map_err(|why| not_a_record(&why))?.is_some() {
        return Err("is more than one record".to_owned());
    }
    if record.class() != Class::IN {
        return Err("is not of class IN".to_owned());
    }
    if !STATIC.contains(&record.rtype()) {
        let types: Vec<String> = STATIC.iter().map(ToString::to_string).collect();
        return Err(format!("has type {}: expected one of {}", record.rtype(), types.join(", ")));
    }
    if !record.owner().ends_with(&apex) {
        return Err(format!("is not below {origin}"));
    }
    in_wire_form(&record)
}

fn in_wire_form(record: &Record<impl ToName, impl ComposeRecordData>) -> Result<DnsRecord, String> {
    let mut data = Vec::new();
    if record.data().compose_rdata(&mut data).is_err() || data.len() > usize::from(u16::MAX) {
        return Err("is too long".to_owned());
    }
    Ok(DnsRecord {
        owner: record.owner().to_vec().as_slice().to_ascii_lowercase().into(),
        kind: record.rtype().to_int(),
        ttl_s: record.ttl().as_secs(),
        data: data.into(),
    })
}

/// What concerns zones, domains, nodes and the certificate together.
pub(super) fn check(
    draft: &DnsDraft,
    (domains, nodes): (&[DomainDraft<'_>], &[NodeDraft<'_>]),
    has_tls: bool,
    report: &Report,
) {
    if let Some(listen) = draft.tls_listen.as_ref().filter(|_| !has_tls) {
        report.error(&listen.span(), "tls_listen: there is no certificate to show: expected [server.tls]");
    }
    let apexes = draft.zones.iter().filter_map(|zone| zone.apex.as_ref());
    report_twins(report, apexes.map(|apex| (apex.get_ref(), apex.span())), |apex| {
        format!("apex: there is a zone {} already", quoted(apex))
    });
    check_signatures(draft, domains, report);
    let domains = domains.iter().filter_map(|domain| domain.name.as_ref());
    let domains: HashMap<String, Span> = domains.map(|name| (name.get_ref().clone(), name.span())).collect();
    for zone in &draft.zones {
        check_addresses(zone, &domains, nodes, report);
    }
}

/// Addresses of domains and of nodes' own names are known from the fleet: nobody writes them as well.
fn check_addresses(
    zone: &ZoneDraft,
    domains: &HashMap<String, Span>,
    nodes: &[NodeDraft<'_>],
    report: &Report,
) {
    let apex = zone.apex.as_ref().map_or("", |apex| apex.get_ref());
    let host = |label: &str| format!("{}.{apex}", zone.node_host.replace("{id}", label));
    let ids = nodes.iter().filter_map(|node| node.id.as_ref());
    let hosts: HashMap<String, Span> =
        ids.filter_map(|id| Some((host(&label::of(id.get_ref())?), id.span()))).collect();
    for record in &zone.records {
        let kind = Rtype::from_int(record.get_ref().kind);
        if !matches!(kind, Rtype::A | Rtype::AAAA) {
            continue;
        }
        let Ok(owner) = Name::from_octets(&*record.get_ref().owner) else { continue };
        let owner = owner.to_string();
        if let Some(domain) = domains.get(&owner) {
            let message = format!("records: the {kind} records of this name are those of the nodes");
            report.clash(&record.span(), message, (domain, "the domain"));
        } else if let Some(node) = hosts.get(&owner) {
            let message = format!("records: the {kind} records of this name are those of a node");
            report.clash(&record.span(), message, (node, "the node"));
        }
    }
}

/// The DNS has no place for a signature, so what lies in a zone is told to anybody: whoever asks for signatures does not
/// want that, and nothing would tell him.
fn check_signatures(draft: &DnsDraft, domains: &[DomainDraft<'_>], report: &Report) {
    let apexes = || draft.zones.iter().filter_map(|zone| zone.apex.as_ref());
    for domain in domains {
        let (Some(name), Some(required)) = (&domain.name, &domain.require_signature) else { continue };
        let is_inside = |apex: &&Spanned<String>| {
            let above = name.get_ref().strip_suffix(apex.get_ref().as_str());
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        if let Some(apex) = apexes().find(is_inside).filter(|_| *required.get_ref()) {
            let message = format!(
                "require_signature: DNS tells {} to anybody, unsigned, since it lies in zone {}: expected false, or a \
                 name outside of [[dns.zones]]",
                quoted(name.get_ref()),
                quoted(apex.get_ref())
            );
            report.clash(&required.span(), message, (&apex.span(), "the zone"));
        }
    }
}

// === impl DnsDraft ===

impl DnsDraft {
    /// All of it; `None` if it lacks what was reported.
    pub(super) fn into_dns(self) -> Option<Dns> {
        let zone = |zone: ZoneDraft| {
            Some(DnsZone {
                apex: zone.apex?.into_inner().into(),
                ns: zone.ns,
                node_host: zone.node_host,
                soa: zone.soa,
                records: zone.records.into_iter().map(Spanned::into_inner).collect(),
                keys: zone.keys,
            })
        };
        Some(Dns {
            listen: self.listen?.into_inner(),
            tls_listen: self.tls_listen.map(Spanned::into_inner),
            ttl_s: self.ttl_s,
            answers: self.answers,
            responses_per_second: self.responses_per_second,
            log_one_in: self.log_one_in,
            nsid: self.nsid,
            alpn: self.alpn,
            zones: self.zones.into_iter().filter_map(zone).collect(),
        })
    }
}
