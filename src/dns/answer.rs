//! The rules: what a query is answered, in the order in which they are tried.
//!
//! Outside our zones REFUSED, never a referral; in them NXDOMAIN where there is no such name and an empty NOERROR where
//! it has other types, both with the zone's SOA (RFC 2308). ANY is answered with one HINFO (RFC 8482). A full pool is
//! SERVFAIL: a resolver then asks again and caches nothing for long.

use std::net::IpAddr;

use arrayvec::ArrayVec;
use domain::base::iana::{Class, OptRcode, OptionCode, Rtype};

use super::query::{self, Edns, Query, Subnet, Unreadable};
use super::rate::Sentence;
use super::reply::{End, PAYLOAD, Reply};
use super::service::{self, Form, Meaning, Telling};
use super::zones::{Found, Zone};
use super::{Front, Settings, ahead, cookie, sign};
use crate::resolver::{Answer, Family, Keeper, Kept, MOST_PICKS, Question, Refusal, Want, Why, scope};
use crate::telemetry::{DnsTransport, Refused};

/// HINFO of an answer to ANY: CPU "RFC8482", no OS.
const HINFO: &[u8] = b"\x07RFC8482\x00";
/// How long that holds, s (RFC 8482 §4.2 leaves it to us).
const HINFO_TTL_S: u32 = 3_600;
/// Octets of a reply by UDP to who said nothing of more (RFC 1035 §4.2.1).
const PLAIN_UDP: usize = 512;

/// Who asks, and by what.
#[derive(Clone, Copy)]
pub(super) struct Asker {
    /// Canonical.
    pub(super) ip: IpAddr,
    pub(super) transport: DnsTransport,
}

/// What was replied.
pub(super) struct Done {
    pub(super) rcode: u16,
    /// Whether it is sent as it should be.
    pub(super) sentence: Sentence,
    /// The answer was chosen by a client subnet.
    pub(super) by_subnet: bool,
}

/// What was found out, before OPT and header are written.
struct Verdict {
    end: End,
    /// Leading bits of the client subnet that the answer rests on: SCOPE PREFIX-LENGTH.
    scope: u8,
    by_subnet: bool,
}

/// A question that is decided, and not looked up.
struct Dynamic<'q> {
    query: &'q Query<'q>,
    keeper: Option<&'q Keeper>,
    asker: Asker,
    domain: &'q str,
    form: Form,
    zone: &'q Zone,
}

/// Writes the reply; `None`: there is none to give.
pub(super) fn answer(
    front: &Front,
    settings: &Settings,
    query: &Result<Query<'_>, Unreadable>,
    keeper: Option<&Keeper>,
    asker: Asker,
    out: &mut Vec<u8>,
) -> Option<Done> {
    let query = match query {
        Ok(query) => query,
        Err(Unreadable::Silent) => return None,
        Err(Unreadable::Malformed(head)) => return Some(bare(front, asker, out, *head, OptRcode::FORMERR)),
        Err(Unreadable::Opcode(head)) => return Some(bare(front, asker, out, *head, OptRcode::NOTIMP)),
    };
    let sentence = sentence(front, query.edns.as_ref(), asker);
    let mut reply = Reply::new(out, query.question, limit(asker.transport, query.edns.as_ref()));
    let verdict = match (&query.edns, sentence) {
        (_, Sentence::Drop) => return Some(withheld(out)),
        (_, Sentence::Cut) => Verdict::cut(&mut reply),
        (Some(edns), _) if edns.version > 0 => Verdict::refused(OptRcode::BADVERS),
        (edns, _) => {
            let mut verdict = judge(front, settings, query, keeper, asker, &mut reply);
            if edns.as_ref().is_some_and(|edns| edns.dnssec_ok) {
                sign::sign(front, settings, query, &mut verdict.end, &mut reply);
            }
            verdict
        }
    };
    if let Some(edns) = &query.edns {
        write_options(front, settings, edns, asker, &verdict, &mut reply);
    }
    reply.finish(query.head, &verdict.end);
    Some(Done { rcode: verdict.end.rcode, sentence, by_subnet: verdict.by_subnet })
}

/// A reply that is a header only. It is as small as any, so it is sent or kept back.
fn bare(front: &Front, asker: Asker, out: &mut Vec<u8>, head: query::Head, rcode: OptRcode) -> Done {
    if sentence(front, None, asker) != Sentence::Send {
        return withheld(out);
    }
    let verdict = Verdict::refused(rcode);
    Reply::new(out, &[], PLAIN_UDP).finish(head, &verdict.end);
    Done { rcode: verdict.end.rcode, sentence: Sentence::Send, by_subnet: false }
}

fn withheld(out: &mut Vec<u8>) -> Done {
    out.clear();
    Done { rcode: 0, sentence: Sentence::Drop, by_subnet: false }
}

/// Whether the asker's network has had its share of replies, unless its address is proven.
fn sentence(front: &Front, edns: Option<&Edns>, asker: Asker) -> Sentence {
    let cookie = edns.and_then(|edns| edns.cookie.as_ref());
    let is_ours = |cookie| front.baker.is_ours(cookie, asker.ip, front.resolver.unix_s());
    match asker.transport {
        DnsTransport::Tcp | DnsTransport::Tls | DnsTransport::Https => Sentence::Send,
        DnsTransport::Udp if cookie.is_some_and(is_ours) => Sentence::Send,
        DnsTransport::Udp => front.rates.judge(asker.ip, front.resolver.now()),
    }
}

/// Octets that a reply may have.
fn limit(transport: DnsTransport, edns: Option<&Edns>) -> usize {
    match (transport, edns) {
        (DnsTransport::Tcp | DnsTransport::Tls | DnsTransport::Https, _) => usize::from(u16::MAX),
        (DnsTransport::Udp, None) => PLAIN_UDP,
        (DnsTransport::Udp, Some(edns)) => usize::from(edns.payload.min(PAYLOAD)).max(PLAIN_UDP),
    }
}

fn judge(
    front: &Front,
    settings: &Settings,
    query: &Query<'_>,
    keeper: Option<&Keeper>,
    asker: Asker,
    reply: &mut Reply<'_>,
) -> Verdict {
    let kind = Rtype::from_int(query.kind);
    if query.class != Class::IN.to_int() || matches!(kind, Rtype::AXFR | Rtype::IXFR) {
        return Verdict::refused(OptRcode::REFUSED);
    }
    // A word of proofs, never of questions (RFC 9824 §3.4).
    if kind == Rtype::NXNAME {
        return Verdict::refused(OptRcode::FORMERR);
    }
    let (zone, entry) = match settings.zones.find(query.name, query.kind) {
        Found::Outside => return Verdict::refused(OptRcode::REFUSED),
        Found::Missing(zone) => (zone, None),
        Found::Here(zone, entry) => (zone, Some(entry)),
    };
    let meaning = Meaning::of(front, settings, (zone, entry), query.name);
    if entry.is_none() && !meaning.exists() {
        return nothing(zone, OptRcode::NXDOMAIN, reply);
    }
    if kind == Rtype::ANY {
        reply.answer(Rtype::HINFO.to_int(), HINFO_TTL_S, HINFO);
        return Verdict::authoritative(OptRcode::NOERROR);
    }
    // What is written stands before what is decided.
    if let Some(set) = entry.and_then(|entry| entry.set(query.kind)) {
        set.data.iter().for_each(|data| reply.answer(query.kind, set.ttl_s, data));
        return Verdict::authoritative(OptRcode::NOERROR);
    }
    match (&meaning, meaning.form(kind)) {
        (_, Some((domain, form))) => {
            let asked = Dynamic { query, keeper, asker, domain, form, zone };
            dynamic(front, settings, &asked, reply)
        }
        (Meaning::Node(node), None) if service::own_addresses(node, kind, settings.ttl_s, reply) => {
            Verdict::authoritative(OptRcode::NOERROR)
        }
        _ => nothing(zone, OptRcode::NOERROR, reply),
    }
}

/// No such name, or none of that type.
fn nothing(zone: &Zone, rcode: OptRcode, reply: &mut Reply<'_>) -> Verdict {
    reply.soa(zone.apex.len(), zone.negative_ttl_s, &zone.soa);
    Verdict::authoritative(rcode)
}

/// The one door's answer as records.
fn dynamic(front: &Front, settings: &Settings, asked: &Dynamic<'_>, reply: &mut Reply<'_>) -> Verdict {
    let Dynamic { query, asker, domain, form, zone, .. } = *asked;
    let (client, told) = ahead::client(query, asker);
    let question = Question {
        domain,
        client,
        stream: None,
        bitrate_kbps: None,
        failed: &[],
        why: Why::Connect,
        current: None,
        count: settings.answers,
        family: form.family(),
        want: Want { way: form.way(), ..Want::default() },
    };
    let answers = &front.telemetry.answers;
    let began = answers.stopwatch();
    // Who asks by HTTPS for itself keeps the answer for itself.
    let kept = (told.is_some() || asker.transport != DnsTransport::Https).then(|| Kept {
        keeper: asked.keeper.copied().unwrap_or_else(|| front.keeper(query, asker)),
        longest_s: settings.ttl_s,
    });
    // Looked at where it is: it is large.
    let asked = form.ask(front, &question, kept);
    let answer = match &asked {
        Ok(answer) => answer,
        Err(_) if !form.is_booked() => return nothing(zone, OptRcode::NOERROR, reply),
        Err(refusal) => {
            answers.refused(refused(refusal));
            return match refusal {
                Refusal::NoAddress | Refusal::NoPort => nothing(zone, OptRcode::NOERROR, reply),
                Refusal::UnknownDomain
                | Refusal::AllOverloaded { .. }
                | Refusal::NoNode { .. }
                | Refusal::NoOrigins => Verdict::refused(OptRcode::SERVFAIL),
            };
        }
    };
    let telling = Telling { settings, zone, domain, ttl_s: answer.ttl_s.min(settings.ttl_s) };
    if !form.write(front, answer, &telling, reply) {
        return nothing(zone, OptRcode::NOERROR, reply);
    }
    if form.is_booked() {
        answers.answered(answer.domain, domain, answer.reason, answer.located.precision);
    }
    answers.took(began);
    Verdict {
        scope: told.map_or(0, |told| scope(client, told, answer.located.prefix)),
        by_subnet: told.is_some(),
        ..Verdict::authoritative(OptRcode::NOERROR)
    }
}

/// One address of each node that has one of the family, the best node's first.
pub(super) fn addresses(answer: &Answer, family: Family) -> ArrayVec<IpAddr, MOST_PICKS> {
    answer.picks.iter().filter_map(|pick| answer.address(pick, family)).collect()
}

fn write_options(
    front: &Front,
    settings: &Settings,
    edns: &Edns,
    asker: Asker,
    verdict: &Verdict,
    reply: &mut Reply<'_>,
) {
    let subnet = edns.subnet.map(|subnet| subnet_option(subnet, verdict.scope));
    let bake = |cookie| front.baker.bake(cookie, asker.ip, front.resolver.unix_s());
    let cookie: Option<[u8; cookie::LENGTH]> = edns.cookie.as_ref().map(bake);
    let nsid = settings.nsid.as_ref().filter(|_| edns.nsid);
    let subnet = subnet.as_ref().map(|content| (OptionCode::CLIENT_SUBNET, content.as_slice()));
    let cookie = cookie.as_ref().map(|content| (OptionCode::COOKIE, content.as_slice()));
    let nsid = nsid.map(|name| (OptionCode::NSID, name.as_bytes()));
    let options =
        subnet.into_iter().chain(cookie).chain(nsid).map(|(code, content)| (code.to_int(), content));
    // Where everybody can read along, padding hides nothing (RFC 7830 §6).
    let is_padded = edns.padded && matches!(asker.transport, DnsTransport::Tls | DnsTransport::Https);
    reply.edns(&verdict.end, edns.dnssec_ok, options, is_padded);
}

/// The content of a client subnet option as it goes back (RFC 7871 §7.2.1).
fn subnet_option(subnet: Subnet, scope: u8) -> ArrayVec<u8, 20> {
    let mut content = ArrayVec::from([0; 20]);
    let (head, octets) = content.split_at_mut(4);
    let family = match subnet.ip {
        IpAddr::V4(ip) => {
            octets[..4].copy_from_slice(&ip.octets());
            1
        }
        IpAddr::V6(ip) => {
            octets.copy_from_slice(&ip.octets());
            2
        }
    };
    head.copy_from_slice(&[0, family, subnet.source, scope]);
    content.truncate(4 + usize::from(subnet.source).div_ceil(8));
    content
}

/// The label of a refusal in metrics.
fn refused(refusal: &Refusal) -> Refused {
    match refusal {
        Refusal::UnknownDomain => Refused::UnknownDomain,
        Refusal::AllOverloaded { .. } => Refused::AllOverloaded,
        Refusal::NoAddress => Refused::NoAddress,
        Refusal::NoPort => Refused::NoPort,
        Refusal::NoOrigins => Refused::NoOrigins,
        Refusal::NoNode { .. } => Refused::NoNode,
    }
}

// === impl Verdict ===

impl Verdict {
    fn authoritative(rcode: OptRcode) -> Self {
        let end = End { rcode: rcode.to_int(), is_authoritative: true, is_compact: false };
        Self { end, scope: 0, by_subnet: false }
    }

    /// Nothing but an invitation to come by TCP.
    fn cut(reply: &mut Reply<'_>) -> Self {
        reply.cut();
        Self::refused(OptRcode::NOERROR)
    }

    fn refused(rcode: OptRcode) -> Self {
        let end = End { rcode: rcode.to_int(), is_authoritative: false, is_compact: false };
        Self { end, scope: 0, by_subnet: false }
    }
}
