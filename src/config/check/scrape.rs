//! `[scrape]`: how exporters are asked, which, and with what.

use std::path::Path;

use toml::Spanned;

use crate::config::raw::Section;
use crate::config::units::show_duration;
use crate::config::values::{duration, integer, network, size};
use crate::config::{Exporters, Networks, Scrape};

/// Shortest and longest interval, ms.
const INTERVAL_MS: std::ops::RangeInclusive<u64> = 500..=600_000;

/// Shortest deadline, ms: below it a busy exporter never answers in time.
const SHORTEST_TIMEOUT_MS: u64 = 100;

/// Smallest and largest page limit, bytes: 16 KiB hold a bare process exporter, 256 MiB is no metrics page.
const BODY_LIMIT_BYTES: std::ops::RangeInclusive<u64> = 16 << 10..=256 << 20;

/// Fewest and most scrapes under way at once: with one for targets that hang there is another for the rest.
const CONCURRENCY: std::ops::RangeInclusive<u32> = 2..=10_000;

/// How, and which.
///
/// Relative paths start from `folder`.
pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> (Scrape, Exporters) {
    let scrape = read_rhythm(section);
    let allowed_networks = read_networks(section);
    let read_one = |section: &mut Section<'_>| super::credentials::read(section, folder);
    let credentials = section.tables("credentials", read_one).unwrap_or_default();
    (scrape, Exporters { allowed_networks, credentials: credentials.into_iter().flatten().collect() })
}

fn read_rhythm(section: &mut Section<'_>) -> Scrape {
    let default = Scrape::default();
    let interval = section.get("interval", duration(INTERVAL_MS));
    let interval_known = interval.is_some() || !section.has("interval");
    let interval_ms = interval.map_or(default.interval_ms, Spanned::into_inner);
    let timeout = section.get("timeout", duration(SHORTEST_TIMEOUT_MS..=*INTERVAL_MS.end()));
    if let Some(timeout) =
        timeout.as_ref().filter(|timeout| interval_known && *timeout.get_ref() > interval_ms)
    {
        let (timeout_text, interval_text) = (show_duration(*timeout.get_ref()), show_duration(interval_ms));
        let message = format!("timeout: {timeout_text} is longer than the interval, {interval_text}");
        section.report().error(&timeout.span(), message);
    }
    Scrape {
        interval_ms,
        // Who asks for a short interval need not think of the timeout.
        timeout_ms: timeout.map_or(default.timeout_ms.min(interval_ms), Spanned::into_inner),
        body_limit_bytes: section.get_or("body_limit", default.body_limit_bytes, size(BODY_LIMIT_BYTES)),
        concurrency: section
            .get("concurrency", integer(CONCURRENCY))
            .map_or(default.concurrency, |n| *n.get_ref() as usize),
    }
}

/// An empty list would leave nobody to ask.
fn read_networks(section: &mut Section<'_>) -> Networks {
    const KEY: &str = "allowed_networks";
    if section.has(KEY) {
        section.demand(KEY);
    }
    let listed = section.list(KEY, network).map(Spanned::into_inner);
    // One that is there and wrong was reported already, and should not have every exporter reported too.
    let listed = listed.filter(|listed| !listed.is_empty());
    listed.map_or_else(Networks::default, |listed| {
        Networks::new(listed.into_iter().map(Spanned::into_inner).collect())
    })
}

// === impl Scrape ===

impl Default for Scrape {
    fn default() -> Self {
        Self { interval_ms: 10_000, timeout_ms: 3_000, body_limit_bytes: 4 << 20, concurrency: 128 }
    }
}
