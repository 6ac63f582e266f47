//! Other services' HTTP-DNS: their questions in, their answers out, our decisions between.
//!
//! For players that have such a service's SDK, or wrote its few lines themselves: they change a host name. Each dialect is
//! a file that reads and writes it, and quotes where its form is described; what is the same for all stands here, so that
//! none of them forgets a rule of `/resolve`: `ip=` is read from trusted callers only, each name that is answered books
//! one viewer, refusals are counted.
//!
//! *Errors*: a dialect tells them in its own form, because that is what its SDKs read; status, count and name of the
//! request are those of our own. Who asks for what is not there (an unknown domain, another family) gets that service's
//! "nothing" with 200: its SDKs then ask the DNS, where an error would make them try the same at the next address of ours.
//!
//! *Signatures*: no dialect has a place for ours, and theirs are made with keys that we do not have. So a domain with
//! `require_signature` is refused here, and so is a question that is signed or encrypted: its answer could not be read.
//!
//! *Limits*: a request for several names takes as much from its client's bucket as one request for each.

pub(super) mod alibaba;
pub(super) mod dnspod;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

use std::net::IpAddr;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};

use super::Front;
use super::boundary;
use super::client_ip::Peer;
use super::limit::{ClientKey, Exhausted};
use super::problem::{MISSING, Problem, Slug, Told};
use super::query::{self, Params};
use super::resolve::{self, USUAL_COUNT, for_web_players, refusal_word};
use crate::resolver::{Answer, Family, Question, Refusal, Want, Why};

/// What somebody asks for in some dialect.
#[derive(Debug, PartialEq)]
struct Asked {
    /// Domains as they are written, but for a final dot; at least one.
    names: Vec<String>,
    /// The client, where a trusted caller names it.
    ip: Option<IpAddr>,
    family: Family,
}

/// What becomes of it.
struct Answered {
    /// Each name with its answer; `None`: there is nothing for it.
    names: Vec<(String, Option<Answer>)>,
    /// For whom that is.
    client: IpAddr,
}

/// Whether a path of a dialect is not served.
pub(super) fn is_off(front: &Front, route: &str) -> bool {
    let dialects = front.dialects.load();
    route == dnspod::ROUTE && !dialects.dnspod || alibaba::ROUTES.contains(&route) && !dialects.alibaba
}

/// What is found where a dialect is switched off.
fn off() -> Response {
    boundary::no_such_route().into_response()
}

/// Up to `most` domains out of a parameter.
fn names<const N: usize>(params: &mut Params<'_, N>, name: &'static str, most: usize) -> Vec<String> {
    let Some(value) = params.take(name) else {
        // Given twice or badly encoded it has been named already; it is not missing.
        if !params.has(name) {
            params.fault(name, MISSING);
        }
        return Vec::new();
    };
    query::domains(&value, most).unwrap_or_else(|reason| {
        params.fault(name, reason);
        Vec::new()
    })
}

/// Who is asked for, if the caller may say so; if not, it is not even read. Some SDKs send an empty one.
fn address<const N: usize>(params: &mut Params<'_, N>, may_name_client: bool) -> Option<IpAddr> {
    let ip = params.take("ip").filter(|ip| may_name_client && !ip.is_empty())?;
    let read = query::address(&ip);
    if read.is_none() {
        params.fault("ip", "must be an IPv4 or IPv6 address");
    }
    read
}

/// Asks for every name, through the one door.
fn answer(front: &Front, peer: Peer, headers: &HeaderMap, asked: Asked) -> Result<Answered, Problem> {
    let began = front.telemetry.answers.stopwatch();
    let signers = front.signers.load();
    let asks_for_signature =
        |name: &String| signers.of(&name.to_ascii_lowercase()).is_some_and(super::sign::Signer::is_required);
    if let Some(name) = asked.names.iter().find(|name| asks_for_signature(name)) {
        let why = format!("{name} asks for a signature, which has no place here; ask /resolve");
        return Err(Problem::new(Slug::BadSignature, why));
    }
    let client = asked.ip.unwrap_or_else(|| front.client(peer, headers));
    let mut later = None;
    let mut names = Vec::with_capacity(asked.names.len());
    for name in asked.names {
        let found = match ask(front, &name.to_ascii_lowercase(), client, asked.family) {
            Ok(answer) => Some(answer),
            Err(Refusal::UnknownDomain | Refusal::NoAddress) => None,
            Err(refusal) => {
                later = Some(refusal);
                None
            }
        };
        names.push((name, found));
    }
    let answered = Answered { names, client };
    // In a list, what is there now is worth more than when to come back for the rest.
    match later.filter(|_| answered.answers().next().is_none()) {
        Some(refusal) => Err(refusal.into()),
        None => {
            front.telemetry.answers.took(began);
            Ok(answered)
        }
    }
}

/// Asks for one name, as `/resolve` does where nothing else is said.
fn ask(front: &Front, domain: &str, client: IpAddr, family: Family) -> Result<Answer, Refusal> {
    let question = Question {
        domain,
        client,
        stream: None,
        bitrate_kbps: None,
        failed: &[],
        why: Why::Connect,
        current: None,
        count: USUAL_COUNT,
        family,
        want: Want::default(),
    };
    let answers = &front.telemetry.answers;
    let outcome = front.resolver.resolve(&question);
    match &outcome {
        Ok(answer) => answers.answered(answer.domain, domain, answer.reason, answer.located.precision),
        Err(refusal) => answers.refused(refusal_word(refusal)),
    }
    outcome
}

/// Takes what is asked for from the client's bucket. The first name is paid for: the lane has taken one request. A trusted
/// caller that names nobody pays nothing, as there.
fn pay(front: &Front, peer: Peer, headers: &HeaderMap, asked: &Asked) -> Result<(), Exhausted> {
    let client = front.client(peer, headers);
    if peer.trusted && client == peer.ip {
        return Ok(());
    }
    let now = front.resolver.now();
    asked.names.iter().skip(1).try_for_each(|_| front.limiter.take(ClientKey::of(client), now))
}

/// Who has used up what it may ask is told so in one way, whatever it speaks: mostly by the lane, which does not look.
fn limited(exhausted: Exhausted) -> Response {
    let mut response = for_web_players(Problem::from(exhausted).into_response());
    response.headers_mut().extend(exhausted.headers().map(|(name, value)| (Some(name), value)));
    response
}

/// One address of each node in a family, best node first: those that `/resolve` names.
fn addresses(answer: &Answer, family: Family) -> impl Iterator<Item = IpAddr> {
    answer.picks.iter().filter_map(move |pick| answer.address(pick, family))
}

/// An answer in a dialect's words; it may be kept for as long as `/resolve` would say.
fn told(answered: &Answered, media_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    let lifetime_s = answered.answers().map(|answer| answer.ttl_s).min();
    let lifetime = lifetime_s.map_or_else(|| HeaderValue::from_static("no-store"), resolve::cache_control);
    headers.insert(CACHE_CONTROL, lifetime);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Some(degraded) = answered.answers().find(|answer| answer.degraded) {
        let reason = HeaderValue::from_static(degraded.reason.as_str());
        headers.insert(&resolve::X_NEARCAST_DEGRADED, reason);
    }
    response
}

/// A problem in a dialect's words.
fn refused(problem: &Problem, media_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = problem.slug().status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after_s() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(Told(problem.slug()));
    for_web_players(response)
}

// === impl Answered ===

impl Answered {
    fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.names.iter().filter_map(|(_, answer)| answer.as_ref())
    }
}
