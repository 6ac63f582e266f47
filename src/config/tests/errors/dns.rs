//! `[dns]`: zones and their records.

use super::*;

const HEAD: &str =
    "[dns]\nlisten = \"127.0.0.1:53\"\n[[dns.zones]]\napex = \"example.com\"\nns = [\"ns1.example.net\"]\n";

#[track_caller]
fn check_dns(more: &str, expected: &[(&str, &str)]) {
    check_text(&format!("{}{HEAD}{more}", File::default().text()), expected);
}

#[test]
fn a_zone_has_an_apex_servers_and_one_entry() {
    check_top(
        "[dns]",
        &[("[dns]", "missing key `listen` in `dns`"), ("[dns]", "missing key `zones` in `dns`")],
    );
    check_top(
        "[dns]\nlisten = \"127.0.0.1:53\"\n[[dns.zones]]",
        &[
            ("[[dns.zones]]", "missing key `apex` in [[zones]]"),
            ("[[dns.zones]]", "missing key `ns` in [[zones]]"),
        ],
    );
    check_dns(
        "[[dns.zones]]\napex = \"Example.com.\"\nns = [\"ns1.example.net\"]",
        &[("\"Example.com.\"", "apex: there is a zone `example.com` already")],
    );
}

#[test]
fn dns_over_tls_needs_a_certificate() {
    check_text(
        &format!(
            "{}{}",
            File::default().text(),
            HEAD.replace("[[dns", "tls_listen = \"127.0.0.1:853\"\n[[dns")
        ),
        &[("\"127.0.0.1:853\"", "tls_listen: there is no certificate to show: expected [server.tls]")],
    );
}

#[test]
fn times_are_whole_seconds_within_their_ranges() {
    check_dns(
        "[dns.zones.soa]\nnegative_ttl = \"4h\"\nrefresh = \"1500ms\"",
        &[
            ("\"4h\"", "negative_ttl: 4h is out of range: expected 0ms to 3h"),
            ("\"1500ms\"", "refresh: expected whole seconds"),
        ],
    );
}

#[test]
fn records_are_lines_of_a_master_file_below_the_apex() {
    for (line, why) in [
        ("www 60 A 192.0.2", "is not a record: "),
        ("www 60", "is not a record: "),
        ("www.example.org. 60 A 192.0.2.1", "is not below example.com"),
        (
            "www 60 CNAME live",
            "has type CNAME: expected one of A, AAAA, TXT, CAA, SRV, HTTPS, SVCB, MX, TLSA",
        ),
        ("live 60 A 192.0.2.1", "records: the A records of this name are those of the nodes"),
        ("SH-1.nodes 60 AAAA 2001:db8::1", "records: the AAAA records of this name are those of a node"),
    ] {
        let text = format!("{}{HEAD}records = [\"{line}\"]", File::default().text());
        let errors = Config::parse(&text, "nearcast.toml").unwrap_err();
        let [error] = errors.errors() else { panic!("{line}: {errors}") };
        assert!(error.message.contains(why), "{line}: {}", error.message);
        assert_eq!(error.text, format!("\"{line}\""));
    }
    for line in [
        "www 60 A 192.0.2.1",
        "@ TXT x",
        "LIVE 60 TXT x",
        "_rtmp._tcp.live 5 SRV 0 0 1935 live",
        "sh-1.nodes TXT x",
    ] {
        parse(&format!("{}{HEAD}records = [\"{line}\"]", File::default().text()));
    }
}

/// The DNS cannot ask for a signature, so a domain that does is not to be told by it.
#[test]
fn a_domain_that_asks_for_signatures_lies_in_no_zone() {
    let signed = "keys = [\"a.key\"]\nrequire_signature = true";
    let text = |apex: &str, domain: &'static str| {
        let file = File { domain, ..File::default() }.text();
        format!("{file}{}", HEAD.replace("\"example.com\"", &format!("\"{apex}\"")))
    };
    for apex in ["example.com", "live.example.com", "com"] {
        let errors = Config::parse(&text(apex, signed), "nearcast.toml").unwrap_err();
        let [error] = errors.errors() else { panic!("{apex}: {errors}") };
        let why = "require_signature: DNS tells `live.example.com` to anybody, unsigned";
        assert!(error.message.starts_with(why) && error.message.contains("expected false"), "{errors}");
        let lines = text(apex, signed);
        let line_of = |part: &str| lines.lines().position(|line| line.starts_with(part)).unwrap() + 1;
        assert_eq!((error.line, &*error.text), (line_of("require_signature"), "true"));
        let shown = errors.to_string();
        assert!(shown.contains(&format!(":{}:", line_of("apex"))) && shown.contains("the zone"), "{shown}");
    }
    for apex in ["example.org", "ample.com", "a.live.example.com"] {
        parse(&text(apex, signed));
    }
    parse(&text("example.com", "keys = [\"a.key\"]"));
    parse(&text("example.com", "keys = [\"a.key\"]\nrequire_signature = false"));
}

#[test]
fn keys_of_a_zone_are_a_few_secret_files() {
    check_dns(
        "keys = [\"a.key\", \"a.private\", \"a.private\"]",
        &[
            ("\"a.key\"", "keys: `a.key` does not end in .private, as `nearcast dnssec keygen` has it"),
            ("\"a.private\"", "keys: `a.private` is there already"),
        ],
    );
    let keys = "[\"a.private\", \"b.private\", \"c.private\", \"d.private\", \"e.private\"]";
    check_dns(&format!("keys = {keys}"), &[(keys, "keys: 5 are too many: expected up to 4")]);
    let dns = parse(&format!("{}{HEAD}keys = [\"a.private\"]", File::default().text())).dns.unwrap();
    assert!(dns.zones[0].keys[0].ends_with("a.private"));
}

#[test]
fn what_edges_speak_is_beside_http_1_1_and_told_once() {
    check_text(
        &format!(
            "{}{}",
            File::default().text(),
            HEAD.replace("[[dns", "alpn = [\"h2\", \"http/1.1\", \"h 3\", \"h2\"]\n[[dns")
        ),
        &[
            (
                "\"http/1.1\"",
                "alpn: `http/1.1` is not expected: a protocol beside http/1.1 of up to 16 characters, such as h2",
            ),
            (
                "\"h 3\"",
                "alpn: `h 3` is not expected: a protocol beside http/1.1 of up to 16 characters, such as h2",
            ),
            ("\"h2\"", "alpn: `h2` is listed already"),
        ],
    );
}

#[test]
fn names_of_nodes_differ_by_their_first_label() {
    for (pattern, why) in [
        ("nodes", "`nodes` has not exactly one {id} in it, by which nodes differ"),
        ("a.{id}", "`a.{id}` does not begin with the label that has {id} in it"),
    ] {
        check_dns(
            &format!("node_host = \"{pattern}\""),
            &[(&format!("\"{pattern}\""), &format!("node_host: {why}"))],
        );
    }
    let text = format!("{}{HEAD}node_host = \"Edge-{{id}}.X.\"", File::default().text());
    assert_eq!(&*parse(&text).dns.unwrap().zones[0].node_host, "edge-{id}.x");
}

#[test]
fn https_records_are_told_unless_nodes_have_names_of_their_own() {
    for (domain, expected) in [
        ("", true),
        ("https_records = false", false),
        ("redirect_host = \"{id}.example.com\"", false),
        ("redirect_host = \"{id}.example.com\"\nhttps_records = true", true),
    ] {
        let text = File::default().text().replace("[[domains]]", &format!("[[domains]]\n{domain}"));
        assert_eq!(parse(&text).domains[0].https_records, expected, "{domain}");
    }
}

#[test]
fn a_file_without_dns_speaks_none() {
    assert_eq!(File::default().read().dns, None);
    let dns = parse(&format!("{}{HEAD}", File::default().text())).dns.unwrap();
    assert_eq!((dns.ttl_s, dns.answers, dns.responses_per_second, dns.log_one_in), (10, 8, 1_000, 0));
    assert_eq!((&*dns.zones[0].soa.mailbox, dns.alpn.len()), ("hostmaster.example.com", 0));
    assert_eq!(&*dns.zones[0].node_host, "{id}.nodes");
}
