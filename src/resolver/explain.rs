//! Explain: the same question, decided without booking, with every candidate laid open.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::view::{ResourceView, resources, round};
use super::{Answer, Question, Refusal, Resolver, age_s, pool_name};
use crate::geo::GeoDetail;
use crate::schedule::Moment;
use crate::schedule::booking::{Line, status};
use crate::schedule::decide::consider;
use crate::schedule::fleet::PopIndex;
use crate::schedule::node::NodeIndex;
use crate::schedule::rtt::RttRow;
use crate::schedule::terms::Terms;
use crate::state::Live;

/// Why a client gets the answer it gets.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The domain asked for.
    pub domain: String,
    /// The pool that answers it.
    pub pool: String,
    /// How a node is chosen.
    pub policy: &'static str,
    /// The client.
    pub client_ip: IpAddr,
    /// The client subnet that a DNS query would have named; `None`: it is about a client itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<SubnetView>,
    /// Where it is taken to be, and who says so.
    pub geo: GeoDetail,
    /// Why the winner is the winner.
    pub reason: &'static str,
    /// The winner is over its limit, or nothing is known of it.
    pub degraded: bool,
    /// How long the answer would hold, s.
    pub ttl_s: u32,
    /// Viewers that really arrive per own booking.
    pub kappa: f32,
    /// C: what one unit of a node's price is worth now, km; absent: the pool's nodes do not differ in price.
    pub price_km: Option<f32>,
    /// What the viewer is taken to need, Mbit/s.
    pub bitrate_mbps: f64,
    /// Who says so: `asked`, `stream`, `p90` or `default`.
    pub bitrate_from: &'static str,
    /// The winner's id: the node that `/resolve` would name first.
    pub winner: String,
    /// Every node of the pool: the ranked answer first, the others by distance.
    pub candidates: Vec<CandidateView>,
}

/// A client subnet (RFC 7871), whose first address is the client then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SubnetView {
    /// As it was asked for.
    pub network: IpNet,
    /// SCOPE PREFIX-LENGTH: for how many leading bits the answer holds, and resolvers may keep it.
    pub scope: u8,
}

/// One node as a candidate.
#[derive(Clone, Debug, Serialize)]
pub struct CandidateView {
    /// The node.
    pub id: String,
    /// Its site.
    pub pop: String,
    /// Its first address.
    pub ip: Option<String>,
    /// 1 for the winner, 2 and on for the fallbacks; absent for all others.
    pub rank: Option<usize>,
    /// From the client to its PoP, km.
    pub distance_km: Option<f64>,
    /// What the client's network measured to there counts as, km, instead of the distance; absent: no evidence.
    pub rtt_km: Option<f64>,
    /// What decides, km: distance (or measured) + congestion + affinity + price + isp; absent: the node does not fit, or the client has no place.
    pub score_km: Option<f64>,
    /// Of that, the congestion price: `L·x/(1−x)` of the pressure below; absent at and over the limit.
    pub congestion_km: Option<f64>,
    /// Of that, what the stream wants: 0 for the node it wants most.
    pub affinity_km: Option<f64>,
    /// Of that, for its price above the cheapest of the pool; absent: the pool's nodes do not differ in price.
    pub price_km: Option<f64>,
    /// Of that, for not being on the line of the client's internet provider; absent: it is not known, or no node
    /// of the pool names any.
    pub isp_km: Option<f64>,
    /// Pressure with this viewer on it, bookings included.
    pub pressure: f64,
    /// The resources behind it, as measured.
    pub resources: Vec<ResourceView>,
    /// Bookings, κ times, and what is carried, Mbit/s.
    pub booked_mbps: f64,
    /// Its state.
    pub state: &'static str,
    /// Age of the oldest evidence, s.
    pub sample_age_s: Option<f64>,
    /// Why it cannot be chosen; absent: it could.
    pub excluded_because: Option<String>,
}

// === impl Resolver ===

impl Resolver {
    /// Decides without booking and lays every candidate open. Costs a walk over the pool: for people.
    ///
    /// # Errors
    /// Those of [`Resolver::resolve`].
    pub fn explain(&self, question: &Question<'_>) -> Result<Explanation, Refusal> {
        let located = self.locator.locate(question.client);
        let answer = self.answer(self.state.live(), question, located, u32::MAX, consider)?;
        let live = &answer.live;
        let now = self.state.clock().now();
        let rtt = self.measured(question.client, now);
        let spec = &live.fleet.domains[usize::from(answer.domain)];
        let winner =
            answer.picks.first().map(|pick| live.fleet.node(pick.node).id.to_string()).unwrap_or_default();
        // A fallback pool may have answered: its nodes are the candidates then.
        let pool_of_winner = answer.picks.first().map(|pick| live.fleet.node(pick.node).pool.clone());
        let pool = live.fleet.pools.iter().find(|pool| Some(&pool.name) == pool_of_winner.as_ref());
        let members = pool.into_iter().flat_map(crate::schedule::fleet::Pool::nodes);
        let mut candidates: Vec<CandidateView> =
            members.map(|node| candidate(live, &answer, question, node, rtt.as_ref(), now)).collect();
        candidates.sort_by(|a, b| {
            let key = |c: &CandidateView| (c.rank.unwrap_or(usize::MAX), c.distance_km.unwrap_or(f64::MAX));
            key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal)
        });
        Ok(Explanation {
            domain: spec.name.to_string(),
            pool: pool_of_winner
                .map_or_else(|| pool_name(live, spec.pool).to_owned(), |name| name.to_string()),
            policy: spec.policy.as_str(),
            client_ip: question.client,
            subnet: None,
            geo: self.locator.detail(question.client),
            reason: answer.reason.as_str(),
            degraded: answer.degraded,
            ttl_s: answer.ttl_s,
            kappa: live.ledger.kappa(),
            price_km: pool.filter(|pool| pool.has_prices).map(|_| live.ledger.price_term().km()),
            bitrate_mbps: answer.need.mbps(),
            bitrate_from: answer.need.from.as_str(),
            winner,
            candidates,
        })
    }
}

fn candidate(
    live: &Live,
    answer: &Answer,
    question: &Question<'_>,
    index: NodeIndex,
    rtt: Option<&RttRow>,
    now: Moment,
) -> CandidateView {
    let node = live.fleet.node(index);
    let report = live.report(index);
    let line = live.ledger.line(index);
    let site = live.fleet.pops[usize::from(live.fleet.pop_of(index).0)].point;
    let client = answer.located.location.map(crate::schedule::place::Location::point);
    #[expect(clippy::cast_possible_truncation, reason = "a bitrate needs three digits")]
    let mbps = answer.need.mbps() as f32;
    let pressure = f64::from(live.ledger.pressure(index, mbps));
    let kappa = f64::from(live.ledger.kappa());
    let distance_km = client.zip(site).map(|(client, site)| tenth(client.distance_km(site)));
    let rtt_km = measured(rtt, live.fleet.pop_of(index), distance_km);
    let congestion_km =
        (pressure < 1.0).then(|| tenth(f64::from(live.plan.congestion_km) * pressure / (1.0 - pressure)));
    let affinity_km = affinity(live, question, index).map(tenth);
    let (price_km, isp_km) = terms(live, answer, index);
    let extra_km = price_km.unwrap_or(0.0) + isp_km.unwrap_or(0.0);
    let score_km = rtt_km
        .or(distance_km)
        .zip(congestion_km)
        .zip(affinity_km)
        .map(|((d, c), a)| tenth(d + c + a + extra_km));
    CandidateView {
        id: node.id.to_string(),
        pop: node.pop.to_string(),
        ip: node.addresses().next().map(|ip| ip.to_string()),
        rank: answer.picks.iter().position(|pick| pick.node == index).map(|at| at + 1),
        distance_km,
        rtt_km,
        score_km,
        congestion_km,
        affinity_km,
        price_km,
        isp_km,
        pressure: round(pressure),
        resources: resources(live, index, &report),
        booked_mbps: round(kappa * (f64::from(line.booked_mbps()) + report.carried_mbps)),
        state: report.state.as_str(),
        sample_age_s: age_s(report.evidence, now),
        excluded_because: excluded(live, line, question, index, (pressure, mbps)),
    }
}

/// What the client's network measured to a PoP counts as, km; `None`: no evidence, or no distance to hold it to.
fn measured(rtt: Option<&RttRow>, pop: PopIndex, distance_km: Option<f64>) -> Option<f64> {
    #[expect(clippy::cast_possible_truncation, reason = "a distance needs six digits")]
    let map_km = distance_km? as f32;
    rtt?.measured_km(pop, map_km).map(|km| tenth(f64::from(km)))
}

/// A · affinity term of a node for the stream asked for, km.
fn affinity(live: &Live, question: &Question<'_>, index: NodeIndex) -> Option<f64> {
    let group = live.fleet.group_of(index)?;
    let pool = live.fleet.pool_with(index)?;
    let domain = &live.fleet.domains[usize::from(live.fleet.domain(question.domain)?.0)];
    let term = pool.affinity.term_of(super::bucket(question, domain), group, index)?;
    Some(f64::from(live.plan.affinity_km * term))
}

/// The price and the provider term of a node, km; `None`: it does not count in this pool, or for this client.
fn terms(live: &Live, answer: &Answer, index: NodeIndex) -> (Option<f64>, Option<f64>) {
    let Some(pool) = live.fleet.pool_with(index) else {
        return (None, None);
    };
    let isp = answer.located.isp;
    let km = Terms::new(&live.fleet, &live.ledger, pool, isp).of(index);
    let price_km = pool.has_prices.then(|| tenth(f64::from(km.price)));
    let isp_km = (pool.has_isps && isp.is_some()).then(|| tenth(f64::from(km.isp)));
    (price_km, isp_km)
}

fn tenth(km: f64) -> f64 {
    (km * 10.0).round() / 10.0
}

/// Why a node cannot be a first choice, the strongest reason first.
fn excluded(
    live: &Live,
    line: &Line,
    question: &Question<'_>,
    index: NodeIndex,
    (pressure, mbps): (f64, f32),
) -> Option<String> {
    let unfit = live.ledger.unfit();
    let pop = live.fleet.pop_of(index);
    let failed = question.failed.iter().filter_map(|ip| live.fleet.at_address(*ip));
    let bits = line.status();
    if bits & status::DRAINING & unfit != 0 {
        Some("draining".to_owned())
    } else if bits & status::DOWN & unfit != 0 {
        Some("down: nobody answers there".to_owned())
    } else if bits & question.family.bits() == 0 {
        Some("no address of the family asked for".to_owned())
    } else if failed.map(|node| live.fleet.pop_of(node)).any(|failed| failed == pop) {
        Some("the client has just failed at this PoP".to_owned())
    } else if bits & status::STARTING & unfit != 0 {
        Some("starting: nothing measured yet".to_owned())
    } else if bits & status::STALE & unfit != 0 {
        Some("stale: its samples are too old".to_owned())
    } else if pressure >= 1.0 {
        let mut reasons = live.report(index).reasons.clone();
        let uplink = live.ledger.uplink_pressure(index, mbps, true);
        if uplink >= 1.0 {
            reasons.insert(0, format!("the uplink of its PoP is at {uplink:.2} of its limit"));
        }
        let reasons = reasons.join("; ");
        Some(format!(
            "pressure {pressure:.2} with this viewer, bookings counted{}",
            match reasons.is_empty() {
                true => String::new(),
                false => format!(": {reasons}"),
            }
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
