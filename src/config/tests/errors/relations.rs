//! Mistakes that take two places of the file.

use super::*;

#[test]
fn fleet_needs_a_pool_a_node_and_a_domain() {
    check_text(
        "",
        &[
            ("", "missing [[pools]]: at least one is needed"),
            ("", "missing [[nodes]]: at least one is needed"),
            ("", "missing [[domains]]: at least one is needed"),
        ],
    );
    check_text(
        "nodes = []\npools = [{ name = \"a\" }]\ndomains = [{ name = \"a.example.com\", pool = \"a\" }]",
        &[("[]", "nodes: expected at least one")],
    );
}

#[test]
fn the_two_sides_do_not_share_a_socket() {
    check_top(
        "[server]\nlisten = \"[::]:90\"\nadmin_listen = \"127.0.0.1:90\"",
        &[("\"127.0.0.1:90\"", "admin_listen: 127.0.0.1:90 is taken by listen already")],
    );
    check_top(
        "[server]\nlisten = \"127.0.0.1:8081\"",
        &[(
            "\"127.0.0.1:8081\"",
            "listen: 127.0.0.1:8081 is taken by admin_listen (127.0.0.1:8081 by default)",
        )],
    );
    check_top(
        "[server]\nadmin_listen = \"127.0.0.1:8080\"",
        &[(
            "\"127.0.0.1:8080\"",
            "admin_listen: 127.0.0.1:8080 is taken by listen (0.0.0.0:8080 by default)",
        )],
    );
    // Not while one of them cannot be read; and port 0 is another one each time.
    check_top(
        "[server]\nlisten = 1\nadmin_listen = \"127.0.0.1:8080\"",
        &[("1", "listen: expected a string, found an integer")],
    );
    let fine = ["127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0", "0.0.0.0:90\"\nadmin_listen = \"[::1]:90"];
    for listen in fine {
        parse(&format!("{}[server]\nlisten = \"{listen}\"", File::default().text()));
    }
}

#[test]
fn listed_pops_exist_once_and_have_something_to_say() {
    check_top(
        r#"
            [[pops]]
            name = "mars"
            uplink = "1Gbps"
            [[pops]]
            name = "sh-1"
            [[pops]]
            name = "sh-1"
            uplink = "40"
            location = { latitude = 1, longitude = 2 }
        "#,
        &[
            ("\"mars\"", "name: there is no PoP `mars`; there is `sh-1`"),
            ("[[pops]]", "a PoP that is listed has something to say: uplink or location"),
            ("\"sh-1\"", "name: PoP `sh-1` is listed already"),
            ("\"40\"", "uplink: 40 has no unit: write \"40Mbps\" (bps, kbps, Mbps, Gbps or Tbps)"),
        ],
    );
}

#[test]
fn providers_are_listed_once_and_no_more_than_can_be_told_apart() {
    check_node("isps = [\"telecom\", \"Telecom\"]", &[("\"Telecom\"", "isps: `telecom` is listed already")]);
    let many: Vec<String> = (0..65).map(|i| format!("\"p{i}\"")).collect();
    let node: &'static str = format!("isps = [{}]", many.join(", ")).leak();
    check_node(node, &[("\"p64\"", "isps: at most 64 providers can be told apart")]);
}

#[test]
fn overrides_say_one_thing_of_one_network() {
    check_top(
        r#"
            [[geoip.overrides]]
            network = "10.0.0.0/8"
            [[geoip.overrides]]
            network = "192.0.2.0/24"
            pop = "mars"
            [[geoip.overrides]]
            network = "192.0.2.0/24"
            pop = "sh-1"
            location = { latitude = 1, longitude = 2 }
            [[geoip.overrides]]
            location = { latitude = 91, longitude = 2 }
            isp = ""
        "#,
        &[
            ("[[geoip.overrides]]", "an override has to say something of its network: location, pop or isp"),
            ("\"mars\"", "pop: there is no PoP `mars`; there is `sh-1`"),
            ("\"192.0.2.0/24\"", "network: 192.0.2.0/24 has an override already"),
            ("\"sh-1\"", "pop: it says where the network is, and so does location: keep one of them"),
            ("[[geoip.overrides]]", "missing key `network` in [[overrides]]"),
            ("91", "latitude: 91 is out of range: expected -90 to 90"),
            ("\"\"", "isp: is empty"),
        ],
    );
    check_top(
        "[geoip]\ndatabases = [\"a.mmdb\", \"a.mmdb\"]",
        &[("\"a.mmdb\"", "databases: a.mmdb is listed already")],
    );
}

#[test]
fn related_durations_are_in_order() {
    check_top("[scrape]\ntimeout = \"20s\"", &[("\"20s\"", "timeout: 20s is longer than the interval, 10s")]);
    check_top(
        "[scheduler]\nttl_min = \"2m\"",
        &[("\"2m\"", "ttl_min: 2m is longer than ttl_max (1m by default)")],
    );
    check_top(
        "[scheduler]\nttl_max = \"1s\"",
        &[("\"1s\"", "ttl_max: 1s is shorter than ttl_min (5s by default)")],
    );
    check_top(
        "[scheduler]\nttl_max = \"7s\"\nttl_min = \"8s\"",
        &[("\"7s\"", "ttl_max: 7s is shorter than ttl_min, 8s")],
    );
    // What could not be read is not compared.
    check_top(
        "[scrape]\ninterval = 60\ntimeout = \"20s\"",
        &[("60", "interval: 60 has no unit: write \"60s\" (ms, s, m or h)")],
    );
}

#[test]
fn duplicates_are_reported_where_they_come_second() {
    check_top(
        r#"
            [[pools]]
            name = "edges"
            [[nodes]]
            id = "sh-1"
            pool = "edges"
            addresses = ["203.0.113.11", "203.0.113.10", "203.0.113.11"]
            exporters = ["http://10.0.0.1/metrics", "http://10.0.0.1:80/metrics"]
            processes = ["srs", "srs"]
            [[domains]]
            name = "Live.example.com."
            pool = "edges"
        "#,
        &[
            ("\"edges\"", "name: there is a pool `edges` already"),
            ("\"sh-1\"", "id: there is a node `sh-1` already"),
            ("\"203.0.113.10\"", "addresses: 203.0.113.10 belongs to node `sh-1` already"),
            ("\"203.0.113.11\"", "addresses: 203.0.113.11 is listed already"),
            ("\"http://10.0.0.1:80/metrics\"", "exporters: this page is listed already"),
            ("\"srs\"", "processes: `srs` is listed already"),
            ("\"Live.example.com.\"", "name: there is a domain `live.example.com` already"),
        ],
    );
}

#[test]
fn dangling_names_are_reported_once_each() {
    let text = File::default().text().replace("pool = \"edges\"", "pool = \"egdes\"");
    let expected = ("\"egdes\"", "pool: there is no pool `egdes`; did you mean `edges`?");
    check_text(&text, &[expected, expected]);
    check_pool(
        "on_overload = \"fallback\"\nfallback = \"core\"",
        &[("\"core\"", "fallback: there is no pool `core`; there is `edges`")],
    );
}

#[test]
fn pools_that_viewers_are_sent_to_have_nodes() {
    check_top(
        r#"
            [[pools]]
            name = "unused"
            [[pools]]
            name = "asked"
            [[domains]]
            name = "a.example.com"
            pool = "asked"
            [[domains]]
            name = "b.example.com"
            pool = "asked"
        "#,
        &[("\"asked\"", "name: pool `asked` has no nodes")],
    );
}

#[test]
fn fallbacks_end_somewhere() {
    check_pool(
        "on_overload = \"fallback\"\nfallback = \"edges\"",
        &[("\"edges\"", "fallback: pool `edges` falls back to itself")],
    );
    check_pool("on_overload = \"fallback\"", &[("[[pools]]", "missing key `fallback` in [[pools]]")]);
    check_pool(
        "fallback = \"edges\"",
        &[("\"edges\"", "fallback: is only asked with on_overload = \"fallback\"")],
    );
    check_text(
        r#"
            pools = [
                { name = "a", on_overload = "fallback", fallback = "b" },
                { name = "b", on_overload = "fallback", fallback = "c" },
                { name = "c", on_overload = "fallback", fallback = "b" },
            ]
            nodes = [
                { id = "a", pool = "a", addresses = ["192.0.2.1"] },
                { id = "b", pool = "b", addresses = ["192.0.2.2"] },
                { id = "c", pool = "c", addresses = ["192.0.2.3"] },
            ]
            domains = [{ name = "a.example.com", pool = "a" }]
        "#,
        &[("\"c\"", "fallback: b -> c -> b is a circle, which ends nowhere")],
    );
}

#[test]
fn layers_end_at_pools_that_take_publishers() {
    let check_upstream = |pool, expected: &[(&str, &str)]| {
        check_text(&File { pool, top: "[streams]", ..File::default() }.text(), expected);
    };
    check_upstream("upstream = \"edges\"", &[("\"edges\"", "upstream: pool `edges` pulls from itself")]);
    check_upstream(
        "upstream = \"edge\"",
        &[("\"edge\"", "upstream: there is no pool `edge`; did you mean `edges`?")],
    );
    check_text(
        r#"
            streams = {}
            pools = [{ name = "a", upstream = "b" }, { name = "b", upstream = "c" }, { name = "c", upstream = "a" }]
            nodes = [
                { id = "a", pool = "a", addresses = ["192.0.2.1"] },
                { id = "b", pool = "b", addresses = ["192.0.2.2"] },
                { id = "c", pool = "c", addresses = ["192.0.2.3"] },
            ]
            domains = [{ name = "a.example.com", pool = "a", origins = "o" }]
        "#,
        &[
            ("\"b\"", "upstream: a -> b -> c -> a is a circle, which ends nowhere"),
            ("\"o\"", "origins: there is no pool `o`; there is `a`, `b` or `c`"),
        ],
    );
    check_text(
        r#"
            streams = {}
            pools = [{ name = "a" }, { name = "b", upstream = "a" }, { name = "c" }]
            nodes = [
                { id = "a", pool = "a", addresses = ["192.0.2.1"] },
                { id = "b", pool = "b", addresses = ["192.0.2.2"] },
            ]
            domains = [
                { name = "a.example.com", pool = "b", origins = "b" },
                { name = "b.example.com", pool = "b", origins = "c" },
            ]
        "#,
        &[
            ("\"c\"", "name: pool `c` has no nodes"),
            ("\"b\"", "origins: pool `b` takes no publishers, it pulls from `a`"),
        ],
    );
}

#[test]
fn a_host_of_redirects_differs_by_node() {
    for (written, why) in [
        ("edges.example.com", "`edges.example.com` has not exactly one {id} in it, by which nodes differ"),
        ("{id}.{id}.example", "`{id}.{id}.example` has not exactly one {id} in it, by which nodes differ"),
        ("{id}.a b.example", "`{id}.a b.example` is not a domain name: it has ` ` in it"),
    ] {
        let domain: &'static str = format!("redirect_host = \"{written}\"").leak();
        let (offending, message) = (format!("\"{written}\""), format!("redirect_host: {why}"));
        check_text(&File { domain, ..File::default() }.text(), &[(&offending, &message)]);
    }
}

#[test]
fn an_upstream_is_of_no_use_without_the_table_of_streams() {
    let text = |streams: &str| {
        format!(
            "{streams}\npools = [{{ name = \"a\", upstream = \"b\" }}, {{ name = \"b\" }}]\n\
             nodes = [{{ id = \"a\", pool = \"a\", addresses = [\"192.0.2.1\"] }}, \
             {{ id = \"b\", pool = \"b\", addresses = [\"192.0.2.2\"] }}]\n\
             domains = [{{ name = \"a.example.com\", pool = \"a\" }}]"
        )
    };
    let message = "upstream: nobody can ask for it without [streams]: expected that table, if only empty";
    check_text(&text(""), &[("\"b\"", message)]);
    parse(&text("streams = {}"));
}
