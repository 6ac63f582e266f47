//! Tokens for reports: who reports was answered here within the last minutes, in the network it reports for.
//!
//! 16 hexadecimal digits of expiry (Unix time, s), then 64 of HMAC-SHA256 over expiry and client network. Nothing
//! is remembered of a token, so each replica with the same secret takes those of all others.

use std::fmt::Write as _;

use ring::hmac;

use crate::schedule::rtt::Network;

/// How long a token holds, s.
pub(super) const LIFE_S: u64 = 600;
/// Shortest secret, bytes.
const SECRET_BYTES_MIN: usize = 16;
/// Digits of the expiry.
const EXPIRY_DIGITS: usize = 16;
/// Digits of a whole token.
const DIGITS: usize = EXPIRY_DIGITS + 64;
/// Keeps these MACs apart from whatever else may be signed with the same secret one day.
const PURPOSE: &[u8; 16] = b"nearcast rtt v1\n";

/// What tokens are made and checked with.
#[derive(Clone, Debug)]
pub struct TokenKey(hmac::Key);

// === impl TokenKey ===

impl TokenKey {
    /// A key of a secret, white space around it ignored: a file's last line end is not meant. `None`: too short.
    #[must_use]
    pub fn new(secret: &[u8]) -> Option<Self> {
        let secret = secret.trim_ascii();
        (secret.len() >= SECRET_BYTES_MIN).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// A token for a network that holds for [`LIFE_S`] from `now_s`, Unix time.
    pub(super) fn issue(&self, network: Network, now_s: u64) -> String {
        let expiry_s = now_s.saturating_add(LIFE_S);
        let mut token = String::with_capacity(DIGITS);
        let _ = write!(token, "{expiry_s:016x}");
        for byte in hmac::sign(&self.0, &message(expiry_s, network)).as_ref() {
            let _ = write!(token, "{byte:02x}");
        }
        token
    }

    /// Whether a token was issued for this network and still holds. Takes as long for a near miss as for a far one.
    pub(super) fn verify(&self, token: &str, network: Network, now_s: u64) -> bool {
        let (Some(expiry), Some(mac)) = (token.get(..EXPIRY_DIGITS), token.get(EXPIRY_DIGITS..)) else {
            return false;
        };
        let (Some(expiry), Some(mac)) = (bytes::<8>(expiry), bytes::<32>(mac)) else { return false };
        let expiry_s = u64::from_be_bytes(expiry);
        let genuine = hmac::verify(&self.0, &message(expiry_s, network), &mac).is_ok();
        genuine && now_s < expiry_s
    }
}

/// What is signed.
fn message(expiry_s: u64, network: Network) -> [u8; 32] {
    let mut message = [0; 32];
    message[..16].copy_from_slice(PURPOSE);
    message[16..24].copy_from_slice(&expiry_s.to_be_bytes());
    message[24..].copy_from_slice(&network.number().to_be_bytes());
    message
}

/// `N` bytes in exactly as many lower-case hexadecimal digits as they need.
fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != 2 * N || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_800_000_000;

    fn key() -> TokenKey {
        TokenKey::new(b"0123456789abcdef\n").unwrap()
    }

    fn network(ip: &str) -> Network {
        Network::of(ip.parse().unwrap())
    }

    #[test]
    fn a_token_holds_in_its_network_and_on_every_replica_with_the_secret() {
        let token = key().issue(network("198.51.100.23"), NOW_S);
        assert_eq!(token.len(), DIGITS);
        assert!(key().verify(&token, network("198.51.100.99"), NOW_S + LIFE_S - 1));
        let token = key().issue(network("2001:db8:1::1"), NOW_S);
        assert!(key().verify(&token, network("2001:db8:1:9::2"), NOW_S));
    }

    #[test]
    fn the_token_of_another_network_is_refused() {
        let token = key().issue(network("198.51.100.23"), NOW_S);
        assert!(!key().verify(&token, network("198.51.101.23"), NOW_S));
        assert!(!key().verify(&token, network("2001:db8:1::1"), NOW_S));
    }

    #[test]
    fn an_expired_token_is_refused() {
        let token = key().issue(network("198.51.100.23"), NOW_S);
        assert!(!key().verify(&token, network("198.51.100.23"), NOW_S + LIFE_S));
    }

    #[test]
    fn a_forged_token_is_refused() {
        let here = network("198.51.100.23");
        let token = key().issue(here, NOW_S);
        let later = format!("{:016x}{}", NOW_S + 2 * LIFE_S, &token[EXPIRY_DIGITS..]);
        let other = TokenKey::new(b"fedcba9876543210").unwrap().issue(here, NOW_S);
        for forged in [&later, &other, &token.to_uppercase(), &token[1..], "", "é", &format!("{token}0")] {
            assert!(!key().verify(forged, here, NOW_S), "{forged}");
        }
    }

    #[test]
    fn a_short_secret_is_no_secret() {
        assert!(TokenKey::new(b"0123456789abcde\n").is_none());
    }
}
