//! `GET /streams`: which origin has which stream.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::header::CACHE_CONTROL;
use serde::Serialize;

use super::Front;
use super::problem::Problem;
use super::query::Params;
use crate::clock::Clock;
use crate::state::streams::{Filter, Listed, Origin, Source};

/// Streams of one page, unless another number is asked for, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;

/// A page.
#[derive(Serialize)]
struct Page {
    /// Streams that are wanted, on all pages.
    total: usize,
    streams: Vec<StreamView>,
}

#[derive(Serialize)]
struct StreamView {
    vhost: String,
    name: String,
    origins: Vec<OriginView>,
}

#[derive(Serialize)]
struct OriginView {
    node: String,
    server: String,
    service: String,
    pid: String,
    source: Source,
    since_unix_ms: u64,
}

/// One page of the table, by vhost and name.
pub(super) async fn list(
    State(front): State<Arc<Front>>,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    let mut params = Params::scan(request.uri().query(), &["vhost", "node", "name", "start", "count"]);
    let vhost = params.text("vhost", 0..=253);
    let node = params.text("node", 1..=64);
    let name = params.text("name", 1..=512);
    let start = params.read("start", "must be a whole number", |text| text.parse().ok());
    let in_range = |count: &usize| (1..=LARGEST_PAGE).contains(count);
    let count = params.read("count", "must be 1 to 1000", |text| text.parse().ok().filter(in_range));
    params.verdict()?;
    let filter = Filter { vhost: vhost.as_deref(), node: node.as_deref(), name: name.as_deref() };
    let state = front.resolver.state();
    let (listed, total) = state.streams().list(filter, start.unwrap_or(0), count.unwrap_or(PAGE));
    let streams = listed.iter().map(|listed| StreamView::of(listed, state.clock())).collect();
    Ok(([(CACHE_CONTROL, "no-store")], Json(Page { total, streams })))
}

// === impl StreamView ===

impl StreamView {
    fn of(listed: &Listed, clock: &Clock) -> Self {
        let origins = listed.origins.iter().map(|origin| OriginView::of(origin, clock));
        Self {
            vhost: listed.name.vhost().to_owned(),
            name: listed.name.name().to_owned(),
            origins: origins.collect(),
        }
    }
}

// === impl OriginView ===

impl OriginView {
    fn of(origin: &Origin, clock: &Clock) -> Self {
        Self {
            node: origin.node.to_string(),
            server: origin.identity.server.to_string(),
            service: origin.identity.service.to_string(),
            pid: origin.identity.pid.to_string(),
            source: origin.source,
            since_unix_ms: clock.unix_ms_of(origin.since),
        }
    }
}
