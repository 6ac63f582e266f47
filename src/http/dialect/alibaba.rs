//! `GET /{account}/d?host=` and `/{account}/resolve?host=a,b`: HTTP-DNS as Alibaba Cloud has it, with answers in JSON.
//!
//! Described in [1] "Resolve a domain name" (alibabacloud.com/help/en/httpdns/latest/resolve-a-domain-name) and [2] "Batch
//! domain name resolution" (…/latest/resolve-multiple-domain-names); read by [3] `InterpretHostResponse`,
//! `ResolveHostResponse` and `HttpException` of the Android SDK (`com.alibaba.sdk.android.httpdns`) and [4] the C SDK
//! (`hdns_resolver.c`). The account says who pays; here nobody does, so any will do.
//!
//! What is signed (`/sign_d`, `/sign_resolve`) or of the second version (`/v2/d`, signed and mostly encrypted) is refused
//! as a signature that is not accepted, upon which [3] neither tries again nor takes us for broken.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::Uri;
use serde::Serialize;

use super::{Answered, Asked, addresses, answer, limited, off, pay, refused, told};
use crate::http::Front;
use crate::http::client_ip::Peer;
use crate::http::problem::{Problem, Slug};
use crate::http::query::{Params, TOO_MANY};
use crate::http::resolve;
use crate::resolver::{Answer, Family};

/// One domain.
pub(in crate::http) const ROUTE: &str = "/{account}/d";
/// Several.
pub(in crate::http) const ROUTE_OF_MANY: &str = "/{account}/resolve";
/// The same, signed.
pub(in crate::http) const ROUTE_SIGNED: &str = "/{account}/sign_d";
pub(in crate::http) const ROUTE_OF_MANY_SIGNED: &str = "/{account}/sign_resolve";
/// All of them.
pub(super) const ROUTES: [&str; 4] = [ROUTE, ROUTE_OF_MANY, ROUTE_SIGNED, ROUTE_OF_MANY_SIGNED];

const MEDIA_TYPE: &str = "application/json";
/// "A single request can contain a maximum of 5 domain names" [2].
pub(super) const MOST_NAMES: usize = 5;
/// How long a client shall remember that there is nothing, s: what [3] takes where it is told no lifetime. [1] shows 300,
/// in which nobody would see a domain that has just been configured.
const NOTHING_TTL_S: u32 = 60;
/// Record types as numbers, as [3] tells them apart.
const A: u8 = 1;
const AAAA: u8 = 28;

const NAMES: &[&str; 3] = &["host", "ip", "query"];

/// The answer for one domain [1].
#[derive(Serialize)]
struct One<'a> {
    host: &'a str,
    /// Not in [1] any more, but in answers that [4] shows.
    client_ip: IpAddr,
    /// "Returned only when query includes 4. May contain zero or more addresses" [1].
    #[serde(skip_serializing_if = "Option::is_none")]
    ips: Option<Vec<IpAddr>>,
    /// The same for 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    ipsv6: Option<Vec<IpAddr>>,
    /// s.
    ttl: u32,
    /// The TTL of whoever is authoritative, s, "which may not be known, and is then not returned" [1]: we are.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_ttl: Option<u32>,
}

/// The answer for several [2].
#[derive(Serialize)]
struct Many<'a> {
    dns: Vec<Item<'a>>,
}

/// One domain and one family. Not in [2]: `type`, without which [3] throws the whole answer away.
#[derive(Serialize)]
struct Item<'a> {
    host: &'a str,
    client_ip: IpAddr,
    ips: Vec<IpAddr>,
    r#type: u8,
    ttl: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_ttl: Option<u32>,
}

/// An error: [3] reads `code`, people read the rest.
#[derive(Serialize)]
struct Error<'a> {
    code: &'static str,
    message: &'a str,
}

/// One domain is asked for.
pub(in crate::http) async fn show(State(front): State<Arc<Front>>, peer: Peer, request: Request) -> Response {
    respond(&front, peer, &request, 1, one)
}

/// Up to five are.
pub(in crate::http) async fn show_many(
    State(front): State<Arc<Front>>,
    peer: Peer,
    request: Request,
) -> Response {
    respond(&front, peer, &request, MOST_NAMES, many)
}

/// A signature is shown that we cannot check.
pub(in crate::http) async fn refuse(State(front): State<Arc<Front>>) -> Response {
    if front.dialects.load().alibaba { refuse_signed() } else { off() }
}

/// A browser asks whether it may ask: yes, from anywhere.
pub(in crate::http) async fn preflight(State(front): State<Arc<Front>>) -> Response {
    if front.dialects.load().alibaba { resolve::preflight().await.into_response() } else { off() }
}

fn respond(
    front: &Front,
    peer: Peer,
    request: &Request,
    most: usize,
    written: fn(&Answered, Family) -> serde_json::Result<String>,
) -> Response {
    if !front.dialects.load().alibaba {
        return off();
    }
    if is_of_second_version(request.uri()) {
        return refuse_signed();
    }
    let outcome = || -> Result<Response, Problem> {
        let asked = read(request.uri().query(), peer.trusted, most)?;
        let family = asked.family;
        if let Err(exhausted) = pay(front, peer, request.headers(), &asked) {
            return Ok(limited(exhausted));
        }
        let answered = answer(front, peer, request.headers(), asked)?;
        let body = written(&answered, family).map_err(|error| Problem::internal().because(error))?;
        Ok(told(&answered, MEDIA_TYPE, body))
    };
    outcome().unwrap_or_else(|problem| worded(code(&problem), &problem))
}

/// Its path is that of an account, which is a number otherwise.
fn is_of_second_version(uri: &Uri) -> bool {
    uri.path().starts_with("/v2/")
}

fn refuse_signed() -> Response {
    let why = "signed and encrypted questions are not spoken here: ask /{account}/d or /{account}/resolve";
    worded("InvalidSignature", &Problem::new(Slug::BadSignature, why))
}

/// A query that asks for up to `most` names.
pub(super) fn read(query: Option<&str>, may_name_client: bool, most: usize) -> Result<Asked, Problem> {
    let mut params = Params::scan(query, NAMES);
    let names = super::names(&mut params, "host", most);
    let ip = super::address(&mut params, may_name_client);
    let family = params.read("query", "must be 4, 6 or both with a comma between", |value| match value {
        "4" => Some(Family::V4),
        "6" => Some(Family::V6),
        "4,6" | "6,4" => Some(Family::Both),
        _ => None,
    });
    params.verdict()?;
    // "Default value: 4" [1].
    Ok(Asked { names, ip, family: family.unwrap_or(Family::V4) })
}

fn one(answered: &Answered, family: Family) -> serde_json::Result<String> {
    let Some((host, answer)) = answered.names.first() else { return Ok(String::new()) };
    let (answer, origin_ttl) = (answer.as_ref(), answer.as_ref().map(|answer| answer.ttl_s));
    serde_json::to_string(&One {
        host,
        client_ip: answered.client,
        ips: (family != Family::V6).then(|| ips(answer, Family::V4)),
        ipsv6: (family != Family::V4).then(|| ips(answer, Family::V6)),
        ttl: origin_ttl.unwrap_or(NOTHING_TTL_S),
        origin_ttl,
    })
}

fn many(answered: &Answered, family: Family) -> serde_json::Result<String> {
    let families: &[u8] = match family {
        Family::V4 => &[A],
        Family::V6 => &[AAAA],
        Family::Both => &[A, AAAA],
    };
    let items = answered.names.iter().flat_map(|(host, answer)| {
        families.iter().map(move |kind| {
            let origin_ttl = answer.as_ref().map(|answer| answer.ttl_s);
            Item {
                host,
                client_ip: answered.client,
                ips: ips(answer.as_ref(), if *kind == A { Family::V4 } else { Family::V6 }),
                r#type: *kind,
                ttl: origin_ttl.unwrap_or(NOTHING_TTL_S),
                origin_ttl,
            }
        })
    });
    serde_json::to_string(&Many { dns: items.collect() })
}

fn ips(answer: Option<&Answer>, family: Family) -> Vec<IpAddr> {
    answer.into_iter().flat_map(|answer| addresses(answer, family)).collect()
}

fn worded(code: &'static str, problem: &Problem) -> Response {
    let error = Error { code, message: &problem.in_words() };
    // Two strings always serialise; an empty body with the right status is the honest rest.
    refused(problem, MEDIA_TYPE, serde_json::to_string(&error).unwrap_or_default())
}

/// What the service itself would call it. `MissingArgument` … `InternalError`: the table of codes beside [1]; `InvalidIP`
/// and `InvalidQuery`: that of a service with the same interface (doc.openresty.com, "HTTPDNS");
/// `UnsignedInterfaceDisabled`, "access without a signature": [3]; `ServiceUnavailable`: the codes of all of its interfaces
/// (…/latest/error-codes).
fn code(problem: &Problem) -> &'static str {
    let param = problem.params().first();
    match (problem.slug(), param.map(|param| (param.name, &*param.reason))) {
        (Slug::MissingParameter, _) => "MissingArgument",
        (_, Some(("host", TOO_MANY))) => "TooManyHosts",
        (_, Some(("host", _))) => "InvalidHost",
        (_, Some(("ip", _))) => "InvalidIP",
        (_, Some(_)) => "InvalidQuery",
        (Slug::BadSignature, _) => "UnsignedInterfaceDisabled",
        (Slug::Internal, _) => "InternalError",
        _ => "ServiceUnavailable",
    }
}

#[cfg(test)]
mod tests;
