//! Counters of the DNS front: atomics in fixed places, read by a collector.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::answers::counter;

/// What a query came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsTransport {
    /// A datagram.
    Udp,
    /// A connection.
    Tcp,
    /// An encrypted connection.
    Tls,
    /// A request by HTTP.
    Https,
}

/// RCODEs by number, and the label of each; the last is all others.
const RCODES: [(u16, &str); 8] = [
    (0, "noerror"),
    (1, "formerr"),
    (2, "servfail"),
    (3, "nxdomain"),
    (4, "notimp"),
    (5, "refused"),
    (16, "badvers"),
    (u16::MAX, "other"),
];

/// What the DNS front counts.
#[derive(Debug, Default)]
pub struct DnsReplies {
    by_rcode: [[AtomicU64; RCODES.len()]; DnsTransport::ALL.len()],
    by_subnet: AtomicU64,
    turned_away: AtomicU64,
    cut: AtomicU64,
    dropped: AtomicU64,
    signatures_made: AtomicU64,
    signatures_kept: AtomicU64,
}

// === impl DnsReplies ===

impl DnsReplies {
    /// A reply with this RCODE (all twelve bits of it) left; `by_subnet`: it was chosen by a client subnet.
    pub fn replied(&self, transport: DnsTransport, rcode: u16, by_subnet: bool) {
        let place = RCODES.iter().position(|(number, _)| *number == rcode).unwrap_or(RCODES.len() - 1);
        self.by_rcode[transport as usize][place].fetch_add(1, Relaxed);
        if by_subnet {
            self.by_subnet.fetch_add(1, Relaxed);
        }
    }

    /// A connection was closed at once: its network has as many as it may.
    pub fn turned_away(&self) {
        self.turned_away.fetch_add(1, Relaxed);
    }

    /// A reply was limited: cut to TC, or not sent at all.
    pub fn limited(&self, is_cut: bool) {
        let counter = if is_cut { &self.cut } else { &self.dropped };
        counter.fetch_add(1, Relaxed);
    }

    /// A signature went out that was made for it, or that was kept from an earlier answer.
    pub fn signed(&self, was_kept: bool) {
        let counter = if was_kept { &self.signatures_kept } else { &self.signatures_made };
        counter.fetch_add(1, Relaxed);
    }
}

impl Collector for DnsReplies {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "DNS replies by transport and RCODE";
        let mut replies = encoder.encode_descriptor("dns_replies", help, None, MetricType::Counter)?;
        for transport in DnsTransport::ALL {
            for (place, (_, rcode)) in RCODES.iter().enumerate() {
                let labels = [("transport", transport.as_str()), ("rcode", *rcode)];
                counter(&mut replies, &labels, &self.by_rcode[transport as usize][place])?;
            }
        }
        let help = "DNS replies that were chosen by a client subnet (RFC 7871)";
        let mut subnets =
            encoder.encode_descriptor("dns_client_subnet_replies", help, None, MetricType::Counter)?;
        subnets.encode_counter::<NoLabelSet, u64, f64>(&self.by_subnet.load(Relaxed), None)?;
        let help = "DNS connections closed at once because their network had as many as it may";
        let mut turned_away =
            encoder.encode_descriptor("dns_turned_away_connections", help, None, MetricType::Counter)?;
        turned_away.encode_counter::<NoLabelSet, u64, f64>(&self.turned_away.load(Relaxed), None)?;
        let help = "DNS replies that response-rate limiting cut to TC or kept back";
        let mut limited = encoder.encode_descriptor("dns_limited", help, None, MetricType::Counter)?;
        counter(&mut limited, &[("action", "cut")], &self.cut)?;
        counter(&mut limited, &[("action", "drop")], &self.dropped)?;
        let help = "DNSSEC signatures in DNS replies: made for the reply, or kept from an earlier one";
        let mut signatures = encoder.encode_descriptor("dns_signatures", help, None, MetricType::Counter)?;
        counter(&mut signatures, &[("from", "made")], &self.signatures_made)?;
        counter(&mut signatures, &[("from", "kept")], &self.signatures_kept)
    }
}

// === impl DnsTransport ===

impl DnsTransport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Tls, Self::Https];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
        }
    }
}
