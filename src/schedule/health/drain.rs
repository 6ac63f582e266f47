//! Drain: an operator's order that a node gets no new viewers.

use crate::schedule::reading::Moment;

/// The order, while it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Why, in the operator's words.
    pub reason: Option<Box<str>>,
    /// Given at.
    pub since: Moment,
    /// Ends by itself then; `None`: when somebody says so.
    pub until: Option<Moment>,
    /// Its clients are sent away, so many a minute; `None`: they may stay for as long as they like.
    pub evict_per_minute: Option<u32>,
}

// === impl Drain ===

impl Drain {
    /// Whether the order has ended by itself.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// The order in words, for a node's reasons.
    #[must_use]
    pub fn in_words(&self) -> String {
        match &self.reason {
            Some(reason) => format!("drained by an operator: {reason}"),
            None => "drained by an operator".to_owned(),
        }
    }
}
