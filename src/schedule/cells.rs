//! Cells: the globe in squares of 2°, and for each the PoPs of a pool in order of distance.
//!
//! Sorting a pool's PoPs for every question would cost microseconds; sorting them once per cell, when its first
//! client comes, costs nothing worth counting. The order is that of the cell's centre. A client may stand up to
//! [`RADIUS_KM`] from there, so a list's distance less that radius is a **lower bound** of the true one: a walk
//! that stops by this bound, and measures each PoP it visits exactly, finds the exact nearest.

use std::sync::OnceLock;

use super::place::{HALF_EARTH_KM, Location, Point};

/// Side of a cell, degrees.
const SIDE: f64 = 2.0;
const ROWS: usize = 90;
const COLUMNS: usize = 180;

/// No point of a cell is farther than this from its centre, km: half the diagonal of a 2° square at the
/// equator, where it is largest (157.25), and a little for rounding.
pub const RADIUS_KM: f32 = 158.0;

/// A cell of the globe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell(u16);

/// A group near a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Distance from the cell's centre, km.
    pub km: f32,
    /// The group's place in the pool.
    pub group: u32,
}

/// The lists of one pool, each made when it is first asked for.
#[derive(Debug)]
pub struct Cells {
    points: Box<[Option<Point>]>,
    lists: Box<[OnceLock<Box<[Near]>>]>,
}

// === impl Cell ===

impl Cell {
    /// The cell a place lies in.
    #[must_use]
    pub fn of(location: Location) -> Self {
        let row = index((location.latitude() + 90.0) / SIDE, ROWS);
        let column = index((location.longitude() + 180.0) / SIDE, COLUMNS);
        // 16,200 cells fit 16 bits.
        Self(u16::try_from(row * COLUMNS + column).unwrap_or_default())
    }

    fn centre(self) -> Option<Point> {
        let (row, column) = (usize::from(self.0) / COLUMNS, usize::from(self.0) % COLUMNS);
        let degrees =
            |i: usize, from: f64| (f64::from(u32::try_from(i).unwrap_or_default()) + 0.5) * SIDE - from;
        Location::new(degrees(row, 90.0), degrees(column, 180.0)).ok().map(Location::point)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 180, the range is checked")]
fn index(position: f64, count: usize) -> usize {
    (position.max(0.0) as usize).min(count - 1)
}

// === impl Cells ===

impl Cells {
    /// Empty lists over the places of a pool's groups.
    #[must_use]
    pub fn new(points: Box<[Option<Point>]>) -> Self {
        Self { points, lists: (0..ROWS * COLUMNS).map(|_| OnceLock::new()).collect() }
    }

    /// All groups in order of their distance from the cell's centre; those without a place come last.
    #[must_use]
    pub fn near(&self, cell: Cell) -> &[Near] {
        self.lists[usize::from(cell.0)].get_or_init(|| self.sorted(cell))
    }

    fn sorted(&self, cell: Cell) -> Box<[Near]> {
        let centre = cell.centre();
        let km = |point: Option<Point>| match (centre, point) {
            (Some(centre), Some(point)) => single(centre.distance_km(point)),
            // As far as anything can be, and the radius on top, so that the lower bound still holds.
            _ => single(HALF_EARTH_KM) + RADIUS_KM,
        };
        let mut list: Vec<Near> =
            (0u32..).zip(&self.points).map(|(group, point)| Near { km: km(*point), group }).collect();
        list.sort_by(|a, b| a.km.total_cmp(&b.km).then(a.group.cmp(&b.group)));
        list.into()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a distance needs six digits")]
fn single(km: f64) -> f32 {
    km as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(latitude: f64, longitude: f64) -> Location {
        Location::new(latitude, longitude).unwrap()
    }

    #[test]
    fn the_edges_of_the_map_lie_in_cells() {
        for (latitude, longitude) in [(90.0, 180.0), (-90.0, -180.0), (90.0, -180.0), (0.0, 180.0)] {
            assert!(usize::from(Cell::of(at(latitude, longitude)).0) < ROWS * COLUMNS);
        }
    }

    #[test]
    fn groups_come_in_order_of_distance_and_those_without_a_place_last() {
        let cells = Cells::new(Box::new([
            None,
            Some(at(40.0, 116.0).point()),
            Some(at(31.0, 121.0).point()),
            Some(at(22.0, 114.0).point()),
        ]));
        let order: Vec<u32> = cells.near(Cell::of(at(30.5, 121.5))).iter().map(|near| near.group).collect();
        assert_eq!(order, [2, 1, 3, 0]);
    }

    proptest! {
        #[test]
        fn no_place_is_farther_from_its_cell_centre_than_the_radius(
            latitude in -90.0..=90.0f64, longitude in -180.0..=180.0f64,
        ) {
            let place = at(latitude, longitude);
            let centre = Cell::of(place).centre().unwrap();
            prop_assert!(place.point().distance_km(centre) <= f64::from(RADIUS_KM));
        }
    }
}
