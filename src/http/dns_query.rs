//! `/dns-query`: DNS over HTTPS (RFC 8484), and the same answers as JSON.
//!
//! *What it decides*: nothing. The octets of a query go through [`Names`], which the wiring fills with the DNS front, so
//! a reply by HTTP is made by the function that makes all others. The client is found as for any request of players: to
//! the DNS front it is who asks, and where it names no client subnet (RFC 7871), it is who the answer is chosen for.
//!
//! *Caching*: a reply may be kept as long as its shortest record (RFC 8484 §5.1), and by the client alone: another's
//! address may lead to another edge. What failed is not kept.

mod asked;
mod json;
mod message;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE,
};
use http::{HeaderValue, StatusCode};
use http_body_util::LengthLimitError;

use self::asked::Asked;
use super::Front;
use super::client_ip::Peer;
use super::drain::has_media_type;
use super::problem::{InvalidParam, Problem, Slug};
use super::resolve::{cache_control, for_web_players};

/// Writes the reply to the octets of a client's query into a buffer. It stays empty where there is none to give.
pub type Names = Box<dyn Fn(&[u8], IpAddr, &mut Vec<u8>) + Send + Sync>;

/// DNS messages as they are.
const MESSAGE: &str = "application/dns-message";
/// What Google and Cloudflare made of them.
const JSON: &str = "application/dns-json";
/// Longest query, octets: as by TCP.
const LONGEST_QUERY: usize = 4_096;
/// Octets of a message's header.
const HEADER: usize = 12;
/// The bit of a header's third octet that tells a reply from a query.
const QR: u8 = 0x80;

/// `GET`: the query in `dns=`, or a name to be asked for in `name=`.
pub(super) async fn show(State(front): State<Arc<Front>>, peer: Peer, request: Request) -> Response {
    let client = front.client(peer, request.headers());
    let asked = || -> Result<Response, Problem> {
        let names = front.names.load();
        let names = names.as_ref().ok_or_else(off)?;
        match Asked::read(request.uri().query())? {
            Asked::Message(query) => {
                let must = "must be a DNS query of at least 12 octets";
                if !is_query(&query) {
                    return Err(Problem::invalid(vec![InvalidParam::new("dns", must)]));
                }
                Ok(told(MESSAGE, reply(names, &query, client)?))
            }
            Asked::Name(question) => {
                let reply = reply(names, &question.query()?, client)?;
                let lifetime = message::lifetime_s(&reply);
                let json = json::written(&reply).ok_or_else(Problem::internal)?;
                Ok(response(JSON, json.into(), lifetime))
            }
        }
    };
    open(asked())
}

/// `POST`: the query is the body.
pub(super) async fn take(State(front): State<Arc<Front>>, peer: Peer, request: Request) -> Response {
    let client = front.client(peer, request.headers());
    open(posted(&front, client, request).await)
}

/// A browser asks whether it may ask: yes, from anywhere.
pub(super) async fn preflight() -> impl IntoResponse {
    let headers = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers)
}

async fn posted(front: &Front, client: IpAddr, request: Request) -> Result<Response, Problem> {
    let names = front.names.load_full().ok_or_else(off)?;
    let headers = request.headers();
    if !has_media_type(headers, MESSAGE) {
        let must = "a query must be sent as application/dns-message";
        return Err(Problem::new(Slug::UnsupportedMediaType, must));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LONGEST_QUERY as u64) {
        return Err(too_large());
    }
    let invalid = |must| Problem::invalid(vec![InvalidParam::new("body", must)]);
    let query =
        to_bytes(request.into_body(), LONGEST_QUERY).await.map_err(
            |error| match std::error::Error::source(&error)
                .is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
            {
                true => too_large(),
                false => invalid("must arrive whole"),
            },
        )?;
    if !is_query(&query) {
        return Err(invalid("must be a DNS query of at least 12 octets"));
    }
    Ok(told(MESSAGE, reply(&names, &query, client)?))
}

fn off() -> Problem {
    Problem::new(Slug::NotFound, "names are not answered for here: there is no [dns]")
}

fn too_large() -> Problem {
    let must = format!("a query has at most {LONGEST_QUERY} octets");
    Problem::new(Slug::ContentTooLarge, must)
}

/// Whether octets are a message and no reply. All else is for the DNS front to judge, in its own words.
fn is_query(octets: &[u8]) -> bool {
    octets.len() >= HEADER && octets.get(2).is_some_and(|flags| flags & QR == 0)
}

/// What the DNS front says. Queries are never met with silence, except by a defect.
fn reply(names: &Names, query: &[u8], client: IpAddr) -> Result<Vec<u8>, Problem> {
    let mut reply = Vec::new();
    names(query, client, &mut reply);
    if reply.is_empty() { Err(Problem::internal()) } else { Ok(reply) }
}

fn told(media_type: &'static str, reply: Vec<u8>) -> Response {
    let lifetime = message::lifetime_s(&reply);
    response(media_type, reply.into(), lifetime)
}

fn response(media_type: &'static str, body: Bytes, lifetime_s: Option<u32>) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    let lifetime = lifetime_s.map_or_else(|| HeaderValue::from_static("no-store"), cache_control);
    headers.insert(CACHE_CONTROL, lifetime);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Web players of any origin may read what became of it.
fn open(outcome: Result<Response, Problem>) -> Response {
    outcome.unwrap_or_else(|problem| for_web_players(problem.into_response()))
}
