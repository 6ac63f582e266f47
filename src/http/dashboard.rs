//! The operators' pages: what a browser is shown where a program is given JSON.
//!
//! Pages come complete from the server and work without JavaScript; the module in `assets/` then keeps them moving
//! from one stream that all pages share ([`feed`]). Everything is in the binary and nothing is asked of anybody else:
//! the [`POLICY`] would not let it. Text of others (ids, reasons, parameters) is escaped by askama wherever it stands.

pub(super) mod assets;
pub(super) mod bars;
pub(super) mod explain;
pub(super) mod feed;
pub(super) mod fleet;
mod map;
pub(super) mod node;
mod numbers;
pub(super) mod sentences;
mod shell;
mod spark;
mod table;
pub(super) mod wire;
pub(super) mod words;

#[cfg(test)]
mod tests;

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, StatusCode};

use super::problem::{Problem, Slug, Told};

pub(super) use self::shell::{Shell, cookie, encoded, local};

/// What a page may load: nothing but what this process serves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Whether the asker prefers HTML to JSON. Only who names HTML does: `*/*` is what programs say.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    let (mut html, mut json): (f32, Option<f32>) = (0.0, None);
    let mut any = 0.0;
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    for item in lines.flat_map(|line| line.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight =
            parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0);
        match &*range {
            "text/html" => html = weight,
            "application/json" | "application/*" => json = Some(weight),
            "*/*" => any = weight,
            _ => {}
        }
    }
    html > 0.0 && html >= json.unwrap_or(any)
}

/// A page on its way out.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Result<Response, Problem> {
    let html = template.render().map_err(|error| {
        tracing::error!(%error, "a page cannot be written");
        Problem::internal()
    })?;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        // Forms have to say where they come from, see `drain`.
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (VARY, "Accept, Accept-Language, Cookie"),
    ];
    Ok((status, headers, html).into_response())
}

/// A page that tells of a failure: it keeps its words, and counts as the problem that it tells of.
pub(super) fn failed_page(slug: Slug, template: &impl Template) -> Result<Response, Problem> {
    let mut response = page(slug.status(), template)?;
    response.extensions_mut().insert(Told(slug));
    Ok(response)
}
