//! Configuration: a TOML file becomes a checked [`Config`], or every mistake in it at once.
//!
//! A person mends a file in one go and not error by error, so reading never stops at a mistake: `config/raw.rs` hands
//! out the tree of the file key by key (what nobody asks for is unknown), `config/values.rs` reads single values,
//! `config/check.rs` and its sections make this module's types of them. **All** mistakes are collected, each with
//! line, column and the offending text ([`ConfigErrors`]). Only where the text is no TOML does it end there.
//!
//! Nothing here opens a socket or a database: a file that passes is sound in itself.
//! `deploy/nearcast.example.toml` shows every key with its default.

mod check;
mod credentials;
mod dns;
mod error;
mod networks;
mod raw;
mod report;
mod streams;
mod suggest;
mod template;
mod units;
mod values;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use toml::de::DeTable;

use crate::schedule::fleet::OnOverload;
use crate::schedule::node::{Node, Role};
use crate::schedule::place::Location;
use crate::schedule::policy::PolicyKind;
use crate::schedule::thresholds::Thresholds;

pub use self::credentials::{Authorization, ClientFiles, Credentials, ExporterTls, Host, KeyFile, Scope};
pub use self::dns::{Dns, DnsRecord, DnsSoa, DnsZone};
pub use self::error::{ConfigError, ConfigErrors};
pub use self::networks::{Networks, literal_address};
use self::report::Report;
pub use self::streams::{Caller, Streams, Verdict};
pub use self::template::Template;

/// A whole configuration, every reference in it resolved and every range checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Listeners and whom we trust.
    pub server: Server,
    /// What one client, and all together, may ask of the player side.
    pub limits: Limits,
    /// Which other services' HTTP-DNS the player side understands.
    pub dialects: Dialects,
    /// Where client locations come from.
    pub geoip: Geoip,
    /// How exporters are asked.
    pub scrape: Scrape,
    /// Which exporters may be asked, and what they are shown.
    pub exporters: Exporters,
    /// How decisions are made.
    pub scheduler: Scheduler,
    /// `[[pops]]`: sites of which more is known than their nodes say, in the order of the file.
    pub pops: Vec<Pop>,
    /// Pools by name, in the order of the file.
    pub pools: Vec<Pool>,
    /// Nodes, in the order of the file.
    pub nodes: Vec<Node>,
    /// Domains, in the order of the file.
    pub domains: Vec<Domain>,
    /// `[dns]`; `None` (default): no DNS is spoken.
    pub dns: Option<Dns>,
    /// `[streams]`; `None` (default): media servers have nothing to ask here.
    pub streams: Option<Streams>,
    /// `[[callers]]`: who speaks for media servers with a token, in the order of the file.
    pub callers: Vec<Caller>,
}

/// `[server]`
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Player side; default `0.0.0.0:8080`.
    pub listen: SocketAddr,
    /// Operators' side; default `127.0.0.1:8081`. Beyond loopback only with `admin_token_file`: whoever reaches it
    /// sees the whole fleet and may take nodes out.
    pub admin_listen: SocketAddr,
    /// Peers whose client-address header is believed and who may say `ip=`; default loopback, both families.
    pub trusted_proxies: Vec<IpNet>,
    /// The one header that carries the client address behind a trusted proxy.
    pub client_address_header: ClientAddressHeader,
    /// Player-side threads, 1…256; 0: one per core.
    pub workers: usize,
    /// How clients' addresses stand in the log; default masked. A reload changes it.
    pub log_client_addresses: LoggedAddresses,
    /// A file with the bearer token that the operators' side asks for; `None` (default): it asks for none.
    pub admin_token_file: Option<PathBuf>,
    /// How long the service says that it is not ready before it stops, ms, 0…10 min; default 0.
    pub drain_delay_ms: u64,
    /// `[server.tls]`; `None` (default): plain HTTP only.
    pub tls: Option<Tls>,
}

/// `[server.tls]`: HTTPS beside plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Player side; default `0.0.0.0:8443`.
    pub listen: SocketAddr,
    /// PEM: the server's own certificate first, then those that lead to a root.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// Whether `admin_listen` speaks TLS, and nothing else, too; default no.
    pub admin: bool,
}

/// `[limits]`: what one client, and all together, may ask of the player side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Requests a second of one client (an IPv4 address, an IPv6 /56) on average, 0…100,000; 0: no limit; default 100.
    pub requests_per_second: u32,
    /// Requests that it may have saved up, 1…100,000; default 1,000.
    pub burst: u32,
    /// Open connections, all together, 16…1,000,000; default 16,384.
    pub connections: usize,
    /// Open connections of one client, 1…1,000,000; default 1,024. Trusted proxies have none.
    pub connections_per_client: usize,
    /// Time for the head of a first request, the TLS handshake included, ms, 1 s…1 min; default 10 s.
    pub first_request_ms: u64,
    /// Time between two requests of a connection, ms, 1 s…1 h; default 75 s: longer than the 60 s after which
    /// proxies usually close idle connections themselves, so that a reused one is not closed under their hands.
    pub idle_ms: u64,
    /// How long requests wait for their turn before some are refused at once, ms, 1…10,000; default 200 ms.
    pub longest_wait_ms: u64,
}

/// `[dialects]`: other services' HTTP-DNS, for players that have their SDK or wrote their own.
///
/// All are on unless switched off. Whoever comes from such a service changes a host name and nothing else, and should
/// not have to know of this table; and they open no door that `/resolve` leaves shut: the same clients, limits and
/// bookings, and nothing for a domain that asks for signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialects {
    /// `GET` and `POST /d?dn=`, as DNSPod and Tencent Cloud have it; default on.
    pub dnspod: bool,
    /// `GET /{account}/d?host=` and `/{account}/resolve?host=`, as Alibaba Cloud has it; default on.
    pub alibaba: bool,
}

/// Which header a trusted proxy uses. One, chosen by configuration: "whichever is there" can be forged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAddressHeader {
    /// `X-Forwarded-For`, walked from right to left.
    #[default]
    XForwardedFor,
    /// RFC 7239 `Forwarded`, its `for=` elements walked from right to left.
    Forwarded,
    /// `X-Real-IP`, one address.
    XRealIp,
}

/// How clients' addresses stand in the log. Who watches what is personal data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoggedAddresses {
    /// As their networks: /24 of IPv4, /48 of IPv6.
    #[default]
    Masked,
    /// As they are.
    Full,
}

/// `[geoip]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Geoip {
    /// MMDB files, first answer wins per address family; empty: the built-in country database.
    pub databases: Vec<PathBuf>,
    /// Where clients are taken to be that no database knows; `None`: spread by capacity.
    pub default_location: Option<Location>,
    /// `[[geoip.overrides]]`: networks whose place the operator knows better. Longest prefix wins.
    pub overrides: Vec<GeoOverride>,
    /// The internet providers that nodes name, by which clients' are told apart. Not written: from the nodes.
    pub isps: Vec<Box<str>>,
}

/// One `[[geoip.overrides]]`: a network, and what is known of it. At least one of the three is set.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoOverride {
    /// The network it speaks of.
    pub network: IpNet,
    /// Where its clients are.
    pub location: Option<Location>,
    /// A PoP of this configuration whose place counts as theirs.
    pub pop: Option<Box<str>>,
    /// Their internet provider, compared with the nodes' when both are known.
    pub isp: Option<Box<str>>,
}

/// `[scrape]`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scrape {
    /// Time between two scrapes of a target, ms, 500…600,000; default 10 s.
    pub interval_ms: u64,
    /// Deadline of one scrape, ms, 100 to the interval; default 3 s, or the interval where that is shorter.
    pub timeout_ms: u64,
    /// Largest page read, bytes, 16 KiB…256 MiB; default 4 MiB.
    pub body_limit_bytes: u64,
    /// Scrapes under way at once, 2…10,000; default 128. Targets that hang have a quarter of them at most.
    pub concurrency: usize,
}

/// `[scrape]`, too: which exporters may be asked, and what they are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exporters {
    /// Where a connection may go, whatever a name resolves to; default everywhere but link-local addresses, cloud
    /// metadata services and what is no host at all.
    pub allowed_networks: Networks,
    /// `[[scrape.credentials]]`: what is shown to whom; the first that is for a target counts.
    pub credentials: Vec<Credentials>,
}

/// `[scheduler]`
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduler {
    /// L: what a congested node costs, km, 0…20,015; default 10.
    pub congestion_km: f64,
    /// A: how far a stream may be carried to stay on its node, km, 0…20,015; default 40.
    pub affinity_km: f64,
    /// C: what one unit of a node's price is worth, km, 0…20,015; default 100. Counts only between nodes whose
    /// `price` differs.
    pub price_km: f64,
    /// P: what it is worth not to cross to another internet provider, km, 0…20,015; default 300. Counts only for
    /// nodes with `isps` and clients whose provider is known.
    pub isp_km: f64,
    /// How much farther prices may take an answer, km on average, above 0…20,015: C is adapted to that, starting from
    /// `price_km`. `None` (default): C stays.
    pub distance_budget_km: Option<f64>,
    /// How many replicas of this service share the fleet, up to 1,000; 0 (default): not told, so learnt from the
    /// exporters' client counters up to 64. Told, what is learnt is held within half to twice of it.
    pub replicas: u32,
    /// What one viewer is taken to need while nothing has been measured, Mbit/s, 0.01…1,000; default 3.
    pub default_bitrate_mbps: f64,
    /// Egress capacity of a node that tells none, Mbit/s, 1…10,000,000; default 1,000. Such nodes are marked.
    pub assumed_bandwidth_mbps: f64,
    /// Answers are booked; default true. Off for comparison only: between two scrapes everybody is sent to the
    /// same node then.
    pub booking: bool,
    /// A file with at least 16 bytes that all replicas share: players may report measured round-trip times then,
    /// with tokens made of it. `None` (default): they may not.
    pub rtt_secret_file: Option<PathBuf>,
    /// Where capacities that nodes have proven, and operators' drains, outlive a restart. `None` (default): they do
    /// not.
    pub state_file: Option<PathBuf>,
    /// Shortest and longest answer lifetime, s, 1…3,600, the first at most the second; default 5 and 60.
    pub ttl_s: (u32, u32),
}

/// `[[pops]]`. A location written there is that of the PoP's nodes that have none of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Pop {
    /// Unique name; at least one node stands there.
    pub name: Box<str>,
    /// What the line that its nodes share carries, Mbit/s, 1…10,000,000; `None`: more than they can send.
    pub uplink_mbps: Option<f64>,
    /// The share of it that may be used: `bandwidth` of `[thresholds]`, .80 by default.
    pub limit: f64,
}

/// `[[pools]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Unique name.
    pub name: Box<str>,
    /// What happens when nothing in it fits.
    pub on_overload: OnOverload,
    /// The pool that its nodes pull streams from; `None` (default): the origins of the domain.
    pub upstream: Option<Box<str>>,
    /// Limits of its `edge` and `origin` nodes unless they set their own; those of every node stand in
    /// [`Node::thresholds`].
    pub thresholds: Thresholds,
    /// How nodes over their limits are relieved; `None` (default): viewers that are there stay.
    pub relief: Option<Relief>,
}

/// `[[pools]] relief`: viewers of a node over its limits are sent away, so that they ask again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relief {
    /// When it has been over them for so long, ms, 10 s…1 h.
    pub after_ms: u64,
    /// So many a minute, 1…6,000.
    pub per_minute: u32,
    /// At most this share of the viewers that it had when that began, above 0, up to 1; default 1: until it is relieved.
    pub share: f64,
}

/// `[[domains]]`
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// Lower case, no trailing dot.
    pub name: Box<str>,
    /// The pool that serves it.
    pub pool: Box<str>,
    /// How a node is chosen.
    pub policy: PolicyKind,
    /// Files with keys, up to four: the first signs answers, each is accepted for questions. Empty (default): nothing is
    /// signed.
    pub keys: Vec<PathBuf>,
    /// Whether questions have to be signed; default no.
    pub require_signature: bool,
    /// The pool that takes its publishers; `None` (default): it has none.
    pub origins: Option<Box<str>>,
    /// How players are redirected.
    pub redirect: Redirect,
    /// DNS tells how its nodes serve HTTPS, which lets browsers go there by themselves; default: yes, unless
    /// `redirect_host` gives nodes other names, for which their certificates then are.
    pub https_records: bool,
}

/// The keys `redirect_…` of a `[[domains]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    /// What a node is called in a redirect, `{id}` standing for its id; `None` (default): its address.
    pub host: Option<Box<str>>,
    /// Whether who asks by HTTPS may be sent on to a node that speaks only HTTP; default no.
    pub downgrade: bool,
}

/// Whether a node, pool or PoP can be called so: 1 to 64 of `A-Z a-z 0-9 . _ -`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    values::check_name(name).is_ok()
}

// === impl Config ===

impl Config {
    /// Reads and checks a file. Relative paths in it start from its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let bytes = std::fs::read(path).map_err(|error| ConfigErrors::unreadable(path, &error))?;
        let text = String::from_utf8(bytes).map_err(|error| ConfigErrors::not_utf8(path, &error))?;
        Self::read(&text, &path.display().to_string(), path.parent().unwrap_or(Path::new("")))
    }

    /// Checks a text; `name` stands for the file in messages. Relative paths stay as they are.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigErrors> {
        Self::read(text, name, Path::new(""))
    }

    fn read(text: &str, name: &str, folder: &Path) -> Result<Self, ConfigErrors> {
        // What some editors put before a text; columns would count it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (tree, syntax_errors) = DeTable::parse_recoverable(text);
        let report = Report::of(text);
        if !syntax_errors.is_empty() {
            // The tree around them is a guess: checking it would blame what the parser made up.
            return Err(ConfigErrors::new(text, name, report::syntax_findings(text, &syntax_errors)));
        }
        let config = check::config(tree.get_ref(), folder, &report);
        let findings = report.into_findings();
        if findings.is_empty() { Ok(config) } else { Err(ConfigErrors::new(text, name, findings)) }
    }
}

/// The limits a node starts from by its role.
///
/// Limits come in layers, the later over the earlier, each changing only what it names: this profile (or the
/// pool's `profile`), `[thresholds]`, the pool's `thresholds`, the node's. So what the operator wrote beats what we
/// ship: `[thresholds] system_cpu = 0.85` also lifts the 0.60 of `rtc` nodes, unless their pool says otherwise.
#[must_use]
pub fn profile(role: Role) -> Thresholds {
    match role {
        Role::Edge | Role::Origin => Thresholds::default(),
        Role::Rtc | Role::Turn => Thresholds::rtc(),
    }
}
