//! A media server asks as a player would, and is told where to pull the stream from.
//!
//! An SRS edge with `cluster { mode remote; protocol flv; origin nearcast:8080; }` needs no more than that. It is known
//! as every media server is ([`crate::http::srs::caller`]), mostly by its address. Whoever is not known, or pulls from
//! nobody, is a player. Its first viewer's query comes with it, `nc_hop` too, which speaks of that viewer and ends here.

use std::net::IpAddr;

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, StatusCode, Uri};

use super::asked::{Asked, without_hops};
use super::{Path, header};
use crate::config::Redirect;
use crate::http::Front;
use crate::http::boundary;
use crate::http::media::{self, Host};
use crate::http::problem::{Problem, Slug};
use crate::http::srs::caller::{Caller, Prefix, Shown, Stranger};
use crate::resolver::{Pull, PullRefusal, Way};
use crate::schedule::node::Node;
use crate::telemetry::Pulled;

/// Somebody who may be a media server.
pub(super) struct Asker<'a> {
    pub(super) prefix: &'a Prefix,
    pub(super) ip: IpAddr,
    pub(super) by_tls: bool,
    pub(super) way: Way,
    pub(super) rule: &'a Redirect,
}

// === impl Asker ===

impl Asker<'_> {
    /// Where it pulls from; `None`: it is a player.
    pub(super) fn upstream(
        &self,
        front: &Front,
        path: Path<'_>,
        uri: &Uri,
        asked: &Asked<'_>,
    ) -> Result<Option<Response>, Problem> {
        let Some(caller) = self.caller(front)? else { return Ok(None) };
        let pull = Pull {
            node: caller.node.as_deref(),
            pool: caller.pool.as_deref(),
            domain: asked.domain.as_deref(),
            stream: &asked.stream,
            way: self.way,
        };
        let upstream = match front.resolver.upstream(&pull) {
            Ok(Some(upstream)) => upstream,
            Ok(None) => return Ok(None),
            Err(refusal) => {
                front.telemetry.pulled(counted(&refusal));
                return Err(refusal.into());
            }
        };
        let mut url = self.base(upstream.node())?;
        url.push_str(path.0);
        let query = without_hops(uri.query().unwrap_or_default());
        if !query.is_empty() {
            url.push('?');
            url.push_str(&query);
        }
        front.telemetry.pulled(Pulled::Told);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(LOCATION, header(url)?);
        // The next one may be told otherwise.
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(Some(response))
    }

    /// Who it is; `None`: nobody whom we know, and it does not claim to be.
    fn caller(&self, front: &Front) -> Result<Option<Caller>, Problem> {
        let callers = front.callers.load();
        let has_token = self.prefix.token.is_some();
        let Some(callers) = callers.as_ref() else {
            return if has_token { Err(boundary::no_such_route()) } else { Ok(None) };
        };
        let shown = Shown { prefix: self.prefix, node: None, identity: None, ip: self.ip };
        match callers.who(front.resolver.state(), shown) {
            Ok(caller) => Ok(Some(caller)),
            Err(Stranger::Unknown) => Ok(None),
            Err(stranger) => Err(Problem::new(Slug::BadToken, stranger.to_string())),
        }
    }

    /// Scheme, host and port of a node. Names are for certificates only: a server looks them up while its streams wait.
    fn base(&self, node: &Node) -> Result<String, Problem> {
        let secure = node.ports.https.filter(|_| self.by_tls).map(|port| ("https", port));
        let plain = || node.ports.http.map(|port| ("http", port));
        let (scheme, port) = secure.or_else(plain).ok_or_else(Problem::internal)?;
        let host = match &self.rule.host {
            Some(pattern) if scheme == "https" => Host::Name(pattern, &node.id),
            _ => Host::Address(media::address(node, self.ip).ok_or_else(Problem::internal)?),
        };
        let mut url = String::with_capacity(256);
        media::base(&mut url, scheme, host, port);
        Ok(url)
    }
}

fn counted(refusal: &PullRefusal) -> Pulled {
    match refusal {
        PullRefusal::Unknown { .. } => Pulled::Unknown,
        PullRefusal::Down { .. } => Pulled::Down,
        PullRefusal::NoNode { .. } => Pulled::NoNode,
    }
}

impl From<PullRefusal> for Problem {
    fn from(refusal: PullRefusal) -> Self {
        let words = refusal.to_string();
        match refusal {
            PullRefusal::Unknown { .. } | PullRefusal::Down { .. } => Self::new(Slug::NoStream, words),
            PullRefusal::NoNode { retry_after_s, .. } => {
                Self::new(Slug::NoNodeAvailable, words).retry_after(retry_after_s)
            }
        }
    }
}
