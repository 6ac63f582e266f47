//! The parameters of `GET /dns-query`: a message in base64url (RFC 8484 §4.1.1), or a question in words.

use std::net::IpAddr;

use domain::base::MessageBuilder;
use domain::base::iana::{Class, Rtype};
use domain::base::name::Name;
use domain::base::opt::ClientSubnet;
use ipnet::IpNet;

use super::super::problem::{InvalidParam, MISSING, Problem};
use super::super::query::{Params, address};
use super::LONGEST_QUERY;

const NAMES: &[&str; 4] = &["dns", "name", "type", "edns_client_subnet"];

/// What is asked.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    /// The octets of a query.
    Message(Vec<u8>),
    /// By name, for an answer in JSON.
    Name(Question),
}

/// A question in words.
#[derive(Debug, PartialEq)]
pub(super) struct Question {
    name: Box<str>,
    kind: Rtype,
    /// For whom, if not for who asks.
    subnet: Option<IpNet>,
}

// === impl Asked ===

impl Asked {
    /// Reads a query string; every parameter that is wrong is named.
    pub(super) fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut params = Params::scan(query, NAMES);
        let must = "must be a DNS query of 4096 octets at most in base64url without padding";
        let is_by_message = params.has("dns");
        let message = params.read("dns", must, base64url);
        if !is_by_message && !params.has("name") {
            params.verdict()?;
            return Err(Problem::invalid(vec![InvalidParam::new("dns", MISSING)]));
        }
        if is_by_message {
            if params.take("name").is_some() {
                params.fault("name", "must not stand beside dns");
            }
            params.verdict()?;
            return Ok(Self::Message(message.unwrap_or_default()));
        }
        let name = params.domain("name");
        let kind = params.read("type", "must be a record type, such as AAAA or 28", kind).unwrap_or(Rtype::A);
        let must = "must be an address, or a network such as 198.51.100.0/24";
        let subnet = params.read("edns_client_subnet", must, subnet);
        params.verdict()?;
        Ok(Self::Name(Question { name: name.unwrap_or_default().into(), kind, subnet }))
    }
}

// === impl Question ===

impl Question {
    /// The octets that ask for it.
    pub(super) fn query(&self) -> Result<Vec<u8>, Problem> {
        self.built().ok_or_else(Problem::internal)
    }

    fn built(&self) -> Option<Vec<u8>> {
        let name: Name<Vec<u8>> = self.name.parse().ok()?;
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_rd(true);
        builder.push((name, self.kind, Class::IN)).ok()?;
        let Some(subnet) = self.subnet else { return Some(builder.finish()) };
        let mut builder = builder.additional();
        let option = ClientSubnet::new(subnet.prefix_len(), 0, subnet.network());
        builder.opt(|opt| opt.push(&option)).ok()?;
        Some(builder.finish())
    }
}

fn kind(text: &str) -> Option<Rtype> {
    let number = text.parse().ok().map(Rtype::from_int);
    let kind = number.or_else(|| text.to_ascii_uppercase().parse().ok())?;
    (kind.to_int() != 0).then_some(kind)
}

/// A network, bits after its prefix zero. An address without a prefix stands for the network that others may know
/// (RFC 7871 §11.1).
fn subnet(text: &str) -> Option<IpNet> {
    let net = match text.contains('/') {
        true => text.parse().ok()?,
        false => {
            let ip = address(text)?;
            IpNet::new(ip, if matches!(ip, IpAddr::V4(_)) { 24 } else { 56 }).ok()?
        }
    };
    Some(net.trunc())
}

/// Undoes base64url without padding (RFC 4648 §5). Bits that no octet takes must be zero, so that a query has one form.
fn base64url(text: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST_QUERY.div_ceil(3) * 4 || text.len() % 4 == 1 {
        return None;
    }
    let mut octets = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            octets.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0 && octets.len() <= LONGEST_QUERY).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let Asked::Message(query) =
            Asked::read(Some("dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB")).unwrap()
        else {
            panic!("no message");
        };
        assert_eq!((query.len(), &query[12..16]), (33, &b"\x03www"[..]));
        // In words it is the same but for the ID.
        let Asked::Name(question) = Asked::read(Some("name=www.example.com&type=a")).unwrap() else {
            panic!("no question");
        };
        assert_eq!(question.query().unwrap(), query);
    }

    #[test]
    fn types_and_networks_are_read_in_their_usual_forms() {
        for (text, expected) in [
            ("AAAA", Some(28)),
            ("28", Some(28)),
            ("https", Some(65)),
            ("0", None),
            ("X", None),
            ("", None),
            ("65536", None),
        ] {
            assert_eq!(kind(text).map(Rtype::to_int), expected, "{text}");
        }
        for (text, expected) in [
            ("198.51.100.77", Some("198.51.100.0/24")),
            ("198.51.100.77/25", Some("198.51.100.0/25")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("2001:db8:1:2ff::1", Some("2001:db8:1:200::/56")),
            ("198.51.100.77/33", None),
            ("", None),
            ("here", None),
        ] {
            assert_eq!(subnet(text).map(|net| net.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_message_has_one_form() {
        for text in ["A", "AB", "AAA=", "AA A", "AA+/", "é"] {
            assert_eq!(base64url(text), None, "{text}");
        }
        assert_eq!(base64url(&"A".repeat(5_464)), None);
        assert_eq!(base64url(&"A".repeat(5_462)).map(|octets| octets.len()), Some(4_096));
    }

    proptest! {
        #[test]
        fn any_octets_survive(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let bits: Vec<u8> = octets.iter().flat_map(|o| (0..8).rev().map(move |b| o >> b & 1)).collect();
            let digit = |six: &[u8]| (0..6).fold(0, |n, at| n << 1 | six.get(at).copied().unwrap_or(0));
            let text: String = bits.chunks(6).map(|six| char::from(DIGITS[usize::from(digit(six))])).collect();
            prop_assert_eq!(base64url(&text), Some(octets));
        }
    }
}
