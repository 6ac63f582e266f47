//! One address per client: IPv6 forms that carry an IPv4 address become that address.
//!
//! Databases differ here: some alias `::ffff:0:0/96` and `2002::/16` to IPv4, some answer nothing, one answers
//! with the wrong continent (all seen). So none of them is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address to look up: the IPv4 address inside an IPv4-mapped (RFC 4291), 6to4 (RFC 3056), NAT64
/// `64:ff9b::/96` (RFC 6052) or Teredo (RFC 4380, the client's side) address, and every other as it is.
#[inline]
#[must_use]
pub fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => embedded(v6).map_or(ip, IpAddr::V4),
    }
}

fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(join(high, low)),
        // Teredo hides the client's address from meddling NATs by turning every bit around.
        [0x2001, 0, .., high, low] => Some(join(!high, !low)),
        _ => None,
    }
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, expected: &str) {
        assert_eq!(canonical(given.parse().unwrap()), expected.parse::<IpAddr>().unwrap(), "{given}");
    }

    #[test]
    fn ipv4_carried_in_ipv6_comes_out() {
        check("::ffff:8.8.8.8", "8.8.8.8");
        check("2002:808:808::1", "8.8.8.8");
        check("64:ff9b::8.8.8.8", "8.8.8.8");
        // The example of RFC 4380 section 4.
        check("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45");
    }

    #[test]
    fn other_addresses_stay_as_they_are() {
        for ip in ["8.8.8.8", "::1", "::8.8.8.8", "64:ff9b:1::808:808", "2001:1::808:808", "2400:3200::1"] {
            check(ip, ip);
        }
    }
}
