//! SRS about itself (exporter of SRS 5.0 and later). Facts from SRS `srs_app_http_api.cpp`.

use super::reader::Samples;
use crate::exposition::Labels;
use crate::schedule::reading::{MediaReading, ProbeFailure, ProcessCpu, ProcessReading};

/// What is wanted.
pub(super) const METRICS: &[&str] = &[
    "srs_build_info",
    "srs_clients",
    "srs_clients_total",
    "srs_cpu_percent",
    "srs_receive_bytes_total",
    "srs_send_bytes_total",
];

/// The media server's counters and its own process; `None` if the page is not from SRS.
pub(super) fn read(
    samples: Samples<'_>,
) -> Result<Option<(MediaReading, Option<ProcessReading>)>, ProbeFailure> {
    if !samples.0.iter().any(|sample| METRICS.contains(&sample.name)) {
        return Ok(None);
    }
    let info = samples.of("srs_build_info").next().map(|sample| &sample.labels);
    let media = MediaReading {
        identity: info.map_or_else(|| "srs".into(), identity),
        clients: samples.counter("srs_clients")?,
        clients_total: samples.counter("srs_clients_total")?,
        send_bytes: samples.counter("srs_send_bytes_total")?,
        receive_bytes: samples.counter("srs_receive_bytes_total")?,
    };
    let process = samples.counter("srs_cpu_percent")?.map(|percent| ProcessReading {
        name: "srs".into(),
        pid: info.and_then(|labels| labels.get("pid")).and_then(|pid| pid.parse().ok()),
        // 100 is one core; SRS runs its media on one thread, so it rarely passes that.
        cpu: ProcessCpu::Cores(percent / 100.0),
        processes: 1,
        start_time_s: None,
    });
    Ok(Some((media, process)))
}

/// Server, service and process id: the server's id survives a restart, the others do not, and two processes on one
/// `SO_REUSEPORT` port differ in the last.
fn identity(labels: &Labels<'_>) -> Box<str> {
    let label = |name| labels.get(name).unwrap_or("-");
    format!("{}/{}/{}", label("server"), label("service"), label("pid")).into()
}
