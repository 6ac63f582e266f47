//! A media process that tells about itself through a Prometheus client library: `LiveKit`, Pion, ion-sfu and
//! whatever an operator builds. Metric names are the same in all official libraries.

use memchr::memmem;

use super::reader::{Focus, Samples};
use crate::schedule::reading::{ProbeFailure, ProcessCpu, ProcessReading};

/// What is wanted.
pub(super) const METRICS: &[&str] = &["process_cpu_seconds_total", "process_start_time_seconds"];

/// The process behind the page; call it only when the page is not known to be about something else.
///
/// The page tells no name, so the target's `host:port` is it.
pub(super) fn read(
    samples: Samples<'_>,
    page: &[u8],
    focus: &Focus,
) -> Result<Option<ProcessReading>, ProbeFailure> {
    // Any other exporter (redis_exporter, blackbox_exporter, …) tells its own CPU here, not that of its subject.
    if memmem::find(page, b"_exporter_build_info").is_some() {
        return Ok(None);
    }
    let Some(seconds) = samples.counter("process_cpu_seconds_total")? else { return Ok(None) };
    Ok(Some(ProcessReading {
        name: focus.authority.clone(),
        pid: None,
        cpu: ProcessCpu::Seconds(seconds),
        processes: 1,
        start_time_s: samples.gauge("process_start_time_seconds")?.filter(|start| *start > 0.0),
    }))
}
