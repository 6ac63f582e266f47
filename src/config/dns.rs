//! `[dns]`: what the DNS front answers for.

use std::net::SocketAddr;
use std::path::PathBuf;

/// `[dns]`: authoritative DNS beside HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// UDP and TCP, both on this address.
    pub listen: SocketAddr,
    /// DNS over TLS (RFC 7858), with the certificate of `[server.tls]`; `None` (default): none.
    pub tls_listen: Option<SocketAddr>,
    /// Longest lifetime of a dynamic answer, s, 1…3,600; default 10: resolvers keep it for all of their clients. Large
    /// resolvers get less.
    pub ttl_s: u32,
    /// Most addresses in one dynamic answer, each of another node, 1…8; default 8: large resolvers get that many, small ones
    /// two.
    pub answers: usize,
    /// Replies a second by UDP to each network (/24, /56) that shows no cookie of ours, 0…1,000,000; 0: no limit;
    /// default 1,000.
    pub responses_per_second: u32,
    /// Every how many queries one is written to the log, its asker as a network, 0…1,000,000; 0 (default): none.
    pub log_one_in: u32,
    /// What this server calls itself to who asks (RFC 5001), 1 to 64 characters; `None` (default): it does not say.
    pub nsid: Option<Box<str>>,
    /// What nodes speak by HTTPS beside HTTP/1.1, as ALPN protocol ids of up to 16 characters, most wanted first, up
    /// to 8; default none.
    pub alpn: Vec<Box<str>>,
    /// At least one.
    pub zones: Vec<DnsZone>,
}

/// `[[dns.zones]]`: a zone that has been delegated to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsZone {
    /// Lower case, no trailing dot.
    pub apex: Box<str>,
    /// Its name servers as the parent zone names them, at least one; the first is the SOA's MNAME.
    pub ns: Vec<Box<str>>,
    /// What nodes are called in it, `{id}` standing for the id in lower case with a dash for each dot; the apex comes
    /// after it. Default `{id}.nodes`.
    pub node_host: Box<str>,
    /// The rest of its SOA.
    pub soa: DnsSoa,
    /// Records that never change.
    pub records: Vec<DnsRecord>,
    /// Files `….private` of the keys that it is signed with (DNSSEC), the one that signs first, up to 4; empty (default): it
    /// is not signed.
    pub keys: Vec<PathBuf>,
}

/// `soa` of a zone (RFC 1035 §3.3.13). All durations up to 68 years, as the wire has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSoa {
    /// Mailbox of who is responsible, the `@` written as a dot; default `hostmaster.` and the apex.
    pub mailbox: Box<str>,
    /// Version of the zone; default 1.
    pub serial: u32,
    /// For secondaries, s; default 2 h.
    pub refresh_s: u32,
    /// For secondaries, s; default 15 min.
    pub retry_s: u32,
    /// For secondaries, s; default 14 d.
    pub expire_s: u32,
    /// How long resolvers remember that there is nothing (RFC 2308), s, up to 3 h; default 30 s.
    pub negative_ttl_s: u32,
}

/// One static record, in the form of the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// The owner's name: labels with their lengths, lower case.
    pub owner: Box<[u8]>,
    /// TYPE.
    pub kind: u16,
    /// TTL, s.
    pub ttl_s: u32,
    /// RDATA, its names not compressed.
    pub data: Box<[u8]>,
}
