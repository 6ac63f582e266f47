//! `POST|GET {prefix}/api/v1/clusters`: an origin that lacks a stream asks which one has it, as SRS asks SRS.
//!
//! The caller writes its query as it is, without encoding (`srs_app_http_hooks.cpp`), so values are taken as they stand
//! first. Not found is `"origin": null`: it tries its next coworker, and the edge comes back in three seconds.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::answer::{self, Refused};
use super::call::Dialect;
use super::caller::{Prefix, Shown};
use super::no_surface;
use crate::http::Front;
use crate::http::client_ip::Peer;
use crate::http::query::decode;
use crate::resolver::Upstream;
use crate::state::streams::StreamName;

/// Which origin has a stream.
pub(in crate::http) async fn show(
    State(front): State<Arc<Front>>,
    peer: Peer,
    prefix: Prefix,
    request: Request,
) -> Response {
    let Some(callers) = front.callers.load_full() else { return no_surface().into_response() };
    let ip = front.client(peer, request.headers());
    let shown = Shown { prefix: &prefix, node: None, identity: None, ip };
    let refuse = |refused: Refused, why: &str| {
        front.telemetry.coworker(refused.as_str());
        refused.respond(Dialect::Srs, why)
    };
    let caller = match callers.who(front.resolver.state(), shown) {
        Ok(caller) => caller,
        Err(stranger) => return refuse(Refused::Stranger, &stranger.to_string()),
    };
    let query = Query::of(request.uri().query().unwrap_or_default());
    if let Err(error) = StreamName::new(query.vhost, query.app, query.stream) {
        return refuse(Refused::BadCall, &error.to_string());
    }
    let find = |vhost: &str, app: &str, stream: &str| {
        front.resolver.origin(vhost, &format!("{app}/{stream}"), caller.node.as_deref())
    };
    let found = find(query.vhost, query.app, query.stream).or_else(|| {
        // Somebody who does encode.
        let parts = [query.vhost, query.app, query.stream];
        if !parts.iter().any(|part| part.contains('%')) {
            return None;
        }
        let [vhost, app, stream] = parts.map(decode);
        find(&vhost?, &app?, &stream?)
    });
    front.telemetry.coworker(if found.is_some() { "found" } else { "unknown" });
    answer::srs(&query.answer(found.as_ref()))
}

/// The query as it stands.
#[derive(Clone, Copy, Debug, Default)]
struct Query<'q> {
    vhost: &'q str,
    ip: &'q str,
    app: &'q str,
    stream: &'q str,
}

// === impl Query ===

impl<'q> Query<'q> {
    fn of(query: &'q str) -> Self {
        let mut found = Self::default();
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("vhost", value)) => found.vhost = value,
                Some(("ip", value)) => found.ip = value,
                Some(("app", value)) => found.app = value,
                Some(("stream", value)) => found.stream = value,
                _ => {}
            }
        }
        found
    }

    fn answer(self, found: Option<&Upstream>) -> Value {
        let Self { vhost, ip, app, stream } = self;
        let origin = found.map(|found| {
            let api = found.api.map(|port| format!("{}:{port}", found.host()));
            let routers: Vec<&String> = api.iter().collect();
            json!({ "ip": found.host(), "port": found.rtmp, "vhost": vhost, "api": api, "routers": routers })
        });
        let query = json!({ "ip": ip, "vhost": vhost, "app": app, "stream": stream });
        json!({ "code": 0, "data": { "query": query, "origin": origin } })
    }
}
