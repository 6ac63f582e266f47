//! What client networks have measured to PoPs, remembered within a bound: anybody can report.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use dashmap::DashMap;

use crate::schedule::Moment;
use crate::schedule::fleet::{Fleet, PopIndex};
use crate::schedule::rtt::{LIFE_MS, Network, Reports, RttRow};

/// Client networks remembered: 40 MB at most.
const MOST_NETWORKS: usize = 100_000;
/// How often networks that have gone silent are dropped, ms.
const TIDY_EVERY_MS: u64 = 60_000;

/// Reports by client network.
#[derive(Debug)]
pub struct Rtts {
    networks: DashMap<Network, Reports>,
    most: usize,
    /// There may be something to look up. Questions read this first.
    any: AtomicBool,
    /// When the map was last tidied, ms.
    tidied: AtomicU64,
    /// Held while a network is added, so that the bound is kept to the letter.
    newcomers: Mutex<()>,
}

// === impl Rtts ===

impl Default for Rtts {
    fn default() -> Self {
        Self::bounded(MOST_NETWORKS)
    }
}

impl Rtts {
    fn bounded(most: usize) -> Self {
        Self {
            networks: DashMap::new(),
            most,
            any: AtomicBool::new(false),
            tidied: AtomicU64::new(0),
            newcomers: Mutex::default(),
        }
    }

    /// Takes in one report of a network: each PoP's time, ms.
    pub fn note(&self, network: Network, times: impl IntoIterator<Item = (PopIndex, f32)>, now: Moment) {
        let into = |reports: &mut Reports| times.into_iter().for_each(|(pop, ms)| reports.note(pop, ms, now));
        if let Some(mut known) = self.networks.get_mut(&network) {
            return into(&mut known);
        }
        let _newcomers = self.newcomers.lock().unwrap_or_else(PoisonError::into_inner);
        if self.networks.len() >= self.most {
            self.drop_oldest();
        }
        into(&mut self.networks.entry(network).or_default());
        self.any.store(true, Relaxed);
    }

    /// What counts of a network's reports now. Copied out: the caller holds no lock.
    #[must_use]
    pub fn row(&self, network: Network, now: Moment) -> Option<RttRow> {
        match self.any.load(Relaxed) {
            true => self.networks.get(&network)?.row(now),
            false => None,
        }
    }

    /// Drops the tenth that has not been heard of for longest. One look at all of them pays for many newcomers.
    fn drop_oldest(&self) {
        let mut last: Vec<Moment> = self.networks.iter().map(|reports| reports.last()).collect();
        let mut left = (last.len() / 10).max(1).min(last.len());
        if left == 0 {
            return;
        }
        let (_, newest, _) = last.select_nth_unstable(left - 1);
        let newest = *newest;
        self.networks.retain(|_, reports| {
            let goes = left > 0 && reports.last() <= newest;
            left -= usize::from(goes);
            !goes
        });
    }

    /// Now and then drops the networks of which nothing counts any more.
    pub(super) fn tidy(&self, now: Moment) {
        if now.since_ms(Moment(self.tidied.load(Relaxed))) < TIDY_EVERY_MS {
            return;
        }
        self.tidied.store(now.0, Relaxed);
        self.networks.retain(|_, reports| now.since_ms(reports.last()) < LIFE_MS);
        let _newcomers = self.newcomers.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(!self.networks.is_empty(), Relaxed);
    }

    /// Another fleet numbers its PoPs anew: what is known goes by their names.
    pub(super) fn renumber(&self, before: &Fleet, next: &Fleet) {
        let of_name = |pop: PopIndex| {
            let name = &before.pops.get(usize::from(pop.0))?.name;
            next.pops
                .iter()
                .position(|pop| pop.name == *name)
                .and_then(|at| u16::try_from(at).ok())
                .map(PopIndex)
        };
        let numbers: Vec<Option<PopIndex>> =
            (0u16..).zip(&before.pops).map(|(i, _)| of_name(PopIndex(i))).collect();
        self.networks
            .retain(|_, reports| reports.renumber(|pop| numbers.get(usize::from(pop.0)).copied().flatten()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(i: u32) -> Network {
        Network::of(std::net::Ipv4Addr::from(i << 8).into())
    }

    #[test]
    fn the_memory_is_bounded_and_the_oldest_networks_go_first() {
        let rtts = Rtts::bounded(100);
        for i in 0..1_000u32 {
            rtts.note(network(i), [(PopIndex(0), 5.0)], Moment(1_000 + u64::from(i)));
            assert!(rtts.networks.len() <= 100);
        }
        assert!((900..1_000).skip(10).all(|i| rtts.networks.contains_key(&network(i))));
        // All at the same moment: no more go than have to.
        let rtts = Rtts::bounded(100);
        (0..101).for_each(|i| rtts.note(network(i), [(PopIndex(0), 5.0)], Moment(1_000)));
        assert_eq!(rtts.networks.len(), 91);
    }

    #[test]
    fn a_network_sees_its_own_reports_and_forgets_them() {
        let rtts = Rtts::default();
        let now = Moment(100_000);
        assert_eq!(rtts.row(network(1), now), None);
        (0..3).for_each(|_| rtts.note(network(1), [(PopIndex(0), 5.0)], now));
        assert!(rtts.row(network(1), now).is_some());
        assert_eq!(rtts.row(network(2), now), None);
        rtts.tidy(now.plus_ms(LIFE_MS));
        assert!(rtts.networks.is_empty() && !rtts.any.load(Relaxed));
    }
}
