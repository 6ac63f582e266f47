//! Once a second: overloaded nodes lose viewers, replicas sweep, the picture of the run grows by a sample.

use super::super::audience::STREAMS;
use super::super::events::Event;
use super::super::tally::Tally;
use super::super::viewers::Ticket;
use super::Run;

/// Above this use viewers notice.
const STALLS_ABOVE: f64 = 1.02;
/// Hazard of leaving a node, per second and unit of use above 1.
const HAZARD: f64 = 0.04;

/// A show's viewers leaving.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    pub(super) flash: usize,
    pub(super) per_s: f64,
    pub(super) until_s: f64,
}

// === impl Run ===

impl Run<'_> {
    pub(super) fn second(&mut self) {
        self.events.plan(self.now.plus_s(1.0), Event::Second);
        let now = self.now.moment();
        for replica in &mut self.replicas {
            replica.sweep(now);
        }
        let second_s = self.second_s();
        if second_s < 0.0 {
            return;
        }
        self.stalls();
        self.leave();
        self.sample(second_s);
        let warmup_s = self.plan.scenario.warmup_s;
        if (warmup_s..warmup_s + 1.0).contains(&second_s) {
            self.settle_all();
            self.tally = Tally::default();
        }
    }

    /// Viewers of nodes past their true capacity see the picture freeze; some ask for another node.
    fn stalls(&mut self) {
        let mut stalled: Vec<Ticket> = Vec::new();
        for node in 0..self.edges.len() as u32 {
            let utilisation = self.utilisation(node);
            if utilisation <= STALLS_ABOVE {
                continue;
            }
            let probability = 1.0 - (-HAZARD * (utilisation - 1.0)).exp();
            let there = &self.edges[node as usize].viewers;
            let (luck, viewers) = (&mut self.luck, &mut self.viewers);
            luck.sample(there.len(), probability, |i| {
                let (ticket, viewer) = viewers.in_slot(there[i]);
                if !viewer.manner.past {
                    stalled.push(ticket);
                }
            });
        }
        self.tally.stalls += stalled.len() as u64;
        for ticket in stalled {
            self.throw_off(ticket, 0.0, true);
        }
    }

    /// A show is over.
    fn leave(&mut self) {
        let Some(Leaving { flash, per_s, until_s }) = self.leaving else { return };
        if self.second_s() > until_s {
            self.leaving = None;
            return;
        }
        let mut gone: Vec<Ticket> = Vec::new();
        for edge in &self.edges {
            for slot in &edge.viewers {
                let (ticket, viewer) = self.viewers.in_slot(*slot);
                if usize::from(viewer.stream) == STREAMS + flash && self.luck.chance(per_s) {
                    gone.push(ticket);
                }
            }
        }
        for ticket in gone {
            self.depart(ticket);
        }
    }

    fn sample(&mut self, second_s: f64) {
        let pop_of = &self.plan.world.fleet.pop_of;
        let uses: Vec<f64> = (0..self.edges.len() as u32).map(|node| self.utilisation(node)).collect();
        for (before, now) in self.last_use.iter_mut().zip(&uses) {
            self.tally.flip(*before, *now);
            *before = *now;
        }
        self.timeline.sample(second_s, &uses, |node| usize::from(pop_of[node].0));
    }
}
