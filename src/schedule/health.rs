//! Health: what state a node is in, and since when.
//!
//! A state is told, never guessed: each has one rule.
//! - `down`: nobody answers — every target was silent (refused, reset, timed out) on two probes in a row, or the
//!   media server's own exporter was. A page that comes but is broken is not down: it goes stale in time.
//! - `stale`: the oldest part of its evidence is older than six intervals, or it has given none for so long.
//! - `starting`: no window yet. `unmeasured`: no exporter is configured.
//! - `draining`: an operator said so, whatever the evidence says, until its time is up or somebody takes it back.
//! - `overloaded`: pressure reached 1, and has not come below 0.9 since. For people; decisions use the pressure.

mod drain;

use super::reading::Moment;

pub use self::drain::Drain;

/// Silent probes in a row that make a target dead.
pub const DEAD_AFTER: u32 = 2;
/// A silent probe that a player's failure gave rise to is confirmed by a second one so soon after, ms: the player is a
/// witness already, and until the second probe others are sent to a node that may be dead.
pub const CONFIRM_AFTER_MS: u64 = 250;
/// Intervals without a good sample after which evidence is stale.
pub const STALE_AFTER_INTERVALS: u64 = 6;
/// Displayed `overloaded` comes on at this pressure …
pub const OVERLOADED_ON: f64 = 1.0;
/// … and goes off below this one.
pub const OVERLOADED_OFF: f64 = 0.9;
/// If more than this share of the fleet is stale, the fault is ours and the rule is off.
pub const STALE_FLEET_SHARE: f64 = 0.5;

/// A node that joins or comes back is filled up over this time, s …
pub const RAMP_S: f64 = 60.0;
/// … from this share of its limits.
pub const RAMP_FROM: f64 = 0.25;

/// The state of a node, as shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NodeState {
    /// No rate has been measured yet.
    #[default]
    Starting,
    /// Measured and below its limits.
    Healthy,
    /// At or over a limit (with hysteresis).
    Overloaded,
    /// Its samples are too old.
    Stale,
    /// Nobody answers.
    Down,
    /// Taken out, or leaving.
    Draining,
    /// Has no exporter.
    Unmeasured,
}

/// The displayed overload flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverloadFlag {
    on: bool,
}

/// How probing one target goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// Silent probes in a row.
    pub silent: u32,
    /// Failed probes of any kind in a row.
    pub failed: u32,
    /// Last good page.
    pub good_at: Option<Moment>,
}

// === impl NodeState ===

impl NodeState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Starting,
        Self::Healthy,
        Self::Overloaded,
        Self::Stale,
        Self::Down,
        Self::Draining,
        Self::Unmeasured,
    ];

    /// The word used in answers and as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Overloaded => "overloaded",
            Self::Stale => "stale",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Unmeasured => "unmeasured",
        }
    }
}

// === impl OverloadFlag ===

impl OverloadFlag {
    /// Takes in a pressure and returns the flag.
    pub fn observe(&mut self, pressure: f64) -> bool {
        self.on = pressure >= if self.on { OVERLOADED_OFF } else { OVERLOADED_ON };
        self.on
    }

    /// The flag as it stands.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.on
    }
}

// === impl Probes ===

impl Probes {
    /// A page came and could be read.
    pub fn good(&mut self, at: Moment) {
        *self = Self { silent: 0, failed: 0, good_at: Some(at) };
    }

    /// A probe failed; `silence`: nobody answered at all.
    pub fn bad(&mut self, silence: bool) {
        self.failed = self.failed.saturating_add(1);
        self.silent = if silence { self.silent.saturating_add(1) } else { 0 };
    }

    /// Whether nobody answers here any more.
    #[must_use]
    pub fn is_dead(self) -> bool {
        self.silent >= DEAD_AFTER
    }
}

/// Whether evidence from `evidence` is stale at `now`.
#[must_use]
pub fn is_stale(evidence: Moment, now: Moment, interval_ms: u64) -> bool {
    now.since_ms(evidence) > STALE_AFTER_INTERVALS * interval_ms
}

/// Share of a node's limits that is open `since_s` after it joined: 0.2 of 0.8 at once, all of it after a minute
/// (Envoy's slow start, linear). A cold server is slower than a warm one, and a broken one shows in that time.
#[must_use]
pub fn ramp(since_s: f64) -> f64 {
    (RAMP_FROM + (1.0 - RAMP_FROM) * since_s / RAMP_S).clamp(RAMP_FROM, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overload_flag_comes_on_at_one_and_goes_off_below_nine_tenths() {
        let mut flag = OverloadFlag::default();
        let seen: Vec<bool> = [0.95, 1.0, 0.95, 0.9, 0.89, 0.95, 1.2].map(|x| flag.observe(x)).to_vec();
        assert_eq!(seen, [false, true, true, true, false, false, true]);
    }

    #[test]
    fn one_refusal_is_not_death_and_a_broken_page_is_never() {
        let mut probes = Probes::default();
        probes.bad(true);
        assert!(!probes.is_dead());
        probes.bad(false);
        probes.bad(true);
        assert!(!probes.is_dead(), "a broken page in between shows that somebody answers");
        probes.bad(true);
        assert!(probes.is_dead());
        probes.good(Moment(5));
        assert!(!probes.is_dead());
    }
}
