//! The board: all nodes at one moment, in numbers, for pages that many people watch.
//!
//! `/nodes` tells everything of a node in words; at ten thousand nodes that is megabytes. The board has what a table,
//! a map and a skyline draw, is made once a second for all pages together, and [`Row::differs`] says which rows are
//! worth telling again.

mod cause;
mod flows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::cause::Cause;
pub use self::flows::{Flow, Flows, Sources};
use super::Resolver;
use crate::schedule::Moment;
use crate::schedule::booking::ELASTIC;
use crate::schedule::health::NodeState;
use crate::schedule::node::NodeIndex;
use crate::schedule::watch::NodeReport;
use crate::state::Live;
use crate::state::history::Hour;
use crate::state::timeline::Timeline;

/// From this pressure on a node that is not overloaded is near its limit.
const NEAR_LIMIT: f32 = 0.85;
/// A state of pages only: healthy, but near a limit.
pub const NEAR: &str = "near";
/// A pressure that moved by less is no news between two samples.
const NEWS_PRESSURE: f32 = 0.02;
/// Nor are answers that moved by less than this share of them.
const NEWS_RATE: f32 = 0.25;

/// What does not change as long as the configuration does not.
#[derive(Clone, Debug)]
pub struct Roster {
    /// Which configuration this is of.
    pub generation: u64,
    /// Nodes; rows of a board are in the same order.
    pub nodes: Vec<Member>,
    /// Sites that they name by place.
    pub pops: Vec<Site>,
    /// Pools that they name by place.
    pub pools: Vec<Box<str>>,
    /// Domains.
    pub domains: Vec<Box<str>>,
}

/// A node by name.
#[derive(Clone, Debug)]
pub struct Member {
    /// Unique name.
    pub id: Box<str>,
    /// Its site, in [`Roster::pops`].
    pub pop: usize,
    /// Its pool, in [`Roster::pools`].
    pub pool: usize,
    /// What it serves as.
    pub role: &'static str,
    /// Its first address.
    pub address: String,
}

/// A site.
#[derive(Clone, Debug, Serialize)]
pub struct Site {
    /// Its name.
    pub id: Box<str>,
    /// Degrees; absent where none of its nodes has a place.
    pub latitude: Option<f64>,
    /// Degrees.
    pub longitude: Option<f64>,
}

/// A node in numbers.
#[derive(Clone, Debug)]
pub struct Row {
    /// One of the states of `schedule::health`, or [`NEAR`].
    pub state: &'static str,
    /// Pressure of the tightest resource, bookings included; absent: nothing is measured.
    pub pressure: Option<f32>,
    /// The resource that is tightest with bookings.
    pub tightest: &'static str,
    /// Pressure as measured of system CPU, hottest process and egress.
    pub measured: [f32; ELASTIC],
    /// What bookings add to each.
    pub booked: [f32; ELASTIC],
    /// More viewers that fit.
    pub headroom: u32,
    /// Viewers it counts.
    pub clients: f32,
    /// Mbit/s.
    pub egress_mbps: f32,
    /// Mbit/s that may be used: capacity times its threshold.
    pub limit_mbps: f32,
    /// Egress capacity, Mbit/s.
    pub capacity_mbps: f32,
    /// Mbit/s.
    pub booked_mbps: f32,
    /// Answers a second lately.
    pub answers_per_s: f32,
    /// When the oldest part of the evidence came.
    pub evidence: Option<Moment>,
    /// Its age when the board was made, s.
    pub age_s: Option<f32>,
    /// Why it is in that state; absent: all is well.
    pub why: Option<Cause>,
}

/// All nodes at one moment.
#[derive(Clone, Debug)]
pub struct Board {
    /// Which configuration this is of.
    pub generation: u64,
    /// When it was made, Unix ms.
    pub at_unix_ms: u64,
    /// Rows in the roster's order.
    pub rows: Vec<Row>,
    /// Viewers that really arrive per own booking.
    pub kappa: f32,
    /// Replicas that are configured.
    pub replicas: Option<u32>,
    /// Most nodes cannot be seen, so staleness is ignored.
    pub stale_fleet: bool,
}

/// The fleet in a handful of numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sum {
    /// More viewers that fit.
    pub headroom: u64,
    /// Viewers.
    pub viewers: f64,
    /// Share of all limits on egress that is in use.
    pub used: f64,
    /// Share that is booked.
    pub booked: f64,
    /// Answers a second.
    pub answers_per_s: f64,
    /// The node with the oldest evidence, by its place.
    pub oldest: Option<usize>,
    /// How old that is, s.
    pub oldest_s: f32,
    /// How old the newest is, s.
    pub newest_s: Option<f32>,
    /// Nodes by state.
    pub states: BTreeMap<&'static str, usize>,
}

// === impl Resolver ===

impl Resolver {
    /// Who there is.
    #[must_use]
    pub fn roster(&self) -> Roster {
        let live = self.state.live();
        let fleet = &live.fleet;
        let site = |pop: &crate::schedule::fleet::Pop| {
            let place = pop.point.map(crate::schedule::place::Point::location);
            Site {
                id: pop.name.clone(),
                latitude: place.map(crate::schedule::place::Location::latitude),
                longitude: place.map(crate::schedule::place::Location::longitude),
            }
        };
        let pool = |name: &str| fleet.pools.iter().position(|pool| &*pool.name == name).unwrap_or_default();
        let member =
            |(node, pop): (&crate::schedule::node::Node, &crate::schedule::fleet::PopIndex)| Member {
                id: node.id.clone(),
                pop: usize::from(pop.0),
                pool: pool(&node.pool),
                role: node.role.as_str(),
                address: node.addresses().next().map(|ip| ip.to_string()).unwrap_or_default(),
            };
        Roster {
            generation: live.generation,
            nodes: fleet.nodes.iter().zip(&fleet.pop_of).map(member).collect(),
            pops: fleet.pops.iter().map(site).collect(),
            pools: fleet.pools.iter().map(|pool| pool.name.clone()).collect(),
            domains: fleet.domains.iter().map(|domain| domain.name.clone()).collect(),
        }
    }

    /// How they fare.
    #[must_use]
    pub fn board(&self) -> Board {
        let live = self.state.live();
        let now = self.state.clock().now();
        let rates = self.state.chronicle().rates(live.fleet.nodes.iter().map(|node| &*node.id));
        let unix_ms = |moment| self.state.clock().unix_ms_of(moment);
        let row = |(index, rate): (u32, f32)| Row::of(&live, NodeIndex(index), rate, now, unix_ms);
        Board {
            generation: live.generation,
            at_unix_ms: self.state.clock().unix_ms(),
            rows: (0u32..).zip(rates).map(row).collect(),
            kappa: live.ledger.kappa(),
            replicas: live.plan.replicas,
            stale_fleet: live.ledger.stale_rule_off(),
        }
    }

    /// What happened lately.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.state.chronicle().timeline
    }

    /// The last hour of a node; `None`: it is not watched yet.
    #[must_use]
    pub fn hour(&self, id: &str) -> Option<Hour> {
        self.state.chronicle().hour(id, self.state.clock().now())
    }

    /// So many answers of a domain were degraded since this was last said.
    pub fn note_degraded(&self, domain: &str, answers: u64) {
        self.state.note_degraded(domain, answers);
    }

    /// Unix time, ms, for people.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        self.state.clock().unix_ms()
    }
}

// === impl Row ===

impl Row {
    fn of(live: &Live, index: NodeIndex, rate: f32, now: Moment, unix_ms: impl Fn(Moment) -> u64) -> Self {
        let node = live.fleet.node(index);
        let report = live.report(index);
        let line = live.ledger.line(index);
        let told = line.update_in_force();
        let booked_mbps = live.ledger.kappa() * line.booked_mbps();
        // What a decision counts beyond the measured: bookings, and the margin for what nobody can know yet.
        let extra_mbps = booked_mbps + live.ledger.margin_mbps(index);
        let known = report.evidence.is_some() && report.state != NodeState::Down;
        let pressure = known.then(|| live.ledger.pressure(index, 0.0));
        let capacity_mbps = report.capacity.map_or(0.0, |capacity| single(capacity.mbps));
        let booked = [1, 2, 0].map(|r| told.slope[r] * extra_mbps);
        let headroom = match pressure {
            Some(x) if x < 1.0 && told.status & live.ledger.unfit() == 0 => headroom(live, &report, index),
            _ => 0,
        };
        let mut row = Self {
            state: shown(report.state, pressure),
            pressure,
            tightest: tightest(&report, &told.base, &told.slope, extra_mbps, pressure),
            measured: [told.base[1], told.base[2], told.base[0]],
            booked,
            headroom,
            clients: report.load.clients.map_or(0.0, single),
            egress_mbps: report.load.egress_mbps.map_or(0.0, single),
            limit_mbps: capacity_mbps * single(node.thresholds.bandwidth * node.weight),
            capacity_mbps,
            booked_mbps: booked_mbps + live.ledger.kappa() * single(report.carried_mbps),
            answers_per_s: rate,
            evidence: report.evidence,
            age_s: report.evidence.map(|evidence| single(now.since_s(evidence))),
            why: None,
        };
        if !known {
            row.measured = [0.0; ELASTIC];
            row.booked = [0.0; ELASTIC];
        }
        row.why = Cause::of(node, &report, &row, unix_ms);
        row
    }

    /// Whether this is worth telling to who was told `before`: another sample, state or reason, or bookings that moved
    /// it visibly. That its evidence ages everybody can work out alone.
    #[must_use]
    pub fn differs(&self, before: &Self) -> bool {
        let (now, then) = (self.pressure.unwrap_or(-1.0), before.pressure.unwrap_or(-1.0));
        let rate = (self.answers_per_s - before.answers_per_s).abs();
        self.evidence != before.evidence
            || self.state != before.state
            || (now - then).abs() >= NEWS_PRESSURE
            || (now >= 1.0) != (then >= 1.0)
            || rate > 0.2 + NEWS_RATE * before.answers_per_s
            || self.why.as_ref().map(Cause::code) != before.why.as_ref().map(Cause::code)
    }
}

/// The state that pages show.
fn shown(state: NodeState, pressure: Option<f32>) -> &'static str {
    match (state, pressure) {
        (NodeState::Healthy, Some(x)) if x >= NEAR_LIMIT => NEAR,
        (state, _) => state.as_str(),
    }
}

/// How many more viewers fit, by the resource that runs out first.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and a count of viewers"
)]
fn headroom(live: &Live, report: &NodeReport, index: NodeIndex) -> u32 {
    let told = live.ledger.line(index).update_in_force();
    let booked_mbps = live.ledger.kappa() * live.ledger.line(index).booked_mbps();
    let extra_mbps = booked_mbps + live.ledger.margin_mbps(index);
    let left = (0..ELASTIC)
        .filter(|r| told.slope[*r] > 0.0)
        .map(|r| (1.0 - told.base[r]) / told.slope[r] - extra_mbps);
    let mbps = left.fold(f32::INFINITY, f32::min);
    let each = single(f64::from(live.plan.default_kbps) / 1_000.0).max(0.001);
    let each = report.mbps_per_client.map_or(each, |mbps| single(mbps).max(0.001));
    if mbps.is_finite() { (mbps / each).max(0.0) as u32 } else { 0 }
}

/// The resource behind the pressure, bookings included.
fn tightest(
    report: &NodeReport,
    base: &[f32; ELASTIC],
    slope: &[f32; ELASTIC],
    extra_mbps: f32,
    pressure: Option<f32>,
) -> &'static str {
    const NAMES: [&str; ELASTIC] = ["bandwidth", "system_cpu", "process_cpu"];
    let Some(pressure) = pressure else { return "" };
    let of = |r: usize| base[r] + slope[r] * extra_mbps;
    let elastic = (0..ELASTIC).max_by(|a, b| of(*a).total_cmp(&of(*b))).unwrap_or_default();
    if of(elastic) >= pressure - 0.001 {
        return NAMES[elastic];
    }
    match report.pressure.tightest() {
        Some((resource, x)) if single(x) >= pressure - 0.001 => resource.as_str(),
        _ => "pop_uplink",
    }
}

#[expect(clippy::cast_possible_truncation, reason = "people read three digits")]
fn single(value: f64) -> f32 {
    value as f32
}

// === impl Sum ===

impl Sum {
    /// Adds up a board.
    #[must_use]
    pub fn of(board: &Board) -> Self {
        let mut sum = Self::default();
        let (mut limit, mut used, mut booked) = (0.0, 0.0, 0.0);
        for (at, row) in board.rows.iter().enumerate() {
            sum.headroom += u64::from(row.headroom);
            sum.viewers += f64::from(row.clients);
            sum.answers_per_s += f64::from(row.answers_per_s);
            *sum.states.entry(row.state).or_default() += 1;
            if row.pressure.is_some() {
                limit += f64::from(row.limit_mbps);
                used += f64::from(row.egress_mbps);
                booked += f64::from(row.booked_mbps);
            }
            if let Some(age_s) = row.age_s {
                sum.newest_s = Some(sum.newest_s.map_or(age_s, |newest| newest.min(age_s)));
                if sum.oldest.is_none() || age_s > sum.oldest_s {
                    (sum.oldest, sum.oldest_s) = (Some(at), age_s);
                }
            }
        }
        if limit > 0.0 {
            (sum.used, sum.booked) = (used / limit, booked / limit);
        }
        sum
    }

    /// Nodes in a state.
    #[must_use]
    pub fn in_state(&self, state: &str) -> usize {
        self.states.get(state).copied().unwrap_or_default()
    }
}

/// The states that pages show, those that need attention first.
pub const SHOWN: [&str; 8] = [
    NodeState::Overloaded.as_str(),
    NodeState::Down.as_str(),
    NodeState::Stale.as_str(),
    NEAR,
    NodeState::Starting.as_str(),
    NodeState::Draining.as_str(),
    NodeState::Unmeasured.as_str(),
    NodeState::Healthy.as_str(),
];
