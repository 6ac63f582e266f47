//! What a run looked like over time, kept small: some 300 steps whatever its length.

use super::tally::OVER_80;

const STEPS: f64 = 300.0;

/// The course of one run.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    /// Length of a step, s.
    pub(super) step_s: f64,
    /// The fullest node of each step.
    pub(super) peak: Vec<f32>,
    /// 95 % of nodes were emptier than this at the fullest second of each step.
    pub(super) p95: Vec<f32>,
    /// Half of the nodes were emptier than this.
    pub(super) median: Vec<f32>,
    /// Nodes over 80 % at once, the most of each step.
    pub(super) over: Vec<u32>,
    /// The fullest node of each PoP: PoP by PoP, one row of steps each.
    pub(super) pops: Vec<Vec<f32>>,
}

// === impl Timeline ===

impl Timeline {
    /// An empty course of a run of this length.
    pub(super) fn new(duration_s: f64, pops: usize) -> Self {
        let step_s = (duration_s / STEPS).max(1.0);
        let steps = (duration_s / step_s).ceil() as usize;
        Self {
            step_s,
            peak: vec![0.0; steps],
            p95: vec![0.0; steps],
            median: vec![0.0; steps],
            over: vec![0; steps],
            pops: vec![vec![0.0; steps]; pops],
        }
    }

    /// Takes in every node's use at this second.
    pub(super) fn sample(&mut self, second_s: f64, uses: &[f64], pop_of: impl Fn(usize) -> usize) {
        let step = (second_s / self.step_s) as usize;
        if step >= self.peak.len() || uses.is_empty() {
            return;
        }
        for (node, utilisation) in uses.iter().enumerate() {
            let cell = &mut self.pops[pop_of(node)][step];
            *cell = cell.max(*utilisation as f32);
            self.peak[step] = self.peak[step].max(*utilisation as f32);
        }
        let over = uses.iter().filter(|utilisation| **utilisation > OVER_80).count() as u32;
        self.over[step] = self.over[step].max(over);
        let mut sorted = uses.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize] as f32;
        self.p95[step] = self.p95[step].max(at(0.95));
        self.median[step] = self.median[step].max(at(0.5));
    }
}
