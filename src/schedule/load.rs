//! Load: what a node is doing now, in each resource's own unit.
//!
//! A [`Load`] is measured; it becomes pressure only against a node's limits ([`super::pressure`]).
//! `None` means that no exporter of the node shows it: such a resource is not judged, and never read as idle.

use super::reading::Moment;

/// What can run out on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Egress against the link or the configured capacity.
    Bandwidth,
    /// CPU of the machine, all cores.
    SystemCpu,
    /// CPU of the hottest media process, against one core.
    ProcessCpu,
    /// Memory that is not available.
    Memory,
    /// Time the busiest disk is busy.
    DiskBusy,
    /// Use of the fullest file system.
    DiskFull,
    /// Datagrams dropped for want of buffer space.
    UdpDrops,
}

/// The media process that is nearest to its limit.
#[derive(Clone, Debug, PartialEq)]
pub struct HotProcess {
    /// Its name: "srs".
    pub name: Box<str>,
    /// Its process id where the exporter tells it.
    pub pid: Option<u32>,
    /// Cores it uses, 1.0 = one whole core.
    pub cores: f64,
    /// Above 1: `cores` is the mean over so many processes of one name, because the exporter does not tell
    /// them apart. The hottest of them may be hotter.
    pub averaged_over: u32,
}

/// One measurement of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// Bytes sent to viewers and others, Mbit/s. Egress only: an edge also pulls.
    pub egress_mbps: Option<f64>,
    /// Bytes received, Mbit/s. Shown, never judged.
    pub ingress_mbps: Option<f64>,
    /// Link speed of the counted interfaces, Mbit/s.
    pub link_mbps: Option<f64>,
    /// Logical CPUs.
    pub cpus: Option<u32>,
    /// Share of all cores in use, 0…1.
    pub system_cpu: Option<f64>,
    /// Share of all cores that the hypervisor took, 0…1; part of `system_cpu`.
    pub steal: Option<f64>,
    /// The hottest media process.
    pub hottest: Option<HotProcess>,
    /// Share of memory that is not available, 0…1.
    pub memory: Option<f64>,
    /// The busiest disk and its share of busy time, 0…1.
    pub busiest_disk: Option<(Box<str>, f64)>,
    /// The fullest file system and its share in use, 0…1.
    pub fullest_disk: Option<(Box<str>, f64)>,
    /// UDP datagrams dropped, per second.
    pub udp_drops_per_s: Option<f64>,
    /// One-minute load average. Shown, never judged.
    pub load1: Option<f64>,
    /// Connected clients.
    pub clients: Option<f64>,
    /// Clients that came, per second.
    pub arrivals_per_s: Option<f64>,
    /// When the oldest part of this was received.
    pub oldest: Moment,
}

// === impl Load ===

impl Load {
    /// Takes over what `from`, another target of the same node, knows and this does not; the hotter process wins,
    /// clients add up.
    pub fn merge(&mut self, from: &Self) {
        fn fill<T: Clone>(slot: &mut Option<T>, from: &Option<T>) {
            if slot.is_none() {
                slot.clone_from(from);
            }
        }
        fn add(slot: &mut Option<f64>, from: Option<f64>) {
            *slot = match (*slot, from) {
                (Some(a), Some(b)) => Some(a + b),
                (a, b) => a.or(b),
            };
        }
        fill(&mut self.egress_mbps, &from.egress_mbps);
        fill(&mut self.ingress_mbps, &from.ingress_mbps);
        fill(&mut self.link_mbps, &from.link_mbps);
        fill(&mut self.cpus, &from.cpus);
        fill(&mut self.system_cpu, &from.system_cpu);
        fill(&mut self.steal, &from.steal);
        fill(&mut self.memory, &from.memory);
        fill(&mut self.busiest_disk, &from.busiest_disk);
        fill(&mut self.fullest_disk, &from.fullest_disk);
        fill(&mut self.udp_drops_per_s, &from.udp_drops_per_s);
        fill(&mut self.load1, &from.load1);
        add(&mut self.clients, from.clients);
        add(&mut self.arrivals_per_s, from.arrivals_per_s);
        let hotter = from
            .hottest
            .as_ref()
            .is_some_and(|hot| self.hottest.as_ref().is_none_or(|own| hot.cores > own.cores));
        if hotter {
            self.hottest.clone_from(&from.hottest);
        }
        self.oldest =
            if self.oldest == Moment::default() { from.oldest } else { self.oldest.min(from.oldest) };
    }
}

// === impl Resource ===

impl Resource {
    /// All resources, tightest first in a tie.
    pub const ALL: [Self; 7] = [
        Self::Bandwidth,
        Self::SystemCpu,
        Self::ProcessCpu,
        Self::Memory,
        Self::DiskBusy,
        Self::DiskFull,
        Self::UdpDrops,
    ];

    /// The word used in answers and as a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bandwidth => "bandwidth",
            Self::SystemCpu => "system_cpu",
            Self::ProcessCpu => "process_cpu",
            Self::Memory => "memory",
            Self::DiskBusy => "disk_busy",
            Self::DiskFull => "disk_full",
            Self::UdpDrops => "udp_drops",
        }
    }

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}
