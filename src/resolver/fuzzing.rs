//! Forged tokens, for [`crate::fuzzing`].

use std::net::{IpAddr, Ipv6Addr};

use super::token::{LIFE_S, TokenKey};
use crate::schedule::rtt::Network;

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
