//! `GET /board`: what the pages' module begins with, and the files that pages load.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, SET_COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, StatusCode};

use super::Front;
use super::dashboard::words::{LANG_COOKIE, Lang};
use super::dashboard::{assets, local};
use super::problem::{Problem, Slug};
use super::query::Params;

/// Longest path to go on to, characters.
const LONGEST_NEXT: usize = 2_048;

/// All nodes in numbers. Its form follows the module's needs and is no promise to anybody else.
pub(super) async fn show(State(front): State<Arc<Front>>) -> Result<Response, Problem> {
    // A fleet of thousands makes a megabyte: not on a thread that scrapes are timed on.
    let whole = tokio::task::spawn_blocking(move || front.feed.whole(&front)).await;
    let whole = whole.map_err(|_| Problem::internal())?;
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    Ok((headers, whole).into_response())
}

/// A file that pages load. It may be kept, but is asked for again, so that all are of one version.
pub(super) async fn asset(
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = name.ok().and_then(|Path(name)| assets::find(&name));
    let asset = found.ok_or_else(|| Problem::new(Slug::NotFound, "no page loads a file of this name"))?;
    let headers_out = [
        (CONTENT_TYPE, asset.media_type),
        (CACHE_CONTROL, "no-cache"),
        (ETAG, &*asset.tag),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    if known.flat_map(|tags| tags.split(',')).any(|tag| tag.trim() == asset.tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers_out).into_response());
    }
    Ok((headers_out, asset.body.clone()).into_response())
}

/// Remembers a language and goes back to where it was chosen.
pub(super) async fn language(request: Request) -> Result<Response, Problem> {
    let mut params = Params::scan(request.uri().query(), &["to", "next"]);
    let lang = params.read("to", "must be en or zh", Lang::of_code);
    let next = params.text("next", 1..=LONGEST_NEXT);
    let next = local(next.as_deref().unwrap_or_default()).to_owned();
    params.verdict()?;
    let code = if lang == Some(Lang::Zh) { "zh" } else { "en" };
    let cookie = format!("{LANG_COOKIE}={code}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly");
    Ok(([(SET_COOKIE, cookie)], Redirect::to(&next)).into_response())
}
