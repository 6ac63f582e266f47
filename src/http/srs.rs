//! What media servers ask: surfaces in the shape of SRS and of nginx-rtmp, on the player side.
//!
//! A media server cannot send a header of its own, and its heartbeat drops the query, so who is calling shows from the
//! path: each surface stands under nothing, `/t/{token}` and `/t/{token}/{node}` ([`caller`]). A refusal has the shape
//! that the caller understands; whatever else it would take for one, too, but could not tell to anybody.

pub mod caller;
mod heartbeat;
pub(super) mod servers;
