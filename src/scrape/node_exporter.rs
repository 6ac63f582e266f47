//! `node_exporter`: the machine. Metric names as of 1.5 (they have not changed since 0.16).

use super::reader::{Focus, Samples, counter, gauge};
use super::{disks, interfaces};
use crate::exposition::Labels;
use crate::schedule::reading::{HostReading, ProbeFailure};

/// What is wanted.
pub(super) const METRICS: &[&str] = &[
    "node_boot_time_seconds",
    "node_cpu_seconds_total",
    "node_disk_io_time_seconds_total",
    "node_exporter_build_info",
    "node_filesystem_avail_bytes",
    "node_filesystem_free_bytes",
    "node_filesystem_size_bytes",
    "node_load1",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "node_netstat_Tcp_PassiveOpens",
    "node_netstat_Udp_RcvbufErrors",
    "node_netstat_Udp_SndbufErrors",
    "node_network_flags",
    "node_network_receive_bytes_total",
    "node_network_speed_bytes",
    "node_network_transmit_bytes_total",
    "node_time_seconds",
];

/// Which collector of the exporter gives which of these. `collect[]=` asks for them by name.
pub(super) const COLLECTORS: &[(&str, &[&str])] = &[
    ("cpu", &["node_cpu_seconds_total"]),
    ("netdev", &["node_network_transmit_bytes_total", "node_network_receive_bytes_total"]),
    ("netclass", &["node_network_speed_bytes", "node_network_flags"]),
    ("meminfo", &["node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes"]),
    ("diskstats", &["node_disk_io_time_seconds_total"]),
    (
        "filesystem",
        &["node_filesystem_avail_bytes", "node_filesystem_free_bytes", "node_filesystem_size_bytes"],
    ),
    (
        "netstat",
        &["node_netstat_Tcp_PassiveOpens", "node_netstat_Udp_RcvbufErrors", "node_netstat_Udp_SndbufErrors"],
    ),
    ("loadavg", &["node_load1"]),
    ("time", &["node_time_seconds"]),
    ("stat", &["node_boot_time_seconds"]),
];

/// Whether a line is wanted. Five of eight CPU modes, most devices and most mounts are not.
pub(super) fn keep(name: &str, labels: &Labels<'_>, focus: &Focus) -> bool {
    let label = |key| labels.get(key).unwrap_or_default();
    match name {
        "node_cpu_seconds_total" => matches!(label("mode"), "idle" | "iowait" | "steal"),
        "node_disk_io_time_seconds_total" => disks::is_device(label("device")),
        "node_exporter_build_info" => false,
        _ if name.starts_with("node_network_") => {
            interfaces::is_candidate(label("device"), &focus.interfaces)
        }
        _ if name.starts_with("node_filesystem_") => {
            disks::is_file_system(label("fstype"), label("mountpoint"))
        }
        _ => true,
    }
}

/// The machine; `None` if the page does not tell how idle its CPUs are.
pub(super) fn read(samples: Samples<'_>, focus: &Focus) -> Result<Option<HostReading>, ProbeFailure> {
    let mut host = HostReading::default();
    for sample in samples.of("node_cpu_seconds_total") {
        let seconds = counter(sample)?;
        match sample.labels.get("mode") {
            Some("idle") => {
                host.cpus += 1;
                host.idle_s += seconds;
            }
            Some("iowait") => host.iowait_s += seconds,
            _ => host.steal_s += seconds,
        }
    }
    if host.cpus == 0 {
        return Ok(None);
    }
    host.boot_time_s = samples.gauge("node_boot_time_seconds")?;
    read_network(samples, focus, &mut host)?;
    host.memory_total_bytes = samples.gauge("node_memory_MemTotal_bytes")?;
    host.memory_available_bytes = samples.gauge("node_memory_MemAvailable_bytes")?;
    host.disk_io_s = disks::io_seconds(samples)?;
    host.fullest_disk = disks::fullest(samples)?;
    host.udp_receive_drops = samples.counter("node_netstat_Udp_RcvbufErrors")?;
    host.udp_send_drops = samples.counter("node_netstat_Udp_SndbufErrors")?;
    host.load1 = samples.gauge("node_load1")?;
    host.tcp_passive_opens = samples.counter("node_netstat_Tcp_PassiveOpens")?;
    Ok(Some(host))
}

/// Sums over the interfaces that count.
fn read_network(samples: Samples<'_>, focus: &Focus, host: &mut HostReading) -> Result<(), ProbeFailure> {
    let counted = interfaces::counted(samples, &focus.interfaces)?;
    let sum = |name, read: fn(&_) -> _| -> Result<Option<f64>, ProbeFailure> {
        let mut total = None;
        for sample in samples.of(name) {
            if sample.labels.get("device").is_some_and(|device| counted.contains(&device)) {
                *total.get_or_insert(0.0) += read(sample)?;
            }
        }
        Ok(total)
    };
    host.transmit_bytes = sum("node_network_transmit_bytes_total", counter)?;
    host.receive_bytes = sum("node_network_receive_bytes_total", counter)?;
    // A virtio card and a card without a link say −1 Mbit/s: unknown, which is not a speed and not 0.
    let speed = sum("node_network_speed_bytes", |sample| gauge(sample).map(|speed| speed.max(0.0)))?;
    host.link_bytes_per_s = speed.filter(|speed| *speed > 0.0);
    Ok(())
}
