//! Answers to DNS resolvers, who keep them for all of their clients.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::Guard;

use super::{Answer, Located, Question, Refusal, Resolver};
use crate::schedule::booking::Ledger;
use crate::schedule::decide::{Decision, consider_shared, decide_shared};
use crate::schedule::fleet::Fleet;
use crate::schedule::recursors::{Bounds, Crowd};
use crate::schedule::scene::{Ask, mix};
use crate::state::Live;

/// Leading bits of an address that DNS resolvers of one operator and place share, where they tell no client's.
const SITE_BITS: (u8, u8) = (24, 56);

/// What a DNS resolver keeps an answer for: a name and type, and the network of its clients.
///
/// It is found out before the question is put, so that who has many questions at once can have the memory of all of them
/// on its way to the processor while he reads them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keeper {
    /// Where its clients are.
    located: Located,
    /// Who is remembered.
    key: u64,
}

/// How an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// By whom.
    pub keeper: Keeper,
    /// Longest lifetime that it may be given, s.
    pub longest_s: u32,
}

/// 2⁶⁴ over the golden ratio, and odd: what it multiplies is spread over all bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

// === impl Resolver ===

impl Resolver {
    /// Has it read where a client is, before anybody asks.
    #[inline]
    pub fn prefetch(&self, client: IpAddr) {
        self.locator.prefetch(client);
    }

    /// Who keeps an answer. `client` is in the network that the DNS resolver told, of which `told` leading bits count;
    /// `None`: it told nothing, and `client` is the resolver itself. `what`: a hash of the name and type that are asked for.
    #[must_use]
    pub fn keeper(&self, client: IpAddr, told: Option<u8>, what: u64) -> Keeper {
        Keeper::new(self.locator.locate(client), client, told, what)
    }

    /// The same for a client whose network has been located lately; `None` for others.
    #[must_use]
    pub fn known_keeper(&self, client: IpAddr, told: Option<u8>, what: u64) -> Option<Keeper> {
        Some(Keeper::new(self.locator.known(client)?, client, told, what))
    }

    /// Has it read what is remembered of a keeper, before it asks.
    #[inline]
    pub fn prefetch_keeper(&self, keeper: &Keeper) {
        // A query that will be refused is nobody who asked.
        if self.state.hears_dns() {
            self.state.recursors().prefetch(keeper.key);
        }
    }

    /// Answers a DNS resolver and books the crowd that is taken to stand behind it: as many nodes as its size calls for,
    /// at most the question's count, each as likely to be used; and for as long.
    ///
    /// # Errors
    /// Those of [`Resolver::resolve`].
    pub fn resolve_shared(&self, question: &Question<'_>, kept: Kept) -> Result<Answer, Refusal> {
        let live = self.state.live();
        let books = live.plan.booking;
        let answer = self.shared(live, question, kept, if books { decide_shared } else { consider_shared });
        if let Ok(Answer { booked: Some(booked), picks, live, .. }) = &answer {
            live.recent.push_each(booked, picks.iter().map(|pick| pick.node));
        }
        answer
    }

    /// The same, booking nobody: for what is asked beside the question that books.
    ///
    /// # Errors
    /// Those of [`Resolver::resolve`].
    pub fn consider_shared(&self, question: &Question<'_>, kept: Kept) -> Result<Answer, Refusal> {
        self.shared(self.state.live(), question, kept, consider_shared)
    }

    fn shared(
        &self,
        live: Guard<Arc<Live>>,
        question: &Question<'_>,
        kept: Kept,
        choose: impl Fn(&Fleet, &Ledger, &Ask<'_>, &Crowd) -> Decision,
    ) -> Result<Answer, Refusal> {
        let Keeper { located, key } = kept.keeper;
        let bounds = Bounds { ttl_s: kept.longest_s, count: question.count };
        let recursors = self.state.recursors();
        let crowd = recursors.asks(key, bounds, self.now());
        let answer = self.answer(live, question, located, crowd.ttl_s, |fleet, ledger, ask| {
            choose(fleet, ledger, ask, &crowd)
        });
        let ttl_s = answer.as_ref().map_or(0, |answer| answer.ttl_s);
        if ttl_s != crowd.ttl_s {
            recursors.gave(key, ttl_s);
        }
        answer
    }
}

// === impl Keeper ===

impl Keeper {
    fn new(located: Located, client: IpAddr, told: Option<u8>, what: u64) -> Self {
        Self { located, key: key(client, told.map(|bits| bits.min(located.prefix)), what) }
    }
}

/// For how many leading bits of a client subnet an answer holds (SCOPE PREFIX-LENGTH, RFC 7871 §7.2.1): of the network that
/// GeoIP knows, `located`. Where an IPv6 address stands for an IPv4 one, that network is of the latter, so the answer is for
/// the asked subnet alone, `told` bits long.
#[must_use]
pub fn scope(subnet: IpAddr, told: u8, located: u8) -> u8 {
    match subnet {
        IpAddr::V6(ip) if matches!(ip.segments()[0], 0 | 0x64 | 0x2002) => told,
        _ => located,
    }
}

/// What one kept answer is for.
fn key(client: IpAddr, told: Option<u8>, what: u64) -> u64 {
    let (network, bits, kind) = match crate::geo::canonical(client) {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, told.unwrap_or(SITE_BITS.0), 0),
        IpAddr::V6(ip) => (u128::from(ip), told.unwrap_or(SITE_BITS.1), 33),
    };
    let network = network.checked_shr(128 - u32::from(bits)).unwrap_or(0);
    let (high, low) = ((network >> 64) as u64, network as u64);
    let length = u64::from(bits) + kind;
    mix(what ^ high.wrapping_mul(SPREAD) ^ low ^ length << 56)
}
