//! Uplink: the line that the nodes of a PoP share, one more resource that can run out.
//!
//! `x_pop = (Σ est + κ·Σ(S + carry) + m) / (θ · uplink)` over the PoP's nodes, of whatever pool; a node's pressure is at
//! least its PoP's. The sums are kept in kbit/s, whole numbers moved by differences: however many answers and scrapes
//! move them at once, nothing drifts and nothing is lost.
//!
//! A booking enters the sum when it is made. When a scrape closes its window, what the sample and the carry now
//! show is added first and the booking is taken back after: for a moment it counts twice, never not at all.
//! Nodes without an exporter are bound by the uplink too, but nobody ever takes their bookings back: they do not count.
//! A node that went silent counts as last seen; that its exporter is gone does not prove that its viewers are.
//!
//! Fleets without a configured uplink have nothing here: their lines lack [`super::booking::status::UPLINK`], one bit
//! that was loaded anyway.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::fleet::Fleet;
use super::margin;
use super::node::NodeIndex;

/// What a PoP's line carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uplink {
    /// Mbit/s.
    pub mbps: f64,
    /// θ: the share of it that may be used, above 0…1.
    pub limit: f64,
}

/// The uplink of a PoP, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct UplinkSpec {
    /// The PoP.
    pub pop: Box<str>,
    /// Its line.
    pub uplink: Uplink,
}

/// The uplinks of a fleet and what is on them. Empty where none is configured.
#[derive(Debug, Default)]
pub struct Uplinks {
    sites: Box<[Site]>,
    members: Box<[Member]>,
}

/// One shared line: one cache line, so that PoPs do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Site {
    /// Σ of the nodes' estimates, kbit/s.
    measured: AtomicI64,
    /// Σ of their carries, kbit/s.
    carried: AtomicI64,
    /// Σ of their bookings, kbit/s.
    booked: AtomicI64,
    /// 1 / (θ · uplink), per Mbit/s.
    per_mbps: f32,
    /// θ.
    limit: f32,
}

/// A node on a shared line.
#[derive(Debug, Default)]
struct Member {
    /// Its place in [`Uplinks::sites`]; `None`: its PoP has no configured uplink.
    site: Option<u32>,
    /// Its load and bookings count: it has an exporter.
    counts: bool,
    /// What it last added to the sums, kbit/s.
    measured: AtomicU64,
    carried: AtomicU64,
}

// === impl Uplinks ===

impl Uplinks {
    /// Nothing on any uplink.
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        let mut sites = Vec::new();
        let mut site_of_pop = Vec::with_capacity(fleet.pops.len());
        for pop in &fleet.pops {
            site_of_pop.push(pop.uplink.map(|_| u32::try_from(sites.len()).unwrap_or(u32::MAX)));
            sites.extend(pop.uplink.map(Site::new));
        }
        if sites.is_empty() {
            return Self::default();
        }
        let members = fleet.nodes.iter().zip(&fleet.pop_of).map(|(node, pop)| Member {
            site: site_of_pop[usize::from(pop.0)],
            counts: !node.exporters.is_empty(),
            ..Member::default()
        });
        Self { members: members.collect(), sites: sites.into() }
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    fn of(&self, node: NodeIndex) -> Option<(&Member, &Site)> {
        let member = self.members.get(node.get())?;
        Some((member, self.sites.get(member.site? as usize)?))
    }

    /// Whether a node shares a configured uplink.
    #[must_use]
    pub fn has(&self, node: NodeIndex) -> bool {
        self.of(node).is_some()
    }

    /// A node now sends `measured_mbps` and carries `carried_mbps` of bookings that no sample has shown.
    pub fn update(&self, node: NodeIndex, measured_mbps: f32, carried_mbps: f32) {
        let Some((member, site)) = self.of(node).filter(|(member, _)| member.counts) else { return };
        for (told, sum, mbps) in [
            (&member.measured, &site.measured, measured_mbps),
            (&member.carried, &site.carried, carried_mbps),
        ] {
            let now = kbps(mbps);
            let before = told.swap(now, Relaxed);
            sum.fetch_add(signed(now) - signed(before), Relaxed);
        }
    }

    /// What a node last told: sends and carries, Mbit/s.
    #[must_use]
    pub fn told(&self, node: NodeIndex) -> (f32, f32) {
        let told = |(member, _): (&Member, &Site)| {
            (mbps(signed(member.measured.load(Relaxed))), mbps(signed(member.carried.load(Relaxed))))
        };
        self.of(node).map(told).unwrap_or_default()
    }

    /// Books `kbps` on a node's uplink.
    pub fn book(&self, node: NodeIndex, kbps: u64) {
        if let Some((_, site)) = self.of(node).filter(|(member, _)| member.counts) {
            site.booked.fetch_add(signed(kbps), Relaxed);
        }
    }

    /// Takes bookings of a closed window back, after what they came to was told.
    pub fn release(&self, node: NodeIndex, kbps: u64) {
        if let Some((_, site)) = self.of(node).filter(|(member, _)| member.counts && kbps > 0) {
            site.booked.fetch_sub(signed(kbps), Relaxed);
        }
    }

    /// Pressure of a node's uplink with `mbps` on top of what is measured and `kappa` times what is booked; 0 where
    /// there is none. `per_client_mbps`: what one client needs, for the margin; 0: none.
    #[must_use]
    pub fn pressure(&self, node: NodeIndex, kappa: f32, mbps: f32, per_client_mbps: f32) -> f32 {
        self.of(node).map_or(0.0, |(_, site)| {
            let own = site.own_mbps();
            let margin = margin::mbps(kappa, own, per_client_mbps);
            (site.measured_mbps() + kappa * own + margin + mbps) * site.per_mbps
        })
    }

    /// A node's uplink as measured, without bookings: the share in use, its limit and the pressure.
    #[must_use]
    pub fn measured(&self, node: NodeIndex) -> Option<(f32, f32, f32)> {
        let (_, site) = self.of(node)?;
        let pressure = site.measured_mbps() * site.per_mbps;
        Some((pressure * site.limit, site.limit, pressure))
    }
}

// === impl Site ===

impl Site {
    #[expect(clippy::cast_possible_truncation, reason = "a pressure needs three digits")]
    fn new(uplink: Uplink) -> Self {
        Self {
            per_mbps: (1.0 / (uplink.mbps * uplink.limit)) as f32,
            limit: uplink.limit as f32,
            ..Self::default()
        }
    }

    fn measured_mbps(&self) -> f32 {
        mbps(self.measured.load(Relaxed))
    }

    /// Bookings, carried ones included.
    fn own_mbps(&self) -> f32 {
        mbps(self.booked.load(Relaxed) + self.carried.load(Relaxed))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; NaN becomes 0")]
fn kbps(mbps: f32) -> u64 {
    (mbps.max(0.0) * 1_000.0).round() as u64
}

/// A sum caught between an addition and its subtraction may be below 0 for a moment.
#[expect(clippy::cast_precision_loss, reason = "a pressure needs three digits")]
fn mbps(kbps: i64) -> f32 {
    kbps.max(0) as f32 / 1_000.0
}

fn signed(kbps: u64) -> i64 {
    i64::try_from(kbps).unwrap_or(i64::MAX)
}
