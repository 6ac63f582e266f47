//! In which networks exporters may stand.
//!
//! *Why so*: whoever can name a target, a discovery source or a DNS server, can have this machine ask any address it
//! reaches. One of them hands out cloud credentials to whoever asks. So such addresses are closed unless they are
//! listed on purpose, and a wide network such as `0.0.0.0/0` is no purpose: the narrower network decides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::Url;

/// What no exporter is at, unless a list says so as narrowly.
const CLOSED: [IpNet; 15] = [
    // "This host": connecting to it reaches the machine itself.
    v4([0, 0, 0, 0], 8),
    // Link-local, with the metadata service of nearly every cloud, 169.254.169.254.
    v4([169, 254, 0, 0], 16),
    // Metadata services elsewhere: Alibaba Cloud, Oracle Cloud, Azure's host.
    v4([100, 100, 100, 200], 32),
    v4([192, 0, 0, 192], 32),
    v4([168, 63, 129, 16], 32),
    v4([224, 0, 0, 0], 4),
    v4([255, 255, 255, 255], 32),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    // Metadata services of AWS and Google Cloud.
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128),
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    // 169.254.0.0/16 by way of NAT64, 6to4 and the old "compatible" form.
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0xa9fe, 0], 112),
    v6([0x2002, 0xa9fe, 0, 0, 0, 0, 0, 0], 32),
    v6([0, 0, 0, 0, 0, 0, 0xa9fe, 0], 112),
];

/// `scrape.allowed_networks`: a list of networks, and what it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

// === impl Networks ===

impl Networks {
    /// These networks.
    #[must_use]
    pub fn new(listed: Vec<IpNet>) -> Self {
        Self(listed)
    }

    /// Whether a connection to this address may be made. An IPv4 address in IPv6 form counts as what it is.
    #[must_use]
    pub fn allow(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let narrowest = |networks: &[IpNet]| {
            networks.iter().filter(|network| network.contains(&ip)).map(IpNet::prefix_len).max()
        };
        match (narrowest(&self.0), narrowest(&CLOSED)) {
            (None, _) => false,
            (Some(listed), closed) => closed.is_none_or(|closed| listed >= closed),
        }
    }
}

impl Default for Networks {
    /// Everything but what is closed.
    fn default() -> Self {
        Self(vec![v4([0, 0, 0, 0], 0), v6([0; 8], 0)])
    }
}

/// The address that a URL names in place of a host, in the form in which it is connected to.
#[must_use]
pub fn literal_address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(networks: &Networks, allowed: &[&str], refused: &[&str]) {
        for (addresses, expected) in [(allowed, true), (refused, false)] {
            for address in addresses {
                assert_eq!(networks.allow(address.parse().unwrap()), expected, "{address} in {networks:?}");
            }
        }
    }

    fn listed(networks: &[&str]) -> Networks {
        Networks::new(networks.iter().map(|network| network.parse().unwrap()).collect())
    }

    /// Addresses that nobody means by an exporter.
    const TRAPS: [&str; 19] = [
        "169.254.169.254",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        "0.0.0.0",
        "::",
        "::ffff:0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "::ffff:255.255.255.255",
    ];

    #[test]
    fn by_default_all_but_traps_may_be_asked() {
        let fine =
            ["127.0.0.1", "10.1.2.3", "100.100.100.201", "192.0.2.1", "::1", "fd00:ec2::255", "2001:db8::1"];
        check(&Networks::default(), &fine, &TRAPS);
    }

    #[test]
    fn a_list_opens_what_it_lists_and_nothing_else() {
        let networks = listed(&["10.0.0.0/8", "2001:db8::/32"]);
        check(
            &networks,
            &["10.255.0.1", "::ffff:10.0.0.1", "2001:db8::1"],
            &["11.0.0.1", "::1", "127.0.0.1"],
        );
        check(&networks, &[], &TRAPS);
    }

    #[test]
    fn a_trap_is_opened_by_its_own_network_and_not_by_a_wide_one() {
        check(&listed(&["0.0.0.0/0", "::/0", "128.0.0.0/1"]), &[], &TRAPS);
        check(&listed(&["169.254.0.0/16"]), &["169.254.169.254"], &["10.0.0.1"]);
        check(&listed(&["169.254.7.0/24"]), &["169.254.7.1"], &["169.254.169.254"]);
        check(&listed(&["fe80::/10"]), &["fe80::1"], &["fd00:ec2::254"]);
    }
}
