//! `[server]`: listeners and whom we trust.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use toml::Spanned;

use crate::config::raw::Section;
use crate::config::values::{integer, network, socket_address, text, word};
use crate::config::{ClientAddressHeader, Server};

/// Most player-side threads.
const MOST_WORKERS: u32 = 256;

/// A relative path starts from `folder`.
pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> Server {
    let default = Server::default();
    let listen = section.get("listen", socket_address);
    let admin_listen = section.get("admin_listen", socket_address);
    let admin_token_file = section.get("admin_token_file", text);
    // One that is there and wrong was reported already: the token is not missing.
    let is_guarded = admin_token_file.is_some() || section.has("admin_token_file");
    check_listeners(section, listen.as_ref(), admin_listen.as_ref(), is_guarded, &default);
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
        workers: section.get_or("workers", 0, integer(0..=MOST_WORKERS)) as usize,
        admin_token_file: admin_token_file.map(|path| folder.join(path.into_inner())),
    }
}

/// The operators' side stays on loopback unless it asks for a token, and the two sides need a socket each.
fn check_listeners(
    section: &Section<'_>,
    listen: Option<&Spanned<SocketAddr>>,
    admin_listen: Option<&Spanned<SocketAddr>>,
    is_guarded: bool,
    default: &Server,
) {
    let report = section.report();
    let admin = admin_listen.map_or(default.admin_listen, |admin| *admin.get_ref());
    let is_open = !is_guarded && !admin.ip().to_canonical().is_loopback();
    if let Some(span) = admin_listen.map(Spanned::span).filter(|_| is_open) {
        report.error(
            &span,
            format!(
                "admin_listen: {admin} can be reached from outside, and whoever reaches it sees the whole fleet: \
                 expected admin_token_file beside it, or a loopback address such as \"127.0.0.1:{}\"",
                admin.port()
            ),
        );
        return;
    }
    let player = listen.map_or(default.listen, |listen| *listen.get_ref());
    // One that is there and wrong was reported already; its default proves nothing.
    let unreadable =
        listen.is_none() && section.has("listen") || admin_listen.is_none() && section.has("admin_listen");
    if unreadable || !collide(player, admin) {
        return;
    }
    match (listen, admin_listen) {
        (Some(listen), Some(admin_listen)) => report.clash(
            &admin_listen.span(),
            format!("admin_listen: {admin} is taken by listen already"),
            (&listen.span(), "listen"),
        ),
        (_, Some(written)) => {
            report.error(
                &written.span(),
                format!("admin_listen: {admin} is taken by listen ({player} by default)"),
            );
        }
        (Some(written), None) => {
            report.error(
                &written.span(),
                format!("listen: {player} is taken by admin_listen ({admin} by default)"),
            );
        }
        (None, None) => {}
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
            workers: 0,
            admin_token_file: None,
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
