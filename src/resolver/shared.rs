//! Answers to DNS resolvers, who keep them for all of their clients.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::Guard;

use super::{Answer, Question, Refusal, Resolver};
use crate::schedule::affinity;
use crate::schedule::booking::Ledger;
use crate::schedule::decide::{Decision, consider_shared, decide_shared};
use crate::schedule::fleet::Fleet;
use crate::schedule::recursors::{Bounds, Crowd};
use crate::schedule::scene::{Ask, Family, mix};
use crate::state::Live;
use crate::state::recent::Entry;

/// Leading bits of an address that DNS resolvers of one operator and place share, where they tell no client's.
const SITE_BITS: (u8, u8) = (24, 56);

/// How an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Leading bits of the client's address that the DNS resolver told, and keeps an answer for; `None`: it told nothing, and
    /// the question's client is the resolver itself.
    pub subnet: Option<u8>,
    /// Longest lifetime that it may be given, s.
    pub longest_s: u32,
}

// === impl Resolver ===

impl Resolver {
    /// Answers a DNS resolver and books the crowd that is taken to stand behind it: as many nodes as its size calls for,
    /// at most the question's count, each as likely to be used; and for as long.
    ///
    /// # Errors
    /// Those of [`Resolver::resolve`].
    pub fn resolve_shared(&self, question: &Question<'_>, kept: Kept) -> Result<Answer, Refusal> {
        let live = self.state.live();
        let books = live.plan.booking;
        let answer =
            self.shared(live, question, kept, if books { decide_shared } else { consider_shared })?;
        if let Some(booked) = &answer.booked {
            for pick in &answer.picks {
                answer.live.recent.push(&Entry { node: pick.node, ..*booked });
            }
        }
        Ok(answer)
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
        let located = self.locator.locate(question.client);
        let key = key(question, kept.subnet.map(|bits| bits.min(located.prefix)));
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

/// What one kept answer is for: the domain, the addresses and ports that are asked for, and whose clients get it.
fn key(question: &Question<'_>, told: Option<u8>) -> u64 {
    let (network, bits) = match crate::geo::canonical(question.client) {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, told.unwrap_or(SITE_BITS.0)),
        IpAddr::V6(ip) => (u128::from(ip), told.unwrap_or(SITE_BITS.1)),
    };
    let network = network.checked_shr(128 - u32::from(bits)).unwrap_or(0);
    let family = match question.family {
        Family::Both => 0,
        Family::V4 => 1,
        Family::V6 => 2,
    };
    let asked = u64::from(question.want.way.bits()) << 32 | u64::from(bits) << 2 | family;
    let halves = [(network >> 64) as u64, network as u64, asked];
    halves.into_iter().fold(affinity::hash(question.domain.as_bytes()), |hash, half| mix(hash ^ half))
}
