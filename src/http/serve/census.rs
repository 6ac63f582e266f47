//! How many connections there are, all together and of one client.
//!
//! Shared by all workers: the kernel spreads one client's connections over them as it likes. A place is given back
//! when its [`Seat`] is dropped, so none is lost, however a connection ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::http::client_ip::Peer;
use crate::http::limit::ClientKey;

/// Everybody who is connected.
#[derive(Debug, Default)]
pub(super) struct Census {
    all: AtomicUsize,
    by_client: DashMap<ClientKey, usize>,
}

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Seat {
    census: Arc<Census>,
    /// `None`: a trusted proxy, whose connections are many clients'.
    client: Option<ClientKey>,
}

// === impl Census ===

impl Census {
    /// A place for a connection; `None`: this client has `most_per_client` already.
    pub(super) fn seat(self: &Arc<Self>, peer: Peer, most_per_client: usize) -> Option<Seat> {
        let client = (!peer.trusted).then(|| ClientKey::of(peer.ip));
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
    pub(super) fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// Connections of one client.
    #[cfg(test)]
    fn of(&self, ip: std::net::IpAddr) -> usize {
        self.by_client.get(&ClientKey::of(ip)).map_or(0, |count| *count)
    }
}

// === impl Seat ===

impl Drop for Seat {
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

    fn peer(ip: &str, trusted: bool) -> Peer {
        Peer { ip: ip.parse().unwrap(), trusted, secure: false }
    }

    #[test]
    fn one_client_has_only_so_many_and_gives_them_back() {
        let census = Arc::new(Census::default());
        let client = peer("198.51.100.7", false);
        let seats: Vec<_> = (0..3).map_while(|_| census.seat(client, 2)).collect();
        assert_eq!((seats.len(), census.all(), census.of(client.ip)), (2, 2, 2));
        assert!(census.seat(peer("198.51.100.8", false), 2).is_some());
        drop(seats);
        assert_eq!((census.all(), census.by_client.len()), (0, 0));
        assert!(census.seat(client, 2).is_some());
    }

    #[test]
    fn neighbours_of_one_56_are_one_client_and_proxies_are_none() {
        let census = Arc::new(Census::default());
        let (one, other) = (peer("2001:db8:0:1::1", false), peer("2001:db8:0:ff::2", false));
        let _seat = census.seat(one, 1).unwrap();
        assert!(census.seat(other, 1).is_none());
        let proxy = peer("10.0.0.1", true);
        let seats: Vec<_> = (0..5).map_while(|_| census.seat(proxy, 1)).collect();
        assert_eq!((seats.len(), census.all()), (5, 6));
    }
}
