//! The configuration.

use crate::config::Config;

/// A text becomes a configuration whose references are whole, or mistakes that each stand where they say.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Config::parse(text, "fuzzed.toml") {
        Ok(config) => check_references(&config),
        Err(errors) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let lines: Vec<&str> = text.split('\n').collect();
            assert!(!errors.errors().is_empty(), "refused without a reason");
            for error in errors.errors() {
                assert!(!error.message.is_empty() && !error.message.contains('\n'), "{error:?}");
                let line = error.line.checked_sub(1).and_then(|line| lines.get(line));
                let Some(line) = line else { panic!("{error:?} is not in {} lines", lines.len()) };
                // One past the end is where something is missing.
                assert!(
                    (1..=line.chars().count() + 1).contains(&error.column),
                    "{error:?} is not in {line:?}"
                );
                assert!(!error.to_string().is_empty());
            }
            assert!(
                errors.errors().is_sorted_by_key(|error| error.line),
                "not in the order of the file: {errors}"
            );
            assert!(errors.to_string().ends_with(&errors.summary()));
        }
    }
}

fn check_references(config: &Config) {
    let has_pool = |name: &str| config.pools.iter().any(|pool| &*pool.name == name);
    assert!(config.nodes.iter().all(|node| has_pool(&node.pool)), "{:?}", config.nodes);
    assert!(config.domains.iter().all(|domain| has_pool(&domain.pool)), "{:?}", config.domains);
    for node in &config.nodes {
        assert!(node.addresses().next().is_some(), "{node:?}");
        assert!(node.weight.is_finite() && node.weight > 0.0, "{node:?}");
    }
    let scheduler = &config.scheduler;
    assert!(scheduler.ttl_s.0 >= 1 && scheduler.ttl_s.0 <= scheduler.ttl_s.1, "{scheduler:?}");
    assert!(config.scrape.timeout_ms <= config.scrape.interval_ms, "{:?}", config.scrape);
}
