//! Proven capacity: what a node has shown it can send, against what it is configured for.
//!
//! Wrong capacity is the commonest fault in the field, and bookings cannot see it: a node that can send half of what is
//! written is filled to twice what it can, and every viewer on it stalls. But it shows: what its viewers should
//! get is known (their streams' bitrates are seen elsewhere), and what it delivers is counted. The ratio
//! `ρ = delivered / expected` falls below 1 within one scrape.
//!
//! - *Alarm.* ρ below its noise, at once or summed up (`cusum`) → the node is capped at what it has proven. Without
//!   counts by stream the expectation is the node's own Mbit/s per client of before, and its noise is the mix of
//!   bitrates that those who came and left have changed.
//! - *Dropped.* It delivers less than it once proved → what it proved no longer counts.
//! - *Back-off.* The cap is lifted by 1 % per window after 30 minutes, three times longer after each strike.
//! - *Soft first fill.* No node is filled past 1.5 × the larger of what it has proven and half of what is
//!   configured: the overshoot before the first alarm is bounded.
//!
//! Players' stall reports can be forged, so they may only freeze growth: the worst a liar gets is a node that takes
//! no more viewers than it carries.

use super::reading::Moment;

/// Growth allowed over what is proven.
const GROWTH: f64 = 1.5;
/// Share of the configured capacity that needs no proof.
const TRUSTED_SHARE: f64 = 0.5;
/// First back-off after an alarm, ms; three times longer for each further strike.
const BACK_OFF_MS: u64 = 30 * 60 * 1_000;
/// Alarms closer together than this are one strike, ms.
const ONE_STRIKE_MS: u64 = 60_000;
/// How far below 1 the ratio lies by measurement alone.
const NOISE: f64 = 0.006;
/// Fewer clients say nothing about a ratio.
const FEW_CLIENTS: f64 = 30.0;
/// Deficit that shows by the node's own Mbit/s per client, if nobody came and nobody left.
const NODE_DEFICIT: f64 = 0.08;
/// Bitrates of viewers differ by so much, standard deviation over mean: phones and televisions watch together.
const MIX_SPREAD: f64 = 0.7;
/// How many standard deviations of the mix are still chance: a fleet makes thousands of windows an hour.
const MIX_SIGMAS: f64 = 4.0;
/// Memory of who came and left, per window: that of Mbit/s per client ([`super::traffic`]), squared.
const TURNOVER_KEEP: f64 = 0.81;
/// What a viewer needs is not learnt for so many intervals after a strike began, however often it alarms: if the
/// mix has changed for good, an alarm must not feed itself.
const FROZEN_INTERVALS: u64 = 12;

/// How the expected egress is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Client counts and bitrates of each stream: sees a deficit of 2 %.
    Streams,
    /// The node's own Mbit/s per client of before: the mix of streams moves with everybody who comes or leaves, so
    /// only 8 % is seen, and less on a small node with much coming and going.
    Node,
}

/// One window of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delivery {
    /// Egress, Mbit/s.
    pub rate_mbps: f64,
    /// What its clients should have got, Mbit/s.
    pub expected_mbps: f64,
    /// How that is known.
    pub grain: Grain,
    /// Clients, mean over the window.
    pub clients: f64,
    /// Clients that came in the window.
    pub arrived: f64,
    /// Clients that left in the window.
    pub departed: f64,
    /// Own answers of the window.
    pub own: f64,
    /// Stall reports since the last window.
    pub stalls: u32,
    /// Stall reports that so many viewers make anyway.
    pub stalls_expected: f64,
    /// When it ended.
    pub at: Moment,
    /// Scrape interval, ms.
    pub interval_ms: u64,
}

/// What is worth keeping of it over a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Record {
    /// Highest healthy rate, Mbit/s.
    pub proven_mbps: f64,
    /// Cap since an alarm, Mbit/s; `None`: none.
    pub capped_mbps: Option<f64>,
}

/// What a node has proven.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Proven {
    /// Highest healthy rate, Mbit/s.
    proven_mbps: f64,
    /// Cap since an alarm, Mbit/s; `None`: none.
    cap_mbps: Option<f64>,
    /// Some window could be judged. A node without a client counter can prove nothing and is not held to it.
    can_prove: bool,
    cusum: f64,
    /// Clients that came and left, fading.
    turnover: f64,
    strikes: u32,
    /// When the present or last strike began …
    struck_at: Option<Moment>,
    /// … and when it last alarmed.
    alarmed_at: Option<Moment>,
}

// === impl Proven ===

impl Proven {
    /// Takes over what was learnt before a restart. A cap begins its back-off anew: when it was last struck is not
    /// known, and too early costs viewers.
    pub fn recall(&mut self, record: Record, now: Moment) {
        self.proven_mbps = self.proven_mbps.max(record.proven_mbps);
        if let (Some(cap), None) = (record.capped_mbps, self.cap_mbps) {
            (self.cap_mbps, self.strikes, self.alarmed_at) = (Some(cap), self.strikes.max(1), Some(now));
        }
    }

    /// Takes in one window; `configured_mbps` is the node's capacity as configured. Returns whether it alarms.
    pub fn learn(&mut self, delivery: &Delivery, configured_mbps: f64) -> bool {
        self.can_prove = true;
        self.turnover = TURNOVER_KEEP * self.turnover + delivery.arrived + delivery.departed;
        let alarm = self.is_deficit(delivery, configured_mbps) || self.is_stalling(delivery);
        if alarm {
            self.alarm(delivery, configured_mbps);
        } else {
            self.healthy(delivery, configured_mbps);
        }
        alarm
    }

    /// Capacity to reckon with, Mbit/s: configured, capped by what is proven. `limit` is the bandwidth threshold.
    #[must_use]
    pub fn effective_mbps(&self, configured_mbps: f64, limit: f64) -> f64 {
        let capped = self.cap_mbps.map_or(configured_mbps, |cap| cap.min(configured_mbps));
        if !self.can_prove {
            return capped;
        }
        let soft = GROWTH * self.proven_mbps.max(TRUSTED_SHARE * configured_mbps) / limit;
        capped.min(soft)
    }

    /// The cap since an alarm, Mbit/s.
    #[must_use]
    pub fn cap_mbps(&self) -> Option<f64> {
        self.cap_mbps
    }

    /// Highest healthy rate, Mbit/s.
    #[must_use]
    pub fn proven_mbps(&self) -> f64 {
        self.proven_mbps
    }

    /// Whether what a viewer needs must not be learnt from this node now.
    #[must_use]
    pub fn is_suspected(&self, now: Moment, interval_ms: u64) -> bool {
        let within = |at: Option<Moment>, intervals: u64| {
            at.is_some_and(|at| now.since_ms(at) < intervals.saturating_mul(interval_ms))
        };
        within(self.alarmed_at, 3) && within(self.struck_at, FROZEN_INTERVALS)
    }

    fn is_deficit(&mut self, delivery: &Delivery, configured_mbps: f64) -> bool {
        let enough = delivery.clients > FEW_CLIENTS
            && delivery.rate_mbps > 0.05 * configured_mbps
            && delivery.expected_mbps > 0.0;
        if !enough {
            return false;
        }
        let ratio = delivery.rate_mbps / delivery.expected_mbps;
        if delivery.grain == Grain::Node {
            let mix = MIX_SPREAD * self.turnover.sqrt() / delivery.clients;
            return ratio < 1.0 - f64::max(NODE_DEFICIT, MIX_SIGMAS * mix);
        }
        // Arrivals within the window make the expectation uncertain; own answers tell when they came.
        let ramp = 0.29 * (delivery.arrived / delivery.clients) / (delivery.own + 1.0).sqrt();
        let noise = NOISE.hypot(ramp);
        self.cusum = (0.6 * self.cusum + (1.0 - ratio - NOISE).max(-0.02)).max(0.0);
        let below = ratio < 0.99 - 1.5 * noise.min(0.02);
        below && (ratio < 1.0 - f64::max(0.02, 3.5 * noise) || self.cusum > f64::max(0.03, 3.0 * noise))
    }

    fn is_stalling(&self, delivery: &Delivery) -> bool {
        f64::from(delivery.stalls) >= 3.0 + 3.0 * delivery.stalls_expected
    }

    fn alarm(&mut self, delivery: &Delivery, configured_mbps: f64) {
        let ratio = delivery.rate_mbps / delivery.expected_mbps.max(f64::MIN_POSITIVE);
        let again = self.alarmed_at.is_some_and(|at| {
            delivery.at.since_ms(at).saturating_mul(10) <= delivery.interval_ms.saturating_mul(22)
        });
        if delivery.rate_mbps < 0.97 * self.proven_mbps && (ratio < 0.95 || (ratio < 0.98 && again)) {
            self.proven_mbps = delivery.rate_mbps;
        }
        let cap = self.cap_mbps.unwrap_or(configured_mbps);
        self.cap_mbps = Some(cap.min(delivery.rate_mbps.max(self.proven_mbps)));
        if self.alarmed_at.is_none_or(|at| delivery.at.since_ms(at) > ONE_STRIKE_MS) {
            self.strikes = self.strikes.saturating_add(1);
            self.struck_at = Some(delivery.at);
        }
        self.alarmed_at = Some(delivery.at);
    }

    fn healthy(&mut self, delivery: &Delivery, configured_mbps: f64) {
        self.proven_mbps = self.proven_mbps.max(delivery.rate_mbps);
        let (Some(cap), Some(alarmed_at)) = (self.cap_mbps, self.alarmed_at) else { return };
        let cap = cap.max(self.proven_mbps);
        let back_off = BACK_OFF_MS.saturating_mul(3u64.saturating_pow(self.strikes.saturating_sub(1)));
        let probing = delivery.at.since_ms(alarmed_at) > back_off && delivery.rate_mbps > 0.7 * cap;
        let cap = if probing { cap * 1.01 } else { cap };
        self.cap_mbps = Some(cap).filter(|cap| *cap < configured_mbps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::traffic::{Flow, Traffic};

    fn window(rate: f64, expected: f64, at_s: u64) -> Delivery {
        Delivery {
            rate_mbps: rate,
            expected_mbps: expected,
            grain: Grain::Streams,
            clients: 300.0,
            arrived: 3.0,
            departed: 3.0,
            own: 3.0,
            stalls: 0,
            stalls_expected: 0.0,
            at: Moment(at_s * 1_000),
            interval_ms: 10_000,
        }
    }

    #[test]
    fn a_node_that_delivers_what_is_expected_keeps_its_capacity() {
        let mut proven = Proven::default();
        for i in 0..100 {
            assert!(!proven.learn(&window(700.0, 702.0, i * 10), 1_000.0));
        }
        assert_eq!((proven.cap_mbps(), proven.proven_mbps()), (None, 700.0));
    }

    #[test]
    fn a_deficit_caps_the_node_within_one_window() {
        let mut proven = Proven::default();
        assert!(proven.learn(&window(500.0, 700.0, 10), 1_000.0));
        assert_eq!(proven.cap_mbps(), Some(500.0));
        assert!((proven.effective_mbps(1_000.0, 0.8) - 500.0).abs() < 1e-9);
    }

    #[test]
    fn a_small_deficit_is_seen_when_it_lasts() {
        let mut proven = Proven::default();
        let alarms: Vec<bool> =
            (0..6).map(|i| proven.learn(&window(979.5, 1_000.0, i * 10), 2_000.0)).collect();
        assert!(!alarms[0] && alarms.contains(&true), "{alarms:?}");
    }

    #[test]
    fn a_capacity_that_dropped_in_service_takes_back_what_was_proven() {
        let mut proven = Proven::default();
        proven.learn(&window(800.0, 800.0, 10), 1_000.0);
        proven.learn(&window(400.0, 790.0, 20), 1_000.0);
        assert_eq!((proven.proven_mbps(), proven.cap_mbps()), (400.0, Some(400.0)));
    }

    #[test]
    fn a_cold_node_is_not_filled_past_one_and_a_half_of_half_its_capacity() {
        let mut proven = Proven::default();
        assert!(
            (proven.effective_mbps(1_000.0, 0.8) - 1_000.0).abs() < 1e-9,
            "no client counter, no proof asked for"
        );
        proven.learn(&window(100.0, 100.0, 10), 1_000.0);
        assert!(
            (proven.effective_mbps(1_000.0, 0.8) - 937.5).abs() < 1e-9,
            "750 Mbit/s under a limit of 0.8"
        );
    }

    #[test]
    fn what_was_proven_before_a_restart_needs_no_second_proof_and_a_cap_holds_on() {
        let mut proven = Proven::default();
        proven.recall(Record { proven_mbps: 780.0, capped_mbps: Some(800.0) }, Moment(0));
        proven.learn(&window(100.0, 100.0, 10), 1_000.0);
        assert!((proven.effective_mbps(1_000.0, 0.8) - 800.0).abs() < 1e-9);
        proven.learn(&window(600.0, 600.0, 1_700), 1_000.0);
        assert_eq!(proven.cap_mbps(), Some(800.0), "the back-off has begun anew");
        proven.learn(&window(600.0, 600.0, 1_900), 1_000.0);
        assert_eq!(proven.cap_mbps(), Some(808.0));
    }

    #[test]
    fn stall_reports_freeze_growth_and_never_cut() {
        let mut proven = Proven::default();
        proven.learn(&window(600.0, 600.0, 10), 1_000.0);
        assert!(proven.learn(&Delivery { stalls: 1_000, ..window(500.0, 500.0, 20) }, 1_000.0));
        assert_eq!(proven.cap_mbps(), Some(600.0), "what it has proven, whatever is reported");
    }

    #[test]
    fn the_cap_is_probed_only_after_the_back_off() {
        let mut proven = Proven::default();
        proven.learn(&window(500.0, 700.0, 0), 1_000.0);
        proven.learn(&window(480.0, 480.0, 1_700), 1_000.0);
        assert_eq!(proven.cap_mbps(), Some(500.0));
        proven.learn(&window(480.0, 480.0, 1_900), 1_000.0);
        assert_eq!(proven.cap_mbps(), Some(505.0));
    }

    /// A small node whose viewers, of 1 to 8 Mbit/s, stay for some windows: `came` come in each, as many leave.
    fn mixed(clients: usize, came: usize, windows: u64) -> u32 {
        const BITRATES: [f64; 6] = [1.0, 1.5, 2.5, 3.0, 4.0, 8.0];
        let mut seed = 1_u64;
        let mut draw = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        let mut viewers: Vec<f64> = (0..clients).map(|_| BITRATES[draw(6)]).collect();
        let (mut proven, mut traffic) = (Proven::default(), Traffic::default());
        let mut alarms = 0;
        for i in 1..=windows {
            for _ in 0..came {
                viewers[draw(clients)] = BITRATES[draw(6)];
            }
            let (rate_mbps, clients, came) = (viewers.iter().sum(), clients as f64, came as f64);
            let delivery = Delivery {
                grain: Grain::Node,
                clients,
                arrived: came,
                departed: came,
                ..window(rate_mbps, clients * traffic.mbps_per_client(), i * 10)
            };
            let alarm = proven.learn(&delivery, 2.0 * clients);
            alarms += u32::from(alarm);
            let flow = Flow {
                rate_mbps,
                clients_before: clients,
                clients_now: clients,
                connected: came,
                seconds: 10.0,
                coarse: false,
            };
            traffic.learn(&flow, alarm || proven.is_suspected(Moment(i * 10_000), 10_000));
        }
        alarms
    }

    #[test]
    fn a_mix_of_bitrates_that_changes_is_not_taken_for_a_deficit() {
        for (clients, came) in [(35, 1), (40, 4), (60, 3), (100, 5), (300, 10), (300, 100), (1_000, 20)] {
            assert_eq!(mixed(clients, came, 5_000), 0, "{clients} clients, {came} come and leave");
        }
    }

    #[test]
    fn a_large_node_that_sends_a_tenth_too_little_is_capped_without_stream_counts() {
        let mut proven = Proven::default();
        let node = |rate: f64, at_s: u64| Delivery { grain: Grain::Node, ..window(rate, 900.0, at_s) };
        assert!(!proven.learn(&node(890.0, 10), 2_000.0));
        assert!(proven.learn(&node(810.0, 20), 2_000.0));
        assert_eq!(proven.cap_mbps(), Some(810.0));
    }

    #[test]
    fn what_a_viewer_needs_is_learnt_again_however_long_it_alarms() {
        let mut proven = Proven::default();
        let starving = |at_s: u64| Delivery { grain: Grain::Node, ..window(500.0, 900.0, at_s) };
        let suspected: Vec<bool> = (1..=20)
            .map(|i| {
                assert!(proven.learn(&starving(i * 10), 2_000.0));
                proven.is_suspected(Moment(i * 10_000), 10_000)
            })
            .collect();
        assert_eq!(suspected.iter().filter(|frozen| **frozen).count(), 12);
        assert!(!suspected[12..].contains(&true));
    }
}
