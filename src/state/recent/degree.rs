//! Degree cells: where a client was, in squares of 1°. Rough on purpose: no address, no street.

use crate::schedule::place::Location;

const COLUMNS: u16 = 360;
const ROWS: u16 = 180;

/// A square of 1° by 1°, or nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Degree(u16);

// === impl Degree ===

impl Degree {
    /// Nobody knows where the client was.
    pub const UNKNOWN: Self = Self(u16::MAX);

    /// The cell a place lies in. 64,800 cells fit 16 bits and leave room for [`Degree::UNKNOWN`].
    #[must_use]
    #[inline]
    pub fn of(place: Option<Location>) -> Self {
        let Some(place) = place else { return Self::UNKNOWN };
        let row = whole(place.latitude() + 90.0, ROWS);
        let column = whole(place.longitude() + 180.0, COLUMNS);
        Self(row * COLUMNS + column)
    }

    /// The middle of the cell.
    #[must_use]
    pub fn centre(self) -> Option<Location> {
        let (row, column) = (self.0 / COLUMNS, self.0 % COLUMNS);
        if row >= ROWS {
            return None;
        }
        Location::new(f64::from(row) - 89.5, f64::from(column) - 179.5).ok()
    }

    /// Its number, to count by.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// The square of a number.
    #[must_use]
    pub fn numbered(number: u16) -> Self {
        Self(number)
    }

    /// As it is stored.
    pub(super) fn bits(self) -> u16 {
        self.0
    }

    /// Out of storage.
    pub(super) fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 360")]
fn whole(degrees: f64, count: u16) -> u16 {
    (degrees as u16).min(count - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_place_lies_within_half_a_degree_of_its_centre(
            latitude in -90.0..=90.0f64, longitude in -180.0..=180.0f64,
        ) {
            let place = Location::new(latitude, longitude).unwrap();
            let centre = Degree::of(Some(place)).centre().unwrap();
            prop_assert!((centre.latitude() - latitude).abs() <= 0.5);
            prop_assert!((centre.longitude() - longitude).abs() <= 0.5);
        }
    }

    #[test]
    fn nowhere_has_no_centre() {
        assert_eq!(Degree::of(None), Degree::UNKNOWN);
        assert_eq!(Degree::UNKNOWN.centre(), None);
    }
}
