//! The cities of the demo's world: where its edges stand and where its viewers sit.
//!
//! Coordinates are the city centres; viewer weights follow the size of the cities' live-streaming audience, not
//! of their population. Each city has one /16 of an internet provider of its country, so that the country
//! database finds viewers without any help; which part of the country, only the configuration can tell
//! ([`super::fleet::config_text`]).
//!
//! The order is the order in which a fleet grows: any beginning of the table is a fair fleet, and the first
//! seven cities already lie on six continents.

use std::net::Ipv4Addr;

use self::Continent::{Africa, Asia, Europe, NorthAmerica, Oceania, SouthAmerica};
use crate::schedule::place::{Location, LocationError};

/// Where a city lies; the banner counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Continent {
    Africa,
    Asia,
    Europe,
    NorthAmerica,
    Oceania,
    SouthAmerica,
}

/// One city.
#[derive(Clone, Copy, Debug)]
pub(super) struct City {
    /// Short form, the first half of node names: "sha".
    pub(super) code: &'static str,
    /// Name of its PoP: "shanghai".
    pub(super) pop: &'static str,
    /// For people.
    pub(super) name: &'static str,
    /// ISO 3166 code.
    pub(super) country: &'static str,
    pub(super) continent: Continent,
    /// Degrees north.
    pub(super) latitude: f64,
    /// Degrees east.
    pub(super) longitude: f64,
    /// Its share of the world's viewers, on no particular scale.
    pub(super) viewers: f64,
    /// The first two bytes of its viewers' network, a /16.
    pub(super) network: [u8; 2],
}

/// All cities.
#[rustfmt::skip]
pub(super) const CITIES: [City; 60] = [
    city("sha", "shanghai",         "Shanghai",         "CN", Asia,          31.23,  121.47, 26.0, [116, 224]),
    city("fra", "frankfurt",        "Frankfurt",        "DE", Europe,        50.11,    8.68,  9.0, [87, 128]),
    city("nyc", "new-york",         "New York",         "US", NorthAmerica,  40.71,  -74.01, 12.0, [108, 41]),
    city("sao", "sao-paulo",        "São Paulo",        "BR", SouthAmerica, -23.55,  -46.63, 13.0, [187, 56]),
    city("sin", "singapore",        "Singapore",        "SG", Asia,           1.35,  103.82,  6.0, [116, 14]),
    city("syd", "sydney",           "Sydney",           "AU", Oceania,      -33.87,  151.21,  4.0, [101, 160]),
    city("jnb", "johannesburg",     "Johannesburg",     "ZA", Africa,       -26.20,   28.05,  4.0, [105, 224]),
    city("tyo", "tokyo",            "Tokyo",            "JP", Asia,          35.68,  139.69, 18.0, [126, 64]),
    city("lon", "london",           "London",           "GB", Europe,        51.51,   -0.13,  9.0, [86, 128]),
    city("lax", "los-angeles",      "Los Angeles",      "US", NorthAmerica,  34.05, -118.24,  9.0, [76, 91]),
    city("bjs", "beijing",          "Beijing",          "CN", Asia,          39.90,  116.41, 21.0, [123, 112]),
    city("bom", "mumbai",           "Mumbai",           "IN", Asia,          19.08,   72.88, 15.0, [59, 184]),
    city("par", "paris",            "Paris",            "FR", Europe,        48.86,    2.35,  8.0, [90, 0]),
    city("dal", "dallas",           "Dallas",           "US", NorthAmerica,  32.78,  -96.80,  5.0, [76, 183]),
    city("can", "guangzhou",        "Guangzhou",        "CN", Asia,          23.13,  113.26, 19.0, [113, 108]),
    city("sel", "seoul",            "Seoul",            "KR", Asia,          37.57,  126.98, 12.0, [121, 128]),
    city("los", "lagos",            "Lagos",            "NG", Africa,         6.52,    3.38,  6.0, [105, 112]),
    city("yto", "toronto",          "Toronto",          "CA", NorthAmerica,  43.65,  -79.38,  4.0, [99, 224]),
    city("dxb", "dubai",            "Dubai",            "AE", Asia,          25.20,   55.27,  4.0, [94, 200]),
    city("mex", "mexico-city",      "Mexico City",      "MX", NorthAmerica,  19.43,  -99.13, 10.0, [189, 128]),
    city("hkg", "hong-kong",        "Hong Kong",        "HK", Asia,          22.32,  114.17,  7.5, [219, 76]),
    city("chi", "chicago",          "Chicago",          "US", NorthAmerica,  41.88,  -87.63,  6.0, [98, 213]),
    city("jkt", "jakarta",          "Jakarta",          "ID", Asia,          -6.21,  106.85, 14.0, [36, 68]),
    city("mad", "madrid",           "Madrid",           "ES", Europe,        40.42,   -3.70,  5.0, [83, 32]),
    city("ctu", "chengdu",          "Chengdu",          "CN", Asia,          30.57,  104.07, 16.0, [118, 112]),
    city("waw", "warsaw",           "Warsaw",           "PL", Europe,        52.23,   21.01,  3.0, [83, 0]),
    city("bue", "buenos-aires",     "Buenos Aires",     "AR", SouthAmerica, -34.60,  -58.38,  7.0, [190, 16]),
    city("del", "delhi",            "Delhi",            "IN", Asia,          28.61,   77.21, 18.0, [59, 177]),
    city("nbo", "nairobi",          "Nairobi",          "KE", Africa,        -1.29,   36.82,  3.0, [105, 160]),
    city("mia", "miami",            "Miami",            "US", NorthAmerica,  25.76,  -80.19,  4.0, [98, 242]),
    city("ist", "istanbul",         "Istanbul",         "TR", Europe,        41.01,   28.98,  9.0, [88, 224]),
    city("bkk", "bangkok",          "Bangkok",          "TH", Asia,          13.76,  100.50,  9.0, [171, 96]),
    city("ams", "amsterdam",        "Amsterdam",        "NL", Europe,        52.37,    4.90,  4.0, [77, 160]),
    city("scl", "santiago",         "Santiago",         "CL", SouthAmerica, -33.45,  -70.67,  4.0, [190, 160]),
    city("mel", "melbourne",        "Melbourne",        "AU", Oceania,      -37.81,  144.96,  4.0, [58, 160]),
    city("cai", "cairo",            "Cairo",            "EG", Africa,        30.04,   31.24,  7.0, [156, 192]),
    city("sea", "seattle",          "Seattle",          "US", NorthAmerica,  47.61, -122.33,  3.0, [67, 160]),
    city("mnl", "manila",           "Manila",           "PH", Asia,          14.60,  120.98, 10.0, [112, 200]),
    city("sto", "stockholm",        "Stockholm",        "SE", Europe,        59.33,   18.07,  2.0, [81, 224]),
    city("bog", "bogota",           "Bogotá",           "CO", SouthAmerica,   4.71,  -74.07,  5.0, [190, 24]),
    city("wuh", "wuhan",            "Wuhan",            "CN", Asia,          30.59,  114.31, 11.0, [59, 172]),
    city("osa", "osaka",            "Osaka",            "JP", Asia,          34.69,  135.50,  9.0, [182, 164]),
    city("mil", "milan",            "Milan",            "IT", Europe,        45.46,    9.19,  4.0, [79, 0]),
    city("sgn", "ho-chi-minh-city", "Ho Chi Minh City", "VN", Asia,          10.82,  106.63,  8.0, [113, 161]),
    city("atl", "atlanta",          "Atlanta",          "US", NorthAmerica,  33.75,  -84.39,  4.0, [24, 98]),
    city("rio", "rio-de-janeiro",   "Rio de Janeiro",   "BR", SouthAmerica, -22.91,  -43.17,  7.0, [189, 122]),
    city("xia", "xian",             "Xi'an",            "CN", Asia,          34.34,  108.94, 12.0, [117, 32]),
    city("tpe", "taipei",           "Taipei",           "TW", Asia,          25.03,  121.57,  7.0, [114, 32]),
    city("lim", "lima",             "Lima",             "PE", SouthAmerica, -12.05,  -77.04,  4.0, [190, 232]),
    city("yvr", "vancouver",        "Vancouver",        "CA", NorthAmerica,  49.28, -123.12,  2.0, [96, 48]),
    city("ruh", "riyadh",           "Riyadh",           "SA", Asia,          24.71,   46.68,  4.0, [188, 48]),
    city("kul", "kuala-lumpur",     "Kuala Lumpur",     "MY", Asia,           3.15,  101.69,  6.0, [175, 136]),
    city("blr", "bengaluru",        "Bengaluru",        "IN", Asia,          12.97,   77.59, 10.0, [122, 166]),
    city("hel", "helsinki",         "Helsinki",         "FI", Europe,        60.17,   24.94,  1.5, [91, 152]),
    city("cas", "casablanca",       "Casablanca",       "MA", Africa,        33.57,   -7.59,  3.0, [41, 248]),
    city("akl", "auckland",         "Auckland",         "NZ", Oceania,      -36.85,  174.76,  1.5, [122, 56]),
    city("lis", "lisbon",           "Lisbon",           "PT", Europe,        38.72,   -9.14,  2.0, [85, 240]),
    city("vie", "vienna",           "Vienna",           "AT", Europe,        48.21,   16.37,  2.0, [62, 178]),
    city("han", "hanoi",            "Hanoi",            "VN", Asia,          21.03,  105.85,  6.0, [14, 160]),
    city("den", "denver",           "Denver",           "US", NorthAmerica,  39.74, -104.99,  3.0, [67, 190]),
];

/// A row of the table.
#[expect(clippy::too_many_arguments, reason = "one row of a table, in its columns' order")]
const fn city(
    code: &'static str,
    pop: &'static str,
    name: &'static str,
    country: &'static str,
    continent: Continent,
    latitude: f64,
    longitude: f64,
    viewers: f64,
    network: [u8; 2],
) -> City {
    City { code, pop, name, country, continent, latitude, longitude, viewers, network }
}

// === impl City ===

impl City {
    /// Where it lies.
    pub(super) fn location(&self) -> Result<Location, LocationError> {
        Location::new(self.latitude, self.longitude)
    }

    /// One of the 65,536 addresses of its viewers.
    pub(super) fn viewer_address(&self, number: u16) -> Ipv4Addr {
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(self.network[0], self.network[1], high, low)
    }

    /// Its viewers' network as configuration writes it.
    pub(super) fn cidr(&self) -> String {
        format!("{}.{}.0.0/16", self.network[0], self.network[1])
    }

    /// Whether the table has other cities of its country, so that the country alone does not place a viewer.
    pub(super) fn shares_its_country(&self) -> bool {
        CITIES.iter().filter(|other| other.country == self.country).count() > 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_city_has_its_own_name_place_and_network() {
        let unique = |key: fn(&City) -> String| CITIES.iter().map(key).collect::<HashSet<_>>().len();
        assert_eq!(unique(|city| city.code.to_owned()), CITIES.len());
        assert_eq!(unique(|city| city.pop.to_owned()), CITIES.len());
        assert_eq!(unique(City::cidr), CITIES.len());
        assert_eq!(unique(|city| format!("{} {}", city.latitude, city.longitude)), CITIES.len());
        for city in &CITIES {
            assert!(city.location().is_ok(), "{}", city.name);
            assert!(city.viewers > 0.0, "{}", city.name);
            assert_eq!(city.country.len(), 2, "{}", city.name);
        }
    }

    #[test]
    fn a_small_fleet_already_spans_six_continents() {
        let continents: HashSet<_> = CITIES[..7].iter().map(|city| format!("{:?}", city.continent)).collect();
        assert_eq!(continents.len(), 6);
    }

    #[test]
    fn viewers_live_in_their_citys_network() {
        let shanghai = &CITIES[0];
        assert_eq!(shanghai.viewer_address(0x0102), Ipv4Addr::new(116, 224, 1, 2));
        assert_eq!(shanghai.cidr(), "116.224.0.0/16");
        assert!(shanghai.shares_its_country());
        assert!(!CITIES.iter().find(|city| city.code == "sin").unwrap().shares_its_country());
    }
}
