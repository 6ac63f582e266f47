//! DNS resolvers between viewers and the scheduler: each keeps an answer for all of its clients.
//!
//! Every city has four, of very different size. A viewer's resolver is a matter of its place in the slab of viewers, so
//! that nobody's luck changes when a scenario asks by DNS.

use crate::schedule::scene::{MOST_PICKS, mix};

use super::time::At;
use super::viewers::Ticket;

/// Shares of a city's viewers that its resolvers have.
const SHARES: [f64; 4] = [0.5, 0.25, 0.15, 0.1];

/// An answer that a resolver keeps.
pub(super) type Kept = arrayvec::ArrayVec<u32, MOST_PICKS>;

/// The resolvers of all cities.
#[derive(Debug)]
pub(super) struct Resolvers(Vec<(Kept, At)>);

// === impl Resolvers ===

impl Resolvers {
    /// They know nothing.
    pub(super) fn new(cities: usize) -> Self {
        Self(vec![(Kept::new(), At(0)); cities * SHARES.len()])
    }

    /// The resolver that a viewer's player asks.
    pub(super) fn of(city: u16, ticket: Ticket) -> usize {
        let at = (mix(u64::from(ticket.slot())) >> 11) as f64 / (1u64 << 53) as f64;
        let mut sum = 0.0;
        let which = SHARES.iter().position(|share| {
            sum += share;
            at < sum
        });
        usize::from(city) * SHARES.len() + which.unwrap_or(SHARES.len() - 1)
    }

    /// What it knows; nothing: it has to ask.
    pub(super) fn known(&self, resolver: usize, now: At) -> Option<&Kept> {
        let (kept, until) = &self.0[resolver];
        (*until > now && !kept.is_empty()).then_some(kept)
    }

    /// It has asked.
    pub(super) fn keep(&mut self, resolver: usize, answer: Kept, until: At) {
        self.0[resolver] = (answer, until);
    }
}
