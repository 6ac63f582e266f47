//! The rules on the wire, without a socket.

mod services;

use domain::base::iana::{Class, OptionCode, Rtype};
use domain::base::name::Name;
use domain::base::opt::UnknownOptData;
use domain::base::{Message, MessageBuilder};
use domain::rdata::AllRecordData;

use super::fuzzing::{CONFIG, front};
use super::*;
use crate::config::Config;

/// What a query asks beside its name and type.
#[derive(Clone, Default)]
struct Ask {
    /// Options of an OPT record by code; `None`: no OPT.
    options: Option<Vec<(u16, Vec<u8>)>>,
    payload: u16,
    tcp: bool,
}

fn query(name: &str, kind: Rtype, class: Class, ask: &Ask) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(0x1234);
    builder.header_mut().set_rd(true);
    builder.push((name.parse::<Name<Vec<u8>>>().unwrap(), kind, class)).unwrap();
    let mut builder = builder.additional();
    if let Some(options) = &ask.options {
        let options = options.clone();
        builder
            .opt(|opt| {
                opt.set_udp_payload_size(ask.payload);
                for (code, content) in options {
                    opt.push(&UnknownOptData::new(OptionCode::from_int(code), content).unwrap())?;
                }
                Ok(())
            })
            .unwrap();
    }
    builder.finish()
}

fn ask_with(front: &Front, query: &[u8], ask: &Ask) -> Vec<u8> {
    let mut out = Vec::new();
    let transport = if ask.tcp { DnsTransport::Tcp } else { DnsTransport::Udp };
    front.answer(query, [192, 0, 2, 53].into(), transport, &mut out);
    out
}

/// "NOERROR aa | answers | authority", records as a master file has them.
fn shown(reply: &[u8]) -> String {
    let message = Message::from_slice(reply).unwrap();
    let header = message.header();
    let mut shown = message.opt_rcode().to_string();
    for (flag, is_set) in [("aa", header.aa()), ("tc", header.tc())] {
        if is_set {
            shown += &format!(" {flag}");
        }
    }
    for section in [message.answer().unwrap(), message.authority().unwrap()] {
        for record in section {
            let record = record.unwrap();
            let record = record.to_record::<AllRecordData<_, domain::base::ParsedName<&[u8]>>>();
            let record = record.unwrap().unwrap();
            shown += &format!(
                " | {} {} {} {}",
                record.owner(),
                record.ttl().as_secs(),
                record.rtype(),
                record.data()
            );
        }
    }
    shown
}

fn options(reply: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let message = Message::from_slice(reply).unwrap();
    let opt = message.opt().expect("no OPT in the reply");
    let options = opt.opt().iter::<UnknownOptData<_>>();
    options.map(Result::unwrap).map(|option| (option.code().to_int(), option.as_slice().to_vec())).collect()
}

fn example() -> Front {
    front(&Config::parse(CONFIG, "test").unwrap()).unwrap()
}

fn with_options(options: &[(u16, &[u8])]) -> Ask {
    let options = options.iter().map(|(code, content)| (*code, content.to_vec())).collect();
    Ask { options: Some(options), payload: 1_232, tcp: false }
}

#[test]
fn every_name_and_type_has_its_answer() {
    let soa = "ns1.example.net. hostmaster.example.com. 7 7200 900 1209600 45";
    let negative = format!("example.com 45 SOA {soa}");
    let table: &[(&str, Rtype, &str)] = &[
        ("live.example.com", Rtype::A, "NOERROR aa | live.example.com 3 A 203.0.113.10"),
        ("live.example.com", Rtype::AAAA, &format!("NOERROR aa | {negative}")),
        ("live.example.com", Rtype::TXT, &format!("NOERROR aa | {negative}")),
        (
            "www.example.com",
            Rtype::A,
            "NOERROR aa | www.example.com 60 A 192.0.2.80 | www.example.com 60 A 192.0.2.81",
        ),
        ("www.example.com", Rtype::AAAA, "NOERROR aa | www.example.com 60 AAAA 2001:db8::80"),
        (
            "WWW.Example.com",
            Rtype::MX,
            &format!("NOERROR aa | {negative}").replace("example.com 45", "Example.com 45"),
        ),
        ("example.com", Rtype::SOA, &format!("NOERROR aa | example.com 45 SOA {soa}")),
        (
            "example.com",
            Rtype::NS,
            "NOERROR aa | example.com 86400 NS ns1.example.net. | example.com 86400 NS ns2.example.net.",
        ),
        ("example.com", Rtype::A, &format!("NOERROR aa | {negative}")),
        ("example.com", Rtype::CAA, "NOERROR aa | example.com 300 CAA 0 issue \"ca.example.net\""),
        ("below.example.com", Rtype::A, &format!("NOERROR aa | {negative}")),
        ("nothing.example.com", Rtype::A, &format!("NXDOMAIN aa | {negative}")),
        ("x.live.example.com", Rtype::A, &format!("NXDOMAIN aa | {negative}")),
        ("notexample.com", Rtype::A, "REFUSED"),
        ("live.example.org", Rtype::A, "REFUSED"),
        (".", Rtype::NS, "REFUSED"),
        ("example.com", Rtype::AXFR, "REFUSED"),
    ];
    for (name, kind, expected) in table {
        for tcp in [false, true] {
            // Anew for each: who asks twice at once is a large resolver, and gets less for its next answer.
            let (front, ask) = (example(), Ask { tcp, ..Ask::default() });
            let reply = ask_with(&front, &query(name, *kind, Class::IN, &ask), &ask);
            assert_eq!(shown(&reply), *expected, "{name} {kind} tcp={tcp}");
        }
    }
    let front = example();
    let chaos = query("example.com", Rtype::TXT, Class::CH, &Ask::default());
    assert_eq!(shown(&ask_with(&front, &chaos, &Ask::default())), "REFUSED");
}

#[test]
fn other_types_of_the_master_file_are_answered() {
    let front = example();
    for (name, kind, part) in [
        ("_rtmp._tcp.live.example.com", Rtype::SRV, "0 5 1935 live.example.com"),
        ("www.example.com", Rtype::HTTPS, "ipv4hint=192.0.2.80"),
        ("example.com", Rtype::TXT, "v=spf1 -all"),
        ("example.com", Rtype::MX, "10 mail.example.net"),
    ] {
        let reply = ask_with(&front, &query(name, kind, Class::IN, &Ask::default()), &Ask::default());
        let shown = shown(&reply);
        assert!(shown.starts_with("NOERROR aa | ") && shown.contains(part), "{name} {kind}: {shown}");
    }
}

#[test]
fn any_gets_one_small_record() {
    let reply =
        ask_with(&example(), &query("example.com", Rtype::ANY, Class::IN, &Ask::default()), &Ask::default());
    assert_eq!(shown(&reply), "NOERROR aa | example.com 3600 HINFO \"RFC8482\" \"\"");
}

#[test]
fn the_case_of_the_question_comes_back() {
    let query = query("LiVe.ExAmPlE.cOm", Rtype::A, Class::IN, &Ask::default());
    let reply = ask_with(&example(), &query, &Ask::default());
    assert_eq!(reply[12..12 + 18], query[12..12 + 18]);
    assert_eq!(shown(&reply), "NOERROR aa | LiVe.ExAmPlE.cOm 3 A 203.0.113.10");
}

#[test]
fn what_does_not_fit_is_cut_and_comes_whole_by_tcp() {
    let front = example();
    let edns = |payload| Ask { options: Some(Vec::new()), payload, tcp: false };
    for (ask, is_cut) in [
        (Ask::default(), true),
        (edns(0), true),
        (edns(512), true),
        (edns(1_232), false),
        (edns(65_535), false),
        (Ask { tcp: true, ..Ask::default() }, false),
    ] {
        let reply = ask_with(&front, &query("long.example.com", Rtype::TXT, Class::IN, &ask), &ask);
        let message = Message::from_slice(&reply).unwrap();
        assert_eq!(message.header().tc(), is_cut, "{} octets", ask.payload);
        assert_eq!(message.header_counts().ancount(), u16::from(!is_cut));
        assert_eq!(message.opt().map(|opt| opt.udp_payload_size()), ask.options.map(|_| 1_232));
    }
}

#[test]
fn client_subnets_are_checked_and_come_back_with_a_scope() {
    let front = example();
    let table: &[(&[u8], &str)] = &[
        (&[0, 1, 24, 0, 192, 0, 2], "NOERROR"),
        (&[0, 1, 0, 0], "NOERROR"),
        (&[0, 2, 48, 0, 0x20, 1, 0x0d, 0xb8, 0, 1], "NOERROR"),
        // Bits after the prefix.
        (&[0, 1, 23, 0, 192, 0, 3], "FORMERR"),
        // An octet too many, one too few.
        (&[0, 1, 24, 0, 192, 0, 2, 0], "FORMERR"),
        (&[0, 1, 24, 0, 192, 0], "FORMERR"),
        // A scope in a query.
        (&[0, 1, 24, 24, 192, 0, 2], "FORMERR"),
        // Longer than an address, of no family that we know, cut short.
        (&[0, 1, 33, 0, 192, 0, 2, 1, 0], "FORMERR"),
        (&[0, 3, 8, 0, 1], "FORMERR"),
        (&[0, 1, 24], "FORMERR"),
    ];
    for (content, expected) in table {
        let ask = with_options(&[(8, content)]);
        let reply = ask_with(&front, &query("live.example.com", Rtype::A, Class::IN, &ask), &ask);
        assert!(shown(&reply).starts_with(expected), "{content:?}: {}", shown(&reply));
        if *expected == "NOERROR" {
            let (code, sent) = options(&reply).remove(0);
            assert_eq!((code, &sent[..3], &sent[4..]), (8, &content[..3], &content[4..]), "{content:?}");
        }
    }
    let twice = with_options(&[(8, &[0, 1, 24, 0, 192, 0, 2]), (8, &[0, 1, 24, 0, 192, 0, 2])]);
    let reply = ask_with(&front, &query("live.example.com", Rtype::A, Class::IN, &twice), &twice);
    assert_eq!(shown(&reply), "FORMERR");
}

#[test]
fn the_scope_is_the_network_that_geoip_knows() {
    let front = example();
    let scope = |name: &str, content: &[u8]| {
        let ask = with_options(&[(8, content)]);
        let reply = ask_with(&front, &query(name, Rtype::A, Class::IN, &ask), &ask);
        options(&reply)[0].1[3]
    };
    let known = front.resolver.geo("114.114.114.114".parse().unwrap()).network.prefix_len();
    assert_eq!(scope("live.example.com", &[0, 1, 24, 0, 114, 114, 114]), known);
    assert!((1..=24).contains(&known), "{known}");
    // What does not depend on the client holds for all.
    assert_eq!(scope("www.example.com", &[0, 1, 24, 0, 114, 114, 114]), 0);
    assert_eq!(scope("nothing.example.com", &[0, 1, 24, 0, 114, 114, 114]), 0);
    assert_eq!(scope("live.example.com", &[0, 1, 0, 0]), 0);
}

#[test]
fn edns_of_another_version_is_badvers() {
    let mut query = query("live.example.com", Rtype::A, Class::IN, &with_options(&[]));
    let at = query.len() - 5;
    query[at] = 1;
    let reply = ask_with(&example(), &query, &Ask::default());
    assert_eq!(shown(&reply), "BADVERS");
    assert_eq!(Message::from_slice(&reply).unwrap().opt().unwrap().version(), 0);
}

#[test]
fn a_cookie_is_completed_and_a_wrong_length_refused() {
    let front = example();
    let ask = with_options(&[(10, b"12345678")]);
    let reply = ask_with(&front, &query("example.com", Rtype::NS, Class::IN, &ask), &ask);
    let (code, cookie) = options(&reply).remove(0);
    assert_eq!((code, cookie.len(), &cookie[..8]), (10, 24, &b"12345678"[..]));
    let short = with_options(&[(10, b"1234567")]);
    let reply = ask_with(&front, &query("example.com", Rtype::NS, Class::IN, &short), &short);
    assert_eq!(shown(&reply), "FORMERR");
}

#[test]
fn the_server_tells_its_name_to_who_asks() {
    let front = example();
    let ask = with_options(&[(3, b"")]);
    let reply = ask_with(&front, &query("example.com", Rtype::NS, Class::IN, &ask), &ask);
    assert_eq!(options(&reply), [(3, b"ns-7".to_vec())]);
    let ask = with_options(&[]);
    let reply = ask_with(&front, &query("example.com", Rtype::NS, Class::IN, &ask), &ask);
    assert_eq!(options(&reply), []);
}

/// Its length tells who can only see the cipher neither the name nor the type.
#[test]
fn a_padded_query_has_a_padded_reply_where_nobody_can_read_along() {
    let front = example();
    let padded: &[(u16, &[u8])] = &[(12, &[0; 31]), (3, b""), (10, b"12345678")];
    for (name, kind, blocks) in [
        ("live.example.com", Rtype::A, 1),
        ("nothing.example.com", Rtype::A, 1),
        ("long.example.com", Rtype::TXT, 2),
    ] {
        for (transport, asked, expected) in [
            (DnsTransport::Tls, padded, Some(blocks)),
            (DnsTransport::Https, padded, Some(blocks)),
            (DnsTransport::Https, &padded[1..], None),
            (DnsTransport::Tcp, padded, None),
            (DnsTransport::Udp, padded, None),
        ] {
            let ask = with_options(asked);
            let mut reply = Vec::new();
            let query = query(name, kind, Class::IN, &ask);
            front.answer(&query, [192, 0, 2, 53].into(), transport, &mut reply);
            let found = options(&reply).iter().any(|(code, _)| *code == 12);
            assert_eq!(
                found.then_some(reply.len()),
                expected.map(|blocks| blocks * 468),
                "{name} {transport:?}"
            );
        }
    }
}

#[test]
fn a_flood_is_limited_unless_the_address_is_proven() {
    let front = example();
    front.rates.limit(1);
    let plain = query("live.example.com", Rtype::A, Class::IN, &Ask::default());
    let ask = |query: &[u8]| ask_with(&front, query, &Ask::default());
    assert_eq!(shown(&ask(&plain)), "NOERROR aa | live.example.com 3 A 203.0.113.10");
    assert_eq!(shown(&ask(&plain)), "NOERROR tc");
    assert!(ask(&plain).is_empty());
    let tcp = Ask { tcp: true, ..Ask::default() };
    let first = ask_with(
        &front,
        &query("example.com", Rtype::NS, Class::IN, &with_options(&[(10, b"12345678")])),
        &tcp,
    );
    let cookie = options(&first).remove(0).1;
    let proven = with_options(&[(10, &cookie)]);
    for _ in 0..10 {
        let reply = ask(&query("live.example.com", Rtype::A, Class::IN, &proven));
        assert!(shown(&reply).starts_with("NOERROR aa | "), "{}", shown(&reply));
    }
    let mut out = Vec::new();
    front.answer(&plain, [198, 51, 100, 1].into(), DnsTransport::Udp, &mut out);
    assert!(shown(&out).starts_with("NOERROR aa | "), "another network is limited, too");
}

#[test]
fn what_is_no_query_is_told_so_or_met_with_silence() {
    let front = example();
    let good = query("live.example.com", Rtype::A, Class::IN, &Ask::default());
    let with = |at: usize, octet: u8| {
        let mut bytes = good.clone();
        bytes[at] = octet;
        bytes
    };
    let table = [
        (with(2, 0x81), None),
        (good[..11].to_vec(), None),
        (good[..20].to_vec(), Some("FORMERR")),
        (with(2, 0x21), Some("NOTIMP")),
        (with(5, 0), Some("FORMERR")),
        (with(5, 2), Some("FORMERR")),
        (with(7, 1), Some("FORMERR")),
        (with(9, 1), Some("FORMERR")),
        ([&good[..], b"x"].concat(), Some("FORMERR")),
    ];
    for (bytes, expected) in table {
        let reply = ask_with(&front, &bytes, &Ask::default());
        let found = (!reply.is_empty()).then(|| shown(&reply));
        assert_eq!(found.as_deref(), expected, "{bytes:?}");
    }
}

/// Queries that arrive together, good ones and bad ones, have the replies that they have one by one: two rounds, so that
/// what is looked for ahead is found.
#[test]
fn who_is_looked_at_ahead_gets_the_same_reply() {
    let subnet = |third| with_options(&[(8, &[0, 1, 24, 0, 203, 0, third])]);
    let live = |ask: &Ask| query("live.example.com", Rtype::A, Class::IN, ask);
    let mut queries: Vec<Vec<u8>> = (0..12).map(|third| live(&subnet(third))).collect();
    queries.push(live(&Ask::default()));
    queries.push(live(&Ask::default())[..20].to_vec());
    queries.push(query("LIVE.example.com", Rtype::AAAA, Class::IN, &Ask::default()));
    queries.push(query("nowhere.example.org.uk", Rtype::A, Class::IN, &subnet(9)));
    queries.push(query("_rtmp._tcp.tls.example.com", Rtype::SRV, Class::IN, &subnet(3)));
    queries.push(vec![0; 3]);
    let asker = Asker { ip: [192, 0, 2, 53].into(), transport: DnsTransport::Udp };
    let (one_by_one, together) = (example(), example());
    for round in 0..2 {
        let mut rooms = [[0; query::LONGEST_NAME]; 32];
        let mut ahead = arrayvec::ArrayVec::<Ahead<'_>, 32>::new();
        let bytes = queries.iter().map(Vec::as_slice);
        assert!(together.look_ahead(bytes.zip(&mut rooms), &[asker; 32], &mut ahead));
        assert_eq!(ahead.len(), queries.len());
        let known = ahead.iter().filter(|ahead| ahead.keeper.is_some()).count();
        assert!(if round == 0 { known == 0 } else { known > 12 }, "round {round}: {known}");
        for (query, ahead) in queries.iter().zip(&ahead) {
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            one_by_one.answer(query, asker.ip, asker.transport, &mut expected);
            together.answer_ahead(&together.settings.load(), (query, ahead), asker, &mut found);
            assert_eq!(found, expected, "round {round}: {query:?}");
        }
    }
}

#[test]
fn a_reload_changes_what_is_answered() {
    let front = example();
    let changed = Config::parse(&CONFIG.replace("192.0.2.80\"", "192.0.2.99\""), "test").unwrap();
    front.adopt(changed.dns.as_ref().unwrap(), &ZoneKeys::default(), &changed.domains);
    let reply =
        ask_with(&front, &query("www.example.com", Rtype::A, Class::IN, &Ask::default()), &Ask::default());
    assert!(shown(&reply).contains("192.0.2.99"), "{}", shown(&reply));
}
