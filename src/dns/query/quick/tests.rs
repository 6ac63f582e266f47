//! What is taken, what is left to the codec, and that both read the same.

use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// `live.example.com`, as resolvers with mixed case write it.
const NAME: &[u8] = b"\x04LiVe\x07eXampLe\x03com\0";
const A_IN: &[u8] = &[0, 1, 0, 1];

/// Header with ARCOUNT, name, type and class, and what comes after.
fn message(additional: u8, question: &[&[u8]], rest: &[&[u8]]) -> Vec<u8> {
    let header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, additional];
    [&header[..], &question.concat(), &rest.concat()].concat()
}

/// An OPT with these options.
fn opt(options: &[u8]) -> Vec<u8> {
    let length = u16::try_from(options.len()).unwrap().to_be_bytes();
    [&[0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0], &length[..], options].concat()
}

#[test]
fn the_common_shapes_are_taken_and_others_left_to_the_codec() {
    let subnet_v4 = [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2];
    let subnet_v6 = [0, 8, 0, 11, 0, 2, 56, 0, 0x20, 1, 0x0d, 0xb8, 0, 1, 2];
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let odd_bits = [0, 8, 0, 7, 0, 1, 23, 0, 192, 0, 3];
    let long = [0, 8, 0, 8, 0, 1, 24, 0, 192, 0, 2, 0];
    let scoped = [0, 8, 0, 7, 0, 1, 24, 24, 192, 0, 2];
    let with = |options: &[u8]| message(1, &[NAME, A_IN], &[&opt(options)]);
    let many_labels = [b"\x01a".repeat(127), vec![0]].concat();
    let too_many = [b"\x01a".repeat(128), vec![0]].concat();
    let table: &[(&str, Vec<u8>, bool)] = &[
        ("no EDNS", message(0, &[NAME, A_IN], &[]), true),
        ("EDNS", with(&[]), true),
        ("an IPv4 subnet", with(&subnet_v4), true),
        ("an IPv6 subnet", with(&subnet_v6), true),
        ("a subnet of no bits", with(&[0, 8, 0, 4, 0, 1, 0, 0]), true),
        ("a subnet of an odd prefix", with(&[0, 8, 0, 7, 0, 1, 23, 0, 192, 0, 2]), true),
        ("HTTPS", message(0, &[NAME, &[0, 65, 0, 1]], &[]), true),
        ("the root", message(0, &[&[0], &[0, 2, 0, 1]], &[]), true),
        ("255 octets of name", message(0, &[&many_labels, A_IN], &[]), true),
        ("257 octets of name", message(0, &[&too_many, A_IN], &[]), false),
        ("a cookie", with(&cookie), false),
        ("a subnet and a cookie", with(&[&subnet_v4[..], &cookie].concat()), false),
        ("two subnets", with(&[subnet_v4, subnet_v4].concat()), false),
        ("bits after the prefix", with(&odd_bits), false),
        ("an octet too many", with(&long), false),
        ("a scope", with(&scoped), false),
        ("another family", with(&[0, 8, 0, 5, 0, 3, 8, 0, 1]), false),
        ("a prefix longer than an address", with(&[0, 8, 0, 9, 0, 1, 33, 0, 192, 0, 2, 1, 0]), false),
        ("class CH", message(0, &[NAME, &[0, 16, 0, 3]], &[]), false),
        ("a pointer", message(0, &[b"\x04live\xc0\x0c", A_IN], &[]), false),
        ("surplus octets", message(0, &[NAME, A_IN], &[b"x"]), false),
        ("surplus octets after OPT", message(1, &[NAME, A_IN], &[&opt(&[]), b"x"]), false),
        ("an OPT cut short", message(1, &[NAME, A_IN], &[&opt(&[])[..10]]), false),
        ("a question cut short", message(0, &[NAME, &[0, 1, 0]], &[]), false),
        ("an OPT that is not counted", message(0, &[NAME, A_IN], &[&opt(&[])]), false),
        ("two additional records", message(2, &[NAME, A_IN], &[&opt(&[]), &opt(&[])]), false),
    ];
    for (what, bytes, is_taken) in table {
        assert_eq!(read(bytes).is_some(), *is_taken, "{what}");
        agrees(bytes);
    }
    let taken = table.iter().filter(|(_, _, is_taken)| *is_taken);
    // Where the hand refuses a wrong query the codec's word stands; where it takes one the codec must, too.
    assert!(taken.clone().all(|(_, bytes, _)| super::super::read_by_codec(bytes).is_ok()));
}

#[test]
fn another_header_is_left_to_the_codec() {
    let good = message(0, &[NAME, A_IN], &[]);
    // A reply, NOTIFY, no question, two, an answer, an authority.
    for (at, octet) in [(2, 0x81), (2, 0x21), (5, 0), (5, 2), (4, 1), (7, 1), (9, 1)] {
        let mut bytes = good.clone();
        bytes[at] = octet;
        assert_eq!(read(&bytes), None, "octet {at} is {octet}");
    }
    // AA, TC, RA, AD, CD and an RCODE mean nothing in a query.
    for (at, octet) in [(2, 0x07), (3, 0xff)] {
        let mut bytes = good.clone();
        bytes[at] = octet;
        assert!(read(&bytes).is_some(), "octet {at} is {octet}");
        agrees(&bytes);
    }
}

/// What `kdig` sends with these options.
fn sent_by_kdig(options: &[&str]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let mut kdig = Command::new("kdig")
        .args(["@127.0.0.1", "-p", &port, "+retry=0"])
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("kdig is missing; install it: apt-get install -y knot-dnsutils");
    let mut bytes = [0; 1_500];
    let length = socket.recv(&mut bytes).expect("kdig sends nothing");
    let _ = kdig.kill();
    let _ = kdig.wait();
    bytes[..length].to_vec()
}

#[test]
fn what_kdig_sends_is_taken() {
    for options in [
        &["live.example.com", "A"][..],
        &["live.example.com", "AAAA", "+edns"],
        &["live.example.com", "HTTPS", "+dnssec", "+bufsize=1232"],
        &["live.example.com", "A", "+subnet=203.0.113.0/24"],
        &["live.example.com", "A", "+subnet=2001:db8:7::/48", "+cdflag"],
        &["live.example.com", "A", "+subnet=0.0.0.0/0"],
        &["example.com", "SOA", "+norecurse"],
    ] {
        let bytes = sent_by_kdig(options);
        assert!(read(&bytes).is_some(), "{options:?}: {bytes:?}");
        agrees(&bytes);
    }
    // A cookie is the codec's.
    assert_eq!(read(&sent_by_kdig(&["live.example.com", "A", "+cookie"])), None);
}

fn labels() -> impl Strategy<Value = Vec<u8>> {
    let label = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 1..12),
        1 => prop::collection::vec(any::<u8>(), 60..66),
    ];
    prop::collection::vec(label, 0..7).prop_map(|labels| {
        let written = labels.iter().flat_map(|label| std::iter::once(label.len() as u8).chain(label.clone()));
        written.chain([0]).collect()
    })
}

fn options() -> impl Strategy<Value = Vec<u8>> {
    let subnet = (0..=2_u8, 0..=130_u8, prop::collection::vec(any::<u8>(), 17)).prop_map(
        |(family, source, mut address)| {
            let length = usize::from(source).div_ceil(8).min(17);
            address.truncate(length);
            if let Some(last) = address.last_mut().filter(|_| !source.is_multiple_of(8)) {
                *last &= !(0xff >> (source % 8));
            }
            [&[0, 8, 0, length as u8 + 4, 0, family, source, 0], &address[..]].concat()
        },
    );
    prop_oneof![
        1 => Just(Vec::new()),
        6 => subnet,
        1 => prop::collection::vec(any::<u8>(), 0..24),
        1 => Just(vec![0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]),
        1 => Just(vec![0, 3, 0, 0]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

    #[test]
    fn both_read_the_same(
        name in labels(),
        kind in prop_oneof![Just(1_u16), Just(28), any::<u16>()],
        has_edns: bool,
        options in options(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let question: &[&[u8]] = &[&name, &kind.to_be_bytes(), &[0, 1]];
        let mut bytes = match has_edns {
            true => message(1, question, &[&opt(&options)]),
            false => message(0, question, &[]),
        };
        agrees(&bytes);
        for (at, octet) in flips {
            let at = at.index(bytes.len());
            bytes[at] = octet;
            agrees(&bytes);
        }
    }

    #[test]
    fn a_well_formed_query_with_a_subnet_is_taken(address: [u8; 4], source in 0..=32_u8) {
        let masked = u32::from_be_bytes(address) & u32::MAX.checked_shl(32 - u32::from(source)).unwrap_or(0);
        let length = usize::from(source).div_ceil(8);
        let option = [&[0, 8, 0, length as u8 + 4, 0, 1, source, 0], &masked.to_be_bytes()[..length]].concat();
        let bytes = message(1, &[NAME, A_IN], &[&opt(&option)]);
        let query = read(&bytes).expect("it is taken");
        let subnet = query.edns.unwrap().subnet.unwrap();
        prop_assert_eq!(subnet, Subnet { ip: masked.to_be_bytes().into(), source });
        prop_assert_eq!(query.name, NAME);
    }
}
