//! Paths, hosts and queries of streams.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn headers(host: &str) -> HeaderMap {
    HeaderMap::from_iter([(HOST, HeaderValue::try_from(host).unwrap())])
}

/// Domain, stream and extension of what was asked at a host; or the slug and the parameters that are wrong.
fn read(target: &str, host: &str) -> Result<(Option<String>, String, String), (Slug, String)> {
    let (uri, headers) = (target.parse::<Uri>().unwrap(), headers(host));
    match Asked::read(uri.path(), &uri, &headers) {
        Ok(asked) => {
            let domain = asked.domain.map(Cow::into_owned);
            Ok((domain, asked.stream, asked.extension.to_owned()))
        }
        Err(problem) => Err((problem.slug(), problem.in_words())),
    }
}

#[track_caller]
fn asks(target: &str, host: &str, domain: &str, stream: &str, extension: &str) {
    let domain = Some(domain.to_owned()).filter(|domain| !domain.is_empty());
    assert_eq!(
        read(target, host),
        Ok((domain, stream.to_owned(), extension.to_owned())),
        "{target} at {host}"
    );
}

#[test]
fn path_and_host_say_it_all() {
    asks("/live/show.flv", "live.example.com", "live.example.com", "live/show", ".flv");
    asks("/live/show.m3u8?a=1", "LIVE.Example.com.:8080", "live.example.com", "live/show", ".m3u8");
    asks("/live/a.b.mpd", "live.example.com", "live.example.com", "live/a.b", ".mpd");
    asks("/live/show%20%E4%B8%8A+1.ts", "live.example.com", "live.example.com", "live/show 上+1", ".ts");
    asks("/live/show.mp4", "127.0.0.1:18085", "127.0.0.1", "live/show", ".mp4");
    asks("/live/show.flv", "[2001:db8::1]:8080", "", "live/show", ".flv");
    asks("http://other.example.com:81/live/show.flv", "a.example", "other.example.com", "live/show", ".flv");
}

#[test]
fn the_query_names_the_domain_before_the_host_does() {
    let host = "127.0.0.1";
    asks("/live/show.flv?vhost=live.example.com", host, "live.example.com", "live/show", ".flv");
    asks("/live/show.flv?domain=Live.example.com.", host, "live.example.com", "live/show", ".flv");
    asks("/live/show.flv?vhost=a.example&domain=a.example", host, "a.example", "live/show", ".flv");
    asks("/live/show.flv?vhost=__defaultVhost__", "a.example", "a.example", "live/show", ".flv");
}

#[test]
fn what_is_no_stream_is_not_found() {
    for target in [
        "/live/show",
        "/live/show.FLV",
        "/live/show.exe",
        "/live/.flv",
        "//show.flv",
        "/show.flv",
        "/a/b/show.flv",
        "/live/show.flv/",
        "/api/v1",
    ] {
        assert_eq!(read(target, "a.example").unwrap_err().0, Slug::NotFound, "{target}");
    }
}

#[test]
fn every_malformed_part_is_named() {
    for (target, name) in [
        ("/live/%ff.flv", "stream"),
        ("/live/%4.flv", "stream"),
        ("/live/a%2Fb.flv", "stream"),
        ("/%2e%2e/b.flv", "stream"),
        ("/live/a%00.flv", "stream"),
        ("/live/a%0d%0aSet-Cookie:x.flv", "stream"),
        ("/live/a.flv?domain=a..b", "domain"),
        ("/live/a.flv?domain=a&domain=b", "domain"),
        ("/live/a.flv?vhost=%ff", "vhost"),
        ("/live/a.flv?vhost=a&domain=b", "vhost"),
        ("/live/a.flv?nc_hop=", "nc_hop"),
        ("/live/a.flv?nc_hop", "nc_hop"),
        ("/live/a.flv?nc_hop=a,,b", "nc_hop"),
        ("/live/a.flv?nc_hop=a,b,c,d", "nc_hop"),
        ("/live/a.flv?nc_hop=a%0ab", "nc_hop"),
        ("/live/a.flv?nc_hop=a&nc_hop=b", "nc_hop"),
    ] {
        let (slug, words) = read(target, "a.example").unwrap_err();
        assert_eq!(slug, Slug::InvalidParameter, "{target}");
        assert!(words.starts_with(name), "{target}: {words}");
    }
    let long = format!("/live/{}.flv", "a".repeat(600));
    assert_eq!(read(&long, "a.example").unwrap_err().0, Slug::InvalidParameter);
}

#[test]
fn whoever_names_no_domain_is_told_so() {
    let (uri, nobody) = ("/live/a.flv".parse::<Uri>().unwrap(), HeaderMap::new());
    let asked = Asked::read(uri.path(), &uri, &nobody).unwrap();
    assert_eq!(asked.required_domain().unwrap_err().slug(), Slug::MissingParameter);
}

#[test]
fn hops_are_read_as_they_were_written_and_taken_out() {
    let uri = "/live/a.flv?t=1&nc_hop=sh-1,bj_2.x&u=2".parse::<Uri>().unwrap();
    let nobody = HeaderMap::new();
    let asked = Asked::read(uri.path(), &uri, &nobody).unwrap();
    assert_eq!(*asked.tried, ["sh-1", "bj_2.x"]);
    assert_eq!(without_hops("t=1&nc_hop=sh-1&u=2"), "t=1&u=2");
    assert_eq!(without_hops("nc_hop=sh-1"), "");
    assert_eq!(without_hops("nc%5fhop=sh-1&a"), "a");
    assert_eq!(without_hops("a&&b=%20"), "a&&b=%20");
}

#[test]
fn it_is_signed_as_the_question_of_resolve() {
    let signed = |target: &str| {
        let (uri, headers) = (target.parse::<Uri>().unwrap(), headers("live.example.com"));
        Asked::read(uri.path(), &uri, &headers).unwrap().signed(uri.query())
    };
    assert_eq!(signed("/live/a%20b.flv"), "domain=live.example.com&stream=live%2Fa%20b");
    let with = "exp=1&sign=2&domain=live.example.com&stream=live%2Fa";
    assert_eq!(signed("/live/a.m3u8?exp=1&nc_hop=sh-1&sign=2"), with);
    assert_eq!(signed("/live/a.ts?domain=b.example"), "domain=b.example&stream=live%2Fa");
}

proptest! {
    #[test]
    fn no_path_and_no_query_breaks_the_reader(path in "/[ -~]{0,60}", query in "[ -~]{0,60}") {
        let Ok(uri) = format!("{path}?{query}").parse::<Uri>() else { return Ok(()) };
        if let Ok(asked) = Asked::read(uri.path(), &uri, &HeaderMap::new()) {
            prop_assert!(asked.stream.matches('/').count() == 1);
            prop_assert!(!without_hops(uri.query().unwrap_or_default()).contains("nc_hop="));
        }
    }
}
