//! Who calls: a media server is known by what its path says, by the address it calls from, or by its identity.
//!
//! *Whom we believe*: whoever shows a token of `[[callers]]`, which speaks for the nodes of one pool; without one only
//! the address of a node or of its exporters, and `streams.networks`. What a request says of itself (identity, `node=`)
//! only chooses among those for which the caller may speak.
//!
//! *Tokens* are kept and compared as MACs under a key of this process, so that neither time nor memory tells how near a
//! guess was.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use ipnet::IpNet;
use ring::hmac;
use ring::rand::SystemRandom;

use crate::config::Streams;
use crate::http::Front;
use crate::schedule::node::NodeIndex;
use crate::state::State;
use crate::state::hosts::Whose;
use crate::state::streams::Identity;

/// Shortest token, characters.
const SHORTEST: usize = 16;
/// Longest token, characters.
const LONGEST: usize = 256;

/// Whom we believe, and what they may ask. There is one while `[streams]` is configured.
#[derive(Debug)]
pub struct Callers {
    /// How to answer.
    pub settings: Streams,
    key: hmac::Key,
    /// The pool of each token, by its MAC.
    pools: HashMap<Mac, Box<str>>,
    networks: Box<[IpNet]>,
}

type Mac = [u8; 32];

/// A token of a file.
#[derive(Clone)]
pub struct CallerToken(Box<str>);

/// Why a file has no token. It is not repeated: it is nearly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerTokenError {
    /// Somebody could guess it.
    #[error("has fewer than {SHORTEST} characters")]
    Short,
    /// It would fill the path.
    #[error("has more than {LONGEST} characters")]
    Long,
    /// A path could not carry it as it is.
    #[error("has something in it that is none of A-Z a-z 0-9 . _ ~ -; it is one line without spaces")]
    Unprintable,
}

/// Why callers could not be told apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallersError {
    /// Which of the two it speaks for would be chance.
    #[error("callers.token_file: pools {other} and {pool} have the same token")]
    Shared {
        /// One of them.
        pool: Box<str>,
        /// The other.
        other: Box<str>,
    },
    /// The system gives no random numbers.
    #[error("no random numbers for callers' tokens")]
    NoChance,
}

/// What stands before a surface in the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// After `/t/`.
    pub token: Option<Box<str>>,
    /// After the token.
    pub node: Option<Box<str>>,
}

/// What a caller shows of itself.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// What its path says.
    pub(in crate::http) prefix: &'a Prefix,
    /// `node=` of its query.
    pub node: Option<&'a str>,
    /// The process that it says it is.
    pub identity: Option<&'a Identity>,
    /// Where it calls from.
    pub ip: IpAddr,
}

/// Somebody who is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The node of the fleet that it is, where that is known.
    pub node: Option<Box<str>>,
    /// What it calls itself; there may be no such node (yet).
    pub named: Option<Box<str>>,
    /// The pool that its token speaks for; `None`: it came without one.
    pub pool: Option<Box<str>>,
}

/// Why somebody is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// The token is none of ours.
    #[error("the token in the path is not one of [[callers]]")]
    BadToken,
    /// The token does not speak for that node.
    #[error("the token in the path does not speak for that node")]
    OtherPool,
    /// No token, and an address that nobody knows.
    #[error("nothing speaks for this media server: neither a token in the path nor its address")]
    Unknown,
}

// === impl CallerToken ===

impl CallerToken {
    /// The token of a file; white space around it does not count.
    ///
    /// # Errors
    /// It is too short, too long, or nothing that a path carries as it is.
    pub fn new(file: &[u8]) -> Result<Self, CallerTokenError> {
        let token = file.trim_ascii();
        let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"._~-".contains(byte);
        match token.len() {
            ..SHORTEST => Err(CallerTokenError::Short),
            length if length > LONGEST => Err(CallerTokenError::Long),
            _ if !token.iter().all(fine) => Err(CallerTokenError::Unprintable),
            _ => Ok(Self(token.iter().copied().map(char::from).collect())),
        }
    }
}

// === impl Callers ===

impl Callers {
    /// Whoever shows one of these tokens speaks for the pool beside it.
    ///
    /// # Errors
    /// Two pools have the same token, or there are no random numbers to be had.
    pub fn new(
        settings: Streams,
        tokens: impl IntoIterator<Item = (CallerToken, Box<str>)>,
    ) -> Result<Self, CallersError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.map_err(|_| CallersError::NoChance)?;
        let mut pools: HashMap<Mac, Box<str>> = HashMap::new();
        for (token, pool) in tokens {
            match pools.insert(mac(&key, &token.0), pool.clone()) {
                Some(other) if other != pool => return Err(CallersError::Shared { pool, other }),
                _ => {}
            }
        }
        Ok(Self { networks: settings.networks.clone().into(), settings, key, pools })
    }

    /// Who it is.
    ///
    /// # Errors
    /// Nobody whom we believe.
    pub fn who(&self, state: &State, shown: Shown<'_>) -> Result<Caller, Stranger> {
        let live = state.live();
        let pool = match &shown.prefix.token {
            Some(token) => Some(self.pool(token).ok_or(Stranger::BadToken)?),
            None => None,
        };
        let whose = live.whose(shown.ip);
        if pool.is_none() && whose.is_none() && !self.trusts(shown.ip) {
            return Err(Stranger::Unknown);
        }
        let speaks_for = |index: &NodeIndex| pool.is_none_or(|pool| *live.fleet.node(*index).pool == *pool);
        let named = shown.prefix.node.as_deref().or(shown.node).filter(|_| pool.is_some());
        let node = match named {
            Some(named) => match live.fleet.by_id(named) {
                Some(index) if !speaks_for(&index) => return Err(Stranger::OtherPool),
                found => found,
            },
            // Copied machines share a server id, but no address: that comes first.
            None => match whose {
                Some(Whose::One(index)) if speaks_for(&index) => Some(index),
                _ => {
                    let known = shown.identity.and_then(|identity| state.streams().node_of(identity));
                    known.and_then(|node| live.fleet.by_id(&node)).filter(speaks_for)
                }
            },
        };
        Ok(Caller {
            node: node.map(|index| live.fleet.node(index).id.clone()),
            named: named.map(Into::into),
            pool: pool.map(Into::into),
        })
    }

    /// Whether a request is a media server's, so that the limits of players are not for it: one of them asks for all of
    /// its clients.
    pub(in crate::http) fn is_believed(&self, state: &State, path: &str, ip: IpAddr) -> bool {
        let token = path.strip_prefix("/t/").and_then(|rest| rest.split('/').next());
        match token {
            Some(token) => self.pool(token).is_some(),
            None => self.trusts(ip) || state.live().whose(ip).is_some(),
        }
    }

    fn pool(&self, token: &str) -> Option<&str> {
        self.pools.get(&mac(&self.key, token)).map(|pool| &**pool)
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&ip))
    }
}

fn mac(key: &hmac::Key, token: &str) -> Mac {
    let mut mac = [0; 32];
    mac.copy_from_slice(hmac::sign(key, token.as_bytes()).as_ref());
    mac
}

// === impl Prefix ===

impl<S: Send + Sync> FromRequestParts<S> for Prefix {
    type Rejection = std::convert::Infallible;

    /// Of the route's own parameters, so that a node may be called "api". A path that is no text names nobody we know.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let mut prefix = Self::default();
        match RawPathParams::from_request_parts(parts, state).await {
            Ok(params) => {
                for (name, value) in &params {
                    match name {
                        "token" => prefix.token = Some(value.into()),
                        "node" => prefix.node = Some(value.into()),
                        _ => {}
                    }
                }
            }
            Err(_) => prefix.token = Some("".into()),
        }
        Ok(prefix)
    }
}

// === impl Front ===

impl Front {
    /// From now on media servers are answered thus; `None`: not at all.
    pub fn answer_callers(&self, callers: Option<Callers>) {
        self.callers.store(callers.map(Arc::new));
    }

    /// Whether a request is that of a media server which is believed.
    pub(in crate::http) fn is_media_server(&self, path: &str, ip: IpAddr) -> bool {
        let callers = self.callers.load();
        callers.as_ref().is_some_and(|callers| callers.is_believed(self.resolver.state(), path, ip))
    }
}

#[cfg(test)]
mod tests;
