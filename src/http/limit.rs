//! How many requests one client may make: a token bucket each, in a table that never grows.
//!
//! The buckets are GCRA (ITU-T I.371): all that is kept of a client is the moment at which its bucket will be full
//! again, 32 bits beside 32 bits of the client's hash in one word. A client's word is in one of eight places of one
//! cache line, found by its hash; a newcomer takes the place of whoever's bucket is fullest. So a flood of addresses
//! costs no memory, and what it can push out are buckets that were nearly full again, not the flooders' own. No lock,
//! one compare-and-swap a request.
//!
//! The hash is keyed at each start: nobody can choose addresses that meet in one place.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use http::{HeaderName, HeaderValue};

use super::problem::{Problem, Slug};
use crate::config::Limits;
use crate::schedule::Moment;

/// Places that share a cache line, one of which a client may have.
const WAYS: usize = 8;
/// Cache lines: 65,536 clients at once, 512 KiB.
const SETS: usize = 8_192;
/// Tries to write a word that others write too, after which the request passes: that is not who a limit is for.
const TRIES: usize = 4;
/// Parts of a millisecond that time is counted in: 100,000 requests a second are still told apart.
const TICKS_PER_MS: u64 = 128;

/// draft-ietf-httpapi-ratelimit-headers-10: what is allowed, and what is left of it.
static RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Whom a limit is for: an IPv4 address, or an IPv6 /56, which is what one household gets (RIPE-690).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientKey(u64);

/// The buckets of all clients.
#[derive(Debug)]
pub struct Limiter {
    sets: Box<[Set]>,
    keys: RandomState,
    /// Ticks that one request takes from a bucket; 0: there is no limit.
    cost: AtomicU32,
    /// Ticks that a full bucket has.
    depth: AtomicU32,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

/// A client has used up what it may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted {
    /// When one more request is allowed, s, rounded up.
    retry_after_s: u32,
    /// Requests a second.
    rate: u32,
    /// Requests at once.
    burst: u32,
}

// === impl ClientKey ===

impl ClientKey {
    pub(super) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            // The highest byte of an IPv6 key is 0: no /56 looks like an address.
            IpAddr::V4(v4) => Self(u64::from(u32::from(v4)) | 1 << 63),
            IpAddr::V6(v6) => Self((u128::from(v6) >> 72) as u64),
        }
    }
}

// === impl Limiter ===

impl Limiter {
    /// Full buckets under these limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let limiter = Self {
            sets: (0..SETS).map(|_| Set::default()).collect(),
            keys: RandomState::new(),
            cost: AtomicU32::new(0),
            depth: AtomicU32::new(0),
        };
        limiter.limit(limits);
        limiter
    }

    /// From now on these limits count; what clients have used up stays used up.
    pub fn limit(&self, limits: &Limits) {
        let cost = (1_000 * TICKS_PER_MS).checked_div(u64::from(limits.requests_per_second)).unwrap_or(0);
        let depth = (cost * u64::from(limits.burst)).min(u64::from(u32::MAX / 4));
        self.depth.store(u32::try_from(depth).unwrap_or(u32::MAX / 4), Ordering::Relaxed);
        self.cost.store(u32::try_from(cost).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Takes one request from a client's bucket.
    pub(super) fn take(&self, client: ClientKey, now: Moment) -> Result<(), Exhausted> {
        let cost = self.cost.load(Ordering::Relaxed);
        if cost == 0 {
            return Ok(());
        }
        let depth = self.depth.load(Ordering::Relaxed);
        // Wraps after nine hours; an older word is told by its distance, below.
        let now = (now.0.wrapping_mul(TICKS_PER_MS)) as u32;
        let hash = self.keys.hash_one(client);
        let set = &self.sets[(hash >> 32) as usize % SETS];
        // 0 is an empty place.
        let tag = (hash as u32).max(1);
        for _ in 0..TRIES {
            let (place, word) = set.place(tag, now, depth);
            let used = if (word >> 32) as u32 == tag { used(word, now, depth) } else { 0 };
            let then = used.saturating_add(cost);
            if then > depth {
                return Err(Exhausted::new(then - depth, cost, depth));
            }
            let next = u64::from(tag) << 32 | u64::from(now.wrapping_add(then));
            if place.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Ok(());
            }
        }
        Ok(())
    }
}

// === impl Set ===

impl Set {
    /// The place of a tag, or the one that its owner misses least: empty, or fullest again. With what stands there.
    fn place(&self, tag: u32, now: u32, depth: u32) -> (&AtomicU64, u64) {
        let mut best = (&self.0[0], 0, u32::MAX);
        for place in &self.0 {
            let word = place.load(Ordering::Relaxed);
            if (word >> 32) as u32 == tag {
                return (place, word);
            }
            let used = if word == 0 { 0 } else { used(word, now, depth) };
            if used < best.2 {
                best = (place, word, used);
            }
        }
        (best.0, best.1)
    }
}

/// Ticks taken from a bucket and not yet filled up again.
fn used(word: u64, now: u32, depth: u32) -> u32 {
    let full_at = word as u32;
    let used = full_at.wrapping_sub(now);
    // In the past, or from before the last wrap.
    if used > depth { 0 } else { used }
}

// === impl Exhausted ===

impl Exhausted {
    fn new(missing: u32, cost: u32, depth: u32) -> Self {
        let ticks_per_s = 1_000 * TICKS_PER_MS;
        let retry_after_s = u64::from(missing).div_ceil(ticks_per_s);
        Self {
            retry_after_s: u32::try_from(retry_after_s).unwrap_or(u32::MAX),
            rate: u32::try_from(ticks_per_s / u64::from(cost)).unwrap_or(u32::MAX),
            burst: depth / cost,
        }
    }

    /// The headers that say so, beside `Retry-After`.
    pub(super) fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        let value = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        let window_s = self.burst.div_ceil(self.rate.max(1));
        [
            (RATELIMIT_POLICY.clone(), value(format!("\"client\";q={};w={window_s}", self.burst))),
            (RATELIMIT.clone(), value(format!("\"client\";r=0;t={}", self.retry_after_s))),
        ]
    }
}

impl From<Exhausted> for Problem {
    fn from(exhausted: Exhausted) -> Self {
        let Exhausted { rate, burst, retry_after_s } = exhausted;
        Self::new(
            Slug::TooManyRequests,
            format!("this client may ask {rate} times a second on average and {burst} times at once"),
        )
        .retry_after(retry_after_s)
    }
}

#[cfg(test)]
mod tests;
