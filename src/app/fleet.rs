//! Where clients are, who there is, and who is scraped how: these have to agree, so they are one part.
//!
//! The fleet is put together of two: the nodes of the configuration, and those that have registered. Either may change
//! without the other; each time the whole is made anew and swapped, and nodes that stay keep what is known of them.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::plan;
use super::reload::{Reloadable, Swap};
use crate::config::{Config, Relief, Template};
use crate::geo::{Located, Locator};
use crate::rebalance::Rebalance;
use crate::schedule::node::Node;
use crate::scrape::{Control, How, Scraper};
use crate::state::{Live, State};
use crate::telemetry::Telemetry;

/// Whom a fleet concerns.
pub(super) struct Parts {
    pub(super) locator: Arc<Locator>,
    pub(super) state: Arc<State>,
    pub(super) scraper: Arc<Scraper>,
    /// Asks origins what is published on them.
    pub(super) lists: Arc<Scraper>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) control: Arc<Control>,
    pub(super) rebalance: Arc<Rebalance>,
}

/// What the fleet in force was made of.
pub(super) struct Fleet {
    parts: Parts,
    /// Held while a fleet is put in force.
    in_force: Mutex<(Arc<Config>, How)>,
}

/// A fleet that is ready to be put in force.
struct Prepared {
    live: Live,
    nodes: Vec<Node>,
    /// Of the registry.
    version: u64,
}

/// The templates by which nodes may register.
fn templates(config: &Config) -> Vec<Template> {
    config.callers.iter().filter_map(|caller| caller.register.clone()).collect()
}

/// The pools whose nodes are relieved.
fn reliefs(config: &Config) -> HashMap<Box<str>, Relief> {
    config.pools.iter().filter_map(|pool| Some((pool.name.clone(), pool.relief?))).collect()
}

// === impl Fleet ===

impl Fleet {
    pub(super) fn new(config: &Config, how: How, parts: Parts) -> Self {
        parts.state.registry().enrol_by(templates(config));
        parts.rebalance.relieve_by(reliefs(config));
        Self { parts, in_force: Mutex::new((Arc::new(config.clone()), how)) }
    }

    /// Puts the nodes in force that have registered. Blocks for some milliseconds.
    pub(super) fn follow_registry(&self) {
        let in_force = self.lock();
        let (config, how) = &*in_force;
        let before = self.parts.state.live().clone();
        let is_new = |id: &str| before.fleet.by_id(id).is_none();
        match self.prepare(config, |ip| self.parts.locator.locate(ip), is_new) {
            Ok(prepared) => {
                let nodes = prepared.nodes.len();
                self.adopt(prepared, config, how.clone(), State::replace_registered);
                tracing::info!(nodes, "registered nodes are in service");
            }
            Err(error) => tracing::error!("registered nodes are not in service: {error:#}"),
        }
    }

    /// The fleet of a configuration and of the nodes that have registered so far.
    fn prepare(
        &self,
        config: &Config,
        where_is: impl Fn(IpAddr) -> Located,
        is_new: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Prepared> {
        let (registered, version) = self.parts.state.registry().nodes(&config.nodes, &templates(config));
        let mut nodes = config.nodes.clone();
        nodes.extend(registered);
        let nodes = plan::locate(nodes, where_is, is_new);
        let fleet = plan::fleet(nodes.clone(), config)?;
        let live = Live::new(fleet, plan::plan(config), self.parts.state.clock().now());
        Ok(Prepared { live, nodes, version })
    }

    fn adopt(&self, prepared: Prepared, config: &Config, how: How, replace: impl FnOnce(&State, Live)) {
        let Parts { state, scraper, lists, telemetry, .. } = &self.parts;
        let Prepared { live, nodes, version } = prepared;
        let (pages, list_how) = plan::lists(&nodes, config, &how);
        replace(state, live);
        scraper.retarget(&nodes, how);
        lists.retarget(&pages, list_how);
        let ids: HashSet<&str> = nodes.iter().map(|node| &*node.id).collect();
        telemetry.keep_nodes(|id| ids.contains(id));
        state.tell_waiting();
        if state.registry().version() != version {
            state.registry().poke();
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Arc<Config>, How)> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reloadable for Arc<Fleet> {
    fn prepare(&self, next: &Config) -> anyhow::Result<Swap> {
        let places = self.parts.locator.prepare(&next.geoip, &plan::pop_locations(&next.nodes))?;
        let prepared = Fleet::prepare(self, next, |ip| places.locate(ip), |_| true)?;
        let how = plan::how(next)?;
        let (fleet, next) = (Self::clone(self), Arc::new(next.clone()));
        Ok(Box::new(move || {
            let mut in_force = fleet.lock();
            let Parts { locator, state, telemetry, control, rebalance, .. } = &fleet.parts;
            control.take_over(how.clone());
            rebalance.relieve_by(reliefs(&next));
            telemetry.answers.set_domains(next.domains.iter().map(|domain| &*domain.name));
            locator.adopt(places);
            // Nodes that registered by another template are others now: the fleet follows once more, if there are any.
            state.registry().enrol_by(templates(&next));
            fleet.adopt(prepared, &next, how.clone(), State::replace);
            *in_force = (next, how);
        }))
    }
}
