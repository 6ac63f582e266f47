//! Places on the globe and the distance between them.
//!
//! Every candidate's distance is worked out on the resolve path, so a place is kept as a unit vector:
//! one dot product and one `acos` instead of four trigonometric calls.
//! Measured alternatives (a k-d tree, haversine) stand in the bench notes; below some 5,000 places a plain
//! walk over vectors wins.
//!
//! Units: degrees in and out, kilometres for distance. The earth is a sphere here: the error against the
//! ellipsoid is under 0.6 %, far below what any GeoIP database promises.

use std::fmt;

/// Mean earth radius in km (IUGG R₁).
pub const EARTH_RADIUS_KM: f64 = 6371.0088;

/// The longest great-circle distance there is, km.
pub const HALF_EARTH_KM: f64 = EARTH_RADIUS_KM * std::f64::consts::PI;

/// A latitude and a longitude, both checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Location {
    latitude: f64,
    longitude: f64,
}

/// Why two numbers are not a place.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum LocationError {
    /// Latitude outside −90…90, or not a number.
    #[error("latitude {0} is not within -90 to 90")]
    Latitude(f64),
    /// Longitude outside −180…180, or not a number.
    #[error("longitude {0} is not within -180 to 180")]
    Longitude(f64),
}

/// A place as a unit vector from the centre of the earth; made once, compared often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    x: f64,
    y: f64,
    z: f64,
}

// === impl Location ===

impl Location {
    /// Checks both numbers: latitude −90…90 and longitude −180…180 degrees, both finite.
    ///
    /// # Errors
    /// Names the number that is out of range.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, LocationError> {
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(LocationError::Latitude(latitude));
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(LocationError::Longitude(longitude));
        }
        Ok(Self { latitude, longitude })
    }

    /// Degrees north, −90…90.
    #[must_use]
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east, −180…180.
    #[must_use]
    pub fn longitude(self) -> f64 {
        self.longitude
    }

    /// This place as a unit vector.
    #[must_use]
    #[inline]
    pub fn point(self) -> Point {
        let (sin_lat, cos_lat) = sin_cos(self.latitude);
        let (sin_lon, cos_lon) = sin_cos(self.longitude);
        Point { x: cos_lat * cos_lon, y: cos_lat * sin_lon, z: sin_lat }
    }

    /// Great-circle distance to another place, km.
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        self.point().distance_km(other.point())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4}, {:.4}", self.latitude, self.longitude)
    }
}

/// Sine and cosine of degrees, −180…180, within 2e-10: each question needs two of them, and the library's four calls
/// cost as much as the rest of a decision's distances. The nearest quarter turn is taken off, and what is left, ±45°,
/// goes through the Taylor series.
#[inline]
fn sin_cos(degrees: f64) -> (f64, f64) {
    // Rounded by truncation of a positive number: without a library call.
    #[expect(clippy::cast_possible_truncation, reason = "0 to 4")]
    let quarters = (degrees * (1.0 / 90.0) + 2.5) as i32 - 2;
    let x = (degrees - 90.0 * f64::from(quarters)).to_radians();
    let q = x * x;
    let sin_tail = 1.0 / 120.0 + q * (-1.0 / 5_040.0 + q * (1.0 / 362_880.0 - q / 39_916_800.0));
    let sin = x * (1.0 + q * (-1.0 / 6.0 + q * sin_tail));
    let cos_tail = 1.0 / 24.0 + q * (-1.0 / 720.0 + q * (1.0 / 40_320.0 - q / 3_628_800.0));
    let cos = 1.0 + q * (-0.5 + q * cos_tail);
    match quarters {
        0 => (sin, cos),
        1 => (cos, -sin),
        -1 => (-cos, sin),
        _ => (-sin, -cos),
    }
}

// === impl Point ===

impl Point {
    /// Great-circle distance, km, 0…20,015.
    ///
    /// From the chord (`2·asin(chord/2)`) and not `acos(dot)`, which loses all digits below a kilometre.
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        let (dx, dy, dz) = (self.x - other.x, self.y - other.y, self.z - other.z);
        let half_chord = (dx * dx + dy * dy + dz * dz).sqrt() * 0.5;
        2.0 * EARTH_RADIUS_KM * half_chord.min(1.0).asin()
    }

    /// [`Point::distance_km`] for the resolve path: within 20 m of it, at a quarter of its cost.
    ///
    /// The arc sine by its series up to a chord of the radius (6,671 km), and by the half-angle identity beyond.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a distance needs six digits")]
    pub fn near_km(self, other: Self) -> f32 {
        /// Series of `asin(h)/h` in h²: its error at h = 0.5 is 2e-7.
        #[inline]
        fn arc_sine(h: f64) -> f64 {
            let q = h * h;
            let tail = 35.0 / 1152.0 + q * (63.0 / 2816.0 + q * (231.0 / 13312.0 + q * (143.0 / 10240.0)));
            h * (1.0 + q * (1.0 / 6.0 + q * (3.0 / 40.0 + q * (5.0 / 112.0 + q * tail))))
        }
        let (dx, dy, dz) = (self.x - other.x, self.y - other.y, self.z - other.z);
        let quarter = ((dx * dx + dy * dy + dz * dz) * 0.25).min(1.0);
        let angle = match quarter <= 0.25 {
            true => arc_sine(quarter.sqrt()),
            false => std::f64::consts::FRAC_PI_2 - 2.0 * arc_sine(((1.0 - quarter.sqrt()) * 0.5).sqrt()),
        };
        (2.0 * EARTH_RADIUS_KM * angle) as f32
    }

    /// A lower bound of the distance, km, for a fifth of its cost: the chord, straight through the earth. At 2,000 km it
    /// is 8 km short, at 500 km a tenth of one.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a bound")]
    pub fn chord_km(self, other: Self) -> f32 {
        let (dx, dy, dz) = (self.x - other.x, self.y - other.y, self.z - other.z);
        // A little less, so that rounding does not lift it above `near_km`.
        ((dx * dx + dy * dy + dz * dz) as f32).sqrt() * (EARTH_RADIUS_KM as f32) - 0.03
    }

    /// The middle of several places (the mean vector, brought back to the surface). `None` for no places
    /// and for places that cancel out, such as two antipodes.
    pub fn middle(points: impl IntoIterator<Item = Self>) -> Option<Self> {
        let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
        for point in points {
            x += point.x;
            y += point.y;
            z += point.z;
        }
        let length = (x * x + y * y + z * z).sqrt();
        (length > 1e-9).then(|| Self { x: x / length, y: y / length, z: z / length })
    }

    /// Back to degrees.
    #[must_use]
    pub fn location(self) -> Location {
        Location {
            latitude: self.z.clamp(-1.0, 1.0).asin().to_degrees(),
            longitude: self.y.atan2(self.x).to_degrees(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: (f64, f64), to: (f64, f64), km: f64) {
        let from = Location::new(from.0, from.1).unwrap();
        let to = Location::new(to.0, to.1).unwrap();
        let got = from.distance_km(to);
        assert!((got - km).abs() <= km * 0.001 + 0.001, "{from} to {to}: {got} km, expected {km}");
    }

    /// Expected values by haversine, worked out apart from this code.
    #[test]
    fn distances_match_haversine_also_at_the_antimeridian_and_the_poles() {
        check((31.23, 121.47), (39.9042, 116.4074), 1067.6);
        check((51.5074, -0.1278), (40.7128, -74.006), 5570.2);
        check((0.0, 179.5), (0.0, -179.5), 111.195);
        check((89.9, 0.0), (89.9, 180.0), 22.239);
        check((10.0, 20.0), (10.0, 20.0), 0.0);
        check((10.0, 20.0), (-10.0, -160.0), 20015.1);
        check((48.0, 11.0), (48.0, 11.001), 0.0744);
    }

    proptest::proptest! {
        #[test]
        fn the_fast_distance_is_the_exact_one_within_twenty_metres(
            a in (-90.0..=90.0f64, -180.0..=180.0f64), b in (-90.0..=90.0f64, -180.0..=180.0f64),
        ) {
            let (a, b) = (Location::new(a.0, a.1).unwrap().point(), Location::new(b.0, b.1).unwrap().point());
            let (exact, fast) = (a.distance_km(b), f64::from(a.near_km(b)));
            proptest::prop_assert!((exact - fast).abs() < 0.02, "{} km against {} km", fast, exact);
            let chord = f64::from(a.chord_km(b));
            proptest::prop_assert!(chord <= fast, "a bound of {} km of {} km", chord, fast);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_unit_vector_is_that_of_the_library_within_a_centimetre(
            latitude in -90.0..=90.0f64, longitude in -180.0..=180.0f64,
        ) {
            let (lat, lon) = (latitude.to_radians(), longitude.to_radians());
            let exact = Point { x: lat.cos() * lon.cos(), y: lat.cos() * lon.sin(), z: lat.sin() };
            let metres = exact.distance_km(Location::new(latitude, longitude).unwrap().point()) * 1_000.0;
            proptest::prop_assert!(metres < 0.01, "{} m off", metres);
        }
    }

    #[test]
    fn out_of_range_numbers_are_no_place() {
        assert_eq!(Location::new(90.1, 0.0), Err(LocationError::Latitude(90.1)));
        assert_eq!(Location::new(0.0, -180.5), Err(LocationError::Longitude(-180.5)));
        assert!(Location::new(f64::NAN, 0.0).is_err());
        assert!(Location::new(0.0, f64::INFINITY).is_err());
    }

    #[test]
    fn middle_of_a_site_lies_between_its_nodes() {
        let a = Location::new(31.0, 121.0).unwrap();
        let b = Location::new(31.0, 122.0).unwrap();
        let middle = Point::middle([a.point(), b.point()]).unwrap().location();
        assert!((middle.longitude() - 121.5).abs() < 1e-6);
        assert!((middle.latitude() - 31.0).abs() < 0.01);
        assert!(Point::middle([]).is_none());
    }
}
