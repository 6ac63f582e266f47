//! Scene: all that a decision looks at, borrowed together: the question, the fleet and its ledger.

use super::affinity::Bucket;
use super::booking::{Ledger, TIERS, status};
use super::fleet::{Fleet, Group, Pool, PoolIndex, PopIndex};
use super::isp::IspId;
use super::margin;
use super::node::NodeIndex;
use super::place::{Location, Point};
use super::policy::PolicyKind;
use super::price;
use super::reading::Moment;
use super::rtt::RttRow;
use super::terms::{Terms, TermsKm};
use super::walk::Around;

/// Most answers to one question.
pub const MOST_PICKS: usize = 8;

/// Which address family the asker can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Either.
    #[default]
    Both,
    /// Only nodes with an IPv4 address.
    V4,
    /// Only nodes with an IPv6 address.
    V6,
}

/// One question to the core.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Whose nodes.
    pub pool: PoolIndex,
    /// How to choose.
    pub policy: PolicyKind,
    /// Where the client is; `None`: nobody knows.
    pub client: Option<Location>,
    /// What the viewer will need, kbit/s: tested and booked.
    pub kbps: u32,
    /// Which addresses it can use.
    pub family: Family,
    /// PoPs it has just failed at: out of this answer.
    pub avoid: &'a [PopIndex],
    /// Nodes that have sent it away: out of this answer, and nothing is said of their neighbours.
    pub tried: &'a [NodeIndex],
    /// Ways to be reached of which a node needs one, bits of [`status::REACH`]; 0: any node will do.
    pub ways: u32,
    /// Where it already is: kept if it can be, and not booked.
    pub current: Option<NodeIndex>,
    /// It stays there as long as anybody answers there and nobody takes the node out, over its limit too.
    pub stays: bool,
    /// How many nodes to rank, 1 to [`MOST_PICKS`].
    pub count: usize,
    /// The client's internet provider; `None`: nobody knows.
    pub isp: Option<IspId>,
    /// Which nodes the stream sticks to.
    pub bucket: Bucket,
    /// A, km: how far a stream may be carried to stay on its node.
    pub affinity_km: f32,
    /// A number that differs from question to question: the turn of `round_robin`, the die of `random`.
    pub ticket: u64,
    /// What the client's network has measured to PoPs: counts instead of their distance. `None`: nothing.
    pub rtt: Option<&'a RttRow>,
    /// Now.
    pub now: Moment,
}

/// One ranked node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pick {
    /// The node.
    pub node: NodeIndex,
    /// From the client to its PoP, km; `None`: one of the two has no place.
    pub distance_km: Option<f32>,
    /// Its pressure with this viewer on it.
    pub pressure: f32,
}

/// A ranked list of nodes.
pub type Picks = arrayvec::ArrayVec<Pick, MOST_PICKS>;

/// A question and what it looks at.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Who there is.
    pub fleet: &'a Fleet,
    /// How they fare.
    pub ledger: &'a Ledger,
    /// The question.
    pub ask: &'a Ask<'a>,
    /// Its pool.
    pub pool: &'a Pool,
    /// [`status`] bits that keep a node out, as of this stage of the decision.
    pub unfit: u32,
    /// The ledger's prices and counts of open nodes hold: they are worked out for the ledger's own unfit bits.
    pub has_bounds: bool,
    /// The margin for other replicas' bookings counts. Not in the relaxed tiers.
    pub minds_margin: bool,
    /// Answers tell how much farther prices took them: the pool has prices, and C follows a budget.
    pub minds_detour: bool,
    /// The best nodes are wanted, wherever they are; otherwise the best, and others of other groups to fall back to.
    pub together: bool,
    terms: Terms<'a>,
    has_terms: bool,
    has_uplinks: bool,
    /// Which of [`TIERS`] is the limit.
    tier: usize,
    /// 1 / that limit.
    per_limit: f32,
    kappa: f32,
    mbps: f32,
    /// A node needs one bit of each.
    reach: [u32; 2],
    pub(super) client: Option<Point>,
    /// The pool's groups around it.
    pub(super) around: Option<Around<'a>>,
}

// === impl Family ===

impl Family {
    /// The bits of [`status::REACH`] of which a node needs one.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Self::Both => status::HAS_V4 | status::HAS_V6,
            Self::V4 => status::HAS_V4,
            Self::V6 => status::HAS_V6,
        }
    }
}

// === impl Scene ===

impl<'a> Scene<'a> {
    /// Sets the scene for a question; [`status::UNFIT`] nodes are out.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a bitrate needs three digits")]
    pub fn new(fleet: &'a Fleet, ledger: &'a Ledger, ask: &'a Ask<'a>) -> Self {
        let pool = fleet.pool(ask.pool);
        let terms = Terms::new(fleet, ledger, pool, ask.isp);
        let client = ask.client.map(Location::point);
        Self {
            fleet,
            ledger,
            ask,
            pool,
            minds_detour: pool.has_prices && ledger.price_term().is_adaptive(),
            terms,
            has_terms: terms.any(),
            unfit: ledger.unfit(),
            has_bounds: true,
            minds_margin: true,
            together: false,
            has_uplinks: !ledger.uplinks().is_empty(),
            tier: 0,
            per_limit: 1.0,
            kappa: ledger.kappa(),
            mbps: ask.kbps as f32 / 1000.0,
            reach: [ask.family.bits(), if ask.ways == 0 { u32::MAX } else { ask.ways }],
            client,
            around: ask.client.zip(client).map(|(location, client)| Around::new(pool, location, client)),
        }
    }

    /// The same scene with other [`status`] bits keeping nodes out.
    #[must_use]
    pub fn with_unfit(self, unfit: u32) -> Self {
        Self { unfit, has_bounds: false, ..self }
    }

    /// The same scene under the limit of a relaxed tier, without the margin for other replicas' bookings.
    #[must_use]
    pub fn at_tier(self, tier: usize) -> Self {
        Self { tier, per_limit: 1.0 / TIERS[tier], minds_margin: false, minds_detour: false, ..self }
    }

    /// The same scene under a limit below that of everybody, as a share of it.
    #[must_use]
    #[inline]
    pub fn under(mut self, limit: f32) -> Self {
        self.per_limit = 1.0 / limit;
        self
    }

    /// The same scene where all that are named are to be the best.
    #[must_use]
    #[inline]
    pub fn together(mut self) -> Self {
        (self.together, self.minds_detour) = (true, false);
        self
    }

    /// Whether no node of a group can have room, at the cost of one load (three where PoPs have uplinks).
    #[must_use]
    #[inline]
    pub fn is_shut(&self, group: &Group) -> bool {
        self.has_bounds
            && (!self.ledger.bounds().is_open(self.tier, group.number)
                || (self.has_uplinks && self.is_cut_off(group)))
    }

    /// Whether the group's PoP has no room left on its uplink. The margin of its nodes would only add to that.
    fn is_cut_off(&self, group: &Group) -> bool {
        !self.has_room(self.ledger.uplink_pressure(NodeIndex(group.members.start), self.mbps, false))
    }

    /// Whether a pressure is under the limit.
    #[inline]
    fn has_room(&self, x: f32) -> bool {
        x * self.per_limit < 1.0
    }

    /// What a pressure costs under the limit, km.
    #[must_use]
    #[inline]
    pub fn congestion_km(&self, x: f32) -> f32 {
        price::congestion(self.ledger.congestion_km(), x * self.per_limit)
    }

    /// The optional terms of a node's score.
    #[must_use]
    #[inline]
    pub fn terms(&self, node: NodeIndex) -> TermsKm {
        if self.has_terms { self.terms.of(node) } else { TermsKm::default() }
    }

    /// Whether the client has a place.
    #[must_use]
    pub fn client_is_known(&self) -> bool {
        self.client.is_some()
    }

    /// Pressure of a node with this viewer on it, if its status and address family allow it at all.
    #[must_use]
    #[inline]
    pub fn admissible(&self, node: NodeIndex) -> Option<f32> {
        self.admissible_alone(node).map(|x| self.with_uplink(node, x))
    }

    #[inline]
    fn with_uplink(&self, node: NodeIndex, x: f32) -> f32 {
        match self.has_uplinks && self.ledger.line(node).is(status::UPLINK) {
            true => x.max(self.ledger.uplink_pressure(node, self.mbps, self.minds_margin)),
            false => x,
        }
    }

    /// The same without the uplink of its PoP.
    #[inline]
    fn admissible_alone(&self, node: NodeIndex) -> Option<f32> {
        let line = self.ledger.line(node);
        let bits = line.status();
        if bits & self.unfit != 0 || bits & self.reach[0] == 0 || bits & self.reach[1] == 0 {
            return None;
        }
        if !self.ask.tried.is_empty() && self.ask.tried.contains(&node) {
            return None;
        }
        let margin =
            if self.kappa > margin::FROM && self.minds_margin { self.ledger.margin_mbps(node) } else { 0.0 };
        Some(line.pressure(self.kappa, self.mbps + margin))
    }

    /// Pressure of a node with this viewer on it, if it fits.
    #[must_use]
    #[inline]
    pub fn fit(&self, node: NodeIndex) -> Option<f32> {
        self.admissible(node).filter(|x| self.has_room(*x))
    }

    /// Whether the asker has just failed at this PoP.
    #[must_use]
    pub fn avoids(&self, pop: PopIndex) -> bool {
        self.ask.avoid.contains(&pop)
    }

    /// The least pressed node of a group that fits.
    #[must_use]
    pub fn best_of(&self, group: &Group) -> Option<(NodeIndex, f32)> {
        if self.avoids(group.pop) {
            return None;
        }
        if self.is_shut(group) {
            return None;
        }
        // All of them share the uplink: it decides whether there is room, but not between them.
        let admissible = group.nodes().filter_map(|node| Some((node, self.admissible_alone(node)?)));
        let (node, x) = admissible.min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some((node, self.with_uplink(node, x))).filter(|(_, x)| self.has_room(*x))
    }

    /// A pick of this node.
    #[must_use]
    pub fn pick(&self, node: NodeIndex, pressure: f32) -> Pick {
        let site = self.fleet.pops[usize::from(self.fleet.pop_of(node).0)].point;
        let distance_km = self.client.zip(site).map(|(client, site)| client.near_km(site));
        Pick { node, distance_km, pressure }
    }

    /// How far a pick counts as being: as measured where there is evidence, else its distance; km.
    #[must_use]
    pub fn reach_km(&self, pick: &Pick) -> Option<f32> {
        let reach = |km| self.ask.rtt.map_or(km, |row| row.km(self.fleet.pop_of(pick.node), km));
        pick.distance_km.map(reach)
    }
}

/// Spreads a counter over all 64 bits (the finaliser of splitmix64), so that neighbours are unlike.
#[must_use]
pub fn mix(ticket: u64) -> u64 {
    let mut z = ticket.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
