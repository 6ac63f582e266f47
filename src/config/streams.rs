//! What media servers may ask of us, and who speaks for them.

use std::path::PathBuf;

use ipnet::IpNet;

use super::Template;

/// `[streams]`: the surfaces that media servers call. Without it none of them exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Peers that are believed without a token, beside the addresses of nodes and of their exporters; default none.
    pub networks: Vec<IpNet>,
    /// A publisher comes with a stream that lives on another origin; default refuse.
    pub second_origin: Verdict,
    /// A publisher comes to an origin over its threshold while another one has room; default refuse.
    pub overloaded_origin: Verdict,
    /// A viewer comes to an edge over its threshold while another one has room; default allow.
    pub overloaded_edge: Verdict,
    /// To how many other origins of its pool a published stream is forwarded, 0…8; default 0.
    pub relays: usize,
    /// How often origins are asked for their streams, ms, 1 s…10 min; default 10 s.
    pub poll_interval_ms: u64,
}

/// What is said to a media server that asks whether a client may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allow,
    /// It is sent away, and asks again elsewhere.
    Refuse,
}

/// One of `[[callers]]`: whoever shows this token speaks for the nodes of one pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// A file with the token, which stands in a path: 16 to 256 of `A-Z a-z 0-9 . _ ~ -`.
    pub token_file: PathBuf,
    /// The pool.
    pub pool: Box<str>,
    /// What a node of the pool is like that comes by itself, by its heartbeats; `None` (default): none may.
    pub register: Option<Template>,
}

// === impl Streams ===

impl Default for Streams {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            second_origin: Verdict::Refuse,
            overloaded_origin: Verdict::Refuse,
            overloaded_edge: Verdict::Allow,
            relays: 0,
            poll_interval_ms: 10_000,
        }
    }
}

// === impl Verdict ===

impl Verdict {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Allow, Self::Refuse];

    /// The word of the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Refuse => "refuse",
        }
    }
}
