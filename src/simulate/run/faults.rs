//! Misfortunes, as the scenario lists them.

use super::super::Kill;
use super::super::events::Event;
use super::super::scenario::{Scenario, Trouble};
use super::Run;
use super::seconds::Leaving;

/// A cut viewer notices within so long, s.
const NOTICED_S: f64 = 1.0;

/// Something that happens once; a flapping edge plans its next step itself.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) at_s: f64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Trouble(Trouble),
    PopDies(Box<str>),
    Flap { nodes: Vec<usize>, every_s: f64 },
}

/// What a scenario and its operator have in store.
pub(super) fn steps(scenario: &Scenario, kills: &[Kill]) -> Vec<Step> {
    let troubles =
        scenario.faults.iter().map(|fault| Step { at_s: fault.at_s, what: What::Trouble(fault.what) });
    let kills = kills.iter().map(|kill| Step { at_s: kill.at_s, what: What::PopDies(kill.pop.clone()) });
    troubles.chain(kills).collect()
}

// === impl Run ===

impl Run<'_> {
    /// Does step number `step`.
    pub(super) fn strike(&mut self, step: usize) {
        match self.steps[step].what.clone() {
            What::Trouble(trouble) => self.trouble(trouble),
            What::PopDies(pop) => {
                if let Some(pop) = self.plan.world.fleet.pops.iter().position(|site| site.name == pop) {
                    self.die(&self.sites[pop].clone());
                }
            }
            What::Flap { nodes, every_s } => self.flap(nodes, every_s),
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        let nodes = self.edges.len();
        match trouble {
            Trouble::LargestPopDies(region) => {
                if let Some(pop) = self.largest_pop(region) {
                    self.die(&self.sites[pop].clone());
                }
            }
            Trouble::Capacity(share, factor) => {
                for node in self.harm.subset(nodes, share) {
                    self.settle(node as u32);
                    self.edges[node].scale_capacity(factor);
                }
            }
            Trouble::Silent(share) => {
                for node in self.harm.subset(nodes, share) {
                    self.edges[node].exporter.silent = true;
                }
            }
            Trouble::Frozen(share) => {
                for node in self.harm.subset(nodes, share) {
                    self.settle(node as u32);
                    self.edges[node].freeze();
                }
            }
            Trouble::CountersReset(share) => {
                for node in self.harm.subset(nodes, share) {
                    self.settle(node as u32);
                    self.edges[node].restart();
                }
            }
            Trouble::Flapping(share, every_s) => {
                let nodes = self.harm.subset(nodes, share);
                self.flap(nodes, every_s);
            }
            Trouble::Restart(replica) => {
                self.replicas[replica] = Self::replica(self.plan, replica, self.now);
                self.forget_pages(replica);
            }
            Trouble::StopsScraping(replica) => self.replicas[replica].scrapes = false,
            Trouble::ShowEnds(flash, per_s, for_s) => {
                self.leaving = Some(Leaving { flash, per_s, until_s: self.second_s() + for_s });
            }
        }
    }

    /// The PoP with the most capacity in a region; in a fleet that has none there, of all.
    fn largest_pop(&self, region: &str) -> Option<usize> {
        let world = self.plan.world;
        let capacity = |pop: usize| -> f64 {
            self.sites[pop].iter().map(|node| world.machines[*node as usize].egress_mbps).sum()
        };
        let there = |pop: usize| world.region_of(pop) == region;
        let most = |a: &usize, b: &usize| (there(*a), capacity(*a)).partial_cmp(&(there(*b), capacity(*b)));
        (0..self.sites.len()).max_by(|a, b| most(a, b).unwrap_or(std::cmp::Ordering::Equal))
    }

    /// These nodes answer nobody any more; their viewers are cut.
    fn die(&mut self, nodes: &[u32]) {
        for node in nodes {
            self.edges[*node as usize].alive = false;
            while let Some(slot) = self.edges[*node as usize].viewers.last().copied() {
                let (ticket, _) = self.viewers.in_slot(slot);
                self.tally.cut += 1;
                let after_s = self.luck.between(0.0, NOTICED_S);
                self.throw_off(ticket, after_s, false);
            }
        }
    }

    /// Those that are up go down, those that are down come back with counters at 0; and again.
    fn flap(&mut self, nodes: Vec<usize>, every_s: f64) {
        for node in &nodes {
            if self.edges[*node].alive {
                self.die(&[*node as u32]);
            } else {
                self.settle(*node as u32);
                self.edges[*node].restart();
                self.edges[*node].alive = true;
            }
        }
        let at_s = self.second_s() + every_s;
        self.steps.push(Step { at_s, what: What::Flap { nodes, every_s } });
        let step = self.steps.len() - 1;
        self.events.plan(self.origin.plus_s(at_s), Event::Fault(step as u32));
    }
}
