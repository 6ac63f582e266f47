//! `GET /nodes` and `GET /nodes/{id}`: the fleet as the scheduler sees it. JSON; a page where `Accept` prefers HTML.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, VARY};
use serde::Serialize;

use super::problem::{InvalidParam, Problem, Slug};
use super::query::Params;
use super::{Front, dashboard};
use crate::resolver::NodeView;
use crate::schedule::health::NodeState;

/// Longest filter value, characters: as long as a name can be.
const LONGEST_FILTER: usize = 64;

/// What `state=` must be.
const STATES: &str = "must be starting, healthy, overloaded, stale, down, draining or unmeasured";

/// The list and its counts.
#[derive(Serialize)]
struct Listing {
    summary: Summary,
    nodes: Vec<NodeView>,
}

/// Counts over the nodes listed.
#[derive(Serialize)]
struct Summary {
    total: usize,
    states: BTreeMap<String, usize>,
}

/// Nodes, all or those that pass `pool`, `pop`, `state` (each exact) and `q` (part of id, pool or PoP).
pub(super) async fn list(State(front): State<Arc<Front>>, request: Request) -> Result<Response, Problem> {
    if dashboard::wants_html(request.headers()) {
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        let page = tokio::task::spawn_blocking(move || dashboard::fleet::show(&front, &uri, &headers));
        return page.await.map_err(|_| Problem::internal())?;
    }
    let mut params = Params::scan(request.uri().query(), &["pool", "pop", "state", "q"]);
    let pool = params.text("pool", 1..=LONGEST_FILTER);
    let pop = params.text("pop", 1..=LONGEST_FILTER);
    let state = params.read("state", STATES, |value| {
        NodeState::ALL.iter().map(|state| state.as_str()).find(|state| *state == value)
    });
    // An empty search box finds everything.
    let q = params.text("q", 0..=LONGEST_FILTER).map(|q| q.to_lowercase()).unwrap_or_default();
    params.verdict()?;
    let passes = {
        let [pool, pop] = [pool, pop].map(|filter| filter.map(Cow::into_owned));
        move |node: &NodeView| {
            pool.as_deref().is_none_or(|pool| *node.pool == *pool)
                && pop.as_deref().is_none_or(|pop| *node.pop == *pop)
                && state.is_none_or(|state| node.state == state)
                && [&node.id, &node.pool, &node.pop].iter().any(|text| text.to_lowercase().contains(&q))
        }
    };
    // A fleet of thousands makes megabytes of JSON: not on a thread that scrapes are timed on.
    let listing = tokio::task::spawn_blocking(move || {
        let mut nodes = front.resolver.nodes();
        nodes.retain(passes);
        Json(Listing { summary: Summary::of(&nodes), nodes }).into_response()
    });
    let listing = listing.await.map_err(|error| Problem::internal().because(error))?;
    Ok(([(CACHE_CONTROL, "no-store"), (VARY, "Accept")], listing).into_response())
}

/// One node.
pub(super) async fn show(
    State(front): State<Arc<Front>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let id = node_id(id)?;
    if dashboard::wants_html(request.headers()) {
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        // It holds what a drain would do: some ten thousand decisions.
        let page = tokio::task::spawn_blocking(move || dashboard::node::show(&front, &id, &uri, &headers));
        return page.await.map_err(|_| Problem::internal())?;
    }
    let node = front.resolver.node(&id).ok_or_else(unknown_node)?;
    Ok(([(CACHE_CONTROL, "no-store"), (VARY, "Accept")], Json(node)).into_response())
}

/// The id in a path.
pub(super) fn node_id(id: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let Path(id) = id
        .map_err(|_| Problem::invalid(vec![InvalidParam::new("id", "is not valid percent-encoded UTF-8")]))?;
    Ok(id)
}

/// No node has the id in the path.
pub(super) fn unknown_node() -> Problem {
    Problem::new(Slug::UnknownNode, "no node has this id; /nodes lists all")
}

// === impl Summary ===

impl Summary {
    fn of(nodes: &[NodeView]) -> Self {
        let mut states = BTreeMap::new();
        for node in nodes {
            *states.entry(node.state.to_string()).or_default() += 1;
        }
        Self { total: nodes.len(), states }
    }
}
