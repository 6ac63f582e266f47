use super::*;

#[track_caller]
fn question(query: &str, names: &[&str], family: Family, [ttl, client, name]: [bool; 3]) {
    let (asked, shape) = read(Some(query), false).unwrap_or_else(|problem| panic!("{query}: {problem:?}"));
    assert_eq!(asked.names, names, "{query}");
    assert_eq!((asked.family, asked.ip), (family, None), "{query}");
    assert_eq!(shape, Shape { family, ttl, client, name }, "{query}");
}

#[test]
fn questions_of_the_documentation_are_read() {
    use Family::{Both, V4, V6};
    let [off, on] = [false, true];
    for (query, names, family, shape) in [
        ("dn=live.example.com", &["live.example.com"][..], V4, [off; 3]),
        ("dn=Live.example.com.&ttl=1", &["Live.example.com"], V4, [on, off, off]),
        ("dn=a.example&ttl=1&clientip=1&ip=", &["a.example"], V4, [on, on, off]),
        ("dn=a.example&type=aaaa&query=1", &["a.example"], V6, [off, off, on]),
        ("dn=a.example&type=AAAA", &["a.example"], V6, [off; 3]),
        ("dn=a.example&type=addrs&timeout=1000", &["a.example"], Both, [off; 3]),
        ("dn=a.example,b.example&type=ADDRS", &["a.example", "b.example"], Both, [off; 3]),
        ("dn=a.example%2Cb.example&ttl=0", &["a.example", "b.example"], V4, [off; 3]),
        // Who pays is of no concern.
        ("dn=a.example&id=1&token=800654663", &["a.example"], V4, [off; 3]),
        ("dn=a.example&id=1", &["a.example"], V4, [off; 3]),
        // A name may look like digits to who did not say that it is encrypted.
        ("dn=e4a30b77424e17d7", &["e4a30b77424e17d7"], V4, [off; 3]),
    ] {
        question(query, names, family, shape);
    }
    let list = ["a.example"; MOST_NAMES].join(",");
    assert_eq!(read(Some(&format!("dn={list}")), false).unwrap().0.names.len(), MOST_NAMES);
}

#[test]
fn what_cannot_be_answered_is_named() {
    let long = ["a.example"; MOST_NAMES + 1].join(",");
    for (query, name, reason) in [
        ("", "dn", "is required"),
        ("dn=", "dn", "1 to 253"),
        ("dn=a.example,", "dn", "1 to 253"),
        ("dn=a..b", "dn", "empty label"),
        ("dn=a.example&dn=b.example", "dn", "more than once"),
        (&format!("dn={long}"), "dn", "more domains"),
        ("dn=a.example&type=mx", "type", "addrs"),
        ("dn=a.example&ttl=2", "ttl", "1 or 0"),
        ("dn=a.example&clientip=x", "clientip", "1 or 0"),
        ("dn=a.example&query=x", "query", "1 or 0"),
        ("dn=a.example&ip=here", "ip", "address"),
        // Whoever encrypts could not read the answer.
        ("dn=a.example&alg=aes", "alg", "encryption"),
        ("dn=e4a30b77424e17d7&alg=des&id=1", "alg", "encryption"),
        ("dn=e4a30b77424e17d729ad13c95d360e83&clientip=1&ttl=1&id=1", "dn", "encryption"),
    ] {
        let problem = read(Some(query), true).unwrap_err();
        let found: Vec<&str> = problem.params().iter().map(|param| param.name).collect();
        assert_eq!(found, [name], "{query}");
        assert!(problem.in_words().contains(reason), "{query}: {}", problem.in_words());
    }
}

#[test]
fn only_trusted_callers_say_for_whom_they_ask() {
    let query = Some("dn=a.example&ip=::ffff:192.0.2.7");
    assert_eq!(read(query, true).unwrap().0.ip.map(|ip| ip.to_string()).as_deref(), Some("192.0.2.7"));
    assert_eq!(read(query, false).unwrap().0.ip, None);
    assert_eq!(read(Some("dn=a.example&ip=rubbish"), false).unwrap().0.ip, None);
    assert_eq!(read(Some("dn=a.example&ip="), true).unwrap().0.ip, None);
}
