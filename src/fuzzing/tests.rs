use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Sends every file of a folder through a target; how many there were.
fn replay(name: &str, folder: &Path) -> usize {
    let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) else {
        panic!("no target is called {name}");
    };
    let files = names(folder);
    for file in &files {
        // Says on failure which input it was.
        println!("{name} {}", folder.join(file).display());
        target(&std::fs::read(folder.join(file)).unwrap());
    }
    files.len()
}

#[test]
fn every_target_stands_what_is_kept_of_fuzzing() {
    for (name, _) in TARGETS {
        assert!(replay(name, &folder("fuzz/seeds").join(name)) > 0, "{name} has no seeds");
    }
    for name in names(&folder("fuzz/findings")) {
        replay(&name, &folder("fuzz/findings").join(&name));
    }
}

#[test]
fn every_target_stands_all_fixtures_and_the_examples() {
    for (name, from) in [
        ("exposition", "tests/fixtures/exporters"),
        ("pages", "tests/fixtures/exporters"),
        ("streams", "tests/fixtures/exporters"),
        ("mmdb", "tests/fixtures/geo"),
    ] {
        replay(name, &folder(from));
    }
    configuration(include_bytes!("../../deploy/nearcast.example.toml"));
}

#[test]
fn every_target_has_a_program_and_a_folder_of_seeds_and_nothing_else_has() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let programs = names(&folder("fuzz/fuzz_targets"));
    let programs: BTreeSet<String> =
        programs.iter().map(|file| file.trim_end_matches(".rs").to_owned()).collect();
    assert_eq!(programs, known);
    assert_eq!(names(&folder("fuzz/seeds")), known);
    let manifest = std::fs::read_to_string(folder("fuzz/Cargo.toml")).unwrap();
    for name in &known {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no [[bin]] {name}");
    }
}
