//! A query read strictly: octets of strangers become a [`Query`], or a reason not to answer it.
//!
//! Common queries are read by hand ([`quick`]), all others by the `domain` crate; what it leaves to its users is checked
//! here: one question, one OPT, no surplus octets, no client subnet with a scope (RFC 7871 §7.1.2).

mod quick;

use std::net::IpAddr;

use arrayvec::ArrayVec;
use domain::base::Message;
use domain::base::iana::{Opcode, OptionCode, Rtype};
use domain::base::name::ToLabelIter as _;
use domain::base::opt::cookie::Cookie;
use domain::base::opt::{ClientSubnet, Opt, OptRecord, UnknownOptData};
use domain::base::wire::ParseError;

#[cfg(any(test, fuzzing))]
pub(super) use self::quick::agrees;
use super::reply::CO;

/// Longest name, octets (RFC 1035 §2.3.4).
pub(super) const LONGEST_NAME: usize = 255;
/// Most additional records of a query: OPT, and a signature that we do not check.
const MOST_ADDITIONAL: u16 = 2;
/// Octets of a header.
pub(super) const HEADER: usize = 12;

/// What every reply repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// ID.
    pub(super) id: u16,
    /// The opcode's four bits.
    pub(super) opcode: u8,
    /// RD.
    pub(super) wants_recursion: bool,
}

/// A query that can be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query<'q> {
    pub(super) head: Head,
    /// The question as it came, letter case included.
    pub(super) question: &'q [u8],
    /// Its name in lower case.
    pub(super) name: &'q [u8],
    /// QTYPE.
    pub(super) kind: u16,
    /// QCLASS.
    pub(super) class: u16,
    pub(super) edns: Option<Edns>,
}

/// What the OPT record says (RFC 6891).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edns {
    pub(super) version: u8,
    /// Largest UDP payload the asker can take.
    pub(super) payload: u16,
    /// DO.
    pub(super) dnssec_ok: bool,
    /// CO: it knows the compact form in which signed zones deny names (RFC 9824 §5.1).
    pub(super) compact_ok: bool,
    pub(super) subnet: Option<Subnet>,
    pub(super) cookie: Option<Cookie>,
    /// It asks for our name.
    pub(super) nsid: bool,
    /// It is padded, so that its length tells nothing, and so may be the reply (RFC 7830).
    pub(super) padded: bool,
}

/// The network of the client behind a resolver (RFC 7871).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    /// Its address, bits after the prefix zero.
    pub(super) ip: IpAddr,
    /// SOURCE PREFIX-LENGTH.
    pub(super) source: u8,
}

/// Why a message is not answered as a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// No header, or a reply: silence.
    Silent,
    /// FORMERR.
    Malformed(Head),
    /// NOTIMP: an opcode other than QUERY.
    Opcode(Head),
}

/// Room for a name in lower case.
pub(super) type Room = [u8; LONGEST_NAME];

/// Reads a query; its name is put into `room`.
pub(super) fn read<'q>(bytes: &'q [u8], room: &'q mut Room) -> Result<Query<'q>, Unreadable> {
    let query = match quick::read(bytes) {
        Some(query) => query,
        None => read_by_codec(bytes)?,
    };
    let Some(lower) = room.get_mut(..query.name.len()) else { return Err(Unreadable::Silent) };
    lower.copy_from_slice(query.name);
    // Lengths are below 64 and so no letters.
    lower.make_ascii_lowercase();
    Ok(Query { name: lower, ..query })
}

/// Reads any query, its name as it is written, and says what is wrong with what is none.
fn read_by_codec(bytes: &[u8]) -> Result<Query<'_>, Unreadable> {
    let message = Message::from_slice(bytes).map_err(|_| Unreadable::Silent)?;
    let header = message.header();
    if header.qr() {
        return Err(Unreadable::Silent);
    }
    let opcode = header.opcode();
    let head = Head { id: header.id(), opcode: opcode.to_int(), wants_recursion: header.rd() };
    if opcode != Opcode::QUERY {
        return Err(Unreadable::Opcode(head));
    }
    read_sections(message, bytes, head).map_err(|_| Unreadable::Malformed(head))
}

/// The error says nothing: who sends such things is told FORMERR, and no more.
struct Malformed;

impl From<ParseError> for Malformed {
    fn from(_: ParseError) -> Self {
        Self
    }
}

fn read_sections<'q>(message: &Message<[u8]>, bytes: &'q [u8], head: Head) -> Result<Query<'q>, Malformed> {
    let counts = message.header_counts();
    if counts.qdcount() != 1 || counts.ancount() != 0 || counts.arcount() > MOST_ADDITIONAL {
        return Err(Malformed);
    }
    let mut questions = message.question();
    let question = questions.next().ok_or(Malformed)??;
    // IXFR alone brings a record along (RFC 1995 §3).
    let most_authority = if question.qtype() == Rtype::IXFR { 1 } else { 0 };
    if counts.nscount() > most_authority {
        return Err(Malformed);
    }
    let mut name = ArrayVec::<u8, LONGEST_NAME>::new();
    for label in question.qname().iter_labels() {
        let label = label.as_slice();
        let length = u8::try_from(label.len()).map_err(|_| Malformed)?;
        name.try_push(length).map_err(|_| Malformed)?;
        name.try_extend_from_slice(label).map_err(|_| Malformed)?;
    }
    // A pointer would point into the header: the question is repeated as it came, and has to mean the same there.
    let question_octets = bytes.get(HEADER..HEADER + name.len() + 4).ok_or(Malformed)?;
    let written = question_octets.get(..name.len()).filter(|written| **written == *name).ok_or(Malformed)?;
    let edns = read_additional(message, bytes.len())?;
    Ok(Query {
        head,
        question: question_octets,
        name: written,
        kind: question.qtype().to_int(),
        class: question.qclass().to_int(),
        edns,
    })
}

fn read_additional(message: &Message<[u8]>, length: usize) -> Result<Option<Edns>, Malformed> {
    let mut additional = message.additional()?;
    let mut edns = None;
    for record in additional.by_ref() {
        let record = record?;
        if record.rtype() != Rtype::OPT {
            continue;
        }
        // One only, and of the root (RFC 6891 §6.1.1, §6.1.2).
        if edns.is_some() || !record.owner().is_root() {
            return Err(Malformed);
        }
        let record = record.to_record::<Opt<_>>()?.ok_or(Malformed)?;
        // The flags are the second half of what is a TTL elsewhere.
        let compact_ok = record.ttl().as_secs() >> 8 & u32::from(CO) != 0;
        edns = Some(Edns { compact_ok, ..read_options(&OptRecord::from(record))? });
    }
    if additional.pos() != length {
        return Err(Malformed);
    }
    Ok(edns)
}

fn read_options(record: &OptRecord<&[u8]>) -> Result<Edns, Malformed> {
    let mut edns = Edns {
        version: record.version(),
        payload: record.udp_payload_size(),
        dnssec_ok: record.dnssec_ok(),
        compact_ok: false,
        subnet: None,
        cookie: None,
        nsid: false,
        padded: false,
    };
    // What options of a later version look like, nobody knows.
    if edns.version != 0 {
        return Ok(edns);
    }
    for subnet in record.opt().iter::<ClientSubnet>() {
        let subnet = subnet?;
        if edns.subnet.is_some() || subnet.scope_prefix_len() != 0 {
            return Err(Malformed);
        }
        edns.subnet = Some(Subnet { ip: subnet.addr(), source: subnet.source_prefix_len() });
    }
    for cookie in record.opt().iter::<Cookie>() {
        let cookie = cookie?;
        // The first counts (RFC 7873 §5.2).
        edns.cookie.get_or_insert(cookie);
    }
    for option in record.opt().iter::<UnknownOptData<&[u8]>>() {
        let code = option?.code();
        edns.nsid |= code == OptionCode::NSID;
        edns.padded |= code == OptionCode::PADDING;
    }
    Ok(edns)
}
