//! Windows: two readings of one target become rates.
//!
//! *Whose clock.* A counter rate is Δcounter ÷ Δtime, and the time must be the exporter's own: a page that
//! took 2 s to come was not filled when we received it. In the reference model, receive-time windows under
//! 0.2–3 s of scrape latency turn 0.8 overloaded node-minutes into 661. Only differences of the exporter's
//! clock are used, so its skew cancels. Where the page shows no clock, or its clock steps, receive time is used
//! and the window is marked `coarse`.
//!
//! *What never happens.* A counter that went back, a page that stands still, a number that cannot be: none of
//! them becomes a zero or a spike. The window is dropped, the last estimate stays, and a [`Finding`] says so.

use std::fmt;

use super::load::{HotProcess, Load};
use super::reading::{HostReading, MediaReading, ProcessCpu, ProcessReading, Reading, Timing};

/// Bits per byte over bits per megabit.
const MBIT_PER_BYTE: f64 = 8.0 / 1e6;
/// A shorter window says more about scheduling noise than about load.
const SHORTEST_WINDOW_S: f64 = 0.2;
/// More than any NIC sends, Mbit/s: beyond it a rate is a broken counter.
const ABSURD_MBPS: f64 = 10_000_000.0;
/// More than any counter of a kernel holds (64 bits): such a number is no count, and neither is a difference to it.
const ABSURD_COUNT: f64 = 18_446_744_073_709_551_616.0;
/// More cores than any process uses.
const ABSURD_CORES: f64 = 100_000.0;
/// More idle time than this for each second of CPU there was did not pass: the counter jumped. As lax as a page that
/// was late and has no clock needs it.
const ABSURD_IDLENESS: f64 = 4.0;
/// Kernel idle counters are known to step back by a few ticks; that is no reset.
const IDLE_JITTER_S: f64 = 5.0;

/// Something about a page that an operator should know. Shown on the node until the next good window.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// A counter is lower than before: the process or the machine began anew.
    CounterReset {
        /// Which counter.
        what: &'static str,
    },
    /// The machine or a process was started again.
    Restarted {
        /// Which.
        what: Box<str>,
    },
    /// The page came, but its clock and counters stand still.
    Frozen,
    /// The exporter's clock jumped; receive time was used instead.
    ClockStep {
        /// Seconds that its clock moved.
        exporter_s: f64,
        /// Seconds that passed here.
        ours_s: f64,
    },
    /// The media server behind this port is not the one of the last page, and then is again: two processes
    /// share the port, and counters of one must not be compared with those of the other.
    IdentityFlapping {
        /// Who answered now.
        now: Box<str>,
        /// Who answered before.
        before: Box<str>,
    },
    /// A number that cannot be: not finite, negative, or beyond any hardware.
    Absurd {
        /// Which.
        what: &'static str,
        /// The number on the page.
        value: f64,
    },
}

/// What one more reading brought.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Length on the clock used, s; `None`: this reading closed no window (the first, frozen, or too soon).
    pub seconds: Option<f64>,
    /// Receive time had to stand in for the exporter's clock.
    pub coarse: bool,
    /// What is now known from this target alone.
    pub load: Load,
    /// Clients that connected during the window, by the media server's counter.
    pub connected: Option<f64>,
    /// What an operator should know.
    pub findings: Vec<Finding>,
}

/// The memory of one target: its last reading and what it came to.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    last: Option<(Reading, Timing)>,
    /// Media server that answered before the present one, to tell flapping from a restart.
    earlier_identity: Option<Box<str>>,
    /// Estimates of the last good window: they stay while a window has to be dropped.
    load: Load,
}

// === impl Windows ===

impl Windows {
    /// Takes in one more page of this target.
    pub fn fold(&mut self, reading: Reading, timing: Timing) -> Window {
        let mut window = Window::default();
        let Some((before, before_timing)) = self.last.take() else {
            self.first(&reading, timing, &mut window);
            self.last = Some((reading, timing));
            return window;
        };
        if let Some(finding) = self.identity(&before, &reading) {
            let flapping = matches!(finding, Finding::IdentityFlapping { .. });
            window.findings.push(finding);
            if flapping {
                window.load = self.load.clone();
                self.last = Some((reading, timing));
                return window;
            }
        }
        match length(&before, before_timing, &reading, timing, &mut window) {
            Some(seconds) => {
                rates(&before, &reading, seconds, &mut self.load, &mut window);
                gauges(&reading, &mut self.load, &mut window.findings);
                self.load.oldest = timing.received;
                window.seconds = Some(seconds);
                self.last = Some((reading, timing));
            }
            // Keep the older reading as the start, so that a quick second look does not shorten the window.
            None => {
                if reading.grain_s > 0.0 && window.findings.is_empty() {
                    // Its counters were not looked at since; that it came, and its gauges, are news all the same.
                    gauges(&reading, &mut self.load, &mut window.findings);
                    self.load.oldest = timing.received;
                }
                self.last = Some((before, before_timing));
            }
        }
        window.load = self.load.clone();
        window
    }

    /// The first page makes no window, but its gauges already speak.
    fn first(&mut self, reading: &Reading, timing: Timing, window: &mut Window) {
        gauges(reading, &mut self.load, &mut window.findings);
        self.load.oldest = timing.received;
        window.load = self.load.clone();
    }

    /// Whether another process answered than last time, and whether the two take turns.
    fn identity(&mut self, before: &Reading, now: &Reading) -> Option<Finding> {
        let (before, now) = (&before.media.as_ref()?.identity, &now.media.as_ref()?.identity);
        if before == now {
            return None;
        }
        let flapping = self.earlier_identity.as_ref() == Some(now);
        self.earlier_identity = Some(before.clone());
        Some(if flapping {
            Finding::IdentityFlapping { now: now.clone(), before: before.clone() }
        } else {
            Finding::Restarted { what: "media server".into() }
        })
    }
}

/// The window's length in seconds, on the exporter's clock where it can be had.
fn length(
    before: &Reading,
    before_timing: Timing,
    now: &Reading,
    timing: Timing,
    window: &mut Window,
) -> Option<f64> {
    let ours_s = timing.received.since_s(before_timing.received);
    let (Some(then_s), Some(now_s)) = (before.clock_s, now.clock_s) else {
        window.coarse = true;
        return (ours_s >= SHORTEST_WINDOW_S).then_some(ours_s);
    };
    let exporter_s = now_s - then_s;
    if exporter_s == 0.0 && ours_s <= now.grain_s * 2.0 {
        return None;
    }
    if exporter_s == 0.0 && ours_s >= SHORTEST_WINDOW_S {
        window.findings.push(Finding::Frozen);
        return None;
    }
    // A page may be up to the deadline old on either side; beyond that it is the clock that moved.
    let lateness_s = f64::max(3.0, ours_s * 0.5) + now.grain_s;
    if !exporter_s.is_finite() || (exporter_s - ours_s).abs() > lateness_s {
        window.findings.push(Finding::ClockStep { exporter_s, ours_s });
        window.coarse = true;
        return (ours_s >= SHORTEST_WINDOW_S).then_some(ours_s);
    }
    (exporter_s >= SHORTEST_WINDOW_S).then_some(exporter_s)
}

/// Counters of two readings into rates. A rate that cannot be had leaves the last estimate standing.
fn rates(before: &Reading, now: &Reading, seconds: f64, load: &mut Load, window: &mut Window) {
    if let (Some(then), Some(host)) = (&before.host, &now.host) {
        if restarted(then.boot_time_s, host.boot_time_s) {
            window.findings.push(Finding::Restarted { what: "machine".into() });
        } else {
            host_rates(then, host, seconds, load, &mut window.findings);
        }
    }
    load.hottest = hottest(&before.processes, &now.processes, seconds, &mut window.findings)
        .or_else(|| load.hottest.take().filter(|hot| goes_on(hot, &before.processes, &now.processes)));
    if let (Some(then), Some(media)) = (&before.media, &now.media)
        && then.identity == media.identity
    {
        let shows_nic = now.host.as_ref().is_some_and(|host| host.transmit_bytes.is_some());
        media_rates(then, media, !shows_nic, seconds, load, window);
    }
}

fn host_rates(
    then: &HostReading,
    now: &HostReading,
    seconds: f64,
    load: &mut Load,
    findings: &mut Vec<Finding>,
) {
    if now.busy.is_none() && then.cpus == now.cpus && now.cpus > 0 {
        let capacity_s = seconds * f64::from(now.cpus);
        let idle_s = now.idle_s - then.idle_s + now.iowait_s - then.iowait_s;
        let is_count = |idle_s: f64| idle_s.is_finite() && idle_s < ABSURD_COUNT;
        if !(is_count(then.idle_s) && is_count(now.idle_s))
            || idle_s > ABSURD_IDLENESS * capacity_s + IDLE_JITTER_S
        {
            findings.push(Finding::Absurd { what: "node_cpu_seconds_total", value: now.idle_s });
        } else if idle_s < -IDLE_JITTER_S {
            findings.push(Finding::CounterReset { what: "node_cpu_seconds_total" });
        } else {
            load.system_cpu = Some((1.0 - idle_s / capacity_s).clamp(0.0, 1.0));
            load.steal = Some(((now.steal_s - then.steal_s) / capacity_s).clamp(0.0, 1.0));
        }
    }
    let mut mbps = |what, then, now| match rate(what, then, now, seconds, findings) {
        Some(bytes) if bytes * MBIT_PER_BYTE > ABSURD_MBPS => {
            findings.push(Finding::Absurd { what, value: bytes });
            None
        }
        bytes => bytes.map(|bytes| bytes * MBIT_PER_BYTE),
    };
    keep(
        &mut load.egress_mbps,
        mbps("node_network_transmit_bytes_total", then.transmit_bytes, now.transmit_bytes),
    );
    keep(
        &mut load.ingress_mbps,
        mbps("node_network_receive_bytes_total", then.receive_bytes, now.receive_bytes),
    );
    let receive = rate(
        "node_netstat_Udp_RcvbufErrors",
        then.udp_receive_drops,
        now.udp_receive_drops,
        seconds,
        findings,
    );
    let send =
        rate("node_netstat_Udp_SndbufErrors", then.udp_send_drops, now.udp_send_drops, seconds, findings);
    if receive.is_some() || send.is_some() {
        load.udp_drops_per_s = Some(receive.unwrap_or(0.0) + send.unwrap_or(0.0));
    }
    let busiest = now
        .disk_io_s
        .iter()
        .filter_map(|(disk, io_s)| {
            let (_, then_s) = then.disk_io_s.iter().find(|(name, _)| name == disk)?;
            let busy =
                rate("node_disk_io_time_seconds_total", Some(*then_s), Some(*io_s), seconds, findings)?;
            Some((disk.clone(), busy.min(1.0)))
        })
        .max_by(|a, b| a.1.total_cmp(&b.1));
    keep(&mut load.busiest_disk, busiest);
}

fn media_rates(
    then: &MediaReading,
    now: &MediaReading,
    only_source: bool,
    seconds: f64,
    load: &mut Load,
    window: &mut Window,
) {
    let connected =
        difference("srs_clients_total", then.clients_total, now.clients_total, &mut window.findings);
    window.connected = connected;
    keep(&mut load.arrivals_per_s, connected.map(|clients| clients / seconds));
    // The NIC knows best; the media server's own count stands in only where this target shows no NIC, and the
    // node prefers another target's NIC (see `watch.rs`).
    if only_source {
        let sent =
            rate("srs_send_bytes_total", then.send_bytes, now.send_bytes, seconds, &mut window.findings);
        keep(&mut load.egress_mbps, sent.map(|bytes| bytes * MBIT_PER_BYTE));
        let got = rate(
            "srs_receive_bytes_total",
            then.receive_bytes,
            now.receive_bytes,
            seconds,
            &mut window.findings,
        );
        keep(&mut load.ingress_mbps, got.map(|bytes| bytes * MBIT_PER_BYTE));
    }
}

/// The media process nearest to a whole core.
fn hottest(
    before: &[ProcessReading],
    now: &[ProcessReading],
    seconds: f64,
    findings: &mut Vec<Finding>,
) -> Option<HotProcess> {
    now.iter()
        .filter_map(|process| {
            let cores = match process.cpu {
                ProcessCpu::Cores(cores) => possible("srs_cpu_percent", Some(cores), findings)?,
                ProcessCpu::Seconds(now_s) => {
                    let then = before.iter().find(|p| p.name == process.name && p.pid == process.pid)?;
                    let ProcessCpu::Seconds(then_s) = then.cpu else { return None };
                    if restarted(then.start_time_s, process.start_time_s) {
                        findings.push(Finding::Restarted { what: process.name.clone() });
                        return None;
                    }
                    rate("process_cpu_seconds_total", Some(then_s), Some(now_s), seconds, findings)?
                }
            };
            if cores > ABSURD_CORES {
                findings.push(Finding::Absurd { what: "process CPU, cores", value: cores });
                return None;
            }
            let averaged_over = process.processes.max(1);
            let cores = cores / f64::from(averaged_over);
            Some(HotProcess { name: process.name.clone(), pid: process.pid, cores, averaged_over })
        })
        .max_by(|a, b| a.cores.total_cmp(&b.cores))
}

/// Whether the process of an estimate is still the same one: then a window that gave no rate leaves it standing.
fn goes_on(hot: &HotProcess, before: &[ProcessReading], now: &[ProcessReading]) -> bool {
    let of = |all: &[ProcessReading]| {
        all.iter().find(|process| process.name == hot.name && process.pid == hot.pid).map(|p| p.start_time_s)
    };
    matches!((of(before), of(now)), (Some(then), Some(now)) if !restarted(then, now))
}

/// What needs no second reading.
fn gauges(reading: &Reading, load: &mut Load, findings: &mut Vec<Finding>) {
    if let Some(host) = &reading.host {
        if host.cpus > 0 {
            load.cpus = Some(host.cpus);
        }
        keep(&mut load.system_cpu, possible("system CPU", host.busy, findings).map(|busy| busy.min(1.0)));
        keep(
            &mut load.link_mbps,
            host.link_bytes_per_s.filter(|speed| *speed > 0.0).map(|b| b * MBIT_PER_BYTE),
        );
        if let (Some(total), Some(available)) = (
            possible("node_memory_MemTotal_bytes", host.memory_total_bytes, findings),
            possible("node_memory_MemAvailable_bytes", host.memory_available_bytes, findings),
        ) && total > 0.0
        {
            load.memory = Some((1.0 - available / total).clamp(0.0, 1.0));
        }
        keep(&mut load.fullest_disk, host.fullest_disk.clone());
        keep(&mut load.load1, possible("node_load1", host.load1, findings));
    }
    if let Some(media) = &reading.media {
        keep(&mut load.clients, possible("srs_clients", media.clients, findings));
    }
    // Gauges of the CPU speak at once; counters wait for their window.
    if load.hottest.is_none() {
        load.hottest = hottest(&[], &reading.processes, 1.0, findings);
    }
}

fn restarted(then: Option<f64>, now: Option<f64>) -> bool {
    matches!((then, now), (Some(then), Some(now)) if (then - now).abs() > 1.0)
}

fn keep<T>(slot: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *slot = new;
    }
}

/// A gauge, if it can be one.
fn possible(what: &'static str, value: Option<f64>, findings: &mut Vec<Finding>) -> Option<f64> {
    let value = value?;
    if value.is_finite() && value >= 0.0 {
        return Some(value);
    }
    findings.push(Finding::Absurd { what, value });
    None
}

fn difference(
    what: &'static str,
    then: Option<f64>,
    now: Option<f64>,
    findings: &mut Vec<Finding>,
) -> Option<f64> {
    let now = possible(what, now, findings)?;
    if now >= ABSURD_COUNT {
        findings.push(Finding::Absurd { what, value: now });
        return None;
    }
    let then = then.filter(|then| (0.0..ABSURD_COUNT).contains(then))?;
    if now < then {
        findings.push(Finding::CounterReset { what });
        return None;
    }
    Some(now - then)
}

fn rate(
    what: &'static str,
    then: Option<f64>,
    now: Option<f64>,
    seconds: f64,
    findings: &mut Vec<Finding>,
) -> Option<f64> {
    difference(what, then, now, findings).map(|difference| difference / seconds)
}

// === impl Finding ===

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CounterReset { what } => {
                write!(f, "counter_reset: {what} went back, its window is dropped")
            }
            Self::Restarted { what } => write!(f, "restarted: {what} was started again"),
            Self::Frozen => write!(f, "frozen: the page comes but its clock stands still"),
            Self::ClockStep { exporter_s, ours_s } => {
                write!(
                    f,
                    "clock_step: the exporter's clock moved {exporter_s:.1} s while {ours_s:.1} s passed"
                )
            }
            Self::IdentityFlapping { now, before } => {
                write!(f, "identity_flapping: {now} and {before} answer in turn on one port")
            }
            Self::Absurd { what, value } => write!(f, "absurd: {what} is {value}, which cannot be"),
        }
    }
}

#[cfg(test)]
mod tests;
