//! The bars below: what each policy came to, four figures side by side.

use super::super::figures::Figures;
use super::super::jobs::Sheet;
use super::canvas::{Anchor, Canvas, Pen};
use super::{Area, MARGIN, WIDTH, coloured, grouped};

const BAR: f64 = 22.0;
const STEP: f64 = 30.0;
const GAP: f64 = 40.0;

/// A figure: its title, where it comes from, how it is written.
struct Measure {
    title: &'static str,
    of: fn(&Figures) -> f64,
    write: fn(f64) -> String,
}

const MEASURES: [Measure; 4] = [
    Measure { title: "Node-minutes over 80 %", of: |f| f.over_80, write: grouped },
    Measure { title: "Viewers who had to ask again", of: |f| f.churn, write: grouped },
    Measure { title: "Mean distance", of: |f| f.km, write: |km| format!("{} km", grouped(km)) },
    Measure {
        title: "Back-to-source traffic",
        of: |f| f.back_to_source,
        write: |share| format!("{share:.1} %"),
    },
];

pub(super) fn height(rows: usize) -> f64 {
    rows as f64 * STEP
}

pub(super) fn draw(canvas: &mut Canvas, y: f64, sheet: &Sheet) {
    let title = Pen { size: 16.0, bold: true, ..Pen::INK };
    canvas.text(MARGIN, y - 44.0, &title, "What it comes to");
    let width = (WIDTH - 2.0 * MARGIN - 3.0 * GAP) / 4.0;
    for (measure, column) in MEASURES.iter().zip(0u32..) {
        let x = MARGIN + f64::from(column) * (width + GAP);
        canvas.text(x, y - 14.0, &Pen { size: 13.0, bold: true, ..Pen::INK }, measure.title);
        let values: Vec<f64> = sheet.rows.iter().map(|row| (measure.of)(&row.mean)).collect();
        let most = values.iter().copied().fold(0.0, f64::max).max(1e-9);
        // Room for the longest number right of the longest bar.
        let room = width - 74.0;
        for (i, (value, (_, colour))) in values.iter().zip(coloured(sheet)).enumerate() {
            let at = y + i as f64 * STEP;
            let length = (room * value / most).max(1.5);
            canvas.rect(Area { x, y: at, width: length, height: BAR }, colour, 0.9);
            let pen = Pen { size: 13.0, anchor: Anchor::Start, ..Pen::INK };
            canvas.text(x + length + 8.0, at + BAR / 2.0 + 4.5, &pen, &(measure.write)(*value));
        }
    }
}
