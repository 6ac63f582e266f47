//! What a front wants of a node besides an address.

use arrayvec::ArrayVec;

use super::{MOST_FAILED, Question};
use crate::schedule::booking::status;
use crate::schedule::fleet::{Domain, PoolIndex, PopIndex};
use crate::schedule::node::NodeIndex;
use crate::schedule::scene::Ask;
use crate::state::Live;

/// Most nodes that a question can have been sent to and away from again.
pub const MOST_TRIED: usize = 3;

/// What a front wants of nodes; nothing by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want<'a> {
    /// What the client is about to do.
    pub role: Role,
    /// How it will connect.
    pub way: Way,
    /// Ids of nodes that have sent it back; those after the first [`MOST_TRIED`] are ignored.
    pub tried: &'a [&'a str],
}

/// What a client is about to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Watch: the domain's pool serves it.
    #[default]
    Play,
    /// Publish: the domain's origins take it.
    Publish,
}

/// How a client will connect: a node that has no such port is no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// That is its own business.
    #[default]
    Any,
    /// By HTTP.
    Http,
    /// By HTTPS.
    Https,
    /// By HTTPS where there is such a port, else by HTTP.
    HttpsFirst,
    /// By RTMP.
    Rtmp,
}

/// Whom a question does not want.
#[derive(Debug, Default)]
pub(super) struct Unwanted {
    /// A PoP shares fate: where a viewer has failed at one node, all of it is passed over.
    pub(super) pops: ArrayVec<PopIndex, MOST_FAILED>,
    /// Single nodes.
    pub(super) nodes: ArrayVec<NodeIndex, { MOST_FAILED + MOST_TRIED }>,
}

// === impl Role ===

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Play, Self::Publish];

    /// The word in questions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Play => "play",
            Self::Publish => "publish",
        }
    }

    /// The pool of a domain that serves it; `None`: it has none.
    pub(super) fn pool(self, domain: &Domain) -> Option<PoolIndex> {
        match self {
            Self::Play => Some(domain.pool),
            Self::Publish => domain.origins,
        }
    }
}

// === impl Way ===

impl Way {
    /// The bits of [`status::REACH`] of which a node needs one; 0: none.
    pub(super) fn bits(self) -> u32 {
        match self {
            Self::Any => 0,
            Self::Http => status::HAS_HTTP,
            Self::Https => status::HAS_HTTPS,
            Self::HttpsFirst => status::HAS_HTTPS | status::HAS_HTTP,
            Self::Rtmp => status::HAS_RTMP,
        }
    }
}

// === impl Unwanted ===

impl Unwanted {
    /// Those of a question. Origins mostly stand in one place, so a publisher that failed at one may take the next.
    pub(super) fn of(live: &Live, question: &Question<'_>) -> Self {
        let failed = question.failed.iter().take(MOST_FAILED);
        let failed = failed.filter_map(|ip| live.fleet.at_address(*ip));
        let tried = question.want.tried.iter().take(MOST_TRIED).filter_map(|id| live.fleet.by_id(id));
        match question.want.role {
            Role::Play => {
                Self { pops: failed.map(|node| live.fleet.pop_of(node)).collect(), nodes: tried.collect() }
            }
            Role::Publish => Self { pops: ArrayVec::new(), nodes: failed.chain(tried).collect() },
        }
    }
}

/// Whether any node of the asked pool has such a port.
pub(super) fn has_port(live: &Live, ask: &Ask<'_>) -> bool {
    ask.ways == 0 || live.fleet.pool(ask.pool).nodes().any(|node| live.ledger.line(node).is(ask.ways))
}
