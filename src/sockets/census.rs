//! How many connections there are, all together and of one client.
//!
//! Shared by all who accept for one front: the kernel spreads one client's connections over them as it likes. A place is
//! given back when its [`Seat`] is dropped, so none is lost, however a connection ends.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

/// Everybody who is connected. `K` says what a client is.
#[derive(Debug)]
pub struct Census<K: Eq + Hash> {
    all: AtomicUsize,
    by_client: DashMap<K, usize>,
}

/// The place of one connection.
#[derive(Debug)]
pub struct Seat<K: Eq + Hash + Copy> {
    census: Arc<Census<K>>,
    /// `None`: somebody whose connections are many clients', such as a trusted proxy.
    client: Option<K>,
}

// === impl Census ===

impl<K: Eq + Hash> Default for Census<K> {
    fn default() -> Self {
        Self { all: AtomicUsize::new(0), by_client: DashMap::new() }
    }
}

impl<K: Eq + Hash + Copy> Census<K> {
    /// A place for a connection; `None`: this client has `most_per_client` already.
    #[must_use]
    pub fn seat(self: &Arc<Self>, client: Option<K>, most_per_client: usize) -> Option<Seat<K>> {
        if let Some(client) = client {
            let mut own = self.by_client.entry(client).or_insert(0);
            if *own >= most_per_client {
                return None;
            }
            *own += 1;
        }
        self.all.fetch_add(1, Ordering::Relaxed);
        Some(Seat { census: Arc::clone(self), client })
    }

    /// Connections there are.
    #[must_use]
    pub fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }
}

// === impl Seat ===

impl<K: Eq + Hash + Copy> Drop for Seat<K> {
    fn drop(&mut self) {
        self.census.all.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = self.client else { return };
        if let Some(mut own) = self.census.by_client.get_mut(&client) {
            *own -= 1;
        }
        // Asked again under the lock of the removal: somebody may have sat down in between.
        self.census.by_client.remove_if(&client, |_, own| *own == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_only_so_many_and_gives_them_back() {
        let census = Arc::new(Census::default());
        let seats: Vec<_> = (0..3).map_while(|_| census.seat(Some(7), 2)).collect();
        let of_it = census.by_client.get(&7).map(|count| *count);
        assert_eq!((seats.len(), census.all(), of_it), (2, 2, Some(2)));
        assert!(census.seat(Some(8), 2).is_some());
        drop(seats);
        assert_eq!((census.all(), census.by_client.len()), (0, 0));
        assert!(census.seat(Some(7), 2).is_some());
    }

    #[test]
    fn who_stands_for_many_is_no_client_and_counts() {
        let census = Arc::new(Census::<u64>::default());
        let seats: Vec<_> = (0..5).map_while(|_| census.seat(None, 1)).collect();
        assert_eq!((seats.len(), census.all()), (5, 5));
    }
}
