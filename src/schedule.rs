//! The pure core: who is fit, who is chosen, what that costs.
//!
//! Nothing here knows a socket, a file, a clock or a random source: time, seeds and inputs come in as arguments,
//! so every decision can be replayed. The modules in reading order:
//! what a node is ([`node`], [`place`], [`thresholds`]); what is measured ([`reading`] → [`window`] → [`load`] →
//! [`pressure`]); how a node fares over time ([`health`], [`watch`], [`cost`], [`traffic`], [`proven`]); what answers
//! have promised ([`booking`], [`carry`], [`inflight`]) and what the fleet has taught ([`kappa`], [`learnt`]); who is
//! near whom ([`fleet`], [`cells`], [`rtt`]) and pulls from whom ([`layers`]); and the choice ([`price`], [`affinity`], [`scene`], [`walk`], [`policy`], [`decide`]);
//! and what a drain would do ([`preview`]); and from whom servers pull ([`upstream`]).

pub mod node;
pub mod place;
pub mod thresholds;

pub mod load;
pub mod pressure;
pub mod reading;
pub mod window;

pub mod cost;
pub mod health;
pub mod proven;
pub mod traffic;
pub mod watch;

pub mod booking;
pub mod carry;
pub mod inflight;
pub mod kappa;
pub mod learnt;
pub mod margin;
pub mod recursors;
pub mod uplink;

pub mod cells;
pub mod fleet;
pub mod label;
pub mod layers;

pub mod affinity;
pub mod budget;
pub mod decide;
pub mod isp;
pub mod policy;
pub mod preview;
pub mod price;
pub mod rtt;
pub mod scene;
pub mod terms;
pub mod ttl;
pub mod upstream;
pub mod walk;

pub use self::reading::Moment;
