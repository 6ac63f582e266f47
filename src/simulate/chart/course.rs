//! The upper plot: how full the fullest edge is, second by second.

use super::super::jobs::{Row, Sheet};
use super::canvas::{Anchor, Canvas, Pen, Stroke};
use super::{Area, INK, MARGIN, RULE, coloured, marks, times};

/// Above this the axis ends and a label says how far it went.
const CLIPPED_AT: f64 = 1.5;
/// More bands than this cover each other.
const BANDS: usize = 2;
const LIMIT: f64 = 0.8;
const LIMIT_COLOUR: &str = "#b3541e";
const FLASH: &str = "#f3e9d2";
/// A letter of 12 px is so wide, px: for labels that must not run into each other.
const LETTER: f64 = 6.3;

pub(super) fn draw(canvas: &mut Canvas, area: Area, sheet: &Sheet) {
    let duration_s = sheet.scenario.duration_s;
    let peak = sheet.rows.iter().flat_map(|row| &row.course.peak).copied().fold(0.0, f32::max);
    let top = f64::from(peak).clamp(1.05, CLIPPED_AT);
    let x = |second_s: f64| area.x + area.width * second_s / duration_s;
    let y = |share: f64| area.y + area.height * (1.0 - share.min(top) / top);
    heading(canvas, area);
    events(canvas, area, sheet, &x);
    for percent in (0..=150).step_by(20).filter(|percent| f64::from(*percent) / 100.0 <= top) {
        let at = y(f64::from(percent) / 100.0);
        canvas.line((area.x, at), (area.x + area.width, at), Stroke { colour: RULE, width: 1.0, dash: "" });
        let label = format!("{percent} %");
        canvas.text(area.x - 10.0, at + 4.0, &Pen { anchor: Anchor::End, ..Pen::GREY }, &label);
    }
    for (row, colour) in coloured(sheet).into_iter().take(BANDS).rev() {
        band(canvas, row, colour, &x, &y);
    }
    for (share, width) in [(LIMIT, 1.6), (1.0, 1.2)] {
        let stroke = Stroke { colour: LIMIT_COLOUR, width, dash: "6 4" };
        canvas.line((area.x, y(share)), (area.x + area.width, y(share)), stroke);
    }
    for (row, colour) in coloured(sheet).into_iter().rev() {
        let points = points(row, &row.course.peak, &x, &y);
        canvas.polyline(&points, Stroke { colour, width: 2.0, dash: "" });
    }
    let note = Pen { colour: LIMIT_COLOUR, anchor: Anchor::End, rim: true, ..Pen::INK };
    canvas.text(area.x + area.width - 4.0, y(LIMIT) + 15.0, &note, "80 %: the limit");
    canvas.text(area.x + area.width - 4.0, y(1.0) - 5.0, &note, "100 %: viewers stall");
    times(canvas, area, duration_s, 12.0);
    summits(canvas, area, sheet, top, &x);
}

fn heading(canvas: &mut Canvas, area: Area) {
    let title = Pen { size: 16.0, bold: true, ..Pen::INK };
    canvas.text(MARGIN, area.y - 24.0, &title, "How full the fullest edge is");
    let about =
        "line: the fullest edge, of its true capacity · band: from the median edge to the 95th percentile";
    let pen = Pen { anchor: Anchor::End, ..Pen::GREY };
    canvas.text(area.x + area.width, area.y - 24.0, &pen, about);
}

/// Flashes as bands, misfortunes as lines, each with its name above; names that would touch go without.
fn events(canvas: &mut Canvas, area: Area, sheet: &Sheet, x: &dyn Fn(f64) -> f64) {
    let mut marks = marks(sheet);
    marks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free_from = area.x;
    for (at_s, over_s, name) in marks {
        let from = x(at_s);
        if over_s > 0.0 {
            let width = (x(at_s + over_s) - from).max(3.0);
            canvas.rect(Area { x: from, width, ..area }, FLASH, 1.0);
        } else {
            let stroke = Stroke { colour: INK, width: 1.0, dash: "2 3" };
            canvas.line((from, area.y), (from, area.y + area.height), stroke);
        }
        if from >= free_from {
            canvas.text(from, area.y - 6.0, &Pen::GREY, &name);
            free_from = from + name.chars().count() as f64 * LETTER + 8.0;
        }
    }
}

fn band(canvas: &mut Canvas, row: &Row, colour: &str, x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) {
    let mut around = points(row, &row.course.p95, x, y);
    let mut lower = points(row, &row.course.median, x, y);
    lower.reverse();
    around.append(&mut lower);
    canvas.shape(&around, colour, 0.13);
}

fn points(row: &Row, values: &[f32], x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let seconds = (0u32..).map(|step| (f64::from(step) + 0.5) * row.course.step_s);
    seconds.zip(values).map(|(second_s, value)| (x(second_s), y(f64::from(*value)))).collect()
}

/// Says how far a line went that the axis does not follow.
fn summits(canvas: &mut Canvas, area: Area, sheet: &Sheet, top: f64, x: &dyn Fn(f64) -> f64) {
    let mut line = 0.0;
    for (row, colour) in coloured(sheet) {
        let highest = (0u32..).zip(&row.course.peak).max_by(|a, b| a.1.total_cmp(b.1));
        let Some((step, peak)) = highest.filter(|(_, peak)| f64::from(**peak) > top) else { continue };
        let at = x((f64::from(step) + 0.5) * row.course.step_s);
        let label = format!("{} peaks at {:.0} %", row.variant.name, peak * 100.0);
        let fits = at + 14.0 + label.chars().count() as f64 * LETTER < area.x + area.width;
        let (anchor, dx) = if fits { (Anchor::Start, 10.0) } else { (Anchor::End, -10.0) };
        canvas.shape(&[(at - 5.0, area.y + 9.0), (at + 5.0, area.y + 9.0), (at, area.y)], colour, 1.0);
        canvas.text(
            at + dx,
            area.y + 12.0 + line,
            &Pen { anchor, colour, bold: true, rim: true, ..Pen::INK },
            &label,
        );
        line += 16.0;
    }
}
