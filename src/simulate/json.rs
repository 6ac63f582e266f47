//! Results for machines: every figure of every run, with what it was measured against.

use serde_json::{Value, json};

use super::jobs::Sheet;
use super::scenario::Reach;
use super::verdict::Verdict;

/// All sheets as one JSON value.
pub(super) fn of(sheets: &[Sheet]) -> Value {
    json!({ "scenarios": sheets.iter().map(sheet).collect::<Vec<_>>() })
}

fn sheet(sheet: &Sheet) -> Value {
    let scenario = &sheet.scenario;
    let policies = sheet.rows.iter().map(|row| {
        let verdict = Verdict::of(&row.mean, &scenario.reach);
        let runs = sheet.seeds.iter().zip(&row.by_seed);
        json!({
            "policy": row.variant.name,
            "mean": row.mean,
            "met": verdict.is_met(),
            "verdict": verdict.to_string(),
            "runs": runs.map(|(seed, figures)| json!({ "seed": seed, "figures": figures })).collect::<Vec<_>>(),
        })
    });
    json!({
        "scenario": scenario.name,
        "says": scenario.says,
        "edges": scenario.edges,
        "replicas": scenario.replicas,
        "interval_s": scenario.interval_s,
        "duration_s": scenario.duration_s,
        "seeds": sheet.seeds,
        "reach": reach(&scenario.reach),
        "naive_reference": scenario.naive.map(|(over_80, over_100)| json!({ "over_80": over_80, "over_100": over_100 })),
        "policies": policies.collect::<Vec<_>>(),
    })
}

fn reach(reach: &Reach) -> Value {
    json!({
        "over_80": reach.over_80,
        "over_85": reach.over_85,
        "over_100": reach.over_100,
        "peak": reach.peak,
        "bad": reach.bad,
        "km": reach.km,
        "back_to_source": reach.back_to_source,
        "churn": reach.churn,
        "wasted": reach.wasted,
    })
}
