//! `GET` and `POST /login`, `POST /logout`: a session for browsers, which carry no bearer token.
//!
//! The token is typed once and compared; what the browser keeps is the end of the session and a MAC over it, made with
//! a key that the token gives. Another token in force ends all sessions. The cookie goes with no request that
//! another site begins (`SameSite=Strict`), and no script can read it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, StatusCode, Uri};

use super::Front;
use super::access::{SESSION_COOKIE, SESSION_S};
use super::dashboard::{Shell, cookie, failed_page, local, page};
use super::drain::{form, same_origin};
use super::problem::{Problem, Slug};
use super::query::Params;

/// Longest path to go on to, characters.
const LONGEST_NEXT: usize = 2_048;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    s: Shell,
    w: &'static super::dashboard::words::Words,
    next: String,
    is_wrong: bool,
}

#[derive(Template)]
#[template(path = "onward.html")]
struct OnwardPage {
    s: Shell,
    w: &'static super::dashboard::words::Words,
    here: String,
}

/// The form.
pub(super) async fn show(State(front): State<Arc<Front>>, request: Request) -> Result<Response, Problem> {
    let mut params = Params::scan(request.uri().query(), &["next"]);
    let next = params.text("next", 1..=LONGEST_NEXT).map(std::borrow::Cow::into_owned).unwrap_or_default();
    page(StatusCode::OK, &login(&front, request.uri(), request.headers(), &next, false))
}

/// Begins a session, or shows the form again.
pub(super) async fn begin(State(front): State<Arc<Front>>, request: Request) -> Result<Response, Problem> {
    same_origin(request.uri(), request.headers())?;
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let fields = form(request).await?;
    let mut fields = Params::scan(Some(&fields), &["token", "next"]);
    let next = fields.text("next", 0..=LONGEST_NEXT).map(std::borrow::Cow::into_owned).unwrap_or_default();
    let token = fields.take("token").unwrap_or_default().into_owned();
    let guard = front.ops_token.load();
    let Some(in_force) = &*guard else { return Ok(Redirect::to(local(&next)).into_response()) };
    if !in_force.is(token.trim().as_bytes()) {
        tracing::warn!("a login with a token that is not in force");
        return failed_page(Slug::Unauthorized, &login(&front, &uri, &headers, &next, true));
    }
    let value = in_force.session(front.resolver.unix_ms() / 1_000);
    let cookie = format!("{SESSION_COOKIE}={value}; Path=/; Max-Age={SESSION_S}; HttpOnly; SameSite=Strict");
    let headers = [(SET_COOKIE, cookie), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((headers, Redirect::to(local(&next))).into_response())
}

/// Ends the session of this browser.
pub(super) async fn end(request: Request) -> Result<Response, Problem> {
    same_origin(request.uri(), request.headers())?;
    let cookie = format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}

/// What a browser without a session is shown. One that follows a link from elsewhere may have one and not have said so
/// (`SameSite=Strict`): it is sent to the same page once more, by ourselves.
pub(super) fn wanted(front: &Front, request: &Request) -> Result<Response, Problem> {
    let (uri, headers) = (request.uri(), request.headers());
    let here = uri.path_and_query().map_or("/nodes", http::uri::PathAndQuery::as_str);
    let from = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if from == Some("cross-site") && cookie(headers, SESSION_COOKIE).is_none() {
        let s = Shell::new("login", "", front.resolver.unix_ms(), uri, headers).plain();
        return failed_page(
            Slug::Unauthorized,
            &OnwardPage { w: s.words(), s, here: local(here).to_owned() },
        );
    }
    failed_page(Slug::Unauthorized, &login(front, uri, headers, here, false))
}

fn login(front: &Front, uri: &Uri, headers: &HeaderMap, next: &str, is_wrong: bool) -> LoginPage {
    let s = Shell::new("login", "", front.resolver.unix_ms(), uri, headers).plain();
    let w = s.words();
    LoginPage { s: s.titled(w.t("login")), w, next: local(next).to_owned(), is_wrong }
}
