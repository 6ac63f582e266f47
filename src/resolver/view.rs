//! A node as operators see it.

use serde::Serialize;

use super::age_s;
use crate::clock::Clock;
use crate::schedule::Moment;
use crate::schedule::health::Drain;
use crate::schedule::load::Resource;
use crate::schedule::node::NodeIndex;
use crate::schedule::watch::pulse::PulseReport;
use crate::schedule::watch::{NodeReport, TargetReport};
use crate::state::Live;

/// The name of the resource that a PoP's nodes share.
const POP_UPLINK: &str = "pop_uplink";

/// A node, its load and its state: one element of `/nodes`.
#[derive(Clone, Debug, Serialize)]
pub struct NodeView {
    /// Unique name.
    pub id: String,
    /// Its pool.
    pub pool: String,
    /// What it serves as.
    pub role: &'static str,
    /// Its site.
    pub pop: String,
    /// Addresses, IPv4 first.
    pub addresses: Vec<String>,
    /// Degrees; absent where it cannot be located.
    pub latitude: Option<f64>,
    /// Degrees; absent where it cannot be located.
    pub longitude: Option<f64>,
    /// One of the states of `schedule::health`.
    pub state: &'static str,
    /// Seconds in this state.
    pub state_for_s: f64,
    /// The operator's order behind the state `draining`.
    pub drain: Option<DrainView>,
    /// What its media servers send by themselves; absent: nothing.
    pub heartbeat: Option<HeartbeatView>,
    /// What an operator should know, in words.
    pub reasons: Vec<String>,
    /// Pressure of the tightest resource, bookings included; 1.0 = overloaded. Absent: nothing is measured.
    pub pressure: Option<f64>,
    /// The tightest resource as measured.
    pub tightest: Option<&'static str>,
    /// Each resource: what is in use, its limit, its pressure.
    pub resources: Vec<ResourceView>,
    /// Egress, Mbit/s.
    pub egress_mbps: Option<f64>,
    /// Egress capacity, Mbit/s.
    pub capacity_mbps: Option<f64>,
    /// Where the capacity comes from: `configured`, `link` or `assumed`.
    pub capacity_source: Option<&'static str>,
    /// Bandwidth left under the limit, bookings counted, Mbit/s.
    pub headroom_mbps: Option<f64>,
    /// Highest egress at which its viewers got what they should, Mbit/s. Absent: nothing is proven yet.
    pub proven_mbps: Option<f64>,
    /// What it is taken to be able to send since it fell short, Mbit/s. Absent: it has not, or it made up for it.
    pub capped_mbps: Option<f64>,
    /// What one of its viewers has been seen to need, Mbit/s.
    pub mbps_per_client: Option<f64>,
    /// How many more viewers of the default bitrate fit in that.
    pub headroom_viewers: Option<u64>,
    /// Bookings since the last window, κ times, and what is carried, Mbit/s.
    pub booked_mbps: f64,
    /// Answers since the last window.
    pub answers: u64,
    /// Connected clients.
    pub clients: Option<f64>,
    /// Logical CPUs.
    pub cpus: Option<u32>,
    /// One-minute load average.
    pub load1: Option<f64>,
    /// Age of the oldest evidence, s.
    pub sample_age_s: Option<f64>,
    /// Some rate was worked out over receive time.
    pub coarse: bool,
    /// Its exporters.
    pub targets: Vec<TargetView>,
}

/// What this replica has learnt of the fleet as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FleetView {
    /// κ in force: viewers that really arrive per own booking.
    pub kappa: f32,
    /// The same per viewer that was expected behind an answer by DNS; `None`: nobody has asked by DNS.
    pub kappa_dns: Option<f32>,
    /// Share of its viewers that leaves the fleet each second; 0: not learnt yet.
    pub hazard_per_s: f64,
    /// C in force, km per unit of price; `None`: in no pool do nodes differ in price.
    pub price_km: Option<f32>,
}

/// An operator's order that a node gets no new viewers.
#[derive(Clone, Debug, Serialize)]
pub struct DrainView {
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// In force for so long, s.
    pub for_s: f64,
    /// Ends by itself then, RFC 3339; absent: when somebody says so.
    pub until: Option<String>,
    /// The same from now on, s.
    pub left_s: Option<f64>,
    /// Of its clients so many a minute are sent away; absent: none.
    pub evict_per_minute: Option<u32>,
}

/// Heartbeats of a node's media servers.
#[derive(Clone, Debug, Serialize)]
pub struct HeartbeatView {
    /// The servers that send them, by the ids that they keep over restarts.
    pub servers: Vec<String>,
    /// The last one came so long ago, s.
    pub age_s: f64,
    /// They come so often, s, as far as has been seen.
    pub interval_s: f64,
    /// More of them are missing than may be.
    pub missing: bool,
}

/// One resource of a node.
#[derive(Clone, Debug, Serialize)]
pub struct ResourceView {
    /// Its name.
    pub resource: &'static str,
    /// In use: a share, or drops per second.
    pub load: f64,
    /// Its limit, in the same unit.
    pub limit: f64,
    /// Load over limit, without bookings.
    pub pressure: f64,
}

/// One exporter of a node.
#[derive(Clone, Debug, Serialize)]
pub struct TargetView {
    /// Its URL.
    pub url: String,
    /// The last probe brought a page.
    pub ok: bool,
    /// Why not.
    pub error: Option<String>,
    /// The same as a label.
    pub error_label: Option<&'static str>,
    /// Failed probes in a row.
    pub failed: u32,
    /// Age of the last good page, s.
    pub page_age_s: Option<f64>,
    /// How long the last page took, ms.
    pub took_ms: u64,
    /// What its last page gave rise to.
    pub findings: Vec<String>,
}

// === impl NodeView ===

impl NodeView {
    pub(super) fn of(live: &Live, index: NodeIndex, now: Moment, clock: &Clock) -> Self {
        let node = live.fleet.node(index);
        let report = live.report(index);
        let line = live.ledger.line(index);
        let kappa = live.ledger.kappa();
        let booked_mbps = f64::from(kappa) * (f64::from(line.booked_mbps()) + report.carried_mbps);
        let headroom_mbps = headroom(&report, node.thresholds.bandwidth * node.weight, booked_mbps);
        Self {
            id: node.id.to_string(),
            pool: node.pool.to_string(),
            role: node.role.as_str(),
            pop: node.pop.to_string(),
            addresses: node.addresses().map(|ip| ip.to_string()).collect(),
            latitude: node.location.map(crate::schedule::place::Location::latitude),
            longitude: node.location.map(crate::schedule::place::Location::longitude),
            state: report.state.as_str(),
            state_for_s: now.since_s(report.since),
            drain: report.drain.as_ref().map(|order| DrainView::of(order, now, clock)),
            heartbeat: report.pulse.as_ref().map(|pulse| HeartbeatView::of(pulse, now)),
            reasons: report.reasons.clone(),
            pressure: report.evidence.map(|_| round(f64::from(live.ledger.pressure(index, 0.0)))),
            tightest: tightest(live, index, &report),
            resources: resources(live, index, &report),
            egress_mbps: report.load.egress_mbps.map(round),
            capacity_mbps: report.capacity.map(|capacity| capacity.mbps),
            capacity_source: report.capacity.map(|capacity| capacity.source.as_str()),
            proven_mbps: Some(report.proven_mbps).filter(|mbps| *mbps > 0.0).map(round),
            capped_mbps: report.capped_mbps.map(round),
            mbps_per_client: report.mbps_per_client.map(round),
            headroom_mbps: headroom_mbps.map(round),
            headroom_viewers: headroom_mbps.map(|mbps| viewers(mbps, live.plan.default_kbps)),
            booked_mbps: round(booked_mbps),
            answers: line.answers(),
            clients: report.load.clients,
            cpus: report.load.cpus,
            load1: report.load.load1,
            sample_age_s: age_s(report.evidence, now),
            coarse: report.coarse,
            targets: report.targets.iter().map(|target| TargetView::of(target, now)).collect(),
        }
    }
}

/// Each measured resource of a node.
pub(super) fn resources(live: &Live, index: NodeIndex, report: &NodeReport) -> Vec<ResourceView> {
    let Some(capacity) = report.capacity else { return Vec::new() };
    let thresholds = &live.fleet.node(index).thresholds;
    let view = |resource: Resource| {
        Some(ResourceView {
            resource: resource.as_str(),
            load: round(report.load.of(resource, capacity)?),
            limit: crate::schedule::pressure::limit(thresholds, resource),
            pressure: round(report.pressure.by[resource.index()]?),
        })
    };
    Resource::ALL.into_iter().filter_map(view).chain(pop_uplink(live, index)).collect()
}

/// The line that its PoP shares, as measured; `None`: none is configured.
pub(super) fn pop_uplink(live: &Live, index: NodeIndex) -> Option<ResourceView> {
    let (load, limit, pressure) = live.ledger.uplinks().measured(index)?;
    Some(ResourceView {
        resource: POP_UPLINK,
        load: round(f64::from(load)),
        limit: round(f64::from(limit)),
        pressure: round(f64::from(pressure)),
    })
}

/// The tightest resource as measured, the PoP's uplink among them.
fn tightest(live: &Live, index: NodeIndex, report: &NodeReport) -> Option<&'static str> {
    let own = report.pressure.tightest();
    let shared = live.ledger.uplinks().measured(index).map(|(_, _, pressure)| f64::from(pressure));
    match (own, shared) {
        (Some((_, own)), Some(shared)) if shared > own => Some(POP_UPLINK),
        (own, _) => own.map(|(resource, _)| resource.as_str()),
    }
}

fn headroom(report: &NodeReport, limit: f64, booked_mbps: f64) -> Option<f64> {
    let egress = report.load.egress_mbps?;
    Some((report.capacity?.mbps * limit - egress - booked_mbps).max(0.0))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and a count of viewers"
)]
fn viewers(mbps: f64, default_kbps: u32) -> u64 {
    (mbps * 1000.0 / f64::from(default_kbps.max(1))) as u64
}

/// Four decimals: more is noise, and JSON stays readable.
pub(super) fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

// === impl DrainView ===

impl DrainView {
    fn of(order: &Drain, now: Moment, clock: &Clock) -> Self {
        Self {
            reason: order.reason.as_deref().map(str::to_owned),
            for_s: now.since_s(order.since),
            until: order.until.and_then(|until| timestamp(clock.unix_ms_of(until))),
            left_s: order.until.map(|until| until.since_s(now)),
            evict_per_minute: order.evict_per_minute,
        }
    }
}

// === impl HeartbeatView ===

impl HeartbeatView {
    #[expect(clippy::cast_precision_loss, reason = "at most ten minutes")]
    fn of(pulse: &PulseReport, now: Moment) -> Self {
        Self {
            servers: pulse.sources.iter().map(ToString::to_string).collect(),
            age_s: now.since_s(pulse.last),
            interval_s: pulse.interval_ms as f64 / 1000.0,
            missing: pulse.is_missing,
        }
    }
}

/// RFC 3339 to the second.
fn timestamp(unix_ms: u64) -> Option<String> {
    let seconds = i64::try_from((unix_ms + 500) / 1_000).ok()?;
    jiff::Timestamp::from_second(seconds).ok().map(|at| at.to_string())
}

// === impl TargetView ===

impl TargetView {
    fn of(target: &TargetReport, now: Moment) -> Self {
        Self {
            url: target.url.to_string(),
            ok: target.failure.is_none() && target.good_at.is_some(),
            error: target.failure.as_ref().map(ToString::to_string),
            error_label: target.failure.as_ref().map(crate::schedule::reading::ProbeFailure::label),
            failed: target.failed,
            page_age_s: age_s(target.good_at, now),
            took_ms: target.took_ms,
            findings: target.findings.iter().map(ToString::to_string).collect(),
        }
    }
}
