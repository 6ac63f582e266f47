//! The two pages of an emulated edge, word for word in the form of the real exporters.
//!
//! `/metrics` follows `node_exporter` 1.5 including `collect[]=`: unknown collectors are refused as the real one
//! does, known ones that an emulated machine has nothing to say about are accepted and stay silent.
//! `/srs/metrics` follows the exporter of SRS 7, where `srs_cpu_percent` 100 means one core and `srs_memory` is
//! in KiB.
//!
//! A machine that has just begun would be easy to tell from a real one: every page therefore adds a past of some
//! weeks to its counters. Only differences mean anything to a scheduler.

use std::fmt::{Display, Write};

use super::edge::Edge;
use super::random::Random;

/// Everything a page is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    /// The machine's name.
    pub(super) node: &'a str,
    /// Advanced to now.
    pub(super) edge: &'a Edge,
    /// What it did before it was emulated.
    pub(super) past: Past,
    /// Now, by the machine's clock.
    pub(super) unix_ms: u64,
}

/// The life of a machine before the demo began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    /// Seconds between its boot and the demo's begin.
    uptime_s: f64,
    /// Share of that time its CPUs were busy.
    busy: f64,
    /// Bytes sent and received.
    traffic: [f64; 2],
    /// Viewers served.
    connections: u64,
    /// What tells its media server from others: the server's id, which outlives restarts…
    server: u64,
    /// … and its process id.
    pid: u64,
}

/// Which collectors a scrape asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Collectors(Vec<&'static str>);

/// A name after `collect[]=` that is no collector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("missing collector: {0}")]
pub(super) struct UnknownCollector(String);

type Section = fn(&Page<'_>, &mut Text);

/// The collectors that have something to say, in the order of the page.
const SECTIONS: [(&str, Section); 10] = [
    ("cpu", cpu),
    ("diskstats", diskstats),
    ("filesystem", filesystem),
    ("loadavg", loadavg),
    ("meminfo", meminfo),
    ("netclass", netclass),
    ("netdev", netdev),
    ("netstat", netstat),
    ("stat", stat),
    ("time", time),
];

/// The other collectors of a stock `node_exporter`.
const SILENT: [&str; 22] = [
    "arp",
    "bonding",
    "conntrack",
    "cpufreq",
    "dmi",
    "edac",
    "entropy",
    "filefd",
    "hwmon",
    "mdadm",
    "nfs",
    "nvme",
    "os",
    "pressure",
    "rapl",
    "schedstat",
    "sockstat",
    "softnet",
    "textfile",
    "udp_queues",
    "uname",
    "vmstat",
];

/// A page in the making.
#[derive(Debug, Default)]
struct Text(String);

// === impl Past ===

impl Past {
    /// A plausible past; the same seed has lived the same life.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive and far below 2^52"
    )]
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let uptime_s = random.between(3.0, 40.0).mul_add(86_400.0, 0.37).round();
        let sent = (uptime_s * random.between(5e6, 4e7)).round();
        Self {
            uptime_s,
            busy: random.between(0.05, 0.25),
            traffic: [sent, (sent / 15.0).round()],
            connections: (uptime_s * random.between(0.2, 1.5)) as u64,
            server: random.bits() >> 36,
            pid: 1_000 + random.bits() % 30_000,
        }
    }
}

// === impl Collectors ===

impl Collectors {
    /// What a query string asks for: the values of its `collect[]`, all collectors if there are none.
    ///
    /// # Errors
    /// Names the first collector that does not exist.
    pub(super) fn from_query(pairs: &[(String, String)]) -> Result<Self, UnknownCollector> {
        let known = || SECTIONS.iter().map(|(name, _)| *name).chain(SILENT);
        let mut asked = Vec::new();
        for (_, value) in pairs.iter().filter(|(key, _)| key == "collect[]") {
            match known().find(|name| name == value) {
                Some(name) => asked.push(name),
                None => return Err(UnknownCollector(value.clone())),
            }
        }
        Ok(Self(if asked.is_empty() { known().collect() } else { asked }))
    }
}

// === impl Page ===

impl Page<'_> {
    /// The machine, as `node_exporter` shows it.
    pub(super) fn machine(&self, collectors: &Collectors) -> String {
        let mut text = Text::default();
        exporter_itself(self, &mut text);
        for (_, section) in SECTIONS.iter().filter(|(name, _)| collectors.0.contains(name)) {
            section(self, &mut text);
        }
        text.family("node_scrape_collector_success", "gauge", "Whether a collector succeeded.");
        for name in &collectors.0 {
            text.labelled("node_scrape_collector_success", &format!("collector=\"{name}\""), 1);
        }
        text.0
    }

    /// The media server, as SRS shows itself.
    pub(super) fn media(&self) -> String {
        let mut text = Text::default();
        let (Past { server, pid, .. }, node, counters) = (self.past, self.node, self.edge.counters());
        text.family(
            "srs_build_info",
            "gauge",
            "A metric with a constant '1' value labeled by build_date, version.",
        );
        let identity = format!(
            "server=\"vid-{server:07x}\",service=\"{:08x}\",pid=\"{pid}\",build_date=\"2026-11-22 19:40:15\",\
             major=\"7\",version=\"7.0.18\",code=\"Hang\",label=\"edge\",tag=\"{node}\"",
            pid * 7_919,
        );
        text.labelled("srs_build_info", &identity, 1);
        text.gauge(
            "srs_cpu_percent",
            "SRS cpu used percent.",
            in_units(self.edge.process_micro_cores(), 10_000),
        );
        let memory_kib = 22_656 + u64::from(self.edge.viewers()) * 180;
        text.gauge("srs_memory", "SRS memory used.", memory_kib);
        text.counter("srs_send_bytes_total", "SRS total sent bytes.", counters.sent_bits / 8);
        // SRS does not count what an edge pulls from its origin: measured, and so it is here.
        text.counter("srs_receive_bytes_total", "SRS total received bytes.", counters.connections * 310);
        text.gauge("srs_streams", "The number of SRS concurrent streams.", self.edge.viewers().div_ceil(6));
        text.gauge("srs_clients", "The number of SRS concurrent clients.", self.edge.viewers());
        text.counter("srs_clients_total", "The total counts of SRS clients.", counters.connections);
        text.counter("srs_clients_errs_total", "The total errors of SRS clients.", counters.connections / 50);
        text.0
    }

    /// When the machine booted, Unix seconds.
    fn boot_s(&self) -> f64 {
        in_units(self.unix_ms.saturating_sub(self.edge.age_ms()), 1_000) - self.past.uptime_s
    }
}

/// What `node_exporter` says about itself. Its CPU must not be taken for a media process's, which is why a good
/// test bed shows it.
fn exporter_itself(page: &Page<'_>, text: &mut Text) {
    text.family("node_exporter_build_info", "gauge", "Version of the exporter.");
    text.labelled("node_exporter_build_info", "goarch=\"amd64\",goos=\"linux\",version=\"1.5.0\"", 1);
    let own_s = in_units(page.edge.age_ms(), 1_000_000);
    text.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", two(own_s));
    text.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", 15_618_048);
    let began_s = page.boot_s() + 12.0;
    text.gauge(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        two(began_s),
    );
}

fn cpu(page: &Page<'_>, text: &mut Text) {
    const NAME: &str = "node_cpu_seconds_total";
    let (counters, past) = (page.edge.counters(), page.past);
    let cores = page.edge.hardware().cores;
    let passed_s = in_units(page.edge.age_ms(), 1_000);
    let share = 1.0 / f64::from(cores);
    let busy_s = in_units(counters.busy_ns, 1_000_000_000) * share + past.uptime_s * past.busy;
    let iowait_s = in_units(counters.iowait_ns, 1_000_000_000) * share + past.uptime_s * 0.0005;
    let idle_s = passed_s + past.uptime_s - busy_s - iowait_s;
    text.family(NAME, "counter", "Seconds the CPUs spent in each mode.");
    for cpu in 0..cores {
        // How work is split over modes is as on a captured edge: mostly the process, then kernel and interrupts.
        let modes = [
            ("idle", idle_s),
            ("iowait", iowait_s),
            ("irq", 0.0),
            ("nice", 0.0),
            ("softirq", busy_s * 0.07),
            ("steal", 0.0),
            ("system", busy_s * 0.18),
            ("user", busy_s * 0.75),
        ];
        for (mode, seconds) in modes {
            text.labelled(NAME, &format!("cpu=\"{cpu}\",mode=\"{mode}\""), two(seconds));
        }
    }
}

fn diskstats(page: &Page<'_>, text: &mut Text) {
    const NAME: &str = "node_disk_io_time_seconds_total";
    let passed_s = in_units(page.edge.age_ms(), 1_000);
    text.family(NAME, "counter", "Total seconds spent doing I/Os.");
    text.labelled(NAME, "device=\"vda\"", two((passed_s + page.past.uptime_s) * 0.004));
}

fn filesystem(_: &Page<'_>, text: &mut Text) {
    const LABELS: &str = "device=\"/dev/vda1\",fstype=\"ext4\",mountpoint=\"/\"";
    const SIZE: u64 = 42_949_672_960;
    text.family(
        "node_filesystem_avail_bytes",
        "gauge",
        "Filesystem space available to non-root users in bytes.",
    );
    text.labelled("node_filesystem_avail_bytes", LABELS, SIZE / 100 * 66);
    text.family("node_filesystem_free_bytes", "gauge", "Filesystem free space in bytes.");
    text.labelled("node_filesystem_free_bytes", LABELS, SIZE / 100 * 71);
    text.family("node_filesystem_readonly", "gauge", "Filesystem read-only status.");
    text.labelled("node_filesystem_readonly", LABELS, 0);
    text.family("node_filesystem_size_bytes", "gauge", "Filesystem size in bytes.");
    text.labelled("node_filesystem_size_bytes", LABELS, SIZE);
}

fn loadavg(page: &Page<'_>, text: &mut Text) {
    text.gauge("node_load1", "1m load average.", two(in_units(page.edge.busy_micro_cores(), 1_000_000)));
}

fn meminfo(page: &Page<'_>, text: &mut Text) {
    const GIB: u64 = 1 << 30;
    let total = u64::from(page.edge.hardware().cores) * 2 * GIB;
    let used = GIB / 2 + u64::from(page.edge.viewers()) * 180 * 1_024;
    let available = total.saturating_sub(used);
    text.gauge("node_memory_MemAvailable_bytes", "Memory information field MemAvailable_bytes.", available);
    text.gauge("node_memory_MemFree_bytes", "Memory information field MemFree_bytes.", available / 2);
    text.gauge("node_memory_MemTotal_bytes", "Memory information field MemTotal_bytes.", total);
}

fn netclass(page: &Page<'_>, text: &mut Text) {
    text.family("node_network_flags", "gauge", "Network device property: flags");
    text.labelled("node_network_flags", "device=\"eth0\"", 4_099);
    text.labelled("node_network_flags", "device=\"lo\"", 9);
    text.family("node_network_speed_bytes", "gauge", "Network device property: speed_bytes");
    let speed = u64::from(page.edge.hardware().bandwidth_mbps) * 125_000;
    text.labelled("node_network_speed_bytes", "device=\"eth0\"", speed);
    text.family("node_network_up", "gauge", "Value is 1 if operstate is 'up', 0 otherwise.");
    text.labelled("node_network_up", "device=\"eth0\"", 1);
    text.labelled("node_network_up", "device=\"lo\"", 0);
}

fn netdev(page: &Page<'_>, text: &mut Text) {
    let sent = in_units(page.edge.counters().sent_bits, 8);
    let [sent_before, received_before] = page.past.traffic;
    // What is pulled from the origin: some 16 viewers share a stream.
    for (name, help, bytes) in [
        (
            "node_network_receive_bytes_total",
            "Network device statistic receive_bytes.",
            received_before + sent / 16.0,
        ),
        ("node_network_transmit_bytes_total", "Network device statistic transmit_bytes.", sent_before + sent),
    ] {
        text.family(name, "counter", help);
        text.labelled(name, "device=\"eth0\"", bytes.round());
        text.labelled(name, "device=\"lo\"", 4_096);
    }
}

fn netstat(page: &Page<'_>, text: &mut Text) {
    let opens = page.past.connections + page.edge.counters().connections;
    text.family("node_netstat_Tcp_PassiveOpens", "untyped", "Statistic TcpPassiveOpens.");
    text.sample("node_netstat_Tcp_PassiveOpens", opens);
    for name in ["InDatagrams", "InErrors", "OutDatagrams", "RcvbufErrors", "SndbufErrors"] {
        let full = format!("node_netstat_Udp_{name}");
        text.family(&full, "untyped", &format!("Statistic Udp{name}."));
        text.sample(&full, if name.ends_with("Datagrams") { 1_518 + page.edge.age_ms() / 500 } else { 0 });
    }
}

fn stat(page: &Page<'_>, text: &mut Text) {
    text.gauge("node_boot_time_seconds", "Node boot time, in unixtime.", page.boot_s().floor());
}

fn time(page: &Page<'_>, text: &mut Text) {
    text.gauge(
        "node_time_seconds",
        "System time in seconds since epoch (1970).",
        in_units(page.unix_ms, 1_000),
    );
}

/// A whole number of small units as a number of big ones.
#[expect(clippy::cast_precision_loss, reason = "bits of one demo and nanoseconds of one day stay below 2^53")]
fn in_units(small: u64, per_big: u64) -> f64 {
    small as f64 / per_big as f64
}

/// Two digits after the point: the kernel counts CPU time in hundredths, too.
fn two(seconds: f64) -> impl Display {
    std::fmt::from_fn(move |f| write!(f, "{seconds:.2}"))
}

// === impl Text ===

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn labelled(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.sample(name, value);
    }
}

#[cfg(test)]
mod tests;
