//! What every routed request passes, in and out: its name, the length limit, the last word on errors, the panic net.
//!
//! Only the routers have it. The fast lane does the same things inline ([`super::lane`]).

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Response, StatusCode, Uri};
use http_body_util::Full;
use tower_http::catch_panic::CatchPanicLayer;

use super::Front;
use super::client_ip::Peer;
use super::dialect;
use super::failure::Origin;
use super::play;
use super::problem::{Problem, Slug, Told};
use super::request_id::{RequestId, X_REQUEST_ID};

/// Longest path and query, bytes. Above it no parameter can be legitimate, and reading it would be a gift.
const LONGEST_URI: usize = 8 * 1024;

/// Puts the boundary around a router.
pub(super) fn guard(router: Router<Arc<Front>>, front: &Arc<Front>) -> Router<Arc<Front>> {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(front), pass))
}

/// Refuses a URI that is too long.
pub(super) fn check_length(uri: &Uri) -> Result<(), Problem> {
    let length = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if length > LONGEST_URI {
        return Err(Problem::new(
            Slug::UriTooLong,
            format!("path and query have {length} bytes; the limit is {LONGEST_URI}"),
        ));
    }
    Ok(())
}

/// A problem leaves: counted, logged where it is a failure, in words.
pub(super) fn refuse(front: &Front, origin: &Origin, problem: &Problem) -> Response<Full<Bytes>> {
    front.telemetry.problem(problem.slug().as_str());
    origin.log(front, problem);
    problem.respond(&origin.id)
}

/// Nothing is served under this path.
pub(super) async fn no_route() -> Problem {
    no_such_route()
}

/// The same for a surface that has some paths of a form and not others.
pub(super) fn no_such_route() -> Problem {
    Problem::new(Slug::NotFound, "no surface of this listener has this path; /openapi.yaml lists them")
}

/// The path is served, but not by this method. axum adds `Allow`.
pub(super) async fn wrong_method(
    State(front): State<Arc<Front>>,
    route: Option<MatchedPath>,
    uri: Uri,
) -> Problem {
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let is_no_stream = play::ROUTES.contains(&route) && !play::is_stream(&uri);
    if is_no_stream || dialect::is_off(&front, route) {
        return no_such_route();
    }
    Problem::new(Slug::MethodNotAllowed, "this path does not answer this method; see the Allow header")
}

async fn pass(State(front): State<Arc<Front>>, request: Request, next: Next) -> axum::response::Response {
    let peer = request.extensions().get::<Peer>().copied();
    let origin = Origin::of(&front, peer, request.method(), request.uri(), request.headers());
    // Behind the lane a name is said if one was brought; this is the same surface by another way.
    let is_silent = request.uri().path() == super::resolve::PATH
        && request.method() != Method::OPTIONS
        && peer.is_none_or(|peer| RequestId::brought(peer, request.headers()).is_none());
    let mut response = match check_length(request.uri()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if let Some(Told(slug)) = response.extensions_mut().remove::<Told>() {
        let problem = Problem::new(slug, "told in words of its own");
        front.telemetry.problem(slug.as_str());
        origin.log(&front, &problem);
        response.headers_mut().insert(&X_REQUEST_ID, origin.id.header());
        return response;
    }
    match response.extensions_mut().remove::<Problem>().or_else(|| in_our_words(response.status())) {
        Some(problem) => worded(&response, refuse(&front, &origin, &problem)),
        None if is_silent && response.status().is_success() => response,
        None => {
            response.headers_mut().insert(&X_REQUEST_ID, origin.id.header());
            response
        }
    }
}

/// The words of a problem, and what its surface or a framework had to add: `Allow`, a challenge, an origin.
fn worded(theirs: &axum::response::Response, ours: Response<Full<Bytes>>) -> axum::response::Response {
    let mut ours = ours.map(Body::new);
    for (name, value) in theirs.headers() {
        let is_of_the_body = name == CONTENT_LENGTH || name == CONTENT_TYPE;
        if !is_of_the_body && !ours.headers().contains_key(name) {
            ours.headers_mut().insert(name, value.clone());
        }
    }
    ours
}

/// An error that a framework worded (a rejected extractor, say) becomes a problem of the same status.
fn in_our_words(status: StatusCode) -> Option<Problem> {
    let is_error = status.is_client_error() || status.is_server_error();
    let reason = status.canonical_reason().unwrap_or("error");
    is_error.then(|| Problem::new(Slug::of_status(status), reason).because("worded by a framework"))
}

/// A panic in a handler: the message goes to the log, not to the client.
#[expect(clippy::needless_pass_by_value, reason = "tower-http hands it over by value")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> axum::response::Response {
    defect(&*panic).into_response()
}

/// What a panic is to a client: a defect of ours.
pub(super) fn defect(panic: &(dyn Any + Send)) -> Problem {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Problem::internal().because(format_args!("panic: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::MEDIA_TYPE;
    use http::HeaderValue;
    use http::header::ALLOW;

    #[test]
    fn a_framework_rejection_leaves_as_a_problem() {
        let mut theirs = (StatusCode::METHOD_NOT_ALLOWED, "Expected GET").into_response();
        theirs.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        let problem = in_our_words(theirs.status()).unwrap();
        let ours = worded(&theirs, problem.respond(&RequestId::new()));
        assert_eq!(ours.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(ours.headers()[CONTENT_TYPE], MEDIA_TYPE);
        assert_eq!(ours.headers()[ALLOW], "GET");
        assert!(in_our_words(StatusCode::NO_CONTENT).is_none());
    }

    #[test]
    fn a_length_at_the_limit_passes_and_one_byte_more_does_not() {
        let uri = |bytes: usize| format!("/{}", "a".repeat(bytes - 1)).parse::<Uri>().unwrap();
        assert!(check_length(&uri(LONGEST_URI)).is_ok());
        assert_eq!(check_length(&uri(LONGEST_URI + 1)).unwrap_err().slug(), Slug::UriTooLong);
    }
}
