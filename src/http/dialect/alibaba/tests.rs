use super::*;

#[test]
fn questions_of_the_documentation_are_read() {
    use Family::{Both, V4, V6};
    for (query, most, names, family) in [
        ("host=live.example.com", 1, &["live.example.com"][..], V4),
        ("host=Live.example.com.&query=4&ip=", 1, &["Live.example.com"], V4),
        ("host=a.example&query=6&platform=android&sdk_version=2.0&sid=x", 1, &["a.example"], V6),
        ("host=a.example&query=4,6", 1, &["a.example"], Both),
        ("host=a.example&query=4%2C6", 1, &["a.example"], Both),
        ("host=a.example,b.example&query=6,4", MOST_NAMES, &["a.example", "b.example"], Both),
    ] {
        let asked = read(Some(query), false, most).unwrap();
        assert_eq!(asked.names, names, "{query}");
        assert_eq!((asked.family, asked.ip), (family, None), "{query}");
    }
}

#[test]
fn what_cannot_be_answered_has_the_code_that_its_own_service_gives_it() {
    let six = ["a.example"; MOST_NAMES + 1].join(",");
    for (query, most, expected) in [
        ("", 1, "MissingArgument"),
        ("ip=192.0.2.1", 1, "MissingArgument"),
        ("host=", 1, "InvalidHost"),
        ("host=a..b", 1, "InvalidHost"),
        ("host=a.example&host=b.example", 1, "InvalidHost"),
        ("host=a.example,b.example", 1, "TooManyHosts"),
        (&format!("host={six}"), MOST_NAMES, "TooManyHosts"),
        ("host=a.example&ip=here", 1, "InvalidIP"),
        ("host=a.example&ip=192.0.2.1,192.0.2.2", MOST_NAMES, "InvalidIP"),
        ("host=a.example&query=5", 1, "InvalidQuery"),
        ("host=a.example&query=4,4", 1, "InvalidQuery"),
    ] {
        let problem = read(Some(query), true, most).unwrap_err();
        assert_eq!((code(&problem), problem.slug().status().as_u16()), (expected, 400), "{query}");
    }
    for (slug, expected) in [
        (Slug::BadSignature, "UnsignedInterfaceDisabled"),
        (Slug::Internal, "InternalError"),
        (Slug::Overloaded, "ServiceUnavailable"),
        (Slug::NoNodeAvailable, "ServiceUnavailable"),
    ] {
        assert_eq!(code(&Problem::new(slug, "why")), expected);
    }
}
