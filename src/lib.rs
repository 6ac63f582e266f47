//! Nearcast: an HTTP-DNS scheduler for live-streaming fleets.
//!
//! The modules in reading order. **Fronts ask, the core decides, feeders tell it what is true**:
//! [`schedule`] is the pure core; [`resolver`] is the one door to it; [`http`] and [`dns`] ask through that door;
//! [`geo`], [`scrape`], [`streams`] and [`discovery`] tell where clients are, how nodes fare, what is published on origins
//! and who there is; [`app`] joins them.
//! `ARCHITECTURE.md` has the map and the invariants, `tests/architecture.rs` checks who may import whom.

pub mod cli;

pub mod app;
pub mod config;

pub mod dns;
pub mod http;

pub mod resolver;
pub mod state;

pub mod exposition;
pub mod schedule;

pub mod discovery;
pub mod geo;
pub mod rebalance;
pub mod scrape;
pub mod streams;

pub mod clock;
pub mod demo;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod order;
pub mod simulate;
pub mod sockets;
pub mod telemetry;
pub mod top;
