//! Where load becomes overload: one limit per resource.
//!
//! The 80 % rules come from the project's source: SRS is single-threaded, so a process at 80 % of one core is
//! near its end even on an idle 64-core machine, and a machine at 80 % of all cores has no room for a spike.

/// Limits of one node. Every limit is a share, above 0 and up to 1, unless said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Share of all cores in use (steal counts as used, iowait does not).
    pub system_cpu: f64,
    /// Share of ONE core that the hottest media process uses.
    pub process_cpu: f64,
    /// Share of the egress capacity.
    pub bandwidth: f64,
    /// Share of memory that is not available.
    pub memory: f64,
    /// Share of time the busiest disk is busy. 1.0 switches it off: only nodes that record care.
    pub disk_busy: f64,
    /// Share of the fullest file system in use.
    pub disk_full: f64,
    /// UDP datagrams the kernel dropped for want of buffer space, per second (a rate, not a share).
    pub udp_drops_per_s: f64,
}

// === impl Thresholds ===

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            system_cpu: 0.80,
            process_cpu: 0.80,
            bandwidth: 0.80,
            memory: 0.90,
            disk_busy: 0.95,
            disk_full: 0.95,
            udp_drops_per_s: 100.0,
        }
    }
}

impl Thresholds {
    /// The starting point of `rtc` and `turn` nodes: WebRTC is bound by CPU and spikes, so its CPU limits lie
    /// at 0.60.
    #[must_use]
    pub fn rtc() -> Self {
        Self { system_cpu: 0.60, process_cpu: 0.60, ..Self::default() }
    }
}
