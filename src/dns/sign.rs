//! Signed answers (DNSSEC, RFC 4033 to 4035), signed while they are asked for.
//!
//! *What it decides*: nothing. An answer is written as for everybody; whoever asks for signatures (DO) gets it with them,
//! and with a proof where there is nothing (`dns/denial`). Dynamic answers are of this moment, so no signature can lie
//! ready for them; it is made for the very set of addresses that goes out.
//!
//! *Cost*: one signature for a positive answer, two for a negative one, some 15 µs each. A signature counts for days and
//! says the same for an hour (its times are those of the hour), so it is kept: static records, the SOA and every set of
//! addresses that comes again cost a hash. What remains is a flood of questions for names that do not exist, each of which
//! needs a signature of its own. Limited replies are never signed, so one network causes at most
//! `dns.responses_per_second` of them by UDP.
//!
//! *Limits*: nobody who does not ask for signatures pays anything, and what is cut is not signed. A star in a name is a
//! label like others, because zones of ours have no wildcards.

use std::sync::{Mutex, OnceLock};

use domain::base::iana::{OptRcode, Rtype};
use ring::digest::{Context, SHA256};

use super::denial::nsec;
use super::keys::{ALGORITHM, SIGNATURE, ZoneKey};
use super::query::Query;
use super::reply::{End, Owner, Reply};
use super::service::Meaning;
use super::zones::{Entry, Found, Zone};
use super::{Front, Settings};
use crate::telemetry::Telemetry;

/// For how long signatures say the same, s.
const STEP_S: u64 = 3_600;
/// How much earlier they begin to count, s: for validators whose clocks are late.
const BEFORE_S: u64 = 3_600;
/// How long they count from the beginning of their hour, s: three days at least, longer than any lifetime of ours.
const LIFE_S: u64 = 4 * 86_400;
/// Signatures that are kept: 800 KiB, once a zone is signed.
const PLACES: usize = 8_192;

/// Signatures by what they sign.
///
/// By its SHA-256: two messages with one digest would have one signature anyway. Each has one place, where the next that
/// falls on it takes over; so memory is bounded, and a flood of new messages drives out a given one every 8,192nd time.
#[derive(Default)]
pub(super) struct Signatures {
    places: OnceLock<Box<[Mutex<Place>]>>,
}

struct Place {
    digest: [u8; 32],
    signature: [u8; SIGNATURE],
}

/// What is signed together: all records of one owner and type.
struct Set {
    owner: Owner,
    kind: u16,
    ttl_s: u32,
    data: Vec<Vec<u8>>,
}

/// Who signs.
struct Signer<'f> {
    front: &'f Front,
    zone: &'f Zone,
    /// The question's name, lower case.
    name: &'f [u8],
}

/// There are no random numbers.
struct NoChance;

/// Signs what was written, and proves what is not there; in a zone without keys nothing.
pub(super) fn sign(
    front: &Front,
    settings: &Settings,
    query: &Query<'_>,
    end: &mut End,
    reply: &mut Reply<'_>,
) {
    if !end.is_authoritative || reply.is_cut() {
        return;
    }
    let (zone, entry) = match settings.zones.find(query.name, query.kind) {
        Found::Outside => return,
        Found::Missing(zone) => (zone, None),
        Found::Here(zone, entry) => (zone, Some(entry)),
    };
    if zone.keys.is_empty() {
        return;
    }
    // They would need signatures of their own; whoever misses them asks for them.
    reply.drop_glue();
    let signer = Signer { front, zone, name: query.name };
    let signed = match reply.answered() {
        Some((kind, ttl_s)) => {
            let data = reply.answers().map(<[u8]>::to_vec).collect();
            signer.push(&Set { owner: Owner::Question, kind, ttl_s, data }, reply)
        }
        None => {
            let meaning = Meaning::of(front, settings, (zone, entry), query.name);
            let kinds = entry.into_iter().flat_map(Entry::kinds).chain(meaning.kinds());
            let kinds = kinds.filter(|kind| *kind != query.kind);
            let kinds = (entry.is_some() || meaning.exists()).then_some(kinds);
            end.is_compact = query.edns.as_ref().is_some_and(|edns| edns.compact_ok);
            let proof = Set {
                owner: Owner::Question,
                kind: Rtype::NSEC.to_int(),
                ttl_s: zone.negative_ttl_s,
                data: vec![nsec(query.name, &zone.apex, kinds)],
            };
            signer.deny(&proof, query.kind, end, reply)
        }
    };
    if signed.is_err() {
        // Without signatures it would be taken for forged; so it is said that there is nothing to be had now.
        reply.empty();
        *end = End { rcode: OptRcode::SERVFAIL.to_int(), is_authoritative: false, is_compact: false };
    }
}

// === impl Signer ===

impl Signer<'_> {
    /// What proves that there is nothing; to who asks for the proof itself, as an answer.
    fn deny(&self, proof: &Set, kind: u16, end: &mut End, reply: &mut Reply<'_>) -> Result<(), NoChance> {
        let is_missing = end.rcode == OptRcode::NXDOMAIN.to_int();
        if is_missing && !end.is_compact {
            end.rcode = OptRcode::NOERROR.to_int();
        }
        // By the proof each name has an NSEC and its RRSIG, so these are there.
        if matches!(Rtype::from_int(kind), Rtype::NSEC | Rtype::RRSIG) {
            end.rcode = OptRcode::NOERROR.to_int();
            reply.empty();
            if kind == proof.kind {
                for data in &proof.data {
                    reply.answer(proof.kind, proof.ttl_s, data);
                }
            }
            return self.push(proof, reply);
        }
        let apex = Owner::Tail(self.zone.apex.len());
        let (ttl_s, data) = (self.zone.negative_ttl_s, vec![self.zone.soa.to_vec()]);
        let soa = Set { owner: apex, kind: Rtype::SOA.to_int(), ttl_s, data };
        self.push_authority(&soa, reply)?;
        for data in &proof.data {
            reply.authority(proof.owner, proof.kind, proof.ttl_s, data);
        }
        self.push_authority(proof, reply)
    }

    /// Writes the signatures of a set that was answered.
    fn push(&self, set: &Set, reply: &mut Reply<'_>) -> Result<(), NoChance> {
        for key in self.keys(set.kind) {
            reply.answer(Rtype::RRSIG.to_int(), set.ttl_s, &self.signature(set, key)?);
        }
        Ok(())
    }

    /// Writes the signatures of a set that stands beside an answer.
    fn push_authority(&self, set: &Set, reply: &mut Reply<'_>) -> Result<(), NoChance> {
        for key in self.keys(set.kind) {
            reply.authority(set.owner, Rtype::RRSIG.to_int(), set.ttl_s, &self.signature(set, key)?);
        }
        Ok(())
    }

    /// The first signs; the keys themselves all do, so that one follows another without a gap.
    fn keys(&self, kind: u16) -> &[ZoneKey] {
        let count = if kind == Rtype::DNSKEY.to_int() { self.zone.keys.len() } else { 1 };
        self.zone.keys.get(..count).unwrap_or_default()
    }

    /// RDATA of the RRSIG of a set (RFC 4034 §3.1).
    fn signature(&self, set: &Set, key: &ZoneKey) -> Result<Vec<u8>, NoChance> {
        let owner = match set.owner {
            Owner::Question => self.name,
            Owner::Tail(_) => &self.zone.apex,
        };
        let now_s = self.front.resolver.unix_s();
        let mut data = head(set, owner, key.tag(), &self.zone.apex, now_s - now_s % STEP_S);
        let head = data.len();
        write_canonical(set, owner, &mut data);
        let signature = self.front.signatures.of(key, &data, &self.front.telemetry).ok_or(NoChance)?;
        data.truncate(head);
        data.extend_from_slice(&signature);
        Ok(data)
    }
}

/// All of an RRSIG but the signature; `hour_s`: Unix time.
fn head(set: &Set, owner: &[u8], tag: u16, apex: &[u8], hour_s: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(&set.kind.to_be_bytes());
    head.extend_from_slice(&[ALGORITHM, labels(owner)]);
    head.extend_from_slice(&set.ttl_s.to_be_bytes());
    for time in [hour_s + LIFE_S, hour_s.saturating_sub(BEFORE_S)] {
        head.extend_from_slice(&wrapped(time).to_be_bytes());
    }
    head.extend_from_slice(&tag.to_be_bytes());
    head.extend_from_slice(apex);
    head
}

/// The records of a set as all signers and validators have to write them (RFC 4034 §6, RFC 6840 §5.1).
fn write_canonical(set: &Set, owner: &[u8], out: &mut Vec<u8>) {
    let mut data: Vec<Vec<u8>> = set.data.iter().map(|data| canonical(set.kind, data)).collect();
    data.sort_unstable();
    data.dedup();
    for data in data {
        out.extend_from_slice(owner);
        out.extend_from_slice(&set.kind.to_be_bytes());
        out.extend_from_slice(&1_u16.to_be_bytes());
        out.extend_from_slice(&set.ttl_s.to_be_bytes());
        out.extend_from_slice(&u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(&data);
    }
}

/// RDATA with the names in it in lower case, in types that were there before DNSSEC; those of our own making are so anyway.
fn canonical(kind: u16, data: &[u8]) -> Vec<u8> {
    let name_at = match Rtype::from_int(kind) {
        Rtype::NS => 0,
        Rtype::MX => 2,
        Rtype::SRV => 6,
        _ => data.len(),
    };
    let mut data = data.to_vec();
    if let Some(name) = data.get_mut(name_at..) {
        // Lengths are below 64 and so no letters.
        name.make_ascii_lowercase();
    }
    data
}

/// How many a name has, the root and a leading `*` not counted (RFC 4034 §3.1.3).
fn labels(mut name: &[u8]) -> u8 {
    let (is_wild, mut count) = (name.starts_with(b"\x01*"), 0);
    while let Some((length, rest)) = name.split_first().filter(|(length, _)| **length > 0) {
        name = rest.get(usize::from(*length)..).unwrap_or_default();
        count += 1;
    }
    count - u8::from(is_wild)
}

#[expect(clippy::cast_possible_truncation, reason = "RFC 4034 counts seconds in 32 bits that wrap")]
fn wrapped(unix_s: u64) -> u32 {
    unix_s as u32
}

// === impl Signatures ===

impl Signatures {
    /// The signature of a message, made if it is not there. `None`: it cannot be made.
    fn of(&self, key: &ZoneKey, message: &[u8], telemetry: &Telemetry) -> Option<[u8; SIGNATURE]> {
        // The key too, because tags are not unique.
        let mut digest = Context::new(&SHA256);
        digest.update(key.dnskey());
        digest.update(message);
        let digest: [u8; 32] = digest.finish().as_ref().try_into().ok()?;
        let place = self.place(&digest)?;
        // Nobody waits: a place that is just being written is not looked at.
        if let Ok(kept) = place.try_lock()
            && kept.digest == digest
        {
            telemetry.dns.signed(true);
            return Some(kept.signature);
        }
        let signature = key.sign(message)?;
        telemetry.dns.signed(false);
        if let Ok(mut place) = place.try_lock() {
            *place = Place { digest, signature };
        }
        Some(signature)
    }

    fn place(&self, digest: &[u8; 32]) -> Option<&Mutex<Place>> {
        let empty = || Mutex::new(Place { digest: [0; 32], signature: [0; SIGNATURE] });
        let places = self.places.get_or_init(|| (0..PLACES).map(|_| empty()).collect());
        let [high, low, ..] = *digest;
        places.get(usize::from(u16::from_be_bytes([high, low])) % PLACES)
    }
}

#[cfg(test)]
mod tests;
