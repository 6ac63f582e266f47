//! A query here and there in the log, for who wonders what resolvers ask.
//!
//! One in so many, so that a flood costs no disk; of its asker and of the client subnet only the network is told.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use domain::base::iana::{OptRcode, Rtype};
use domain::base::name::Name;

use super::answer::{Asker, Done};
use super::query;
use super::rate::Sentence;
use crate::telemetry::mask;

/// Counts queries, and writes some down.
#[derive(Default)]
pub(super) struct Sampler {
    seen: AtomicU32,
}

// === impl Sampler ===

impl Sampler {
    /// A query was answered, or met with silence by its network's limit, which is never written. `one_in`: every how
    /// many are written; 0: none.
    pub(super) fn saw(&self, one_in: u32, bytes: &[u8], asker: Asker, done: &Done) {
        if one_in == 0 || done.sentence == Sentence::Drop {
            return;
        }
        if !self.seen.fetch_add(1, Relaxed).is_multiple_of(one_in) {
            return;
        }
        let (rcode, transport) = (OptRcode::masked_from_int(done.rcode), asker.transport.as_str());
        let client = mask::network(asker.ip);
        let mut room = [0; query::LONGEST_NAME];
        let Ok(query) = query::read(bytes, &mut room) else {
            tracing::info!(%client, transport, %rcode, "DNS message that is no query");
            return;
        };
        let Ok(name) = Name::from_slice(query.name) else { return };
        let kind = Rtype::from_int(query.kind);
        let subnet = query.edns.and_then(|edns| edns.subnet).map(|subnet| mask::network(subnet.ip));
        let subnet = subnet.map_or_else(|| "none".to_owned(), |subnet| subnet.to_string());
        tracing::info!(%client, transport, %name, %kind, subnet, %rcode, "DNS query");
    }
}
