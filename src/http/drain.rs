//! `POST /nodes/{id}/drain`, `POST /nodes/{id}/undrain` and `GET /nodes/{id}/drain-preview`.
//!
//! The only requests that change anything, so a page that an operator happens to have open must not be able to
//! make them: a body is JSON by its `Content-Type`, which a foreign page may not send unasked, and an `Origin`
//! that is not this very host is refused. Our own pages work without JavaScript and send a form, which a foreign
//! page may: a form has to say where it comes from, and is answered with the node's page.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Uri};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Front;
use super::dashboard::encoded;
use super::nodes::{node_id, unknown_node};
use super::problem::{InvalidParam, Problem, Slug};
use super::query::Params;
use crate::resolver::NodeView;

/// Longest body, bytes: a reason in which every character is escaped, and room.
const LONGEST_BODY: usize = 8 * 1024;
/// Longest reason, characters.
const LONGEST_REASON: usize = 200;
/// Longest drain with an end, s: 30 days.
const LONGEST_TTL_S: u32 = 2_592_000;
/// Most clients that are sent away in a minute.
const HIGHEST_RATE: u32 = 6_000;
/// Of a member that is not known, so many characters are repeated to the caller.
const LONGEST_ECHO: usize = 40;

/// What the body of a drain says.
#[derive(Debug, Default, PartialEq)]
struct Order {
    reason: Option<String>,
    ttl_s: Option<u32>,
    evict_per_minute: Option<u32>,
}

/// Takes a node out.
pub(super) async fn drain(
    State(front): State<Arc<Front>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    same_origin(request.uri(), request.headers())?;
    let id = node_id(id)?;
    if is_own_form(request.headers()) {
        let order = Order::of_form(&form(request).await?)?;
        order.give(&front, &id)?;
        return Ok(to_page(&id));
    }
    let order = Order::read(body(request).await?)?;
    Ok(fresh(order.give(&front, &id)?))
}

/// Puts a node back.
pub(super) async fn undrain(
    State(front): State<Arc<Front>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    same_origin(request.uri(), request.headers())?;
    let id = node_id(id)?;
    if is_own_form(request.headers()) {
        form(request).await?;
        front.resolver.undrain(&id).ok_or_else(unknown_node)?;
        return Ok(to_page(&id));
    }
    let mut faults = Vec::new();
    unknown_members(&body(request).await?, &mut faults, "this operation has none");
    verdict(faults)?;
    Ok(fresh(front.resolver.undrain(&id).ok_or_else(unknown_node)?))
}

/// What draining a node would do.
pub(super) async fn preview(
    State(front): State<Arc<Front>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = node_id(id)?;
    // Some ten thousand decisions: not on a thread that scrapes are timed on.
    let preview = tokio::task::spawn_blocking(move || front.resolver.drain_preview(&id));
    let preview = preview.await.map_err(|error| Problem::internal().because(error))?;
    Ok(fresh(preview.ok_or_else(unknown_node)?))
}

/// Back to the page that the form is on.
fn to_page(id: &str) -> Response {
    Redirect::to(&format!("/nodes/{}", encoded(id))).into_response()
}

/// Whether a page of ours sends a form: it says where it comes from, and that has been checked.
fn is_own_form(headers: &HeaderMap) -> bool {
    is_form(headers) && headers.contains_key(ORIGIN)
}

fn is_form(headers: &HeaderMap) -> bool {
    has_media_type(headers, "application/x-www-form-urlencoded")
}

/// The fields of a form that one of our own pages sent.
pub(super) async fn form(request: Request) -> Result<String, Problem> {
    if !request.headers().contains_key(ORIGIN) {
        return Err(Problem::new(
            Slug::CrossOrigin,
            "a form has to say where it comes from; see the Origin header",
        ));
    }
    if !is_form(request.headers()) {
        let must = "a form must be sent as application/x-www-form-urlencoded";
        return Err(Problem::new(Slug::UnsupportedMediaType, must));
    }
    let bytes = axum::body::to_bytes(request.into_body(), LONGEST_BODY).await.map_err(|_| too_long())?;
    String::from_utf8(bytes.into())
        .map_err(|_| Problem::invalid(vec![InvalidParam::new("body", "must be UTF-8")]))
}

fn too_long() -> Problem {
    Problem::invalid(vec![InvalidParam::new("body", format!("must have at most {LONGEST_BODY} bytes"))])
}

fn fresh(view: impl Serialize) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(view)).into_response()
}

/// Refuses a request that a page of another host makes. Programs send no `Origin`, browsers always do.
pub(super) fn same_origin(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let is_ours = |origin: &http::HeaderValue| {
        let origin = origin.to_str().ok()?;
        let (scheme, authority) = origin.split_once("://")?;
        let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
        (is_web && authority.eq_ignore_ascii_case(host?)).then_some(())
    };
    if headers.get_all(ORIGIN).iter().all(|origin| is_ours(origin).is_some()) {
        return Ok(());
    }
    Err(Problem::new(
        Slug::CrossOrigin,
        "the request comes from a page of another host; see the Origin header",
    ))
}

/// The members of the body; none of an empty one.
pub(super) async fn body(request: Request) -> Result<Map<String, Value>, Problem> {
    let is_json = has_media_type(request.headers(), "application/json");
    let bytes = axum::body::to_bytes(request.into_body(), LONGEST_BODY).await.map_err(|_| too_long())?;
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    if !is_json {
        return Err(Problem::new(Slug::UnsupportedMediaType, "a body must be sent as application/json"));
    }
    serde_json::from_slice(&bytes)
        .map_err(|_| Problem::invalid(vec![InvalidParam::new("body", "must be a JSON object")]))
}

pub(super) fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

pub(super) fn unknown_members(members: &Map<String, Value>, faults: &mut Vec<InvalidParam>, known: &str) {
    faults.extend(members.keys().map(|name| {
        let name: String = name.chars().take(LONGEST_ECHO).collect();
        InvalidParam::new("body", format!("must not have the member {name:?}: {known}"))
    }));
}

pub(super) fn verdict(faults: Vec<InvalidParam>) -> Result<(), Problem> {
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}

// === impl Order ===

impl Order {
    /// Reads an order and names everything that is wrong with it. A member that is `null` is absent.
    fn read(mut members: Map<String, Value>) -> Result<Self, Problem> {
        let mut faults = Vec::new();
        let mut take = |name: &'static str| members.remove(name).filter(|value| !value.is_null());
        let reason = take("reason").and_then(|value| reason(&value, &mut faults));
        let ttl_s = take("ttl_s").and_then(|value| whole("ttl_s", LONGEST_TTL_S, &value, &mut faults));
        let rate = take("evict_per_minute");
        let rate = rate.and_then(|value| whole("evict_per_minute", HIGHEST_RATE, &value, &mut faults));
        unknown_members(&members, &mut faults, "there are reason, ttl_s and evict_per_minute");
        verdict(faults)?;
        Ok(Self { reason, ttl_s, evict_per_minute: rate })
    }

    fn give(&self, front: &Front, id: &str) -> Result<NodeView, Problem> {
        let resolver = &front.resolver;
        let node = resolver.drain_and_evict(id, self.reason.as_deref(), self.ttl_s, self.evict_per_minute);
        node.ok_or_else(unknown_node)
    }

    /// The same from a form, in which an empty field is absent.
    fn of_form(fields: &str) -> Result<Self, Problem> {
        let mut fields = Params::scan(Some(fields), &["reason", "ttl_s", "evict_per_minute"]);
        let mut members = Map::new();
        if let Some(reason) = fields.take("reason").filter(|reason| !reason.is_empty()) {
            members.insert("reason".to_owned(), reason.into_owned().into());
        }
        for name in ["ttl_s", "evict_per_minute"] {
            if let Some(number) = fields.take(name).filter(|number| !number.is_empty()) {
                let number = number.parse::<u64>().map_or_else(|_| number.into_owned().into(), Value::from);
                members.insert(name.to_owned(), number);
            }
        }
        fields.verdict()?;
        Self::read(members)
    }
}

/// A whole number from 1. 600.0 is one, too (JSON Schema 2020-12 §4.2.3).
fn whole(name: &'static str, most: u32, value: &Value, faults: &mut Vec<InvalidParam>) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
    let whole =
        |number: f64| (number.fract() == 0.0 && (0.0..1e9).contains(&number)).then_some(number as u32);
    let number = value.as_f64().and_then(whole).filter(|number| (1..=most).contains(number));
    if number.is_none() {
        faults.push(InvalidParam::new(name, format!("must be a whole number, 1 to {most}")));
    }
    number
}

/// A reason that can be shown and logged on one line; an empty one is none.
fn reason(value: &Value, faults: &mut Vec<InvalidParam>) -> Option<String> {
    let fault: Cow<'static, str> = match value.as_str() {
        None => "must be a string".into(),
        Some(text) if text.chars().count() > LONGEST_REASON => {
            format!("must have at most {LONGEST_REASON} characters").into()
        }
        Some(text) if text.chars().any(char::is_control) => "must not hold control characters".into(),
        Some(text) => return Some(text.to_owned()).filter(|text| !text.is_empty()),
    };
    faults.push(InvalidParam::new("reason", fault));
    None
}

#[cfg(test)]
mod tests;
