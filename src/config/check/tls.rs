//! `[server.tls]`: HTTPS beside plain HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use toml::Spanned;

use crate::config::Tls;
use crate::config::raw::Section;
use crate::config::values::{socket_address, switch, text};

/// As read. Its listener is checked against the others where all are known.
#[derive(Debug)]
pub(super) struct TlsDraft {
    /// Where it listens, if that is written.
    pub(super) listen: Option<Spanned<SocketAddr>>,
    /// All of it; `None`: a file is missing, which has been reported.
    pub(super) tls: Option<Tls>,
}

/// A relative path starts from `folder`.
pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> TlsDraft {
    let listen = section.get("listen", socket_address);
    let certificate = section.require("certificate", text).map(Spanned::into_inner);
    let key = section.require("key", text).map(Spanned::into_inner);
    let admin = section.get_or("admin", false, switch);
    let tls = certificate.zip(key).map(|(certificate, key)| Tls {
        listen: listen.as_ref().map_or(default_listen(), |listen| *listen.get_ref()),
        certificate: folder.join(certificate),
        key: folder.join(key),
        admin,
    });
    TlsDraft { listen, tls }
}

/// Where HTTPS listens if nothing is written.
pub(super) fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8443))
}
