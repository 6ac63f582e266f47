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

use self::answer::Asker;
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
        out.clear();
        let asker = Asker { ip: from.to_canonical(), transport };
        let settings = self.settings.load();
        // A panic inside costs this one reply and not the thread that serves everybody else.
        let outcome = catch_unwind(AssertUnwindSafe(|| answer::answer(self, &settings, query, asker, out)));
        let Ok(done) = outcome else {
            out.clear();
            tracing::error!("a DNS query was not answered: a defect of ours");
            return;
        };
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
