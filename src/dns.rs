//! The DNS front: authoritative answers over UDP, TCP and TLS from the same decisions as HTTP.
//!
//! *What it decides*: nothing. A query for a configured domain becomes a `Question`, the resolver's answer becomes A or
//! AAAA records, or HTTPS and SRV records (`dns/service`); everything else in a zone is static and prepared at start
//! (`dns/zones`). One function, `Front::answer`, turns the octets of a query into those of its reply, so that all
//! transports say the same.
//!
//! *Promise*: DNS's is weaker than HTTP's, because a resolver keeps an answer for all of its clients. So an answer stands
//! for a crowd, which has to fit on each node that is named; large resolvers get more nodes and shorter lifetimes than
//! small ones (`schedule::recursors` tells them apart). Who asks by HTTPS and names no client subnet asks for itself, and
//! gets what `/resolve` says.
//!
//! *Limits*: no recursion, no zone transfer, no update. Every query costs a bounded amount of work: one question, no name
//! pointers, two additional records at most, and two signatures where the zone is signed (`dns/sign`) and they are wanted.

mod ahead;
mod answer;
mod asked;
mod cookie;
mod denial;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod hosts;
mod keys;
mod query;
mod rate;
mod reply;
mod sample;
mod serve;
mod service;
mod sign;
mod tcp;
mod udp;
mod zones;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;

use self::ahead::Ahead;
use self::answer::{Asker, Done};
use self::cookie::Baker;
use self::rate::{RateLimiter, Sentence};
use self::sample::Sampler;
use self::sign::Signatures;
use self::zones::Zones;
use crate::config;
use crate::resolver::Resolver;
use crate::telemetry::{DnsTransport, Telemetry};

pub use self::cookie::CookieSecret;
pub use self::keys::{KeyError, KeyErrors, NewKey, NoChance, ZoneKey, ZoneKeys};
pub use self::serve::{Listen, Server, serve};

/// Everything an answer needs. One per process, shared by all threads.
pub struct Front {
    resolver: Arc<Resolver>,
    telemetry: Arc<Telemetry>,
    settings: ArcSwap<Settings>,
    baker: Baker,
    rates: RateLimiter,
    sampler: Sampler,
    signatures: Signatures,
    /// What names and types are told apart by where answers to them are remembered. Its seed is nobody's to know.
    hasher: RandomState,
}

/// What a reload replaces.
struct Settings {
    zones: Zones,
    /// Longest lifetime of a dynamic answer, s.
    ttl_s: u32,
    /// Most addresses in one.
    answers: usize,
    nsid: Option<Box<str>>,
    /// What nodes speak by HTTPS beside HTTP/1.1.
    alpn: Vec<Box<str>>,
    /// Every how many queries one is logged; 0: none.
    log_one_in: u32,
}

// === impl Front ===

impl Front {
    /// A front for these zones, and for those of the domains that lie in them.
    #[must_use]
    pub fn new(
        resolver: Arc<Resolver>,
        telemetry: Arc<Telemetry>,
        secret: CookieSecret,
        config: &config::Dns,
        keys: &ZoneKeys,
        domains: &[config::Domain],
    ) -> Self {
        Self {
            resolver,
            telemetry,
            settings: ArcSwap::from_pointee(Settings::new(config, keys, domains)),
            baker: Baker::new(secret),
            rates: RateLimiter::new(config.responses_per_second),
            sampler: Sampler::default(),
            signatures: Signatures::default(),
            hasher: RandomState::default(),
        }
    }

    /// From now on these zones, with these keys, and these domains are answered for.
    pub fn adopt(&self, config: &config::Dns, keys: &ZoneKeys, domains: &[config::Domain]) {
        self.rates.limit(config.responses_per_second);
        self.settings.store(Arc::new(Settings::new(config, keys, domains)));
    }

    /// Writes the reply to a query that came by HTTP; `client` is who sent it, and stands for the client subnet where the
    /// query names none. A query always has a reply; `out` stays empty only after a defect, and for what is no query.
    pub fn answer_http(&self, query: &[u8], client: IpAddr, out: &mut Vec<u8>) {
        self.answer(query, client, DnsTransport::Https, out);
    }

    /// Writes the reply to a query into `out`, which is emptied first; stays empty where silence is right: for what is
    /// too short to be a message, and for replies, which must never be replied to.
    fn answer(&self, query: &[u8], from: IpAddr, transport: DnsTransport, out: &mut Vec<u8>) {
        let asker = Asker { ip: from.to_canonical(), transport };
        self.guarded(&self.settings.load(), query, asker, out, |settings, out| {
            let mut room = [0; query::LONGEST_NAME];
            answer::answer(self, settings, &query::read(query, &mut room), None, asker, out)
        });
    }

    /// The same for what has been read already, and whose keeper has been looked for.
    fn answer_ahead(
        &self,
        settings: &Settings,
        (bytes, ahead): (&[u8], &Ahead<'_>),
        asker: Asker,
        out: &mut Vec<u8>,
    ) {
        self.guarded(settings, bytes, asker, out, |settings, out| {
            answer::answer(self, settings, &ahead.query, ahead.keeper.as_ref(), asker, out)
        });
    }

    /// A panic inside costs this one reply and not the thread that serves everybody else.
    fn guarded(
        &self,
        settings: &Settings,
        query: &[u8],
        asker: Asker,
        out: &mut Vec<u8>,
        answer: impl FnOnce(&Settings, &mut Vec<u8>) -> Option<Done>,
    ) {
        out.clear();
        let Ok(done) = catch_unwind(AssertUnwindSafe(|| answer(settings, out))) else {
            out.clear();
            tracing::error!("a DNS query was not answered: a defect of ours");
            return;
        };
        let transport = asker.transport;
        if let Some(done) = done {
            self.sampler.saw(settings.log_one_in, query, asker, &done);
            match done.sentence {
                Sentence::Send => self.telemetry.dns.replied(transport, done.rcode, done.by_subnet),
                Sentence::Cut => self.telemetry.dns.limited(true),
                Sentence::Drop => self.telemetry.dns.limited(false),
            }
        }
    }
}

// === impl Settings ===

impl Settings {
    fn new(config: &config::Dns, keys: &ZoneKeys, domains: &[config::Domain]) -> Self {
        Self {
            zones: Zones::new(&config.zones, keys, domains),
            ttl_s: config.ttl_s,
            answers: config.answers,
            nsid: config.nsid.clone(),
            alpn: config.alpn.clone(),
            log_one_in: config.log_one_in,
        }
    }
}
