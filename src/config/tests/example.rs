//! The example in `deploy/`, and texts like it.

use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = include_str!("../../../deploy/nearcast.example.toml");

/// The example with its commented defaults in force.
fn uncommented() -> String {
    let is_default = |line: &str| {
        line.strip_prefix('#').and_then(|line| line.chars().next()).is_some_and(|c| c.is_ascii_lowercase())
    };
    let lines = EXAMPLE.lines().map(|line| if is_default(line) { &line[1..] } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn commented_defaults_of_the_example_are_the_defaults_of_the_code() {
    let (written, full) = (parse(EXAMPLE), uncommented());
    assert_ne!(full, EXAMPLE);
    let mut with_defaults = parse(&full);
    for (with, without) in with_defaults.nodes.iter_mut().zip(&written.nodes) {
        if with.role == Role::Rtc {
            // Written limits beat the profile: the one thing that writing the defaults changes.
            assert_eq!(with.thresholds, Thresholds::default());
            with.thresholds = without.thresholds;
        }
    }
    for (with, without) in with_defaults.pools.iter_mut().zip(&written.pools) {
        if &*with.name == "calls" {
            with.thresholds = without.thresholds;
        }
    }
    assert_eq!(with_defaults, written);
}

/// Whoever adds a key has to show it: the example knows all that the reader lists when it meets an unknown one.
#[test]
fn example_shows_every_key() {
    let full = uncommented();
    let mut shown = 0;
    let headers = [
        "[server]",
        "[server.tls]",
        "[limits]",
        "[dialects]",
        "[geoip]",
        "[scrape]",
        "[thresholds]",
        "[scheduler]",
        "[dns]",
        "[dns.zones.soa]",
        "[streams]",
        "[callers.register]",
    ];
    let arrays = [
        "[[geoip.overrides]]",
        "[[scrape.credentials]]",
        "[[pops]]",
        "[[pools]]",
        "[[nodes]]",
        "[[domains]]",
        "[[dns.zones]]",
        "[[callers]]",
    ];
    for header in headers.into_iter().chain(arrays) {
        let text = full.replacen(header, &format!("{header}\nzzzzzzzz = 1"), 1);
        let errors = Config::parse(&text, "x").unwrap_err();
        assert_eq!(errors.errors().len(), 1, "{errors}");
        let (_, keys) = errors.errors()[0].message.split_once("; it has ").unwrap();
        for key in keys.replace(" or ", ", ").split(", ") {
            let is_table = full.contains(&format!("[{}.{key}]", header.trim_matches(['[', ']'])));
            let is_line = full.lines().any(|line| line.starts_with(&format!("{key} = ")));
            assert!(is_table || is_line, "{key} of {header} is not in the example");
            shown += 1;
        }
    }
    assert!(shown > 40, "only {shown} keys found");
}

#[test]
fn every_value_of_the_example_may_be_wrong_without_hiding_the_others() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let is_value = |line: &str| line.contains(" = ") && !line.starts_with('#');
    let all_wrong: Vec<String> = lines
        .iter()
        .map(|line| match line.split_once(" = ") {
            Some((key, _)) if is_value(line) => format!("{key} = false"),
            _ => (*line).to_owned(),
        })
        .collect();
    let errors = Config::parse(&all_wrong.join("\n"), "x").unwrap_err();
    let wrong: Vec<usize> = (0..lines.len()).filter(|at| is_value(lines[*at])).map(|at| at + 1).collect();
    let found: Vec<usize> = errors.errors().iter().map(|error| error.line).collect();
    assert_eq!(found, wrong, "{errors}");
}

/// What is wrong is where it says: ordered, within the text, and rendered.
fn check_errors(text: &str) -> Result<(), TestCaseError> {
    let Err(errors) = Config::parse(text, "nearcast.toml") else { return Ok(()) };
    prop_assert!(!errors.errors().is_empty());
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').split('\n').collect();
    let mut last = (0, 0);
    for error in errors.errors() {
        let line = lines.get(error.line - 1).copied().unwrap_or_default();
        let rest: String = line.chars().skip(error.column - 1).collect();
        // Passwords are starred out; no test text has one of the same length without them.
        let same = rest.starts_with(&error.text) || error.text.contains('*');
        prop_assert!(same, "{:?} is not at {}:{}", error.text, error.line, error.column);
        prop_assert!((error.line, error.column) >= last);
        prop_assert!(!error.message.contains(['\n', '\u{1b}']), "{}", error.message);
        last = (error.line, error.column);
    }
    prop_assert!(errors.to_string().ends_with(&errors.summary()));
    Ok(())
}

/// Pieces that get TOML and our readers into trouble.
const PIECES: [&str; 24] = [
    "\"",
    "'''",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    "#",
    "\n",
    "\r\n",
    "\u{feff}",
    "\u{1b}",
    "上海",
    "é",
    "nan",
    "-1",
    "1e999",
    "0xFFFFFFFFFFFFFFFFFF",
    "\"10.0.0.1/8\"",
    "x.y.z = 1\n",
    "http://a:b@c",
];

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        check_errors(&text)?;
    }

    #[test]
    fn no_change_to_the_example_panics(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), 0..40_usize, 0..=PIECES.len()), 1..6),
    ) {
        let mut text = uncommented();
        for (at, cut, piece) in changes {
            let start = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.floor_char_boundary((start + cut).min(text.len())).max(start);
            text.replace_range(start..end, PIECES.get(piece).copied().unwrap_or_default());
        }
        check_errors(&text)?;
    }

    /// Changes that leave valid TOML behind reach the checks.
    #[test]
    fn no_other_value_in_the_example_panics(
        at in any::<proptest::sample::Index>(),
        value in prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| format!("{n:?}").replace("NaN", "nan")),
            "\"[ -!#-\\[\\]-~é上]{0,30}\"",
            Just("[[\"x\"], {}]".to_owned()),
            Just("{ a.b = 1 }".to_owned()),
        ],
    ) {
        let text = uncommented();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let candidates: Vec<usize> =
            (0..lines.len()).filter(|at| !lines[*at].starts_with('#') && lines[*at].contains(" = ")).collect();
        let line = &mut lines[candidates[at.index(candidates.len())]];
        let key = line.split(" = ").next().unwrap_or_default().to_owned();
        *line = format!("{key} = {value}");
        check_errors(&lines.join("\n"))?;
    }
}
