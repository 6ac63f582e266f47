//! The whole room through its public door, on the fixtures that `tests/fixtures/geo/make.py` writes.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::config::GeoOverride;

mod damage;
mod reload;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/geo").join(name)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn place(latitude: f64, longitude: f64) -> Location {
    Location::new(latitude, longitude).unwrap()
}

fn settings(databases: &[&str]) -> Geoip {
    let path = |name: &&str| if *name == BUILT_IN { PathBuf::from(BUILT_IN) } else { fixture(name) };
    Geoip { databases: databases.iter().map(path).collect(), ..Geoip::default() }
}

fn open(settings: &Geoip) -> Locator {
    let pops = HashMap::from([("shanghai".into(), place(31.23, 121.47))]);
    Locator::open(settings, &pops).unwrap()
}

fn moved(network: &str, location: Location) -> GeoOverride {
    GeoOverride { network: network.parse().unwrap(), location: Some(location), pop: None, isp: None }
}

/// What an address gets, twice: fresh and remembered.
#[track_caller]
fn check(
    locator: &Locator,
    address: &str,
    expected: Option<(f64, f64)>,
    precision: Precision,
    country: &str,
) {
    for round in ["fresh", "remembered"] {
        let got = locator.locate(ip(address));
        assert_eq!(got.location, expected.map(|(n, e)| place(n, e)), "{address}, {round}");
        assert_eq!(got.precision, precision, "{address}, {round}");
        assert_eq!(
            got.country.map(|code| code.map(char::from).iter().collect::<String>()).unwrap_or_default(),
            country
        );
    }
}

// --- built-in database ---------------------------------------------------------------------------------------

#[test]
fn google_dns_is_in_the_united_states_and_114_dns_is_in_china() {
    let locator = open(&Geoip::default());
    check(&locator, "8.8.8.8", Some((38.79, -93.52)), Precision::Country, "US");
    check(&locator, "114.114.114.114", Some((32.19, 114.36)), Precision::Country, "CN");
    check(&locator, "2400:3200::1", Some((32.19, 114.36)), Precision::Country, "CN");
    check(&locator, "::ffff:8.8.8.8", Some((38.79, -93.52)), Precision::Country, "US");
    check(&locator, "2002:808:808::1", Some((38.79, -93.52)), Precision::Country, "US");
}

#[test]
fn built_in_database_tells_its_age_and_matches_its_table_of_centres() {
    let [info] = <[_; 1]>::try_from(open(&Geoip::default()).databases()).unwrap();
    assert_eq!((info.path.as_path(), info.ip_version, info.errors), (Path::new(BUILT_IN), 6, 0));
    assert_eq!(info.database_type, "Nearcast-Country");
    assert!(info.built.starts_with("2026-06-17T"), "{}", info.built);

    let bytes = include_bytes!("../../geoip/country.mmdb");
    let reader = maxminddb::Reader::from_source(&bytes[..]).unwrap();
    for first in 0..=255_u8 {
        let found = reader.lookup(IpAddr::from([first, 77, 7, 7])).unwrap();
        let Some(found) = found.decode::<record::Place>().unwrap() else { continue };
        assert_eq!(found.location, centres::centre(found.country.unwrap()), "{first}.77.7.7");
    }
}

#[test]
fn special_purpose_addresses_are_unknown_whatever_a_database_says() {
    let locator = open(&settings(&["city-nested.mmdb"]));
    for address in
        ["192.168.1.1", "10.0.0.1", "100.64.0.1", "203.0.113.1", "::1", "fd00::1", "2002:c0a8:101::1"]
    {
        check(&locator, address, None, Precision::Unknown, "");
    }
    assert_eq!(locator.locate(ip("10.0.0.1")).prefix, 8);
    assert!(locator.detail(ip("192.168.1.1")).databases.is_empty());
}

#[test]
fn unknown_addresses_are_at_the_default_location() {
    let locator = open(&Geoip { default_location: Some(place(31.2, 121.5)), ..Geoip::default() });
    check(&locator, "10.0.0.1", Some((31.2, 121.5)), Precision::Default, "");
    check(&locator, "8.8.8.8", Some((38.79, -93.52)), Precision::Country, "US");
}

// --- layouts ---------------------------------------------------------------------------------------------------

#[test]
fn nested_layout_gives_city_places() {
    let locator = open(&settings(&["city-nested.mmdb"]));
    check(&locator, "81.2.69.142", Some((51.5142, -0.0931)), Precision::City, "GB");
    check(&locator, "2400:3200::1", Some((30.2943, 120.1663)), Precision::City, "CN");
    check(&locator, "8.8.8.8", None, Precision::Unknown, "");
}

#[test]
fn flat_layout_with_32_bit_floats_gives_the_decimals_that_were_meant() {
    let locator = open(&settings(&["city-flat-v4.mmdb", "city-flat-v6.mmdb"]));
    check(&locator, "81.2.69.142", Some((51.5085, -0.1257)), Precision::City, "GB");
    check(&locator, "182.92.233.108", Some((39.904, 116.407)), Precision::City, "CN");
    check(&locator, "2400:3200::1", Some((30.2936, 120.1614)), Precision::City, "CN");
}

#[test]
fn coordinates_that_stand_for_a_country_are_not_called_a_city() {
    let nested = open(&settings(&["city-nested.mmdb"]));
    check(&nested, "216.160.83.57", Some((37.751, -97.822)), Precision::Country, "US");
    let flat = open(&settings(&["city-flat-v4.mmdb"]));
    check(&flat, "8.8.8.8", Some((37.751, -97.822)), Precision::Country, "US");
}

#[test]
fn zero_coordinates_without_a_city_fall_back_to_the_country() {
    let locator = open(&settings(&["city-flat-v4.mmdb"]));
    let australia = centres::centre(*b"AU").unwrap();
    check(&locator, "1.1.1.1", Some((australia.latitude(), australia.longitude())), Precision::Country, "AU");
    check(&locator, "9.9.9.9", None, Precision::Unknown, "");
}

#[test]
fn databases_without_coordinates_give_the_centre_of_the_country() {
    let ipinfo = open(&settings(&["ipinfo-lite.mmdb"]));
    check(&ipinfo, "8.8.8.8", Some((38.79, -93.52)), Precision::Country, "US");
    let geoacumen = open(&settings(&["geoacumen.mmdb"]));
    check(&geoacumen, "8.8.8.8", Some((38.79, -93.52)), Precision::Country, "US");
    check(&geoacumen, "81.2.69.142", None, Precision::Unknown, "");
    let nested = open(&settings(&["city-nested.mmdb"]));
    assert_eq!(nested.locate(ip("89.160.20.112")).country, Some(*b"SE"));
}

// --- several databases -----------------------------------------------------------------------------------------

#[test]
fn first_database_with_coordinates_beats_an_earlier_one_with_a_country() {
    let locator = open(&settings(&["ipinfo-lite.mmdb", "city-flat-v4.mmdb", "city-nested.mmdb"]));
    check(&locator, "81.2.69.142", Some((51.5085, -0.1257)), Precision::City, "GB");
    check(&locator, "81.2.70.1", Some((53.7965, -1.5478)), Precision::City, "GB");
    assert_eq!(locator.detail(ip("81.2.69.142")).asn, Some(20712));
}

#[test]
fn built_in_database_listed_last_never_overrules_the_operators() {
    let locator = open(&settings(&["ipinfo-lite.mmdb", BUILT_IN]));
    assert_eq!(locator.locate(ip("114.114.114.114")).country, Some(*b"JP"));
    check(&locator, "182.92.233.108", Some((32.19, 114.36)), Precision::Country, "CN");
    assert_eq!(locator.paths(), [fixture("ipinfo-lite.mmdb")]);
}

#[test]
fn ipv4_database_is_not_asked_about_ipv6() {
    let locator = open(&settings(&["city-flat-v4.mmdb"]));
    check(&locator, "2400:3200::1", None, Precision::Unknown, "");
    assert!(locator.detail(ip("2400:3200::1")).databases.is_empty());
}

// --- overrides and covering prefix -----------------------------------------------------------------------------

#[test]
fn override_beats_databases_and_special_networks() {
    let mut settings = settings(&["city-nested.mmdb"]);
    settings.overrides = vec![moved("81.2.69.128/26", place(1.0, 2.0)), moved("10.0.0.0/8", place(3.0, 4.0))];
    let locator = open(&settings);
    check(&locator, "81.2.69.142", Some((1.0, 2.0)), Precision::Override, "");
    check(&locator, "10.1.2.3", Some((3.0, 4.0)), Precision::Override, "");
    // The neighbour in the same /24 keeps the database's place, whoever was asked about first.
    check(&locator, "81.2.69.1", Some((51.5142, -0.0931)), Precision::City, "GB");
    check(&locator, "81.2.69.142", Some((1.0, 2.0)), Precision::Override, "");
}

#[test]
fn two_cities_in_one_remembered_network_are_told_apart() {
    let locator = open(&settings(&["city-nested.mmdb"]));
    for _ in 0..2 {
        check(&locator, "81.2.70.1", Some((53.7965, -1.5478)), Precision::City, "GB");
        check(&locator, "81.2.70.129", Some((51.4552, -2.5966)), Precision::City, "GB");
        check(&locator, "2400:3201:1::1", Some((29.8683, 121.544)), Precision::City, "CN");
        check(&locator, "2400:3201:1:8000::1", Some((27.9994, 120.6668)), Precision::City, "CN");
    }
    assert_eq!(locator.locate(ip("81.2.70.1")).prefix, 25);
    assert_eq!(locator.locate(ip("81.2.69.1")).prefix, 24);
    assert_eq!(locator.locate(ip("2400:3201:1::1")).prefix, 49);
}

#[test]
fn two_locators_on_one_thread_do_not_mix_their_answers() {
    let (one, two) = (open(&settings(&["city-nested.mmdb"])), open(&settings(&["city-flat-v4.mmdb"])));
    for _ in 0..2 {
        check(&one, "81.2.69.142", Some((51.5142, -0.0931)), Precision::City, "GB");
        check(&two, "81.2.69.142", Some((51.5085, -0.1257)), Precision::City, "GB");
    }
}

proptest! {
    /// The promise that DNS scopes and the cache rest on.
    #[test]
    fn every_address_within_the_covering_prefix_gets_the_same_answer(
        near in prop::sample::select(vec![
            "81.2.69.0", "81.2.70.0", "81.2.71.0", "216.160.83.56", "192.168.0.0", "8.8.8.8", "20.1.1.1",
        ]),
        low: u16, host: u32,
    ) {
        let mut settings = settings(&["ipinfo-lite.mmdb", "city-nested.mmdb"]);
        settings.overrides = vec![moved("81.2.69.64/30", place(1.0, 2.0)), moved("20.0.0.0/9", place(3.0, 4.0))];
        let locator = open(&settings);
        let IpAddr::V4(near) = ip(near) else { unreachable!() };
        let asked = u32::from(near) ^ u32::from(low);
        let located = locator.locate(IpAddr::V4(asked.into()));
        let inside = u32::MAX.checked_shr(u32::from(located.prefix)).unwrap_or(0);
        let neighbour = IpAddr::V4((asked & !inside | host & inside).into());
        prop_assert_eq!(locator.locate(neighbour), located, "{}", neighbour);
    }

    #[test]
    fn any_address_at_all_is_answered_alike_by_locate_and_detail(v6: u128, v4: u32, wide: bool) {
        let address = if wide { IpAddr::V6(v6.into()) } else { IpAddr::V4(v4.into()) };
        let locator = open(&settings(&["city-nested.mmdb", BUILT_IN]));
        let (located, detail) = (locator.locate(address), locator.detail(address));
        prop_assert_eq!(located.location.is_none(), located.precision == Precision::Unknown);
        prop_assert_eq!(located.location.map(Location::latitude), detail.latitude);
        prop_assert_eq!((located.precision, located.prefix), (detail.precision, detail.network.prefix_len()));
        prop_assert!(detail.network.contains(&canonical(address)));
    }
}

// --- providers -------------------------------------------------------------------------------------------------

fn isp_of(isps: &[&str], address: &str) -> Option<IspId> {
    let mut settings = settings(&["city-nested.mmdb", "ipinfo-lite.mmdb", BUILT_IN]);
    let mut known = moved("81.2.69.0/25", Location::new(1.0, 2.0).unwrap());
    known.isp = Some("CERNET".into());
    settings.overrides = vec![known];
    settings.isps = isps.iter().map(|isp| (*isp).into()).collect();
    let locator = open(&settings);
    let first = locator.locate(ip(address)).isp;
    assert_eq!(locator.locate(ip(address)).isp, first, "the cache changes no answer");
    first
}

#[test]
fn a_provider_is_the_operators_word_else_the_databases_by_name_or_number() {
    let isps = ["andrews & arnold ltd", "as15169", "cernet"];
    assert_eq!(isp_of(&isps, "81.2.69.1"), Some(IspId(2)));
    assert_eq!(isp_of(&isps, "81.2.69.142"), Some(IspId(0)));
    assert_eq!(isp_of(&isps, "8.8.8.8"), Some(IspId(1)));
    assert_eq!(isp_of(&["telecom"], "8.8.8.8"), Some(IspId::OTHER));
    assert_eq!(isp_of(&isps, "192.168.1.1"), None);
    assert_eq!(isp_of(&[], "81.2.69.1"), None, "no node names a provider, so nobody looks");
}

// --- for people ------------------------------------------------------------------------------------------------

fn described(locator: &Locator, address: &str) -> String {
    let root = fixture("");
    describe(&locator.detail(ip(address))).replace(&root.display().to_string(), "")
}

#[test]
fn description_says_where_and_why() {
    let mut settings = settings(&["city-nested.mmdb", "ipinfo-lite.mmdb", BUILT_IN]);
    settings.overrides = vec![GeoOverride {
        network: "10.20.0.0/16".parse().unwrap(),
        location: None,
        pop: Some("shanghai".into()),
        isp: Some("CERNET".into()),
    }];
    let locator = open(&settings);
    insta::assert_snapshot!(described(&locator, "81.2.69.142"), @"
    81.2.69.142
      place      51.5142, -0.0931
      precision  city: coordinates from city-nested.mmdb
      country    GB, United Kingdom
      city       London
      accuracy   within 10 km, says the database
      provider   Andrews & Arnold Ltd, AS20712
      network    81.2.69.0/24 (all of it gets this answer)
      database   city-nested.mmdb: GB, 51.5142, -0.0931
      database   ipinfo-lite.mmdb: GB
      database   builtin: GB
    ");
    insta::assert_snapshot!(described(&locator, "::ffff:8.8.8.8"), @"
    ::ffff:8.8.8.8 (looked up as 8.8.8.8)
      place      38.7900, -93.5200
      precision  country: one place for a whole country, from ipinfo-lite.mmdb
      country    US, United States
      provider   Google LLC, AS15169
      network    8.8.8.0/24 (all of it gets this answer)
      database   city-nested.mmdb: nothing
      database   ipinfo-lite.mmdb: US
      database   builtin: US
    ");
    insta::assert_snapshot!(described(&locator, "10.20.1.1"), @"
    10.20.1.1
      place      31.2300, 121.4700
      precision  override: the operator says so of 10.20.0.0/16
      provider   CERNET
      network    10.20.0.0/16 (all of it gets this answer)
    ");
    insta::assert_snapshot!(described(&locator, "192.168.1.1"), @"
    192.168.1.1
      precision  unknown: private network (RFC 1918)
      network    192.168.0.0/16 (all of it gets this answer)
    ");
}

#[test]
fn detail_leaves_out_of_json_what_is_not_known() {
    let locator = open(&settings(&["city-nested.mmdb"]));
    let mut detail = locator.detail(ip("175.16.199.7"));
    detail.source = Some("city.mmdb".into());
    detail.databases.clear();
    insta::assert_snapshot!(serde_json::to_string_pretty(&detail).unwrap(), @r#"
    {
      "ip": "175.16.199.7",
      "network": "175.16.199.0/24",
      "precision": "city",
      "latitude": 43.88,
      "longitude": 125.3228,
      "country": "CN",
      "country_name": "China",
      "continent": "AS",
      "city": "Changchun",
      "accuracy_radius_km": 100.0,
      "asn": 4837,
      "isp": "China Unicom",
      "source": "city.mmdb",
      "databases": []
    }
    "#);
    let unknown = serde_json::to_string(&locator.detail(ip("10.1.1.1"))).unwrap();
    insta::assert_snapshot!(unknown, @r#"{"ip":"10.1.1.1","network":"10.0.0.0/8","precision":"unknown","special":"private network (RFC 1918)","databases":[]}"#);
}
