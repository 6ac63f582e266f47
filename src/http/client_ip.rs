//! Whose question it is: the TCP peer, unless a trusted proxy names another.
//!
//! Exactly one header is read, chosen by configuration, and only from peers in `trusted_proxies`. It is walked
//! from right to left, because only the right end was written by somebody we trust: trusted hops are passed,
//! the first other address is the client. A token that is no address stops the walk at the last good one;
//! whatever stands left of it may be anybody's invention.

use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use super::problem::Problem;
use crate::config::{ClientAddressHeader, LoggedAddresses, Server};
use crate::telemetry::mask;

/// Hops looked at before the walk gives up. A chain that long is an attack or a loop.
const MOST_HOPS: usize = 32;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of a connection. Worked out once per connection, not per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; IPv4 inside IPv6 is IPv4.
    pub ip: IpAddr,
    /// Whether it may name the client, in the header or in `ip=`.
    pub trusted: bool,
    /// Whether it speaks TLS with us.
    pub secure: bool,
}

/// Whom to believe, and which header.
#[derive(Clone, Debug)]
pub struct ClientRule {
    trusted: Box<[IpNet]>,
    header: ClientAddressHeader,
    logged: LoggedAddresses,
}

// === impl ClientRule ===

impl ClientRule {
    /// The rule of a configuration.
    #[must_use]
    pub fn new(server: &Server) -> Self {
        Self {
            trusted: server.trusted_proxies.clone().into(),
            header: server.client_address_header,
            logged: server.log_client_addresses,
        }
    }

    /// Who a TCP peer is.
    #[must_use]
    pub fn peer(&self, address: SocketAddr) -> Peer {
        let ip = address.ip().to_canonical();
        Peer { ip, trusted: self.trusts(ip), secure: false }
    }

    /// The client that a trusted peer speaks for.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        match self.header {
            ClientAddressHeader::XForwardedFor => {
                let lines = headers.get_all(&X_FORWARDED_FOR).iter().rev();
                self.walk(peer, lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',').map(hop)))
            }
            ClientAddressHeader::Forwarded => {
                let lines = headers.get_all(http::header::FORWARDED).iter().rev();
                self.walk(peer, lines.flat_map(|line| forwarded(line.as_bytes())))
            }
            ClientAddressHeader::XRealIp => {
                let mut lines = headers.get_all(&X_REAL_IP).iter();
                match (lines.next(), lines.next()) {
                    (Some(line), None) => hop(line.as_bytes()).unwrap_or(peer),
                    // Two lines: one of them was not written by the proxy, and nothing tells which.
                    _ => peer,
                }
            }
        }
    }

    /// A client's address as it may stand in the log.
    #[must_use]
    pub fn shown(&self, client: IpAddr) -> String {
        match self.logged {
            LoggedAddresses::Masked => mask::network(client).to_string(),
            LoggedAddresses::Full => client.to_string(),
        }
    }

    /// Hops come nearest first; `None` is a token that is no address.
    fn walk(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut nearest = peer;
        for hop in hops.take(MOST_HOPS) {
            let Some(hop) = hop else { return nearest };
            nearest = hop;
            if !self.trusts(hop) {
                return hop;
            }
        }
        nearest
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&ip))
    }
}

// === impl Peer ===

impl Peer {
    /// Whether the client asks by TLS: on this connection, or as a trusted proxy says, in exactly one header.
    pub(super) fn asks_by_tls(self, headers: &HeaderMap) -> bool {
        let mut said = headers.get_all(&X_FORWARDED_PROTO).iter();
        let said = match (said.next(), said.next()) {
            (Some(said), None) if self.trusted => said,
            _ => return self.secure,
        };
        // Proxies behind one another append; the last one is ours.
        let hop = said.as_bytes().rsplit(|byte| *byte == b',').next().unwrap_or_default();
        hop.trim_ascii().eq_ignore_ascii_case(b"https")
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        // The accept loops put it there; a router served without them must not guess.
        parts.extensions.get::<Self>().copied().ok_or_else(Problem::internal)
    }
}

/// One hop. Bytes, because a client may put anything into a header, and a proxy appends to it.
fn hop(token: &[u8]) -> Option<IpAddr> {
    address(std::str::from_utf8(token).ok()?)
}

/// An address, with or without port, IPv6 with or without brackets.
fn address(token: &str) -> Option<IpAddr> {
    let token = token.trim_matches([' ', '\t']);
    let bare = match token.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            // In brackets only IPv6 may stand, and behind them only a port.
            let is_port = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
            return (is_port && inside.contains(':')).then(|| inside.parse().ok()).flatten().map(canonical);
        }
        None => match token.split_once(':') {
            Some((before, port)) if is_port(port) && before.contains('.') => before,
            _ => token,
        },
    };
    bare.parse().ok().map(canonical)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// The `for` addresses of one RFC 7239 line, last element first.
fn forwarded(line: &[u8]) -> impl Iterator<Item = Option<IpAddr>> + use<'_> {
    let mut elements = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (element, after) = split_unquoted(text, b',');
        elements.push(element);
        rest = after;
    }
    elements.into_iter().rev().map(|element| forwarded_for(std::str::from_utf8(element?).ok()?))
}

/// The address in the one `for=` of an element.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = Some(element.as_bytes());
    while let Some(text) = rest {
        let (pair, after) = split_unquoted(text, b';');
        let (name, value) = std::str::from_utf8(pair?).ok()?.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            let value = value.trim();
            let bare = match value.strip_prefix('"') {
                Some(quoted) => quoted.strip_suffix('"')?,
                None => value,
            };
            found = Some(address(bare)?);
        }
        rest = after;
    }
    found
}

/// Splits at the first separator outside quotes. `(None, _)`: a quote never ends, so nothing in it counts.
fn split_unquoted(text: &[u8], separator: u8) -> (Option<&[u8]>, Option<&[u8]>) {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.iter().copied().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => return (Some(&text[..at]), Some(&text[at + 1..])),
            _ => {}
        }
    }
    ((!quoted).then_some(text), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn rule(header: ClientAddressHeader) -> ClientRule {
        let trusted = ["127.0.0.0/8", "10.0.0.0/8", "2001:db8:1::/48"];
        let trusted = trusted.iter().map(|net| net.parse().unwrap()).collect();
        ClientRule { trusted, header, logged: LoggedAddresses::Masked }
    }

    #[track_caller]
    fn check(header: ClientAddressHeader, lines: &[(&'static str, &str)], expected: &str) {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(*name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let got = rule(header).client("10.0.0.1".parse().unwrap(), &headers);
        assert_eq!(got, expected.parse::<IpAddr>().unwrap(), "{lines:?}");
    }

    #[track_caller]
    fn check_xff(lines: &[&str], expected: &str) {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        check(ClientAddressHeader::XForwardedFor, &lines, expected);
    }

    #[track_caller]
    fn check_forwarded(lines: &[&str], expected: &str) {
        let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        check(ClientAddressHeader::Forwarded, &lines, expected);
    }

    #[test]
    fn forwarded_for_is_walked_from_right_to_left() {
        check_xff(&[], "10.0.0.1");
        check_xff(&["198.51.100.7"], "198.51.100.7");
        check_xff(&["198.51.100.7, 10.0.0.2"], "198.51.100.7");
        check_xff(&["192.0.2.66, 198.51.100.7, 10.0.0.2,10.0.0.3"], "198.51.100.7");
        check_xff(&["192.0.2.66", "198.51.100.7", "10.0.0.2"], "198.51.100.7");
        check_xff(&["10.0.0.9, 10.0.0.2"], "10.0.0.9");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        check_xff(&["198.51.100.7:4711"], "198.51.100.7");
        check_xff(&["[2001:db8::7]:4711"], "2001:db8::7");
        check_xff(&["[2001:db8::7]"], "2001:db8::7");
        check_xff(&["2001:db8::7"], "2001:db8::7");
        check_xff(&["::ffff:198.51.100.7"], "198.51.100.7");
        check_xff(&["198.51.100.7, ::ffff:10.0.0.2"], "198.51.100.7");
        check_xff(&["198.51.100.7,\t2001:db8:1::5 "], "198.51.100.7");
    }

    /// What attackers write, and what must come out.
    #[test]
    fn a_bad_token_stops_the_walk_at_the_last_good_address() {
        for bad in [
            "unknown",
            "",
            " ",
            "198.51.100.7:",
            "198.51.100.7:123456",
            "198.51.100.7:x",
            "1.2.3",
            "010.0.0.1",
            "[198.51.100.7]",
            "[2001:db8::7",
            "[2001:db8::7]x",
            "2001:db8::7]:1",
            "fe80::1%eth0",
            "\"198.51.100.7\"",
            "198.51.100.7 198.51.100.8",
            "é",
        ] {
            check_xff(&[&format!("192.0.2.66, {bad}, 10.0.0.2")], "10.0.0.2");
            check_xff(&[bad], "10.0.0.1");
        }
        check_xff(&["198.51.100.7,"], "10.0.0.1");
    }

    #[test]
    fn a_chain_over_32_hops_ends_at_the_32nd() {
        let mut chain: Vec<String> = (1..=40).rev().map(|hop| format!("10.0.1.{hop}")).collect();
        chain.insert(0, "198.51.100.7".to_owned());
        check_xff(&[&chain.join(",")], "10.0.1.32");
    }

    #[test]
    fn only_the_configured_header_is_read() {
        check(ClientAddressHeader::XForwardedFor, &[("x-real-ip", "198.51.100.7")], "10.0.0.1");
        check(ClientAddressHeader::Forwarded, &[("x-forwarded-for", "198.51.100.7")], "10.0.0.1");
        check(ClientAddressHeader::XRealIp, &[("x-forwarded-for", "198.51.100.7")], "10.0.0.1");
        check(ClientAddressHeader::XRealIp, &[("x-real-ip", "198.51.100.7")], "198.51.100.7");
        let twice = [("x-real-ip", "198.51.100.7"), ("x-real-ip", "198.51.100.8")];
        check(ClientAddressHeader::XRealIp, &twice, "10.0.0.1");
    }

    #[test]
    fn rfc_7239_elements_are_understood() {
        check_forwarded(&["for=198.51.100.7"], "198.51.100.7");
        check_forwarded(&["For=\"[2001:db8::17]:4711\""], "2001:db8::17");
        check_forwarded(
            &["for=192.0.2.66, for=198.51.100.7;proto=https;by=10.0.0.1, for=10.0.0.2"],
            "198.51.100.7",
        );
        check_forwarded(&["for=192.0.2.66", "for=198.51.100.7, for=10.0.0.2"], "198.51.100.7");
        check_forwarded(&["by=\"a,b;c\";for=198.51.100.7"], "198.51.100.7");
        for bad in [
            "for=unknown",
            "for=_hidden",
            "proto=https",
            "for",
            "for=1.1.1.1;for=1.1.1.2",
            "for=\"198.51.100.7",
            "é",
        ] {
            check_forwarded(&[bad], "10.0.0.1");
            check_forwarded(&["for=192.0.2.66", bad, "for=10.0.0.2"], "10.0.0.2");
        }
    }

    #[test]
    fn a_peer_is_trusted_by_its_canonical_address() {
        let rule = rule(ClientAddressHeader::XForwardedFor);
        assert!(rule.peer("[::ffff:127.0.0.1]:9".parse().unwrap()).trusted);
        assert!(!rule.peer("198.51.100.7:9".parse().unwrap()).trusted);
    }
}
