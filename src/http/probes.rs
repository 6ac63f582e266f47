//! `/livez` and `/readyz`, for supervisors and load balancers.
//!
//! Live: the process answers. Ready: sending players here makes sense. Not ready is a problem with
//! `Retry-After`; the player side does not tell strangers more than that, the ops side says why.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::Front;
use super::problem::{Problem, Slug};
use super::query::Params;

/// When to ask again, s: shorter than a scrape interval, longer than a restart loop's patience.
const ASK_AGAIN_S: u32 = 2;

/// Why a process that is about to end is not ready.
const STOPS: &str = "this process is stopping";

/// This process answers.
pub(super) async fn live() -> Response {
    ok()
}

/// Whether players may be sent here.
pub(super) async fn ready(State(front): State<Arc<Front>>) -> Result<Response, Problem> {
    if front.stops() {
        Err(not_ready(STOPS.into()))
    } else if front.resolver.readiness().ready {
        Ok(ok())
    } else {
        Err(not_ready("not ready to schedule yet".into()))
    }
}

/// The same with reasons; `?verbose` adds the whole of it.
pub(super) async fn ready_in_detail(
    State(front): State<Arc<Front>>,
    request: Request,
) -> Result<Response, Problem> {
    let mut params = Params::scan(request.uri().query(), &["verbose"]);
    let verbose = params.switch("verbose");
    params.verdict()?;
    let mut readiness = front.resolver.readiness();
    if front.stops() {
        readiness.ready = false;
        readiness.reasons.insert(0, STOPS.into());
    }
    match (readiness.ready, verbose) {
        (true, false) => Ok(ok()),
        (true, true) => Ok(([(CACHE_CONTROL, "no-store")], Json(readiness)).into_response()),
        (false, verbose) => {
            let problem = not_ready(readiness.reasons.join("; "));
            let full = verbose.then(|| serde_json::to_value(&readiness).ok()).flatten();
            Err(match full {
                Some(readiness) => problem.with_readiness(readiness),
                None => problem,
            })
        }
    }
}

fn ok() -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

fn not_ready(reasons: String) -> Problem {
    Problem::new(Slug::NotReady, reasons).retry_after(ASK_AGAIN_S)
}
