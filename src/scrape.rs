//! Targets become readings: asks every exporter of every node in its turn and tells an [`Observer`] what came.
//!
//! *What it decides*: when a target is asked (`rhythm`), whether it may be (`access`), with whom it waits for a place
//! (`circuit`, `lanes`), how it is asked (`collect`), and what its page is (`reader`). It does not judge: rates, load and health are the core's, from the readings.
//!
//! *Why so*: the page of a failing exporter is the only warning there is of a failing node, so nothing is guessed
//! here. A probe ends in exactly one reading or exactly one named [`ProbeFailure`], and both are reported.
//!
//! *Limits*: [`config::Scrape`]: interval, deadline of a scrape, size of a page, scrapes
//! under way at once, a quarter of which are for targets that hang. A target is never asked twice at once, and a node out of turn at most once a second.
//!
//! [`ProbeFailure`]: crate::schedule::reading::ProbeFailure

mod access;
mod circuit;
mod client;
mod client_library;
mod collect;
mod control;
mod credentials;
mod disks;
mod failure;
mod interfaces;
mod lanes;
mod node_exporter;
mod probe;
mod process_exporter;
mod reader;
mod rhythm;
mod run;
mod srs;
mod srs_streams;
mod targets;
#[cfg(test)]
mod test_exporter;
mod tls;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use self::access::Access;
pub use self::client::install_tls_provider;
pub use self::control::Control;
pub use self::credentials::{BadFile, BadFiles};
use self::probe::HttpProber;
pub use self::reader::{Focus, Page, Shown, read};
use self::run::{Loop, NewProber};
use crate::clock::Clock;
use crate::config;
use crate::schedule::node::Node;
pub use crate::state::Observer;

/// Requests for extra scrapes that may wait. More are dropped: they come from players, and the turn comes anyway.
const RESCRAPES_WAITING: usize = 1_024;

/// The running scrape loop. Dropping it stops the loop.
#[derive(Debug)]
pub struct Scraper {
    plans: watch::Sender<Plan>,
    rescrapes: mpsc::Sender<Box<str>>,
}

/// What is to be scraped, and how.
#[derive(Clone, Debug)]
struct Plan {
    nodes: Arc<[Node]>,
    how: How,
}

/// How targets are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct How {
    /// How often, and within which limits.
    pub settings: config::Scrape,
    /// Which may be asked, and what they are shown.
    pub access: Access,
}

// === impl Scraper ===

impl Scraper {
    /// Starts the loop on the current tokio runtime.
    #[must_use]
    pub fn start(
        nodes: &[Node],
        how: How,
        clock: Clock,
        observer: Arc<dyn Observer>,
        cancel: CancellationToken,
    ) -> Self {
        let its_clock = clock.clone();
        let new_prober: NewProber = Box::new(move |how| Arc::new(HttpProber::new(how, its_clock.clone())));
        Self::start_with(nodes, how, clock, observer, cancel, new_prober)
    }

    /// The same with somebody else asking.
    fn start_with(
        nodes: &[Node],
        how: How,
        clock: Clock,
        observer: Arc<dyn Observer>,
        cancel: CancellationToken,
        new_prober: NewProber,
    ) -> Self {
        let plan = Plan { nodes: nodes.into(), how };
        let scrape_loop = Loop::new(&plan, clock, observer, new_prober);
        let (plans, plans_seen) = watch::channel(plan);
        let (rescrapes, rescrapes_seen) = mpsc::channel(RESCRAPES_WAITING);
        tokio::spawn(scrape_loop.run(plans_seen, rescrapes_seen, cancel));
        Self { plans, rescrapes }
    }

    /// Takes over a reloaded configuration. Targets that stay keep their rhythm and what was learnt of them; new
    /// ones begin like at a start.
    pub fn retarget(&self, nodes: &[Node], how: How) {
        self.plans.send_replace(Plan { nodes: nodes.into(), how });
    }

    /// Asks all targets of a node now, beside their regular turns; at most once a second for each node.
    pub fn rescrape(&self, node: &str) {
        // Full means that a flood of reports came; the node's turn comes all the same.
        let _ = self.rescrapes.try_send(node.into());
    }
}

#[cfg(test)]
mod tests;
