//! Looking ahead: what arrived together is read first, and then answered.
//!
//! An answer needs two things that are mostly not in the processor's caches: where the client's network is, and what is
//! remembered of the resolver that keeps the answer. To fetch either takes as long as a quarter of all the rest. But for
//! queries that have arrived already nobody has to wait: all of them are read, then all those places are looked at, one
//! right after the other, so that the processor fetches several at once; then each is answered.
//!
//! *Limits*: this is haste only. Whoever is not looked at ahead gets the same answer.

use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrayvec::ArrayVec;

use super::Front;
use super::answer::Asker;
use super::query::{self, Query, Room, Unreadable};
use crate::resolver::Keeper;

/// A query that has been read.
pub(super) struct Ahead<'q> {
    pub(super) query: Result<Query<'q>, Unreadable>,
    /// Who will keep its answer, if that is asked for; `None`: it has not been looked for.
    pub(super) keeper: Option<Keeper>,
}

// === impl Front ===

impl Front {
    /// Reads queries, each from one of `askers` and into a room of its own; `false`: a defect of ours.
    pub(super) fn look_ahead<'q, const N: usize>(
        &self,
        queries: impl Iterator<Item = (&'q [u8], &'q mut Room)>,
        askers: &[Asker],
        ahead: &mut ArrayVec<Ahead<'q>, N>,
    ) -> bool {
        let look = || {
            for (bytes, room) in queries.take(N) {
                ahead.push(Ahead { query: query::read(bytes, room), keeper: None });
            }
            self.look_for_keepers::<N>(ahead, askers);
        };
        catch_unwind(AssertUnwindSafe(look)).is_ok()
    }

    /// Each loop that touches memory does nothing else, so that the processor sees many of its turns at once.
    fn look_for_keepers<const N: usize>(&self, ahead: &mut [Ahead<'_>], askers: &[Asker]) {
        let resolver = &*self.resolver;
        let queries =
            ahead.iter().zip(askers).filter_map(|(ahead, asker)| Some((ahead.query.as_ref().ok()?, asker)));
        let clients: ArrayVec<IpAddr, N> = queries.map(|(query, asker)| client(query, *asker).0).collect();
        clients.iter().for_each(|client| resolver.prefetch(*client));
        for (ahead, asker) in ahead.iter_mut().zip(askers) {
            let Ok(query) = &ahead.query else { continue };
            let (client, told) = client(query, *asker);
            // Whether it will be answered at all is not known yet: no search in a database for it.
            ahead.keeper = resolver.known_keeper(client, told, self.what(query));
        }
        ahead
            .iter()
            .filter_map(|ahead| ahead.keeper.as_ref())
            .for_each(|keeper| resolver.prefetch_keeper(keeper));
    }

    /// Who keeps the answer to a query.
    pub(super) fn keeper(&self, query: &Query<'_>, asker: Asker) -> Keeper {
        let (client, told) = client(query, asker);
        self.resolver.keeper(client, told, self.what(query))
    }

    fn what(&self, query: &Query<'_>) -> u64 {
        self.hasher.hash_one((query.name, query.kind))
    }
}

/// Whose place counts, and how many leading bits of it were told; `None`: it is the asker itself.
pub(super) fn client(query: &Query<'_>, asker: Asker) -> (IpAddr, Option<u8>) {
    let subnet = query.edns.as_ref().and_then(|edns| edns.subnet);
    // A prefix of no bits says nothing: whoever sends it wants not to be told apart (RFC 7871 §7.1.2).
    match subnet.filter(|subnet| subnet.source > 0) {
        Some(subnet) => (subnet.ip, Some(subnet.source)),
        None => (asker.ip, None),
    }
}
