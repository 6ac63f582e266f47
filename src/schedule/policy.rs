//! Policies: which of the fitting nodes is chosen. One file, one struct, one sentence each.
//!
//! A policy only ranks: which nodes fit, what is booked and which fallbacks follow is decided outside
//! ([`super::decide`]), the same for all of them.

mod hash;
mod least_load;
mod nearest;
mod plain;
mod priced;
mod random;
mod round_robin;

use super::scene::{Picks, Scene};

pub use self::hash::Hash;
pub use self::least_load::LeastLoad;
pub use self::nearest::Nearest;
pub use self::plain::Plain;
pub use self::priced::Priced;
pub use self::random::Random;
pub use self::round_robin::RoundRobin;

/// The policies there are, by the word used in configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PolicyKind {
    /// Distance, congestion price and stream affinity, all in km.
    #[default]
    Priced,
    /// The nearest node with pressure below 1.
    Nearest,
    /// The least pressed node, wherever it stands.
    LeastLoad,
    /// Nodes in turn.
    RoundRobin,
    /// Any node, by chance in proportion to capacity.
    Random,
    /// The node that the stream sticks to, wherever it stands.
    Hash,
}

/// A way to choose.
pub trait Policy {
    /// Appends nodes that fit to `picks`, best first: at least the best one, at most as many as were asked for.
    /// Appends nothing if and only if no node of the pool fits.
    fn rank(&self, scene: &Scene<'_>, picks: &mut Picks);
}

/// Ranks by the policy asked for. Where the client has no place there is no nearest: it is spread by capacity.
/// Returns how much farther prices took the first node, km, where somebody minds.
pub fn rank(scene: &Scene<'_>, picks: &mut Picks) -> Option<f32> {
    match scene.ask.policy {
        PolicyKind::Priced if scene.client_is_known() => return Priced.rank_with_detour(scene, picks),
        PolicyKind::Hash => Hash.rank(scene, picks),
        PolicyKind::Nearest if scene.client_is_known() => Nearest.rank(scene, picks),
        PolicyKind::LeastLoad => LeastLoad.rank(scene, picks),
        PolicyKind::RoundRobin => RoundRobin.rank(scene, picks),
        PolicyKind::Priced | PolicyKind::Nearest | PolicyKind::Random => Random.rank(scene, picks),
    }
    None
}

// === impl PolicyKind ===

impl PolicyKind {
    /// All policies, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Priced, Self::Nearest, Self::LeastLoad, Self::RoundRobin, Self::Random, Self::Hash];

    /// The word used in configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Priced => "priced",
            Self::Nearest => "nearest",
            Self::LeastLoad => "least_load",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::Hash => "hash",
        }
    }

    /// Whether the policy looks at distance, so that `nearest` and `spilled` mean something.
    #[must_use]
    pub fn minds_distance(self) -> bool {
        matches!(self, Self::Priced | Self::Nearest)
    }
}

impl std::str::FromStr for PolicyKind {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(())
    }
}
