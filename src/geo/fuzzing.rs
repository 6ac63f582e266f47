//! Damaged databases, for [`crate::fuzzing`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::mmdb::Database;
use super::overrides::Rules;
use super::snapshot::Snapshot;
use super::{Locator, Precision, describe};

/// Asked of whatever can be opened: records of the fixtures, and networks beside them.
const ASKED: [&str; 12] = [
    "1.2.3.4",
    "5.6.7.8",
    "8.8.8.8",
    "81.2.69.142",
    "81.2.70.1",
    "175.16.199.1",
    "182.92.233.108",
    "216.160.83.57",
    "223.255.254.1",
    "2400:3200::1",
    "2001:4860:4860::8888",
    "2a02:ffff::1",
];

/// The bytes of a database file: refused, or asked about addresses from all over without a panic; what comes out is
/// a place on this globe.
pub fn mmdb(bytes: &[u8]) {
    let Ok(database) = Database::from_bytes(bytes.to_vec()) else { return };
    let Ok(rules) = Rules::new(&[], &HashMap::new()) else { panic!("no rules are good rules") };
    let snapshot = Snapshot::new(vec![Arc::new(database)], Arc::new(rules), None, [].into());
    let locator = Locator::serving(snapshot);
    for asked in ASKED {
        let Ok(ip) = asked.parse::<IpAddr>() else { panic!("{asked} is no address") };
        let located = locator.locate(ip);
        assert_eq!(located.location.is_none(), located.precision == Precision::Unknown, "{ip}: {located:?}");
        assert!(located.prefix <= if ip.is_ipv4() { 32 } else { 128 }, "{ip}: {located:?}");
        if let Some(location) = located.location {
            assert!(location.latitude().abs() <= 90.0 && location.longitude().abs() <= 180.0, "{location:?}");
        }
        assert!(!describe(&locator.detail(ip)).is_empty());
    }
}
