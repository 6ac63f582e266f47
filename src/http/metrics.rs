//! `GET /metrics`: for Prometheus, in the format it asks for.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};

use super::Front;
use super::problem::Problem;
use crate::telemetry::{Exposition, Present};

/// All metrics. `OpenMetrics` for who accepts it by name, else the classic text that everything reads.
pub(super) async fn show(State(front): State<Arc<Front>>, request: Request) -> Result<Response, Problem> {
    let exposition = wanted(request.headers());
    let telemetry = Arc::clone(&front.telemetry);
    // A fleet of thousands makes megabytes of text: not on a thread that scrapes are timed on.
    let page = tokio::task::spawn_blocking(move || {
        let resolver = &front.resolver;
        let present = Present {
            nodes: resolver.nodes(),
            ready: resolver.readiness().ready,
            fleet: resolver.fleet(),
            databases: resolver.databases(),
            streams: resolver.state().streams().len(),
        };
        telemetry.page(exposition, present)
    });
    let page = page.await.map_err(|error| Problem::internal().because(error))?;
    let headers = [(CONTENT_TYPE, exposition.media_type()), (CACHE_CONTROL, "no-store"), (VARY, "Accept")];
    Ok((headers, page).into_response())
}

fn wanted(headers: &HeaderMap) -> Exposition {
    let accepts = |value: &http::HeaderValue| {
        value.to_str().is_ok_and(|value| value.contains("application/openmetrics-text"))
    };
    if headers.get_all(ACCEPT).iter().any(accepts) { Exposition::OpenMetrics } else { Exposition::Classic }
}
