//! `[server]`: listeners and whom we trust.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use toml::Spanned;

use super::tls;
use crate::config::raw::Section;
use crate::config::report::Span;
use crate::config::values::{duration, integer, network, socket_address, text, word};
use crate::config::{ClientAddressHeader, LoggedAddresses, Server};

/// Most player-side threads.
const MOST_WORKERS: u32 = 256;
/// Longest time between a signal to stop and the end of the listeners, ms.
const LONGEST_DRAIN_MS: u64 = 600_000;

/// A listener as written, or its default.
struct Door {
    key: &'static str,
    address: SocketAddr,
    /// Where it is written; `None`: it is the default.
    span: Option<Span>,
}

/// A relative path starts from `folder`.
pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> Server {
    let default = Server::default();
    let listen = section.get("listen", socket_address);
    let admin_listen = section.get("admin_listen", socket_address);
    let admin_token_file = section.get("admin_token_file", text);
    let tls = section.table_if_any("tls", |section| tls::read(section, folder)).map(Spanned::into_inner);
    // One that is there and wrong was reported already: the token is not missing.
    let is_guarded = admin_token_file.is_some() || section.has("admin_token_file");
    let is_closed = is_guarded || check_reach(section, admin_listen.as_ref());
    let mut doors = Vec::with_capacity(3);
    doors.extend(Door::of(section, "listen", listen.as_ref(), default.listen));
    if is_closed {
        doors.extend(Door::of(section, "admin_listen", admin_listen.as_ref(), default.admin_listen));
    }
    if let Some(tls) = &tls {
        let address = tls.listen.as_ref().map_or(tls::default_listen(), |listen| *listen.get_ref());
        let span = tls.listen.as_ref().map(Spanned::span);
        doors.push(Door { key: "tls.listen", address, span });
    }
    check_doors(section, &doors);
    let proxies = section.list("trusted_proxies", network).map(Spanned::into_inner);
    let headers = word(&ClientAddressHeader::ALL, ClientAddressHeader::as_str);
    Server {
        listen: listen.map_or(default.listen, Spanned::into_inner),
        admin_listen: admin_listen.map_or(default.admin_listen, Spanned::into_inner),
        trusted_proxies: proxies
            .map_or(default.trusted_proxies, |list| list.into_iter().map(Spanned::into_inner).collect()),
        client_address_header: section.get_or(
            "client_address_header",
            default.client_address_header,
            headers,
        ),
        log_client_addresses: section.get_or(
            "log_client_addresses",
            default.log_client_addresses,
            word(&LoggedAddresses::ALL, LoggedAddresses::as_str),
        ),
        workers: section.get_or("workers", 0, integer(0..=MOST_WORKERS)) as usize,
        admin_token_file: admin_token_file.map(|path| folder.join(path.into_inner())),
        drain_delay_ms: section.get_or("drain_delay", 0, duration(0..=LONGEST_DRAIN_MS)),
        tls: tls.and_then(|draft| draft.tls),
    }
}

/// Whether the operators' side, which asks for no token, stays on loopback.
fn check_reach(section: &Section<'_>, admin_listen: Option<&Spanned<SocketAddr>>) -> bool {
    let Some(admin) = admin_listen.filter(|admin| !admin.get_ref().ip().to_canonical().is_loopback()) else {
        return true;
    };
    section.report().error(
        &admin.span(),
        format!(
            "admin_listen: {} can be reached from outside, and whoever reaches it sees the whole fleet: \
             expected admin_token_file beside it, or a loopback address such as \"127.0.0.1:{}\"",
            admin.get_ref(),
            admin.get_ref().port()
        ),
    );
    false
}

/// Each listener needs a socket of its own.
fn check_doors(section: &Section<'_>, doors: &[Door]) {
    let report = section.report();
    for (at, door) in doors.iter().enumerate() {
        let Some(other) = doors[..at].iter().find(|other| collide(other.address, door.address)) else {
            continue;
        };
        match (&other.span, &door.span) {
            (Some(first), Some(second)) => report.clash(
                second,
                format!("{}: {} is taken by {} already", door.key, door.address, other.key),
                (first, other.key),
            ),
            (None, Some(written)) => report.error(written, door.taken_by(other)),
            (Some(written), None) => report.error(written, other.taken_by(door)),
            (None, None) => {}
        }
    }
}

/// Whether the second of the two cannot be bound. Port 0 is a fresh port each time.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_address = a.ip().to_canonical() == b.ip().to_canonical();
    a.port() == b.port()
        && a.port() != 0
        && (same_address || covers(a.ip(), b.ip()) || covers(b.ip(), a.ip()))
}

/// Whether `any` is the unspecified address and takes `other` with it; `::` takes IPv4, too.
fn covers(any: IpAddr, other: IpAddr) -> bool {
    any.is_unspecified() && (any.is_ipv6() || other.is_ipv4())
}

// === impl Door ===

impl Door {
    /// A listener; `None`: it is there and wrong, which was reported, and its default would prove nothing.
    fn of(
        section: &Section<'_>,
        key: &'static str,
        written: Option<&Spanned<SocketAddr>>,
        default: SocketAddr,
    ) -> Option<Self> {
        match written {
            Some(written) => Some(Self { key, address: *written.get_ref(), span: Some(written.span()) }),
            None if section.has(key) => None,
            None => Some(Self { key, address: default, span: None }),
        }
    }

    /// What is wrong with it if `other` is where nobody wrote anything.
    fn taken_by(&self, other: &Self) -> String {
        format!("{}: {} is taken by {} ({} by default)", self.key, self.address, other.key, other.address)
    }
}

// === impl Server ===

impl Default for Server {
    fn default() -> Self {
        let v4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        let v6 = Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128);
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            trusted_proxies: vec![IpNet::V4(v4), IpNet::V6(v6)],
            client_address_header: ClientAddressHeader::default(),
            log_client_addresses: LoggedAddresses::default(),
            workers: 0,
            admin_token_file: None,
            drain_delay_ms: 0,
            tls: None,
        }
    }
}

// === impl ClientAddressHeader ===

impl ClientAddressHeader {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::XForwardedFor, Self::Forwarded, Self::XRealIp];

    /// The word used in configuration: the header's name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
            Self::XRealIp => "x-real-ip",
        }
    }
}

// === impl LoggedAddresses ===

impl LoggedAddresses {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Masked, Self::Full];

    /// The word used in configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Masked => "masked",
            Self::Full => "full",
        }
    }
}
