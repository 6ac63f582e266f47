//! Figures: what a run comes to, and the mean of several.

use super::tally::Tally;

/// The figures of a run, or of the mean of several seeds (the peak is the highest of them).
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Figures {
    /// Node-minutes over 80 % of true capacity (80.5: a node that is just filled is not over).
    pub over_80: f64,
    /// Node-minutes over 85 %.
    pub over_85: f64,
    /// Node-minutes over 100 %.
    pub over_100: f64,
    /// Highest use of a node, 1 = full.
    pub peak: f64,
    /// Share of viewing time on nodes over 100 %, %.
    pub bad: f64,
    /// Share of answers that name a node which is over 100 % or dead, %.
    pub new_to_full: f64,
    /// Mean distance of placed viewers, km.
    pub km: f64,
    /// What edges pull for placed viewers over what these take, %.
    pub back_to_source: f64,
    /// Crossings of the 80 % line per node and hour.
    pub flips: f64,
    /// Viewers who had to ask again: cut, stalled or sent to a dead node.
    pub churn: f64,
    /// The same less those who were cut.
    pub wasted: f64,
    /// Share of answers given although nothing fitted, %.
    pub degraded: f64,
    /// κ at the end, mean over replicas.
    pub kappa: f64,
    /// Answers.
    pub answers: f64,
}

// === impl Figures ===

impl Figures {
    pub(super) fn of(tally: &Tally, kappa: f64) -> Self {
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let wasted = (tally.stalls + tally.dead_ends) as f64;
        Self {
            over_80: tally.over_80_s / 60.0,
            over_85: tally.over_85_s / 60.0,
            over_100: tally.over_100_s / 60.0,
            peak: tally.peak,
            bad: 100.0 * share(tally.bad_viewing_s, tally.viewing_s),
            new_to_full: 100.0 * share(tally.answers_to_full as f64, tally.answers as f64),
            km: share(tally.km_sum, tally.connects as f64),
            back_to_source: 100.0 * share(tally.pulled_kbit, tally.placed_kbit),
            flips: share(tally.flips as f64, tally.node_s / 3_600.0),
            churn: wasted + tally.cut as f64,
            wasted,
            degraded: 100.0 * share(tally.degraded as f64, tally.answers as f64),
            kappa,
            answers: tally.answers as f64,
        }
    }

    /// The mean of several runs; the peak is the highest of them.
    #[must_use]
    pub fn mean(runs: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> f64| runs.iter().map(of).sum::<f64>() / runs.len().max(1) as f64;
        Self {
            over_80: mean(|f| f.over_80),
            over_85: mean(|f| f.over_85),
            over_100: mean(|f| f.over_100),
            peak: runs.iter().map(|f| f.peak).fold(0.0, f64::max),
            bad: mean(|f| f.bad),
            new_to_full: mean(|f| f.new_to_full),
            km: mean(|f| f.km),
            back_to_source: mean(|f| f.back_to_source),
            flips: mean(|f| f.flips),
            churn: mean(|f| f.churn),
            wasted: mean(|f| f.wasted),
            degraded: mean(|f| f.degraded),
            kappa: mean(|f| f.kappa),
            answers: mean(|f| f.answers),
        }
    }
}
