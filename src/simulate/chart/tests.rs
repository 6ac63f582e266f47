use super::super::figures::Figures;
use super::super::jobs::Row;
use super::super::timeline::Timeline;
use super::super::variant::Variant;
use super::super::{Options, catalogue};
use super::*;

fn sheet() -> Sheet {
    let scenario = *catalogue::named("pop-death").unwrap();
    let row = |name: &str, peak: f64| {
        let mut course = Timeline::new(scenario.duration_s, 3);
        for second in 0..1_500 {
            let wave = 0.5 + peak / 2.0 * (f64::from(second) / 90.0).sin().abs();
            course.sample(f64::from(second), &[wave, 0.3, wave / 2.0, 0.79], |node| node % 3);
        }
        let mean = Figures { over_80: 12.0, km: 400.0, ..Figures::default() };
        let variant = Variant::named(name, crate::schedule::policy::PolicyKind::default()).unwrap();
        Row { variant, by_seed: vec![mean], mean, course }
    };
    let pops = [("Ashgabat & <East>", "Asia"), ("Beijing", "China"), ("\"Quoted\"", "Europe_ME")];
    Sheet {
        scenario,
        seeds: vec![1],
        crowd: 1.0,
        kills: vec![super::super::Kill { pop: "a&b".into(), at_s: 100.0 }],
        rows: vec![row("nearest", 0.6), row("naive", 4.0)],
        pops: pops.map(|(name, region)| (name.to_owned(), region.to_owned())).to_vec(),
    }
}

/// Every tag is closed in order, every attribute quoted, no stray ampersand.
fn check_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(!text.contains('>'), "stray > in {text:?}");
        for (at, _) in text.match_indices('&') {
            let entity = &text[at..];
            assert!(["&amp;", "&lt;", "&gt;", "&quot;"].iter().any(|e| entity.starts_with(e)), "{entity:?}");
        }
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{open:?} never end");
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn the_picture_is_well_formed_and_says_what_it_shows() {
    let svg = draw(&sheet());
    check_well_formed(&svg);
    for text in ["pop-death", "nearest", "naive peaks at", "80 %: the limit", "a PoP dies", "Back-to-source"]
    {
        assert!(svg.contains(text), "{text} is missing");
    }
    assert!(svg.contains("Ashgabat &amp; &lt;East&gt;"));
}

#[test]
fn a_sheet_without_rows_is_still_a_picture() {
    check_well_formed(&draw(&Sheet { rows: Vec::new(), pops: Vec::new(), ..sheet() }));
}

#[test]
fn numbers_are_grouped_and_axes_are_readable() {
    assert_eq!([0.0, 999.0, 1_000.0, 1_234_567.0].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    let labels = |duration_s| ticks(duration_s, 8.0).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
    assert_eq!(labels(1_500.0), ["0", "5", "10", "15", "20", "25 min"]);
    assert_eq!(labels(86_400.0), ["0", "3", "6", "9", "12", "15", "18", "21", "24 h"]);
}

#[test]
fn several_scenarios_make_no_picture() {
    let options = Options {
        scenarios: vec!["base".into(), "r1".into()],
        svg: Some("unused.svg".into()),
        ..Options::default()
    };
    assert!(super::super::run(&options, &mut Vec::new(), false).is_err());
}
