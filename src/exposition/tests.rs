use proptest::prelude::*;

use super::*;

const NODE_PAGE: &[u8] = include_bytes!("../../tests/fixtures/exporters/node_exporter_full.txt");
const PROCESS_PAGE: &[u8] = include_bytes!("../../tests/fixtures/exporters/process_exporter.txt");

/// Everything of metric `m` on a page.
fn samples(page: &[u8]) -> Result<Vec<Sample<'_>>, ExpositionError> {
    Selector::new(["m"]).samples(page, |_, _| true)
}

#[track_caller]
fn check(page: &str, expected: &[(&[(&str, &str)], f64)]) {
    let found = samples(page.as_bytes()).unwrap();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (sample, (labels, value)) in found.iter().zip(expected) {
        assert_eq!(sample.labels.iter().collect::<Vec<_>>(), *labels);
        assert!(sample.value == *value || (sample.value.is_nan() && value.is_nan()), "{sample:?}");
    }
}

#[track_caller]
fn check_error(page: &[u8], expected: &str) {
    assert_eq!(samples(page).unwrap_err().to_string(), expected);
}

#[test]
fn plain_lines_are_read() {
    check("m 1\n", &[(&[], 1.0)]);
    check("# HELP m x\n# TYPE m counter\nm 1.5e3\n", &[(&[], 1500.0)]);
    check("m{a=\"x\"} 1\nm{a=\"y\",b=\"\"} -2\n", &[(&[("a", "x")], 1.0), (&[("a", "y"), ("b", "")], -2.0)]);
    check("m{a=\"x\",} 1\n", &[(&[("a", "x")], 1.0)]);
    check("other 1\nm_total 2\nmm 3\n", &[]);
    check("", &[]);
    check("\n\n# EOF\n", &[]);
}

#[test]
fn special_values_are_read() {
    check("m NaN\n", &[(&[], f64::NAN)]);
    check("m +Inf\n", &[(&[], f64::INFINITY)]);
    check("m -Inf\n", &[(&[], f64::NEG_INFINITY)]);
    check("m -0\n", &[(&[], 0.0)]);
}

#[test]
fn timestamps_exemplars_and_blanks_are_read_past() {
    check("m 1 1395066363000\n", &[(&[], 1.0)]);
    check("m{a=\"x\"}\t1  1395066363.5 \n", &[(&[("a", "x")], 1.0)]);
    check("m{a=\"x\"} 1 # {trace=\"y\"} 0.6 12.5\n", &[(&[("a", "x")], 1.0)]);
    check("  m 1\n", &[(&[], 1.0)]);
    check("m 1\r\n# x\r\nm{a=\"b\"} 2\r\n", &[(&[], 1.0), (&[("a", "b")], 2.0)]);
}

#[test]
fn characters_that_the_crate_can_represent_are_kept() {
    for value in ["{", " x ", "#", "ä€😀", "a:b;c/d", "(1)", "'", "\t"] {
        check(&format!("m{{a=\"{value}\"}} 1\n"), &[(&[("a", value)], 1.0)]);
    }
}

#[test]
fn legal_lines_that_the_crate_loses_are_named() {
    let lost = "was lost or changed";
    check_error(b"m{} 1\n", "line 1: m cannot be represented: the line was dropped");
    check_error(b"m{a=\"b\"}1\n", "line 1: m{a=\"b\"} cannot be represented: the line was dropped");
    check_error(
        b"x 1\nm{a=\"b\"} 1\nm{a=\"}\"} 1\n",
        "line 3: m{a=\"}\"} cannot be represented: the line was dropped",
    );
    for (raw, shown) in [("x,y", "x,y"), ("x=y", "x=y"), ("\\\"", "\\\""), ("\\\\", "\\\\"), ("\\n", "\\n")] {
        let page = format!("m{{a=\"{raw}\"}} 1\n");
        let expected =
            format!("line 1: m{{a=\"{shown}\"}} cannot be represented: label a=\"{shown}\" {lost}");
        check_error(page.as_bytes(), &expected);
    }
    check_error(
        b"m{a=\"b\", c=\"d\"} 1\n",
        "line 1: m{a=\"b\",c=\"d\"} cannot be represented: label c=\"d\" was lost or changed",
    );
    check_error(b"{\"m\",a=\"b\"} 1\n", "line 1: m cannot be represented: the name is quoted");
}

#[test]
fn recording_rule_names_are_named_too() {
    let error = Selector::new(["a:b"]).samples(b"a:b 1\n", |_, _| true).unwrap_err();
    assert_eq!(error.to_string(), "line 1: a:b cannot be represented: the line was dropped");
}

#[test]
fn a_refused_line_cannot_fail_the_page() {
    let page = b"m{g=\"srs\"} 1\nm{g=\"x,y=}\\\\\"} 2\n";
    let found = Selector::new(["m"]).samples(page, |_, labels| labels.get("g") == Some("srs")).unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn malformed_wanted_lines_are_named() {
    for (line, flaw) in [
        ("m{a=\"b\" 1", "labels do not end"),
        ("m{a=\"b", "labels do not end"),
        ("m{a=\"b\\", "labels do not end"),
        ("m{", "labels do not end"),
        ("m{a=\"b\"c=\"d\"} 1", "labels do not end"),
        ("m{1a=\"b\"} 1", "label name is not one"),
        ("m{,a=\"b\"} 1", "label name is not one"),
        ("m{a=b} 1", "label value is not quoted"),
        ("m{a} 1", "label value is not quoted"),
        ("m{a=\"\\x\"} 1", "unknown escape in a label value"),
        ("m{a=\"b\",a=\"c\"} 1", "label comes twice"),
        ("m", "no value"),
        ("m{a=\"b\"}", "no value"),
        ("m one", "value is not a number"),
        ("m 0x10", "value is not a number"),
        ("m 1 x", "text after the value"),
        ("m 1 2 3", "text after the value"),
    ] {
        check_error(format!("x 1\n{line}\n").as_bytes(), &format!("line 2: m: {flaw}"));
    }
    let labels: String = (0..65).map(|n| format!("l{n}=\"\",")).collect();
    check_error(format!("m{{{labels}}} 1\n").as_bytes(), "line 1: m: more than 64 labels");
    check_error(b"x 1\nm{a=\"\xff\"} 1\n", "line 2 is not UTF-8");
}

#[test]
fn a_series_that_comes_twice_is_refused() {
    check_error(b"m 1\nm 1\n", "line 2: m comes twice");
    check_error(
        b"m{a=\"1\",b=\"2\"} 1\nm{a=\"0\"} 1\nm{b=\"2\",a=\"1\"} 3\n",
        "line 3: m{a=\"1\",b=\"2\"} comes twice",
    );
}

#[test]
fn bodies_that_are_no_pages_are_named() {
    check_error(b"<!doctype html><p>Login", "page is HTML, not exposition text");
    check_error(b"{\"code\":1090}", "page is JSON, not exposition text");
    check_error(b" {\n \"code\" : 1090}\n", "page is JSON, not exposition text");
    check_error(b"{}", "page is JSON, not exposition text");
    check_error(b"[1]\n", "page is JSON, not exposition text");
    check_error(b"\x1f\x8b\x08\x00\x00\n", "page is binary, not exposition text");
    check_error(b"404 page not found\n", "page is not exposition text: line 1 is \"404 page not found\"");
    check_error(b"Forbidden\n", "page is not exposition text: line 1 is \"Forbidden\"");
    check_error(b"# x\n\xff\xfe\n", "page is not exposition text: line 2 is \"\u{fffd}\u{fffd}\"");
}

#[test]
fn a_page_without_its_last_line_feed_is_truncated() {
    check_error(b"m 1\nm{a=\"x\"} 12", "page ends in the middle of a line");
    check_error(&NODE_PAGE[..30_000], "page ends in the middle of a line");
}

#[test]
fn too_many_wanted_lines_are_refused() {
    let page: String = (0..=MAX_SAMPLES).map(|n| format!("m{{a=\"{n}\"}} 1\n")).collect();
    check_error(page.as_bytes(), "page has more than 10000 wanted lines");
}

#[test]
fn real_pages_agree_with_the_crate_read_whole() {
    for page in [NODE_PAGE, PROCESS_PAGE] {
        let text = std::str::from_utf8(page).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(|line| Ok(line.to_owned()));
        let whole = prometheus_parse::Scrape::parse(lines).unwrap().samples;
        let selector = Selector::new(whole.iter().map(|sample| sample.metric.as_str()));
        let ours = selector.samples(page, |_, _| true).unwrap();
        assert_eq!(ours.len(), whole.len());
        for (ours, theirs) in ours.iter().zip(&whole) {
            assert_eq!(ours.name, theirs.metric);
            assert_eq!(ours.labels.len(), theirs.labels.len());
            assert!(ours.labels.iter().all(|(name, value)| theirs.labels.get(name) == Some(value)));
            assert_eq!(prometheus_parse::Value::Untyped(ours.value), theirs.value);
        }
    }
}

/// A label value as an exporter writes it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Any text, rich in what the format and the crate stumble over.
fn label_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::collection::vec(
            prop::sample::select(vec![
                ",", "=", "{", "}", "\"", "\\", "\n", "\\n", " ", "#", "a", "m", "1", "é", "\r"
            ]),
            0..12
        )
        .prop_map(|parts| parts.concat()),
    ]
    .prop_filter("a NUL makes the page binary", |value| !value.contains('\0'))
}

proptest! {
    #[test]
    fn a_sample_is_exact_or_its_line_is_named(
        first in label_value(),
        second in label_value(),
        value in any::<f64>(),
        stamp in any::<Option<i64>>(),
    ) {
        let stamp = stamp.map_or_else(String::new, |ms| format!(" {ms}"));
        let page = format!(
            "before 1\nm{{one=\"{}\",two=\"{}\"}} {value}{stamp}\nafter 2\n", escape(&first), escape(&second)
        );
        match samples(page.as_bytes()) {
            Ok(found) => {
                prop_assert_eq!(found.len(), 1);
                let labels: Vec<_> = found[0].labels.iter().collect();
                prop_assert_eq!(labels, vec![("one", first.as_str()), ("two", second.as_str())]);
                prop_assert!(found[0].value == value || (found[0].value.is_nan() && value.is_nan()));
            }
            Err(ExpositionError::Unrepresentable { line, .. }) => {
                prop_assert_eq!(line, 2);
                // The guard must not be an excuse: only these characters are beyond the crate.
                let beyond = |text: &str| text.contains([',', '=', '}', '"', '\\', '\n']);
                prop_assert!(beyond(&first) || beyond(&second), "{page}");
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = samples(&bytes);
    }

    #[test]
    fn arbitrary_lines_of_a_wanted_metric_never_panic_and_never_vanish(
        rest in "[ -~é\t]{0,40}",
    ) {
        let page = format!("x 1\nm{rest}\n");
        // Behind other characters than these the name is another one.
        let ours = rest.is_empty() || rest.starts_with(['{', ' ', '\t']);
        match samples(page.as_bytes()) {
            Ok(found) => prop_assert_eq!(found.len(), usize::from(ours)),
            Err(_) => prop_assert!(ours),
        }
    }

    #[test]
    fn a_page_cut_anywhere_is_whole_lines_or_an_error(cut in 0..NODE_PAGE.len()) {
        let selector = Selector::new(["node_cpu_seconds_total", "node_load1"]);
        let result = selector.samples(&NODE_PAGE[..cut], |_, _| true);
        prop_assert_eq!(result.is_ok(), cut == 0 || NODE_PAGE[cut - 1] == b'\n');
    }
}
