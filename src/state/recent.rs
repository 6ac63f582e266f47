//! Recent: the last answers that booked somebody, for people who ask what would happen if.
//!
//! A ring of 16,384 entries of two words each, written by every answer with one addition and two plain stores, and
//! never waited for. The oldest entry is overwritten, so a busy replica remembers less than a minute: a reader is
//! told how long a time it was given and scales. **No client address is kept**, only its square degree.
//!
//! A reader may meet an entry that is being written. Both words carry the low bits of the lap, and the reader knows
//! which lap each entry should be of: what does not fit is left out.

mod degree;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::schedule::Moment;
use crate::schedule::affinity::Bucket;
use crate::schedule::fleet::DomainIndex;
use crate::schedule::isp::IspId;
use crate::schedule::node::NodeIndex;
use crate::schedule::scene::Family;

pub use self::degree::Degree;

/// Entries. A quarter of a MiB.
const ENTRIES: usize = 16_384;
const LAP_BITS: u32 = 5;
const LAP_MASK: u64 = (1 << LAP_BITS) - 1;
/// A bitrate is at most 100 Mbit/s; 131 fit.
const KBPS_BITS: u32 = 17;
const KBPS_MASK: u64 = (1 << KBPS_BITS) - 1;
const FAMILY_BITS: u32 = 2;
const FAMILY_MASK: u64 = (1 << FAMILY_BITS) - 1;
const ISP_BITS: u32 = 7;
const ISP_MASK: u64 = (1 << ISP_BITS) - 1;
/// A million nodes.
const NODE_BITS: u32 = 20;
const NODE_MASK: u64 = (1 << NODE_BITS) - 1;

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was given.
    pub at: Moment,
    /// The node that was named first.
    pub node: NodeIndex,
    /// What was asked for.
    pub domain: DomainIndex,
    /// Which addresses the asker could use.
    pub family: Family,
    /// Where the asker was …
    pub degree: Degree,
    /// … and on whose line.
    pub isp: Option<IspId>,
    /// Which nodes its stream sticks to.
    pub bucket: Bucket,
    /// What was booked, kbit/s.
    pub kbps: u32,
}

/// What a reader is given.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// The time that they cover, ms: all answers of that time are here.
    pub covers_ms: u64,
}

#[derive(Debug, Default)]
#[repr(align(16))]
struct Slot {
    /// From the top: low half of the time in ms, node, internet provider, lap.
    who: AtomicU64,
    /// From the top: degree, domain, bucket, kbit/s, family, lap.
    what: AtomicU64,
}

/// The ring.
#[derive(Debug)]
pub struct Recent {
    /// Answers so far: the next one's place, and its lap.
    count: AtomicU64,
    slots: Box<[Slot]>,
}

// === impl Recent ===

impl Default for Recent {
    fn default() -> Self {
        Self { count: AtomicU64::new(0), slots: (0..ENTRIES).map(|_| Slot::default()).collect() }
    }
}

impl Recent {
    /// Remembers an answer.
    #[inline]
    pub fn push(&self, entry: &Entry) {
        self.write(self.count.fetch_add(1, Relaxed), entry);
    }

    /// Remembers an answer of several nodes as one of each.
    pub fn push_each(&self, entry: &Entry, nodes: impl ExactSizeIterator<Item = NodeIndex>) {
        let first = self.count.fetch_add(nodes.len() as u64, Relaxed);
        for (number, node) in (first..).zip(nodes) {
            self.write(number, &Entry { node, ..*entry });
        }
    }

    #[inline]
    fn write(&self, number: u64, entry: &Entry) {
        let slot = &self.slots[place(number)];
        slot.who.store(entry.who() | lap(number), Relaxed);
        slot.what.store(entry.what() | lap(number), Relaxed);
    }

    /// Answers remembered or forgotten so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// The answers of the last `window_ms`, or as many of them as are remembered.
    ///
    /// Times are kept modulo 2^32 ms: an answer given exactly 49.7 days ago, and not overwritten since, would be
    /// taken for a fresh one.
    #[must_use]
    pub fn last(&self, window_ms: u64, now: Moment) -> Sample {
        let count = self.count.load(Relaxed);
        let first = count.saturating_sub(ENTRIES as u64);
        let mut entries = (first..count).filter_map(|number| self.read(number, now)).peekable();
        // Older ones than the oldest are forgotten, and some of them may have been younger than the window.
        let covers_ms = match entries.peek() {
            Some(oldest) if first > 0 => window_ms.min(now.since_ms(oldest.at).max(1)),
            _ => window_ms,
        };
        let entries = entries.filter(|entry| now.since_ms(entry.at) < window_ms).collect();
        Sample { entries, covers_ms }
    }

    /// The answers after number `before`, as many of them as are remembered, and how many were given.
    #[must_use]
    pub fn since(&self, before: u64, now: Moment) -> (Vec<Entry>, u64) {
        let count = self.count.load(Relaxed);
        let first = count.saturating_sub(ENTRIES as u64).max(before);
        let entries = (first..count).filter_map(|number| self.read(number, now)).collect();
        (entries, count.saturating_sub(before))
    }

    /// Takes over what another ring remembers, as `translated` puts it: nodes and domains are numbered anew when
    /// the configuration changes.
    pub fn take_over(&self, before: &Self, now: Moment, translated: impl Fn(Entry) -> Option<Entry>) {
        let entries = before.last(u64::from(u32::MAX), now).entries;
        entries.into_iter().filter_map(translated).for_each(|entry| self.push(&entry));
    }

    /// Answer number `number`, unless another is in its place or being written there.
    fn read(&self, number: u64, now: Moment) -> Option<Entry> {
        let slot = &self.slots[place(number)];
        let (who, what) = (slot.who.load(Relaxed), slot.what.load(Relaxed));
        let whole = who & LAP_MASK == lap(number) && what & LAP_MASK == lap(number);
        whole.then(|| Entry::read(who, what, now))
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % ENTRIES as u64).unwrap_or_default()
}

/// Low bits of the lap, which is 1 for the first: an empty slot is of lap 0.
fn lap(number: u64) -> u64 {
    (number / ENTRIES as u64 + 1) & LAP_MASK
}

// === impl Entry ===

impl Entry {
    fn who(&self) -> u64 {
        let time = self.at.0 & u64::from(u32::MAX);
        // 0 is nobody, so that 64 known ones and "another" stand above it.
        let isp = self.isp.map_or(0, |isp| u64::from(isp.0) + 1).min(ISP_MASK);
        let who = time << NODE_BITS | u64::from(self.node.0) & NODE_MASK;
        (who << ISP_BITS | isp) << LAP_BITS
    }

    fn what(&self) -> u64 {
        let family = match self.family {
            Family::Both => 0,
            Family::V4 => 1,
            Family::V6 => 2,
        };
        let place = u64::from(self.degree.bits()) << 16 | u64::from(self.domain.0);
        let what = (place << 8 | u64::from(self.bucket.0)) << KBPS_BITS | u64::from(self.kbps).min(KBPS_MASK);
        (what << FAMILY_BITS | family) << LAP_BITS
    }

    #[expect(clippy::cast_possible_truncation, reason = "each part is cut to its own bits")]
    fn read(who: u64, what: u64, now: Moment) -> Self {
        let isp = who >> LAP_BITS & ISP_MASK;
        let who = who >> (LAP_BITS + ISP_BITS);
        let age_ms = (now.0 as u32).wrapping_sub((who >> NODE_BITS) as u32);
        // Given after `now` was read: as good as now.
        let age_ms = if age_ms > u32::MAX - 60_000 { 0 } else { age_ms };
        let family = match what >> LAP_BITS & FAMILY_MASK {
            1 => Family::V4,
            2 => Family::V6,
            _ => Family::Both,
        };
        let what = what >> (LAP_BITS + FAMILY_BITS);
        let place = what >> (KBPS_BITS + 8);
        Self {
            at: Moment(now.0.saturating_sub(u64::from(age_ms))),
            node: NodeIndex((who & NODE_MASK) as u32),
            domain: DomainIndex(place as u16),
            family,
            degree: Degree::from_bits((place >> 16) as u16),
            isp: isp.checked_sub(1).map(|isp| IspId(isp as u8)),
            bucket: Bucket((what >> KBPS_BITS) as u8),
            kbps: (what & KBPS_MASK) as u32,
        }
    }
}

#[cfg(test)]
mod tests;
