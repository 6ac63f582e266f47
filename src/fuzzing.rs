//! What fuzzers throw bytes at: every place where bytes of strangers come in, with a law that must hold after.
//!
//! Only there for tests and for `cargo fuzz` (`--cfg fuzzing`), never in the product. `fuzz/fuzz_targets` has one
//! line for each of [`TARGETS`]; the test below sends all committed inputs (`fuzz/seeds`, `fuzz/findings`) through the
//! same functions with the ordinary toolchain. What a room keeps to itself is reached from inside, by its own
//! `fuzzing` module.

mod configuration;
mod pages;
#[cfg(test)]
mod tests;

pub use self::configuration::configuration;
pub use self::pages::{exposition, pages, streams};
pub use crate::dns::fuzzing::dns_query;
pub use crate::geo::fuzzing::mmdb;
pub use crate::http::fuzzing::{
    client_address, dialect_query, heartbeat_body, hook_body, ops_token, play_target, resolve_query,
    rtt_body, signature,
};
pub use crate::resolver::fuzzing::report_token;

/// Takes any bytes; panics if a law is broken.
pub type Target = fn(&[u8]);

/// Every target by name: its program in `fuzz/fuzz_targets`, its folder in `fuzz/seeds`.
pub static TARGETS: &[(&str, Target)] = &[
    ("client_address", client_address),
    ("configuration", configuration),
    ("dialect_query", dialect_query),
    ("dns_query", dns_query),
    ("exposition", exposition),
    ("heartbeat_body", heartbeat_body),
    ("hook_body", hook_body),
    ("mmdb", mmdb),
    ("ops_token", ops_token),
    ("pages", pages),
    ("play_target", play_target),
    ("report_token", report_token),
    ("resolve_query", resolve_query),
    ("rtt_body", rtt_body),
    ("signature", signature),
    ("streams", streams),
];
