//! What a request is called, in the answer, in problems and in the log.
//!
//! A trusted proxy may have named it already (`X-Request-Id`): then one name runs through the logs of all. Anybody
//! else's name is not taken, or a stranger could write whatever he likes into ours, or pass for another request.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::client_ip::Peer;

/// Longest name that is taken from a proxy, bytes; theirs have 16 to 64.
const LONGEST: usize = 128;

/// The header, both ways.
pub(super) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Letters, digits, `-`, `_` and `.`: what needs no quotes in a log and no escapes in a URN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestId(HeaderValue);

// === impl RequestId ===

impl RequestId {
    /// The name that a trusted peer gave, else a new one.
    pub(super) fn of(peer: Option<Peer>, headers: &HeaderMap) -> Self {
        peer.and_then(|peer| Self::brought(peer, headers)).unwrap_or_else(Self::new)
    }

    /// The name that a trusted peer gave, in exactly one header.
    pub(super) fn brought(peer: Peer, headers: &HeaderMap) -> Option<Self> {
        if !peer.trusted {
            return None;
        }
        let mut given = headers.get_all(&X_REQUEST_ID).iter();
        let (Some(given), None) = (given.next(), given.next()) else { return None };
        is_well_formed(given.as_bytes()).then(|| Self(given.clone()))
    }

    /// A name that no other request of any replica has: a random start, then one after the other.
    pub(super) fn new() -> Self {
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0)));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = HeaderValue::try_from(format!("{number:016x}"));
        // Digits are always a header value; the rest only has to be something.
        Self(name.unwrap_or(HeaderValue::from_static("0")))
    }

    /// For the answer.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

fn is_well_formed(name: &[u8]) -> bool {
    (1..=LONGEST).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brought(trusted: bool, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&X_REQUEST_ID, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let peer = Peer { ip: "192.0.2.1".parse().unwrap(), trusted, secure: false };
        RequestId::brought(peer, &headers).map(|id| id.to_string())
    }

    #[test]
    fn a_trusted_peers_name_is_taken_if_it_is_one() {
        for name in ["a", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "web_7.42", &"x".repeat(LONGEST)] {
            assert_eq!(brought(true, &[name]).as_deref(), Some(name));
            assert_eq!(brought(false, &[name]), None, "a stranger's");
            assert_eq!(brought(true, &[name, name]), None, "which of the two?");
        }
        for name in ["", " ", "a b", "a\"b", "a=b", "a\tb", "é", "198.51.100.7:80", &"x".repeat(LONGEST + 1)]
        {
            assert_eq!(brought(true, &[name]), None, "{name:?}");
        }
        assert_eq!(brought(true, &[]), None);
    }

    #[test]
    fn a_new_name_is_well_formed_and_nobody_elses() {
        let [one, other] = [RequestId::new(), RequestId::new()];
        assert_ne!(one, other);
        assert!(is_well_formed(one.to_string().as_bytes()) && one.to_string().len() == 16);
    }
}
