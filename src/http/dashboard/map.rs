//! The map: where PoPs lie on the outline that `world.svg` holds.
//!
//! The numbers of the projection are those of `make-world.mjs`; a test compares them with the file.

use super::bars::band;
use crate::resolver::{Board, Roster};

/// Width of the outline, its own units.
const WIDTH: f64 = 2000.0;
const K: f64 = 365.5793;
const TOP: f64 = 1.382_343;
/// Degrees east in the middle.
const CENTRE: f64 = 11.0;

/// A PoP, ready to be drawn.
pub(super) struct Mark {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) r: String,
    pub(super) band: usize,
    pub(super) overloaded: bool,
    pub(super) label: String,
}

/// The marks of a fleet, lightest first, so that the tightest lie on top.
pub(super) fn marks(roster: &Roster, board: &Board) -> Vec<Mark> {
    #[derive(Clone, Default)]
    struct Tally {
        capacity: f64,
        weighed: f64,
        overloaded: bool,
    }
    let mut tallies = vec![Tally::default(); roster.pops.len()];
    for (member, row) in roster.nodes.iter().zip(&board.rows) {
        let tally = &mut tallies[member.pop];
        let capacity = f64::from(row.capacity_mbps).max(1.0);
        tally.overloaded |= row.state == "overloaded";
        if let Some(pressure) = row.pressure {
            tally.capacity += capacity;
            tally.weighed += capacity * f64::from(pressure);
        }
    }
    let most = tallies.iter().map(|tally| tally.capacity).fold(1.0, f64::max);
    let mut marks: Vec<(f64, Mark)> = Vec::new();
    for (site, tally) in roster.pops.iter().zip(&tallies) {
        let (Some(latitude), Some(longitude)) = (site.latitude, site.longitude) else { continue };
        let (x, y) = project(latitude, longitude);
        let pressure = tally.weighed / tally.capacity.max(1.0);
        let mark = Mark {
            x: format!("{x:.0}"),
            y: format!("{y:.0}"),
            r: format!("{:.1}", 7.0 + 13.0 * (tally.capacity / most).sqrt()),
            band: band(pressure),
            overloaded: tally.overloaded,
            label: format!("{}: {pressure:.2}", site.id),
        };
        marks.push((pressure, mark));
    }
    marks.sort_by(|a, b| a.0.total_cmp(&b.0));
    marks.into_iter().map(|(_, mark)| mark).collect()
}

/// Natural Earth I (Patterson; polynomial by Šavrič et al.).
fn project(latitude: f64, longitude: f64) -> (f64, f64) {
    let mut l = longitude - CENTRE;
    if l < -180.0 {
        l += 360.0;
    } else if l > 180.0 {
        l -= 360.0;
    }
    let (l, p) = (l.to_radians(), latitude.to_radians());
    let (p2, p4) = (p.powi(2), p.powi(4));
    let x = l * (0.8707 - 0.131_979 * p2 + p4 * (-0.013_791 + p4 * (0.003_971 * p2 - 0.001_529 * p4)));
    let y = p * (1.007_226 + p2 * (0.015_085 + p4 * (-0.044_475 + 0.028_874 * p2 - 0.005_916 * p4)));
    (x * K + WIDTH / 2.0, (TOP - y) * K)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_lie_on_the_outline_that_is_served() {
        let world = include_str!("assets/world.svg");
        for constant in
            [format!("viewBox=\"0 0 {WIDTH} 870\""), format!("data-k=\"{K}\""), format!("data-top=\"{TOP}\"")]
        {
            assert!(world.contains(&constant), "{constant}");
        }
        let (x, y) = project(0.0, 11.0);
        assert!((x - 1000.0).abs() < 0.1 && (y - TOP * K).abs() < 0.1);
        // Shanghai lies east of Frankfurt and south of it.
        assert!(
            project(31.2, 121.5).0 > project(50.1, 8.7).0 && project(31.2, 121.5).1 > project(50.1, 8.7).1
        );
    }
}
