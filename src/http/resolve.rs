//! `GET /resolve`: where a player shall connect.
//!
//! [`answer`] is the product function: the fast lane calls it directly, [`show`] is the same behind the router.
//! It neither waits nor locks nor allocates per node.

mod asked;
mod reply;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::Full;

use self::asked::Format;
pub(super) use self::asked::{Asked, LONGEST_STREAM, USUAL_COUNT};
use self::reply::Reply;
use super::Front;
use super::boundary;
use super::client_ip::Peer;
use super::failure::Origin;
use super::problem::Problem;
use super::request_id::{RequestId, X_REQUEST_ID};
use super::sign::X_NEARCAST_SIGNATURE;
use crate::resolver::Refusal;

/// The path of the fast lane.
pub(super) const PATH: &str = "/resolve";

pub(super) static X_NEARCAST_DEGRADED: HeaderName = HeaderName::from_static("x-nearcast-degraded");

/// Behind the router: the same answer as by the fast lane, byte for byte.
pub(super) async fn show(
    State(front): State<Arc<Front>>,
    peer: Peer,
    request: Request,
) -> axum::response::Response {
    match caught(&front, peer, request.uri(), request.headers()) {
        Ok(response) => response.map(Body::new),
        Err(problem) => for_web_players(problem.into_response()),
    }
}

/// A browser asks whether it may ask: yes, from anywhere.
pub(super) async fn preflight() -> impl IntoResponse {
    let headers = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers)
}

/// The product: a question from the wire becomes an answer on the wire. Always a complete response.
///
/// A request without a name of its proxy's is given one only when it fails: names are for finding failures, and this
/// is asked a hundred thousand times a second.
pub(super) fn answer(front: &Front, peer: Peer, uri: &Uri, headers: &HeaderMap) -> Response<Full<Bytes>> {
    match caught(front, peer, uri, headers) {
        Ok(mut response) => {
            if let Some(id) = RequestId::brought(peer, headers) {
                response.headers_mut().insert(&X_REQUEST_ID, id.header());
            }
            response
        }
        Err(problem) => {
            let origin = Origin::of(front, Some(peer), &Method::GET, uri, headers);
            for_web_players(boundary::refuse(front, &origin, &problem))
        }
    }
}

/// A panic inside costs this one answer and no other on the connection.
fn caught(
    front: &Front,
    peer: Peer,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response<Full<Bytes>>, Problem> {
    let outcome = catch_unwind(AssertUnwindSafe(|| resolve(front, peer, uri, headers)));
    outcome.unwrap_or_else(|panic| Err(boundary::defect(&*panic)))
}

/// Web players are to read why, when to come back, and what to tell us.
pub(super) fn for_web_players<B>(mut problem: Response<B>) -> Response<B> {
    let headers = problem.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After, X-Request-Id"));
    problem
}

fn resolve(
    front: &Front,
    peer: Peer,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response<Full<Bytes>>, Problem> {
    let began = front.telemetry.answers.stopwatch();
    boundary::check_length(uri)?;
    let asked = Asked::read(uri.query(), peer.trusted)?;
    let signers = front.signers.load();
    let signer = signers.of(&asked.domain);
    if let Some(signer) = signer {
        signer.check(uri.query(), front.resolver.unix_s())?;
    }
    let client = asked.ip.unwrap_or_else(|| front.client(peer, headers));
    let answer = match front.resolver.resolve(&asked.question(client)) {
        Ok(answer) => answer,
        Err(refusal) => {
            front.telemetry.answers.refused(refusal_word(&refusal));
            return Err(refusal.into());
        }
    };
    let token = if asked.detail { front.resolver.report_token(client) } else { None };
    let reply = Reply { asked: &asked, client, answer: &answer, token };
    // The resolver does not answer without an address; should it, silence would be the one wrong answer.
    if !reply.has_address() {
        front.telemetry.answers.refused(refusal_word(&Refusal::NoAddress));
        return Err(Refusal::NoAddress.into());
    }
    let (body, media_type) = match asked.format {
        Format::Json => (reply.json(), "application/json"),
        Format::Text => (reply.text(), "text/plain; charset=utf-8"),
    };
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, cache_control(answer.ttl_s));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if answer.degraded {
        headers.insert(&X_NEARCAST_DEGRADED, HeaderValue::from_static(answer.reason.as_str()));
    }
    if let Some(signer) = signer {
        let signature = signer.answer(uri.query(), &body, front.resolver.unix_s());
        headers.insert(&X_NEARCAST_SIGNATURE, signature);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("X-Nearcast-Signature"));
    }
    front.telemetry.answers.answered(answer.domain, &asked.domain, answer.reason, answer.located.precision);
    front.telemetry.answers.took(began);
    let mut response = Response::new(Full::new(body));
    *response.headers_mut() = headers;
    Ok(response)
}

/// The label of a refusal in metrics.
pub(super) fn refusal_word(refusal: &Refusal) -> crate::telemetry::Refused {
    use crate::telemetry::Refused;
    match refusal {
        Refusal::UnknownDomain => Refused::UnknownDomain,
        Refusal::AllOverloaded { .. } => Refused::AllOverloaded,
        Refusal::NoAddress => Refused::NoAddress,
        Refusal::NoPort => Refused::NoPort,
        Refusal::NoOrigins => Refused::NoOrigins,
        Refusal::NoNode { .. } => Refused::NoNode,
    }
}

/// `private`, because the answer depends on who asks. The usual lifetimes are made once and for all: a header
/// value over static bytes is copied without counting references across threads.
pub(super) fn cache_control(ttl_s: u32) -> HeaderValue {
    static USUAL: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
        (0..=300)
            .map(|ttl| HeaderValue::from_static(String::leak(format!("private, max-age={ttl}"))))
            .collect()
    });
    let usual = usize::try_from(ttl_s).ok().and_then(|ttl| USUAL.get(ttl));
    usual.cloned().unwrap_or_else(|| {
        HeaderValue::try_from(format!("private, max-age={ttl_s}"))
            .unwrap_or_else(|_| HeaderValue::from_static("no-store"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lifetime_has_its_header() {
        for ttl in [0, 5, 60, 300, 301, u32::MAX] {
            assert_eq!(cache_control(ttl), format!("private, max-age={ttl}").as_str());
        }
    }
}
