//! Rebalance: viewers of a node that is to be empty, or is too full, are sent away to come back elsewhere.
//!
//! *What it decides*: from which node, how many, and whom. A node that an operator drains with a rate is emptied at that
//! rate, viewers first, then publishers. A node that has been over its limits for longer than its pool's `relief.after`
//! loses its youngest viewers, never a publisher, at the pool's rate, and at most `relief.share` of them. Either way only as many at a time as the other
//! nodes of the pool have room for now.
//!
//! *Why so*: a player that is cut off asks again, and is answered with a node that has room; media servers can tell it
//! nothing. The youngest have watched the least, and are the ones that came when the node was full already.
//!
//! *Limits*: some lists of clients at once, each node's at most every five seconds, because the API of SRS shares the
//! thread that sends media. Each replica acts for itself: relief belongs into the configuration of one of them.

mod rate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use self::rate::Rate;
use crate::config::Relief;
use crate::schedule::Moment;
use crate::schedule::health::NodeState;
use crate::schedule::node::NodeIndex;
use crate::schedule::watch::NodeReport;
use crate::state::eviction::{Api, Client, Evicted, Hands};
use crate::state::{Live, State};
use crate::telemetry::{Eviction, Telemetry, mask};

/// How often nodes are looked at.
const TURN: Duration = Duration::from_secs(1);
/// Nodes that are asked at once.
const AT_ONCE: usize = 8;
/// A node whose API fails is asked again after this, ms.
const AFTER_FAILURE_MS: u64 = 10_000;

/// Why viewers are sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// An operator drains the node.
    Drain,
    /// It is over its limits.
    Relief,
}

/// Sends viewers away.
pub struct Rebalance {
    state: Arc<State>,
    hands: Arc<dyn Hands>,
    telemetry: Arc<Telemetry>,
    reliefs: Mutex<HashMap<Box<str>, Relief>>,
    /// Of each node that is being emptied.
    rates: Mutex<HashMap<Box<str>, Rate>>,
}

/// What is to be done at one node.
struct Work {
    id: Box<str>,
    api: Option<Api>,
    cause: Cause,
    most: u32,
    /// Share of its viewers that may go in all.
    share: f64,
}

// === impl Rebalance ===

impl Rebalance {
    /// Nobody is relieved until [`Self::relieve_by`] says so.
    #[must_use]
    pub fn new(state: Arc<State>, hands: Arc<dyn Hands>, telemetry: Arc<Telemetry>) -> Self {
        Self { state, hands, telemetry, reliefs: Mutex::default(), rates: Mutex::default() }
    }

    /// From now on nodes of these pools are relieved.
    pub fn relieve_by(&self, reliefs: HashMap<Box<str>, Relief>) {
        *self.reliefs.lock().unwrap_or_else(PoisonError::into_inner) = reliefs;
    }

    /// Looks after nodes for ever.
    pub async fn run(self: Arc<Self>) {
        let mut turns = tokio::time::interval(TURN);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            self.turn(self.state.clock().now()).await;
        }
    }

    /// One look at all nodes as of `now`.
    pub async fn turn(&self, now: Moment) {
        let work = self.work(now);
        stream::iter(work).for_each_concurrent(AT_ONCE, |work| self.empty(work, now)).await;
    }

    /// What is due. Nodes that need nothing any more are forgotten.
    fn work(&self, now: Moment) -> Vec<Work> {
        let live = self.state.live();
        let reliefs = self.reliefs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = HashMap::new();
        let mut work = Vec::new();
        for (index, report) in live.reports() {
            let node = live.fleet.node(index);
            let relief = reliefs.get(&node.pool);
            let Some((cause, per_minute)) = wanted(&report, relief, now) else { continue };
            let mut rate = rates.remove(&node.id).unwrap_or_else(|| Rate::new(now));
            let due = rate.due(per_minute, now);
            let most = self.within_room(&live, index, cause, due);
            if due > 0 {
                rate.taken(now);
            }
            if most > 0 {
                let share = relief.filter(|_| cause == Cause::Relief).map_or(1.0, |relief| relief.share);
                work.push(Work { id: node.id.clone(), api: Api::of(node), cause, most, share });
            }
            kept.insert(node.id.clone(), rate);
        }
        *rates = kept;
        work
    }

    /// Of those that are due, so many as others have room for.
    fn within_room(&self, live: &Live, node: NodeIndex, cause: Cause, due: u32) -> u32 {
        if due == 0 {
            return 0;
        }
        let places = live.places_beside(node, due);
        if places == 0 {
            self.telemetry.evicted(cause.as_str(), Eviction::NoRoom);
        }
        places
    }

    /// Sends away whom a node has to lose.
    async fn empty(&self, work: Work, now: Moment) {
        let node = &*work.id;
        let Some(api) = work.api.clone() else {
            return self.failed(&work, "it has no media.api", now);
        };
        let clients = match self.hands.clients(api.clone()).await {
            Ok(clients) => {
                let most = work.most.min(self.left(&work, &clients));
                chosen(clients, work.cause, most)
            }
            Err(why) => return self.failed(&work, &why, now),
        };
        for client in clients {
            match self.hands.evict(api.clone(), client.id.clone()).await {
                Ok(evicted) => {
                    let outcome = match evicted {
                        Evicted::Kicked => Eviction::Kicked,
                        Evicted::Gone => Eviction::Gone,
                    };
                    self.telemetry.evicted(work.cause.as_str(), outcome);
                    self.took(node);
                    let from =
                        client.ip.map_or_else(|| "unknown".to_owned(), |ip| mask::network(ip).to_string());
                    let (cause, alive_s, publishes) = (work.cause.as_str(), client.alive_s, client.publishes);
                    tracing::info!(node, cause, client = %from, alive_s, publishes, ?evicted, "client sent away");
                }
                Err(why) => return self.failed(&work, &why, now),
            }
        }
        if let Some(rate) = self.rates.lock().unwrap_or_else(PoisonError::into_inner).get_mut(node) {
            rate.worked();
        }
    }

    /// How many may be sent away yet of the viewers of a node, as far as its share goes.
    fn left(&self, work: &Work, clients: &[Client]) -> u32 {
        if work.cause == Cause::Drain {
            return u32::MAX;
        }
        let viewers = clients.iter().filter(|client| !client.publishes).count();
        let viewers = u32::try_from(viewers).unwrap_or(u32::MAX);
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.get_mut(&work.id).map_or(0, |rate| rate.within(work.share, viewers))
    }

    /// One of those that were due has been sent away.
    fn took(&self, node: &str) {
        if let Some(rate) = self.rates.lock().unwrap_or_else(PoisonError::into_inner).get_mut(node) {
            rate.spend();
        }
    }

    /// Counts a failure, says it once, and leaves the node alone for a while.
    fn failed(&self, work: &Work, why: &str, now: Moment) {
        let (node, cause) = (&*work.id, work.cause.as_str());
        self.telemetry.evicted(cause, Eviction::Failed);
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = rates.get_mut(node).is_some_and(|rate| rate.failed(now.plus_ms(AFTER_FAILURE_MS)));
        if is_news {
            tracing::warn!(node, cause, "viewers cannot be sent away: {why}");
        }
    }
}

/// Whether a node has to lose viewers, why, and how many a minute.
fn wanted(report: &NodeReport, relief: Option<&Relief>, now: Moment) -> Option<(Cause, u32)> {
    if let Some(order) = &report.drain {
        return order.evict_per_minute.map(|per_minute| (Cause::Drain, per_minute));
    }
    let relief = relief.filter(|relief| {
        report.state == NodeState::Overloaded && now.since_ms(report.since) >= relief.after_ms
    });
    relief.map(|relief| (Cause::Relief, relief.per_minute))
}

/// Whom it hits: the youngest viewers; when nobody watches a drained node any more, those who publish.
fn chosen(clients: Vec<Client>, cause: Cause, most: u32) -> Vec<Client> {
    let (publishers, mut viewers): (Vec<_>, Vec<_>) =
        clients.into_iter().partition(|client| client.publishes);
    if viewers.is_empty() && cause == Cause::Drain {
        viewers = publishers;
    }
    viewers.sort_by(|a, b| a.alive_s.total_cmp(&b.alive_s));
    viewers.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    viewers
}

// === impl Cause ===

impl Cause {
    /// The label.
    fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Relief => "relief",
        }
    }
}

#[cfg(test)]
mod tests;
