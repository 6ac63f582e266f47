//! `GET /`: what somebody finds who opens the address in a browser.

use axum::Json;
use axum::response::{IntoResponse, Redirect};
use serde_json::json;

/// Name, version, and the question to ask.
pub(super) async fn show() -> impl IntoResponse {
    Json(json!({
        "service": "nearcast",
        "version": env!("CARGO_PKG_VERSION"),
        "resolve": "/resolve?domain={domain}",
    }))
}

/// On the ops side that is the fleet.
pub(super) async fn to_nodes() -> Redirect {
    Redirect::to("/nodes")
}
