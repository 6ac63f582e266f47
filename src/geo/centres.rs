//! Country → centre of population and name, for databases that name only a country.
//!
//! From `geoip/centres.tsv`, which the generator of the built-in database writes with it. Read once, kept for the
//! life of the process: 676 places, one for each pair of letters.

use std::sync::LazyLock;

use crate::schedule::place::Location;

const TABLE: &str = include_str!("../../geoip/centres.tsv");

static COUNTRIES: LazyLock<Vec<Option<Country>>> = LazyLock::new(|| {
    let mut countries = vec![None; 26 * 26];
    for line in lines() {
        let mut columns = line.split('\t');
        let (Some(code), Some(latitude), Some(longitude), Some(name)) =
            (columns.next(), columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        if let Some(slot) =
            code.as_bytes().try_into().ok().and_then(index).and_then(|at| countries.get_mut(at))
        {
            let place = latitude.parse().ok().zip(longitude.parse().ok());
            let centre = place.and_then(|(latitude, longitude)| Location::new(latitude, longitude).ok());
            *slot = Some(Country { centre, name });
        }
    }
    countries
});

/// A country of the table.
#[derive(Clone, Copy)]
struct Country {
    /// `None` where nobody lives.
    centre: Option<Location>,
    name: &'static str,
}

/// The population-weighted centre of a country.
pub(super) fn centre(code: [u8; 2]) -> Option<Location> {
    country(code)?.centre
}

/// The English name of a country.
pub(super) fn name(code: [u8; 2]) -> Option<&'static str> {
    Some(country(code)?.name)
}

fn country(code: [u8; 2]) -> Option<Country> {
    *COUNTRIES.get(index(code)?)?
}

fn index(code: [u8; 2]) -> Option<usize> {
    let [first, second] = code.map(|letter| usize::from(letter.wrapping_sub(b'A')));
    (first < 26 && second < 26).then_some(first * 26 + second)
}

fn lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter(|line| !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        assert_eq!(COUNTRIES.iter().flatten().count(), lines().count());
        let uninhabited = lines().filter(|line| line.contains("\t\t")).count();
        assert_eq!(
            COUNTRIES.iter().flatten().filter(|country| country.centre.is_none()).count(),
            uninhabited
        );
        assert!(uninhabited < 10, "{uninhabited} countries without a centre");
    }

    #[test]
    fn centre_of_china_lies_where_its_people_live() {
        let centre = centre(*b"CN").unwrap();
        let wuhan = Location::new(30.58, 114.27).unwrap();
        assert!(centre.distance_km(wuhan) < 250.0, "{centre}");
        assert_eq!(name(*b"CN"), Some("China"));
    }

    #[test]
    fn codes_that_are_no_country_have_no_centre() {
        for code in [*b"ZZ", *b"cn", *b"A1", [0, 0], [255, 255], *b"AQ"] {
            assert_eq!(centre(code), None, "{code:?}");
        }
    }
}
