//! Cells: the globe in squares of 2°, and for each the PoPs of a pool in order of distance.
//!
//! Sorting a pool's PoPs for every question would cost microseconds; sorting them once per cell, when its first
//! client comes, costs nothing worth counting. The order is that of the cell's centre. A client stands some way from
//! there, up to [`RADIUS_KM`], so a list's distance less that way is a **lower bound** of the true one: a walk that
//! stops by this bound, and measures each PoP that could win exactly, finds the exact nearest.

use std::sync::OnceLock;

use arrayvec::ArrayVec;

use super::place::{HALF_EARTH_KM, Location, Point};

/// Side of a cell, degrees.
const SIDE: f64 = 2.0;
const ROWS: usize = 90;
const COLUMNS: usize = 180;

/// No point of a cell is farther than this from its centre, km: half the diagonal of a 2° square at the
/// equator, where it is largest (157.25), and a little for rounding.
pub const RADIUS_KM: f32 = 158.0;

/// Resolution of a ring's distances, km.
const STEP_KM: f32 = 0.5;

/// A cell of the globe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell(u16);

/// A group near a cell. Four bytes: a ring is cold memory to nearly every question.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Near {
    /// Distance from the cell's centre, in steps of [`STEP_KM`], rounded down.
    steps: u16,
    /// The group's place in the pool.
    group: u16,
}

/// Groups that stand in the ring itself: more than most walks visit.
const INLINE: usize = 18;

/// The groups of a pool as seen from a cell, in order of their distance from its centre; those without a place come
/// last. Two cache lines, side by side, are all that most walks read of it.
#[derive(Debug)]
#[repr(align(64))]
pub struct Ring {
    /// The cell's centre.
    centre: Option<Point>,
    nearest: ArrayVec<Near, INLINE>,
    rest: Box<[Near]>,
}

/// The rings of one pool, each made when it is first asked for.
#[derive(Debug)]
pub struct Cells {
    points: Box<[Option<Point>]>,
    rings: Box<[OnceLock<Box<Ring>>]>,
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

// === impl Ring ===

impl Ring {
    /// The group at this place of the order.
    #[must_use]
    #[inline]
    pub fn get(&self, at: usize) -> Option<Near> {
        match self.nearest.get(at) {
            Some(near) => Some(*near),
            None => self.rest.get(at.wrapping_sub(INLINE)).copied(),
        }
    }

    /// How far a client of the cell is from its centre at most, km: no group is nearer to it than its distance from
    /// the centre less this.
    #[must_use]
    #[inline]
    pub fn offset_km(&self, client: Point) -> f32 {
        // Over so little of the globe the arc is longer than the chord by less than 1/30,000.
        self.centre.map_or(RADIUS_KM, |centre| centre.chord_km(client) * 1.0001 + 0.1)
    }
}

// === impl Cells ===

impl Cells {
    /// No rings yet, over the places of a pool's groups.
    #[must_use]
    pub fn new(points: Box<[Option<Point>]>) -> Self {
        Self { points, rings: (0..ROWS * COLUMNS).map(|_| OnceLock::new()).collect() }
    }

    /// The groups as seen from a cell.
    #[must_use]
    #[inline]
    pub fn ring(&self, cell: Cell) -> &Ring {
        self.rings[usize::from(cell.0)].get_or_init(|| self.sorted(cell))
    }

    #[cold]
    fn sorted(&self, cell: Cell) -> Box<Ring> {
        let centre = cell.centre();
        let km = |point: Option<Point>| match (centre, point) {
            (Some(centre), Some(point)) => single(centre.distance_km(point)),
            // As far as anything can be, and the radius on top, so that the lower bound still holds.
            _ => single(HALF_EARTH_KM) + RADIUS_KM,
        };
        let mut all: Vec<(f32, u16)> =
            (0u16..).zip(&self.points).map(|(group, point)| (km(*point), group)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut near = all.into_iter().map(|(km, group)| Near { steps: steps(km), group });
        Box::new(Ring { centre, nearest: near.by_ref().take(INLINE).collect(), rest: near.collect() })
    }
}

// === impl Near ===

impl Near {
    /// Distance from the cell's centre, km, at most `STEP_KM` too low.
    #[must_use]
    #[inline]
    pub fn km(self) -> f32 {
        f32::from(self.steps) * STEP_KM
    }

    /// The group's place in the pool.
    #[must_use]
    #[inline]
    pub fn group(self) -> usize {
        usize::from(self.group)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 40,347 fits 16 bits")]
fn steps(km: f32) -> u16 {
    (km / STEP_KM) as u16
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
        let ring = cells.ring(Cell::of(at(30.5, 121.5)));
        let order: Vec<usize> = (0..).map_while(|i| ring.get(i)).map(Near::group).collect();
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
