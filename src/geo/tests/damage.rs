//! Files that are not what they should be: a clear word when they are opened, never a panic.

use super::*;
use crate::geo::mmdb::Database;
use crate::geo::overrides::Rules;

fn refusal(name: &str) -> String {
    Locator::open(&settings(&[name]), &HashMap::new()).unwrap_err().to_string()
}

#[test]
fn asn_database_is_refused_by_name_and_reason() {
    let path = fixture("asn-only.mmdb");
    assert_eq!(
        refusal("asn-only.mmdb"),
        format!(
            "geoip database {}: has neither coordinates nor countries (type \"GeoLite2-ASN\", records of \
             autonomous_system_number, autonomous_system_organization)",
            path.display()
        )
    );
}

#[test]
fn files_that_are_no_database_are_refused() {
    assert!(refusal("truncated.mmdb").contains("truncated.mmdb: not a MaxMind DB file, or cut short: "));
    assert!(refusal("make.py").contains("make.py: not a MaxMind DB file, or cut short: "));
    assert!(refusal("missing.mmdb").contains("missing.mmdb: cannot be read: "));
    assert!(refusal("").contains("cannot be read: not a regular file"));
}

/// Opens the bytes as a file and asks about everything; whatever comes is right, save a panic.
fn survive(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.mmdb");
    fs::write(&path, bytes).unwrap();
    match Database::open(&path) {
        Err(error) => assert!(error.to_string().contains("damaged.mmdb"), "{error}"),
        Ok(_) => {
            let locator = open(&Geoip { databases: vec![path], ..Geoip::default() });
            for address in
                ["81.2.69.1", "81.2.70.1", "216.160.83.57", "175.16.199.1", "1.2.3.4", "2400:3200::1"]
            {
                let _ = (locator.locate(ip(address)), describe(&locator.detail(ip(address))));
            }
        }
    }
}

#[test]
fn file_cut_short_anywhere_is_refused() {
    let whole = fs::read(fixture("city-nested.mmdb")).unwrap();
    for length in (0..whole.len()).step_by(13).chain(whole.len() - 40..whole.len()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut.mmdb");
        fs::write(&path, &whole[..length]).unwrap();
        assert!(Database::open(&path).is_err(), "cut to {length} of {}", whole.len());
    }
}

#[test]
fn record_damaged_after_opening_counts_as_no_answer_and_is_counted() {
    let mut bytes = fs::read(fixture("city-flat-v4.mmdb")).unwrap();
    let city = b"Beijing".as_slice();
    let at = bytes.windows(city.len()).position(|window| window == city).unwrap();
    bytes[at] = 0xff;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.mmdb");
    fs::write(&path, bytes).unwrap();
    let error = Database::open(&path).unwrap_err().to_string();
    assert!(error.contains("bad.mmdb: damaged: "), "{error}");

    // As if the sample had missed it, as it may in a large file.
    let database = Database::open_unexamined(&path).unwrap();
    let rules = Rules::new(&[], &HashMap::new()).unwrap();
    let locator = Locator::serving(Snapshot::new(vec![Arc::new(database)], Arc::new(rules), None, [].into()));
    assert_eq!(locator.locate(ip("182.92.233.108")).precision, Precision::Unknown);
    assert_eq!(locator.locate(ip("182.92.233.108")).prefix, 32);
    assert_eq!(locator.databases()[0].errors, 2);
    assert!(locator.detail(ip("182.92.233.108")).databases[0].error.is_some());
    assert_eq!(locator.locate(ip("81.2.69.142")).precision, Precision::City);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn flipped_bytes_never_panic(
        name in prop::sample::select(vec!["city-nested.mmdb", "city-flat-v4.mmdb", "ipinfo-lite.mmdb"]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        for (at, mask) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
        }
        if let Some(cut) = cut {
            bytes.drain(..cut.index(bytes.len()));
        }
        survive(&bytes);
    }
}
