//! The common query read by hand: one question of class IN, and at most an OPT with a client subnet.
//!
//! What resolvers send all day has one shape, and the codec, which knows every shape, walks such a message several
//! times. So that shape is looked for first. There are no errors here: whatever is not exactly of it, wrong or merely
//! rare (a cookie, NSID, a pointer), is left to the codec to read and judge. Where both read, they read the same; the
//! law `agrees` is tested with random queries and held by the fuzzer.

use std::net::IpAddr;

use domain::base::iana::{Class, OptionCode, Rtype};

use super::super::reply::CO;
use super::{Edns, HEADER, Head, LONGEST_NAME, Query, Subnet};

/// QR and the opcode in the header's third octet.
const QR_AND_OPCODE: u8 = 0xf8;
/// RD, beside them.
const RD: u8 = 0x01;
/// DO in the third octet of OPT's TTL.
const DO: u8 = 0x80;

/// The query, its name as it is written, if it is one of the common ones.
pub(super) fn read(bytes: &[u8]) -> Option<Query<'_>> {
    let (header, body) = bytes.split_first_chunk::<HEADER>()?;
    // One question, no answer, no authority; the other flags mean nothing in a query.
    let &[id, id_low, flags, _, 0, 1, 0, 0, 0, 0, 0, additional @ (0 | 1)] = header else { return None };
    if flags & QR_AND_OPCODE != 0 {
        return None;
    }
    let written = body.get(..name_length(body)?)?;
    let (&[kind, kind_low, class, class_low], rest) = body.get(written.len()..)?.split_first_chunk()?;
    let class = u16::from_be_bytes([class, class_low]);
    if class != Class::IN.to_int() {
        return None;
    }
    let edns = match additional {
        0 if rest.is_empty() => None,
        0 => return None,
        _ => Some(edns(rest)?),
    };
    Some(Query {
        head: Head { id: u16::from_be_bytes([id, id_low]), opcode: 0, wants_recursion: flags & RD != 0 },
        question: body.get(..written.len() + 4)?,
        name: written,
        kind: u16::from_be_bytes([kind, kind_low]),
        class,
        edns,
    })
}

/// Octets of the name that comes first, its root included; `None`: it is too long or none, or has pointers.
fn name_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = *bytes.get(at)?;
        at += 1 + usize::from(length);
        match length {
            0 if at <= LONGEST_NAME => return Some(at),
            1..=63 if at < LONGEST_NAME => {}
            _ => return None,
        }
    }
}

/// An OPT of version 0 that ends with the message.
fn edns(record: &[u8]) -> Option<Edns> {
    let (&[owner, kind, kind_low, payload, payload_low, _, version, flags, _, length, length_low], options) =
        record.split_first_chunk()?;
    let is_opt = owner == 0 && u16::from_be_bytes([kind, kind_low]) == Rtype::OPT.to_int();
    if !is_opt || version != 0 || usize::from(u16::from_be_bytes([length, length_low])) != options.len() {
        return None;
    }
    Some(Edns {
        version,
        payload: u16::from_be_bytes([payload, payload_low]),
        dnssec_ok: flags & DO != 0,
        compact_ok: flags & CO != 0,
        subnet: if options.is_empty() { None } else { Some(subnet(options)?) },
        cookie: None,
        nsid: false,
        padded: false,
    })
}

/// A client subnet that is the only option, strictly as RFC 7871 §6 has it.
fn subnet(options: &[u8]) -> Option<Subnet> {
    let (&[code, code_low, length, length_low, 0, family, source, 0], address) =
        options.split_first_chunk()?
    else {
        return None;
    };
    let is_subnet = u16::from_be_bytes([code, code_low]) == OptionCode::CLIENT_SUBNET.to_int();
    let is_whole = usize::from(u16::from_be_bytes([length, length_low])) == address.len() + 4;
    if !is_subnet || !is_whole || address.len() != usize::from(source).div_ceil(8) {
        return None;
    }
    // Bits after the prefix: none.
    let beyond = match source % 8 {
        0 => 0,
        used => 0xff_u8 >> used,
    };
    if address.last().is_some_and(|last| last & beyond != 0) {
        return None;
    }
    let ip = match family {
        1 => IpAddr::from(padded::<4>(address)?),
        2 => IpAddr::from(padded::<16>(address)?),
        _ => return None,
    };
    Some(Subnet { ip, source })
}

/// An address of which the last octets were left out; `None`: there are too many.
fn padded<const N: usize>(address: &[u8]) -> Option<[u8; N]> {
    let mut whole = [0; N];
    whole.get_mut(..address.len())?.copy_from_slice(address);
    Some(whole)
}

/// The law: what is read here the codec reads as the very same query.
///
/// # Panics
/// They differ.
#[cfg(any(test, fuzzing))]
pub(in crate::dns) fn agrees(bytes: &[u8]) {
    if let Some(query) = read(bytes) {
        assert_eq!(super::read_by_codec(bytes).as_ref(), Ok(&query), "the codec reads something else");
    }
}

#[cfg(test)]
mod tests;
