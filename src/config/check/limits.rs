//! `[limits]`: what one client, and all together, may ask of the player side.

use crate::config::Limits;
use crate::config::raw::Section;
use crate::config::values::{duration, integer};

/// Most requests a second, and at once.
const MOST_REQUESTS: u32 = 100_000;
/// Longest time in which an empty bucket is full again, s.
const LONGEST_FILL_S: u32 = 3_600;
/// Most connections: no machine holds more.
const MOST_CONNECTIONS: u32 = 1_000_000;
/// Fewest connections that a service can do its work with.
const FEWEST_CONNECTIONS: u32 = 16;
/// Time for a first request, ms: below a second a phone on a bad line never gets through.
const FIRST_REQUEST_MS: std::ops::RangeInclusive<u64> = 1_000..=60_000;
/// Time between requests, ms.
const IDLE_MS: std::ops::RangeInclusive<u64> = 1_000..=3_600_000;
/// Time in the queue, ms.
const WAIT_MS: std::ops::RangeInclusive<u64> = 1..=10_000;

pub(super) fn read(section: &mut Section<'_>) -> Limits {
    let default = Limits::default();
    let mut count = |key, least: u32, most: u32, default: usize| {
        section.get(key, integer(least..=most)).map_or(default, |n| *n.get_ref() as usize)
    };
    let connections = count("connections", FEWEST_CONNECTIONS, MOST_CONNECTIONS, default.connections);
    let per_client = count("connections_per_client", 1, MOST_CONNECTIONS, default.connections_per_client);
    let rate = section.get_or("requests_per_second", default.requests_per_second, integer(0..=MOST_REQUESTS));
    let burst = section.get("burst", integer(1..=MOST_REQUESTS));
    if let Some(burst) = burst.as_ref().filter(|burst| rate > 0 && burst.get_ref() / rate > LONGEST_FILL_S) {
        let message = format!(
            "burst: at {rate} requests_per_second nobody gets {} again within an hour: expected at most {}",
            burst.get_ref(),
            rate.saturating_mul(LONGEST_FILL_S)
        );
        section.report().error(&burst.span(), message);
    }
    Limits {
        requests_per_second: rate,
        burst: burst.map_or(default.burst.min(rate.max(1).saturating_mul(LONGEST_FILL_S)), |n| *n.get_ref()),
        connections,
        connections_per_client: per_client,
        first_request_ms: section.get_or(
            "first_request",
            default.first_request_ms,
            duration(FIRST_REQUEST_MS),
        ),
        idle_ms: section.get_or("idle", default.idle_ms, duration(IDLE_MS)),
        longest_wait_ms: section.get_or("longest_wait", default.longest_wait_ms, duration(WAIT_MS)),
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 100,
            burst: 1_000,
            connections: 16_384,
            connections_per_client: 1_024,
            first_request_ms: 10_000,
            idle_ms: 75_000,
            longest_wait_ms: 200,
        }
    }
}
