//! What strangers write into requests, for [`crate::fuzzing`].

use std::net::IpAddr;
use std::sync::LazyLock;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::access::OpsToken;
use super::client_ip::ClientRule;
pub use super::dialect::fuzzing::dialect_query;
pub use super::play::fuzzing::play_target;
use super::query::Params;
use super::resolve::Asked;
use super::rtt::Report;
use super::sign::{Signer, SigningKey};
use super::srs::call::{Call, Dialect, Hook};
use super::srs::heartbeat;
use crate::config::Config;
use crate::resolver::MOST_TIMES;

/// Whoever asks here is trusted, and so is `10.0.0.0/8` behind it.
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
/// A client that somebody makes up.
const INVENTED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 66));

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The rule of each header, by its name in the configuration.
static RULES: LazyLock<Vec<(HeaderName, ClientRule)>> = LazyLock::new(|| {
    let headers = [X_FORWARDED_FOR.clone(), http::header::FORWARDED, X_REAL_IP.clone()];
    headers.into_iter().map(|header| (header.clone(), rule(header.as_str()))).collect()
});

fn rule(header: &str) -> ClientRule {
    let text = format!(
        "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"2001:db8:1::/48\"]\nclient_address_header = \"{header}\"\n\
         [[pools]]\nname = \"a\"\n\
         [[nodes]]\nid = \"a\"\npool = \"a\"\naddresses = [\"192.0.2.1\"]\nexporters = [\"http://192.0.2.1/\"]\n\
         [[domains]]\nname = \"a\"\npool = \"a\"\n"
    );
    match Config::parse(&text, "fuzzing") {
        Ok(config) => ClientRule::new(&config.server),
        Err(errors) => panic!("{errors}"),
    }
}

/// Lines of a client-address header: whoever writes a line in front of them changes nothing, unless every hop
/// behind it is trusted.
pub fn client_address(bytes: &[u8]) {
    let lines: Vec<HeaderValue> =
        bytes.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    for (header, rule) in RULES.iter() {
        let mut headers = HeaderMap::new();
        lines.iter().for_each(|line| _ = headers.append(header, line.clone()));
        let client = rule.client(PEER, &headers);
        assert_eq!(client, client.to_canonical());

        let invention = if *header == http::header::FORWARDED { "for=192.0.2.66" } else { "192.0.2.66" };
        let mut forged = HeaderMap::new();
        forged.append(header, HeaderValue::from_static(invention));
        lines.iter().for_each(|line| _ = forged.append(header, line.clone()));
        let forged = rule.client(PEER, &forged);
        if *header == X_REAL_IP {
            let believed = if lines.is_empty() { INVENTED } else { PEER };
            assert_eq!(forged, believed, "{lines:?}");
        } else if !rule.peer((client, 1).into()).trusted {
            assert_eq!(forged, client, "{header}: {lines:?}");
        } else {
            assert!(forged == client || forged == INVENTED, "{header}: {forged} from {lines:?}");
        }
    }
}

/// A query of `/resolve`, as text and as the URI that the front sees: a question within its bounds, the same in
/// whatever order its parameters stand; and a stranger's `ip=` is not read.
pub fn resolve_query(bytes: &[u8]) {
    let Ok(query) = std::str::from_utf8(bytes) else { return };
    let target = format!("/resolve?{query}").parse::<Uri>();
    if let Some(seen) = target.as_ref().ok().and_then(Uri::query) {
        check_query(seen);
    }
    check_query(query);
}

fn check_query(query: &str) {
    let backwards: Vec<&str> = query.rsplit('&').collect();
    let backwards = backwards.join("&");
    for may_name_client in [true, false] {
        let asked = Asked::read(Some(query), may_name_client);
        let again = Asked::read(Some(&backwards), may_name_client);
        assert_eq!(asked.as_ref().ok(), again.as_ref().ok(), "{query} and {backwards}");
        let Ok(asked) = asked else { continue };
        assert!(may_name_client || asked.ip.is_none());
        let question = asked.question(PEER);
        let domain = question.domain;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        assert!((1..=253).contains(&domain.len()) && domain.bytes().all(is_name), "{domain:?}");
        assert!(!domain.ends_with('.') && !domain.contains(".."), "{domain:?}");
        assert!((1..=8).contains(&question.count));
        assert!(question.failed.len() <= crate::resolver::MOST_FAILED);
        assert!(question.bitrate_kbps.is_none_or(|kbps| (1..=100_000).contains(&kbps)));
        let sound = |stream: &str| !stream.is_empty() && !stream.chars().any(char::is_control);
        assert!(question.stream.is_none_or(|stream| sound(stream) && stream.chars().count() <= 512));
        let named = [asked.ip, question.current].into_iter().flatten().chain(question.failed.iter().copied());
        named.for_each(|ip| assert_eq!(ip, ip.to_canonical()));
    }
}

/// A query that somebody signs: it passes as signed, in any order, until its time is over; unsigned, or with anything
/// added, it does not. A query that brings a signature of its own passes never.
pub fn signature(bytes: &[u8]) {
    const NOW: u64 = 1_800_000_000;
    static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
        SigningKey::new(b"the key of a fuzzed domain").unwrap_or_else(|| panic!("too short"))
    });
    let Ok(query) = std::str::from_utf8(bytes) else { return };
    let Some(signer) = Signer::new(vec![KEY.clone()], true) else { return };
    let passes = |query: &str, now_s| signer.check(Some(query), now_s).is_ok();
    assert!(!passes(query, NOW), "{query}");
    let signed = KEY.sign_query(query, NOW + 60);
    let backwards: Vec<&str> = signed.rsplit('&').collect();
    let brings_its_own = !passes(&signed, NOW);
    assert_eq!(!passes(&backwards.join("&"), NOW), brings_its_own, "{signed}");
    if brings_its_own {
        let mut own = Params::scan(Some(query), &["sign", "exp"]);
        let brought = own.take("sign").is_some() || own.take("exp").is_some() || own.verdict().is_err();
        assert!(brought, "{signed}");
        return;
    }
    assert!(!passes(&signed, NOW + 60) && !passes(&format!("{signed}&more=1"), NOW), "{signed}");
}

/// A body of `POST /rtt`: a report within its bounds.
pub fn rtt_body(bytes: &[u8]) {
    let Ok(report) = Report::read(bytes) else { return };
    assert!(report.token.len() <= bytes.len());
    assert!(report.times.len() <= MOST_TIMES);
    assert!(report.times.iter().all(|(ip, ms)| *ip == ip.to_canonical() && (0.1..=2_000.0).contains(ms)));
}

/// The body of a heartbeat: ports, names and numbers within their bounds.
pub fn heartbeat_body(bytes: &[u8]) {
    let Ok(beat) = heartbeat::read(bytes) else { return };
    assert!(beat.device.len() <= 256 && !beat.device.chars().any(char::is_control));
    assert!(beat.identity.server.len() <= 64);
    let ports = beat.ports;
    let ports = [ports.rtmp, ports.http, ports.api, ports.srt, ports.rtc];
    assert!(ports.into_iter().flatten().all(|port| port != 0) && beat.ports.https.is_none());
    let Some(told) = beat.told else { return };
    assert!(told.clock_s.is_none_or(|clock| clock > 0.0) && told.grain_s > 0.0);
    assert!(told.processes.len() <= 1 && told.media.is_some() && told.streams.is_empty());
    assert!(told.host.is_some_and(|host| host.cpus <= 65_536));
}

/// The body of a hook, in both dialects and for every hook: a call names a stream where there is one, within its bounds;
/// but for what nginx-rtmp pulls itself, which it announces without an app.
pub fn hook_body(bytes: &[u8]) {
    for dialect in [Dialect::Srs, Dialect::NginxRtmp] {
        let calls =
            Hook::ALL.into_iter().filter_map(|hook| Some((hook, Call::read(dialect, hook, bytes).ok()?)));
        let calls: Vec<(Hook, Call)> = calls.collect();
        assert!(calls.len() <= 1, "one body is of one hook: {calls:?}");
        for (hook, call) in calls {
            let is_of_a_stream =
                matches!(hook, Hook::Publish | Hook::Unpublish | Hook::Play | Hook::Stop | Hook::Forward);
            let may_be_own_pull =
                dialect == Dialect::NginxRtmp && matches!(hook, Hook::Publish | Hook::Unpublish);
            let is_named = call.name.is_some();
            assert!(is_named == is_of_a_stream || !is_named && may_be_own_pull, "{hook:?}: {call:?}");
            assert!(call.client.len() <= 64 && call.identity.server.len() <= 64);
            let Some(name) = call.name else { continue };
            let parts = [name.vhost(), name.name()];
            assert!(parts.iter().all(|part| part.len() <= 512 && !part.chars().any(char::is_control)));
            assert!(name.name().contains('/') && !name.vhost().bytes().any(|byte| byte.is_ascii_uppercase()));
        }
    }
}

/// A file with the operators' token: if it serves, showing it opens and showing anything else does not.
pub fn ops_token(bytes: &[u8]) {
    const OTHER: &[u8] = b"another-token-that-is-long-enough";
    let Ok(token) = OpsToken::new(bytes) else { return };
    let shown = bytes.trim_ascii();
    assert!((16..=1_024).contains(&shown.len()));
    let opens = |token: &OpsToken, shown: &[u8]| {
        let value = HeaderValue::from_bytes(&[b"Bearer ", shown].concat());
        let Ok(value) = value else { panic!("no header can carry the token {shown:?}") };
        token.is_shown(&HeaderMap::from_iter([(AUTHORIZATION, value)]))
    };
    assert!(opens(&token, shown), "{shown:?} does not open");
    assert!(!opens(&token, &shown[1..]) && !opens(&token, &[shown, b"0"].concat()));
    assert_eq!(opens(&token, OTHER), shown == OTHER);
    let Ok(other) = OpsToken::new(OTHER) else { panic!("a good token is refused") };
    assert_eq!(opens(&other, shown), shown == OTHER);
}
