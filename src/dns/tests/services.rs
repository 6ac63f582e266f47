//! HTTPS and SRV records of domains, and the names of nodes.

use super::*;

/// The reply to a plain query, and the additional records but for OPT.
fn told(front: &Front, name: &str, kind: Rtype) -> (String, Vec<String>) {
    let reply = ask_with(front, &query(name, kind, Class::IN, &Ask::default()), &Ask::default());
    let more = Message::from_slice(&reply).unwrap().additional().unwrap().map(|record| {
        let record = record.unwrap();
        let record = record.to_record::<AllRecordData<_, domain::base::ParsedName<&[u8]>>>();
        let record = record.unwrap().unwrap();
        format!("{} {} {} {}", record.owner(), record.ttl().as_secs(), record.rtype(), record.data())
    });
    (shown(&reply), more.collect())
}

#[track_caller]
fn check(front: &Front, table: &[(&str, Rtype, &str)]) {
    let nothing = " | example.com 45 SOA ns1.example.net. hostmaster.example.com. 7 7200 900 1209600 45";
    for (name, kind, expected) in table {
        let (mut told, _) = told(front, name, *kind);
        if told.ends_with(nothing) {
            told.truncate(told.len() - nothing.len());
        }
        assert_eq!(told, *expected, "{name} {kind}");
    }
}

#[test]
fn a_pool_of_one_https_port_is_one_record_and_a_mixed_one_a_record_for_each_node() {
    let both = "203.0.113.20,203.0.113.21 ipv6hint=2001:db8::20";
    let table = [
        (
            "tls.example.com",
            Rtype::HTTPS,
            &*format!("NOERROR aa | tls.example.com 3 HTTPS 1 . alpn=h2 port=8443 ipv4hint={both}"),
        ),
        (
            "mixed.example.com",
            Rtype::HTTPS,
            "NOERROR aa \
             | mixed.example.com 3 HTTPS 1 m-2.nodes.example.com. alpn=h2 ipv4hint=203.0.113.31 ipv6hint=2001:db8::31 \
             | mixed.example.com 3 HTTPS 2 m-3.nodes.example.com. alpn=h2 port=444 ipv6hint=2001:db8::32",
        ),
        // No such port; nodes have names of their own; another record is written.
        ("live.example.com", Rtype::HTTPS, "NOERROR aa"),
        ("named.example.com", Rtype::HTTPS, "NOERROR aa"),
        (
            "written.example.com",
            Rtype::HTTPS,
            "NOERROR aa | written.example.com 60 HTTPS 1 other.example.net. ",
        ),
        ("tls.example.com", Rtype::SVCB, "NOERROR aa"),
        // The same by a URL with the port.
        (
            "_8443._https.tls.example.com",
            Rtype::HTTPS,
            &*format!(
                "NOERROR aa | _8443._https.tls.example.com 3 HTTPS 1 tls.example.com. alpn=h2 ipv4hint={both}"
            ),
        ),
        ("_8443._https.tls.example.com", Rtype::A, "NOERROR aa"),
        ("_https.tls.example.com", Rtype::HTTPS, "NOERROR aa"),
        ("_443._https.tls.example.com", Rtype::HTTPS, "NXDOMAIN aa"),
        ("_08443._https.tls.example.com", Rtype::HTTPS, "NXDOMAIN aa"),
        ("8443._https.tls.example.com", Rtype::HTTPS, "NXDOMAIN aa"),
        ("_443._https.mixed.example.com", Rtype::HTTPS, "NXDOMAIN aa"),
        ("_https.mixed.example.com", Rtype::HTTPS, "NXDOMAIN aa"),
        ("_8443._https.named.example.com", Rtype::HTTPS, "NXDOMAIN aa"),
        ("tls.example.com", Rtype::AAAA, "NOERROR aa | tls.example.com 3 AAAA 2001:db8::20"),
    ];
    check(&example(), &table.map(|(name, kind, expected)| (name, kind, expected)));
}

#[test]
fn rtmp_is_a_service_with_ports_and_addresses() {
    let front = example();
    let (told_, more) = told(&front, "_rtmp._tcp.mixed.example.com", Rtype::SRV);
    assert_eq!(
        told_,
        "NOERROR aa | _rtmp._tcp.mixed.example.com 3 SRV 1 0 1936 m-2.nodes.example.com \
         | _rtmp._tcp.mixed.example.com 3 SRV 2 0 1937 m-3.nodes.example.com"
    );
    let addresses = [
        "m-2.nodes.example.com 3 A 203.0.113.31",
        "m-2.nodes.example.com 3 AAAA 2001:db8::31",
        "m-3.nodes.example.com 3 AAAA 2001:db8::32",
    ];
    assert_eq!(more, addresses);
    check(
        &front,
        &[
            (
                "_rtmp._tcp.tls.example.com",
                Rtype::SRV,
                "NOERROR aa | _rtmp._tcp.tls.example.com 3 SRV 1 0 1935 s-1.nodes.example.com",
            ),
            // The name and the one above it are there, with no other type, and not above what serves no RTMP.
            ("_rtmp._tcp.mixed.example.com", Rtype::A, "NOERROR aa"),
            (
                "_rtmp._tcp.mixed.example.com",
                Rtype::ANY,
                "NOERROR aa | _rtmp._tcp.mixed.example.com 3600 HINFO \"RFC8482\" \"\"",
            ),
            ("_tcp.mixed.example.com", Rtype::SRV, "NOERROR aa"),
            ("_udp.mixed.example.com", Rtype::SRV, "NXDOMAIN aa"),
            ("x._rtmp._tcp.mixed.example.com", Rtype::SRV, "NXDOMAIN aa"),
            ("_rtmp._tcp.www.example.com", Rtype::SRV, "NXDOMAIN aa"),
            ("_rtmp._tcp.nothing.example.com", Rtype::SRV, "NXDOMAIN aa"),
            // What is written there.
            ("_tcp.live.example.com", Rtype::SRV, "NOERROR aa"),
            (
                "_rtmp._tcp.live.example.com",
                Rtype::SRV,
                "NOERROR aa | _rtmp._tcp.live.example.com 60 SRV 0 5 1935 live.example.com",
            ),
        ],
    );
}

#[test]
fn without_a_node_that_serves_rtmp_its_name_does_not_exist() {
    let config = CONFIG.replace("  \"_rtmp._tcp.live 60 SRV 0 5 1935 live\",\n", "");
    let front = front(&Config::parse(&config, "test").unwrap()).unwrap();
    check(
        &front,
        &[
            ("_rtmp._tcp.live.example.com", Rtype::SRV, "NXDOMAIN aa"),
            ("_tcp.live.example.com", Rtype::SRV, "NXDOMAIN aa"),
        ],
    );
}

#[test]
fn a_node_has_a_name_that_leads_to_it_alone() {
    check(
        &example(),
        &[
            (
                "s-2.nodes.example.com",
                Rtype::A,
                "NOERROR aa | s-2.nodes.example.com 10 A 203.0.113.21 | s-2.nodes.example.com 10 A 203.0.113.22",
            ),
            ("S-1.Nodes.example.com", Rtype::AAAA, "NOERROR aa | S-1.Nodes.example.com 10 AAAA 2001:db8::20"),
            ("s-2.nodes.example.com", Rtype::AAAA, "NOERROR aa"),
            ("s-2.nodes.example.com", Rtype::HTTPS, "NOERROR aa"),
            ("s.2.nodes.example.com", Rtype::A, "NXDOMAIN aa"),
            ("x.s-2.nodes.example.com", Rtype::A, "NXDOMAIN aa"),
            ("s-3.nodes.example.com", Rtype::A, "NXDOMAIN aa"),
            ("nodes.example.com", Rtype::A, "NOERROR aa"),
        ],
    );
    // Where origins are is nobody's business.
    let origins =
        CONFIG.replace("{ name = \"mixed\" }]", "{ name = \"mixed\" }, { name = \"origins\" }]").replace(
            "nodes = [",
            "nodes = [{ id = \"o-1\", pool = \"origins\", addresses = [\"203.0.113.40\"] },",
        );
    let origins = front(&Config::parse(&origins, "test").unwrap()).unwrap();
    check(&origins, &[("o-1.nodes.example.com", Rtype::A, "NXDOMAIN aa")]);
}

/// Where a full pool sends its players elsewhere, what is told has to hold there, too.
#[test]
fn a_fallback_pool_with_other_ports_counts_as_well() {
    let full = "{ name = \"secure\", on_overload = \"fallback\", fallback = \"mixed\" }";
    let config = CONFIG.replace("{ name = \"secure\" }", full);
    let config =
        config.replace("  { name = \"mixed.example.com\", pool = \"mixed\", policy = \"nearest\" },\n", "");
    let front = front(&Config::parse(&config, "test").unwrap()).unwrap();
    check(
        &front,
        &[
            (
                "tls.example.com",
                Rtype::HTTPS,
                "NOERROR aa \
                 | tls.example.com 3 HTTPS 1 s-1.nodes.example.com. alpn=h2 port=8443 ipv4hint=203.0.113.20 ipv6hint=2001:db8::20 \
                 | tls.example.com 3 HTTPS 2 s-2.nodes.example.com. alpn=h2 port=8443 ipv4hint=203.0.113.21",
            ),
            ("_8443._https.tls.example.com", Rtype::HTTPS, "NXDOMAIN aa"),
            ("m-3.nodes.example.com", Rtype::AAAA, "NOERROR aa | m-3.nodes.example.com 10 AAAA 2001:db8::32"),
        ],
    );
}

/// A browser asks for A, AAAA and HTTPS at once.
#[test]
fn https_books_nobody_and_srv_does() {
    let front = example();
    let booked = |front: &Front| -> u64 { front.resolver.nodes().iter().map(|node| node.answers).sum() };
    let ask = |name: &str, kind| told(&front, name, kind);
    for (name, kind, expected) in [
        ("tls.example.com", Rtype::HTTPS, 0),
        // One viewer, who may be on either of two nodes: rounded up on each.
        ("tls.example.com", Rtype::A, 2),
        ("_rtmp._tcp.tls.example.com", Rtype::SRV, 3),
        ("s-1.nodes.example.com", Rtype::A, 3),
    ] {
        ask(name, kind);
        assert_eq!(booked(&front), expected, "{name} {kind}");
    }
}

/// What comes along may be missing; what was asked for may not.
#[test]
fn addresses_that_do_not_fit_are_left_out_and_nothing_is_cut() {
    let addresses = |i| (1..8).map(|j| format!(", \"2001:db8::{i}:{j}\"")).collect::<String>();
    let nodes: String = (1..=2)
        .map(|i| format!("{{ id = \"node-{i}\", pool = \"many\", addresses = [\"203.0.113.10{i}\"{}], media = {{ rtmp = 1935 }} }},", addresses(i)))
        .collect();
    let config = CONFIG
        .replace("{ name = \"mixed\" }]", "{ name = \"mixed\" }, { name = \"many\" }]")
        .replace("domains = [", "domains = [{ name = \"many.example.com\", pool = \"many\" },")
        .replace("nodes = [", &format!("nodes = [{nodes}"));
    let front = front(&Config::parse(&config, "test").unwrap()).unwrap();
    let cookie: &[u8] = b"12345678";
    for (payload, options, additional) in [
        (0, None, 1..=5),
        (700, Some(vec![]), 6..=9),
        (1_232, Some(vec![]), 10..=16),
        (1_232, Some(vec![(3, vec![]), (8, vec![0, 1, 24, 0, 192, 0, 2]), (10, cookie.to_vec())]), 10..=16),
        (65_535, Some(vec![]), 10..=16),
    ] {
        let has_opt = options.is_some();
        let ask = Ask { options, payload, tcp: false };
        let reply =
            ask_with(&front, &query("_rtmp._tcp.many.example.com", Rtype::SRV, Class::IN, &ask), &ask);
        let message = Message::from_slice(&reply).unwrap();
        let counts = message.header_counts();
        assert!(!message.header().tc(), "{payload}");
        assert_eq!(counts.ancount(), 2, "{payload}");
        let glue = counts.arcount() - u16::from(has_opt);
        assert!(additional.contains(&glue), "{payload}: {glue}");
        assert!(reply.len() <= usize::from(payload.clamp(512, 1_232)), "{} of {payload}", reply.len());
    }
    let ask = Ask { tcp: true, ..Ask::default() };
    let reply = ask_with(&front, &query("_rtmp._tcp.many.example.com", Rtype::SRV, Class::IN, &ask), &ask);
    assert_eq!(Message::from_slice(&reply).unwrap().header_counts().arcount(), 16);
}
