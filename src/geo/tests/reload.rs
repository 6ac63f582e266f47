//! Files that change under a running locator.

use super::*;

/// A directory with one database in service.
struct Served {
    dir: tempfile::TempDir,
    locator: Locator,
}

impl Served {
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("city.mmdb");
        fs::copy(fixture(name), &file).unwrap();
        let locator = open(&Geoip { databases: vec![file], ..Geoip::default() });
        Self { dir, locator }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("city.mmdb")
    }

    /// As a careful person does it: beside, then by rename.
    fn replace(&self, name: &str) {
        let beside = self.dir.path().join("new");
        fs::copy(fixture(name), &beside).unwrap();
        fs::rename(beside, self.file()).unwrap();
    }
}

#[test]
fn changed_file_is_taken_up_and_remembered_answers_are_forgotten() {
    let served = Served::new("city-nested.mmdb");
    check(&served.locator, "81.2.69.142", Some((51.5142, -0.0931)), Precision::City, "GB");
    assert!(served.locator.reload().is_empty());

    served.replace("city-flat-v4.mmdb");
    let clone = served.locator.clone();
    let [report] = <[_; 1]>::try_from(clone.reload()).unwrap();
    assert_eq!(report.path, served.file());
    assert_eq!(report.outcome.unwrap().ip_version, 4);
    check(&served.locator, "81.2.69.142", Some((51.5085, -0.1257)), Precision::City, "GB");
    assert!(served.locator.reload().is_empty());
}

#[test]
fn bad_file_keeps_the_old_one_and_says_why() {
    let served = Served::new("city-nested.mmdb");
    for (bad, why) in
        [("truncated.mmdb", "cut short"), ("asn-only.mmdb", "neither coordinates nor countries")]
    {
        served.replace(bad);
        // Again and again, for as long as it is asked.
        for _ in 0..2 {
            let [report] = <[_; 1]>::try_from(served.locator.reload()).unwrap();
            let error = report.outcome.unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("city.mmdb"), "{error}");
            check(&served.locator, "81.2.69.142", Some((51.5142, -0.0931)), Precision::City, "GB");
        }
    }
    fs::remove_file(served.file()).unwrap();
    let [report] = <[_; 1]>::try_from(served.locator.reload()).unwrap();
    assert!(matches!(report.outcome, Err(GeoError::Unreadable { .. })));

    served.replace("city-flat-v4.mmdb");
    assert!(served.locator.reload().iter().all(|report| report.outcome.is_ok()));
    check(&served.locator, "81.2.69.142", Some((51.5085, -0.1257)), Precision::City, "GB");
}

#[test]
fn new_settings_replace_everything_or_nothing() {
    let served = Served::new("city-nested.mmdb");
    let mut settings = Geoip { databases: vec![served.file()], ..Geoip::default() };
    settings.overrides = vec![moved("81.2.69.0/24", place(1.0, 2.0))];
    served.locator.adopt(served.locator.prepare(&settings, &HashMap::new()).unwrap());
    check(&served.locator, "81.2.69.142", Some((1.0, 2.0)), Precision::Override, "");

    let broken = Geoip { databases: vec![fixture("asn-only.mmdb")], ..Geoip::default() };
    assert!(served.locator.prepare(&broken, &HashMap::new()).is_err());
    check(&served.locator, "81.2.69.142", Some((1.0, 2.0)), Precision::Override, "");

    // An unchanged file is not read again, so its readers share the one copy.
    let before = served.locator.shared.snapshot.load_full();
    let settings = Geoip { overrides: vec![], ..settings };
    served.locator.adopt(served.locator.prepare(&settings, &HashMap::new()).unwrap());
    let after = served.locator.shared.snapshot.load_full();
    assert!(Arc::ptr_eq(&before.databases[0], &after.databases[0]));
    check(&served.locator, "81.2.69.142", Some((51.5142, -0.0931)), Precision::City, "GB");
}
