//! Where a node's media is: URLs of streams.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::schedule::node::{Node, UrlHost};

/// What stands between a scheme and a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host<'a> {
    /// A node's address; IPv6 gets its brackets.
    Address(IpAddr),
    /// A name with `{id}` in it, and the node's id.
    Name(&'a str, &'a str),
}

/// Appends scheme, host and port; the scheme's own port is left out.
pub(super) fn base(url: &mut String, scheme: &str, host: Host<'_>, port: u16) {
    url.push_str(scheme);
    url.push_str("://");
    let _ = match host {
        Host::Address(ip) => write!(url, "{}", UrlHost(ip)),
        Host::Name(pattern, id) => {
            let (before, after) = pattern.split_once("{id}").unwrap_or((pattern, ""));
            write!(url, "{before}{}{after}", id.to_ascii_lowercase())
        }
    };
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        "rtmp" => 1935,
        _ => 0,
    };
    if port != usual {
        let _ = write!(url, ":{port}");
    }
}

/// A node's address for a client: of its own family if there is one.
pub(super) fn address(node: &Node, client: IpAddr) -> Option<IpAddr> {
    let same = node.addresses().find(|ip| ip.is_ipv4() == client.is_ipv4());
    same.or_else(|| node.addresses().next())
}

/// Appends text as it may stand in a path; slashes are kept.
pub(super) fn path(url: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&byte) {
            true => url.push(char::from(byte)),
            false => _ = write!(url, "%{byte:02X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scheme: &str, host: Host<'_>, port: u16, url: &str) {
        let mut written = String::new();
        base(&mut written, scheme, host, port);
        assert_eq!(written, url);
    }

    #[test]
    fn hosts_are_written_as_urls_want_them() {
        let ip = |text: &str| Host::Address(text.parse().unwrap());
        check("http", ip("203.0.113.10"), 8080, "http://203.0.113.10:8080");
        check("http", ip("203.0.113.10"), 80, "http://203.0.113.10");
        check("https", ip("2001:db8::10"), 443, "https://[2001:db8::10]");
        check("https", ip("2001:db8::10"), 80, "https://[2001:db8::10]:80");
        check("rtmp", ip("203.0.113.10"), 1935, "rtmp://203.0.113.10");
        let name = Host::Name("{id}.edges.example.com", "SH-1");
        check("https", name, 8443, "https://sh-1.edges.example.com:8443");
    }

    #[test]
    fn what_a_path_may_not_hold_is_escaped() {
        let mut url = String::new();
        path(&mut url, "live/a b?#%ü+1");
        assert_eq!(url, "live/a%20b%3F%23%25%C3%BC+1");
    }
}
