//! What is known of a network before any database is asked: the operator's word, and that it is special.
//!
//! Overrides beat everything, so they may place private networks. Where they nest, the longest prefix wins, for
//! place and provider each by itself: naming the provider of a part does not unplace the part.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::error::GeoError;
use super::networks::Networks;
use super::special::SPECIAL;
use crate::config::GeoOverride;
use crate::schedule::place::Location;

/// Overrides and special-purpose networks in one tree, so that one walk answers for both.
#[derive(Debug)]
pub(super) struct Rules {
    networks: Networks<Rule>,
}

#[derive(Clone, Debug, Default)]
struct Rule {
    location: Option<Location>,
    isp: Option<Box<str>>,
    special: Option<&'static str>,
}

/// What the rules say of one address.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ruling<'a> {
    /// The operator's place and the prefix length of the override that gives it.
    pub(super) location: Option<(Location, u8)>,
    /// The operator's word on the provider.
    pub(super) isp: Option<&'a str>,
    /// Why no database is to be asked.
    pub(super) special: Option<&'static str>,
    /// The same holds for all addresses that share so many leading bits.
    pub(super) prefix: u8,
}

// === impl Rules ===

impl Rules {
    /// Of several overrides for the same network the first wins.
    ///
    /// # Errors
    /// An override's PoP is not in `pops`.
    pub(super) fn new(
        overrides: &[GeoOverride],
        pops: &HashMap<Box<str>, Location>,
    ) -> Result<Self, GeoError> {
        let mut networks = Networks::new();
        for (network, name) in SPECIAL {
            if let Ok(network) = network.parse() {
                networks.slot(network).get_or_insert_with(Rule::default).special = Some(name);
            }
        }
        for given in overrides {
            let location = match (given.location, &given.pop) {
                (Some(location), _) => Some(location),
                (None, None) => None,
                (None, Some(pop)) => Some(
                    *pops
                        .get(pop)
                        .ok_or_else(|| GeoError::UnknownPop { network: given.network, pop: pop.clone() })?,
                ),
            };
            let rule = networks.slot(unmapped(given.network)).get_or_insert_with(Rule::default);
            rule.location = rule.location.or(location);
            if rule.isp.is_none() {
                rule.isp.clone_from(&given.isp);
            }
        }
        Ok(Self { networks })
    }

    /// What is known of a canonical address.
    pub(super) fn rule_on(&self, ip: IpAddr) -> Ruling<'_> {
        let mut ruling = Ruling::default();
        let prefix = self.networks.walk(ip, |length, rule| {
            if let Some(location) = rule.location {
                ruling.location = Some((location, length));
            }
            ruling.isp = rule.isp.as_deref().or(ruling.isp);
            ruling.special = rule.special.or(ruling.special);
        });
        Ruling { prefix, ..ruling }
    }
}

/// `::ffff:192.0.2.0/120` means `192.0.2.0/24`: clients are looked up by their canonical address.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network.trunc() };
    let mapped = v6.prefix_len().checked_sub(96).zip(v6.addr().to_ipv4_mapped());
    mapped
        .and_then(|(length, v4)| Ipv4Net::new(v4, length).ok())
        .map_or_else(|| network.trunc(), |v4| IpNet::V4(v4.trunc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(latitude: f64, longitude: f64) -> Location {
        Location::new(latitude, longitude).unwrap()
    }

    fn given(network: &str, location: Option<Location>, pop: Option<&str>, isp: Option<&str>) -> GeoOverride {
        GeoOverride {
            network: network.parse().unwrap(),
            location,
            pop: pop.map(Into::into),
            isp: isp.map(Into::into),
        }
    }

    fn rules(overrides: &[GeoOverride]) -> Rules {
        let pops = HashMap::from([("shanghai".into(), place(31.2, 121.5))]);
        Rules::new(overrides, &pops).unwrap()
    }

    #[track_caller]
    fn check(rules: &Rules, ip: &str, location: Option<(Location, u8)>, isp: Option<&str>, prefix: u8) {
        let ruling = rules.rule_on(ip.parse().unwrap());
        assert_eq!((ruling.location, ruling.isp, ruling.prefix), (location, isp, prefix), "{ip}");
    }

    #[test]
    fn longest_override_wins_for_place_and_provider_each_by_itself() {
        let rules = rules(&[
            given("20.0.0.0/8", Some(place(1.0, 1.0)), None, Some("wide")),
            given("20.5.0.0/16", None, Some("shanghai"), None),
            given("20.5.5.0/24", None, None, Some("narrow")),
        ]);
        check(&rules, "20.128.0.1", Some((place(1.0, 1.0), 8)), Some("wide"), 9);
        check(&rules, "20.5.128.1", Some((place(31.2, 121.5), 16)), Some("wide"), 17);
        check(&rules, "20.5.5.1", Some((place(31.2, 121.5), 16)), Some("narrow"), 24);
        assert_eq!(rules.rule_on("21.0.0.1".parse().unwrap()).location, None);
    }

    #[test]
    fn override_places_a_private_network() {
        let rules = rules(&[given("10.0.0.0/8", None, Some("shanghai"), None)]);
        check(&rules, "10.1.2.3", Some((place(31.2, 121.5), 8)), None, 8);
    }

    #[test]
    fn override_written_as_mapped_or_with_host_bits_still_matches() {
        let rules = rules(&[
            given("::ffff:20.1.0.0/112", Some(place(2.0, 2.0)), None, None),
            given("21.1.2.3/16", Some(place(3.0, 3.0)), None, None),
            given("2400:3200::5/32", Some(place(4.0, 4.0)), None, None),
        ]);
        check(&rules, "20.1.200.1", Some((place(2.0, 2.0), 16)), None, 16);
        check(&rules, "21.1.200.1", Some((place(3.0, 3.0), 16)), None, 16);
        check(&rules, "2400:3200:ffff::1", Some((place(4.0, 4.0), 32)), None, 32);
    }

    #[test]
    fn override_with_an_unknown_pop_is_refused_by_name() {
        let overrides = [given("20.0.0.0/8", None, Some("atlantis"), None)];
        let error = Rules::new(&overrides, &HashMap::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"geoip override 20.0.0.0/8: PoP "atlantis" is unknown or has no location"#
        );
    }

    #[test]
    fn special_networks_are_known_for_what_they_are() {
        let rules = rules(&[]);
        for (ip, word) in [
            ("10.1.2.3", "private"),
            ("100.64.0.1", "carrier"),
            ("127.0.0.1", "loopback"),
            ("169.254.1.1", "link-local"),
            ("172.31.255.255", "private"),
            ("192.0.2.1", "documentation"),
            ("192.168.1.1", "private"),
            ("198.19.0.1", "benchmarking"),
            ("203.0.113.1", "documentation"),
            ("239.1.1.1", "multicast"),
            ("255.255.255.255", "broadcast"),
            ("::1", "loopback"),
            ("fd00::1", "unique local"),
            ("fe80::1", "link-local"),
            ("ff02::1", "multicast"),
            ("2001:db8::1", "documentation"),
            ("3fff::1", "documentation"),
            ("5f00::1", "not global unicast"),
        ] {
            let special = rules.rule_on(ip.parse().unwrap()).special.unwrap_or_else(|| panic!("{ip} passed"));
            assert!(special.starts_with(word), "{ip}: {special}");
        }
        for ip in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "198.20.0.1", "2400:3200::1", "2001:4860::1"] {
            assert_eq!(rules.rule_on(ip.parse().unwrap()).special, None, "{ip}");
        }
    }

    #[test]
    fn every_special_network_is_written_correctly() {
        for (network, name) in SPECIAL {
            let network: IpNet = network.parse().unwrap_or_else(|_| panic!("{network}"));
            assert_eq!(network, network.trunc());
            assert!(name.contains("(RFC "), "{name}");
        }
    }
}
