//! Discovery: nodes that come by themselves join the fleet, and those that have fallen silent leave it.
//!
//! *What it decides*: when the fleet follows the registry ([`crate::state::registry`]). Heartbeats are taken in where
//! they arrive; a fleet is put together anew here, at most once in [`GATHER`], because a thousand nodes that begin at
//! once are one change and not a thousand.

use std::sync::Arc;
use std::time::Duration;

use crate::state::State;

/// How long is waited for more to register before the fleet follows.
pub const GATHER: Duration = Duration::from_secs(1);
/// How often nodes are looked for that have been silent for too long.
const FORGET_EVERY: Duration = Duration::from_secs(5);

/// Follows the registry, for ever. `follow` puts another fleet in force, and may block.
pub async fn run(state: Arc<State>, follow: Arc<dyn Fn() + Send + Sync>) {
    let mut forgetting = tokio::time::interval(FORGET_EVERY);
    forgetting.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = forgetting.tick() => state.registry().forget_silent(state.clock().now()),
            () = state.registry().changed() => {
                tokio::time::sleep(GATHER).await;
                let follow = Arc::clone(&follow);
                if let Err(panic) = tokio::task::spawn_blocking(move || follow()).await {
                    tracing::error!("registered nodes are not in service: {panic}");
                }
            }
        }
    }
}
