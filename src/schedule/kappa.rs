//! κ: viewers that really arrive per own booking.
//!
//! Replicas share nothing, so each sees only its own answers. But every exporter counts **all** connections. Their
//! ratio over the fleet, κ = connections ÷ own answers, stands for the other replicas, for viewers who never
//! connect, and for whatever else comes past: each own booking counts κ times.
//!
//! - *Aligned windows.* An answer is counted when it is given, a connection δ later. In a ramp own answers run
//!   ahead and κ would sink exactly when it must not. So answers still connecting are held back:
//!   `own_aligned = own + in_flight_before − in_flight_now`.
//! - *Only where it can be read.* Answers to nodes without a client counter say nothing; counting them would halve
//!   κ in a fleet where half the nodes have none (123 overloaded node-minutes instead of 0.9).
//! - *Two memories*, 3 and 30 rounds of the fleet; the larger counts, because too small a κ overloads and too
//!   large a one only walks a little farther.
//! - *Two weights of the prior*: few answers lift κ, many are needed to sink it. When in a window viewers came is
//!   known to half a second at best, and in the first second of a crowd that is most of them.
//! - *Clamped*: at most twice the configured replicas, else 64; never under ½ (pollers would push it there).

mod fronts;

use self::fronts::Fronts;

/// Rounds of the fleet that the fast memory holds.
const FAST_ROUNDS: f64 = 3.0;
/// Rounds of the fleet that the slow memory holds.
const SLOW_ROUNDS: f64 = 30.0;
/// Weight of the prior, in answers: some answers must be seen before they outweigh what was configured.
const PRIOR_ANSWERS: f64 = 5.0;
/// The same before they may say that fewer come than was configured, in answers for each node.
const PRIOR_ANSWERS_PER_NODE: f64 = 10.0;
/// Lowest κ.
const LEAST: f64 = 0.5;
/// Highest κ where replicas are not configured.
const MOST: f64 = 64.0;

/// The learner. One per replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kappa {
    prior: f64,
    most: f64,
    fast: Memory,
    slow: Memory,
    fronts: Fronts,
    /// Nodes that have a client counter.
    nodes: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Memory {
    seen: f64,
    own: f64,
    shared: f64,
}

/// Own answers of a window, as far as its connections can have come of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answered {
    /// To viewers who asked for themselves.
    pub own: f64,
    /// Viewers taken to stand behind shared ones.
    pub shared: f64,
}

// === impl Answered ===

impl Answered {
    /// So many answers, of which this part is shared.
    #[must_use]
    pub fn of(answers: f64, shared_part: f64) -> Self {
        Self { own: answers * (1.0 - shared_part), shared: answers * shared_part }
    }
}

// === impl Kappa ===

impl Kappa {
    /// A learner that begins at the configured number of replicas, else at 1.
    #[must_use]
    pub fn new(replicas: Option<u32>) -> Self {
        let prior = f64::from(replicas.unwrap_or(1));
        let most = replicas.map_or(MOST, |replicas| 2.0 * f64::from(replicas));
        let (memory, fronts) = (Memory::default(), Fronts::default());
        Self { prior, most, fast: memory, slow: memory, fronts, nodes: 1.0 }
    }

    /// Takes in one window of one node whose client counter was read: `connected` clients came, and those of our
    /// answers should be among them. `nodes` is how many nodes of the fleet have such a counter.
    pub fn learn(&mut self, connected: f64, answered: Answered, nodes: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a fleet is below 2^52 nodes")]
        let nodes = nodes.max(1) as f64;
        self.nodes = nodes;
        for (memory, rounds) in [(&mut self.fast, FAST_ROUNDS), (&mut self.slow, SLOW_ROUNDS)] {
            let keep = (-1.0 / (rounds * nodes)).exp();
            memory.seen = memory.seen * keep + connected;
            memory.own = memory.own * keep + answered.own;
            memory.shared = memory.shared * keep + answered.shared;
        }
        self.fronts.learn(connected, answered.own, answered.shared, nodes);
    }

    /// How much more a viewer counts that is taken to stand behind an answer by DNS.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.fronts.factor(self.prior)
    }

    /// κ in force.
    #[must_use]
    pub fn value(&self) -> f64 {
        let factor = if self.slow.shared > 0.0 { self.factor() } else { 0.0 };
        let of = |memory: &Memory, prior: f64| {
            (memory.seen + prior * self.prior) / (memory.own + factor * memory.shared + prior)
        };
        let larger = of(&self.fast, PRIOR_ANSWERS).max(of(&self.slow, PRIOR_ANSWERS));
        larger.max(of(&self.slow, PRIOR_ANSWERS_PER_NODE * self.nodes)).clamp(LEAST, self.most)
    }

    /// Whether κ lies outside half to twice the configured replicas: something is not as configured.
    #[must_use]
    pub fn is_alarming(&self, replicas: Option<u32>) -> bool {
        replicas.is_some_and(|replicas| {
            let replicas = f64::from(replicas);
            !(0.5 * replicas..2.0 * replicas).contains(&self.value())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// κ after some rounds in which each of 10 nodes gave `own` answers and saw `connected` clients.
    fn after(rounds: u32, connected: f64, own: f64) -> f64 {
        let mut kappa = Kappa::new(None);
        for _ in 0..rounds * 10 {
            kappa.learn(connected, Answered { own, shared: 0.0 }, 10);
        }
        kappa.value()
    }

    #[test]
    fn other_replicas_are_learnt_within_a_few_rounds() {
        let learnt = after(3, 12.0, 3.0);
        assert!((3.5..4.0).contains(&learnt), "four replicas: {learnt}");
    }

    #[test]
    fn the_first_second_of_a_crowd_does_not_sink_it() {
        let early = after(1, 2.0, 4.0);
        assert!(early > 0.8, "half of the viewers are still connecting: {early}");
    }

    #[test]
    fn viewers_that_never_come_sink_it_in_the_end() {
        let learnt = after(30, 3.0, 6.0);
        assert!((0.5..0.6).contains(&learnt), "half of the answers lead nowhere: {learnt}");
    }

    #[test]
    fn it_stays_where_it_begins_without_evidence_and_within_its_bounds() {
        assert!((Kappa::new(Some(3)).value() - 3.0).abs() < 1e-9);
        assert!(after(30, 1_000.0, 1.0) <= MOST);
        assert!(after(30, 0.0, 100.0) >= LEAST);
    }
}
