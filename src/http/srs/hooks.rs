//! `POST {prefix}/hooks/{hook}`: what happens to a media server's clients, and whether they may go on.
//!
//! *What it decides*: nothing: the resolver does. Publishers are told to try elsewhere where their stream lives on another
//! origin or their origin is full; viewers where their edge is full, if so configured. A hook cannot redirect a client of
//! SRS; refused, it asks for an address again. nginx-rtmp can be told where to pull a stream from.
//!
//! *Who is believed and is no node that we know* goes on: it is not for a gap in our configuration to stop a broadcast.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::json;

use super::answer::{self, Refused};
use super::call::{Call, Dialect, Hook};
use super::caller::{Caller, Prefix, Shown};
use super::no_surface;
use crate::config::Streams;
use crate::http::Front;
use crate::http::client_ip::Peer;
use crate::http::query::Params;
use crate::resolver::Admission;
use crate::schedule::node::Role;
use crate::state::streams::Publication;

/// Longest body, bytes: a client's own query is in it.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// What became of a call: its answer, and the word that it is counted by.
type Told = (Response, &'static str);

/// Takes a hook.
pub(in crate::http) async fn take(
    State(front): State<Arc<Front>>,
    peer: Peer,
    prefix: Prefix,
    request: Request,
) -> Response {
    let Some(callers) = front.callers.load_full() else { return no_surface().into_response() };
    let dialect = dialect(&request);
    let word = request.uri().path().rsplit('/').next().unwrap_or_default();
    let Some(hook) = Hook::of_path(word) else {
        front.telemetry.hook("other", Refused::NoHook.as_str());
        return Refused::NoHook.respond(dialect, "there is no such hook");
    };
    let (parts, body) = request.into_parts();
    let ip = front.client(peer, &parts.headers);
    let asked = Asked { front: &front, dialect, hook, ip };
    let told = match to_bytes(body, BODY_BYTES_MAX).await {
        Err(_) => asked.refuse(Refused::TooLarge, "the body is broken, or over 65536 bytes"),
        Ok(body) => match Call::read(dialect, hook, &body) {
            Err(error) => asked.refuse(Refused::BadCall, &error.to_string()),
            Ok(call) => {
                let named = Params::scan(parts.uri.query(), &["node"]).take("node");
                let shown =
                    Shown { prefix: &prefix, node: named.as_deref(), identity: Some(&call.identity), ip };
                match callers.who(front.resolver.state(), shown) {
                    Err(stranger) => asked.refuse(Refused::Stranger, &stranger.to_string()),
                    Ok(caller) => Hooked { asked, settings: &callers.settings, caller }.answer(&call),
                }
            }
        },
    };
    front.telemetry.hook(hook.as_str(), told.1);
    told.0
}

/// A call, whoever makes it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    front: &'a Front,
    dialect: Dialect,
    hook: Hook,
    ip: IpAddr,
}

/// A call of somebody who is believed.
struct Hooked<'a> {
    asked: Asked<'a>,
    settings: &'a Streams,
    caller: Caller,
}

// === impl Asked ===

impl Asked<'_> {
    /// A refusal, and its line in the log. `why` never repeats what a stranger said but for the name of a hook.
    fn refuse(&self, refused: Refused, why: &str) -> Told {
        if let Some(held_back) = self.front.hook_lid.lift(self.front.resolver.now()) {
            let (hook, outcome, client) = (self.hook.as_str(), refused.as_str(), self.front.shown(self.ip));
            tracing::warn!(hook, outcome, client, held_back, "hook refused: {why}");
        }
        (refused.respond(self.dialect, why), refused.as_str())
    }

    fn go_on(&self) -> Response {
        match (self.hook, self.dialect) {
            (Hook::Forward, Dialect::Srs) => answer::srs(&json!({ "code": 0, "data": { "urls": [] } })),
            _ => answer::go_on(),
        }
    }
}

// === impl Hooked ===

impl Hooked<'_> {
    fn answer(&self, call: &Call) -> Told {
        let Some(node) = self.caller.node.as_deref() else {
            return (self.asked.go_on(), "unknown_node");
        };
        match (self.asked.hook, &call.name) {
            (Hook::Publish, Some(name)) => {
                let publication = Publication { node, identity: &call.identity, name, client: &call.client };
                self.publish(publication, call)
            }
            (Hook::Unpublish, Some(name)) => {
                let publication = Publication { node, identity: &call.identity, name, client: &call.client };
                self.asked.front.resolver.unpublish(publication);
                (self.asked.go_on(), "allowed")
            }
            (Hook::Play, Some(name)) => self.play(node, name.vhost(), name.name()),
            (Hook::Forward, Some(name)) => {
                let count = self.settings.relays;
                let relays =
                    self.asked.front.resolver.relays(node, (name.vhost(), name.name()), call.ip, count);
                let urls: Vec<String> =
                    relays.iter().map(|relay| relay.url(name.vhost(), name.name())).collect();
                let outcome = if urls.is_empty() { "allowed" } else { "redirected" };
                (answer::srs(&json!({ "code": 0, "data": { "urls": urls } })), outcome)
            }
            _ => (self.asked.go_on(), "allowed"),
        }
    }

    fn publish(&self, publication: Publication<'_>, call: &Call) -> Told {
        match self.asked.front.resolver.publish(publication, call.ip, self.settings) {
            Admission::Admitted => (self.asked.go_on(), "allowed"),
            Admission::Unlisted => (self.asked.go_on(), "unlisted"),
            Admission::Elsewhere(other) => {
                self.asked.refuse(Refused::SecondOrigin, &format!("the stream lives on {other}"))
            }
            Admission::Overloaded => self.overloaded(publication.node),
        }
    }

    fn play(&self, node: &str, vhost: &str, name: &str) -> Told {
        if self.asked.front.resolver.play(node, self.settings) == Admission::Overloaded {
            return self.overloaded(node);
        }
        let pulls = self.asked.dialect == Dialect::NginxRtmp
            && self.asked.front.resolver.role(node) != Some(Role::Origin);
        let origin = pulls.then(|| self.asked.front.resolver.origin(vhost, name, Some(node))).flatten();
        match origin {
            Some(origin) => (answer::pull_from(&origin.url(vhost, name)), "redirected"),
            None => (self.asked.go_on(), "allowed"),
        }
    }

    fn overloaded(&self, node: &str) -> Told {
        let why = format!("{node} is over its limits or leaving, and another node has room: ask again");
        self.asked.refuse(Refused::Overloaded, &why)
    }
}

fn dialect(request: &Request) -> Dialect {
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = media_type.is_some_and(|media_type| {
        let bare = media_type.split(';').next().unwrap_or_default().trim();
        bare.eq_ignore_ascii_case(FORM)
    });
    if is_form { Dialect::NginxRtmp } else { Dialect::Srs }
}
