//! What is shown to exporters that do not answer everybody, and to which.
//!
//! *Why by host and not by node*: a node may come from elsewhere than this file. If it could name the credentials to be
//! used, whoever names nodes could have them sent to a host of his own. So credentials name the hosts.

use std::path::PathBuf;

use ipnet::IpNet;
use reqwest::Url;

use super::networks::literal_address;

/// One `[[scrape.credentials]]`. At least one of `authorization` and `tls` is set.
#[derive(Clone, Debug, PartialEq)]
pub struct Credentials {
    /// For which targets.
    pub scope: Scope,
    /// What is sent with every request; `None`: nothing.
    pub authorization: Option<Authorization>,
    /// How the exporter is known over `https://`; `None`: as by everybody, by the system's authorities.
    pub tls: Option<ExporterTls>,
}

/// Which targets credentials are for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Any of these.
    pub hosts: Vec<Host>,
    /// And one of these ports; empty: any.
    pub ports: Vec<u16>,
    /// Also over `http://`, where whoever is on the way reads along; default false.
    pub allow_http: bool,
}

/// What a URL's host has to be. Names are compared as written: what they resolve to is for others to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Host {
    /// This name, lower case, no trailing dot.
    Name(Box<str>),
    /// Any name below this one, as `*.` before it says.
    Below(Box<str>),
    /// A literal address in this network.
    In(IpNet),
}

/// The `Authorization` header.
#[derive(Clone, Debug, PartialEq)]
pub enum Authorization {
    /// A token.
    Bearer(KeyFile),
    /// A name and a password.
    Basic {
        /// The name.
        username: Box<str>,
        /// Where the password is.
        password: KeyFile,
    },
}

/// An authority of one's own.
#[derive(Clone, Debug, PartialEq)]
pub struct ExporterTls {
    /// Certificates that the exporter's has to come from, PEM.
    pub ca: KeyFile,
    /// The name that the exporter's certificate has to be for; `None`: its URL's host.
    pub server_name: Option<Box<str>>,
    /// Our own certificate, its intermediates and its key, PEM.
    pub client: Option<ClientFiles>,
}

/// Who we are.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientFiles {
    /// Certificate first, then its intermediates.
    pub certificate: KeyFile,
    /// Its key.
    pub key: KeyFile,
}

/// A file that the configuration names and does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The key that names it, as in `ca_file`.
    pub key: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// The line of the configuration that says so.
    pub line: usize,
}

// === impl Credentials ===

impl Credentials {
    /// All files that it rests on.
    pub fn files(&self) -> impl Iterator<Item = &KeyFile> {
        let secret = self.authorization.iter().map(|authorization| match authorization {
            Authorization::Bearer(file) | Authorization::Basic { password: file, .. } => file,
        });
        let tls = self.tls.iter().flat_map(|tls| {
            std::iter::once(&tls.ca)
                .chain(tls.client.iter().flat_map(|client| [&client.certificate, &client.key]))
        });
        secret.chain(tls)
    }
}

// === impl Scope ===

impl Scope {
    /// Whether a URL is within.
    #[must_use]
    pub fn has(&self, url: &Url) -> bool {
        self.allows_scheme(url) && self.has_place(url)
    }

    /// Whether it would be, if it were not for `http://`.
    #[must_use]
    pub fn withholds(&self, url: &Url) -> bool {
        !self.allows_scheme(url) && self.has_place(url)
    }

    fn allows_scheme(&self, url: &Url) -> bool {
        url.scheme() == "https" || self.allow_http
    }

    fn has_place(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        (self.ports.is_empty() || port.is_some_and(|port| self.ports.contains(&port)))
            && self.hosts.iter().any(|host| host.is_of(url))
    }
}

// === impl Host ===

impl Host {
    fn is_of(&self, url: &Url) -> bool {
        let ip = literal_address(url);
        // The parser has put it in lower case.
        let name = url.host_str().filter(|_| ip.is_none()).map(|name| name.strip_suffix('.').unwrap_or(name));
        match self {
            Self::Name(wanted) => name == Some(&**wanted),
            Self::Below(parent) => name
                .and_then(|name| name.strip_suffix(&**parent))
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            Self::In(network) => ip.is_some_and(|ip| network.contains(&ip)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(scope: &Scope, url: &str) -> bool {
        scope.has(&Url::parse(url).unwrap())
    }

    #[test]
    fn credentials_stay_with_their_hosts() {
        let hosts = vec![
            Host::Name("edge.example.net".into()),
            Host::Below("pop.example.net".into()),
            Host::In("10.0.0.0/8".parse().unwrap()),
        ];
        let scope = Scope { hosts, ..Scope::default() };
        let inside = [
            "https://edge.example.net/metrics",
            "https://EDGE.example.net.:9100/",
            "https://a.pop.example.net/",
            "https://a.b.pop.example.net/",
            "https://10.1.2.3:9100/",
            "https://[::ffff:10.1.2.3]/",
            "https://0x0a010203/",
        ];
        for url in inside {
            assert!(has(&scope, url), "{url}");
        }
        let outside = [
            "http://edge.example.net/metrics",
            "https://edge.example.net.evil.example/",
            "https://evil-edge.example.net/",
            "https://pop.example.net/",
            "https://evilpop.example.net/",
            "https://.pop.example.net/",
            "https://edge.example.net@192.0.2.1/",
            "https://11.0.0.1/",
            "https://10.0.0.1.evil.example/",
            "https://[2001:db8::1]/",
        ];
        for url in outside {
            assert!(!has(&scope, url), "{url}");
        }
    }

    #[test]
    fn ports_and_plain_http_count_where_they_are_said() {
        let hosts = vec![Host::Name("edge.example.net".into())];
        let scope = Scope { hosts, ports: vec![443, 9100], allow_http: true };
        assert!(has(&scope, "https://edge.example.net/") && has(&scope, "http://edge.example.net:9100/"));
        assert!(!has(&scope, "http://edge.example.net/") && !has(&scope, "https://edge.example.net:9101/"));
    }
}
