//! Whether figures reach what is promised. Compared as printed: "0" is met by what rounds to 0.

use super::figures::Figures;
use super::scenario::Reach;

/// Promises that were not kept, by their names in the table; empty: all were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    missed: Vec<&'static str>,
    promised: bool,
}

// === impl Verdict ===

impl Verdict {
    /// Holds figures against what they must reach.
    pub(super) fn of(figures: &Figures, reach: &Reach) -> Self {
        let lines = [
            (">80 %", figures.over_80, reach.over_80, 1.0),
            (">85 %", figures.over_85, reach.over_85, 1.0),
            (">100 %", figures.over_100, reach.over_100, 1.0),
            ("peak", figures.peak, reach.peak, 0.01),
            ("bad", figures.bad, reach.bad, 0.01),
            ("km", figures.km, reach.km, 1.0),
            ("back-to-source", figures.back_to_source, reach.back_to_source, 0.1),
            ("churn", figures.churn, reach.churn, 1.0),
            ("wasted", figures.wasted, reach.wasted, 1.0),
        ];
        let missed = lines.iter().filter_map(|(name, measured, reach, grain)| {
            let reach = (*reach)?;
            (*measured >= reach + grain / 2.0).then_some(*name)
        });
        Self { missed: missed.collect(), promised: *reach != Reach::NONE }
    }

    /// Something was promised and all of it was kept.
    pub(super) fn is_met(&self) -> bool {
        self.promised && self.missed.is_empty()
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.promised, self.missed.as_slice()) {
            (false, _) => f.write_str("–"),
            (true, []) => f.write_str("met"),
            (true, missed) => write!(f, "missed: {}", missed.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_held_as_printed_and_a_miss_is_named() {
        let reach = Reach { peak: Some(0.85), ..Reach::minutes(2.0, 0.0, 0.0) };
        let good = Figures { over_80: 2.4, over_85: 0.3, peak: 0.854, ..Figures::default() };
        assert!(Verdict::of(&good, &reach).is_met());
        let bad = Figures { over_85: 0.6, peak: 0.9, ..good };
        assert_eq!(Verdict::of(&bad, &reach).to_string(), "missed: >85 %, peak");
        assert_eq!(Verdict::of(&bad, &Reach::NONE).to_string(), "–");
    }
}
