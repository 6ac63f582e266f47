//! Which network interfaces carry viewers, each byte counted once.
//!
//! A byte that leaves through a container's veth, a bridge, a VLAN and a bond leaves the machine once, but each of
//! them counts it. So only physical interfaces count by default, and of a bond and its members only one side.

use super::reader::{Samples, gauge};
use crate::schedule::reading::ProbeFailure;

/// `IFF_MASTER` of linux/if.h: a bond.
const MASTER: u32 = 0x400;
/// `IFF_SLAVE` of linux/if.h: a member of a bond.
const SLAVE: u32 = 0x800;

/// Interfaces that exist only inside the machine, or whose bytes leave through another interface: what the name
/// starts with.
const VIRTUAL: &[&str] = &[
    "veth",
    "docker",
    "br-",
    "virbr",
    "vmbr",
    "lxcbr",
    "lxdbr",
    "cni",
    "flannel",
    "cali",
    "cilium",
    "lxc",
    "kube",
    "nodelocaldns",
    "podman",
    "tun",
    "tap",
    "vnet",
    "wg",
    "tailscale",
    "dummy",
    "ifb",
    "sit",
    "ip6tnl",
    "ip6gre",
    "ip_vti",
    "ip6_vti",
    "gre",
    "erspan",
    "tunl",
    "vxlan",
    "geneve",
    "macvtap",
    "macvlan",
    "ipvlan",
    "ovs",
    "nlmon",
    "vcan",
    "teql",
];

/// Whether an interface may count: it is one of those configured, or looks physical.
pub(super) fn is_candidate(device: &str, configured: &[Box<str>]) -> bool {
    if !configured.is_empty() {
        return configured.iter().any(|name| **name == *device);
    }
    let bridge = device.strip_prefix("br").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    !(device.is_empty() || device == "lo" || bridge || VIRTUAL.iter().any(|start| device.starts_with(start)))
}

/// The interfaces of a page that count. Configured ones all do: the operator knows.
pub(super) fn counted<'a>(
    samples: Samples<'a>,
    configured: &[Box<str>],
) -> Result<Vec<&'a str>, ProbeFailure> {
    let mut devices: Vec<(&str, u32)> = Vec::new();
    for sample in samples.of("node_network_transmit_bytes_total") {
        devices.extend(sample.labels.get("device").map(|device| (device, 0)));
    }
    if !configured.is_empty() {
        return Ok(devices.into_iter().map(|(device, _)| device).collect());
    }
    for sample in samples.of("node_network_flags") {
        let found = devices.iter_mut().find(|(device, _)| sample.labels.get("device") == Some(*device));
        if let Some((_, flags)) = found {
            *flags = to_flags(gauge(sample)?);
        }
    }
    Ok(once(&devices))
}

/// Drops what would be counted twice.
fn once<'a>(devices: &[(&'a str, u32)]) -> Vec<&'a str> {
    let is_bond = |(device, flags): (&str, u32)| device.starts_with("bond") || flags & MASTER != 0;
    let is_team = |device: &str| device.starts_with("team");
    let is_vlan = |device: &str| {
        device.split_once('.').is_some_and(|(base, _)| devices.iter().any(|(other, _)| *other == base))
            || (device.starts_with("vlan") && devices.iter().any(|(other, _)| !other.starts_with("vlan")))
    };
    let bonded = devices.iter().any(|d| is_bond(*d));
    // Members are known by their flag. Where the page shows no flags (collector netclass off), and for teams,
    // which set none, the members count and not the bond: the sum is the same.
    let members_known = bonded && devices.iter().any(|(_, flags)| flags & SLAVE != 0);
    let is_member = |flags: u32| members_known && flags & SLAVE != 0;
    let plain = |(device, flags): (&str, u32)| {
        !is_bond((device, flags)) && !is_team(device) && !is_vlan(device) && !is_member(flags)
    };
    let plain_left = devices.iter().any(|d| plain(*d));
    let counts = |d: (&str, u32)| {
        let (device, flags) = d;
        if is_vlan(device) || is_member(flags) {
            return false;
        }
        if is_bond(d) {
            return members_known || !plain_left;
        }
        !is_team(device) || !plain_left
    };
    devices.iter().filter(|d| counts(**d)).map(|(device, _)| *device).collect()
}

/// Flags are a small whole number, written as a float like everything on a page.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and 0 is harmless"
)]
fn to_flags(value: f64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(devices: &[(&str, u32)], expected: &[&str]) {
        assert_eq!(once(devices), expected);
    }

    #[test]
    fn physical_interfaces_are_candidates_and_virtual_ones_are_not() {
        for device in
            ["eth0", "eno1", "enp3s0f0", "ens5", "wlan0", "ib0", "bond0", "team0", "eth0.100", "brcm0"]
        {
            assert!(is_candidate(device, &[]), "{device}");
        }
        for device in
            ["lo", "", "veth12ab", "docker0", "br-5e1f", "br0", "virbr0", "cni0", "flannel.1", "cali1"]
        {
            assert!(!is_candidate(device, &[]), "{device}");
        }
        for device in ["tun0", "tap0", "wg0", "dummy0", "ifb1", "kube-ipvs0", "vxlan.calico", "ovs-system"] {
            assert!(!is_candidate(device, &[]), "{device}");
        }
    }

    #[test]
    fn configured_interfaces_are_the_only_candidates_even_loopback() {
        let configured = ["lo".into(), "eth1".into()];
        assert!(is_candidate("lo", &configured) && is_candidate("eth1", &configured));
        assert!(!is_candidate("eth0", &configured));
    }

    #[test]
    fn a_bond_counts_instead_of_its_members_when_these_are_known() {
        check(&[("bond0", MASTER), ("eth0", SLAVE), ("eth1", SLAVE), ("eth2", 0)], &["bond0", "eth2"]);
        check(&[("lacp", MASTER), ("eth0", SLAVE)], &["lacp"]);
    }

    #[test]
    fn members_count_instead_of_a_bond_when_flags_are_not_shown() {
        check(&[("bond0", 0), ("eth0", 0), ("eth1", 0)], &["eth0", "eth1"]);
        check(&[("team0", 0), ("eth0", 0), ("eth1", 0)], &["eth0", "eth1"]);
    }

    #[test]
    fn a_lone_bond_or_an_orphaned_member_counts() {
        check(&[("bond0", 0)], &["bond0"]);
        check(&[("team0", 0)], &["team0"]);
        check(&[("eth0", SLAVE)], &["eth0"]);
    }

    #[test]
    fn a_vlan_counts_only_without_the_interface_under_it() {
        check(&[("eth0", 0), ("eth0.100", 0), ("vlan7", 0)], &["eth0"]);
        check(&[("eth0.100", 0)], &["eth0.100"]);
        check(&[("bond0", 0), ("bond0.5", 0)], &["bond0"]);
    }
}
