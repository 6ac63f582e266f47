//! Which edges the demo has, and the configuration that describes them to the service.
//!
//! Capacity stands where demand is, as an operator would build it, but in the sizes one can buy and not in the
//! sizes one would like: so every site has its own pressure, and crowds spill.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::cities::{CITIES, City};
use super::edge::Hardware;
use super::random::Random;
use crate::schedule::place::HALF_EARTH_KM;
use crate::schedule::policy::PolicyKind;

/// The domain that viewers ask for.
pub(super) const DOMAIN: &str = "live.example.com";

/// Mean capacity of an edge, Mbit/s. Small on purpose: a handful of viewers must be seen on the pages.
const MEAN_MBPS: f64 = 700.0;

/// Links that can be bought, Mbit/s, and the cores of machines that have them.
const SIZES: [(u32, u32); 6] = [(200, 2), (300, 2), (500, 2), (750, 4), (1_000, 4), (2_000, 8)];

/// An edge of the plan.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// Its name: "sha-1".
    pub(super) id: String,
    /// Its site, an index into [`CITIES`].
    pub(super) city: usize,
    pub(super) hardware: Hardware,
    /// Where players would connect; from the documentation ranges, so nothing real is ever named.
    pub(super) ipv4: Ipv4Addr,
    pub(super) ipv6: Ipv6Addr,
}

/// An edge of the plan and where its pages are.
#[derive(Clone, Debug)]
pub(super) struct EdgeAddress {
    pub(super) planned: Planned,
    /// Loopback address of its exporters.
    pub(super) exporter: SocketAddr,
}

/// Lays out a fleet of `edges` edges; the same seed lays out the same fleet.
pub(super) fn plan(edges: usize, seed: u64) -> Vec<Planned> {
    let sites = sites_of(edges);
    let demand = demand_by_site(sites);
    let counts = share_out(edges, &demand);
    let total: f64 = demand.iter().sum();
    let mut random = Random::new(seed);
    let mut plan = Vec::with_capacity(edges);
    for (city, (count, demand)) in counts.into_iter().zip(demand).enumerate() {
        for number in 1..=count {
            #[expect(clippy::cast_precision_loss, reason = "a few hundred edges")]
            let wish = demand / total * edges as f64 / count as f64 * MEAN_MBPS * random.between(0.6, 1.5);
            let (ipv4, ipv6) = addresses(plan.len());
            plan.push(Planned {
                id: format!("{}-{number}", CITIES[city].code),
                city,
                hardware: hardware(wish, &mut random),
                ipv4,
                ipv6,
            });
        }
    }
    plan
}

/// How many cities have edges: some sites hold two or more machines, so that a site is more than its node.
fn sites_of(edges: usize) -> usize {
    (edges * 5 / 6).max(1).min(CITIES.len())
}

/// How many of the world's viewers are nearest to each of the first `sites` cities.
fn demand_by_site(sites: usize) -> Vec<f64> {
    let mut demand = vec![0.0; sites];
    for city in &CITIES {
        demand[nearest_site(city, sites)] += city.viewers;
    }
    demand
}

/// The site nearest to a city, among the first `sites` of the table.
pub(super) fn nearest_site(city: &City, sites: usize) -> usize {
    let sites = CITIES[..sites.clamp(1, CITIES.len())].iter().map(|site| distance_km(city, site)).enumerate();
    sites.min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(site, _)| site)
}

/// Between two cities; the table is tested to hold places only.
fn distance_km(from: &City, to: &City) -> f64 {
    match (from.location(), to.location()) {
        (Ok(from), Ok(to)) => from.distance_km(to),
        _ => HALF_EARTH_KM,
    }
}

/// One edge for every site, the rest one by one to the site with the most demand per edge.
fn share_out(edges: usize, demand: &[f64]) -> Vec<usize> {
    let mut counts = vec![1; demand.len()];
    for _ in demand.len()..edges {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred edges")]
        let per_edge = |site: usize| demand[site] / counts[site] as f64;
        let neediest = (0..demand.len()).max_by(|a, b| per_edge(*a).total_cmp(&per_edge(*b))).unwrap_or(0);
        counts[neediest] += 1;
    }
    counts
}

/// The machine one can buy that is nearest to the wish, in Mbit/s.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of one core")]
fn hardware(wish: f64, random: &mut Random) -> Hardware {
    let miss = |mbps: u32| (f64::from(mbps) / wish).ln().abs();
    let fitting = SIZES.into_iter().min_by(|(a, _), (b, _)| miss(*a).total_cmp(&miss(*b)));
    let (bandwidth_mbps, cores) = fitting.unwrap_or(SIZES[0]);
    // On about one machine in four the media process, not the link, is what runs out first.
    let process_when_full = (random.between(0.5, 1.15) * 1e6) as u64;
    Hardware { cores, bandwidth_mbps, process_when_full }
}

/// The addresses of edge number `index`: 254 in each documentation range (RFC 5737), enough for 762 edges.
fn addresses(index: usize) -> (Ipv4Addr, Ipv6Addr) {
    const RANGES: [[u8; 3]; 3] = [[203, 0, 113], [198, 51, 100], [192, 0, 2]];
    let [a, b, c] = RANGES[(index / 254) % RANGES.len()];
    let host = u8::try_from(index % 254 + 1).unwrap_or(u8::MAX);
    let group = u16::try_from(index + 1).unwrap_or(u16::MAX);
    (Ipv4Addr::new(a, b, c, host), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, group))
}

/// The configuration of the demo, as an operator would write it.
pub(super) fn config_text(edges: &[EdgeAddress], listen: SocketAddr, admin: SocketAddr) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail, hence the ignored results.
    let _ = writeln!(
        text,
        "# What `nearcast demo` runs on.\n\n[server]\nlisten = \"{listen}\"\nadmin_listen = \"{admin}\"\n\
         # The demo's viewers ask from this machine and say in `ip=` where they pretend to be.\n\
         trusted_proxies = [{}]\n\n\
         [scrape]\ninterval = \"{}s\"\ntimeout = \"1s\"\n\n\
         [[pools]]\nname = \"edges\"\non_overload = \"serve\"\n\n\
         [[domains]]\nname = \"{DOMAIN}\"\npool = \"edges\"\npolicy = \"{}\"",
        trusted(listen),
        // A thousand pages every two seconds would be a demo of scraping.
        if edges.len() > 100 { 5 } else { 2 },
        PolicyKind::default().as_str(),
    );
    overrides(&mut text);
    for edge in edges {
        node(&mut text, edge);
    }
    text
}

/// Whom the service believes: this machine, under whatever address the viewers reach it.
fn trusted(listen: SocketAddr) -> String {
    let mut list = "\"127.0.0.0/8\", \"::1/128\"".to_owned();
    let ip = listen.ip();
    if !ip.is_loopback() && !ip.is_unspecified() {
        let _ = write!(list, ", \"{ip}/{}\"", if ip.is_ipv4() { 32 } else { 128 });
    }
    list
}

/// The built-in database knows countries. Where a country has several of our cities, its operators would tell
/// networks apart as follows.
fn overrides(text: &mut String) {
    for city in CITIES.iter().filter(|city| city.shares_its_country()) {
        let _ = write!(
            text,
            "\n[[geoip.overrides]] # {}\nnetwork = \"{}\"\nlocation = {}\n",
            city.name,
            city.cidr(),
            location(city)
        );
    }
}

fn node(text: &mut String, edge: &EdgeAddress) {
    let (planned, city) = (&edge.planned, &CITIES[edge.planned.city]);
    let _ = write!(
        text,
        "\n[[nodes]] # {}, {}\nid = \"{}\"\npool = \"edges\"\nrole = \"edge\"\npop = \"{}\"\n\
         addresses = [\"{}\", \"{}\"]\nlocation = {}\nbandwidth = \"{}Mbps\"\n\
         media = {{ rtmp = 1935, http = 8080, api = 1985 }}\n\
         exporters = [\"http://{at}/metrics\", \"http://{at}/srs/metrics\"]\n",
        city.name,
        city.country,
        planned.id,
        city.pop,
        planned.ipv4,
        planned.ipv6,
        location(city),
        planned.hardware.bandwidth_mbps,
        at = edge.exporter,
    );
}

fn location(city: &City) -> String {
    format!("{{ latitude = {:?}, longitude = {:?} }}", city.latitude, city.longitude)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::config::Config;

    fn addressed(edges: usize) -> Vec<EdgeAddress> {
        let exporter = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        plan(edges, 1)
            .into_iter()
            .zip(20_000..)
            .map(|(planned, port)| EdgeAddress { planned, exporter: exporter(port) })
            .collect()
    }

    #[track_caller]
    fn check(edges: usize) {
        let listen: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let text = config_text(&addressed(edges), listen, "127.0.0.1:8081".parse().unwrap());
        let config = Config::parse(&text, "demo.toml").unwrap();
        assert_eq!(config.nodes.len(), edges);
        let mut ids = HashSet::new();
        let mut addresses = HashSet::new();
        let mut pages = HashSet::new();
        for node in &config.nodes {
            assert!(ids.insert(&node.id));
            assert!(node.location.is_some() && node.bandwidth_mbps.is_some());
            addresses.extend(node.addresses());
            pages.extend(&node.exporters);
        }
        assert_eq!(config.server.listen, listen);
        assert_eq!((addresses.len(), pages.len()), (2 * edges, 2 * edges));
    }

    #[test]
    fn configuration_has_every_node_once_with_its_own_addresses() {
        check(1);
        check(24);
        check(500);
    }

    #[test]
    fn the_default_fleet_spans_six_continents_and_mixes_sizes() {
        let plan = plan(24, 1);
        let continents: HashSet<_> =
            plan.iter().map(|edge| format!("{:?}", CITIES[edge.city].continent)).collect();
        let sizes: HashSet<_> = plan.iter().map(|edge| edge.hardware.bandwidth_mbps).collect();
        let sites: HashSet<_> = plan.iter().map(|edge| edge.city).collect();
        assert_eq!(continents.len(), 6);
        assert!(sizes.len() >= 4, "{sizes:?}");
        assert!(sites.len() < plan.len(), "some sites have two edges");
    }

    #[test]
    fn capacity_stands_where_viewers_are() {
        for edges in [6, 24, 100, 500] {
            let plan = plan(edges, 1);
            let total: f64 = plan.iter().map(|edge| f64::from(edge.hardware.bandwidth_mbps)).sum();
            let mean = total / plan.len() as f64;
            assert!((450.0..950.0).contains(&mean), "{edges} edges of {mean} Mbit/s");
        }
    }

    #[test]
    fn a_listener_on_a_public_address_trusts_itself_too() {
        assert!(trusted("192.0.2.7:80".parse().unwrap()).ends_with("\"192.0.2.7/32\""));
        assert!(!trusted("0.0.0.0:80".parse().unwrap()).contains("0.0.0.0/"));
    }
}
