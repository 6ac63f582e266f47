//! `GET` and `POST /d?dn=`: HTTP-DNS as DNSPod began it and Tencent Cloud has it, with its answers in plain text.
//!
//! Described in [1] "Querying with HTTP Request Methods" (tencentcloud.com/document/product/1130/44468) and its HTTPS
//! sister (44469, where nothing is encrypted by itself), read by [2] `ResponseParser` of the Android SDK
//! (`com.tencent.msdk.dns.core.rest.share.rsp`) and [3] `HttpsDnsResolver` of the iOS SDK (`MSDKDns`). Where [1] and the
//! SDKs disagree, the SDKs win: they have met the service. That is so twice, below.
//!
//! ```text
//! 203.0.113.10;203.0.113.11                                             nothing else asked for
//! 203.0.113.10;203.0.113.11,15|198.51.100.23                            ttl=1&clientip=1
//! live.example.com.:203.0.113.10,15-2001:db8::10,15|198.51.100.23       …&query=1&type=addrs
//! live.example.com.:203.0.113.10,15|198.51.100.23                       several names: a line for each
//! other.example.com.:0|198.51.100.23
//! ```
//!
//! `timeout=` is passed over: an answer takes microseconds. So are `token=` and, beside a plain name, `id=`: they say who
//! pays, and here nobody does. There is no line end after the last line: the pattern of [2] would not match.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;

use super::{Answered, Asked, addresses, answer, limited, off, pay, refused, told};
use crate::http::Front;
use crate::http::client_ip::Peer;
use crate::http::dns_query;
use crate::http::drain::has_media_type;
use crate::http::problem::{InvalidParam, Problem, Slug};
use crate::http::query::Params;
use crate::resolver::{Answer, Family};

/// The path, the same for all who pay.
pub(in crate::http) const ROUTE: &str = "/d";

const MEDIA_TYPE: &str = "text/plain; charset=utf-8";
/// Most names at once; [1] sets no limit. Ours, so that one request stays a small one.
pub(super) const MOST_NAMES: usize = 8;
/// Longest form, bytes: eight of the longest names are half of it.
const LONGEST_FORM: usize = 4_096;
/// Fewest digits of an encrypted name: DES makes blocks of eight bytes, each byte two digits.
const BLOCK_DIGITS: usize = 16;
const ENCRYPTED: &str =
    "asks for encryption, which is not spoken here: send the name as it is, by HTTPS, without alg= and id=";

const NAMES: &[&str; 9] = &["dn", "id", "alg", "token", "ip", "ttl", "clientip", "query", "type"];

/// What an answer shall tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Shape {
    family: Family,
    /// `ttl=1`: how long the addresses hold, s, behind a comma.
    ttl: bool,
    /// `clientip=1`: for whom they are, behind a bar.
    client: bool,
    /// `query=1`: the name, a dot and a colon before them; a must where there are several.
    name: bool,
}

/// `GET`: the question is the query.
pub(in crate::http) async fn show(State(front): State<Arc<Front>>, peer: Peer, request: Request) -> Response {
    if !front.dialects.load().dnspod {
        return off();
    }
    outcome(asked(&front, peer, request.headers(), request.uri().query()))
}

/// `POST`: it is the body, a form, or still the query.
pub(in crate::http) async fn take(State(front): State<Arc<Front>>, peer: Peer, request: Request) -> Response {
    if !front.dialects.load().dnspod {
        return off();
    }
    let (parts, body) = request.into_parts();
    let posted = async {
        let form = to_bytes(body, LONGEST_FORM).await.map_err(|_| {
            Problem::new(Slug::ContentTooLarge, format!("a form has at most {LONGEST_FORM} bytes"))
        })?;
        if !form.is_empty() && !has_media_type(&parts.headers, "application/x-www-form-urlencoded") {
            let must = "a form must be sent as application/x-www-form-urlencoded";
            return Err(Problem::new(Slug::UnsupportedMediaType, must));
        }
        let form = std::str::from_utf8(&form)
            .map_err(|_| Problem::invalid(vec![InvalidParam::new("body", "must be UTF-8")]))?;
        // Whatever is said in both is said twice.
        let query = format!("{}&{form}", parts.uri.query().unwrap_or_default());
        asked(&front, peer, &parts.headers, Some(&query))
    };
    outcome(posted.await)
}

/// A browser asks whether it may ask: yes, from anywhere.
pub(in crate::http) async fn preflight(State(front): State<Arc<Front>>) -> Response {
    if !front.dialects.load().dnspod {
        return off();
    }
    dns_query::preflight().await.into_response()
}

fn asked(front: &Front, peer: Peer, headers: &HeaderMap, query: Option<&str>) -> Result<Response, Problem> {
    let (asked, shape) = read(query, peer.trusted)?;
    if let Err(exhausted) = pay(front, peer, headers, &asked) {
        return Ok(limited(exhausted));
    }
    let answered = answer(front, peer, headers, asked)?;
    let text = shape.written(&answered);
    Ok(told(&answered, MEDIA_TYPE, text))
}

/// Errors are in words for whoever debugs: [1] has only statuses for them, and the SDKs look at those.
fn outcome(outcome: Result<Response, Problem>) -> Response {
    outcome.unwrap_or_else(|problem| refused(&problem, MEDIA_TYPE, format!("{}\n", problem.in_words())))
}

fn read(query: Option<&str>, may_name_client: bool) -> Result<(Asked, Shape), Problem> {
    let mut params = Params::scan(query, NAMES);
    let encrypted = |name| Err(Problem::invalid(vec![InvalidParam::new(name, ENCRYPTED)]));
    if params.has("alg") {
        return encrypted("alg");
    }
    // DES is what [1] takes where `alg=` is left out. Without a word it would pass for a domain that nobody has.
    let is_named = params.has("id") && !params.has("token");
    if is_named && params.peek("dn").is_some_and(is_encrypted) {
        return encrypted("dn");
    }
    let names = super::names(&mut params, "dn", MOST_NAMES);
    let ip = super::address(&mut params, may_name_client);
    let family = params.read("type", "must be a, aaaa or addrs", |value| match value {
        value if value.eq_ignore_ascii_case("a") => Some(Family::V4),
        value if value.eq_ignore_ascii_case("aaaa") => Some(Family::V6),
        value if value.eq_ignore_ascii_case("addrs") => Some(Family::Both),
        _ => None,
    });
    let shape = Shape {
        // "A records are queried by default" [1].
        family: family.unwrap_or(Family::V4),
        ttl: params.switch("ttl"),
        client: params.switch("clientip"),
        name: params.switch("query"),
    };
    params.verdict()?;
    Ok((Asked { names, ip, family: shape.family }, shape))
}

/// What is asked for, for [`super::fuzzing`].
#[cfg(any(test, fuzzing))]
pub(super) fn asked_for(query: &str, may_name_client: bool) -> Option<Asked> {
    read(Some(query), may_name_client).ok().map(|(asked, _)| asked)
}

/// Whether a name is hexadecimal digits of whole blocks.
fn is_encrypted(name: &str) -> bool {
    !name.is_empty()
        && name.len().is_multiple_of(BLOCK_DIGITS)
        && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

// === impl Shape ===

impl Shape {
    /// The body.
    fn written(self, answered: &Answered) -> String {
        let is_list = answered.names.len() > 1;
        let is_named = self.name || is_list;
        // "No record: an empty string is returned" [1], if the name is not asked for.
        if !is_named && answered.answers().next().is_none() {
            return String::new();
        }
        let lines = answered.names.iter().map(|(name, answer)| {
            let mut line = if is_named { format!("{name}.:") } else { String::new() };
            self.record(&mut line, answer.as_ref());
            if self.client {
                // [1] shows it behind the last line only. Both SDKs ask for it in each: [2] by its pattern, [3] splits
                // every line at the bar and drops those that have none.
                let _ = write!(line, "|{}", answered.client);
            }
            line
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The addresses of one name; "A before AAAA, with a hyphen between" [1].
    fn record(self, line: &mut String, answer: Option<&Answer>) {
        let (wants_v4, wants_v6) = (self.family != Family::V6, self.family != Family::V4);
        if wants_v4 {
            self.addresses(line, answer, Family::V4);
        }
        if wants_v4 && wants_v6 {
            line.push('-');
        }
        if wants_v6 {
            self.addresses(line, answer, Family::V6);
        }
    }

    fn addresses(self, line: &mut String, answer: Option<&Answer>, family: Family) {
        let found: Vec<IpAddr> = answer.into_iter().flat_map(|answer| addresses(answer, family)).collect();
        if found.is_empty() {
            // "0 means that there is no record" [1].
            line.push('0');
        }
        for (at, ip) in found.iter().enumerate() {
            let _ = write!(line, "{}{ip}", if at > 0 { ";" } else { "" });
        }
        // With the other family there, [2] wants a lifetime behind the 0, too: `(.*),(.*)-(.*),(.*)\|(.*)`; without it
        // the answer counts for nothing. [3] drops a 0 with or without.
        if let Some(answer) = answer.filter(|_| self.ttl) {
            let _ = write!(line, ",{}", answer.ttl_s);
        }
    }
}

#[cfg(test)]
mod tests;
