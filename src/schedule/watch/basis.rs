//! Basis: all that a ledger line is worked out from, kept so that the line can be written anew between scrapes.

use super::{WatchSettings, reach};
use crate::schedule::booking::{ELASTIC, LineUpdate, status};
use crate::schedule::carry::Carried;
use crate::schedule::health;
use crate::schedule::load::Resource;
use crate::schedule::node::Node;
use crate::schedule::pressure::{self, Pressure};
use crate::schedule::reading::Moment;
use crate::schedule::traffic;

/// Resources that grow with each viewer, in the order of the ledger's elastic terms.
const RESOURCES: [Resource; ELASTIC] = [Resource::Bandwidth, Resource::SystemCpu, Resource::ProcessCpu];
/// Resources that bookings do not move.
const FLOOR: [Resource; 4] = [Resource::Memory, Resource::DiskBusy, Resource::DiskFull, Resource::UdpDrops];

#[derive(Clone, Debug, Default)]
pub(super) struct Basis {
    /// Egress as measured, Mbit/s.
    pub(super) rate_mbps: Option<f64>,
    /// What the clients at the end of the window are taken to need, Mbit/s; `None`: they do not tell.
    pub(super) by_clients_mbps: Option<f64>,
    /// What one Mbit/s takes of each elastic resource, in the unit of its limit.
    pub(super) cost: [f64; ELASTIC],
    /// As measured.
    pub(super) measured: Pressure,
    /// Bookings of closed windows that the sample cannot have seen.
    pub(super) carried: Carried,
    /// What one client has been seen to need, Mbit/s.
    pub(super) mbps_per_client: f64,
    /// Viewers that leave, per viewer and second.
    pub(super) hazard: f64,
    /// End of the last window.
    pub(super) settled_at: Option<Moment>,
    /// When the node joined or came back.
    pub(super) joined: Option<Moment>,
    /// Bits of [`status`].
    pub(super) status: u32,
}

// === impl Basis ===

impl Basis {
    /// The ledger line as of `now`.
    pub(super) fn line(&self, node: &Node, settings: WatchSettings, kappa: f64, now: Moment) -> LineUpdate {
        let weight = [node.weight, node.weight.min(1.0), node.weight.min(1.0)];
        let ramp = self.joined.map_or(1.0, |joined| health::ramp(now.since_s(joined)));
        let staying = self.settled_at.map_or(1.0, |settled| {
            traffic::staying(self.hazard, now.since_s(settled), settings.interval_s())
        });
        let estimate_mbps = self.estimate_mbps(kappa);
        let carried_mbps = self.carried.unseen_mbps;
        let mut update = LineUpdate {
            // A reload may have given the node other addresses or ports since it was judged.
            status: self.status & !status::REACH | reach(node),
            carried_mbps: single(carried_mbps),
            mbps_per_client: single(self.mbps_per_client),
            estimate_mbps: single(estimate_mbps.unwrap_or(0.0) * staying),
            ..LineUpdate::default()
        };
        for r in 0..ELASTIC {
            let slope = self.cost[r] / (pressure::limit(&node.thresholds, RESOURCES[r]) * weight[r] * ramp);
            let measured = match (RESOURCES[r], estimate_mbps) {
                (Resource::Bandwidth, Some(mbps)) => slope * mbps,
                (resource, _) => self.measured.by[resource.index()].unwrap_or(0.0) / ramp,
            };
            update.base[r] = single(measured * staying + slope * kappa * carried_mbps);
            update.slope[r] = single(slope);
        }
        update.floor =
            FLOOR.iter().filter_map(|r| self.measured.by[r.index()]).map(single).fold(0.0, f32::max);
        if self.status & status::UNMEASURED != 0 {
            update.slope = [0.0; ELASTIC];
        }
        update
    }

    /// What the node must be taken to send, Mbit/s, the carry not counted: the rate, or what its clients need less
    /// what the carry counts of them already.
    fn estimate_mbps(&self, kappa: f64) -> Option<f64> {
        let twice = kappa * (self.carried.unseen_mbps - self.carried.connecting_mbps);
        let by_clients = self.by_clients_mbps.map_or(0.0, |mbps| mbps - twice);
        self.rate_mbps.map(|rate| rate.max(by_clients))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a pressure needs three digits")]
fn single(value: f64) -> f32 {
    value as f32
}
