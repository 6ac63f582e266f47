//! What a player wants that asks for a stream itself: path, host and query.

use std::borrow::Cow;

use arrayvec::ArrayVec;
use http::header::HOST;
use http::{HeaderMap, Uri};

use crate::http::problem::{InvalidParam, MISSING, Problem, Slug};
use crate::http::query::{self, Params};
use crate::http::{boundary, resolve};
use crate::resolver::MOST_TRIED;

/// The parameter in which nodes are told that a player has been sent to. Ours alone: it is added here, and everything
/// else in a query is the media server's.
pub(in crate::http) const HOP: &str = "nc_hop";
/// Longest id of a node, bytes.
const LONGEST_ID: usize = 64;
/// What servers of streams call the vhost of who names none.
const NO_VHOST: &str = "__defaultVhost__";
/// Files and streams that players ask for.
const EXTENSIONS: [&str; 5] = ["flv", "m3u8", "mpd", "ts", "mp4"];

/// A question for a stream, checked.
#[derive(Debug, PartialEq)]
pub(in crate::http) struct Asked<'q> {
    /// Lower case, no final dot; `None`: neither the query nor the host names one.
    pub(in crate::http) domain: Option<Cow<'q, str>>,
    /// "app/name", decoded and without its extension.
    pub(in crate::http) stream: String,
    /// With a dot.
    pub(in crate::http) extension: &'q str,
    /// Nodes that the player has been sent to, in that order. Letters, digits, `.`, `_` and `-` only.
    pub(in crate::http) tried: ArrayVec<&'q str, MOST_TRIED>,
}

// === impl Asked ===

impl<'q> Asked<'q> {
    /// Reads path and query of `/{app}/{stream}`; `path` is what follows any prefix.
    pub(in crate::http) fn read(
        path: &'q str,
        uri: &'q Uri,
        headers: &'q HeaderMap,
    ) -> Result<Self, Problem> {
        let (name, extension) = split(path).ok_or_else(boundary::no_such_route)?;
        let mut params = Params::scan(uri.query(), &["domain", "vhost", "nc_hop"]);
        let tried = params.take(HOP).map(|_| hops(uri.query().unwrap_or_default()));
        let tried = tried.unwrap_or_else(|| Some(ArrayVec::new()));
        if tried.is_none() {
            params.fault(HOP, "must be 1 to 3 ids of nodes with commas between, as this service wrote it");
        }
        let said = named(&mut params);
        let stream = decoded(name);
        if let Err(reason) = &stream {
            params.fault("stream", *reason);
        }
        params.verdict()?;
        Ok(Self {
            domain: said.or_else(|| host(uri, headers)),
            stream: stream.unwrap_or_default(),
            extension,
            tried: tried.unwrap_or_default(),
        })
    }

    /// The domain, where there has to be one.
    pub(in crate::http) fn required_domain(&self) -> Result<&str, Problem> {
        self.domain.as_deref().ok_or_else(|| Problem::invalid(vec![InvalidParam::new("domain", MISSING)]))
    }

    /// The question as it is signed: the query that `/resolve` would be asked with, domain and stream in it.
    pub(in crate::http) fn signed(&self, query: Option<&str>) -> String {
        let mut signed = without_hops(query.unwrap_or_default());
        let has_domain = signed.split('&').any(|pair| pair.starts_with("domain="));
        let mut add = |name: &str, value: &str| {
            signed.push_str(if signed.is_empty() { "" } else { "&" });
            signed.push_str(name);
            signed.push('=');
            value.bytes().for_each(|byte| match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                true => signed.push(char::from(byte)),
                false => signed.push_str(&format!("%{byte:02X}")),
            });
        };
        if let Some(domain) = self.domain.as_deref().filter(|_| !has_domain) {
            add("domain", domain);
        }
        add("stream", &self.stream);
        signed
    }
}

/// A query without our parameter, all else as it was.
pub(in crate::http) fn without_hops(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !is_hop(pair));
    let mut rest = String::with_capacity(query.len());
    for (at, pair) in pairs.enumerate() {
        if at > 0 {
            rest.push('&');
        }
        rest.push_str(pair);
    }
    rest
}

fn is_hop(pair: &str) -> bool {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    query::decode(name).is_some_and(|name| name == HOP)
}

/// Whether a path is that of a stream: one slash, and an extension that players ask for.
pub(in crate::http) fn is_stream(path: &str) -> bool {
    split(path).is_some()
}

/// "/app/name" and ".extension" of a path that is ours; `None`: nobody's stream.
fn split(path: &str) -> Option<(&str, &str)> {
    let (name, _) = path.rsplit_once('.')?;
    let extension = &path[name.len()..];
    let (app, stream) = name.strip_prefix('/')?.split_once('/')?;
    let is_stream = !app.is_empty() && !stream.is_empty() && !stream.contains('/');
    (is_stream && EXTENSIONS.contains(&&extension[1..])).then_some((name, extension))
}

/// "app/name" of "/app/name" as it came.
fn decoded(name: &str) -> Result<String, &'static str> {
    let mut parts = name[1..].split('/').map(|part| {
        // A plus is itself in a path.
        query::decode(&part.replace('+', "%2B")).map(Cow::into_owned)
    });
    let (Some(Some(app)), Some(Some(stream))) = (parts.next(), parts.next()) else {
        return Err("is not valid percent-encoded UTF-8");
    };
    if app.contains('/') || stream.contains('/') || matches!(&*app, "." | "..") {
        return Err("must be /app/stream, without slashes or dots in their stead");
    }
    let whole = format!("{app}/{stream}");
    if whole.chars().any(char::is_control) {
        return Err("must not hold control characters");
    }
    if whole.chars().count() > resolve::LONGEST_STREAM {
        return Err("must have up to 512 characters");
    }
    Ok(whole)
}

/// The domain that the query names.
fn named<'q>(params: &mut Params<'q, 3>) -> Option<Cow<'q, str>> {
    let mut read = |name| {
        let value = params.take(name).filter(|value| name != "vhost" || value != NO_VHOST)?;
        query::domain(value).inspect_err(|reason| params.fault(name, *reason)).ok()
    };
    match (read("domain"), read("vhost")) {
        (Some(domain), Some(vhost)) if domain != vhost => {
            params.fault("vhost", "names another domain than domain=");
            None
        }
        (domain, vhost) => domain.or(vhost),
    }
}

/// The domain that was connected to, if it looks like one.
fn host<'q>(uri: &'q Uri, headers: &'q HeaderMap) -> Option<Cow<'q, str>> {
    let written = match uri.host() {
        Some(host) => host,
        None => {
            let host = headers.get(HOST)?.to_str().ok()?;
            match host.rsplit_once(':') {
                Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
                _ => host,
            }
        }
    };
    query::domain(Cow::Borrowed(written)).ok()
}

/// Where the player has been, out of the query as it came; `None`: nothing that we wrote.
fn hops(query: &str) -> Option<ArrayVec<&str, MOST_TRIED>> {
    let (_, value) = query.split('&').find(|pair| is_hop(pair))?.split_once('=')?;
    let is_id = |id: &str| {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(fine)
    };
    let mut tried = ArrayVec::new();
    for id in value.split(',') {
        tried.try_push(Some(id).filter(|id| is_id(id))?).ok()?;
    }
    Some(tried)
}

/// Where to come back from too many hops, s.
const RETRY_AFTER_S: u32 = 5;

/// A player that every node sends back.
pub(in crate::http) fn too_many_hops() -> Problem {
    let words = "three nodes have sent this player back here; see nc_hop for which";
    Problem::new(Slug::RedirectLoop, words).retry_after(RETRY_AFTER_S)
}

#[cfg(test)]
mod tests;
