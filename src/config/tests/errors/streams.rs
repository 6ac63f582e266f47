//! Mistakes in `[streams]` and `[[callers]]`.

use super::*;

#[test]
fn what_media_servers_may_ask_is_checked_by_key() {
    check_top(
        "[streams]\nnetworks = [\"10.0.0.1/8\"]\nsecond_origin = \"refus\"\noverloaded_edge = true\nrelays = 9\n\
         poll_interval = \"1ms\"",
        &[
            (
                "\"10.0.0.1/8\"",
                "networks: 10.0.0.1/8 has bits set beyond its prefix: did you mean \"10.0.0.0/8\"?",
            ),
            (
                "\"refus\"",
                "second_origin: `refus` is not one of \"allow\" or \"refuse\"; did you mean \"refuse\"?",
            ),
            ("true", "overloaded_edge: expected a string, found a boolean"),
            ("9", "relays: 9 is out of range: expected 0 to 8"),
            ("\"1ms\"", "poll_interval: 1ms is out of range: expected 1s to 10m"),
        ],
    );
}

#[test]
fn callers_speak_for_a_pool_that_exists_by_a_token_of_their_own() {
    check_top(
        "[[callers]]\ntoken_file = \"a\"\npool = \"egdes\"\n[[callers]]\ntoken_file = \"a\"\npool = \"edges\"\n\
         [[callers]]\n[streams]",
        &[
            ("\"egdes\"", "pool: there is no pool `egdes`; did you mean `edges`?"),
            ("\"a\"", "token_file: a speaks for a pool already"),
            ("[[callers]]", "missing key `token_file` in [[callers]]"),
            ("[[callers]]", "missing key `pool` in [[callers]]"),
        ],
    );
    check_top(
        "[[callers]]\ntoken_file = \"a\"\npool = \"edges\"",
        &[("\"a\"", "callers: nobody can call without [streams]: expected that table, if only empty")],
    );
}

#[test]
fn an_empty_table_has_the_defaults() {
    let config = parse(&format!("{}[streams]", File::default().text()));
    assert_eq!(config.streams, Some(Streams::default()));
    assert_eq!(parse(&File::default().text()).streams, None);
}

#[test]
fn what_a_node_is_like_that_registers_is_checked_by_key() {
    check_top(
        "[streams]\n[[callers]]\ntoken_file = \"a\"\npool = \"edges\"\n[callers.register]\nrole = \"egde\"\n\
         exporters = [\"http://10.0.0.1:9100/\", \"http://a.example/{ip}\", \"{ip}:9100\"]\nmissed = 0\nmost = 20000\n\
         forget = \"1s\"\ntrust_ip = 1\naddresses = []",
        &[
            (
                "\"egde\"",
                "role: `egde` is not one of \"edge\", \"origin\", \"rtc\" or \"turn\"; did you mean \"edge\"?",
            ),
            (
                "\"http://10.0.0.1:9100/\"",
                "exporters: `http://10.0.0.1:9100/` is the same for all nodes: expected http://{ip}:9100/metrics",
            ),
            (
                "\"http://a.example/{ip}\"",
                "exporters: `http://a.example/{ip}` is the same for all nodes: expected http://{ip}:9100/metrics",
            ),
            (
                "\"{ip}:9100\"",
                "exporters: `{ip}:9100` is not the URL of an exporter: expected http://host:port/metrics or https://",
            ),
            ("0", "missed: 0 is out of range: expected 1 to 100"),
            ("20000", "most: 20000 is out of range: expected 1 to 10000"),
            ("\"1s\"", "forget: 1s is out of range: expected 1m to 168h"),
            ("1", "trust_ip: expected true or false, found an integer"),
            (
                "addresses",
                "unknown key `addresses` in `register`; it has role, pop, location, bandwidth, exporters, thresholds, \
                 missed, trust_ip, most or forget",
            ),
        ],
    );
}

#[test]
fn nodes_of_a_pool_register_by_one_caller() {
    check_top(
        "[streams]\n[[callers]]\ntoken_file = \"a\"\npool = \"edges\"\nregister = {}\n[[callers]]\n\
         token_file = \"b\"\npool = \"edges\"\nregister = {}",
        &[("\"edges\"", "pool: nodes of `edges` register by another caller already")],
    );
}

#[test]
fn a_fleet_may_come_by_itself_and_its_pops_and_limits_count() {
    let config = parse(
        "pools = [{ name = \"edges\", profile = \"rtc\" }]\ndomains = [{ name = \"a.example\", pool = \"edges\" }]\n\
         streams = {}\npops = [{ name = \"sh\", location = { latitude = 1, longitude = 2 } }]\n\
         callers = [{ token_file = \"a\", pool = \"edges\", register = { pop = \"sh\", thresholds = { memory = 0.5 } } }]",
    );
    assert!(config.nodes.is_empty());
    let template = config.callers[0].register.as_ref().unwrap();
    let node = template.node("n", "2001:db8::1".parse().unwrap(), Default::default());
    assert_eq!(node.location, Location::new(1.0, 2.0).ok());
    assert_eq!(node.thresholds, Thresholds { memory: 0.5, ..Thresholds::rtc() });
    assert_eq!((&*node.pop, node.missed, node.ipv4.len(), node.ipv6.len()), ("sh", Some(3), 0, 1));
}
