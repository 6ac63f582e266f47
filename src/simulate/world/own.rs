//! An operator's own fleet in the reference world's viewers: nodes, places and capacities from a configuration.

use crate::config::Config;
use crate::schedule::node::Node;
use crate::schedule::place::Location;
use crate::schedule::terms::TermSettings;
use crate::schedule::uplink::{Uplink, UplinkSpec};

use super::super::edge::Machine;
use super::{City, Lines, POOL, Scheduler, World, cities};

/// Viewers of an operator's fleet live within so far of one of its nodes, km.
const REACH_KM: f64 = 2_000.0;

// === impl World ===

impl World {
    /// The fleet of a configuration: the pool of its first domain. CPU is not modelled, nobody knows what a
    /// Mbit/s costs there.
    ///
    /// # Errors
    /// No domain, no node in its pool, or a node without a place.
    pub(in crate::simulate) fn of_config(config: &Config) -> anyhow::Result<Self> {
        let Some(domain) = config.domains.first() else {
            anyhow::bail!("the configuration has no domain, so nobody can ask for a node");
        };
        let mut nodes: Vec<_> =
            config.nodes.iter().filter(|node| node.pool == domain.pool).cloned().collect();
        anyhow::ensure!(!nodes.is_empty(), "pool {} has no node", domain.pool);
        let nowhere: Vec<&str> =
            nodes.iter().filter(|node| node.location.is_none()).map(|node| &*node.id).collect();
        anyhow::ensure!(
            nowhere.is_empty(),
            "simulate locates nothing by address: give these nodes a location: {}",
            nowhere.join(", ")
        );
        let assumed_mbps = config.scheduler.assumed_bandwidth_mbps;
        for node in &mut nodes {
            node.pool = POOL.into();
            node.bandwidth_mbps.get_or_insert(assumed_mbps);
            // One exporter that shows all: how a fleet splits its pages changes nothing here.
            node.exporters = vec![format!("http://{}/metrics", node.id).into()];
        }
        let machines = nodes.iter().map(|node| {
            let egress_mbps = node.bandwidth_mbps.unwrap_or(assumed_mbps);
            (node.id.clone(), Machine { egress_mbps, cores: 0.0, cores_per_mbps: 0.0 })
        });
        let machines = machines.collect();
        let scheduler = Scheduler {
            congestion_km: config.scheduler.congestion_km,
            affinity_km: config.scheduler.affinity_km,
            replicas: Some(config.scheduler.replicas).filter(|replicas| *replicas > 0),
            assumed_mbps,
            terms: TermSettings {
                price_km: config.scheduler.price_km as f32,
                isp_km: config.scheduler.isp_km as f32,
                distance_budget_km: config.scheduler.distance_budget_km.map(|km| km as f32),
            },
        };
        let cities = within_reach(cities()?, &nodes);
        let uplinks = config.pops.iter().filter_map(|pop| {
            let uplink = Uplink { mbps: pop.uplink_mbps?, limit: pop.limit };
            Some(UplinkSpec { pop: pop.name.clone(), uplink })
        });
        let lines = Lines { told: uplinks.collect(), untold: Vec::new() };
        Self::assemble(cities, nodes, &machines, &lines, Some(scheduler))
    }
}

/// The same cities; those that no node is near to have no viewers. A fleet that is near to none keeps them all.
fn within_reach(mut cities: Vec<City>, nodes: &[Node]) -> Vec<City> {
    let points: Vec<_> = nodes.iter().filter_map(|node| node.location.map(Location::point)).collect();
    let near = |city: &City| {
        let from = city.location.point();
        points.iter().any(|to| from.distance_km(*to) < REACH_KM)
    };
    let keep: Vec<bool> = cities.iter().map(near).collect();
    if keep.contains(&true) {
        for (city, keep) in cities.iter_mut().zip(keep) {
            city.viewers = if keep { city.viewers } else { 0.0 };
        }
    }
    cities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cities_that_no_node_is_near_to_have_no_viewers() {
        let reference = World::reference(super::super::super::catalogue::named("base").unwrap(), 1).unwrap();
        let mut node = reference.fleet.nodes[0].clone();
        node.location = Location::new(31.2, 121.5).ok();
        let cities = within_reach(cities().unwrap(), &[node]);
        let viewers = |name: &str| cities.iter().find(|city| &*city.name == name).unwrap().viewers;
        assert!(viewers("Shanghai") > 0.0 && viewers("Tokyo") > 0.0);
        assert!(viewers("New York") == 0.0);
    }
}
