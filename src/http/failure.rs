//! One line in the log for a request that failed: enough to find it again, nothing that must not be kept.
//!
//! The client is told as its network unless `server.log_client_addresses` says otherwise; of the query only values
//! that are nobody's secret and nobody's address are repeated. A defect of ours is an error, a player sent away a
//! warning, a refusal that the client brought upon itself for debugging only.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

use http::{HeaderMap, Method, Uri};
use tracing::Level;

use super::Front;
use super::client_ip::Peer;
use super::problem::{Problem, Slug};
use super::request_id::RequestId;
use crate::telemetry::mask;

/// Parameters whose values may be repeated. What is not listed may hold an address, a token or a viewer's taste.
const HARMLESS: [&str; 8] = ["domain", "n", "type", "format", "detail", "bitrate", "why", "verbose"];
/// Longest target in a line, characters.
const LONGEST_TARGET: usize = 200;

/// What is known of a request once it is gone.
pub(super) struct Origin {
    pub(super) id: RequestId,
    method: Method,
    uri: Uri,
    client: Option<IpAddr>,
}

// === impl Origin ===

impl Origin {
    /// Of a request; without a peer nobody is trusted.
    pub(super) fn of(
        front: &Front,
        peer: Option<Peer>,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Self {
        Self {
            id: RequestId::of(peer, headers),
            method: method.clone(),
            uri: uri.clone(),
            client: peer.map(|peer| front.client(peer, headers)),
        }
    }

    /// Writes the line.
    pub(super) fn log(&self, front: &Front, problem: &Problem) {
        let slug = problem.slug();
        let is_ours = slug == Slug::Internal;
        // Not being ready is what `/readyz` is there to say.
        let is_failure = slug.status().is_server_error() && slug != Slug::NotReady;
        if !is_failure && !tracing::enabled!(Level::DEBUG) {
            return;
        }
        let held_back = match is_failure {
            true => match front.lids[slug as usize].lift(front.resolver.now()) {
                Some(held_back) => held_back,
                None => return,
            },
            false => 0,
        };
        let id = &self.id;
        let client = self.client.map_or_else(|| "unknown".into(), |ip| front.shown(ip));
        let (method, path) = (self.method.as_str(), &*target(&self.uri));
        let (status, code) = (slug.status().as_u16(), slug.as_str());
        let reason = &*mask::addresses(problem.reason());
        if is_ours {
            tracing::error!(%id, method, path, %client, status, code, reason, held_back, "request failed");
        } else if is_failure {
            tracing::warn!(%id, method, path, %client, status, code, reason, held_back, "request failed");
        } else {
            tracing::debug!(%id, method, path, %client, status, code, reason, "request refused");
        }
    }
}

/// A path without the token of a media server, which cannot send one in any other way: whatever follows a `t`.
fn without_token(path: &str) -> Cow<'_, str> {
    let is_mark = |segment: &str| segment.eq_ignore_ascii_case("t") || segment.eq_ignore_ascii_case("%74");
    if !path.split('/').any(is_mark) {
        return Cow::Borrowed(path);
    }
    let mut shown = Vec::new();
    for segment in path.split('/') {
        // An empty one keeps the mark in force: "//t//token".
        let after_mark =
            shown.iter().rev().find(|shown: &&&str| !shown.is_empty()).is_some_and(|mark| is_mark(mark));
        shown.push(if after_mark && !segment.is_empty() { "…" } else { segment });
    }
    Cow::Owned(shown.join("/"))
}

/// Path and query without what must not be kept.
fn target(uri: &Uri) -> String {
    let mut target = mask::addresses(&without_token(uri.path())).into_owned();
    for (at, pair) in uri.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        target.push(if at == 0 { '?' } else { '&' });
        // A name may be anybody's text too, an address for one.
        let known = HARMLESS.contains(&name);
        let _ = match known {
            true => write!(target, "{name}={}", mask::addresses(value)),
            false => write!(target, "{}=…", mask::addresses(name)),
        };
        if target.len() > LONGEST_TARGET {
            break;
        }
    }
    if let Some((cut, _)) = target.char_indices().nth(LONGEST_TARGET) {
        target.truncate(cut);
        target.push('…');
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, shown: &str) {
        assert_eq!(target(&uri.parse().unwrap()), shown);
    }

    #[test]
    fn a_target_is_told_without_addresses_and_secrets() {
        check("/resolve", "/resolve");
        check("/resolve?domain=live.example.com&n=3", "/resolve?domain=live.example.com&n=3");
        check(
            "/resolve?domain=live.example.com&ip=198.51.100.77&stream=live/secret&token=abc&failed=203.0.113.9",
            "/resolve?domain=live.example.com&ip=…&stream=…&token=…&failed=…",
        );
        check("/resolve?domain=198.51.100.77", "/resolve?domain=198.51.100.0/24");
        check("/resolve?198.51.100.77", "/resolve?198.51.100.0/24=…");
        check("/nodes/198.51.100.77/drain", "/nodes/198.51.100.0/24/drain");
        check("/t/0123456789abcdef/hooks/on_play", "/t/…/hooks/on_play");
        check("/t/0123456789abcdef/sh-1/hook", "/t/…/sh-1/hook");
        check("//t//0123456789abcdef/api/v1/clusters?ip=10.0.0.1", "//t//…/api/v1/clusters?ip=…");
        check("/hooks/T/0123456789abcdef", "/hooks/T/…");
        check("/resolve?d%6Fmain=a&ip%3d=198.51.100.77", "/resolve?d%6Fmain=…&ip%3d=…");
    }

    #[test]
    fn a_long_target_is_cut() {
        let shown = target(&format!("/{}", "a".repeat(9_000)).parse().unwrap());
        assert_eq!(shown.chars().count(), LONGEST_TARGET + 1);
        let shown = target(&format!("/?{}", "a&".repeat(4_000)).parse().unwrap());
        assert!(shown.len() < 2 * LONGEST_TARGET, "{shown}");
    }
}
