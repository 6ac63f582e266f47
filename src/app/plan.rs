//! A checked configuration in the core's own words.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Context;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::Core;
use crate::config::Config;
use crate::dns::{self, CookieSecret, ZoneKeys};
use crate::geo::{Located, Precision};
use crate::http::access::OpsToken;
use crate::http::sign::{Signer, Signers, SigningKey};
use crate::http::srs::caller::{CallerToken, Callers};
use crate::http::tls::Certificate;
use crate::resolver::TokenKey;
use crate::schedule::fleet::{DomainSpec, Fleet, FleetError, PoolSpec};
use crate::schedule::layers::LayerSpec;
use crate::schedule::node::Node;
use crate::schedule::place::{Location, Point};
use crate::schedule::terms::TermSettings;
use crate::schedule::uplink::{Uplink, UplinkSpec};
use crate::schedule::watch::WatchSettings;
use crate::scrape::{Access, BadFiles, How};
use crate::state::Plan;
use crate::streams;

/// Gives nodes without a configured place the one of their first address that a database knows; says so of new ones.
pub(super) fn locate(
    mut nodes: Vec<Node>,
    where_is: impl Fn(IpAddr) -> Located,
    is_new: impl Fn(&str) -> bool,
) -> Vec<Node> {
    for node in nodes.iter_mut().filter(|node| node.location.is_none()) {
        let located = node.addresses().map(&where_is).find(|located| {
            // The default location is where unknown *clients* are taken to be.
            matches!(located.precision, Precision::Override | Precision::City | Precision::Country)
        });
        match located {
            Some(Located { location: Some(location), .. }) => {
                if is_new(&node.id) {
                    tracing::info!(node = %node.id, %location, "node located by its own address");
                }
                node.location = Some(location);
            }
            _ if !is_new(&node.id) => {}
            _ => {
                tracing::warn!(node = %node.id, "node has no location: it counts as farthest from everybody");
            }
        }
    }
    nodes
}

/// The middle of each PoP's nodes that have a configured place.
pub(super) fn pop_locations(nodes: &[Node]) -> HashMap<Box<str>, Location> {
    let mut points: HashMap<&str, Vec<Point>> = HashMap::new();
    for node in nodes {
        points.entry(&node.pop).or_default().extend(node.location.map(Location::point));
    }
    let middle = |(pop, points): (&str, Vec<Point>)| Some((pop.into(), Point::middle(points)?.location()));
    points.into_iter().filter_map(middle).collect()
}

/// The fleet of a configuration.
pub(super) fn fleet(nodes: Vec<Node>, config: &Config) -> Result<Fleet, FleetError> {
    let pools: Vec<PoolSpec> = config
        .pools
        .iter()
        .map(|pool| PoolSpec { name: pool.name.clone(), on_overload: pool.on_overload.clone() })
        .collect();
    let domains: Vec<DomainSpec> = config
        .domains
        .iter()
        .map(|domain| DomainSpec {
            name: domain.name.clone(),
            pool: domain.pool.clone(),
            policy: domain.policy,
        })
        .collect();
    let uplink = |pop: &crate::config::Pop| {
        let uplink = Uplink { mbps: pop.uplink_mbps?, limit: pop.limit };
        Some(UplinkSpec { pop: pop.name.clone(), uplink })
    };
    let uplinks: Vec<UplinkSpec> = config.pops.iter().filter_map(uplink).collect();
    Fleet::build(nodes, &pools, &domains)?.with_uplinks(&uplinks).with_layers(&layers(config))
}

/// Which pool pulls from which, and which take publishers.
fn layers(config: &Config) -> LayerSpec {
    let pools = config.pools.iter();
    let domains = config.domains.iter();
    LayerSpec {
        upstreams: pools.filter_map(|pool| Some((pool.name.clone(), pool.upstream.clone()?))).collect(),
        origins: domains.filter_map(|domain| Some((domain.name.clone(), domain.origins.clone()?))).collect(),
    }
}

/// The key of a configuration's `rtt_secret_file`; `None`: there is none.
pub(super) fn token_key(config: &Config) -> anyhow::Result<Option<TokenKey>> {
    let Some(path) = &config.scheduler.rtt_secret_file else { return Ok(None) };
    let secret = std::fs::read(path)
        .with_context(|| format!("scheduler.rtt_secret_file: cannot read {}", path.display()))?;
    match TokenKey::new(&secret) {
        Some(key) => Ok(Some(key)),
        None => anyhow::bail!("scheduler.rtt_secret_file: {} has fewer than 16 bytes", path.display()),
    }
}

/// The token of a configuration's `admin_token_file`; `None`: there is none.
pub(super) fn ops_token(config: &Config) -> anyhow::Result<Option<OpsToken>> {
    let Some(path) = &config.server.admin_token_file else { return Ok(None) };
    let file = std::fs::read(path)
        .with_context(|| format!("server.admin_token_file: cannot read {}", path.display()))?;
    match OpsToken::new(&file) {
        Ok(token) => Ok(Some(token)),
        Err(error) => anyhow::bail!("server.admin_token_file: {} {error}", path.display()),
    }
}

/// What a configuration's domains sign and check with.
pub(super) fn signers(config: &Config) -> anyhow::Result<Signers> {
    let signer = |domain: &crate::config::Domain| {
        let key = |path: &std::path::PathBuf| {
            let shown = path.display();
            let of = &domain.name;
            let file = std::fs::read(path).with_context(|| format!("keys of {of}: cannot read {shown}"))?;
            SigningKey::new(&file).with_context(|| format!("keys of {of}: {shown} has fewer than 16 bytes"))
        };
        let keys = domain.keys.iter().map(key).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Signer::new(keys, domain.require_signature).map(|signer| (domain.name.clone(), signer)))
    };
    config.domains.iter().filter_map(|domain| signer(domain).transpose()).collect()
}

/// Which media servers a configuration answers; `None`: none.
pub(super) fn callers(config: &Config) -> anyhow::Result<Option<Callers>> {
    let Some(settings) = &config.streams else { return Ok(None) };
    let token = |caller: &crate::config::Caller| {
        let (shown, of) = (caller.token_file.display(), &caller.pool);
        let file = std::fs::read(&caller.token_file)
            .with_context(|| format!("callers.token_file of {of}: cannot read {shown}"))?;
        let token = CallerToken::new(&file)
            .map_err(|error| anyhow::anyhow!("callers.token_file of {of}: {shown} {error}"))?;
        Ok((token, caller.pool.clone()))
    };
    let tokens = config.callers.iter().map(token).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Some(Callers::new(settings.clone(), tokens)?))
}

/// The DNS front of a configuration; `None`: it has none.
pub(super) fn dns_front(config: &Config, core: &Core) -> anyhow::Result<Option<Arc<dns::Front>>> {
    let Some(settings) = &config.dns else { return Ok(None) };
    let (resolver, telemetry) = (Arc::clone(&core.resolver), Arc::clone(&core.telemetry));
    let mut secret = [0; 16];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| anyhow::anyhow!("no random numbers for DNS cookies"))?;
    let secret = CookieSecret(secret);
    let keys = zone_keys(config)?;
    Ok(Some(Arc::new(dns::Front::new(resolver, telemetry, secret, settings, &keys, &config.domains))))
}

/// What a configuration's zones are signed with.
pub(super) fn zone_keys(config: &Config) -> anyhow::Result<ZoneKeys> {
    let zones = config.dns.as_ref().map(|dns| &*dns.zones);
    Ok(ZoneKeys::open(zones.unwrap_or_default())?)
}

/// The certificate of a configuration's `[server.tls]`; `None`: there is none.
pub(super) fn certificate(config: &Config) -> anyhow::Result<Option<Certificate>> {
    let Some(tls) = &config.server.tls else { return Ok(None) };
    Ok(Some(Certificate::load(&tls.certificate, &tls.key)?))
}

/// How exporters are asked. Reads the files that it takes.
pub(super) fn how(config: &Config) -> Result<How, BadFiles> {
    Ok(How { settings: config.scrape, access: Access::open(&config.exporters)? })
}

/// Which origins are asked for what is published on them, and how.
pub(super) fn lists(nodes: &[Node], config: &Config, how: &How) -> (Vec<Node>, How) {
    let Some(streams) = &config.streams else { return (Vec::new(), how.clone()) };
    let settings = streams::rhythm(how.settings, streams.poll_interval_ms);
    (streams::pages(nodes), How { settings, access: how.access.clone() })
}

/// The settings that answers depend on.
pub(super) fn plan(config: &Config) -> Plan {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked by config"
    )]
    let default_kbps = (config.scheduler.default_bitrate_mbps * 1000.0) as u32;
    Plan {
        watch: WatchSettings {
            interval_ms: config.scrape.interval_ms,
            assumed_mbps: config.scheduler.assumed_bandwidth_mbps,
        },
        default_kbps,
        ttl_s: config.scheduler.ttl_s,
        replicas: Some(config.scheduler.replicas).filter(|replicas| *replicas > 0),
        congestion_km: single(config.scheduler.congestion_km),
        affinity_km: single(config.scheduler.affinity_km),
        terms: TermSettings {
            price_km: single(config.scheduler.price_km),
            isp_km: single(config.scheduler.isp_km),
            distance_budget_km: config.scheduler.distance_budget_km.map(single),
        },
        booking: config.scheduler.booking,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "kilometres need six digits")]
fn single(km: f64) -> f32 {
    km as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_cannot_be_used_is_named_by_its_file() {
        let text = "pools = [{ name = \"edges\" }]\ndomains = [{ name = \"a.example\", pool = \"edges\" }]\n\
                    nodes = [{ id = \"a\", pool = \"edges\", addresses = [\"192.0.2.1\"] }]";
        let mut config = Config::parse(text, "test").unwrap();
        assert!(token_key(&config).unwrap().is_none());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rtt.secret");
        config.scheduler.rtt_secret_file = Some(path.clone());
        for (secret, words) in [(None, "cannot read"), (Some("short"), "fewer than 16 bytes")] {
            if let Some(secret) = secret {
                std::fs::write(&path, secret).unwrap();
            }
            let error = token_key(&config).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(&path.display().to_string()), "{error}");
        }
        std::fs::write(&path, "0123456789abcdef").unwrap();
        assert!(token_key(&config).unwrap().is_some());
    }
}
