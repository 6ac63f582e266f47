//! `[thresholds]`, `thresholds = {…}` of a pool and of a node: layers, each saying only what it changes.

use toml::Spanned;

use crate::config::raw::Section;
use crate::config::values::{positive, share};
use crate::schedule::thresholds::Thresholds;

/// Most UDP drops per second anyone could mean.
const MOST_UDP_DROPS: f64 = 1e6;

/// The limits one table sets; `None`: left to the layer below.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Layer {
    system_cpu: Option<f64>,
    process_cpu: Option<f64>,
    bandwidth: Option<f64>,
    memory: Option<f64>,
    disk_busy: Option<f64>,
    disk_full: Option<f64>,
    udp_drops_per_s: Option<f64>,
}

pub(super) fn read(section: &mut Section<'_>) -> Layer {
    let mut limit = |key| section.get(key, share).map(Spanned::into_inner);
    let layer = Layer {
        system_cpu: limit("system_cpu"),
        process_cpu: limit("process_cpu"),
        bandwidth: limit("bandwidth"),
        memory: limit("memory"),
        disk_busy: limit("disk_busy"),
        disk_full: limit("disk_full"),
        udp_drops_per_s: None,
    };
    let drops = section.get("udp_drops_per_s", positive(MOST_UDP_DROPS)).map(Spanned::into_inner);
    Layer { udp_drops_per_s: drops, ..layer }
}

// === impl Layer ===

impl Layer {
    /// This layer laid over `below`: what it sets counts, the rest shows through.
    pub(super) fn over(&self, below: Thresholds) -> Thresholds {
        Thresholds {
            system_cpu: self.system_cpu.unwrap_or(below.system_cpu),
            process_cpu: self.process_cpu.unwrap_or(below.process_cpu),
            bandwidth: self.bandwidth.unwrap_or(below.bandwidth),
            memory: self.memory.unwrap_or(below.memory),
            disk_busy: self.disk_busy.unwrap_or(below.disk_busy),
            disk_full: self.disk_full.unwrap_or(below.disk_full),
            udp_drops_per_s: self.udp_drops_per_s.unwrap_or(below.udp_drops_per_s),
        }
    }
}
