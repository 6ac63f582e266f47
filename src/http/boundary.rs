//! What every routed request passes, in and out: the length limit, the last word on errors, the panic net.
//!
//! Only the routers have it. The fast lane does the same three things inline ([`super::lane`]).

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Uri};
use tower_http::catch_panic::CatchPanicLayer;

use super::Front;
use super::problem::{MEDIA_TYPE, Problem, Reported, Slug};

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

/// Counts a problem that is about to leave.
pub(super) fn count<B>(front: &Front, response: &http::Response<B>) {
    if let Some(Reported(slug)) = response.extensions().get::<Reported>() {
        front.telemetry.problem(slug.as_str());
    }
}

/// Nothing is served under this path.
pub(super) async fn no_route() -> Problem {
    Problem::new(Slug::NotFound, "no surface of this listener has this path; /openapi.yaml lists them")
}

/// The path is served, but not by this method. axum adds `Allow`.
pub(super) async fn wrong_method() -> Problem {
    Problem::new(Slug::MethodNotAllowed, "this path does not answer this method; see the Allow header")
}

async fn pass(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let response = match check_length(request.uri()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let response = in_our_words(response);
    count(&front, &response);
    response
}

/// An error that a framework worded (a rejected extractor, say) becomes a problem of the same status.
fn in_our_words(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || is_problem(response.headers()) {
        return response;
    }
    tracing::warn!(%status, "a framework rejection reached the boundary");
    let reason = status.canonical_reason().unwrap_or("error");
    let mut ours = Problem::new(Slug::of_status(status), reason).into_response();
    if let Some(allow) = response.headers().get(http::header::ALLOW) {
        ours.headers_mut().insert(http::header::ALLOW, allow.clone());
    }
    ours
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value == MEDIA_TYPE)
}

/// A panic in a handler: the message goes to the log, not to the client.
#[expect(clippy::needless_pass_by_value, reason = "tower-http hands it over by value")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    report(&*panic).into_response()
}

/// Logs a panic and turns it into a problem.
pub(super) fn report(panic: &(dyn Any + Send)) -> Problem {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic = message, "a handler panicked");
    Problem::internal()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn a_framework_rejection_leaves_as_a_problem() {
        let theirs = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Expected application/json").into_response();
        let ours = in_our_words(theirs);
        assert_eq!(ours.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(ours.headers()[CONTENT_TYPE], MEDIA_TYPE);
    }

    #[test]
    fn a_length_at_the_limit_passes_and_one_byte_more_does_not() {
        let uri = |bytes: usize| format!("/{}", "a".repeat(bytes - 1)).parse::<Uri>().unwrap();
        assert!(check_length(&uri(LONGEST_URI)).is_ok());
        assert_eq!(check_length(&uri(LONGEST_URI + 1)).unwrap_err().slug(), Slug::UriTooLong);
    }
}
