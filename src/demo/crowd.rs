//! Lives the audience: every viewer asks the real service over HTTP, goes to the edge it was told, and leaves.
//!
//! Viewers are entries in a heap of departures, not tasks, and one task asks for all of them in turn: a few
//! thousand viewers cost a few hundred kilobytes and one connection.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::exporter::LiveEdge;
use super::fleet::DOMAIN;
use super::viewers::{Audience, Viewer};
use crate::clock::Clock;

/// How often arrivals and departures are looked at.
const STEP: Duration = Duration::from_millis(25);

/// A service on the same machine that has not answered by then is not going to.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Most viewers at once. Far above what any fleet size reaches; if something is wrong, memory stays bounded.
const MOST_VIEWERS: usize = 200_000;

/// Share of its limit that an edge carries when the demo begins, so that nobody has to wait for the first
/// minute's arrivals.
const RESIDENTS: f64 = 0.45;

/// What the viewers met so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Answers with an address.
    pub(super) answered: AtomicU64,
    /// Of these, how many came with reason `spilled`.
    pub(super) spilled: AtomicU64,
    /// No answer, a refusal, or an address of no edge.
    pub(super) failed: AtomicU64,
    /// Where a flash crowd gathers now.
    flash: Mutex<Option<&'static str>>,
}

/// The part of an answer that a viewer looks at.
#[derive(Debug, serde::Deserialize)]
struct Answer {
    ips: Vec<IpAddr>,
    reason: String,
}

/// A viewer who will leave: when, from which edge, and what they watched. The heap orders by the first.
type Departure = Reverse<(u64, usize, u32)>;

/// All viewers and the edges they are on.
#[derive(Debug)]
pub(super) struct Crowd {
    edges: Arc<[Arc<LiveEdge>]>,
    by_address: HashMap<IpAddr, usize>,
    audience: Audience,
    departures: BinaryHeap<Departure>,
    tally: Arc<Tally>,
}

// === impl Tally ===

impl Tally {
    /// Where a flash crowd gathers now.
    pub(super) fn flash(&self) -> Option<&'static str> {
        *self.flash.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_flash(&self, city: Option<&'static str>) {
        *self.flash.lock().unwrap_or_else(PoisonError::into_inner) = city;
    }
}

// === impl Crowd ===

impl Crowd {
    /// A fleet that is already being watched.
    pub(super) fn new(
        edges: Arc<[Arc<LiveEdge>]>,
        audience: Audience,
        tally: Arc<Tally>,
        now_ms: u64,
    ) -> Self {
        let mut by_address = HashMap::with_capacity(edges.len() * 2);
        for (index, edge) in edges.iter().enumerate() {
            by_address.insert(IpAddr::V4(edge.planned().ipv4), index);
            by_address.insert(IpAddr::V6(edge.planned().ipv6), index);
        }
        let mut crowd = Self { edges, by_address, audience, departures: BinaryHeap::new(), tally };
        for index in 0..crowd.edges.len() {
            crowd.settle(index, now_ms);
        }
        crowd
    }

    /// Puts residents on an edge.
    fn settle(&mut self, index: usize, now_ms: u64) {
        let edge = Arc::clone(&self.edges[index]);
        for _ in 0..MOST_VIEWERS / self.edges.len().max(1) {
            if edge.now(|model, _| model.pressure()) >= RESIDENTS {
                return;
            }
            let viewer = self.audience.resident();
            self.connect(index, &viewer, now_ms);
        }
    }

    /// Lives on until dropped.
    pub(super) async fn run(mut self, service: SocketAddr, clock: Clock) -> anyhow::Result<()> {
        let client = client()?;
        let mut steps = tokio::time::interval(STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            steps.tick().await;
            let now_ms = clock.now().0;
            self.leave(now_ms);
            self.tally.set_flash(self.audience.flash_city(now_ms).map(|city| city.name));
            while let Some(viewer) = self.audience.next(now_ms) {
                let answer = ask(&client, service, &viewer).await.ok();
                let Some((index, spilled)) = answer.and_then(|answer| self.find(&answer)) else {
                    self.tally.failed.fetch_add(1, Ordering::Relaxed);
                    // Those who are leaving must not wait for a service that does not answer.
                    break;
                };
                self.connect(index, &viewer, clock.now().0);
                self.tally.answered.fetch_add(1, Ordering::Relaxed);
                self.tally.spilled.fetch_add(u64::from(spilled), Ordering::Relaxed);
            }
        }
    }

    /// The edge that an answer names first, and whether it says that nearer ones were passed over.
    fn find(&self, answer: &Answer) -> Option<(usize, bool)> {
        let index = answer.ips.first().and_then(|ip| self.by_address.get(ip))?;
        Some((*index, answer.reason == "spilled"))
    }

    fn connect(&mut self, index: usize, viewer: &Viewer, now_ms: u64) {
        if self.departures.len() >= MOST_VIEWERS {
            return;
        }
        self.edges[index].now(|model, at_ms| model.attach(at_ms, viewer.kbps));
        self.departures.push(Reverse((now_ms + viewer.stay_ms, index, viewer.kbps)));
    }

    /// Everyone whose time has come leaves.
    fn leave(&mut self, now_ms: u64) {
        while let Some(&Reverse((at_ms, index, kbps))) = self.departures.peek() {
            if at_ms > now_ms {
                return;
            }
            self.departures.pop();
            self.edges[index].now(|model, at_ms| model.detach(at_ms, kbps));
        }
    }
}

/// One client for all viewers: plain HTTP to this machine, past any proxy of the environment.
fn client() -> anyhow::Result<reqwest::Client> {
    // The client wants a TLS provider even if it never speaks TLS. One that is already installed serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(ANSWER_WITHIN).build()?)
}

async fn ask(client: &reqwest::Client, service: SocketAddr, viewer: &Viewer) -> anyhow::Result<Answer> {
    let Viewer { address, stream, kbps, .. } = viewer;
    let url = format!(
        "http://{service}/resolve?domain={DOMAIN}&ip={address}&stream={stream}&bitrate={kbps}kbps&type=A"
    );
    let body = client.get(url).send().await?.error_for_status()?.bytes().await?;
    Ok(serde_json::from_slice(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::fleet::plan;

    fn crowd() -> Crowd {
        let (clock, plan) = (Clock::system(), plan(6, 1));
        let audience = Audience::new(&plan, 1, 0);
        let edges =
            plan.into_iter().map(|planned| Arc::new(LiveEdge::new(planned, 1, clock.clone()))).collect();
        Crowd::new(edges, audience, Arc::default(), 0)
    }

    #[test]
    fn the_fleet_is_watched_from_the_beginning() {
        let crowd = crowd();
        for edge in crowd.edges.iter() {
            let pressure = edge.now(|model, _| model.pressure());
            assert!((0.40..0.60).contains(&pressure), "{}: {pressure}", edge.planned().id);
        }
        let viewers: usize =
            crowd.edges.iter().map(|edge| edge.now(|model, _| model.viewers() as usize)).sum();
        assert_eq!(viewers, crowd.departures.len());
    }

    #[test]
    fn everyone_leaves_in_the_end() {
        let mut crowd = crowd();
        crowd.leave(u64::MAX);
        assert!(crowd.departures.is_empty());
        for edge in crowd.edges.iter() {
            assert_eq!(edge.now(|model, _| (model.viewers(), model.egress_kbps())), (0, 0));
        }
    }

    #[test]
    fn viewers_find_the_edge_that_was_answered() {
        let crowd = crowd();
        let answer = |ip: IpAddr| Answer { ips: vec![ip], reason: "spilled".to_owned() };
        let third = crowd.edges[2].planned();
        assert_eq!(crowd.find(&answer(third.ipv4.into())), Some((2, true)));
        assert_eq!(crowd.find(&answer(third.ipv6.into())), Some((2, true)));
        assert_eq!(crowd.find(&answer("10.0.0.1".parse().unwrap())), None);
    }
}
