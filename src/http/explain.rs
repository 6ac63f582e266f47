//! `GET /explain`: why a client is sent where it is sent. Books nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, VARY};

use super::client_ip::Peer;
use super::problem::Problem;
use super::resolve::Asked;
use super::{Front, dashboard};

/// The decision for the question of `/resolve`, with every candidate. An operator may ask for any `ip`.
pub(super) async fn show(
    State(front): State<Arc<Front>>,
    peer: Peer,
    request: Request,
) -> Result<Response, Problem> {
    if dashboard::wants_html(request.headers()) {
        let client = front.client(peer, request.headers());
        return dashboard::explain::show(&front, client, request.uri(), request.headers());
    }
    let asked = Asked::read(request.uri().query(), true)?;
    let client = asked.ip.unwrap_or_else(|| front.client(peer, request.headers()));
    let explanation = front.resolver.explain(&asked.question(client))?;
    Ok(([(CACHE_CONTROL, "no-store"), (VARY, "Accept")], Json(explanation)).into_response())
}
