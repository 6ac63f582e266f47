//! What a name stands for beside its static records: a domain, a service of one, or a node; and the records of each.
//!
//! *HTTPS* (RFC 9460), at a domain's name, for `https://` and `http://` without a port: it saves browsers the way by HTTP,
//! and tells them the port. Where all nodes that the domain can be answered with have the same HTTPS port there is one
//! record, `1 . port=8443 ipv4hint=…`: what holds for the name's A and AAAA holds for it, and its hints are the same
//! addresses, best first. The same stands at `_8443._https.` and the domain, for URLs with the port (§9.1). Several records
//! with the target `.` would say no more: clients drop the hints as soon as they have the name's addresses (§7.3), and the
//! port of one node would be tried at another. So where ports differ, or some nodes have none, there is one record for
//! each node, in order, whose target is the node's own name. A node without an HTTPS port is in none, and where no node
//! has one there is no record. Chromium takes a record whose target is the domain and whose port is the URL's own, and
//! passes over all others; Firefox and Safari follow them. `alpn` is told if the configuration knows more than HTTP/1.1.
//! There are no SVCB records: no standard says what they would mean to players.
//!
//! *SRV* (RFC 2782), at `_rtmp._tcp.` and the domain: the nodes that serve RTMP, with their port, by their own names, whose
//! addresses come along. The rank is the priority, so there is nothing to weigh: the weight is 0. All clients of a
//! resolver go to the first then; they fit there, because a crowd has to fit on each node that is named. The name exists
//! while some node of the domain serves RTMP.
//!
//! *Booking*: who asks for HTTPS asks for A or AAAA of the same name at the same time, and those are booked; so HTTPS is
//! decided and not booked, and is not counted as an answer to a player. Who asks for SRV asks for nothing else that is
//! decided: it is booked as an A is. The addresses of a node's own name decide nothing and are not booked. A dual-stack
//! client is booked twice all the same, by A and by AAAA: they often come by different resolvers and cannot be matched.
//! κ learns how many viewers really come.
//!
//! *Refusals*: HTTPS is advice. Where the pool is full there is none, for now: a SERVFAIL would stop a client (§3.1) that
//! could have gone by HTTP.

use std::net::IpAddr;

use domain::base::iana::{Rtype, SvcParamKey};

use super::answer::addresses;
use super::reply::Reply;
use super::zones::{Entry, Zone, parent, wire};
use super::{Front, Settings};
use crate::resolver::{Answer, Family, Kept, Named, Question, Refusal, Way};

/// The labels before a domain's name that make it the name of its RTMP service, and those that end there.
const RTMP: &[u8] = b"\x05_rtmp\x04_tcp";
const TCP: &[u8] = b"\x04_tcp";
/// The label after a port in the name of its HTTPS service (RFC 9460 §9.1).
const HTTPS: &[u8] = b"\x06_https";
/// Most addresses for who asks for itself: the node, and others to go to.
const OF_ITS_OWN: usize = 4;
/// The port of `https://` without one.
const HTTPS_PORT: u16 = 443;
/// The target that is the owner itself.
const OWNER: &[u8] = &[0];

/// What a name stands for.
pub(super) enum Meaning<'z> {
    /// A domain; whether it tells how it serves HTTPS.
    Domain(&'z str, bool),
    /// The RTMP service of a domain.
    Rtmp(&'z str),
    /// The HTTPS service of a domain at this port.
    Https(&'z str, u16),
    /// A name above one of these.
    Above,
    /// A node.
    Node(Named),
    /// No more than its static records, if it has any.
    Nothing,
}

/// In which form a domain's nodes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A or AAAA records.
    Addresses(Family),
    /// HTTPS records at a name that stands for this port.
    Https(u16),
    /// SRV records.
    Rtmp,
}

/// A question's zone, and what of the configuration its answer needs.
pub(super) struct Telling<'a> {
    pub(super) settings: &'a Settings,
    pub(super) zone: &'a Zone,
    /// Lower case, no trailing dot.
    pub(super) domain: &'a str,
    /// Lifetime, s.
    pub(super) ttl_s: u32,
}

// === impl Meaning ===

impl<'z> Meaning<'z> {
    /// What a name in a zone, in lower case, stands for.
    pub(super) fn of(
        front: &Front,
        settings: &'z Settings,
        (zone, entry): (&Zone, Option<&'z Entry>),
        name: &[u8],
    ) -> Self {
        if let Some((entry, domain)) = entry.and_then(|entry| Some((entry, entry.domain.as_deref()?))) {
            return Self::Domain(domain, entry.tells_https);
        }
        if let Some(node) = zone.hosts.label(name).and_then(|label| front.resolver.named(label)) {
            return Self::Node(node);
        }
        let rtmp = |labels| {
            let (domain, _) = settings.zones.domain(name.strip_prefix(labels)?)?;
            front.resolver.has_rtmp(domain).then_some(domain)
        };
        let https = |name: &[u8]| {
            let (domain, tells_https) = settings.zones.domain(name.strip_prefix(HTTPS)?)?;
            Some((domain, front.resolver.common_https(domain).filter(|_| tells_https)?))
        };
        if let Some(domain) = rtmp(RTMP) {
            return Self::Rtmp(domain);
        }
        if let Some((domain, port)) = parent(name).and_then(https).filter(|(_, port)| is_port(name, *port)) {
            return Self::Https(domain, port);
        }
        match rtmp(TCP).is_some() || https(name).is_some() {
            true => Self::Above,
            false => Self::Nothing,
        }
    }

    /// Whether there is such a name for that alone.
    pub(super) fn exists(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// The types that it has, or may have, beside static ones.
    pub(super) fn kinds(&self) -> impl Iterator<Item = u16> {
        let (kinds, count) = match self {
            Self::Domain(_, true) => ([Rtype::A, Rtype::AAAA, Rtype::HTTPS], 3),
            Self::Domain(_, false) | Self::Node(_) => ([Rtype::A, Rtype::AAAA, Rtype::HTTPS], 2),
            Self::Rtmp(_) => ([Rtype::SRV; 3], 1),
            Self::Https(..) => ([Rtype::HTTPS; 3], 1),
            Self::Above | Self::Nothing => ([Rtype::A; 3], 0),
        };
        kinds.into_iter().take(count).map(Rtype::to_int)
    }

    /// The domain whose nodes are the answer to a question for this type, and how they are told.
    pub(super) fn form(&self, kind: Rtype) -> Option<(&'z str, Form)> {
        match (kind, self) {
            (Rtype::A, Self::Domain(domain, _)) => Some((domain, Form::Addresses(Family::V4))),
            (Rtype::AAAA, Self::Domain(domain, _)) => Some((domain, Form::Addresses(Family::V6))),
            (Rtype::HTTPS, Self::Domain(domain, true)) => Some((domain, Form::Https(HTTPS_PORT))),
            (Rtype::HTTPS, Self::Https(domain, port)) => Some((domain, Form::Https(*port))),
            (Rtype::SRV, Self::Rtmp(domain)) => Some((domain, Form::Rtmp)),
            _ => None,
        }
    }
}

// === impl Form ===

impl Form {
    /// The addresses that a node must have.
    pub(super) fn family(self) -> Family {
        match self {
            Self::Addresses(family) => family,
            Self::Https(_) | Self::Rtmp => Family::Both,
        }
    }

    /// The port that it must have.
    pub(super) fn way(self) -> Way {
        match self {
            Self::Addresses(_) => Way::Any,
            Self::Https(_) => Way::Https,
            Self::Rtmp => Way::Rtmp,
        }
    }

    /// Whether a viewer stands behind the question, see the module.
    pub(super) fn is_booked(self) -> bool {
        !matches!(self, Self::Https(_))
    }

    /// Asks the one door, for a resolver that keeps the answer or for who keeps it for itself.
    pub(super) fn ask(
        self,
        front: &Front,
        question: &Question<'_>,
        kept: Option<Kept>,
    ) -> Result<Answer, Refusal> {
        let alone = Question { count: question.count.min(OF_ITS_OWN), ..*question };
        match (self.is_booked(), kept) {
            (true, Some(kept)) => front.resolver.resolve_shared(question, kept),
            (false, Some(kept)) => front.resolver.consider_shared(question, kept),
            (true, None) => front.resolver.resolve(&alone),
            (false, None) => front.resolver.consider(&alone),
        }
    }

    /// Writes the answer's records; `false`: there are none.
    pub(super) fn write(
        self,
        front: &Front,
        answer: &Answer,
        telling: &Telling<'_>,
        reply: &mut Reply<'_>,
    ) -> bool {
        match self {
            Self::Addresses(family) => {
                let addresses = addresses(answer, family);
                addresses.iter().for_each(|ip| reply.address(*ip, telling.ttl_s));
                !addresses.is_empty()
            }
            Self::Https(own) => match front.resolver.common_https(telling.domain) {
                Some(port) => https_of_all(answer, telling, (own, port), reply),
                None => https_of_each(answer, telling, reply),
            },
            Self::Rtmp => rtmp(answer, telling, reply),
        }
    }
}

/// Whether a name's first label is this port, as `_8443`.
fn is_port(name: &[u8], port: u16) -> bool {
    let label = name.get(1..name.len() - parent(name).map_or(0, <[u8]>::len));
    label.and_then(|label| label.strip_prefix(b"_")) == Some(port.to_string().as_bytes())
}

/// The addresses of a node that was asked for by its name; `false`: it has none of that type.
pub(super) fn own_addresses(node: &Named, kind: Rtype, ttl_s: u32, reply: &mut Reply<'_>) -> bool {
    let wanted = |ip: &IpAddr| if ip.is_ipv4() { kind == Rtype::A } else { kind == Rtype::AAAA };
    let mut addresses = node.node().addresses().filter(wanted).peekable();
    let has_some = addresses.peek().is_some();
    addresses.for_each(|ip| reply.address(ip, ttl_s));
    has_some
}

/// One record for all nodes: they are at the domain's own name, at the same port.
fn https_of_all(
    answer: &Answer,
    telling: &Telling<'_>,
    (own, port): (u16, u16),
    reply: &mut Reply<'_>,
) -> bool {
    // At the name of another port the owner has no addresses: the domain is the target.
    let domain = (own != HTTPS_PORT).then(|| wire(telling.domain));
    let told = Some(port).filter(|port| *port != own);
    let hints = [addresses(answer, Family::V4), addresses(answer, Family::V6)];
    let data = service(1, domain.as_deref().unwrap_or(OWNER), telling, told, hints.iter().flatten().copied());
    reply.answer(Rtype::HTTPS.to_int(), telling.ttl_s, &data);
    true
}

/// A record for each node that has a name, the best node's first.
fn https_of_each(answer: &Answer, telling: &Telling<'_>, reply: &mut Reply<'_>) -> bool {
    let mut priority = 0;
    for pick in &answer.picks {
        let node = answer.node(pick);
        let name = answer.label(pick).and_then(|label| telling.zone.hosts.name(&label));
        let Some((name, port)) = name.zip(node.ports.https) else { continue };
        priority += 1;
        let v4 = node.ipv4.first().map(|ip| IpAddr::V4(*ip));
        let v6 = node.ipv6.first().map(|ip| IpAddr::V6(*ip));
        let data = service(
            priority,
            &name,
            telling,
            Some(port).filter(|port| *port != HTTPS_PORT),
            v4.into_iter().chain(v6),
        );
        reply.answer(Rtype::HTTPS.to_int(), telling.ttl_s, &data);
    }
    priority > 0
}

/// An SRV record for each node that has a name, and then their addresses.
fn rtmp(answer: &Answer, telling: &Telling<'_>, reply: &mut Reply<'_>) -> bool {
    let named = answer.picks.iter().filter_map(|pick| {
        let node = answer.node(pick);
        let name = telling.zone.hosts.name(&answer.label(pick)?)?;
        Some((node, name, node.ports.rtmp?))
    });
    let mut priority = 0;
    for (_, name, port) in named.clone() {
        priority += 1;
        let mut data = Vec::with_capacity(6 + name.len());
        for field in [priority, 0, port] {
            data.extend_from_slice(&field.to_be_bytes());
        }
        data.extend_from_slice(&name);
        reply.answer(Rtype::SRV.to_int(), telling.ttl_s, &data);
    }
    for (node, name, _) in named {
        node.addresses().for_each(|ip| reply.glue(&name, ip, telling.ttl_s));
    }
    priority > 0
}

/// RDATA of an HTTPS record (RFC 9460 §2.2), its parameters in the order of their keys. Hints have IPv4 first.
fn service(
    priority: u16,
    target: &[u8],
    telling: &Telling<'_>,
    port: Option<u16>,
    hints: impl Iterator<Item = IpAddr> + Clone,
) -> Vec<u8> {
    let mut data = Vec::with_capacity(128);
    data.extend_from_slice(&priority.to_be_bytes());
    data.extend_from_slice(target);
    let protocols = telling.settings.alpn.iter();
    let protocols = protocols.flat_map(|id| u8::try_from(id.len()).into_iter().chain(id.bytes()));
    parameter(&mut data, SvcParamKey::ALPN, protocols);
    parameter(&mut data, SvcParamKey::PORT, port.into_iter().flat_map(u16::to_be_bytes));
    let v4 = hints.clone().filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(ip.octets()) } else { None });
    parameter(&mut data, SvcParamKey::IPV4HINT, v4.flatten());
    let v6 = hints.filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(ip.octets()) } else { None });
    parameter(&mut data, SvcParamKey::IPV6HINT, v6.flatten());
    data
}

/// Appends a parameter, unless its value is empty.
fn parameter(data: &mut Vec<u8>, key: SvcParamKey, value: impl Iterator<Item = u8>) {
    let at = data.len();
    data.extend_from_slice(&key.to_int().to_be_bytes());
    data.extend_from_slice(&[0, 0]);
    data.extend(value);
    // Eight addresses at most: 16 bits hold it.
    let length = u16::try_from(data.len() - at - 4).unwrap_or(u16::MAX);
    match (length, data.get_mut(at + 2..at + 4)) {
        (1.., Some(place)) => place.copy_from_slice(&length.to_be_bytes()),
        _ => data.truncate(at),
    }
}
