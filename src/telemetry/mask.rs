//! Addresses as a log may keep them: the network, not the person.
//!
//! Who watches what is personal data, and logs travel. A network is enough to see which provider fails, and too
//! little to find a household: /24 of IPv4, /48 of IPv6.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

/// Leading bits of an address that may be told.
const V4_BITS: u8 = 24;
const V6_BITS: u8 = 48;

/// The network of an address, such as `198.51.100.0/24`.
#[must_use]
pub fn network(ip: IpAddr) -> IpNet {
    let ip = ip.to_canonical();
    let bits = if ip.is_ipv4() { V4_BITS } else { V6_BITS };
    IpNet::new_assert(ip, bits).trunc()
}

/// A text with every address in it made its network. For words that may hold what somebody sent.
#[must_use]
pub fn addresses(text: &str) -> Cow<'_, str> {
    let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':');
    let mut masked = Cow::Borrowed("");
    let mut rest = text;
    let mut kept = 0;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        if let Some((network, left)) = address(word) {
            let at = text.len() - rest.len() + before.len();
            let masked = masked.to_mut();
            masked.push_str(&text[kept..at]);
            masked.push_str(&network.to_string());
            masked.push_str(left);
            kept = at + word.len();
        }
        rest = after;
    }
    match masked {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(masked) => Cow::Owned(masked + &text[kept..]),
    }
}

/// The network of the address that a word is, and what stands behind it: a port, or the end of a sentence.
fn address(word: &str) -> Option<(IpNet, &str)> {
    let trimmed = word.trim_end_matches(['.', ':']);
    let whole = |text: &str| text.parse::<IpAddr>().ok().map(network);
    // `2001:db8::` ends in what else would end a sentence.
    for text in [word, trimmed] {
        if let Some(network) = whole(text) {
            return Some((network, &word[text.len()..]));
        }
    }
    let (ip, _) = trimmed.rsplit_once(':')?;
    whole(ip).map(|network| (network, &word[ip.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_becomes_its_network() {
        for (ip, shown) in [
            ("198.51.100.77", "198.51.100.0/24"),
            ("::ffff:198.51.100.77", "198.51.100.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ] {
            assert_eq!(network(ip.parse().unwrap()).to_string(), shown);
        }
    }

    #[test]
    fn addresses_are_found_in_text() {
        for (text, shown) in [
            ("nothing here", "nothing here"),
            ("", ""),
            ("1.2.3 and 12:34:56 and face", "1.2.3 and 12:34:56 and face"),
            ("198.51.100.77", "198.51.100.0/24"),
            ("from 198.51.100.77:4711, and 203.0.113.9.", "from 198.51.100.0/24:4711, and 203.0.113.0/24."),
            ("[2001:db8:1:2::3]:80 fails", "[2001:db8:1::/48]:80 fails"),
            ("ip=2001:db8:1:2::&x", "ip=2001:db8:1::/48&x"),
            ("é198.51.100.77é", "é198.51.100.0/24é"),
        ] {
            assert_eq!(addresses(text), shown);
        }
    }

    proptest! {
        #[test]
        fn no_address_survives(ip in any::<IpAddr>(), before in "[ a-z=/\"]{0,5}[=/\" ]", after in "[&/\" ,][a-z ]{0,5}") {
            let hidden = addresses(&format!("{before}{ip}{after}")).into_owned();
            let network = network(ip).to_string();
            prop_assert_eq!(hidden, format!("{}{}{}", before, network, after));
        }
    }
}
