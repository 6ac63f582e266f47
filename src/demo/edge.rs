//! One emulated edge: viewers come and go, and its counters move as a real machine's would.
//!
//! All sums are whole numbers — bits, and nanoseconds of CPU time — so an interval that is advanced in one step
//! or in a thousand ends on exactly the same counters. That is what lets a test (and a visitor with a
//! calculator) check the scheduler's rates against the truth.
//!
//! The machine: egress is what viewers ask for, up to the link. The media server is one process and burns CPU
//! in proportion to egress, never more than one core; the kernel takes 30 % on top; a little noise makes the
//! pages look alive. [`Edge::force_cpu`] stands for a neighbour that hogs the machine.

use super::random::mix;

/// One core for one second, in the unit of CPU sums. A micro-core for one millisecond is one nanosecond.
const MICRO_CORES: u64 = 1_000_000;

/// What the system needs when nobody watches: 2 % of every core.
const IDLE_SYSTEM: u64 = MICRO_CORES / 50;

/// The most that noise adds, per core.
const NOISE: u64 = MICRO_CORES / 100;

/// Waiting for the log disk, on the whole machine.
const IOWAIT: u64 = 2_000;

/// What a machine is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hardware {
    /// Logical CPUs.
    pub(super) cores: u32,
    /// Link speed, Mbit/s.
    pub(super) bandwidth_mbps: u32,
    /// Micro-cores the media process uses when the link is full. Over 1,000,000 the process is the bottleneck.
    pub(super) process_when_full: u64,
}

/// Everything that only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Bits sent to viewers.
    pub(super) sent_bits: u64,
    /// CPU time in use on all cores, ns.
    pub(super) busy_ns: u64,
    /// CPU time waiting for the disk on all cores, ns.
    pub(super) iowait_ns: u64,
    /// CPU time of the media process, ns.
    pub(super) process_ns: u64,
    /// Viewers ever connected.
    pub(super) connections: u64,
}

/// An edge and its viewers.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    hardware: Hardware,
    seed: u64,
    /// When [`Edge::advance`] was last called.
    now_ms: u64,
    /// When its counters began.
    began_ms: u64,
    counters: Counters,
    viewers: u32,
    /// Σ of the viewers' bitrates.
    demand_kbps: u64,
    /// Least use of the whole machine, micro-cores; 0: as its viewers have it.
    forced: u64,
}

// === impl Hardware ===

impl Hardware {
    /// Link speed, kbit/s.
    fn link_kbps(self) -> u64 {
        u64::from(self.bandwidth_mbps) * 1_000
    }

    /// All cores, micro-cores.
    fn micro_cores(self) -> u64 {
        u64::from(self.cores) * MICRO_CORES
    }
}

// === impl Edge ===

impl Edge {
    /// A machine without viewers whose counters begin now.
    pub(super) fn new(hardware: Hardware, seed: u64, now_ms: u64) -> Self {
        Self {
            hardware,
            seed,
            now_ms,
            began_ms: now_ms,
            counters: Counters::default(),
            viewers: 0,
            demand_kbps: 0,
            forced: 0,
        }
    }

    /// A viewer connects.
    pub(super) fn attach(&mut self, now_ms: u64, kbps: u32) {
        self.advance(now_ms);
        self.viewers += 1;
        self.counters.connections += 1;
        self.demand_kbps += u64::from(kbps);
    }

    /// A viewer of that bitrate leaves.
    pub(super) fn detach(&mut self, now_ms: u64, kbps: u32) {
        self.advance(now_ms);
        self.viewers = self.viewers.saturating_sub(1);
        self.demand_kbps = self.demand_kbps.saturating_sub(u64::from(kbps));
    }

    /// Makes at least this share of the machine busy, 0…1, until told otherwise. 0 gives it back.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the share is clamped to 0…1 and machines have few cores"
    )]
    pub(super) fn force_cpu(&mut self, now_ms: u64, share: f64) {
        self.advance(now_ms);
        self.forced = (share.clamp(0.0, 1.0) * self.hardware.micro_cores() as f64) as u64;
    }

    /// Lets time pass. A moment in the past changes nothing.
    pub(super) fn advance(&mut self, now_ms: u64) {
        while self.now_ms < now_ms {
            // Noise changes at every full second, so no step may cross one.
            let second_ends = (self.now_ms / 1_000 + 1) * 1_000;
            let until = second_ends.min(now_ms);
            let passed_ms = until - self.now_ms;
            self.counters.sent_bits += self.egress_kbps() * passed_ms;
            self.counters.busy_ns += self.busy_micro_cores() * passed_ms;
            self.counters.iowait_ns += IOWAIT * passed_ms;
            self.counters.process_ns += self.process_micro_cores() * passed_ms;
            self.now_ms = until;
        }
    }

    /// Traffic to viewers now, kbit/s.
    pub(super) fn egress_kbps(&self) -> u64 {
        self.demand_kbps.min(self.hardware.link_kbps())
    }

    /// CPU of the media process now, micro-cores.
    pub(super) fn process_micro_cores(&self) -> u64 {
        let share = self.hardware.process_when_full * self.egress_kbps() / self.hardware.link_kbps().max(1);
        // A single-threaded server cannot use more than one core.
        (share + IDLE_SYSTEM / 10).min(MICRO_CORES)
    }

    /// CPU in use on the whole machine now, micro-cores.
    pub(super) fn busy_micro_cores(&self) -> u64 {
        let cores = u64::from(self.hardware.cores);
        let process = self.process_micro_cores();
        let noise = mix(self.seed ^ (self.now_ms / 1_000)) % (cores * NOISE + 1);
        let busy = cores * IDLE_SYSTEM + process + process * 3 / 10 + noise;
        busy.max(self.forced).min(self.hardware.micro_cores().saturating_sub(IOWAIT))
    }

    /// The tightest of link, machine and media process against the limits every pool starts with (80 % each):
    /// what a scheduler that measures well should find.
    #[expect(clippy::cast_precision_loss, reason = "all far below 2^52")]
    pub(super) fn pressure(&self) -> f64 {
        let link = self.egress_kbps() as f64 / self.hardware.link_kbps().max(1) as f64;
        let machine = self.busy_micro_cores() as f64 / self.hardware.micro_cores().max(1) as f64;
        let process = self.process_micro_cores() as f64 / MICRO_CORES as f64;
        link.max(machine).max(process) / 0.80
    }

    /// What only grows.
    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// Who watches now.
    pub(super) fn viewers(&self) -> u32 {
        self.viewers
    }

    /// What it is made of.
    pub(super) fn hardware(&self) -> Hardware {
        self.hardware
    }

    /// Milliseconds since its counters began.
    pub(super) fn age_ms(&self) -> u64 {
        self.now_ms - self.began_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge() -> Edge {
        Edge::new(Hardware { cores: 4, bandwidth_mbps: 100, process_when_full: 800_000 }, 1, 5_000)
    }

    #[test]
    fn counters_are_exact_over_viewers_coming_and_going() {
        let mut edge = edge();
        edge.attach(5_000, 3_000);
        edge.attach(7_000, 8_000);
        edge.detach(10_000, 3_000);
        edge.advance(11_500);
        // 3 Mbit/s for 2 s, 11 for 3 s, 8 for 1.5 s.
        let bits = 3_000 * 2_000 + 11_000 * 3_000 + 8_000 * 1_500;
        assert_eq!(edge.counters().sent_bits, bits);
        assert_eq!(edge.counters().connections, 2);
        assert_eq!((edge.viewers(), edge.egress_kbps(), edge.age_ms()), (1, 8_000, 6_500));
        // The process: 0.8 cores × share of the link, and 0.002 of its own.
        let own = 2_000 * 6_500;
        assert_eq!(edge.counters().process_ns, bits * 800_000 / 100_000 + own);
    }

    #[test]
    fn one_long_step_and_many_short_ones_end_alike() {
        let (mut once, mut often) = (edge(), edge());
        for edge in [&mut once, &mut often] {
            edge.attach(5_000, 4_321);
        }
        once.advance(65_000);
        for now_ms in 5_000..=65_000 {
            often.advance(now_ms);
        }
        assert_eq!(once.counters(), often.counters());
    }

    #[test]
    fn a_full_link_carries_no_more() {
        let mut edge = edge();
        for _ in 0..30 {
            edge.attach(5_000, 8_000);
        }
        edge.advance(6_000);
        assert_eq!(edge.counters().sent_bits, 100_000_000);
        assert!(edge.pressure() >= 1.25);
        edge.detach(6_000, 8_000);
        assert_eq!(edge.egress_kbps(), 100_000, "29 viewers still fill it");
    }

    #[test]
    fn a_hogged_machine_is_overloaded_until_it_is_given_back() {
        let mut edge = edge();
        assert!(edge.pressure() < 0.1);
        edge.force_cpu(5_000, 0.95);
        edge.advance(15_000);
        assert_eq!(edge.counters().busy_ns, 38_000_000_000);
        assert!((edge.pressure() - 0.95 / 0.80).abs() < 1e-9);
        edge.force_cpu(15_000, 0.0);
        assert!(edge.pressure() < 0.1);
    }

    #[test]
    fn time_never_runs_back() {
        let mut edge = edge();
        edge.advance(9_000);
        let before = edge.counters();
        edge.advance(8_000);
        assert_eq!(edge.counters(), before);
    }
}
