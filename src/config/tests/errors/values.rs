//! Values that are not what their key wants.

use super::*;

#[test]
fn listeners_are_addresses_and_the_admin_side_stays_on_loopback() {
    check_top(
        "[server]\nlisten = \":8080\"",
        &[(
            "\":8080\"",
            "listen: `:8080` is not an address and port such as \"0.0.0.0:8080\" or \"[::]:8080\"",
        )],
    );
    check_top(
        "[server]\nadmin_listen = \"[::]:8081\"",
        &[(
            "\"[::]:8081\"",
            "admin_listen: [::]:8081 can be reached from outside, and whoever reaches it sees the whole fleet: \
         expected admin_token_file beside it, or a loopback address such as \"127.0.0.1:8081\"",
        )],
    );
}

#[test]
fn prices_and_their_terms_are_within_their_ranges() {
    check_node("price = -0.1", &[("-0.1", "price: -0.1 is out of range: expected 0 to 1000")]);
    check_top("[scheduler]\nprice_km = -1", &[("-1", "price_km: -1 is out of range: expected 0 to 20015")]);
    check_top(
        "[scheduler]\nisp_km = 20016",
        &[("20016", "isp_km: 20016 is out of range: expected 0 to 20015")],
    );
    check_top(
        "[scheduler]\ndistance_budget_km = 0",
        &[("0", "distance_budget_km: 0 is out of range: expected above 0, up to 20015")],
    );
}

#[test]
fn networks_are_written_exactly() {
    check_top(
        "[server]\ntrusted_proxies = [\"10.0.0.1/8\", \"10.0.0.0/33\", \"proxy\"]",
        &[
            (
                "\"10.0.0.1/8\"",
                "trusted_proxies: 10.0.0.1/8 has bits set beyond its prefix: did you mean \"10.0.0.0/8\"?",
            ),
            ("\"10.0.0.0/33\"", "trusted_proxies: `10.0.0.0/33` is not a network such as \"10.0.0.0/8\""),
            ("\"proxy\"", "trusted_proxies: `proxy` is not a network such as \"10.0.0.0/8\""),
        ],
    );
}

#[test]
fn words_out_of_a_closed_set_are_listed() {
    check_top(
        "[server]\nclient_address_header = \"X-Real-IP\"",
        &[(
            "\"X-Real-IP\"",
            "client_address_header: `X-Real-IP` is not one of \"x-forwarded-for\", \"forwarded\" or \"x-real-ip\"; \
         did you mean \"x-real-ip\"?",
        )],
    );
    let words = units::either(PolicyKind::ALL.map(|policy| format!("\"{}\"", policy.as_str())));
    check_text(
        &File { domain: "policy = \"best\"", ..File::default() }.text(),
        &[("\"best\"", &format!("policy: `best` is not one of {words}"))],
    );
    check_node(
        "role = \"Edge\"",
        &[(
            "\"Edge\"",
            "role: `Edge` is not one of \"edge\", \"origin\", \"rtc\" or \"turn\"; did you mean \"edge\"?",
        )],
    );
    check_pool("profile = \"srt\"", &[("\"srt\"", "profile: `srt` is not one of \"rtc\"")]);
}

#[test]
fn durations_sizes_and_rates_have_units_and_ranges() {
    check_top(
        "[scrape]\ninterval = 10\ntimeout = \"3\"\nbody_limit = \"1GiB\"\nconcurrency = 0",
        &[
            ("10", "interval: 10 has no unit: write \"10s\" (ms, s, m or h)"),
            ("\"3\"", "timeout: 3 has no unit: write \"3s\" (ms, s, m or h)"),
            ("\"1GiB\"", "body_limit: 1GiB is out of range: expected 16KiB to 256MiB"),
            ("0", "concurrency: 0 is out of range: expected 2 to 10000"),
        ],
    );
    check_top(
        "[scrape]\ninterval = \"100ms\"\ntimeout = \"soon\"\nbody_limit = \"4 MiBytes\"",
        &[
            ("\"100ms\"", "interval: 100ms is out of range: expected 500ms to 10m"),
            ("\"soon\"", "timeout: `soon` is not a duration such as \"10s\""),
            (
                "\"4 MiBytes\"",
                "body_limit: `MiBytes` is not a unit of a size; expected B, kB, KiB, MB, MiB, GB or GiB, as in \"4MiB\"",
            ),
        ],
    );
    check_node(
        "bandwidth = 1000",
        &[("1000", "bandwidth: 1000 has no unit: write \"1000Mbps\" (bps, kbps, Mbps, Gbps or Tbps)")],
    );
    check_node(
        "bandwidth = \"10GB\"",
        &[(
            "\"10GB\"",
            "bandwidth: `GB` is not a unit of a rate; expected bps, kbps, Mbps, Gbps or Tbps, as in \"10Gbps\"",
        )],
    );
    check_top(
        "[scheduler]\ndefault_bitrate = \"10Gbps\"\nttl_min = \"1500ms\"\nttl_max = \"0s\"",
        &[
            ("\"10Gbps\"", "default_bitrate: 10Gbps is out of range: expected 10kbps to 1Gbps"),
            ("\"1500ms\"", "ttl_min: 1500ms is not a whole number of seconds"),
            ("\"0s\"", "ttl_max: 0ms is out of range: expected 1s to 1h"),
        ],
    );
}

#[test]
fn numbers_stay_in_their_range() {
    check_top(
        "[scheduler]\ncongestion_km = -1\naffinity_km = inf\nreplicas = 99999999999999999999999",
        &[
            ("-1", "congestion_km: -1 is out of range: expected 0 to 20015"),
            ("inf", "affinity_km: expected a finite number"),
            (
                "99999999999999999999999",
                "replicas: 99999999999999999999999 is out of range: expected 0 to 1000",
            ),
        ],
    );
    check_top(
        "[thresholds]\nsystem_cpu = 80\nmemory = 0\ndisk_full = nan\nudp_drops_per_s = -0.5",
        &[
            ("80", "system_cpu: 80 is out of range: expected a share above 0, up to 1; 80 % is written 0.8"),
            ("0", "memory: 0 is out of range: expected a share above 0, up to 1"),
            ("nan", "disk_full: expected a finite number"),
            ("-0.5", "udp_drops_per_s: -0.5 is out of range: expected above 0, up to 1000000"),
        ],
    );
    check_node(
        "weight = 0\nmedia = { rtmp = 0, http = 65536 }",
        &[
            ("0", "weight: 0 is out of range: expected above 0, up to 100"),
            ("0", "rtmp: 0 is out of range: expected 1 to 65535"),
            ("65536", "http: 65536 is out of range: expected 1 to 65535"),
        ],
    );
}

#[test]
fn names_are_plain_and_a_bad_one_is_reported_once() {
    check_edit(
        "\"edges\"",
        "\"my edges\"",
        &[("\"my edges\"", "name: `my edges` is not a name: expected 1 to 64 of A-Z a-z 0-9 . _ -")],
    );
    check_edit(
        "\"sh-1\"",
        "\"\"",
        &[("\"\"", "id: `` is not a name: expected 1 to 64 of A-Z a-z 0-9 . _ -")],
    );
    check_node(
        "pop = \"上海\"",
        &[("\"上海\"", "pop: `上海` is not a name: expected 1 to 64 of A-Z a-z 0-9 . _ -")],
    );
    check_node(
        "processes = [\"\\u001b[31m\"]",
        &[("\"\\u001b[31m\"", "processes: `\\u{1b}[31m` has control characters in it")],
    );
}

#[test]
fn domain_names_follow_dns() {
    let label = "a".repeat(64);
    let long = format!("{}.example", ["abcdefg"; 32].join("."));
    let bad = [
        ("", "expected 1 to 253 characters"),
        (".", "expected 1 to 253 characters"),
        ("a..b", "expected 1 to 63 characters between dots"),
        (&label, "expected 1 to 63 characters between dots"),
        (&long, "expected 1 to 253 characters"),
        ("*.example.com", "it has `*` in it"),
        ("bücher.example", "international names are written in their ASCII form, xn--…"),
        ("http://example.com", "it has `:` in it"),
    ];
    for (name, why) in bad {
        let shown = report::quoted(name);
        check_edit(
            "live.example.com",
            name,
            &[(&format!("\"{name}\""), &format!("name: {shown} is not a domain name: {why}"))],
        );
    }
}

#[test]
fn addresses_are_ones_that_players_can_connect_to() {
    check_edit(
        "\"203.0.113.10\"",
        "\"1.2.3\", \"edge.example.net\", \"0.0.0.0\", \"ff02::1\", \"::ffff:192.0.2.1\"",
        &[
            ("\"1.2.3\"", "addresses: `1.2.3` is not an IP address"),
            ("\"edge.example.net\"", "addresses: `edge.example.net` is not an IP address"),
            ("\"0.0.0.0\"", "addresses: nobody can connect to 0.0.0.0"),
            ("\"ff02::1\"", "addresses: nobody can connect to ff02::1"),
            (
                "\"::ffff:192.0.2.1\"",
                "addresses: write ::ffff:192.0.2.1 as the IPv4 address it is, \"192.0.2.1\"",
            ),
        ],
    );
    check_edit("[\"203.0.113.10\"]", "[]", &[("[]", "addresses: expected at least one")]);
}

#[test]
fn exporters_are_urls_without_credentials() {
    let bad = [
        ("10.0.0.1:9100", "expected http://host:port/metrics or https://"),
        ("ftp://10.0.0.1/", "expected http://host:port/metrics or https://"),
        ("http://", "empty host"),
        ("http://10.0.0.1:99999/", "invalid port number"),
        ("http://10.0.0.1:0/", "port 0 cannot be connected to"),
        ("http://10.0.0.1 /", "it has spaces in it"),
        ("http://10.0.0.1/#x", "a fragment (#…) is never sent to a server"),
    ];
    for (url, why) in bad {
        let text =
            File::default().text().replace("addresses", &format!("exporters = [\"{url}\"]\naddresses"));
        check_text(
            &text,
            &[(&format!("\"{url}\""), &format!("exporters: `{url}` is not the URL of an exporter: {why}"))],
        );
    }
    check_node(
        "exporters = [\"http://me:secret@10.0.0.1/metrics\"]",
        &[(
            "\"http://*********@10.0.0.1/metrics\"",
            "exporters: credentials in a URL are shown in logs and on pages; take them out",
        )],
    );
}

#[test]
fn an_exporter_at_an_address_that_may_not_be_asked_is_named() {
    let urls = [
        "http://169.254.169.254/latest/meta-data/",
        "https://[::ffff:a9fe:a9fe]/",
        "http://0xA9FEA9FE/",
        "http://2852039166/metrics",
    ];
    for url in urls {
        let text =
            File::default().text().replace("addresses", &format!("exporters = [\"{url}\"]\naddresses"));
        let message = "exporters: address 169.254.169.254 is not in scrape.allowed_networks";
        check_text(&text, &[(&format!("\"{url}\""), message)]);
    }
    let text = File {
        top: "[scrape]\nallowed_networks = [\"10.0.0.0/8\"]",
        node: "exporters = [\"http://10.0.0.1/\", \"http://192.0.2.1:9100/\", \"http://edge.example.net/\"]",
        ..File::default()
    }
    .text();
    let message = "exporters: address 192.0.2.1 is not in scrape.allowed_networks";
    check_text(&text, &[("\"http://192.0.2.1:9100/\"", message)]);
    check_top(
        "[scrape]\nallowed_networks = [\"10.0.0.1/8\", \"home\"]",
        &[
            (
                "\"10.0.0.1/8\"",
                "allowed_networks: 10.0.0.1/8 has bits set beyond its prefix: did you mean \"10.0.0.0/8\"?",
            ),
            ("\"home\"", "allowed_networks: `home` is not a network such as \"10.0.0.0/8\""),
        ],
    );
    check_top("[scrape]\nallowed_networks = []", &[("[]", "allowed_networks: expected at least one")]);
}

#[test]
fn how_a_pool_is_relieved_is_checked_by_key() {
    let of = |relief: &str| {
        format!(
            "pools = [{{ name = \"p\", relief = {relief} }}]\nnodes = [{{ id = \"n\", pool = \"p\", addresses = [\"192.0.2.1\"] }}]\ndomains = [{{ name = \"d\", pool = \"p\" }}]"
        )
    };
    let relief = parse(&of("{ after = \"1m\", per_minute = 30 }")).pools[0].relief;
    assert_eq!(relief, Some(Relief { after_ms: 60_000, per_minute: 30, share: 1.0 }));
    for (relief, words) in [
        ("{ after = \"1s\", per_minute = 30 }", "after: 1s is out of range: expected 10s to 1h"),
        ("{ after = \"1m\", per_minute = 0 }", "per_minute: 0 is out of range: expected 1 to 6000"),
        (
            "{ after = \"1m\", per_minute = 30, share = 20 }",
            "share: 20 is out of range: expected a share above 0, up to 1; 20 % is written 0.2",
        ),
        ("{ after = \"1m\" }", "missing key `per_minute` in `relief`"),
        ("true", "relief: expected a table, found a boolean"),
    ] {
        let errors = Config::parse(&of(relief), "x").unwrap_err();
        assert_eq!((errors.errors().len(), &*errors.errors()[0].message), (1, words), "{relief}");
    }
}
