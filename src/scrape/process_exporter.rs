//! Process exporter (`ncabatoff/process-exporter`): groups of processes by name. Metric names as of 0.7.

use std::collections::BTreeMap;

use super::reader::{Focus, Samples, counter, gauge};
use crate::exposition::Labels;
use crate::schedule::reading::{ProbeFailure, ProcessCpu, ProcessReading};

const CPU: &str = "namedprocess_namegroup_cpu_seconds_total";
const PROCESSES: &str = "namedprocess_namegroup_num_procs";
const START: &str = "namedprocess_namegroup_oldest_start_time_seconds";

/// What is wanted. The last two only show what the page is while no group has been found.
pub(super) const METRICS: &[&str] =
    &[CPU, PROCESSES, START, "namedprocess_scrape_errors", "process_exporter_build_info"];

/// Highest process id that Linux gives out (`PID_MAX_LIMIT`).
const PID_MAX: u32 = 1 << 22;

/// One group as it builds up from its lines.
#[derive(Default)]
struct Group {
    cpu_s: Option<f64>,
    processes: Option<f64>,
    start_time_s: Option<f64>,
}

/// Whether a line is wanted: groups that are not media processes are passed over, whatever their names hold.
pub(super) fn keep(name: &str, labels: &Labels<'_>, focus: &Focus) -> bool {
    let group = labels.get("groupname").unwrap_or_default();
    matches!(name, CPU | PROCESSES | START)
        && (focus.processes.is_empty() || is_listed(group, focus) || is_listed(split_pid(group).0, focus))
}

/// The running groups, in order of their names.
pub(super) fn read(samples: Samples<'_>, focus: &Focus) -> Result<Vec<ProcessReading>, ProbeFailure> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for sample in samples.0 {
        if !matches!(sample.name, CPU | PROCESSES | START) {
            continue;
        }
        let group = groups.entry(sample.labels.get("groupname").unwrap_or_default()).or_default();
        match sample.name {
            // One line for each mode, user and system.
            CPU => *group.cpu_s.get_or_insert(0.0) += counter(sample)?,
            PROCESSES => group.processes = Some(counter(sample)?),
            _ => group.start_time_s = Some(gauge(sample)?),
        }
    }
    Ok(groups.into_iter().filter_map(|(name, group)| process(name, &group, focus)).collect())
}

/// A group as a process; `None` if nothing runs in it. The exporter keeps groups whose processes are gone.
fn process(group_name: &str, group: &Group, focus: &Focus) -> Option<ProcessReading> {
    let processes = to_count(group.processes.unwrap_or(1.0));
    let cpu = ProcessCpu::Seconds(group.cpu_s?);
    if processes == 0 {
        return None;
    }
    // A template such as "{{.Comm}}:{{.PID}}" gives each process a group. Several processes in one group have no
    // single id, and a name that is listed as it stands ("srs-1935") is a name.
    let (name, pid) = match split_pid(group_name) {
        (name, pid @ Some(_)) if processes == 1 && !is_listed(group_name, focus) => (name, pid),
        _ => (group_name, None),
    };
    // An empty group says year 1; so do some old kernels for what they cannot tell.
    let start_time_s = group.start_time_s.filter(|start| *start > 0.0);
    Some(ProcessReading { name: name.into(), pid, cpu, processes, start_time_s })
}

/// Splits "srs:1314" into name and process id.
fn split_pid(group_name: &str) -> (&str, Option<u32>) {
    let name = group_name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &group_name[name.len()..];
    let pid = digits.parse().ok().filter(|pid| (1..=PID_MAX).contains(pid) && !digits.starts_with('0'));
    let stem = name.trim_end_matches(|c: char| c.is_ascii_punctuation() || c == ' ');
    if pid.is_none() || stem.is_empty() || stem == name { (group_name, None) } else { (stem, pid) }
}

fn is_listed(name: &str, focus: &Focus) -> bool {
    focus.processes.iter().any(|listed| **listed == *name)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "finite and not negative; saturates"
)]
fn to_count(value: f64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_id_is_split_off_behind_a_separator() {
        assert_eq!(split_pid("bash:1314"), ("bash", Some(1314)));
        assert_eq!(split_pid("srs;77"), ("srs", Some(77)));
        assert_eq!(split_pid("live srs / 9"), ("live srs", Some(9)));
        assert_eq!(split_pid("é:5"), ("é", Some(5)));
    }

    #[test]
    fn other_digits_belong_to_the_name() {
        for name in ["srs", "python3", "mp4", "", "7", ":7", "srs:", "srs:0", "srs:007", "srs:99999999", "é7"]
        {
            assert_eq!(split_pid(name), (name, None));
        }
    }
}
