//! What fuzzers and tests throw queries at: a real front over a small fleet, and what must hold of any reply.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use domain::base::iana::{Rcode, Rtype};
use domain::base::rdata::ComposeRecordData as _;
use domain::base::{Message, Name, ParsedName, RecordData as _, ToName as _};
use domain::rdata::AllRecordData;
use domain::rdata::dnssec::Timestamp;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::query::{self, Query};
use super::zones::wire;
use super::{CookieSecret, Front, ZoneKeys};
use crate::config::Config;
use crate::resolver::fuzzing::over;
use crate::schedule::terms::TermSettings;
use crate::telemetry::{DnsTransport, Telemetry};

/// A zone with a name of every kind, and one that is signed, another one in it.
pub(super) const CONFIG: &str = r#"
pools = [{ name = "edges" }, { name = "secure" }, { name = "mixed" }]
domains = [
  { name = "live.example.com", pool = "edges" },
  { name = "live.example.net", pool = "edges" },
  { name = "tls.example.net", pool = "secure", policy = "nearest" },
  { name = "live.example.org", pool = "edges" },
  { name = "tls.example.com", pool = "secure", policy = "nearest" },
  { name = "mixed.example.com", pool = "mixed", policy = "nearest" },
  { name = "named.example.com", pool = "secure", redirect_host = "{id}.nodes.example.com" },
  { name = "written.example.com", pool = "secure" },
]
nodes = [
  { id = "a", pool = "edges", addresses = ["203.0.113.10"] },
  { id = "s-1", pool = "secure", addresses = ["203.0.113.20", "2001:db8::20"], media = { https = 8443, rtmp = 1935 }, location = { latitude = 1, longitude = 1 } },
  { id = "S.2", pool = "secure", addresses = ["203.0.113.21", "203.0.113.22"], media = { https = 8443 }, location = { latitude = 40, longitude = 1 } },
  { id = "m-1", pool = "mixed", addresses = ["203.0.113.30"], media = { http = 8080 }, location = { latitude = 1, longitude = 1 } },
  { id = "M.2", pool = "mixed", addresses = ["203.0.113.31", "2001:db8::31"], media = { https = 443, rtmp = 1936 }, location = { latitude = 40, longitude = 1 } },
  { id = "m-3", pool = "mixed", addresses = ["2001:db8::32"], media = { https = 444, rtmp = 1937 }, location = { latitude = 80, longitude = 1 } },
]
geoip = { default_location = { latitude = 1, longitude = 1 } }

[dns]
listen = "127.0.0.1:0"
responses_per_second = 0
nsid = "ns-7"
alpn = ["h2"]

[[dns.zones]]
apex = "example.com"
ns = ["ns1.example.net", "ns2.example.net"]
soa = { serial = 7, negative_ttl = "45s" }
records = [
  "@ 300 TXT \"v=spf1 -all\"",
  "@ 300 CAA 0 issue \"ca.example.net\"",
  "@ 300 MX 10 mail.example.net.",
  "www 60 A 192.0.2.80",
  "www 120 A 192.0.2.81",
  "www 60 AAAA 2001:db8::80",
  "www 60 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.80",
  "_rtmp._tcp.live 60 SRV 0 5 1935 live",
  "written 60 HTTPS 1 other.example.net.",
  "_stun._tcp.tls 60 SRV 0 0 3478 www",
  "deep.below 60 TXT \"x\"",
  "long 60 TXT \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\" \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\" \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\" \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"",
]

[[dns.zones]]
apex = "example.net"
ns = ["ns1.example.net", "ns2.example.net"]
records = [
  "@ 300 TXT \"v=spf1 -all\"",
  "@ 300 CAA 0 issue \"ca.example.net\"",
  "@ 300 MX 10 MAIL.example.net.",
  "@ 300 MX 5 a.example.net.",
  "www 60 A 192.0.2.81",
  "www 60 A 192.0.2.80",
  "www 60 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.80",
  "_rtmp._tcp.live 60 SRV 0 5 1935 LIVE",
  "deep.below 60 TXT \"x\"",
]

[[dns.zones]]
apex = "other.child.example.net"
ns = ["ns1.example.org"]
"#;

static FRONT: LazyLock<Option<Front>> = LazyLock::new(|| front(&Config::parse(CONFIG, "fuzzing").ok()?));

/// A front for a configuration's zones and fleet, of which nothing has been measured.
pub(super) fn front(config: &Config) -> Option<Front> {
    let (resolver, _) = over(config.clone(), TermSettings::default(), true)?;
    let (dns, telemetry) = (config.dns.as_ref()?, Arc::new(Telemetry::new()));
    let keys = ZoneKeys::of_the_rfc();
    Some(Front::new(Arc::new(resolver), telemetry, CookieSecret([7; 16]), dns, &keys, &config.domains))
}

/// A query: whatever it is, both readers read the same; the reply is small enough, is one of the asker's, and can be
/// read record by record.
///
/// # Panics
/// One of these does not hold.
pub fn dns_query(bytes: &[u8]) {
    let Some(front) = &*FRONT else { panic!("the front cannot be set up") };
    query::agrees(bytes);
    let mut out = Vec::new();
    for (transport, most) in
        [(DnsTransport::Udp, 1_232), (DnsTransport::Tcp, 65_535), (DnsTransport::Tls, 65_535)]
    {
        front.answer(bytes, IpAddr::from([192, 0, 2, 1]), transport, &mut out);
        if out.is_empty() {
            // Silence: no header, or a reply.
            assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0, "a query was not answered");
            continue;
        }
        assert!(out.len() <= most, "{} octets", out.len());
        assert_eq!(out[..2], bytes[..2], "another query's ID");
        let Ok(message) = Message::from_slice(&out) else { panic!("no message") };
        assert!(message.header().qr() && !message.header().ra(), "no reply of an authority");
        let mut records = 0;
        for section in [message.answer(), message.authority(), message.additional()] {
            let Ok(section) = section else { panic!("a section cannot be reached") };
            for record in section {
                let Ok(record) = record else { panic!("a record cannot be read") };
                let Ok(Some(_)) = record.to_record::<AllRecordData<_, ParsedName<&[u8]>>>() else {
                    panic!("data cannot be read");
                };
                records += 1;
            }
        }
        let counts = message.header_counts();
        assert_eq!(records, counts.ancount() + counts.nscount() + counts.arcount(), "a count is wrong");
        if let Ok(query) = query::read(bytes, &mut [0; query::LONGEST_NAME]) {
            check_signatures(front, &query, message);
        }
    }
}

/// A record of a reply from the signed zone.
struct Seen<'m> {
    owner: Name<Vec<u8>>,
    ttl_s: u32,
    data: AllRecordData<&'m [u8], ParsedName<&'m [u8]>>,
}

/// Whoever asks the signed zone for signatures gets one over each set, which holds now, and a proof where there is nothing.
/// What is signed is put together here by another hand than that of `dns/sign`.
fn check_signatures(front: &Front, query: &Query<'_>, message: &Message<[u8]>) {
    let (zone, child) = (wire("example.net"), wire("other.child.example.net"));
    let is_of_child =
        query.name.ends_with(&child) && !(*query.name == *child && query.kind == Rtype::DS.to_int());
    let asked = query.edns.as_ref().filter(|edns| edns.dnssec_ok);
    let header = message.header();
    let Some(edns) = asked.filter(|_| header.aa() && !header.tc()) else { return };
    if !query.name.ends_with(&zone) || is_of_child {
        return;
    }
    let sections = [message.answer(), message.authority()].into_iter().flatten().flatten().flatten();
    let records = sections.filter_map(|record| {
        let record = record.to_record::<AllRecordData<_, ParsedName<_>>>().ok()??;
        let owner = record.owner().to_canonical_name();
        Some(Seen { owner, ttl_s: record.ttl().as_secs(), data: record.into_data() })
    });
    let records: Vec<Seen<'_>> = records.collect();
    let now = Timestamp::from(u32::try_from(front.resolver.unix_s()).unwrap_or_default());
    for record in &records {
        let AllRecordData::Rrsig(signature) = &record.data else {
            let covers = |other: &&Seen<'_>| {
                matches!(&other.data, AllRecordData::Rrsig(signature)
                if other.owner == record.owner && signature.type_covered() == record.data.rtype())
            };
            let is_asked_for_alone = query.kind == Rtype::RRSIG.to_int();
            assert!(
                is_asked_for_alone || records.iter().any(|other| covers(&other)),
                "{} is not signed",
                record.data.rtype()
            );
            continue;
        };
        assert!(
            signature.inception() <= now && now <= signature.expiration(),
            "a signature does not hold now"
        );
        let of_set =
            |other: &&Seen<'_>| other.owner == record.owner && other.data.rtype() == signature.type_covered();
        let set: Vec<&Seen<'_>> = records.iter().filter(of_set).collect();
        if !set.is_empty() {
            verify(signature, &set);
        }
    }
    let denies = |record: &&Seen<'_>| matches!(&record.data, AllRecordData::Nsec(_));
    let proof = records.iter().find(denies).map(|record| (&record.owner, &record.data));
    if message.header_counts().ancount() == 0 {
        let Some((owner, AllRecordData::Nsec(nsec))) = proof else { panic!("nothing, and no proof of it") };
        assert_eq!(owner.as_slice(), query.name, "the proof is of another name");
        let says_nothing = nsec.types().contains(Rtype::NXNAME);
        assert!(!nsec.types().contains(Rtype::from_int(query.kind)), "the proof says that it is there");
        let is_missing = header.rcode() == Rcode::NXDOMAIN;
        assert_eq!(is_missing, says_nothing && edns.compact_ok, "the proof says other than the RCODE");
    }
}

type Signature<'m> = domain::rdata::Rrsig<&'m [u8], ParsedName<&'m [u8]>>;

fn verify(signature: &Signature<'_>, set: &[&Seen<'_>]) {
    let composed = |data: &dyn Fn(&mut Vec<u8>) -> Result<(), std::convert::Infallible>| {
        let mut octets = Vec::new();
        let Ok(()) = data(&mut octets);
        octets
    };
    let mut covered = composed(&|octets| signature.compose_canonical_rdata(octets));
    covered.truncate(covered.len() - signature.signature().len());
    let mut canonical: Vec<_> =
        set.iter().map(|record| composed(&|octets| record.data.compose_canonical_rdata(octets))).collect();
    canonical.sort();
    for (record, data) in set.iter().zip(canonical) {
        assert_eq!(record.ttl_s, signature.original_ttl().as_secs(), "another TTL is signed");
        covered.extend_from_slice(record.owner.as_slice());
        covered.extend_from_slice(&record.data.rtype().to_int().to_be_bytes());
        covered.extend_from_slice(&[0, 1]);
        covered.extend_from_slice(&record.ttl_s.to_be_bytes());
        covered.extend_from_slice(&(data.len() as u16).to_be_bytes());
        covered.extend_from_slice(&data);
    }
    let keys = ZoneKeys::of_the_rfc().of("example.net");
    let public = [&[4], &keys[0].dnskey()[4..]].concat();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
    assert!(public.verify(&covered, signature.signature()).is_ok(), "a signature is not of this set");
}
