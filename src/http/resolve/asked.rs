//! The parameters of `/resolve` and `/explain`.

use std::borrow::Cow;
use std::net::IpAddr;

use arrayvec::ArrayVec;

use crate::http::problem::Problem;
use crate::http::query::{self, Params};
use crate::resolver::{Family, Question, Role, Want, Why};

/// Nodes named when nothing else is asked for: one, and two to fall back to.
pub(in crate::http) const USUAL_COUNT: usize = 3;
/// Nodes named at most.
const MOST_COUNT: usize = 8;
/// Addresses in `failed=` at most.
const MOST_FAILED: usize = 16;
/// Longest `stream=`, characters.
pub(in crate::http) const LONGEST_STREAM: usize = 512;

const NAMES: &[&str; 12] = &[
    "domain", "ip", "n", "type", "stream", "format", "detail", "bitrate", "failed", "why", "current", "role",
];

/// How the answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http) enum Format {
    /// One JSON object.
    #[default]
    Json,
    /// One address a line.
    Text,
}

/// A whole question as it came, checked.
#[derive(Debug, PartialEq)]
pub(in crate::http) struct Asked<'q> {
    /// Lower case, no final dot.
    pub(in crate::http) domain: Cow<'q, str>,
    /// The client, where a trusted peer names it.
    pub(in crate::http) ip: Option<IpAddr>,
    /// `ip=` was given by somebody who may not; the answer says so.
    pub(in crate::http) ip_ignored: bool,
    /// How the answer is written.
    pub(in crate::http) format: Format,
    /// Whether the answer explains itself.
    pub(in crate::http) detail: bool,
    /// Families wanted.
    pub(in crate::http) family: Family,
    /// Whether it is to watch or to publish.
    pub(in crate::http) role: Role,
    /// Which stream, "app/name".
    pub(in crate::http) stream: Option<Cow<'q, str>>,
    count: usize,
    bitrate_kbps: Option<u32>,
    failed: ArrayVec<IpAddr, MOST_FAILED>,
    why: Why,
    current: Option<IpAddr>,
}

// === impl Asked ===

impl<'q> Asked<'q> {
    /// Reads a query. `may_name_client`: whether `ip=` of this caller is believed; if not, it is not even read,
    /// so that a forged one can break nothing.
    pub(in crate::http) fn read(query: Option<&'q str>, may_name_client: bool) -> Result<Self, Problem> {
        let mut params = Params::scan(query, NAMES);
        let domain = params.domain("domain");
        let (ip, ip_ignored) =
            if may_name_client { (params.address("ip"), false) } else { (None, params.take("ip").is_some()) };
        let count = params.read("n", "must be 1 to 8", |value| {
            value.parse().ok().filter(|count| (1..=MOST_COUNT).contains(count))
        });
        let family = params.read("type", "must be A, AAAA or ADDRS", |value| match value {
            value if value.eq_ignore_ascii_case("A") => Some(Family::V4),
            value if value.eq_ignore_ascii_case("AAAA") => Some(Family::V6),
            value if value.eq_ignore_ascii_case("ADDRS") => Some(Family::Both),
            _ => None,
        });
        let format = params.read("format", "must be json or text", |value| match value {
            "json" => Some(Format::Json),
            "text" => Some(Format::Text),
            _ => None,
        });
        let bitrate_kbps = params.read(
            "bitrate",
            "must be a rate with its unit, such as 3Mbps or 800kbps, up to 100Mbps",
            query::bitrate_kbps,
        );
        let failed = params.read("failed", "must be 1 to 16 addresses with commas between", |value| {
            let mut failed = ArrayVec::new();
            for one in value.split(',') {
                failed.try_push(query::address(one)?).ok()?;
            }
            Some(failed)
        });
        let why = params.read("why", "must be connect or stall", |value| {
            Why::ALL.into_iter().find(|why| why.as_str() == value)
        });
        let role = params.read("role", "must be play or publish", |value| {
            Role::ALL.into_iter().find(|role| role.as_str() == value)
        });
        let stream = params.text("stream", 1..=LONGEST_STREAM);
        let current = params.address("current");
        let detail = params.switch("detail");
        params.verdict()?;
        Ok(Self {
            // Without a domain the verdict was a problem.
            domain: domain.unwrap_or_default(),
            ip,
            ip_ignored,
            format: format.unwrap_or_default(),
            detail,
            family: family.unwrap_or_default(),
            role: role.unwrap_or_default(),
            count: count.unwrap_or(USUAL_COUNT),
            stream,
            bitrate_kbps,
            failed: failed.unwrap_or_default(),
            why: why.unwrap_or_default(),
            current,
        })
    }

    /// The question for the resolver.
    pub(in crate::http) fn question(&self, client: IpAddr) -> Question<'_> {
        Question {
            domain: &self.domain,
            client,
            stream: self.stream.as_deref(),
            bitrate_kbps: self.bitrate_kbps,
            failed: &self.failed,
            why: self.why,
            current: self.current,
            count: self.count,
            family: self.family,
            want: Want { role: self.role, ..Want::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Slug;

    #[test]
    fn a_domain_is_enough() {
        let asked = Asked::read(Some("domain=live.example.com"), false).unwrap();
        let question = asked.question("198.51.100.7".parse().unwrap());
        assert_eq!(question.domain, "live.example.com");
        assert_eq!((question.count, question.family), (3, Family::Both));
        assert_eq!((question.stream, question.bitrate_kbps, question.current), (None, None, None));
        assert!(question.failed.is_empty());
        assert_eq!(question.why, Why::Connect);
        assert_eq!((asked.format, asked.detail, asked.ip_ignored), (Format::Json, false, false));
    }

    #[test]
    fn every_parameter_reaches_the_question() {
        let query = "domain=Live.example.com.&ip=198.51.100.9&n=8&type=aaaa&stream=live/one&format=text&detail=1\
                     &bitrate=2.5Mbps&failed=203.0.113.1,2001:db8::1&current=::ffff:203.0.113.2&why=stall&role=publish";
        let asked = Asked::read(Some(query), true).unwrap();
        let question = asked.question(asked.ip.unwrap());
        assert_eq!(question.domain, "live.example.com");
        assert_eq!(question.client.to_string(), "198.51.100.9");
        assert_eq!((question.count, question.family), (8, Family::V6));
        assert_eq!((question.stream, question.bitrate_kbps), (Some("live/one"), Some(2_500)));
        assert_eq!((question.failed.len(), question.why), (2, Why::Stall));
        assert_eq!(question.current.map(|ip| ip.to_string()).as_deref(), Some("203.0.113.2"));
        assert_eq!((asked.format, asked.detail), (Format::Text, true));
        assert_eq!(question.want.role, Role::Publish);
    }

    #[test]
    fn the_address_of_a_stranger_is_not_even_read() {
        let asked = Asked::read(Some("domain=a.example&ip=rubbish"), false).unwrap();
        assert_eq!((asked.ip, asked.ip_ignored), (None, true));
    }

    #[track_caller]
    fn check(query: &str, slug: Slug, name: &str) {
        let problem = Asked::read(Some(query), true).unwrap_err();
        assert_eq!(problem.slug(), slug, "{query}");
        assert!(format!("{problem:?}").contains(&format!("name: {name:?}")), "{query}: {problem:?}");
    }

    #[test]
    fn every_malformed_parameter_is_named() {
        check("", Slug::MissingParameter, "domain");
        check("stream=a", Slug::MissingParameter, "domain");
        check("domain=a.example&domain=a.example", Slug::InvalidParameter, "domain");
        check("domain=ü.example", Slug::InvalidParameter, "domain");
        check(&format!("domain={}", "a.".repeat(200)), Slug::InvalidParameter, "domain");
        let with = |rest: &str| format!("domain=a.example&{rest}");
        for (rest, name) in [
            ("ip=1.2.3", "ip"),
            ("ip=", "ip"),
            ("n=0", "n"),
            ("n=9", "n"),
            ("n=-1", "n"),
            ("n=x", "n"),
            ("type=MX", "type"),
            ("role=origin", "role"),
            ("type=", "type"),
            ("format=xml", "format"),
            ("detail=yes", "detail"),
            ("bitrate=3000", "bitrate"),
            ("bitrate=1Tbps", "bitrate"),
            ("failed=", "failed"),
            ("failed=1.1.1.1,", "failed"),
            ("failed=a", "failed"),
            ("failed=192.0.2.1&why=slow", "why"),
            ("why=", "why"),
            ("current=here", "current"),
            ("stream=", "stream"),
            ("stream=a%00b", "stream"),
            ("n=1&n=1", "n"),
        ] {
            check(&with(rest), Slug::InvalidParameter, name);
        }
        check(&with(&format!("stream={}", "a".repeat(513))), Slug::InvalidParameter, "stream");
        check(&with(&format!("failed={}", ["192.0.2.1"; 17].join(","))), Slug::InvalidParameter, "failed");
    }

    #[test]
    fn limits_are_inclusive() {
        let query = format!(
            "domain=a.example&stream={}&failed={}",
            "a".repeat(LONGEST_STREAM),
            ["192.0.2.1"; MOST_FAILED].join(",")
        );
        assert!(Asked::read(Some(&query), false).is_ok());
        let query = format!("domain=a.example&stream={}", "%C3%BC".repeat(LONGEST_STREAM));
        assert!(Asked::read(Some(&query), false).is_ok(), "characters count, not bytes");
    }
}
