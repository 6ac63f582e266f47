//! `GET /nodes/events`: the fleet as it changes, as server-sent events, and `GET /events`: what happened, as JSON.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use super::Front;
use super::dashboard::feed::Listening;
use super::dashboard::sentences;
use super::dashboard::wire::Worded;
use super::dashboard::words::Lang;
use super::problem::{Problem, Slug};
use super::query::Params;
use crate::state::timeline::Kind;

/// What a page names that comes back.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The first words to a page: which version speaks (a page of another one loads itself again), and how soon to
/// come back.
const HELLO: &str =
    concat!("retry: 2000\nevent: hello\ndata: {\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}\n\n");
/// Events in one answer at most.
const MOST: usize = 1_000;

#[derive(Serialize)]
struct Happened<'a> {
    events: Vec<Worded<'a>>,
}

/// The stream. `Last-Event-ID` or `since=` names the last frame that the page has.
pub(super) async fn stream(State(front): State<Arc<Front>>, request: Request) -> Result<Response, Problem> {
    let since = Params::scan(request.uri().query(), &["since"]).text("since", 1..=64);
    let last = request.headers().get(LAST_EVENT_ID).and_then(|last| last.to_str().ok());
    let listening = front.feed.listen(last.or(since.as_deref()));
    let listening = listening.ok_or_else(|| Problem::new(Slug::NotReady, "the service is stopping"))?;
    let Listening { mut missed, coming } = listening;
    missed.push_front(Bytes::from_static(HELLO.as_bytes()));
    let frames = stream::unfold((missed, coming), |(mut missed, mut coming)| async move {
        if let Some(frame) = missed.pop_front() {
            return Some((Ok::<_, Infallible>(frame), (missed, coming)));
        }
        let frame = match coming.recv().await {
            Ok((_, frame)) => frame,
            // It could not keep up; it begins anew.
            Err(RecvError::Lagged(_)) => Bytes::from_static(b"event: reset\ndata: {}\n\n"),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(frame), (missed, coming)))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(frames)).into_response())
}

/// What happened, newest first, all of it or of one `kind` or `node`.
pub(super) async fn list(State(front): State<Arc<Front>>, request: Request) -> Result<Response, Problem> {
    let mut params = Params::scan(request.uri().query(), &["kind", "node", "limit"]);
    let must = "must be overload, scrape, operator, answers or finding";
    let kind = params.read("kind", must, |value| Kind::ALL.into_iter().find(|kind| kind.as_str() == value));
    let node = params.text("node", 1..=64);
    let limit = params.read("limit", "must be 1 to 1000", |value| {
        value.parse().ok().filter(|limit| (1..=MOST).contains(limit))
    });
    let node = node.map(std::borrow::Cow::into_owned);
    params.verdict()?;
    let events = front.resolver.timeline().latest(limit.unwrap_or(100), |event| {
        kind.is_none_or(|kind| event.kind == kind)
            && node.as_deref().is_none_or(|node| event.node.as_deref() == Some(node))
    });
    let (words, now) = (Lang::En.words(), front.resolver.unix_ms());
    let worded = |event| Worded { event, text: sentences::plain(words, event, now) };
    let happened = Happened { events: events.iter().map(worded).collect() };
    Ok(([(CACHE_CONTROL, "no-store")], Json(happened)).into_response())
}
