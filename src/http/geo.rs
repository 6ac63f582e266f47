//! `GET /geo`: where an address is, and who says so.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;

use super::Front;
use super::client_ip::Peer;
use super::problem::Problem;
use super::query::Params;

/// Everything known of `ip`; of the asker without it.
pub(super) async fn show(
    State(front): State<Arc<Front>>,
    peer: Peer,
    request: Request,
) -> Result<Response, Problem> {
    let mut params = Params::scan(request.uri().query(), &["ip"]);
    let ip = params.address("ip");
    params.verdict()?;
    let ip = ip.unwrap_or_else(|| front.client(peer, request.headers()));
    Ok(([(CACHE_CONTROL, "no-store")], Json(front.resolver.geo(ip))).into_response())
}
