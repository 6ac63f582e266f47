//! Forged tokens, and a door over a small fleet, for [`crate::fuzzing`] and tests.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::Resolver;
use super::token::{LIFE_S, TokenKey};
use crate::clock::Clock;
use crate::config::Config;
use crate::geo::Locator;
use crate::schedule::fleet::{DomainSpec, Fleet, PoolSpec};
use crate::schedule::layers::LayerSpec;
use crate::schedule::rtt::Network;
use crate::schedule::terms::TermSettings;
use crate::schedule::uplink::{Uplink, UplinkSpec};
use crate::schedule::watch::WatchSettings;
use crate::state::{Live, Plan, State};

const NOW_S: u64 = 1_800_000_000;

/// What somebody shows as the token of a report. The first 16 bytes say who asks, the rest is shown: as it is, and
/// laid over a good token.
pub fn report_token(bytes: &[u8]) {
    let Some(key) = TokenKey::new(b"0123456789abcdef") else { panic!("a good secret is refused") };
    let (who, shown) = bytes.split_at(bytes.len().min(16));
    let mut octets = [0; 16];
    octets[..who.len()].copy_from_slice(who);
    let network = Network::of(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical());

    let good = key.issue(network, NOW_S);
    assert!(key.verify(&good, network, NOW_S) && key.verify(&good, network, NOW_S + LIFE_S - 1));
    assert!(!key.verify(&good, network, NOW_S + LIFE_S));

    let overlaid = shown.iter().chain(good.as_bytes().iter().skip(shown.len()));
    for forged in [shown.to_vec(), overlaid.copied().collect()] {
        let Ok(forged) = std::str::from_utf8(&forged) else { continue };
        assert_eq!(key.verify(forged, network, NOW_S), forged == good, "{forged:?}");
    }
}

/// A door over the fleet of a configuration, of which nothing has been measured. With terms, `shanghai` has an uplink.
/// Each call gives the same turns and dice. `None`: there is no such fleet.
pub(crate) fn over(config: Config, terms: TermSettings, booking: bool) -> Option<(Resolver, Arc<State>)> {
    let pools = config.pools.iter();
    let pools: Vec<PoolSpec> = pools
        .map(|pool| PoolSpec { name: pool.name.clone(), on_overload: pool.on_overload.clone() })
        .collect();
    let domains = config.domains.iter().map(|domain| DomainSpec {
        name: domain.name.clone(),
        pool: domain.pool.clone(),
        policy: domain.policy,
    });
    let domains: Vec<DomainSpec> = domains.collect();
    let upstreams = config.pools.iter().filter_map(|pool| Some((pool.name.clone(), pool.upstream.clone()?)));
    let origins =
        config.domains.iter().filter_map(|domain| Some((domain.name.clone(), domain.origins.clone()?)));
    let layers = LayerSpec { upstreams: upstreams.collect(), origins: origins.collect() };
    let mut fleet = Fleet::build(config.nodes, &pools, &domains).ok()?.with_layers(&layers).ok()?;
    if terms != TermSettings::default() {
        let uplink = Uplink { mbps: 40_000.0, limit: 0.8 };
        fleet = fleet.with_uplinks(&[UplinkSpec { pop: "shanghai".into(), uplink }]);
    }
    let plan = Plan {
        watch: WatchSettings { interval_ms: 10_000, assumed_mbps: 1_000.0 },
        default_kbps: 3_000,
        ttl_s: (5, 60),
        replicas: None,
        congestion_km: 10.0,
        affinity_km: 40.0,
        terms,
        booking,
    };
    let clock = Clock::system();
    let (state, _) = State::new(Live::new(fleet, plan, clock.now()), clock);
    let locator = Locator::open(&config.geoip, &HashMap::new()).ok()?;
    Some((Resolver::new(Arc::clone(&state), Arc::new(locator), 7), state))
}
