//! The ledger: load that answers have promised and no sample has seen yet.
//!
//! Between two scrapes a scheduler that only looks at samples sends everybody to the same node. So each answer
//! *books* the viewer's bitrate on its node at once, and the node's pressure includes it from then on:
//! `x(n, m) = max_r base_r + slope_r · (κ·S + m)`, with `base_r = (est_r + κ·carry·c_r) / (θ_r · cap_r)` and
//! `slope_r = c_r / (θ_r · cap_r)` worked out once per scrape. c is 1 for bandwidth and the node's measured CPU
//! per Mbit/s for the CPU terms.
//!
//! **One cache line a node, atomics only.** A decision reads one line per candidate and writes one line per
//! answer. Fixed point in kbit/s: no rounding drifts away over a million bookings.
//!
//! **Bookings never expire on silence**: a node whose exporter is down only fills up. They leave the ledger
//! when a scrape has seen their window, through [`Carry`](super::carry::Carry).

mod bounds;
mod copy;
mod line;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::budget::KmPrice;
use super::fleet::Fleet;
use super::kappa::Kappa;
use super::margin;
use super::node::NodeIndex;
use super::reading::Moment;
use super::terms::TermSettings;
use super::uplink::Uplinks;

pub use self::bounds::{Bounds, TIERS};
pub use self::line::{Batch, ELASTIC, Line, LineUpdate, Party};

/// What makes a node a candidate or not: bits of [`Line::status`].
pub mod status {
    /// No good sample yet.
    pub const STARTING: u32 = 1;
    /// Nobody answers there.
    pub const DOWN: u32 = 1 << 1;
    /// Samples are too old to trust.
    pub const STALE: u32 = 1 << 2;
    /// Taken out by an operator, or leaving by itself.
    pub const DRAINING: u32 = 1 << 3;
    /// Has no exporter: nothing will ever be measured, so nothing is booked.
    pub const UNMEASURED: u32 = 1 << 4;
    /// Has an IPv4 address.
    pub const HAS_V4: u32 = 1 << 5;
    /// Has an IPv6 address.
    pub const HAS_V6: u32 = 1 << 6;
    /// Its PoP has a configured uplink. Kept by the ledger.
    pub const UPLINK: u32 = 1 << 7;
    /// Serves media by HTTP: has the port.
    pub const HAS_HTTP: u32 = 1 << 8;
    /// Serves media by HTTPS.
    pub const HAS_HTTPS: u32 = 1 << 9;
    /// Serves media by RTMP.
    pub const HAS_RTMP: u32 = 1 << 10;
    /// What tells how a node can be reached, and changes with the configuration only.
    pub const REACH: u32 = HAS_V4 | HAS_V6 | HAS_HTTP | HAS_HTTPS | HAS_RTMP;
    /// Bits that keep a node out of a first choice.
    pub const UNFIT: u32 = STARTING | DOWN | STALE | DRAINING;
}

/// The lines of a fleet, in the order of its nodes, and what decisions need beside them.
#[derive(Debug)]
pub struct Ledger {
    lines: Box<[Line]>,
    /// What a scan reads before it looks at a line.
    bounds: Bounds,
    /// For the margin of each node: what is carried, Mbit/s, and what one client needs there, Mbit/s, as f32 bits.
    /// Read only while κ is above [`margin::FROM`].
    uncertain: Box<[(AtomicU32, AtomicU32)]>,
    /// Stall reports of players since each node's last probe.
    stalls: Box<[AtomicU32]>,
    /// Nodes of which nothing is measured yet.
    starting: AtomicU32,
    /// What the nodes of a PoP send together.
    uplinks: Uplinks,
    /// L, km.
    congestion_km: f32,
    /// C.
    price: KmPrice,
    /// P, km.
    isp_km: f32,
    /// Viewers that really arrive per own booking, f32 bits: stands for the other replicas.
    kappa: AtomicU32,
    /// How much more a viewer counts that is taken to stand behind a shared answer, f32 bits.
    factor: AtomicU32,
    /// 1: more than half of the fleet is stale, so the fault is ours and staleness is ignored.
    stale_rule_off: AtomicU32,
}

// === impl Ledger ===

impl Ledger {
    /// Empty lines for a fleet, all of them starting. `congestion_km` is L.
    #[must_use]
    pub fn new(fleet: &Fleet, kappa: f32, congestion_km: f32) -> Self {
        let nodes = fleet.nodes.len();
        Self {
            lines: (0..nodes).map(|_| Line::default()).collect(),
            bounds: Bounds::new(fleet),
            uncertain: (0..nodes).map(|_| Default::default()).collect(),
            uplinks: Uplinks::new(fleet),
            stalls: (0..nodes).map(|_| AtomicU32::new(0)).collect(),
            starting: AtomicU32::new(0),
            congestion_km,
            price: KmPrice::default(),
            isp_km: 0.0,
            kappa: AtomicU32::new(kappa.to_bits()),
            factor: AtomicU32::new(1.0_f32.to_bits()),
            stale_rule_off: AtomicU32::new(0),
        }
    }

    /// The same with these optional terms of the choice.
    #[must_use]
    pub fn with_terms(self, terms: TermSettings) -> Self {
        let price = KmPrice::new(terms.price_km, terms.distance_budget_km);
        Self { price, isp_km: terms.isp_km, ..self }
    }

    /// C: what one unit of a node's price is worth now.
    #[must_use]
    pub fn price_term(&self) -> &KmPrice {
        &self.price
    }

    /// P: what another internet provider's line is worth, km.
    #[must_use]
    pub fn isp_km(&self) -> f32 {
        self.isp_km
    }

    /// Takes over what a scrape found of a node, and bounds it anew. Bookings stay.
    pub fn update(&self, node: NodeIndex, update: &LineUpdate) {
        let was_starting = self.line(node).is(status::STARTING);
        let uplink = if self.uplinks.has(node) { status::UPLINK } else { 0 };
        self.line(node).update(&LineUpdate { status: update.status & !status::UPLINK | uplink, ..*update });
        match (was_starting, update.status & status::STARTING != 0) {
            (false, true) => self.starting.fetch_add(1, Relaxed),
            (true, false) => self.starting.fetch_sub(1, Relaxed),
            _ => 0,
        };
        self.set_uncertain(node, update);
        self.uplinks.update(node, update.estimate_mbps, update.carried_mbps);
        self.rebound(node);
    }

    /// Books one answer of `kbps` on a node at `now`, and bounds it anew.
    pub fn book(&self, node: NodeIndex, kbps: u32, now: Moment) {
        let line = self.line(node);
        line.book(kbps, now);
        if line.is(status::UPLINK) {
            self.uplinks.book(node, u64::from(kbps));
        }
        self.rebound(node);
    }

    /// Books several viewers on a node at `now`, and bounds it anew.
    pub fn book_party(&self, node: NodeIndex, party: Party, now: Moment) {
        let line = self.line(node);
        line.book_party(party, now);
        if line.is(status::UPLINK) {
            self.uplinks.book(node, party.all_kbps());
        }
        self.rebound(node);
    }

    /// Takes bookings of a closed window back from the node's uplink, once [`Ledger::update`] has told what the
    /// sample and the carry show of them.
    pub fn release(&self, node: NodeIndex, kbps: u64) {
        self.uplinks.release(node, kbps);
    }

    /// Puts bookings of another ledger's line on a node, when a reload replaces the ledger.
    pub fn take_over(&self, node: NodeIndex, batch: Batch) {
        self.line(node).take_over(batch);
        self.uplinks.book(node, batch.kbps);
        self.rebound(node);
    }

    /// What the last update of a node said.
    #[must_use]
    pub fn update_in_force(&self, node: NodeIndex) -> LineUpdate {
        let (carried, per_client) = &self.uncertain[node.get()];
        LineUpdate {
            carried_mbps: f32::from_bits(carried.load(Relaxed)),
            mbps_per_client: f32::from_bits(per_client.load(Relaxed)),
            estimate_mbps: self.uplinks.told(node).0,
            ..self.line(node).update_in_force()
        }
    }

    /// Works a node's bound out again.
    pub fn rebound(&self, node: NodeIndex) {
        let line = self.line(node);
        self.bounds.set(node, line.pressure(self.kappa(), 0.0), !line.is(self.unfit()));
    }

    /// A player stalled on a node. It may be a lie: it can only freeze the node's growth.
    pub fn report_stall(&self, node: NodeIndex) {
        self.stalls[node.get()].fetch_add(1, Relaxed);
    }

    /// Stall reports of a node since this was last asked.
    #[must_use]
    pub fn take_stalls(&self, node: NodeIndex) -> u32 {
        self.stalls[node.get()].swap(0, Relaxed)
    }

    /// What a scan reads before it looks at a line.
    #[must_use]
    #[inline]
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Whether nothing is known yet of some node.
    #[must_use]
    pub fn some_starting(&self) -> bool {
        self.starting.load(Relaxed) > 0
    }

    /// Takes over what the margin of a node is worked out from.
    pub fn set_uncertain(&self, node: NodeIndex, update: &LineUpdate) {
        let (carried, per_client) = &self.uncertain[node.get()];
        carried.store(update.carried_mbps.to_bits(), Relaxed);
        per_client.store(update.mbps_per_client.to_bits(), Relaxed);
    }

    /// What other replicas may have booked on a node beyond κ times our own, Mbit/s.
    #[must_use]
    pub fn margin_mbps(&self, node: NodeIndex) -> f32 {
        let kappa = self.kappa();
        if kappa <= margin::FROM {
            return 0.0;
        }
        let (carried, per_client) = &self.uncertain[node.get()];
        let own = self.line(node).booked_mbps() + f32::from_bits(carried.load(Relaxed));
        margin::mbps(kappa, own, f32::from_bits(per_client.load(Relaxed)))
    }

    /// L, km.
    #[must_use]
    pub fn congestion_km(&self) -> f32 {
        self.congestion_km
    }

    /// A node's line.
    #[must_use]
    #[inline]
    pub fn line(&self, node: NodeIndex) -> &Line {
        &self.lines[node.get()]
    }

    /// All lines, in the order of the fleet's nodes.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// κ in force.
    #[must_use]
    #[inline]
    pub fn kappa(&self) -> f32 {
        f32::from_bits(self.kappa.load(Relaxed))
    }

    /// How much more a viewer counts that is taken to stand behind a shared answer, by DNS.
    #[must_use]
    pub fn crowd_factor(&self) -> f32 {
        f32::from_bits(self.factor.load(Relaxed))
    }

    /// Takes over what the fleet has taught: κ, and that factor.
    pub fn learn(&self, kappa: &Kappa) {
        self.set_kappa(single(kappa.value()));
        self.factor.store(single(kappa.factor()).to_bits(), Relaxed);
    }

    /// Sets κ.
    pub fn set_kappa(&self, kappa: f32) {
        self.kappa.store(kappa.to_bits(), Relaxed);
    }

    /// Bits that keep a node out of a first choice now: [`status::UNFIT`], less staleness while that rule is off.
    #[must_use]
    pub fn unfit(&self) -> u32 {
        match self.stale_rule_off.load(Relaxed) {
            0 => status::UNFIT,
            _ => status::UNFIT & !status::STALE,
        }
    }

    /// Switches the staleness rule off (or on again): when more than half of the fleet is stale, our own
    /// scraping is broken and not the fleet.
    pub fn set_stale_rule_off(&self, off: bool) {
        self.stale_rule_off.store(u32::from(off), Relaxed);
    }

    /// Whether staleness is being ignored.
    #[must_use]
    pub fn stale_rule_off(&self) -> bool {
        self.stale_rule_off.load(Relaxed) != 0
    }

    /// A node's pressure with `mbps` more on it, its PoP's uplink included.
    #[must_use]
    #[inline]
    pub fn pressure(&self, node: NodeIndex, mbps: f32) -> f32 {
        let alone = self.pressure_alone(node, mbps);
        match self.line(node).is(status::UPLINK) {
            true => alone.max(self.uplink_pressure(node, mbps, true)),
            false => alone,
        }
    }

    fn pressure_alone(&self, node: NodeIndex, mbps: f32) -> f32 {
        self.line(node).pressure(self.kappa(), mbps + self.margin_mbps(node))
    }

    /// Pressure of the uplink of a node's PoP with `mbps` more on it; 0 where none is configured.
    #[must_use]
    pub fn uplink_pressure(&self, node: NodeIndex, mbps: f32, minds_margin: bool) -> f32 {
        let per_client = match minds_margin {
            true => f32::from_bits(self.uncertain[node.get()].1.load(Relaxed)),
            false => 0.0,
        };
        self.uplinks.pressure(node, self.kappa(), mbps, per_client)
    }

    /// The uplinks of the fleet's PoPs.
    #[must_use]
    pub fn uplinks(&self) -> &Uplinks {
        &self.uplinks
    }
}

#[expect(clippy::cast_possible_truncation, reason = "κ needs three digits")]
fn single(kappa: f64) -> f32 {
    kappa as f32
}
