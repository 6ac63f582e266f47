//! Learnt: what a replica has learnt from the whole fleet, the prior of every node.

use super::cost::FleetCost;
use super::kappa::{Answered, Kappa};
use super::traffic::{FleetHazard, Flow};

/// Fleet-wide learning of one replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learnt {
    /// Viewers that really arrive per own booking.
    pub kappa: Kappa,
    /// How fast viewers leave.
    pub hazard: FleetHazard,
    /// Cores of the machine that one Mbit/s takes.
    pub system_cost: FleetCost,
    /// Cores of the hottest process that one Mbit/s takes.
    pub process_cost: FleetCost,
    /// Nodes of the fleet: the length of a round.
    nodes: usize,
}

/// What one closed window teaches the fleet. `None` of it where no client counter was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lesson {
    /// The window.
    pub flow: Flow,
    /// Own answers given in it.
    pub own: f64,
    /// Own answers that should be among its connections.
    pub own_aligned: f64,
    /// Which part of them are viewers taken to stand behind shared answers, 0 to 1.
    pub shared_part: f64,
    /// Share of the window that a viewer who came in it was present, on average.
    pub presence: f64,
    /// Cores of the machine that one Mbit/s takes on this node; 0: not learnt.
    pub system_cores_per_mbps: f64,
    /// Cores of its hottest process that one Mbit/s takes; 0: not learnt.
    pub process_cores_per_mbps: f64,
}

// === impl Learnt ===

impl Learnt {
    /// Nothing learnt yet. `replicas` as configured.
    #[must_use]
    pub fn new(replicas: Option<u32>, nodes: usize) -> Self {
        Self {
            kappa: Kappa::new(replicas),
            hazard: FleetHazard::default(),
            system_cost: FleetCost::default(),
            process_cost: FleetCost::default(),
            nodes,
        }
    }

    /// The same, in a fleet that has grown or shrunk to `nodes`.
    #[must_use]
    pub fn among(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// Takes in one window.
    pub fn learn(&mut self, lesson: &Lesson) {
        let answered = Answered::of(lesson.own_aligned, lesson.shared_part);
        self.kappa.learn(lesson.flow.connected, answered, self.nodes);
        self.hazard.learn(&lesson.flow, self.nodes);
        self.system_cost.learn(lesson.system_cores_per_mbps);
        self.process_cost.learn(lesson.process_cores_per_mbps);
    }
}
