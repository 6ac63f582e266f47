//! What a viewer is taken to need: as asked, else as its stream was measured, else as nine in ten streams need.

use super::Question;
use crate::schedule::affinity;
use crate::state::bitrates::Bitrates;

/// Who says what a viewer needs. A closed set: explanations name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitrateFrom {
    /// The question.
    Asked,
    /// The stream as measured on the nodes that have it.
    Stream,
    /// The streams that are known: nine in ten need no more.
    P90,
    /// The configuration.
    Default,
}

/// A viewer's need and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// kbit/s.
    pub(super) kbps: u32,
    pub(super) from: BitrateFrom,
}

// === impl Need ===

impl Need {
    /// The need behind a question, by the best that is known.
    pub(super) fn of(question: &Question<'_>, known: &Bitrates, default_kbps: u32) -> Self {
        let need = |from| move |kbps| Self { kbps, from };
        let asked = || question.bitrate_kbps.map(need(BitrateFrom::Asked));
        let measured = || {
            let stream = question.stream?;
            let known = known.known();
            if known.is_empty() {
                return None;
            }
            known.of(affinity::hash(stream.as_bytes())).map(need(BitrateFrom::Stream))
        };
        let usual = || known.p90_kbps().map(need(BitrateFrom::P90));
        asked().or_else(measured).or_else(usual).unwrap_or_else(|| need(BitrateFrom::Default)(default_kbps))
    }

    /// Mbit/s.
    pub(super) fn mbps(self) -> f64 {
        f64::from(self.kbps) / 1000.0
    }
}

// === impl BitrateFrom ===

impl BitrateFrom {
    /// All of them, the most trusted first.
    pub const ALL: [Self; 4] = [Self::Asked, Self::Stream, Self::P90, Self::Default];

    /// The word in explanations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Stream => "stream",
            Self::P90 => "p90",
            Self::Default => "default",
        }
    }
}
