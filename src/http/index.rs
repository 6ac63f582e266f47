//! `GET /` on the player side: what somebody finds who opens the address in a browser.

use axum::Json;
use axum::response::IntoResponse;
use serde_json::json;

/// Name, version, and the question to ask.
pub(super) async fn show() -> impl IntoResponse {
    Json(json!({
        "service": "nearcast",
        "version": env!("CARGO_PKG_VERSION"),
        "resolve": "/resolve?domain={domain}",
    }))
}
