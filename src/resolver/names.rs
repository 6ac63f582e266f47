//! Nodes by name, for fronts that name nodes instead of their addresses.

use std::sync::Arc;

use arc_swap::Guard;

use super::{Answer, Pick, Question, Refusal, Resolver};
use crate::schedule::decide::consider;
use crate::schedule::fleet::Pool;
use crate::schedule::label::Label;
use crate::schedule::node::{Node, NodeIndex};
use crate::state::Live;

/// A node that was asked for by its name.
#[derive(Debug)]
pub struct Named {
    live: Guard<Arc<Live>>,
    node: NodeIndex,
}

// === impl Resolver ===

impl Resolver {
    /// Answers a question and books nobody: for what a client asks beside the question that books it.
    ///
    /// # Errors
    /// As for [`Self::resolve`].
    pub fn consider(&self, question: &Question<'_>) -> Result<Answer, Refusal> {
        let located = self.locator.locate(question.client);
        self.answer(self.state.live(), question, located, u32::MAX, consider)
    }

    /// The node of which this is the name (its id in lower case, dashes for dots), if players are sent to it.
    #[must_use]
    pub fn named(&self, label: &str) -> Option<Named> {
        let live = self.state.live();
        let node = live.fleet.by_label(label)?;
        let is_played = live.fleet.pool_with(node)?.is_played;
        is_played.then_some(Named { live, node })
    }

    /// The HTTPS port of all nodes that a domain's players can be sent to; `None`: they differ, or some have none.
    #[must_use]
    pub fn common_https(&self, domain: &str) -> Option<u16> {
        let live = self.state.live();
        let mut pools = pools(&live, domain);
        let port = pools.next()?.https?;
        pools.all(|pool| pool.https == Some(port)).then_some(port)
    }

    /// Whether some node that a domain's players can be sent to serves RTMP.
    #[must_use]
    pub fn has_rtmp(&self, domain: &str) -> bool {
        pools(&self.state.live(), domain).any(|pool| pool.has_rtmp)
    }
}

/// The pools whose nodes a domain is answered with: its own, and the one that helps when that is full.
fn pools<'l>(live: &'l Live, domain: &str) -> impl Iterator<Item = &'l Pool> {
    let spec = live.fleet.domain(domain).and_then(|at| live.fleet.domains.get(usize::from(at.0)));
    let own = spec.map(|spec| live.fleet.pool(spec.pool));
    let fallback = own.and_then(|own| own.fallback).map(|fallback| live.fleet.pool(fallback));
    own.into_iter().chain(fallback)
}

// === impl Named ===

impl Named {
    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.live.fleet.node(self.node)
    }
}

// === impl Answer ===

impl Answer {
    /// What the node of a pick is called by [`Resolver::named`]; `None`: nothing that leads to it.
    #[must_use]
    pub fn label(&self, pick: &Pick) -> Option<Label> {
        self.live.fleet.label(pick.node)
    }
}
