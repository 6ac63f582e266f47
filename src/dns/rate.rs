//! Response-rate limiting: a name server that answers forged addresses is a weapon, so each network gets so many replies.
//!
//! A bucket for each /24 or /56 (GCRA: all that is kept is when it will be full again), for UDP without a cookie of ours
//! only: TCP and cookies prove the address. Beyond the rate every second reply is cut to TC, small as the query and an
//! invitation to come by TCP, so that who really asks is served under an attack on it; the others are not sent.
//!
//! *Limits*: one table of fixed size. Networks whose keyed hashes meet take each other's place, and begin with a full
//! bucket then.

use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use foldhash::fast::RandomState;

use crate::schedule::Moment;

/// Places: 512 KiB.
const PLACES: usize = 65_536;
/// Parts of a millisecond that time is counted in: a million replies a second are still told apart.
const TICKS_PER_MS: u64 = 1_024;
/// Every how many limited replies one is cut instead of kept back.
const SLIP: u32 = 2;

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sentence {
    /// It is sent.
    Send,
    /// It is cut to TC.
    Cut,
    /// It is not sent.
    Drop,
}

/// The buckets of all networks.
pub(super) struct RateLimiter {
    places: Box<[AtomicU64]>,
    keys: RandomState,
    /// Ticks that a reply takes from a bucket, which holds those of a second; 0: there is no limit.
    cost: AtomicU32,
    limited: AtomicU32,
}

// === impl RateLimiter ===

impl RateLimiter {
    /// `rate`: replies a second for each network; 0: no limit.
    pub(super) fn new(rate: u32) -> Self {
        let limiter = Self {
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            keys: RandomState::default(),
            cost: AtomicU32::new(0),
            limited: AtomicU32::new(0),
        };
        limiter.limit(rate);
        limiter
    }

    /// From now on this rate counts.
    pub(super) fn limit(&self, rate: u32) {
        let cost = (1_000 * TICKS_PER_MS).checked_div(u64::from(rate)).unwrap_or(0);
        self.cost.store(u32::try_from(cost).unwrap_or(u32::MAX), Relaxed);
    }

    /// Takes a reply from the bucket of the network that it goes to.
    pub(super) fn judge(&self, to: IpAddr, now: Moment) -> Sentence {
        let cost = u64::from(self.cost.load(Relaxed));
        if cost == 0 {
            return Sentence::Send;
        }
        let depth = 1_000 * TICKS_PER_MS;
        let hash = self.keys.hash_one(network(to));
        let place = &self.places[hash as usize % PLACES];
        // 24 bits tell networks apart that share a place, 40 bits of time last for two weeks before they wrap.
        let tag = hash >> 40;
        let now = now.0.wrapping_mul(TICKS_PER_MS) & TIME;
        let word = place.load(Relaxed);
        let full_at = word & TIME;
        let used = match word >> 40 == tag {
            true => full_at.wrapping_sub(now) & TIME,
            false => 0,
        };
        // In the past.
        let used = if used > depth { 0 } else { used };
        if used + cost > depth {
            let count = self.limited.fetch_add(1, Relaxed);
            return if count.is_multiple_of(SLIP) { Sentence::Cut } else { Sentence::Drop };
        }
        // Two threads that write at once lose one reply of the count: this guards against floods, not single replies.
        place.store(tag << 40 | (now + used + cost) & TIME, Relaxed);
        Sentence::Send
    }
}

/// The bits of a word that hold time.
const TIME: u64 = (1 << 40) - 1;

/// The /24 or /56 of a canonical address, told apart by the highest bit.
pub(super) fn network(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u64::from(u32::from(ip) >> 8) | 1 << 63,
        IpAddr::V6(ip) => u64::try_from(u128::from(ip) >> 72).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOODED: [u8; 4] = [192, 0, 2, 1];

    #[test]
    fn a_flooded_network_gets_its_rate_and_others_do_not_notice() {
        let limiter = RateLimiter::new(100);
        let mut sent = 0;
        for query in 0..10_000_u64 {
            // Ten seconds, a thousand a second, from all over the network.
            let ip = IpAddr::from([192, 0, 2, (query % 256) as u8]);
            sent += usize::from(limiter.judge(ip, Moment(1_000 + query)) == Sentence::Send);
        }
        // A second's worth saved up, and a hundred a second.
        assert!((1_090..=1_101).contains(&sent), "{sent}");
        assert_eq!(limiter.judge([192, 0, 3, 1].into(), Moment(11_000)), Sentence::Send);
    }

    #[test]
    fn every_second_limited_reply_is_cut_and_the_other_dropped() {
        let limiter = RateLimiter::new(1);
        let sentences: Vec<_> = (0..5).map(|_| limiter.judge(FLOODED.into(), Moment(1_000))).collect();
        use Sentence::{Cut, Drop, Send};
        assert_eq!(sentences, [Send, Cut, Drop, Cut, Drop]);
        assert_eq!(limiter.judge(FLOODED.into(), Moment(2_000)), Send);
    }

    #[test]
    fn an_ipv6_household_is_one_network() {
        let limiter = RateLimiter::new(1);
        let judge = |ip: &str| limiter.judge(ip.parse().unwrap(), Moment(1_000));
        assert_eq!(judge("2001:db8:0:100::1"), Sentence::Send);
        assert_eq!(judge("2001:db8:0:1ff::1"), Sentence::Cut);
        assert_eq!(judge("2001:db8:0:200::1"), Sentence::Send);
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let limiter = RateLimiter::new(0);
        assert!((0..1_000).all(|_| limiter.judge(FLOODED.into(), Moment(1_000)) == Sentence::Send));
    }
}
