//! Lists: what is published on origins, asked of their media servers' API.
//!
//! *What it decides*: which page of which node tells that, and how often it is asked. Hooks tell sooner; a list puts right
//! what they missed, and is all there is where no hook is configured. It is asked by a scraper of its own with the limits
//! and credentials of the other one, and never speaks for or against a node's health: an API that is closed to us is no
//! sign of a dead origin. An origin that has the page among its exporters is asked there, and not twice.

use std::sync::Arc;

use reqwest::Url;

use crate::config;
use crate::schedule::node::{Node, Role};
use crate::schedule::reading::{ProbeFailure, Reading, Timing};
use crate::state::eviction::Api;
use crate::state::{Observer, State};

/// The page.
const PATH: &str = "/api/v1/streams/";
/// Most streams of a list. SRS would give ten if it were not told.
const COUNT: usize = 10_000;
/// The largest list, bytes: so many streams, each as long as they are in practice.
const BODY_LIMIT_BYTES: u64 = 16 << 20;

/// Takes lists in.
#[derive(Debug)]
pub struct Lists {
    state: Arc<State>,
}

/// Origins whose lists are to be asked for, with that page as their only exporter.
#[must_use]
pub fn pages(nodes: &[Node]) -> Vec<Node> {
    let page = |node: &Node| Some(Node { exporters: vec![page(node)?.into()], ..node.clone() });
    nodes.iter().filter_map(page).collect()
}

/// How lists are asked for: as pages of exporters, but for how often and how much.
#[must_use]
pub fn rhythm(scrape: config::Scrape, poll_interval_ms: u64) -> config::Scrape {
    config::Scrape {
        interval_ms: poll_interval_ms,
        timeout_ms: scrape.timeout_ms.min(poll_interval_ms),
        body_limit_bytes: scrape.body_limit_bytes.max(BODY_LIMIT_BYTES),
        ..scrape
    }
}

/// The page of one node.
fn page(node: &Node) -> Option<String> {
    let api = Api::of(node).filter(|_| node.role == Role::Origin)?;
    let mut exporters = node.exporters.iter().filter_map(|url| Url::parse(url).ok());
    if exporters.any(|url| url.path().starts_with(PATH.trim_end_matches('/'))) {
        return None;
    }
    Some(format!("{}{PATH}?count={COUNT}", api.base))
}

// === impl Lists ===

impl Lists {
    /// Into the table of this state.
    #[must_use]
    pub fn new(state: Arc<State>) -> Self {
        Self { state }
    }
}

impl Observer for Lists {
    /// A list that did not come changes nothing: what it would have told is asked again in its turn.
    fn observed(&self, node: &str, _target: usize, outcome: Result<Reading, ProbeFailure>, timing: Timing) {
        if let Some(published) = outcome.ok().and_then(|reading| reading.published) {
            self.state.listed(node, &published, timing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn asked(node: &str) -> Vec<String> {
        let text = format!(
            "pools = [{{ name = \"p\" }}]\ndomains = [{{ name = \"a.example\", pool = \"p\" }}]\n\
             nodes = [{{ id = \"o-1\", pool = \"p\", {node} }}]"
        );
        let nodes = Config::parse(&text, "test").unwrap().nodes;
        pages(&nodes).iter().flat_map(|node| node.exporters.iter().map(ToString::to_string)).collect()
    }

    #[test]
    fn an_origin_with_an_api_is_asked_where_its_exporters_are_and_once() {
        let origin = "role = \"origin\", media = { api = 1985 }, addresses = [\"2001:db8::1\"]";
        assert_eq!(asked(origin), ["http://[2001:db8::1]:1985/api/v1/streams/?count=10000"]);
        let inside = format!("{origin}, exporters = [\"http://o-1.internal:9100/metrics\"]");
        assert_eq!(asked(&inside), ["http://o-1.internal:1985/api/v1/streams/?count=10000"]);
        let page = format!("{origin}, exporters = [\"http://10.0.0.1:1985/api/v1/streams/?count=1000\"]");
        assert_eq!(asked(&page), [""; 0], "a scrape brings it already");
        assert_eq!(asked("media = { api = 1985 }, addresses = [\"192.0.2.1\"]"), [""; 0], "an edge");
        assert_eq!(asked("role = \"origin\", addresses = [\"192.0.2.1\"]"), [""; 0], "no API");
    }

    #[test]
    fn a_short_interval_shortens_the_deadline_too() {
        let scrape = rhythm(config::Scrape::default(), 1_000);
        assert_eq!(
            (scrape.interval_ms, scrape.timeout_ms, scrape.body_limit_bytes),
            (1_000, 1_000, 16 << 20)
        );
    }
}
