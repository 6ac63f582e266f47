//! How mistakes are shown, and where.

use super::*;

#[track_caller]
fn render(text: &str) -> String {
    Config::parse(text, "nearcast.toml").unwrap_err().to_string()
}

#[test]
fn mistake_is_shown_with_its_line_and_a_caret() {
    let text = File { node: "bandwdith = \"10Gbps\"", ..File::default() }.text();
    insta::assert_snapshot!(render(&text), @r#"
    error: unknown key `bandwdith` in [[nodes]]; did you mean `bandwidth`?
     --> nearcast.toml:8:1
      |
    8 | bandwdith = "10Gbps"
      | ^^^^^^^^^

    1 error in nearcast.toml
    "#);
}

#[test]
fn contradiction_shows_both_of_its_halves() {
    let text = File { top: "[[pools]]\nname = \"edges\"", ..File::default() }.text();
    insta::assert_snapshot!(render(&text), @r#"
    error: name: there is a pool `edges` already
      --> nearcast.toml:14:8
       |
    14 | name = "edges"
       |        ^^^^^^^
       |
      ::: nearcast.toml:2:8
       |
     2 | name = "edges"
       |        ------- the first one

    1 error in nearcast.toml
    "#);
    let text = File::default().text().replace("\"203.0.113.10\"", "\"203.0.113.10\", \"203.0.113.10\"");
    insta::assert_snapshot!(render(&text), @r#"
    error: addresses: 203.0.113.10 is listed already
     --> nearcast.toml:7:30
      |
    7 | addresses = ["203.0.113.10", "203.0.113.10"]
      |              --------------  ^^^^^^^^^^^^^^
      |              |
      |              the first one

    1 error in nearcast.toml
    "#);
}

#[test]
fn wide_characters_tabs_and_controls_do_not_move_the_caret() {
    insta::assert_snapshot!(render(&File { node: "\tisp = \"上海\"\tweight = 0", ..File::default() }.text()), @r#"
    error: not TOML: unexpected key or value, expected newline, `#`
     --> nearcast.toml:8:13
      |
    8 |     isp = "上海"    weight = 0
      |                     ^

    1 error in nearcast.toml
    "#);
    insta::assert_snapshot!(render(&File { node: "processes = [\"上海\", \"\\u001b\"]", ..File::default() }.text()), @r#"
    error: processes: `\u{1b}` has control characters in it
     --> nearcast.toml:8:20
      |
    8 | processes = ["上海", "\u001b"]
      |                      ^^^^^^^^

    1 error in nearcast.toml
    "#);
    insta::assert_snapshot!(render("a = \"\u{1b}[31m\""), @r#"
    error: not TOML: invalid basic string, expected non-double-quote visible characters, `\`
     --> nearcast.toml:1:6
      |
    1 | a = "␛[31m"
      |      ^

    1 error in nearcast.toml
    "#);
}

#[test]
fn mistake_of_the_whole_file_has_no_line() {
    let text = File::default().text();
    let (text, _) = text.split_once("[[domains]]").unwrap();
    insta::assert_snapshot!(render(text), @r"
    error: missing [[domains]]: at least one is needed
    --> nearcast.toml

    1 error in nearcast.toml
    ");
}

#[test]
fn passwords_are_starred_out_on_the_whole_line() {
    let node = "exporters = [\"http://me:secret@10.0.0.1/metrics\", \"10.0.0.2\"]";
    let shown = render(&File { node, ..File::default() }.text());
    assert!(!shown.contains("secret"), "{shown}");
    insta::assert_snapshot!(shown, @r#"
    error: exporters: credentials in a URL are shown in logs and on pages; take them out
     --> nearcast.toml:8:14
      |
    8 | exporters = ["http://*********@10.0.0.1/metrics", "10.0.0.2"]
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: exporters: `10.0.0.2` is not the URL of an exporter: expected http://host:port/metrics or https://
     --> nearcast.toml:8:51
      |
    8 | exporters = ["http://*********@10.0.0.1/metrics", "10.0.0.2"]
      |                                                   ^^^^^^^^^^

    2 errors in nearcast.toml
    "#);
    assert_eq!(report::masked("a://b c://d@e ftp://ü:x@f/@g"), "a://b c://*@e ftp://****@f/@g");
}

#[test]
fn lines_and_columns_count_characters_from_one() {
    let errors = Config::parse("[server]\r\n\"ü\" = 1; x\r\n", "x").unwrap_err();
    assert_eq!((errors.errors()[0].line, errors.errors()[0].column), (2, 7));
    let errors = Config::parse("\u{feff}foo = 1", "x").unwrap_err();
    let last = errors.errors().last().unwrap();
    assert_eq!((last.line, last.column, &*last.text), (1, 1, "foo"));
    assert!(last.to_string().starts_with("line 1, column 1: unknown key `foo`"), "{last}");
}

/// One mistake of every sort a person makes in a first file.
const TWELVE: &str = r#"[server]
listen = "8080"
admin_listen = "0.0.0.0:8081"

[scrape]
interval = 10
timeuot = "3s"

[thresholds]
system_cpu = 80

[[pools]]
name = "edges"
on_overload = "drop"

[[nodes]]
id = "sh-1"
pool = "edge"
addresses = ["203.0.113.10", "203.0.113.300"]
location = { latitude = 131.23, longitude = 121.47 }

[[nodes]]
id = "sh-2"
pool = "edges"
addresses = ["203.0.113.10"]
bandwidth = "10GB"

[[domains]]
name = "live.example.com"
pool = "edges"
policy = "fastest"
"#;

#[test]
fn twelve_mistakes_are_twelve_errors_in_the_order_of_the_file() {
    let errors = Config::parse(TWELVE, "nearcast.toml").unwrap_err();
    let found: Vec<_> =
        errors.errors().iter().map(|error| (error.line, error.column, error.text.as_str())).collect();
    assert_eq!(
        found,
        [
            (2, 10, "\"8080\""),
            (3, 16, "\"0.0.0.0:8081\""),
            (6, 12, "10"),
            (7, 1, "timeuot"),
            (10, 14, "80"),
            (14, 15, "\"drop\""),
            (18, 8, "\"edge\""),
            (19, 30, "\"203.0.113.300\""),
            (20, 25, "131.23"),
            (25, 14, "\"203.0.113.10\""),
            (26, 13, "\"10GB\""),
            (31, 10, "\"fastest\""),
        ]
    );
    assert_eq!(errors.summary(), "12 errors in nearcast.toml");
}

#[test]
fn twelve_mistakes_are_shown_in_one_run() {
    let errors = Config::parse(TWELVE, "nearcast.toml").unwrap_err();
    insta::assert_snapshot!(errors, @r#"
    error: listen: `8080` is not an address and port such as "0.0.0.0:8080" or "[::]:8080"
     --> nearcast.toml:2:10
      |
    2 | listen = "8080"
      |          ^^^^^^

    error: admin_listen: 0.0.0.0:8081 can be reached from outside, and whoever reaches it sees the whole fleet: expected admin_token_file beside it, or a loopback address such as "127.0.0.1:8081"
     --> nearcast.toml:3:16
      |
    3 | admin_listen = "0.0.0.0:8081"
      |                ^^^^^^^^^^^^^^

    error: interval: 10 has no unit: write "10s" (ms, s, m or h)
     --> nearcast.toml:6:12
      |
    6 | interval = 10
      |            ^^

    error: unknown key `timeuot` in [scrape]; did you mean `timeout`?
     --> nearcast.toml:7:1
      |
    7 | timeuot = "3s"
      | ^^^^^^^

    error: system_cpu: 80 is out of range: expected a share above 0, up to 1; 80 % is written 0.8
      --> nearcast.toml:10:14
       |
    10 | system_cpu = 80
       |              ^^

    error: on_overload: `drop` is not one of "serve", "refuse" or "fallback"
      --> nearcast.toml:14:15
       |
    14 | on_overload = "drop"
       |               ^^^^^^

    error: pool: there is no pool `edge`; did you mean `edges`?
      --> nearcast.toml:18:8
       |
    18 | pool = "edge"
       |        ^^^^^^

    error: addresses: `203.0.113.300` is not an IP address
      --> nearcast.toml:19:30
       |
    19 | addresses = ["203.0.113.10", "203.0.113.300"]
       |                              ^^^^^^^^^^^^^^^

    error: latitude: 131.23 is out of range: expected -90 to 90
      --> nearcast.toml:20:25
       |
    20 | location = { latitude = 131.23, longitude = 121.47 }
       |                         ^^^^^^

    error: addresses: 203.0.113.10 belongs to node `sh-1` already
      --> nearcast.toml:25:14
       |
    25 | addresses = ["203.0.113.10"]
       |              ^^^^^^^^^^^^^^
       |
      ::: nearcast.toml:19:14
       |
    19 | addresses = ["203.0.113.10", "203.0.113.300"]
       |              -------------- the first one

    error: bandwidth: `GB` is not a unit of a rate; expected bps, kbps, Mbps, Gbps or Tbps, as in "10Gbps"
      --> nearcast.toml:26:13
       |
    26 | bandwidth = "10GB"
       |             ^^^^^^

    error: policy: `fastest` is not one of "priced", "nearest", "least_load", "round_robin", "random" or "hash"
      --> nearcast.toml:31:10
       |
    31 | policy = "fastest"
       |          ^^^^^^^^^

    12 errors in nearcast.toml
    "#);
}
