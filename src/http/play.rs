//! `GET /{app}/{stream}.flv` and its like: the answer of `/resolve` as a redirect to the node itself.
//!
//! For players that know nothing of this service: their URL is its address and the stream. The domain is the host they
//! asked, or `vhost=` or `domain=`. The redirect is a 302 with an absolute `Location`, because that is all that an SRS
//! edge follows (no 307, no relative one, at most three of them), and path and query stay as they came. Fallbacks
//! stand in `Link`, as RFC 6249 has it.
//!
//! *Loops*: a node that is full may send its players back here, by the URL that they came with. So each `Location`
//! tells in [`HOP`] which nodes the player has been sent to; these are out of the next answer, and after three it ends.

mod asked;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod source;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, LINK, LOCATION,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use self::asked::Asked;
use self::asked::{HOP, too_many_hops, without_hops};
use self::source::Asker;
use super::Front;
use super::boundary;
use super::client_ip::Peer;
use super::media::{self, Host};
use super::problem::Problem;
use super::resolve::{self, for_web_players, refusal_word};
use super::sign::X_NEARCAST_SIGNATURE;
use super::srs::caller::Prefix;
use crate::config::{self, Redirect};
use crate::resolver::{Answer, Family, Pick, Question, Refusal, Role, Want, Way, Why};

/// The path of a stream.
pub(super) const ROUTE: &str = "/{app}/{stream}";
/// The same for a media server that shows who it is.
pub(super) const ROUTE_OF_CALLER: &str = "/t/{token}/{app}/{stream}";
pub(super) const ROUTE_OF_NODE: &str = "/t/{token}/{node}/{app}/{stream}";
/// All of them: what they match is ours if [`is_stream`].
pub(super) const ROUTES: [&str; 3] = [ROUTE, ROUTE_OF_CALLER, ROUTE_OF_NODE];
/// Nodes named: the one in `Location`, and two in `Link`.
const COUNT: usize = 3;
/// What scripts may read of a redirect, or of why there is none.
const EXPOSED: &str = "Location, Link, Retry-After, X-Nearcast-Degraded, X-Nearcast-Signature, X-Request-Id";

/// `/app/stream.extension` as it came, whatever stood before it.
#[derive(Clone, Copy, Debug)]
struct Path<'a>(&'a str);

/// What of an answer a URL is made of.
struct Onward<'a> {
    answer: &'a Answer,
    path: Path<'a>,
    /// The query without where the player has been.
    query: String,
    tried: &'a [&'a str],
    client: IpAddr,
    by_tls: bool,
    rule: &'a Redirect,
}

/// How players are redirected, by domain: those that say something.
#[derive(Debug, Default)]
pub(super) struct Redirects {
    said: HashMap<Box<str>, Redirect>,
    usual: Redirect,
}

/// A player is sent to its node.
pub(super) async fn show(
    State(front): State<Arc<Front>>,
    peer: Peer,
    prefix: Prefix,
    request: Request,
) -> Response {
    let mut response = match redirect(&front, peer, &prefix, request.uri(), request.headers()) {
        Ok(response) => response,
        Err(problem) => for_web_players(problem.into_response()),
    };
    response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    response
}

/// A browser asks whether it may ask: yes, from anywhere, for parts of a file too.
pub(super) async fn preflight(uri: Uri) -> Response {
    if !is_stream(&uri) {
        return boundary::no_such_route().into_response();
    }
    let headers = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Whether a path that one of [`ROUTES`] matches ends in a stream's name.
pub(super) fn is_stream(uri: &Uri) -> bool {
    asked::is_stream(Path::of(uri).0)
}

fn redirect(
    front: &Front,
    peer: Peer,
    prefix: &Prefix,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    boundary::check_length(uri)?;
    let path = Path::of(uri);
    let asked = Asked::read(path.0, uri, headers)?;
    let rules = front.redirects.load();
    let rule = asked.domain.as_deref().map_or(&rules.usual, |domain| rules.of(domain));
    let (client, by_tls) = (front.client(peer, headers), peer.asks_by_tls(headers));
    let way = match by_tls {
        false => Way::Http,
        true if rule.downgrade => Way::HttpsFirst,
        true => Way::Https,
    };
    let asker = Asker { prefix, ip: client, by_tls, way, rule };
    if let Some(response) = asker.upstream(front, path, uri, &asked)? {
        return Ok(response);
    }
    let began = front.telemetry.answers.stopwatch();
    let domain = asked.required_domain()?;
    let signers = front.signers.load();
    let signer = signers.of(domain);
    if let Some(signer) = signer {
        signer.check(Some(&asked.signed(uri.query())), front.resolver.unix_s())?;
    }
    if asked.tried.is_full() {
        return Err(too_many_hops());
    }
    let want = Want { role: Role::Play, way, tried: &asked.tried };
    let answer = match decide(front, domain, &asked.stream, client, want) {
        Ok(answer) => answer,
        Err(refusal) => {
            front.telemetry.answers.refused(refusal_word(&refusal));
            return Err(refusal.into());
        }
    };
    let query = without_hops(uri.query().unwrap_or_default());
    let onward = Onward { answer: &answer, path, query, tried: &asked.tried, client, by_tls, rule };
    let mut response = onward.response()?;
    if let Some(signer) = signer {
        let location = response.headers()[LOCATION].as_bytes();
        let signature = signer.answer(uri.query(), location, front.resolver.unix_s());
        response.headers_mut().insert(&X_NEARCAST_SIGNATURE, signature);
    }
    front.telemetry.answers.answered(answer.domain, domain, answer.reason, answer.located.precision);
    front.telemetry.answers.took(began);
    Ok(response)
}

/// A node with an address of the family by which the client came, if there is one.
fn decide(
    front: &Front,
    domain: &str,
    stream: &str,
    client: IpAddr,
    want: Want<'_>,
) -> Result<Answer, Refusal> {
    let question = Question {
        domain,
        client,
        stream: Some(stream),
        bitrate_kbps: None,
        failed: &[],
        why: Why::Connect,
        current: None,
        count: COUNT,
        family: if client.is_ipv4() { Family::V4 } else { Family::V6 },
        want,
    };
    match front.resolver.resolve(&question) {
        Err(Refusal::NoAddress) => front.resolver.resolve(&Question { family: Family::Both, ..question }),
        answer => answer,
    }
}

// === impl Path ===

impl<'a> Path<'a> {
    /// The last two parts.
    fn of(uri: &'a Uri) -> Self {
        let path = uri.path();
        let before = path.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at);
        Self(&path[before..])
    }
}

// === impl Redirects ===

impl Redirects {
    /// Those of a configuration.
    pub(super) fn new(domains: &[config::Domain]) -> Self {
        let said = domains.iter().map(|domain| (domain.name.clone(), domain.redirect.clone()));
        let usual = Redirect::default();
        Self { said: said.filter(|(_, redirect)| *redirect != usual).collect(), usual }
    }

    fn of(&self, domain: &str) -> &Redirect {
        self.said.get(domain).unwrap_or(&self.usual)
    }
}

// === impl Onward ===

impl Onward<'_> {
    /// The whole redirect.
    fn response(&self) -> Result<Response, Problem> {
        let mut urls = self.answer.picks.iter().filter_map(|pick| self.url(pick));
        // The resolver answers only with nodes that have the port asked for and an address.
        let location = urls.next().ok_or(Refusal::NoPort)?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::FOUND;
        let headers = response.headers_mut();
        headers.insert(LOCATION, header(location)?);
        for (at, url) in urls.enumerate() {
            headers.append(LINK, header(format!("<{url}>; rel=duplicate; pri={}", at + 1))?);
        }
        headers.insert(CACHE_CONTROL, resolve::cache_control(self.answer.ttl_s));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        if self.answer.degraded {
            let reason = HeaderValue::from_static(self.answer.reason.as_str());
            headers.insert(&resolve::X_NEARCAST_DEGRADED, reason);
        }
        Ok(response)
    }

    /// Where a node has the stream; `None`: it does not speak that.
    fn url(&self, pick: &Pick) -> Option<String> {
        let node = self.answer.node(pick);
        let secure = node.ports.https.filter(|_| self.by_tls).map(|port| ("https", port));
        let plain = node.ports.http.filter(|_| !self.by_tls || self.rule.downgrade);
        let (scheme, port) = secure.or(plain.map(|port| ("http", port)))?;
        let host = match &self.rule.host {
            Some(pattern) => Host::Name(pattern, &node.id),
            None => Host::Address(media::address(node, self.client)?),
        };
        let mut url = String::with_capacity(256);
        media::base(&mut url, scheme, host, port);
        onto(&mut url, self.path, &self.query, self.tried, &node.id);
        Some(url)
    }
}

/// Appends path, query, and where the player has been once it is at this node.
fn onto(url: &mut String, path: Path<'_>, query: &str, tried: &[&str], id: &str) {
    url.push_str(path.0);
    url.push('?');
    url.push_str(query);
    url.push_str(if query.is_empty() { "" } else { "&" });
    url.push_str(HOP);
    url.push('=');
    for tried in tried {
        url.push_str(tried);
        url.push(',');
    }
    url.push_str(id);
}

/// What came in a request line and what a configuration names may stand in a header; should it not, that is ours.
fn header(value: String) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(value).map_err(|error| Problem::internal().because(error))
}
