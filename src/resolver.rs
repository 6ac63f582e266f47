//! The one door: a question becomes an answer here and nowhere else.
//!
//! Locate, decide, book, choose the lifetime. Every front goes through [`Resolver::resolve`], DNS for those who keep an
//! answer for others through [`Resolver::resolve_shared`]; nothing goes around it, so all of them share one promise.
//! No lock, no await, no allocation: a question costs a microsecond at most.

mod bitrate;
mod board;
mod drain;
mod explain;
#[cfg(test)]
mod fixture;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod names;
mod rtt;
mod shared;
mod streams;
#[cfg(test)]
mod tests;
mod token;
mod upstream;
mod view;
mod want;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use arc_swap::{ArcSwapOption, Guard};
use arrayvec::ArrayVec;

use crate::geo::{DatabaseInfo, GeoDetail, Located, Locator, Precision};
use crate::schedule::affinity::Bucket;
use crate::schedule::booking::Ledger;
use crate::schedule::decide::{Decision, Outcome, consider, decide};
use crate::schedule::fleet::{Domain, Fleet, OnOverload, PoolIndex};
use crate::schedule::node::{Node, NodeIndex};
use crate::schedule::policy::PolicyKind;
use crate::schedule::scene::{Ask, Picks};
use crate::schedule::ttl::{self, TtlBounds};
use crate::schedule::{Moment, booking::status};
use crate::state::recent::{Degree, Entry};
use crate::state::{Live, State};

pub use self::bitrate::BitrateFrom;
use self::bitrate::Need;
pub use self::board::{Board, Cause, Flow, Flows, Member, NEAR, Roster, Row, SHOWN, Site, Sources, Sum};
pub use self::drain::{PreviewView, TakerView};
pub use self::explain::{CandidateView, Explanation, SubnetView};
pub use self::names::Named;
pub use self::rtt::{MOST_TIMES, ReportRefusal};
pub use self::shared::{Keeper, Kept, scope};
pub use self::streams::{Admission, Upstream};
pub use self::token::TokenKey;
pub use self::upstream::{Pull, PullRefusal, PulledFrom};
pub use self::view::{DrainView, FleetView, NodeView, TargetView};
use self::want::Unwanted;
pub use self::want::{MOST_TRIED, Role, Want, Way};
pub use crate::schedule::scene::{Family, MOST_PICKS, Pick};
pub use crate::state::Readiness;

/// Most addresses a client can report as failed.
pub const MOST_FAILED: usize = 16;
/// What a refused client is told to wait, s.
const RETRY_AFTER_S: u32 = 5;

/// What a front wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Lower case, no trailing dot.
    pub domain: &'a str,
    /// The client's own address.
    pub client: IpAddr,
    /// Which stream, "app/name".
    pub stream: Option<&'a str>,
    /// What the viewer will need, kbit/s.
    pub bitrate_kbps: Option<u32>,
    /// Addresses it has just failed at; those after the first [`MOST_FAILED`] are ignored.
    pub failed: &'a [IpAddr],
    /// How it failed there.
    pub why: Why,
    /// Where it already is.
    pub current: Option<IpAddr>,
    /// How many nodes, 1 to [`MOST_PICKS`].
    pub count: usize,
    /// Which addresses it can use.
    pub family: Family,
    /// What more is wanted of nodes.
    pub want: Want<'a>,
}

/// How a player failed at an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Why {
    /// It could not connect, or the connection broke.
    #[default]
    Connect,
    /// It was served, but slower than the stream plays.
    Stall,
}

/// What a front is told.
#[derive(Debug)]
pub struct Answer {
    live: Guard<Arc<Live>>,
    /// The domain asked for: its place in the configuration.
    pub domain: u16,
    /// Why these nodes.
    pub reason: Reason,
    /// The first node is over its limit, or nothing is known of it.
    pub degraded: bool,
    /// How long the answer holds, s.
    pub ttl_s: u32,
    /// Where the client is taken to be.
    pub located: Located,
    /// Best first; never empty.
    pub picks: Picks,
    /// Age of the oldest evidence about the first node, ms; `None`: there is none.
    pub sample_age_ms: Option<u32>,
    /// What the viewer is taken to need.
    need: Need,
    /// What is to be remembered of it once it is given; `None`: nothing was booked.
    booked: Option<Entry>,
}

/// Why an answer is what it is. A closed set: players and dashboards switch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The nearest node.
    Nearest,
    /// Nearer nodes are full.
    Spilled,
    /// The client stays on its node, or its stream is there.
    Affinity,
    /// An override placed the client.
    Override,
    /// Nobody knows where the client is.
    GeoUnknown,
    /// The domain's policy does not look at distance.
    Policy,
    /// The evidence is too old to trust.
    StaleLoad,
    /// Nothing is under its limit: the least pressed node nearby.
    AllOverloaded,
    /// The pool was full and another one answers for it.
    FallbackPool,
    /// Nothing has been measured yet: distance and capacity alone.
    Starting,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such domain in the configuration.
    #[error("unknown domain")]
    UnknownDomain,
    /// Nothing is under its limit, and the pool refuses then.
    #[error("all nodes are overloaded")]
    AllOverloaded {
        /// When to ask again, s.
        retry_after_s: u32,
    },
    /// No node of the pool has an address of that family.
    #[error("no node has an address of that family")]
    NoAddress,
    /// No node of the pool has a port for that.
    #[error("no node has a port for that")]
    NoPort,
    /// The domain takes no publishers.
    #[error("the domain has no origins")]
    NoOrigins,
    /// The pool has no node at all, or the client has failed at all of them.
    #[error("no node available")]
    NoNode {
        /// When to ask again, s.
        retry_after_s: u32,
    },
}

/// A way to decide.
trait Choose: Fn(&Fleet, &Ledger, &Ask<'_>) -> Decision {}
impl<F: Fn(&Fleet, &Ledger, &Ask<'_>) -> Decision> Choose for F {}

/// The door.
#[derive(Debug)]
pub struct Resolver {
    state: Arc<State>,
    locator: Arc<Locator>,
    tickets: AtomicU64,
    /// Whose reports of measured times are taken; `None`: nobody's.
    reports: ArcSwapOption<TokenKey>,
    /// Whether there is such a key: all that most questions need to know of it.
    takes_reports: AtomicBool,
}

// === impl Resolver ===

impl Resolver {
    /// A resolver over what all tasks share. `seed` sets where turns and dice begin, so that replicas differ.
    #[must_use]
    pub fn new(state: Arc<State>, locator: Arc<Locator>, seed: u64) -> Self {
        Self {
            state,
            locator,
            tickets: AtomicU64::new(seed),
            reports: ArcSwapOption::empty(),
            takes_reports: AtomicBool::new(false),
        }
    }

    /// What all tasks share, for fronts that look something up or are told something.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Now, for who has nothing else that tells.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.state.clock().coarse()
    }

    /// The time of day, Unix time, s: for signatures, never for decisions.
    #[must_use]
    pub fn unix_s(&self) -> u64 {
        self.state.clock().unix_ms() / 1_000
    }

    /// Answers a question and books the viewer.
    ///
    /// # Errors
    /// An unknown domain, a pool that refuses when it is full, or nobody to name.
    pub fn resolve(&self, question: &Question<'_>) -> Result<Answer, Refusal> {
        for ip in question.failed.iter().take(MOST_FAILED) {
            self.state.suspect(*ip);
        }
        if question.why == Why::Stall {
            self.report_stalls(question.failed);
        }
        let live = self.state.live();
        let books = live.plan.booking;
        let located = self.locator.locate(question.client);
        let answer = self.answer(live, question, located, u32::MAX, if books { decide } else { consider })?;
        if let Some(booked) = &answer.booked {
            answer.live.recent.push(booked);
        }
        Ok(answer)
    }

    /// Where an address is, and what is known of it.
    #[must_use]
    pub fn geo(&self, ip: IpAddr) -> GeoDetail {
        self.locator.detail(ip)
    }

    /// The GeoIP databases in service, in the order in which they are asked.
    #[must_use]
    pub fn databases(&self) -> Vec<DatabaseInfo> {
        self.locator.databases()
    }

    /// Whether this replica should be asked.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.state.readiness()
    }

    /// All nodes, in the order of their ids.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeView> {
        let live = self.state.live();
        let now = self.state.clock().now();
        let indices = (0u32..).zip(&live.fleet.nodes).map(|(i, _)| NodeIndex(i));
        indices.map(|index| NodeView::of(&live, index, now, self.state.clock())).collect()
    }

    /// One node by its id.
    #[must_use]
    pub fn node(&self, id: &str) -> Option<NodeView> {
        let live = self.state.live();
        let index = live.fleet.by_id(id)?;
        Some(NodeView::of(&live, index, self.state.clock().now(), self.state.clock()))
    }

    /// The names of the domains, in the order of the configuration.
    #[must_use]
    pub fn domains(&self) -> Vec<Box<str>> {
        self.state.live().fleet.domains.iter().map(|domain| domain.name.clone()).collect()
    }

    /// What this replica has learnt of the fleet as a whole.
    #[must_use]
    pub fn fleet(&self) -> FleetView {
        let live = self.state.live();
        let differ = live.fleet.pools.iter().any(|pool| pool.has_prices);
        FleetView {
            kappa: live.ledger.kappa(),
            kappa_dns: self.state.hears_dns().then(|| live.ledger.kappa() * live.ledger.crowd_factor()),
            hazard_per_s: live.learnt_so_far().hazard.value(),
            price_km: differ.then(|| live.ledger.price_term().km()),
        }
    }

    /// Tells the nodes at these addresses that a player stalled: each once, however many of its addresses are
    /// named. Reports may be forged and are not limited: all that they can do is to freeze a node's growth.
    fn report_stalls(&self, failed: &[IpAddr]) {
        let live = self.state.live();
        let mut told = ArrayVec::<NodeIndex, MOST_FAILED>::new();
        for node in failed.iter().take(MOST_FAILED).filter_map(|ip| live.fleet.at_address(*ip)) {
            if !told.contains(&node) {
                told.push(node);
                live.ledger.report_stall(node);
            }
        }
    }

    /// Answers by this choice, for `most_s` at most.
    fn answer(
        &self,
        live: Guard<Arc<Live>>,
        question: &Question<'_>,
        located: Located,
        most_s: u32,
        choose: impl Choose,
    ) -> Result<Answer, Refusal> {
        let domain = live.fleet.domain(question.domain).ok_or(Refusal::UnknownDomain)?;
        let spec = &live.fleet.domains[usize::from(domain.0)];
        let pool = question.want.role.pool(spec).ok_or(Refusal::NoOrigins)?;
        let unwanted = Unwanted::of(&live, question);
        let held = self.held(&live, question, pool);
        let need = Need::of(question, self.state.bitrates(), live.plan.default_kbps);
        let now = self.state.clock().coarse();
        let rtt = self.measured(question.client, now);
        let ask = Ask {
            pool,
            policy: spec.policy,
            client: located.location,
            kbps: need.kbps,
            family: question.family,
            avoid: &unwanted.pops,
            tried: &unwanted.nodes,
            ways: question.want.way.bits(),
            stays: held.is_some(),
            current: held.or_else(|| question.current.and_then(|ip| live.fleet.at_address(ip))),
            count: question.count.clamp(1, MOST_PICKS),
            isp: located.isp,
            bucket: bucket(question, spec),
            affinity_km: live.plan.affinity_km,
            ticket: self.tickets.fetch_add(1, Relaxed),
            rtt: rtt.as_ref(),
            now,
        };
        let (decision, from_fallback) = overflow(&live, &ask, choose)?;
        let first = decision.picks.first().ok_or_else(|| empty(&live, &ask))?;
        let evidence = live.evidence(first.node);
        let reason = reason(&live, &decision, spec.policy, &located, from_fallback);
        let degraded = matches!(decision.outcome, Outcome::Overloaded | Outcome::Silent);
        // What is shorter than any lifetime by evidence need not be held against that.
        let ttl_s = match most_s <= live.plan.ttl_s.0 && !degraded {
            true => most_s,
            false => ttl_s(&live, &decision.picks, degraded, &ask).min(most_s),
        };
        let booked = (decision.outcome != Outcome::Current).then(|| Entry {
            at: now,
            node: first.node,
            domain,
            family: ask.family,
            degree: Degree::of(located.location),
            isp: located.isp,
            bucket: ask.bucket,
            kbps: ask.kbps,
        });
        Ok(Answer {
            domain: domain.0,
            reason,
            degraded,
            ttl_s,
            located,
            sample_age_ms: evidence.map(|evidence| u32::try_from(now.since_ms(evidence)).unwrap_or(u32::MAX)),
            picks: decision.picks,
            need,
            booked,
            live,
        })
    }
}

/// Which nodes a question sticks to: those of its stream; without one, those of its domain and client network,
/// so that a whole domain does not stick to one node.
fn bucket(question: &Question<'_>, domain: &Domain) -> Bucket {
    match question.stream {
        Some(stream) => Bucket::of_stream(stream),
        None => {
            let network = match crate::geo::canonical(question.client) {
                IpAddr::V4(ip) => u64::from(u32::from(ip) >> 8),
                IpAddr::V6(ip) => {
                    u64::from(ip.segments()[0]) << 32
                        | u64::from(ip.segments()[1]) << 16
                        | u64::from(ip.segments()[2])
                }
            };
            Bucket::of_hash(domain.hash ^ network.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        }
    }
}

/// Decides, and where nothing fits does what the pool says: serve, refuse, or ask its fallback pool (whose own
/// answer stands, whatever it is: one step, so that two full pools cannot send a client in circles).
fn overflow(live: &Live, ask: &Ask<'_>, choose: impl Choose) -> Result<(Decision, bool), Refusal> {
    let pool = live.fleet.pool(ask.pool);
    if pool.on_overload == OnOverload::Serve {
        return Ok((choose(&live.fleet, &live.ledger, ask), false));
    }
    let first = consider(&live.fleet, &live.ledger, ask);
    if !matches!(first.outcome, Outcome::Overloaded | Outcome::Silent | Outcome::Empty) {
        return Ok((choose(&live.fleet, &live.ledger, ask), false));
    }
    match pool.fallback {
        Some(fallback) => Ok((choose(&live.fleet, &live.ledger, &Ask { pool: fallback, ..*ask }), true)),
        None if first.outcome == Outcome::Empty => Err(empty(live, ask)),
        None => Err(Refusal::AllOverloaded { retry_after_s: RETRY_AFTER_S }),
    }
}

/// Why a pool has nobody to name.
fn empty(live: &Live, ask: &Ask<'_>) -> Refusal {
    let members = live.fleet.pool(ask.pool).nodes();
    match members.map(|node| live.ledger.line(node)).any(|line| line.is(ask.family.bits())) {
        true if !want::has_port(live, ask) => Refusal::NoPort,
        true => Refusal::NoNode { retry_after_s: RETRY_AFTER_S },
        false if ask.family == Family::Both => Refusal::NoNode { retry_after_s: RETRY_AFTER_S },
        false => Refusal::NoAddress,
    }
}

fn reason(
    live: &Live,
    decision: &Decision,
    policy: PolicyKind,
    located: &Located,
    from_fallback: bool,
) -> Reason {
    match decision.outcome {
        Outcome::Starting => Reason::Starting,
        Outcome::Overloaded
            if decision.picks.first().is_some_and(|p| live.ledger.line(p.node).is(status::STALE)) =>
        {
            Reason::StaleLoad
        }
        Outcome::Overloaded => Reason::AllOverloaded,
        Outcome::Silent | Outcome::Empty => Reason::StaleLoad,
        Outcome::Fit | Outcome::Current if from_fallback => Reason::FallbackPool,
        Outcome::Current => Reason::Affinity,
        Outcome::Fit if !policy.minds_distance() => Reason::Policy,
        Outcome::Fit => match located.precision {
            Precision::Unknown | Precision::Default => Reason::GeoUnknown,
            _ if decision.spilled => Reason::Spilled,
            Precision::Override => Reason::Override,
            Precision::City | Precision::Country => Reason::Nearest,
        },
    }
}

/// Lifetime of an answer, s.
fn ttl_s(live: &Live, picks: &Picks, degraded: bool, ask: &Ask<'_>) -> u32 {
    let bounds = TtlBounds {
        shortest_ms: u64::from(live.plan.ttl_s.0) * 1_000,
        longest_ms: u64::from(live.plan.ttl_s.1) * 1_000,
        interval_ms: live.plan.watch.interval_ms,
    };
    let node_ms =
        |pick: &Pick| ttl::node_ms(&live.ledger, pick.node, bounds, live.evidence(pick.node), ask.now);
    ttl::answer_s(picks.iter().map(node_ms), bounds, degraded, ask.ticket)
}

// === impl Answer ===

impl Answer {
    /// The node of a pick.
    #[must_use]
    pub fn node(&self, pick: &Pick) -> &Node {
        self.live.fleet.node(pick.node)
    }

    /// A pick's first address of a family; of both: IPv4 if there is one.
    #[must_use]
    pub fn address(&self, pick: &Pick, family: Family) -> Option<IpAddr> {
        let v4 = || self.live.first_v4(pick.node).map(IpAddr::V4);
        let v6 = || self.live.first_v6(pick.node).map(IpAddr::V6);
        match family {
            Family::V4 => v4(),
            Family::V6 => v6(),
            Family::Both => v4().or_else(v6),
        }
    }

    /// A pick's first IPv4 and IPv6 address as JSON strings, quotes and all; empty where it has none.
    #[must_use]
    pub fn addresses_json(&self, pick: &Pick) -> (&str, &str) {
        self.live.addresses_json(pick.node)
    }
}

// === impl Reason ===

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 10] = [
        Self::Nearest,
        Self::Spilled,
        Self::Affinity,
        Self::Override,
        Self::GeoUnknown,
        Self::Policy,
        Self::StaleLoad,
        Self::AllOverloaded,
        Self::FallbackPool,
        Self::Starting,
    ];

    /// The word used in answers and as a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Spilled => "spilled",
            Self::Affinity => "affinity",
            Self::Override => "override",
            Self::GeoUnknown => "geo_unknown",
            Self::Policy => "policy",
            Self::StaleLoad => "stale_load",
            Self::AllOverloaded => "all_overloaded",
            Self::FallbackPool => "fallback_pool",
            Self::Starting => "starting",
        }
    }

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

// === impl Why ===

impl Why {
    /// All ways to fail.
    pub const ALL: [Self; 2] = [Self::Connect, Self::Stall];

    /// The word that players use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Stall => "stall",
        }
    }
}

/// Pool of a domain, for surfaces that list it.
#[must_use]
pub fn pool_name(live: &Live, pool: PoolIndex) -> &str {
    &live.fleet.pool(pool).name
}

/// Age of evidence, s with one decimal.
fn age_s(evidence: Option<Moment>, now: Moment) -> Option<f64> {
    evidence.map(|evidence| (now.since_s(evidence) * 10.0).round() / 10.0)
}
