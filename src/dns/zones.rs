//! What is known of our zones: names, the records they have, and which of them the fleet answers for.
//!
//! Names are kept as on the wire, in lower case, so that a query's name is looked up without being taken apart. A name
//! with nothing but names below it exists, too, and has no data (RFC 8020).

use std::collections::HashMap;
use std::sync::Arc;

use domain::base::iana::Rtype;
use foldhash::fast::RandomState;

use super::hosts::Hosts;
use super::keys::{KEY_TTL_S, ZoneKey, ZoneKeys};
use crate::config::{DnsZone, Domain};

/// All zones.
#[derive(Debug, Default)]
pub(super) struct Zones {
    zones: Vec<Zone>,
    /// Places in `zones`.
    apexes: HashMap<Box<[u8]>, usize>,
    /// Asked by every query, for names that strangers choose: its hash is quick, and its seed is nobody's to know.
    names: HashMap<Box<[u8]>, Entry, RandomState>,
    /// What the zone above says of a zone of ours that lies in another one of ours.
    cuts: HashMap<Box<[u8]>, Entry>,
}

/// What negative answers of a zone say.
#[derive(Debug)]
pub(super) struct Zone {
    /// The owner of `soa`.
    pub(super) apex: Box<[u8]>,
    /// RDATA of its SOA.
    pub(super) soa: Box<[u8]>,
    /// How long there being nothing holds, s (RFC 2308).
    pub(super) negative_ttl_s: u32,
    /// What it is signed with, the one that signs first; empty: it is not.
    pub(super) keys: Arc<[ZoneKey]>,
    /// What nodes are called in it.
    pub(super) hosts: Hosts,
}

/// One name.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// The domain whose A and AAAA records the fleet answers for.
    pub(super) domain: Option<Box<str>>,
    /// And whose HTTPS records, unless there are static ones.
    pub(super) tells_https: bool,
    /// Its zone's place.
    zone: usize,
    sets: Vec<RecordSet>,
}

/// All static records of one name and type.
#[derive(Debug)]
pub(super) struct RecordSet {
    kind: u16,
    /// One for all of them (RFC 2181 §5.2): the shortest that is written.
    pub(super) ttl_s: u32,
    /// RDATA of each.
    pub(super) data: Vec<Box<[u8]>>,
}

/// Where a name is.
pub(super) enum Found<'z> {
    /// In none of our zones.
    Outside,
    /// In this zone, which has no such name.
    Missing(&'z Zone),
    /// In this zone.
    Here(&'z Zone, &'z Entry),
}

// === impl Zones ===

impl Zones {
    pub(super) fn new(zones: &[DnsZone], keys: &ZoneKeys, domains: &[Domain]) -> Self {
        let mut all = Self::default();
        for zone in zones {
            let apex = wire(&zone.apex);
            let soa = soa(zone);
            let (serials, negative_ttl_s) = (soa.clone().into(), zone.soa.negative_ttl_s);
            let (keys, hosts) = (keys.of(&zone.apex), Hosts::new(&zone.node_host, &zone.apex));
            all.names.entry(hosts.parent.clone()).or_default();
            let entry = all.names.entry(apex.clone()).or_default();
            let cut = all.cuts.entry(apex.clone()).or_default();
            entry.add(Rtype::SOA.to_int(), negative_ttl_s, soa.into());
            for server in &zone.ns {
                entry.add(Rtype::NS.to_int(), NS_TTL_S, wire(server));
                cut.add(Rtype::NS.to_int(), NS_TTL_S, wire(server));
            }
            for key in &*keys {
                entry.add(Rtype::DNSKEY.to_int(), KEY_TTL_S, key.dnskey().into());
                cut.add(Rtype::DS.to_int(), KEY_TTL_S, key.ds().into());
            }
            all.apexes.insert(apex.clone(), all.zones.len());
            all.zones.push(Zone { apex, soa: serials, negative_ttl_s, keys, hosts });
            for record in &zone.records {
                all.names.entry(record.owner.clone()).or_default().add(
                    record.kind,
                    record.ttl_s,
                    record.data.clone(),
                );
            }
        }
        for domain in domains {
            let name = wire(&domain.name);
            // One outside all zones is not ours to answer for: HTTP alone serves it.
            if all.zone_of(&name).is_some() {
                let entry = all.names.entry(name).or_default();
                (entry.domain, entry.tells_https) = (Some(domain.name.clone()), domain.https_records);
            }
        }
        all.add_parents();
        all.settle();
        all
    }

    /// Tells every name its zone, so that whoever asks for one that is there has it by one look.
    fn settle(&mut self) {
        let mut names = std::mem::take(&mut self.names);
        for (name, entry) in &mut names {
            entry.zone = self.place_of(name).unwrap_or_default();
        }
        self.names = names;
    }

    /// Names between an apex and what is below it, be that another apex.
    fn add_parents(&mut self) {
        let names: Vec<Box<[u8]>> = self.names.keys().cloned().collect();
        for name in names {
            let mut above = &*name;
            // Beyond an apex as well: a zone of ours may lie in another one, some labels below its apex.
            while let Some(parent) = parent(above).filter(|parent| self.zone_of(parent).is_some()) {
                above = parent;
                self.names.entry(above.into()).or_default();
            }
        }
    }

    /// The zone that a name, in lower case, belongs to: that of the longest apex.
    fn zone_of(&self, name: &[u8]) -> Option<&Zone> {
        self.zones.get(self.place_of(name)?)
    }

    fn place_of(&self, name: &[u8]) -> Option<usize> {
        let mut above = name;
        loop {
            if let Some(place) = self.apexes.get(above) {
                return Some(*place);
            }
            above = parent(above)?;
        }
    }

    /// The domain of this name, as on the wire, in lower case; whether it tells how it serves HTTPS.
    pub(super) fn domain(&self, name: &[u8]) -> Option<(&str, bool)> {
        let entry = self.names.get(name)?;
        Some((entry.domain.as_deref()?, entry.tells_https))
    }

    /// Looks a name up: as on the wire, in lower case, without pointers. DS alone is a matter of the zone above, if that is
    /// ours, too (RFC 4035 §3.1.4.1).
    pub(super) fn find(&self, name: &[u8], kind: u16) -> Found<'_> {
        if kind == Rtype::DS.to_int()
            && let Some(cut) = self.cuts.get(name)
            && let Some(zone) = parent(name).and_then(|above| self.zone_of(above))
        {
            return Found::Here(zone, cut);
        }
        if let Some(entry) = self.names.get(name)
            && let Some(zone) = self.zones.get(entry.zone)
        {
            return Found::Here(zone, entry);
        }
        self.zone_of(name).map_or(Found::Outside, Found::Missing)
    }
}

// === impl Entry ===

impl Entry {
    fn add(&mut self, kind: u16, ttl_s: u32, data: Box<[u8]>) {
        match self.sets.iter_mut().find(|set| set.kind == kind) {
            None => self.sets.push(RecordSet { kind, ttl_s, data: vec![data] }),
            Some(set) => {
                set.ttl_s = set.ttl_s.min(ttl_s);
                // A set has no twins (RFC 2181 §5).
                if !set.data.contains(&data) {
                    set.data.push(data);
                }
            }
        }
    }

    /// The types of its static records.
    pub(super) fn kinds(&self) -> impl Iterator<Item = u16> {
        self.sets.iter().map(|set| set.kind)
    }

    /// Its static records of a type.
    pub(super) fn set(&self, kind: u16) -> Option<&RecordSet> {
        self.sets.iter().find(|set| set.kind == kind)
    }
}

/// How long NS records hold, s: a day, as parents of zones mostly say.
const NS_TTL_S: u32 = 86_400;

/// What is left of a name without its first label; `None`: it is the root.
pub(super) fn parent(name: &[u8]) -> Option<&[u8]> {
    let (length, rest) = name.split_first()?;
    if *length == 0 { None } else { rest.get(usize::from(*length)..) }
}

/// The RDATA of a zone's SOA (RFC 1035 §3.3.13).
fn soa(zone: &DnsZone) -> Vec<u8> {
    let mut data = zone.ns.first().map(|server| wire(server).into_vec()).unwrap_or_default();
    data.extend_from_slice(&wire(&zone.soa.mailbox));
    let soa = &zone.soa;
    for number in [soa.serial, soa.refresh_s, soa.retry_s, soa.expire_s, soa.negative_ttl_s] {
        data.extend_from_slice(&number.to_be_bytes());
    }
    data
}

/// A name of the configuration, which has checked its labels, as on the wire.
pub(super) fn wire(name: &str) -> Box<[u8]> {
    let mut wire = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire.into()
}
