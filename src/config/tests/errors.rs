//! Every kind of mistake, as (offending text, message).

mod credentials;
mod dns;
mod relations;
mod streams;
mod values;

use super::*;

#[track_caller]
fn check_text(text: &str, expected: &[(&str, &str)]) {
    let errors = Config::parse(text, "nearcast.toml").unwrap_err();
    let found: Vec<_> = errors.errors().iter().map(|error| (&*error.text, &*error.message)).collect();
    assert_eq!(found, expected, "in\n{text}");
}

#[track_caller]
fn check_top(top: &'static str, expected: &[(&str, &str)]) {
    check_text(&File { top, ..File::default() }.text(), expected);
}

#[track_caller]
fn check_pool(pool: &'static str, expected: &[(&str, &str)]) {
    check_text(&File { pool, ..File::default() }.text(), expected);
}

#[track_caller]
fn check_node(node: &'static str, expected: &[(&str, &str)]) {
    check_text(&File { node, ..File::default() }.text(), expected);
}

/// The shortest file with one text in it replaced.
#[track_caller]
fn check_edit(from: &str, to: &str, expected: &[(&str, &str)]) {
    let text = File::default().text();
    assert!(text.contains(from));
    check_text(&text.replace(from, to), expected);
}

#[test]
fn text_that_is_no_toml_is_named_line_by_line() {
    check_text(
        "a = \"x\n[b\n",
        &[
            ("", "not TOML: invalid basic string, expected `\"`"),
            ("", "not TOML: unclosed table, expected `]`"),
        ],
    );
    check_text("c = foo", &[("foo", "not TOML: invalid boolean, expected `false` (a text needs quotes)")]);
    check_text("a = 1\na = 2", &[("a", "not TOML: duplicate key")]);
    check_text(
        "a = 0.0.0.0:80",
        &[(".0.0:80", "not TOML: invalid float, expected nothing (a text needs quotes)")],
    );
}

#[test]
fn unknown_keys_are_named_with_what_was_meant() {
    check_top(
        "[server]\nlitsen = \"0.0.0.0:80\"\nfoo = 1",
        &[
            ("litsen", "unknown key `litsen` in [server]; did you mean `listen`?"),
            (
                "foo",
                "unknown key `foo` in [server]; it has listen, admin_listen, admin_token_file, \
             tls, trusted_proxies, client_address_header, log_client_addresses, workers or \
             drain_delay",
            ),
        ],
    );
    check_top("[sever]", &[("sever", "unknown key `sever` in the file; did you mean `server`?")]);
    check_top(
        "[geoip]\ndefault_location = { latitude = 0, lon = 0, longitude = 0 }",
        &[("lon", "unknown key `lon` in `default_location`; it has latitude or longitude")],
    );
    check_node("media = { rtpm = 1935 }", &[("rtpm", "unknown key `rtpm` in [media]; did you mean `rtmp`?")]);
}

#[test]
fn mistyped_key_is_not_missing_too() {
    check_edit(
        "addresses",
        "adresses",
        &[("adresses", "unknown key `adresses` in [[nodes]]; did you mean `addresses`?")],
    );
    check_edit(
        "[[domains]]",
        "[[domain]]",
        &[("domain", "unknown key `domain` in the file; did you mean `domains`?")],
    );
}

#[test]
fn missing_keys_are_named_at_their_table() {
    check_edit(
        "pool = \"edges\"\n",
        "",
        &[
            ("[[nodes]]", "missing key `pool` in [[nodes]]"),
            ("[[domains]]", "missing key `pool` in [[domains]]"),
        ],
    );
    check_top(
        "[geoip]\ndefault_location = { latitude = 1 }",
        &[("{ latitude = 1 }", "missing key `longitude` in `default_location`")],
    );
    // No pool can be told missing while one has no name.
    check_edit("name = \"edges\"", "", &[("[[pools]]", "missing key `name` in [[pools]]")]);
}

#[test]
fn wrong_types_say_what_was_expected() {
    check_top(
        "[server]\nlisten = 8080\ntrusted_proxies = \"10.0.0.0/8\"\nworkers = 1.5",
        &[
            ("8080", "listen: expected a string, found an integer"),
            ("\"10.0.0.0/8\"", "trusted_proxies: expected an array, found a string"),
            ("1.5", "workers: expected a whole number, found a float"),
        ],
    );
    check_top("[[scrape]]", &[("[[scrape]]", "scrape: expected a table, found an array")]);
    check_edit(
        "[[domains]]",
        "[domains]",
        &[("[domains]", "domains: expected [[domains]], an array of tables, found a table")],
    );
    check_top("[geoip]\noverrides = [true]", &[("true", "overrides: expected a table, found a boolean")]);
    check_top(
        "[scheduler]\ncongestion_km = \"10km\"\nreplicas = 2020-01-01\nbooking = \"no\"",
        &[
            ("\"10km\"", "congestion_km: expected a number, found a string"),
            ("2020-01-01", "replicas: expected a whole number, found a date"),
            ("\"no\"", "booking: expected true or false, found a string"),
        ],
    );
    check_node(
        "weight = []\nprocesses = [{}]\nlocation = \"x\"",
        &[
            ("[]", "weight: expected a number, found an array"),
            ("{}", "processes: expected a string, found a table"),
            ("\"x\"", "location: expected a table, found a string"),
        ],
    );
}
