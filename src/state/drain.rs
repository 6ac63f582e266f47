//! Operators' orders: a node is taken out, and put back.

use std::sync::{MutexGuard, PoisonError};

use super::State;
use super::timeline::What;
use crate::schedule::health::Drain;

// === impl State ===

impl State {
    /// Sends no new viewers to a node, for `ttl_ms` or until it is undrained, and `evict_per_minute` of those that it
    /// has away. Said twice, the second time counts. `false`: there is no such node.
    pub fn drain(
        &self,
        id: &str,
        reason: Option<Box<str>>,
        ttl_ms: Option<u64>,
        evict_per_minute: Option<u32>,
    ) -> bool {
        let _orders = self.orders();
        let live = self.live.load();
        let Some(index) = live.fleet.by_id(id) else { return false };
        let now = self.clock.now();
        tracing::info!(
            node = %id,
            reason = reason.as_deref().unwrap_or_default(),
            ttl_s = ttl_ms.map(|ms| ms / 1_000),
            evict_per_minute,
            "node drained by an operator"
        );
        let order = Drain { reason, since: now, until: ttl_ms.map(|ms| now.plus_ms(ms)), evict_per_minute };
        self.tell_of_drain(id, &order);
        live.drain(index, order, now);
        true
    }

    /// Puts a node back. `false`: there is no such node.
    pub fn undrain(&self, id: &str) -> bool {
        let _orders = self.orders();
        let live = self.live.load();
        let Some(index) = live.fleet.by_id(id) else { return false };
        if live.undrain(index, self.clock.now()) {
            tracing::info!(node = %id, "node undrained by an operator");
            self.tell_of_undrain(id, What::Undrained);
        }
        true
    }

    /// An order given to a fleet that is just being replaced would be lost: one at a time.
    pub(super) fn orders(&self) -> MutexGuard<'_, ()> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
