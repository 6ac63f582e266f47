//! Mistakes in `[[scrape.credentials]]`.

use super::*;

const HEAD: &str = "[[scrape.credentials]]";

/// One entry with these lines.
#[track_caller]
fn check(lines: &'static str, expected: &[(&str, &str)]) {
    let text = File::default().text() + HEAD + "\n" + lines;
    check_text(&text, expected);
}

#[test]
fn hosts_are_names_addresses_and_networks_and_never_all() {
    let all = "hosts: credentials for every host would be sent to whoever asks for them";
    let no_host = |written: &str| {
        format!(
            "hosts: `{written}` is not a host such as \"edge.example.net\", \"*.example.net\", \"192.0.2.1\" or \
             \"10.0.0.0/8\""
        )
    };
    check(
        "hosts = [\"*\", \"0.0.0.0/0\", \"a.*.net\", \"edge.example.net:9100\", \"http://edge\", \"10.0.0.1/8\", 1]\n\
         bearer_token_file = \"t\"",
        &[
            ("\"*\"", all),
            ("\"0.0.0.0/0\"", all),
            ("\"a.*.net\"", &no_host("a.*.net")),
            ("\"edge.example.net:9100\"", &no_host("edge.example.net:9100")),
            ("\"http://edge\"", "hosts: `http://edge` is not a network such as \"10.0.0.0/8\""),
            (
                "\"10.0.0.1/8\"",
                "hosts: 10.0.0.1/8 has bits set beyond its prefix: did you mean \"10.0.0.0/8\"?",
            ),
            ("1", "hosts: expected a string, found an integer"),
        ],
    );
    check("bearer_token_file = \"t\"", &[(HEAD, "missing key `hosts` in [[credentials]]")]);
    check("hosts = []\nbearer_token_file = \"t\"", &[("[]", "hosts: expected at least one")]);
    check(
        "hosts = [\"a\"]\nports = [0]\nca_file = \"ca\"",
        &[("0", "ports: 0 is out of range: expected 1 to 65535")],
    );
}

#[test]
fn halves_of_credentials_are_named() {
    let host = "hosts = [\"[2001:db8::1]\"]\n";
    let cases = [
        ("", "credentials have to hold something: bearer_token_file, username and password_file, or ca_file"),
        ("username = \"me\"", "username needs password_file beside it"),
        ("password_file = \"p\"", "password_file needs username beside it"),
        ("ca_file = \"ca\"\nkey_file = \"k\"", "key_file needs certificate_file beside it"),
        ("ca_file = \"ca\"\ncertificate_file = \"c\"", "certificate_file needs key_file beside it"),
        ("certificate_file = \"c\"\nkey_file = \"k\"", "certificate_file needs ca_file beside it"),
        ("bearer_token_file = \"t\"\nserver_name = \"a.example\"", "server_name needs ca_file beside it"),
        (
            "bearer_token_file = \"t\"\nusername = \"me\"\npassword_file = \"p\"",
            "a request has one Authorization: bearer_token_file or username, not both",
        ),
    ];
    for (lines, message) in cases {
        let text = File::default().text() + HEAD + "\n" + host + lines;
        check_text(&text, &[(HEAD, message)]);
    }
    check(
        "hosts = [\"a\"]\nusername = \"me:you\"\npassword_file = \"\"",
        &[("\"me:you\"", "username: `me:you` has a colon in it"), ("\"\"", "password_file: is empty")],
    );
}

#[test]
fn a_file_is_known_by_its_key_and_line() {
    let text = File::default().text()
        + HEAD
        + "\nhosts = [\"*.Example.net.\", \"[2001:db8::1]\"]\nusername = \"me\"\n\
               password_file = \"p\"\nca_file = \"/ca\"\n";
    let line = text.lines().position(|line| line.starts_with("password_file")).unwrap() + 1;
    let credentials = &parse(&text).exporters.credentials[0];
    let hosts = [Host::Below("example.net".into()), Host::In("2001:db8::1/128".parse().unwrap())];
    assert_eq!(credentials.scope.hosts, hosts);
    let files: Vec<_> = credentials.files().map(|file| (file.key, file.line)).collect();
    assert_eq!(files, [("password_file", line), ("ca_file", line + 1)]);
}
