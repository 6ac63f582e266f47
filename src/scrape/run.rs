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

use super::collect::Collect;
use super::probe::{Probed, Prober, Question};
use super::targets::{Target, TargetId, Targets};
use super::{How, Plan};
use crate::clock::Clock;
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
    waiting: VecDeque<TargetId>,
    /// Whose silence is to be confirmed, and when, ms since the loop began: in order, as all wait equally long.
    confirming: VecDeque<(u64, TargetId)>,
    probes: JoinSet<Probed>,
    /// Whose probe a task is. Kept here and not in the task, so that a task that panics is known too.
    running: HashMap<task::Id, TargetId>,
    began: Instant,
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
            waiting: VecDeque::new(),
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
        }
        let now_ms = self.now_ms();
        self.targets.replace(&plan.nodes, plan.how.settings.interval_ms, now_ms);
    }

    /// Queues what is due.
    fn take_due(&mut self) {
        let now_ms = self.now_ms();
        while let Some(id) = self.targets.take_due(now_ms) {
            self.waiting.push_back(id);
        }
        while let Some((_, id)) = self.confirming.pop_front_if(|(due_ms, _)| *due_ms <= now_ms) {
            let Some(target) = self.targets.get_mut(id) else { continue };
            if !std::mem::replace(&mut target.busy, true) {
                self.waiting.push_front(id);
            }
        }
    }

    /// Queues a node's targets before all others.
    fn rescrape(&mut self, node: &str) {
        let now_ms = self.now_ms();
        for id in self.targets.take_node(node, now_ms) {
            self.waiting.push_front(id);
        }
    }

    /// Starts probes while there are free places.
    fn start_waiting(&mut self) {
        while self.running.len() < self.how.settings.concurrency.max(1) {
            let Some(id) = self.waiting.pop_front() else { return };
            let Some(target) = self.targets.get_mut(id) else { continue };
            let Some(url) = target.url.clone() else {
                target.busy = false;
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
            self.running.insert(handle.id(), id);
        }
    }

    /// Takes the result of a probe.
    fn finish(&mut self, ended: Result<(task::Id, Probed), task::JoinError>) {
        let (task, probed) = match ended {
            Ok((task, probed)) => (task, Some(probed)),
            Err(error) => (error.id(), None),
        };
        let Some(id) = self.running.remove(&task) else { return };
        let Some(target) = self.targets.get_mut(id) else { return };
        target.busy = false;
        let Some(probed) = probed else {
            let now = self.clock.now();
            let failure = ProbeFailure::Parse("our side: the probe panicked".into());
            return self.report(id, Err(failure), Timing { sent: now, received: now });
        };
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
                tracing::warn!(node, target = shown, reason = failure.label(), "target fails: {failure}");
            }
            Ok(_) if target.failing => tracing::info!(node, target = shown, "target answers again"),
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

/// Says once that a target cannot be asked for less.
fn log_collect(target: &Target, learnt: &Collect) {
    if *learnt == Collect::Never {
        let (node, shown) = (&*target.node, &*target.shown);
        tracing::info!(node, target = shown, "collect[] does not work there; the whole page is asked for");
    }
}

/// Sleeps until then, or for ever.
async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
