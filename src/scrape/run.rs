//! The loop: one task that knows what is due, and a short task for each probe under way.
//!
//! One timer and one heap serve any number of targets; a task with a timer for each would cost tens of megabytes at
//! 30,000 targets and would have to be found again at every reload.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::circuit::Lane;
use super::collect::Collect;
use super::lanes::Lanes;
use super::probe::{Probed, Prober, Question};
use super::targets::{Target, TargetId, Targets};
use super::{How, Plan};
use crate::clock::Clock;
use crate::config::Scrape;
use crate::schedule::health;
use crate::schedule::reading::{ProbeFailure, Reading, Timing};
use crate::state::Observer;

/// Makes who asks, in some way.
pub(super) type NewProber = Box<dyn Fn(How) -> Arc<dyn Prober> + Send>;

/// The state of the loop.
pub(super) struct Loop {
    clock: Clock,
    observer: Arc<dyn Observer>,
    how: How,
    prober: Arc<dyn Prober>,
    new_prober: NewProber,
    targets: Targets,
    /// Due, waiting for a free place.
    lanes: Lanes<TargetId>,
    /// Whose silence is to be confirmed, and when, ms since the loop began: in order, as all wait equally long.
    confirming: VecDeque<(u64, TargetId)>,
    probes: JoinSet<Probed>,
    /// Whose probe a task is. Kept here and not in the task, so that a task that panics is known too.
    running: HashMap<task::Id, UnderWay>,
    began: Instant,
}

/// A probe under way.
struct UnderWay {
    target: TargetId,
    lane: Lane,
    /// Since when, ms since the loop began.
    since_ms: u64,
}

// === impl Loop ===

impl Loop {
    pub(super) fn new(plan: &Plan, clock: Clock, observer: Arc<dyn Observer>, new_prober: NewProber) -> Self {
        let mut targets = Targets::default();
        targets.replace(&plan.nodes, plan.how.settings.interval_ms, 0);
        Self {
            clock,
            observer,
            how: plan.how.clone(),
            prober: new_prober(plan.how.clone()),
            new_prober,
            targets,
            lanes: Lanes::new(plan.how.settings.concurrency),
            confirming: VecDeque::new(),
            probes: JoinSet::new(),
            running: HashMap::new(),
            began: Instant::now(),
        }
    }

    /// Runs until cancelled or until the [`super::Scraper`] is dropped. Probes under way are given up.
    pub(super) async fn run(
        mut self,
        mut plans: watch::Receiver<Plan>,
        mut rescrapes: mpsc::Receiver<Box<str>>,
        cancel: CancellationToken,
    ) {
        loop {
            self.take_due();
            self.start_waiting();
            let next_ms =
                self.targets.next_due_ms().into_iter().chain(self.confirming.front().map(|next| next.0));
            let wake = next_ms.min().map(|due_ms| self.began + Duration::from_millis(due_ms));
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                changed = plans.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let plan = plans.borrow_and_update().clone();
                    self.replace(&plan);
                }
                Some(ended) = self.probes.join_next_with_id() => self.finish(ended),
                Some(node) = rescrapes.recv() => self.rescrape(&node),
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Takes over a new plan.
    fn replace(&mut self, plan: &Plan) {
        if self.how != plan.how {
            self.how = plan.how.clone();
            self.prober = (self.new_prober)(plan.how.clone());
            self.lanes.resize(plan.how.settings.concurrency);
            // What was too slow or too large may no longer be.
            self.targets.close_circuits();
        }
        let now_ms = self.now_ms();
        self.targets.replace(&plan.nodes, plan.how.settings.interval_ms, now_ms);
    }

    /// Queues what is due.
    fn take_due(&mut self) {
        let now_ms = self.now_ms();
        while let Some(id) = self.targets.take_due(now_ms) {
            self.line_up(id);
        }
        while let Some((_, id)) = self.confirming.pop_front_if(|(due_ms, _)| *due_ms <= now_ms) {
            let Some(target) = self.targets.get_mut(id) else { continue };
            if !std::mem::replace(&mut target.busy, true) {
                self.lanes.go_first(target.circuit.lane(true), id);
            }
        }
    }

    /// Queues a target that is due.
    fn line_up(&mut self, id: TargetId) {
        if let Some(target) = self.targets.get_mut(id) {
            self.lanes.line_up(target.circuit.lane(false), id);
        }
    }

    /// Queues a node's targets before all others.
    fn rescrape(&mut self, node: &str) {
        let now_ms = self.now_ms();
        for id in self.targets.take_node(node, now_ms) {
            if let Some(target) = self.targets.get_mut(id) {
                self.lanes.go_first(target.circuit.lane(false), id);
            }
        }
    }

    /// Starts probes while there are free places.
    fn start_waiting(&mut self) {
        while let Some((id, lane)) = self.lanes.enter() {
            let Some(target) = self.targets.get_mut(id) else {
                self.lanes.leave(lane);
                continue;
            };
            let Some(url) = target.url.clone() else {
                target.busy = false;
                self.lanes.leave(lane);
                let now = self.clock.now();
                let failure = ProbeFailure::Http("not a URL".into());
                self.report(id, Err(failure), Timing { sent: now, received: now });
                continue;
            };
            let question =
                Question { url, focus: Arc::clone(&target.focus), collect: target.collect.clone() };
            let prober = Arc::clone(&self.prober);
            // The call itself is inside the task, so that a panic in it is the task's.
            let handle = self.probes.spawn(async move { prober.probe(question).await });
            let since_ms = self.now_ms();
            self.running.insert(handle.id(), UnderWay { target: id, lane, since_ms });
        }
    }

    /// Takes the result of a probe.
    fn finish(&mut self, ended: Result<(task::Id, Probed), task::JoinError>) {
        let (task, probed) = match ended {
            Ok((task, probed)) => (task, Some(probed)),
            Err(error) => (error.id(), None),
        };
        let Some(UnderWay { target: id, lane, since_ms }) = self.running.remove(&task) else { return };
        self.lanes.leave(lane);
        let took_ms = self.now_ms() - since_ms;
        let Some(target) = self.targets.get_mut(id) else { return };
        target.busy = false;
        let Some(probed) = probed else {
            let now = self.clock.now();
            let failure = ProbeFailure::Parse("our side: the probe panicked".into());
            return self.report(id, Err(failure), Timing { sent: now, received: now });
        };
        let Scrape { timeout_ms, interval_ms, .. } = self.how.settings;
        target.circuit.ended(is_costly(&probed.outcome, took_ms, timeout_ms), interval_ms);
        if target.collect != probed.collect {
            log_collect(target, &probed.collect);
            target.collect = probed.collect;
        }
        if std::mem::take(&mut target.suspected)
            && probed.outcome.as_ref().is_err_and(ProbeFailure::is_silence)
        {
            let due_ms = self.now_ms() + health::CONFIRM_AFTER_MS;
            self.confirming.push_back((due_ms, id));
        }
        self.report(id, probed.outcome, probed.timing);
    }

    /// Tells the observer, and the log if something changed.
    fn report(&mut self, id: TargetId, outcome: Result<Reading, ProbeFailure>, timing: Timing) {
        let Some(target) = self.targets.get_mut(id) else { return };
        let (node, shown) = (&*target.node, &*target.shown);
        match &outcome {
            Err(failure) if !target.failing => {
                tracing::warn!(node, url = shown, reason = failure.label(), "target fails: {failure}");
            }
            Ok(_) if target.failing => tracing::info!(node, url = shown, "target answers again"),
            _ => {}
        }
        target.failing = outcome.is_err();
        self.observer.observed(node, target.index, outcome, timing);
    }

    /// Milliseconds since the loop began.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Whether a probe brought nothing for about as much as a probe can cost: time, or all that a page may have.
fn is_costly(outcome: &Result<Reading, ProbeFailure>, took_ms: u64, timeout_ms: u64) -> bool {
    outcome.as_ref().is_err_and(|failure| {
        matches!(failure, ProbeFailure::TooLarge(_)) || took_ms.saturating_mul(2) >= timeout_ms
    })
}

/// Says once that a target cannot be asked for less.
fn log_collect(target: &Target, learnt: &Collect) {
    if *learnt == Collect::Never {
        let (node, shown) = (&*target.node, &*target.shown);
        tracing::info!(node, url = shown, "collect[] does not work there; the whole page is asked for");
    }
}

/// Sleeps until then, or for ever.
async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
