//! Errors of the HTTP client as probe failures, in words that fit a dashboard.
//!
//! Three rules. Words never hold a URL, because a URL may hold a password. And a fault of our own (no file
//! descriptor, no port) is never "connect": that would speak against every machine at once. Nor is a TLS failure: somebody
//! is there, and one authority that has expired would bury a fleet.

use std::error::Error;
use std::io;

use super::access::NotAllowed;
use crate::schedule::reading::ProbeFailure;

/// Before an answer came.
pub(super) fn of_request(error: &reqwest::Error, timeout_ms: u64) -> ProbeFailure {
    if error.is_timeout() {
        return ProbeFailure::Timeout(timeout_ms);
    }
    if let Some(words) = find::<io::Error>(error).and_then(our_side) {
        return ProbeFailure::Http(words);
    }
    if let Some(NotAllowed(ip)) = find::<NotAllowed>(error) {
        return ProbeFailure::NotAllowed(*ip);
    }
    if error.is_dns() {
        return ProbeFailure::Connect(format!("dns: {}", root(error)));
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return ProbeFailure::Http(format!("tls: {tls}"));
    }
    if let Some(words) = find::<io::Error>(error).and_then(network) {
        return ProbeFailure::Connect(words.into());
    }
    match find::<hyper::Error>(error) {
        Some(error) if error.is_incomplete_message() => ProbeFailure::Connect(CLOSED.into()),
        Some(error) if error.is_parse() => ProbeFailure::Http("answer is not HTTP".into()),
        _ if error.is_connect() => ProbeFailure::Connect(root(error).to_string()),
        _ => ProbeFailure::Http(root(error).to_string()),
    }
}

/// While the body came.
pub(super) fn of_body(error: &reqwest::Error, timeout_ms: u64) -> ProbeFailure {
    if error.is_timeout() {
        return ProbeFailure::Timeout(timeout_ms);
    }
    let ended = find::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
    if ended || find::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message) {
        return ProbeFailure::Http("body ends early".into());
    }
    if let Some(words) = find::<io::Error>(error).and_then(network) {
        return ProbeFailure::Http(format!("body: {words}"));
    }
    if error.is_decode() {
        return ProbeFailure::Http(format!("body cannot be decoded: {}", root(error)));
    }
    ProbeFailure::Http(format!("body: {}", root(error)))
}

/// Whether the connection broke before a word of an answer: then it may only have been an idle one that the other
/// side had just given up, and asking once more tells.
pub(super) fn is_worth_a_second_try(failure: &ProbeFailure) -> bool {
    matches!(failure, ProbeFailure::Connect(words) if words == CLOSED || words == RESET)
}

const CLOSED: &str = "closed without an answer";
const RESET: &str = "reset";

/// The last cause: the first ones repeat each other, and reqwest's own says the URL.
pub(super) fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last
}

/// The innermost cause of some type.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(cause) = next {
        found = cause.downcast_ref().or(found);
        // An I/O error may wrap another error, that one a third, and yet not call it its source.
        let mut wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        while let Some(inner) = wrapped {
            found = inner.downcast_ref().or(found);
            wrapped = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        }
        next = cause.source();
    }
    found
}

/// Failures of the network in one word.
fn network(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some("refused"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            Some(RESET)
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Some("unreachable"),
        // The kernel's own patience ended (no answer to any SYN), or no host answered an ARP request.
        io::ErrorKind::TimedOut => Some("no answer"),
        _ => None,
    }
}

/// Failures that say nothing of the target.
fn our_side(error: &io::Error) -> Option<String> {
    // EMFILE and ENFILE have no stable kind; ENOMEM and ENOBUFS are rare but alike. Numbers of Linux and the BSDs.
    let exhausted = matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105));
    let no_port = error.kind() == io::ErrorKind::AddrNotAvailable;
    (exhausted || no_port).then(|| format!("our side: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_exhaustion_never_speaks_against_the_target() {
        for code in [12, 23, 24, 99, 105] {
            let error = io::Error::from_raw_os_error(code);
            assert!(our_side(&error).unwrap().starts_with("our side: "), "{error}");
        }
        assert_eq!(our_side(&io::Error::from_raw_os_error(111)), None);
    }

    #[test]
    fn a_wrapped_cause_is_found() {
        let inner = io::Error::from(io::ErrorKind::ConnectionRefused);
        let outer = io::Error::other(inner);
        assert_eq!(find::<io::Error>(&outer).and_then(network), Some("refused"));
        let tls = io::Error::other(io::Error::other(rustls::Error::HandshakeNotComplete));
        assert_eq!(find(&tls), Some(&rustls::Error::HandshakeNotComplete));
    }
}
