//! What media servers ask: surfaces in the shape of SRS and of nginx-rtmp, on the player side.
//!
//! A media server cannot send a header of its own, and its heartbeat drops the query, so who is calling shows from the
//! path: each surface stands under nothing, `/t/{token}` and `/t/{token}/{node}` ([`caller`]). A refusal has the shape
//! that the caller understands; whatever else it would take for one, too, but could not tell to anybody.

mod answer;
pub(super) mod call;
pub mod caller;
pub(super) mod clusters;
pub(super) mod heartbeat;
pub(super) mod hooks;
pub(super) mod servers;

#[cfg(test)]
mod tests;

use super::problem::{Problem, Slug};

/// Without `[streams]` there is nothing here.
fn no_surface() -> Problem {
    Problem::new(Slug::NotFound, "no surface of this listener has this path; /openapi.yaml lists them")
}
