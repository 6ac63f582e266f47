use domain::base::{Message, ParsedName};
use domain::rdata::Nsec;
use domain::utils::base64;
use proptest::prelude::*;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::*;
use crate::config::Config;
use crate::dns::fuzzing::{CONFIG, dns_query, front};
use crate::dns::keys::ZoneKeys;
use crate::dns::zones::wire;

/// RFC 6605 §6.1: `www.example.net A 192.0.2.1`, signed.
#[test]
fn the_signature_of_the_rfc_is_of_the_octets_that_we_would_sign() {
    let key = &ZoneKeys::of_the_rfc().of("example.net")[0];
    let set = Set { owner: Owner::Question, kind: 1, ttl_s: 3_600, data: vec![vec![192, 0, 2, 1]] };
    // From 2010-08-12 10:04:39 to 2010-09-09 10:04:39, which are not our own times.
    let mut message = head(&set, &wire("www.example.net"), key.tag(), &wire("example.net"), 0);
    message[8..12].copy_from_slice(&1_284_026_679_u32.to_be_bytes());
    message[12..16].copy_from_slice(&1_281_607_479_u32.to_be_bytes());
    write_canonical(&set, &wire("www.example.net"), &mut message);
    let signature: Vec<u8> = base64::decode(
        "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
    )
    .unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4], &key.dnskey()[4..]].concat());
    public.verify(&message, &signature).unwrap();
    public.verify(&message, &key.sign(&message).unwrap()).unwrap();
}

#[test]
fn a_set_is_sorted_in_lower_case_and_without_twins() {
    let mx = |preference: u8, name: &str| [&[0, preference], &*wire(name)].concat();
    let set = Set {
        owner: Owner::Question,
        kind: 15,
        ttl_s: 60,
        data: vec![mx(10, "MAIL.example"), mx(5, "b.example"), mx(10, "mail.EXAMPLE")],
    };
    let mut written = Vec::new();
    write_canonical(&set, &[0], &mut written);
    let record = |data: Vec<u8>| [&[0, 0, 15, 0, 1, 0, 0, 0, 60, 0, data.len() as u8], &*data].concat();
    assert_eq!(written, [record(mx(5, "b.example")), record(mx(10, "mail.example"))].concat());
}

#[test]
fn a_star_at_the_head_is_no_label() {
    for (name, expected) in
        [("example.net", 2), ("a.example.net", 3), ("*.example.net", 2), ("*a.example.net", 3)]
    {
        assert_eq!(labels(&wire(name)), expected, "{name}");
    }
    assert_eq!(labels(&[0]), 0);
}

/// A query with DO, and CO if asked for.
fn query(name: &[u8], kind: u16, compact: bool) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(name);
    query.extend_from_slice(&kind.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, if compact { 0xc0 } else { 0x80 }, 0, 0, 0]);
    query
}

fn ask(front: &Front, name: &str, kind: Rtype, compact: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let query = query(&wire(name), kind.to_int(), compact);
    front.answer(&query, [192, 0, 2, 53].into(), crate::telemetry::DnsTransport::Udp, &mut out);
    out
}

/// RCODE and flags of OPT, which has no options here and stands last.
fn ending(reply: &[u8]) -> (u8, u8) {
    (reply[3] & 0xf, reply[reply.len() - 4])
}

#[test]
fn a_missing_name_is_noerror_unless_the_asker_knows_the_compact_form() {
    let front = front(&Config::parse(CONFIG, "test").unwrap()).unwrap();
    assert_eq!(ending(&ask(&front, "nothing.example.net", Rtype::A, false)), (0, 0x80));
    assert_eq!(ending(&ask(&front, "nothing.example.net", Rtype::A, true)), (3, 0xc0));
    assert_eq!(ending(&ask(&front, "www.example.net", Rtype::TXT, true)), (0, 0xc0));
    assert_eq!(ending(&ask(&front, "www.example.net", Rtype::A, true)), (0, 0x80));
    // In a zone that is not signed nothing changes.
    assert_eq!(ending(&ask(&front, "nothing.example.com", Rtype::A, true)), (3, 0x80));
    assert_eq!(ending(&ask(&front, "www.example.net", Rtype::NXNAME, true)), (1, 0x80));
}

#[test]
fn a_signature_is_made_once_and_kept() {
    let front = front(&Config::parse(CONFIG, "test").unwrap()).unwrap();
    let first = ask(&front, "www.example.net", Rtype::A, false);
    // Two signatures of one message would differ: each is made with a random number.
    assert_eq!(ask(&front, "www.example.net", Rtype::A, false), first);
    assert_ne!(ask(&front, "live.example.net", Rtype::A, false), first);
}

#[test]
fn what_is_limited_is_not_signed() {
    let front = front(
        &Config::parse(&CONFIG.replace("responses_per_second = 0", "responses_per_second = 1"), "test")
            .unwrap(),
    )
    .unwrap();
    assert!(ask(&front, "www.example.net", Rtype::A, false).len() > 100);
    for _ in 0..10 {
        ask(&front, "www.example.net", Rtype::TXT, false);
    }
    let is_taken = |place: &&Mutex<Place>| place.lock().unwrap().digest != [0; 32];
    assert_eq!(front.signatures.places.get().unwrap().iter().filter(is_taken).count(), 1);
}

/// Names of the zone and beside it, and of the zone in it.
const NAMES: [&str; 21] = [
    "example.net",
    "www.example.net",
    "live.example.net",
    "_rtmp._tcp.live.example.net",
    "_tcp.live.example.net",
    "tls.example.net",
    "_rtmp._tcp.tls.example.net",
    "_tcp.tls.example.net",
    "_8443._https.tls.example.net",
    "_https.tls.example.net",
    "s-1.nodes.example.net",
    "nodes.example.net",
    "deep.below.example.net",
    "below.example.net",
    "child.example.net",
    "nothing.example.net",
    "*.example.net",
    "other.child.example.net",
    "x.other.child.example.net",
    "www.example.com",
    "example.org",
];

/// Types that there are, that DNSSEC has, that are asked for everything, and that nobody has.
const KINDS: [u16; 19] = [1, 2, 5, 6, 15, 16, 28, 33, 43, 46, 47, 48, 50, 64, 65, 128, 255, 257, 65_280];

#[test]
fn every_name_and_type_of_a_signed_zone_can_be_validated() {
    for (name, kind) in NAMES.iter().flat_map(|name| KINDS.map(|kind| (name, kind))) {
        for compact in [false, true] {
            dns_query(&query(&wire(name), kind, compact));
        }
    }
}

/// A proof lists all that a name has, or has now: what it leaves out is believed not to be there.
#[test]
fn proofs_leave_nothing_out() {
    let front = front(&Config::parse(CONFIG, "test").unwrap()).unwrap();
    for (name, kinds) in [
        // None of its nodes has an HTTPS port now; one may come.
        ("live.example.net", &[Rtype::A, Rtype::AAAA, Rtype::HTTPS][..]),
        ("tls.example.net", &[Rtype::A, Rtype::AAAA, Rtype::HTTPS]),
        ("_rtmp._tcp.tls.example.net", &[Rtype::SRV]),
        ("_8443._https.tls.example.net", &[Rtype::HTTPS]),
        ("_tcp.tls.example.net", &[]),
        ("s-1.nodes.example.net", &[Rtype::A, Rtype::AAAA]),
        ("www.example.net", &[Rtype::A, Rtype::HTTPS]),
    ] {
        let reply = ask(&front, name, Rtype::NAPTR, true);
        let message = Message::from_slice(&reply).unwrap();
        let records = message.authority().unwrap().limit_to::<Nsec<_, ParsedName<&[u8]>>>();
        let proofs: Vec<_> = records.map(Result::unwrap).collect();
        let [proof] = &proofs[..] else { panic!("{name}: {} proofs", proofs.len()) };
        let own = [Rtype::RRSIG, Rtype::NSEC];
        let mut expected: Vec<Rtype> = kinds.iter().copied().chain(own).collect();
        expected.sort_by_key(|kind| kind.to_int());
        let told: Vec<Rtype> = proof.data().types().iter().collect();
        assert_eq!(told, expected, "{name}");
    }
}

/// What lies below known names.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let labels = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=63), 0..4);
    (labels, prop::sample::select(NAMES.to_vec())).prop_filter_map("a name too long", |(labels, known)| {
        let own: Vec<u8> =
            labels.iter().flat_map(|label| [&[label.len() as u8], &**label].concat()).collect();
        let name = [own, wire(known).into_vec()].concat();
        (name.len() <= 255).then_some(name)
    })
}

proptest! {
    /// Signatures hold, and proofs prove: `dns_query` checks both.
    #[test]
    fn any_reply_of_a_signed_zone_can_be_validated(
        name in names(),
        kind in prop_oneof![prop::sample::select(KINDS.to_vec()), any::<u16>()],
        compact in any::<bool>(),
    ) {
        dns_query(&query(&name, kind, compact));
    }
}
