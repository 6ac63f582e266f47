//! The heat strips: PoPs × time, the fullest edge of each PoP, a block per policy side by side.

use std::fmt::Write as _;

use super::super::jobs::{Row, Sheet};
use super::canvas::{Anchor, Canvas, Pen};
use super::{Area, LEFT, MARGIN, WIDTH, coloured, grouped, region, times};

/// Up to this use, this colour. Blues have room; from orange on an edge is over its limit.
const HEAT: [(f32, &str); 9] = [
    (0.2, "#f2f5f8"),
    (0.4, "#dde8f1"),
    (0.6, "#bbd2e6"),
    (0.7, "#90b6d6"),
    (0.805, "#5f94c1"),
    (0.85, "#f7c873"),
    (1.0, "#e98432"),
    (1.2, "#bf3421"),
    (f32::INFINITY, "#64101c"),
];
const LABELS: [&str; 9] = ["20", "40", "60", "70", "80", "85", "100", "120", ""];
const GAP: f64 = 22.0;
const REGION_GAP: f64 = 7.0;
const STRIPS_HEIGHT: f64 = 330.0;
const ROW: (f64, f64) = (4.0, 20.0);
/// Narrower blocks have a shorter caption.
const NARROW: f64 = 340.0;
/// From this height on each row has its name.
const NAMED_ROW: f64 = 9.0;

/// The order of rows, the same in every block.
#[derive(Debug)]
pub(super) struct Strips {
    /// PoPs by region, the largest region first.
    regions: Vec<(String, Vec<usize>)>,
    row: f64,
}

// === impl Strips ===

impl Strips {
    pub(super) fn of(sheet: &Sheet) -> Self {
        let mut regions: Vec<(String, Vec<usize>)> = Vec::new();
        for (pop, (_, region)) in sheet.pops.iter().enumerate() {
            match regions.iter_mut().find(|(name, _)| name == region) {
                Some((_, pops)) => pops.push(pop),
                None => regions.push((region.clone(), vec![pop])),
            }
        }
        regions.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
        let row = (STRIPS_HEIGHT / sheet.pops.len().max(1) as f64).clamp(ROW.0, ROW.1);
        Self { regions, row }
    }

    pub(super) fn height(&self) -> f64 {
        let rows: usize = self.regions.iter().map(|(_, pops)| pops.len()).sum();
        rows as f64 * self.row + self.regions.len().saturating_sub(1) as f64 * REGION_GAP
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, y: f64, sheet: &Sheet) {
        let title = Pen { size: 16.0, bold: true, ..Pen::INK };
        canvas.text(MARGIN, y - 44.0, &title, "Where it is full");
        canvas.text(MARGIN + 168.0, y - 44.0, &Pen::GREY, "the fullest edge of each PoP over time");
        scale(canvas, y - 56.0);
        let blocks = sheet.rows.len().max(1) as f64;
        let width = (WIDTH - LEFT - MARGIN - GAP * (blocks - 1.0)) / blocks;
        self.names(canvas, y, sheet);
        for ((row, colour), block) in coloured(sheet).into_iter().zip(0u32..) {
            let x = LEFT + f64::from(block) * (width + GAP);
            let area = Area { x, y, width, height: self.height() };
            canvas.text(x, y - 10.0, &Pen { size: 13.0, bold: true, colour, ..Pen::INK }, &row.variant.name);
            let unit = if width < NARROW { "min > 80 %" } else { "node-minutes over 80 %" };
            let minutes = format!("{} {unit}", grouped(row.mean.over_80));
            canvas.text(x + width, y - 10.0, &Pen { anchor: Anchor::End, ..Pen::GREY }, &minutes);
            self.block(canvas, area, row);
            times(canvas, area, sheet.scenario.duration_s, 11.0);
        }
    }

    /// Region by region: its name, and its PoPs' names where rows are high enough.
    fn names(&self, canvas: &mut Canvas, top: f64, sheet: &Sheet) {
        let mut y = top;
        for (name, pops) in &self.regions {
            let pen = Pen { anchor: Anchor::End, ..Pen::GREY };
            if self.row >= NAMED_ROW {
                for (i, pop) in pops.iter().enumerate() {
                    let at = y + (i as f64 + 0.5) * self.row + 4.0;
                    canvas.text(LEFT - 10.0, at, &pen, &sheet.pops[*pop].0);
                }
            } else {
                let middle = y + pops.len() as f64 * self.row / 2.0 + 4.0;
                canvas.text(LEFT - 10.0, middle, &pen, &region(name));
            }
            y += pops.len() as f64 * self.row + REGION_GAP;
        }
    }

    /// One policy: for each colour one path of all its runs.
    fn block(&self, canvas: &mut Canvas, area: Area, row: &Row) {
        let mut paths: [String; HEAT.len()] = Default::default();
        let mut y = area.y;
        for (_, pops) in &self.regions {
            let height = pops.len() as f64 * self.row;
            canvas.rect(Area { y, height, ..area }, HEAT[0].1, 1.0);
            for (i, pop) in pops.iter().enumerate() {
                let at = y + i as f64 * self.row;
                for (from, to, colour) in runs(&row.course.pops[*pop]) {
                    let scale = area.width / row.course.peak.len().max(1) as f64;
                    let (x, width) = (area.x + from as f64 * scale, (to - from) as f64 * scale);
                    let row = self.row;
                    let _ = write!(paths[colour], "M{x:.1} {at:.1}h{width:.1}v{row:.1}h-{width:.1}z");
                }
            }
            y += height + REGION_GAP;
        }
        for (path, (_, colour)) in paths.iter().zip(HEAT).skip(1).filter(|(path, _)| !path.is_empty()) {
            canvas.path(path, colour);
        }
    }
}

/// Stretches of one colour: from step, to step, colour.
fn runs(values: &[f32]) -> Vec<(usize, usize, usize)> {
    let colour = |value: f32| HEAT.iter().position(|(up_to, _)| value <= *up_to).unwrap_or(HEAT.len() - 1);
    let mut runs: Vec<(usize, usize, usize)> = Vec::new();
    for (step, value) in values.iter().enumerate() {
        let colour = colour(*value);
        match runs.last_mut() {
            Some((_, to, last)) if *last == colour => *to = step + 1,
            _ => runs.push((step, step + 1, colour)),
        }
    }
    runs
}

/// The colours and what they mean, at the right.
fn scale(canvas: &mut Canvas, y: f64) {
    let width = 34.0;
    let x = WIDTH - MARGIN - width * HEAT.len() as f64;
    for (i, ((_, colour), label)) in HEAT.iter().zip(LABELS).enumerate() {
        let at = x + i as f64 * width;
        canvas.rect(Area { x: at, y, width, height: 10.0 }, colour, 1.0);
        let pen = Pen { size: 11.0, anchor: Anchor::Middle, ..Pen::GREY };
        canvas.text(at + width, y + 22.0, &pen, label);
    }
    canvas.text(x - 10.0, y + 9.0, &Pen { anchor: Anchor::End, ..Pen::GREY }, "% of true capacity");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_colour_become_one_run() {
        assert_eq!(runs(&[0.1, 0.15, 0.82, 0.84, 1.3]), [(0, 2, 0), (2, 4, 5), (4, 5, 8)]);
    }

    #[test]
    fn the_limit_itself_is_still_blue_and_what_is_over_it_is_not() {
        assert_eq!(runs(&[0.804])[0].2, 4);
        assert_eq!(runs(&[0.806])[0].2, 5);
    }
}
