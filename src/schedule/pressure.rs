//! Pressure: load over limit, of the resource that runs out first.
//!
//! `pressure(node, m) = max over r of (load_r + booked_r + m_r) / (threshold_r · capacity_r)`; 1.0 = overloaded.
//! Three resources are *elastic*: they grow with each viewer, so a booking moves them. The others are a floor.

use super::load::{Load, Resource};
use super::node::Node;
use super::thresholds::Thresholds;

/// Where a node's egress capacity comes from, best source first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapacitySource {
    /// `bandwidth` of the node.
    Configured,
    /// Speed of its network interfaces.
    Link,
    /// `scheduler.assumed_bandwidth`: nobody knows. Shown on the node.
    Assumed,
}

/// Egress capacity of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// Mbit/s.
    pub mbps: f64,
    /// Who says so.
    pub source: CapacitySource,
}

/// Pressure by resource, and the tightest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// In the order of [`Resource::ALL`]; `None`: not measured, not judged.
    pub by: [Option<f64>; Resource::ALL.len()],
}

// === impl Capacity ===

impl Capacity {
    /// Configured capacity, else the link's speed, else what is assumed.
    #[must_use]
    pub fn of(node: &Node, load: &Load, assumed_mbps: f64) -> Self {
        match (node.bandwidth_mbps, load.link_mbps) {
            (Some(mbps), _) => Self { mbps, source: CapacitySource::Configured },
            (None, Some(mbps)) => Self { mbps, source: CapacitySource::Link },
            (None, None) => Self { mbps: assumed_mbps, source: CapacitySource::Assumed },
        }
    }
}

// === impl CapacitySource ===

impl CapacitySource {
    /// The word used in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Link => "link",
            Self::Assumed => "assumed",
        }
    }
}

// === impl Pressure ===

impl Pressure {
    /// Measured pressure, without bookings. `weight` multiplies every capacity of the node.
    #[must_use]
    pub fn of(load: &Load, capacity: Capacity, node: &Node) -> Self {
        let mut by = [None; Resource::ALL.len()];
        for resource in Resource::ALL {
            by[resource.index()] = load
                .of(resource, capacity)
                .filter(|_| is_judged(&node.thresholds, resource))
                .map(|share| share / (limit(&node.thresholds, resource) * weight(node, resource)));
        }
        Self { by }
    }

    /// The tightest resource and its pressure; `None` if nothing is measured.
    #[must_use]
    pub fn tightest(&self) -> Option<(Resource, f64)> {
        Resource::ALL.into_iter().filter_map(|resource| Some((resource, self.by[resource.index()]?))).fold(
            None,
            |best: Option<(Resource, f64)>, (resource, x)| match best {
                Some((_, highest)) if highest >= x => best,
                _ => Some((resource, x)),
            },
        )
    }
}

// === impl Load ===

impl Load {
    /// What of this resource is in use, in the unit of its limit: a share, or drops per second.
    #[must_use]
    pub fn of(&self, resource: Resource, capacity: Capacity) -> Option<f64> {
        match resource {
            Resource::Bandwidth => self.egress_mbps.map(|mbps| mbps / capacity.mbps),
            Resource::SystemCpu => self.system_cpu,
            Resource::ProcessCpu => self.hottest.as_ref().map(|process| process.cores),
            Resource::Memory => self.memory,
            Resource::DiskBusy => self.busiest_disk.as_ref().map(|(_, busy)| *busy),
            Resource::DiskFull => self.fullest_disk.as_ref().map(|(_, used)| *used),
            Resource::UdpDrops => self.udp_drops_per_s,
        }
    }
}

/// The limit of one resource.
#[must_use]
pub fn limit(thresholds: &Thresholds, resource: Resource) -> f64 {
    match resource {
        Resource::Bandwidth => thresholds.bandwidth,
        Resource::SystemCpu => thresholds.system_cpu,
        Resource::ProcessCpu => thresholds.process_cpu,
        Resource::Memory => thresholds.memory,
        Resource::DiskBusy => thresholds.disk_busy,
        Resource::DiskFull => thresholds.disk_full,
        Resource::UdpDrops => thresholds.udp_drops_per_s,
    }
}

/// A disk may be busy all the time and serve well: its limit of 1.0, which it does reach, switches it off.
fn is_judged(thresholds: &Thresholds, resource: Resource) -> bool {
    resource != Resource::DiskBusy || thresholds.disk_busy < 1.0
}

/// The weight multiplies what viewers use; a full disk is full at any weight, and no weight makes a core
/// larger than it is.
fn weight(node: &Node, resource: Resource) -> f64 {
    match resource {
        Resource::Bandwidth => node.weight,
        Resource::SystemCpu | Resource::ProcessCpu => node.weight.min(1.0),
        Resource::Memory | Resource::DiskBusy | Resource::DiskFull | Resource::UdpDrops => 1.0,
    }
}

/// Why a resource is at or over its limit, in words an operator reads:
/// "process srs pid 812 at 0.86 of a core, limit 0.80".
#[must_use]
pub fn reason(resource: Resource, load: &Load, capacity: Capacity, node: &Node) -> String {
    let limit = limit(&node.thresholds, resource);
    let share = load.of(resource, capacity).unwrap_or(f64::NAN);
    match resource {
        Resource::Bandwidth => format!(
            "egress {:.0} Mbit/s is {share:.2} of {:.0} Mbit/s ({} capacity), limit {limit:.2}",
            load.egress_mbps.unwrap_or(f64::NAN),
            capacity.mbps,
            capacity.source.as_str(),
        ),
        Resource::SystemCpu => format!("system CPU at {share:.2} of all cores, limit {limit:.2}"),
        Resource::ProcessCpu => match &load.hottest {
            Some(process) => {
                let pid = process.pid.map(|pid| format!(" pid {pid}")).unwrap_or_default();
                let mean = match process.averaged_over {
                    0 | 1 => String::new(),
                    many => format!(" (mean of {many} processes)"),
                };
                format!("process {}{pid} at {share:.2} of a core{mean}, limit {limit:.2}", process.name)
            }
            None => String::new(),
        },
        Resource::Memory => format!("memory {share:.2} in use, limit {limit:.2}"),
        Resource::DiskBusy => {
            format!(
                "disk {} busy {share:.2} of the time, limit {limit:.2}",
                named(load.busiest_disk.as_ref())
            )
        }
        Resource::DiskFull => {
            format!("file system {} {share:.2} full, limit {limit:.2}", named(load.fullest_disk.as_ref()))
        }
        Resource::UdpDrops => format!("{share:.0} UDP datagrams dropped per second, limit {limit:.0}"),
    }
}

fn named(disk: Option<&(Box<str>, f64)>) -> &str {
    disk.map_or("?", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(disk_busy: f64) -> Node {
        Node {
            thresholds: Thresholds { disk_busy, ..Thresholds::default() },
            ..Node::new("sh-1", "edges", "shanghai")
        }
    }

    #[test]
    fn a_disk_limit_of_one_never_overloads() {
        let load = Load { busiest_disk: Some(("sda".into(), 1.0)), ..Load::default() };
        let capacity = Capacity { mbps: 1_000.0, source: CapacitySource::Assumed };
        let tightest = |disk_busy: f64| Pressure::of(&load, capacity, &node(disk_busy)).tightest();
        assert_eq!(tightest(1.0), None);
        assert!(tightest(0.95).is_some_and(|(resource, x)| resource == Resource::DiskBusy && x > 1.0));
    }
}
