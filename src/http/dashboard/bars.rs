//! Bars: pressure as three lanes, in widths that need no `style=`.

use crate::resolver::Row;

/// Width of a row's lanes up to 1.25 of the limit, the limit at 120 of 150.
const WIDTH: f32 = 150.0;
const LIMIT: f32 = 120.0;

/// The resources of the lanes, in their order.
pub(super) const LANES: [&str; 3] = ["system_cpu", "process_cpu", "bandwidth"];

/// One lane of a row.
pub(super) struct Lane {
    pub(super) y: &'static str,
    /// Width of what is measured.
    pub(super) measured: String,
    /// Width of what is booked on top.
    pub(super) booked: String,
    /// The classes of the tightest lane.
    pub(super) class: String,
}

/// Which of the five colours a pressure has.
pub(super) fn band(pressure: f64) -> usize {
    [0.3, 0.6, 0.85, 1.0].iter().filter(|limit| pressure >= **limit).count()
}

/// Whether a number is to be warm or hot.
pub(super) fn tone(pressure: Option<f32>) -> &'static str {
    match pressure {
        Some(x) if x >= 1.0 => "hot",
        Some(x) if x >= 0.85 => "warm",
        _ => "",
    }
}

/// The lanes of a row, `scale` times as wide as in the table.
pub(super) fn lanes(row: &Row, scale: f32) -> [Lane; 3] {
    let ys = ["2", "9.5", "17"];
    let mut at = 0;
    LANES.map(|resource| {
        let lane = at;
        at += 1;
        let measured = (row.measured[lane] * LIMIT).clamp(0.0, WIDTH);
        let booked = (row.booked[lane] * LIMIT).clamp(0.0, WIDTH - measured);
        let class = match resource == row.tightest {
            true => format!(" tight f{}", band(f64::from(row.pressure.unwrap_or(0.0)))),
            false => String::new(),
        };
        Lane {
            y: ys[lane],
            measured: format!("{:.1}", measured * scale),
            booked: format!("{:.1}", booked * scale),
            class,
        }
    })
}
