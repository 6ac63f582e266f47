//! Results as a table, aligned for a terminal or in markdown.
//!
//! First what was promised and what came of it, a line per scenario; then every figure of every policy.

use std::fmt::Write as _;

use super::figures::Figures;
use super::jobs::{Row, Sheet};
use super::scenario::Reach;
use super::verdict::Verdict;

/// A table's text: header, then rows; the first `left` columns are words, the others numbers.
struct Table {
    rows: Vec<Vec<String>>,
    left: usize,
}

/// Everything, ready to print.
pub(super) fn render(sheets: &[Sheet], markdown: bool) -> String {
    let mut text = String::new();
    for (table, title) in [(promises(sheets), "Promises"), (details(sheets), "All figures")] {
        let heading = if markdown { format!("## {title}\n\n") } else { format!("{title}\n") };
        text += &heading;
        text += &if markdown { table.markdown() } else { table.aligned() };
        text.push('\n');
    }
    text += LEGEND;
    for sheet in sheets {
        let mark = if markdown { "- " } else { "  " };
        let _ = writeln!(text, "{mark}{}: {}.", sheet.scenario.name, sheet.says());
    }
    text
}

const LEGEND: &str = "\
Means over seeds, the peak is the highest. >80/>85/>100 %: node-minutes over that share of true capacity; peak: \
the fullest node; bad %: viewing time on nodes over 100 %; new %: answers naming such a node or a dead one; \
km: mean distance; back %: upstream pull over egress of placed viewers; flips: crossings of 80 % per node and \
hour; churn: viewers who had to ask again; wasted: the same less those a dying PoP cut; deg %: answers given \
although nothing fitted.
";

/// A line per scenario: what must be reached, what the first policy came to, what naive came to.
fn promises(sheets: &[Sheet]) -> Table {
    let head = ["scenario", "reach", "policy", "measured", "naive", "verdict"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for sheet in sheets {
        let naive = sheet.rows.iter().find(|row| row.variant.name == "naive");
        let naive = match (naive, sheet.scenario.naive) {
            (Some(row), _) => short(&row.mean, &Reach::NONE),
            (None, Some((over_80, over_100))) => format!("({over_80:.0}/–/{over_100:.0})"),
            (None, None) => "–".to_owned(),
        };
        let Some(row) = sheet.rows.iter().find(|row| row.variant.name != "naive").or(sheet.rows.first())
        else {
            continue;
        };
        rows.push(vec![
            sheet.scenario.name.to_owned(),
            promise(&sheet.scenario.reach),
            row.variant.name.clone(),
            short(&row.mean, &sheet.scenario.reach),
            naive,
            Verdict::of(&row.mean, &sheet.scenario.reach).to_string(),
        ]);
    }
    Table { rows, left: head.len() }
}

/// "≤ 2/0/0, peak ≤ 0.85, ≤ 475 km".
fn promise(reach: &Reach) -> String {
    let minutes = [reach.over_80, reach.over_85, reach.over_100];
    let mut parts = Vec::new();
    if minutes.iter().any(Option::is_some) {
        let parts_of = minutes.map(|limit| limit.map_or("–".to_owned(), |limit| format!("{limit:.0}")));
        parts.push(format!("≤ {}", parts_of.join("/")));
    }
    parts.extend(reach.peak.map(|peak| format!("peak ≤ {peak:.2}")));
    parts.extend(reach.km.map(|km| format!("≤ {km:.0} km")));
    parts.extend(reach.back_to_source.map(|share| format!("back ≤ {share:.1} %")));
    parts.extend(reach.bad.map(|bad| format!("bad ≤ {bad:.2} %")));
    parts.extend(reach.churn.map(|churn| format!("churn ≤ {churn:.0}")));
    parts.extend(reach.wasted.map(|wasted| format!("wasted ≤ {wasted:.0}")));
    if parts.is_empty() { "–".to_owned() } else { parts.join(", ") }
}

/// Node-minutes, and each further figure that something is promised of.
fn short(figures: &Figures, reach: &Reach) -> String {
    let mut text = format!("{:.0}/{:.0}/{:.0}", figures.over_80, figures.over_85, figures.over_100);
    let more = [
        reach.peak.map(|_| format!("peak {:.2}", figures.peak)),
        reach.km.map(|_| format!("{:.0} km", figures.km)),
        reach.back_to_source.map(|_| format!("back {:.1} %", figures.back_to_source)),
        reach.bad.map(|_| format!("bad {:.2} %", figures.bad)),
        reach.churn.map(|_| format!("churn {:.0}", figures.churn)),
        reach.wasted.map(|_| format!("wasted {:.0}", figures.wasted)),
    ];
    for part in more.into_iter().flatten() {
        let _ = write!(text, ", {part}");
    }
    text
}

fn details(sheets: &[Sheet]) -> Table {
    let head = [
        "scenario", "policy", ">80 %", ">85 %", ">100 %", "peak", "bad %", "new %", "km", "back %", "flips",
        "churn", "wasted", "deg %", "κ", "answers",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for sheet in sheets {
        for Row { variant, mean, .. } in &sheet.rows {
            rows.push(vec![
                sheet.scenario.name.to_owned(),
                variant.name.clone(),
                minutes(mean.over_80),
                minutes(mean.over_85),
                minutes(mean.over_100),
                format!("{:.2}", mean.peak),
                format!("{:.2}", mean.bad),
                format!("{:.2}", mean.new_to_full),
                format!("{:.0}", mean.km),
                format!("{:.1}", mean.back_to_source),
                format!("{:.1}", mean.flips),
                format!("{:.0}", mean.churn),
                format!("{:.0}", mean.wasted),
                format!("{:.2}", mean.degraded),
                if variant.books { format!("{:.2}", mean.kappa) } else { "–".to_owned() },
                format!("{:.0}", mean.answers),
            ]);
        }
    }
    Table { rows, left: 2 }
}

/// A decimal where it matters.
fn minutes(value: f64) -> String {
    if value < 99.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

// === impl Table ===

impl Table {
    fn aligned(&self) -> String {
        let mut text = String::new();
        let widths = self.widths();
        for (i, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> =
                row.iter().enumerate().map(|(at, cell)| self.padded(at, cell, widths[at])).collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
            if i == 0 {
                let line: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
                let _ = writeln!(text, "{}", line.join("──"));
            }
        }
        text
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        let widths = self.widths();
        for (i, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> =
                row.iter().enumerate().map(|(at, cell)| self.padded(at, cell, widths[at])).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
            if i == 0 {
                let rule = |(at, width): (usize, &usize)| match at < self.left {
                    true => "-".repeat(*width),
                    false => format!("{}:", "-".repeat(width.saturating_sub(1))),
                };
                let line: Vec<String> = widths.iter().enumerate().map(rule).collect();
                let _ = writeln!(text, "| {} |", line.join(" | "));
            }
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |at: usize| self.rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        (0..columns).map(|at| width(at).max(3)).collect()
    }

    fn padded(&self, at: usize, cell: &str, width: usize) -> String {
        if at < self.left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let rows = [["scenario", "km"], ["base", "466"], ["t5", "9"]];
        Table { rows: rows.map(|row| row.map(str::to_owned).to_vec()).to_vec(), left: 1 }
    }

    #[test]
    fn columns_are_aligned_in_both_forms() {
        assert_eq!(table().aligned(), "scenario   km\n─────────────\nbase      466\nt5          9\n");
        assert_eq!(
            table().markdown(),
            "| scenario |  km |\n| -------- | --: |\n| base     | 466 |\n| t5       |   9 |\n"
        );
    }

    #[test]
    fn a_promise_reads_as_in_the_specification() {
        let reach = Reach { peak: Some(0.85), km: Some(475.0), ..Reach::minutes(2.0, 0.0, 0.0) };
        assert_eq!(promise(&reach), "≤ 2/0/0, peak ≤ 0.85, ≤ 475 km");
        assert_eq!(promise(&Reach { over_100: Some(60.0), ..Reach::NONE }), "≤ –/–/60");
    }
}
