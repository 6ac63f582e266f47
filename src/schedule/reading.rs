//! What one exporter page said: plain numbers, not yet rates.
//!
//! A feeder turns a metrics page into a [`Reading`]; the core turns two readings into a window
//! ([`super::window`]) and windows into load. Everything is optional, because a page shows what its exporter
//! knows; nothing absent is ever read as zero.

use std::net::IpAddr;

/// Milliseconds on the scheduler's own monotonic clock. Only differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

/// When a page was asked for and when its last byte came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The request left us.
    pub sent: Moment,
    /// The body was complete. `received − sent` bounds the age of every number on the page from above.
    pub received: Moment,
}

/// Everything one page of one target said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The exporter's own clock, seconds (`node_time_seconds`). Only its differences are used, so skew cancels.
    pub clock_s: Option<f64>,
    /// How long that clock, and the counters beside it, may stand still though all is well, s: a server that tells
    /// what it last looked at, and looks only every so often. 0: the page is made when it is asked for.
    pub grain_s: f64,
    /// The machine, from `node_exporter`, or from a media server that tells about it.
    pub host: Option<HostReading>,
    /// Media processes, from a process exporter, a client library or a media server about itself.
    pub processes: Vec<ProcessReading>,
    /// The media server's own counters (SRS).
    pub media: Option<MediaReading>,
    /// Each stream on the node, by the media server's own list; empty: the page does not tell.
    pub streams: Vec<StreamReading>,
    /// What is published on the media server, by the same list; `None`: the page does not tell, or nobody asks.
    pub published: Option<PublishedList>,
}

/// What is published on a media server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedList {
    /// Who answered: server, service and process id.
    pub identity: [Box<str>; 3],
    /// Vhost ("" for the default one), app and stream.
    pub streams: Vec<[Box<str>; 3]>,
    /// Nothing was left out for want of room on the page.
    pub complete: bool,
}

/// One stream on a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamReading {
    /// [`super::affinity::hash`] of "app/name".
    pub key: u64,
    /// Viewers of it here.
    pub clients: f64,
    /// What one viewer of it needs, kbit/s: an edge pulls a stream once, so what it receives is what each viewer
    /// should get.
    pub kbps: f64,
}

/// The machine as `node_exporter` sees it. Counters are since boot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostReading {
    /// Logical CPUs on the page.
    pub cpus: u32,
    /// Share of all CPUs in use now, 0…1: a gauge, where the page has that instead of the counters below.
    pub busy: Option<f64>,
    /// Σ over CPUs of seconds in mode `idle`.
    pub idle_s: f64,
    /// Σ over CPUs of seconds in mode `iowait`: waiting for a disk is not use.
    pub iowait_s: f64,
    /// Σ over CPUs of seconds in mode `steal`: taken by the hypervisor, counts as used.
    pub steal_s: f64,
    /// Boot time, Unix seconds; a change means that the counters began anew.
    pub boot_time_s: Option<f64>,
    /// Bytes sent by the counted interfaces.
    pub transmit_bytes: Option<f64>,
    /// Bytes received by the counted interfaces. Shown, never judged: an edge also pulls.
    pub receive_bytes: Option<f64>,
    /// Σ of link speeds of the counted interfaces, bytes per second.
    pub link_bytes_per_s: Option<f64>,
    /// Memory there is, bytes.
    pub memory_total_bytes: Option<f64>,
    /// Memory that can be had without swapping, bytes.
    pub memory_available_bytes: Option<f64>,
    /// Seconds of I/O of the busiest block device, each with its name.
    pub disk_io_s: Vec<(Box<str>, f64)>,
    /// Fullest real file system: share in use, 0…1, with its mount point.
    pub fullest_disk: Option<(Box<str>, f64)>,
    /// Datagrams dropped because a UDP receive buffer was full.
    pub udp_receive_drops: Option<f64>,
    /// Datagrams dropped because a UDP send buffer was full.
    pub udp_send_drops: Option<f64>,
    /// One-minute load average. Shown, never judged.
    pub load1: Option<f64>,
    /// TCP connections accepted since boot.
    pub tcp_passive_opens: Option<f64>,
}

/// One media process, or one group of processes under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessReading {
    /// Group name without its process id: "srs".
    pub name: Box<str>,
    /// Process id where the page tells one.
    pub pid: Option<u32>,
    /// How its use of the CPU is given.
    pub cpu: ProcessCpu,
    /// Processes counted together under this name. More than one: a share of one core cannot be told apart,
    /// so the core divides by this number and says so.
    pub processes: u32,
    /// Start of the oldest process, Unix seconds; a change means a restart.
    pub start_time_s: Option<f64>,
}

/// CPU use of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProcessCpu {
    /// Seconds of CPU since the process began: a counter; two readings make a rate.
    Seconds(f64),
    /// Cores in use now, 1.0 = one whole core: a gauge (`srs_cpu_percent` ÷ 100).
    Cores(f64),
}

/// A media server's own counters.
#[derive(Clone, Debug, PartialEq)]
pub struct MediaReading {
    /// Who answered: server, service and process id. If it alternates, two processes share one port.
    pub identity: Box<str>,
    /// Connected viewers and publishers now.
    pub clients: Option<f64>,
    /// Connections since start.
    pub clients_total: Option<f64>,
    /// Media bytes sent since start.
    pub send_bytes: Option<f64>,
    /// Media bytes received since start.
    pub receive_bytes: Option<f64>,
}

/// Why a probe of a target gave no reading. A closed set: it is a metric label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFailure {
    /// No complete answer within the deadline.
    #[error("timeout: no complete page within {0} ms")]
    Timeout(u64),
    /// Refused, reset or unreachable.
    #[error("connect: {0}")]
    Connect(String),
    /// It is at an address that `scrape.allowed_networks` does not open, so it was not asked.
    #[error("not_allowed: address {0} is not in scrape.allowed_networks")]
    NotAllowed(IpAddr),
    /// An answer that is not 200 (a redirect is not followed and counts here), a broken body, or a TLS failure.
    #[error("http: {0}")]
    Http(String),
    /// The body passed the limit, bytes.
    #[error("too_large: page is over {0} bytes")]
    TooLarge(u64),
    /// The page is not exposition text, or a wanted line cannot be read.
    #[error("parse: {0}")]
    Parse(String),
    /// The page is sound but shows none of what is wanted.
    #[error("missing_metric: {0}")]
    MissingMetric(String),
}

// === impl Moment ===

impl Moment {
    /// Milliseconds since `earlier`; 0 if `earlier` is later.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Seconds since `earlier`; 0 if `earlier` is later.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "milliseconds stay far below 2^52")]
    pub fn since_s(self, earlier: Self) -> f64 {
        self.since_ms(earlier) as f64 / 1000.0
    }

    /// This moment plus some milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

// === impl Timing ===

impl Timing {
    /// Upper bound of the age of the page when it came, ms.
    #[must_use]
    pub fn age_ms(self) -> u64 {
        self.received.since_ms(self.sent)
    }
}

// === impl ProbeFailure ===

impl ProbeFailure {
    /// The stable label of this failure.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Connect(_) => "connect",
            Self::NotAllowed(_) => "not_allowed",
            Self::Http(_) => "http",
            Self::TooLarge(_) => "too_large",
            Self::Parse(_) => "parse",
            Self::MissingMetric(_) => "missing_metric",
        }
    }

    /// Whether this speaks against the machine itself (nobody answers) rather than against the page.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Connect(_))
    }
}
