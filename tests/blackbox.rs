//! Black-box tests: the real binary, real HTTP on loopback, emulated exporters. One module for each surface.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage should stop at once")]

#[path = "support/lib.rs"]
mod support;

#[path = "blackbox/abuse.rs"]
mod abuse;
#[path = "blackbox/access.rs"]
mod access;
#[path = "blackbox/closed_loop.rs"]
mod closed_loop;
#[path = "blackbox/config_cli.rs"]
mod config_cli;
#[path = "blackbox/credentials.rs"]
mod credentials;
#[path = "blackbox/crowd.rs"]
mod crowd;
#[path = "blackbox/dialects.rs"]
mod dialects;
#[path = "blackbox/dns.rs"]
mod dns;
#[path = "blackbox/dns_clients.rs"]
mod dns_clients;
#[path = "blackbox/dnssec.rs"]
mod dnssec;
#[path = "blackbox/doh.rs"]
mod doh;
#[path = "blackbox/explain.rs"]
mod explain;
#[path = "blackbox/geoip.rs"]
mod geoip;
#[path = "blackbox/heartbeats.rs"]
mod heartbeats;
#[path = "blackbox/load.rs"]
mod load;
#[path = "blackbox/logs.rs"]
mod logs;
#[path = "blackbox/media.rs"]
mod media;
#[path = "blackbox/overload.rs"]
mod overload;
#[path = "blackbox/players.rs"]
mod players;
#[path = "blackbox/rebalance.rs"]
mod rebalance;
#[path = "blackbox/redirect.rs"]
mod redirect;
#[path = "blackbox/reload.rs"]
mod reload;
#[path = "blackbox/resolve.rs"]
mod resolve;
#[path = "blackbox/restart.rs"]
mod restart;
#[path = "blackbox/scrape_faults.rs"]
mod scrape_faults;
#[path = "blackbox/signing.rs"]
mod signing;
#[path = "blackbox/stage.rs"]
mod stage;
#[path = "blackbox/start.rs"]
mod start;
#[path = "blackbox/tls.rs"]
mod tls;
#[path = "blackbox/tree.rs"]
mod tree;
