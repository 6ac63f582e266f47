//! `GET /openapi.yaml`: the contract itself, as it was when this was built.

use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

/// The contract.
pub(super) async fn show() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/yaml")], include_str!("../../openapi.yaml"))
}
