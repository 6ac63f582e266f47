//! TLS for listeners: which certificate is shown, and how it is replaced without losing a connection.
//!
//! One `rustls` configuration serves the whole process: TLS 1.2 and 1.3 only, HTTP/2 and HTTP/1.1 by ALPN, no early
//! data (a replayed question would be booked twice). The certificate is looked up at each handshake, so a renewed one
//! counts from the next connection on; connections that are open keep what they agreed upon.
//!
//! What cannot be used is refused when it is loaded, by the name of its file: no certificate in it, no key in it, or
//! a key of another certificate. One that has expired is shown all the same, with a warning: players that do not check
//! go on, and a service that refused to start would answer nobody.

mod certificate;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsAcceptor;

pub use self::certificate::{Certificate, CertificateError};

/// What ALPN offers, the preferred first.
const PROTOCOLS: [&[u8]; 2] = [H2, b"http/1.1"];
/// HTTP/2's name in ALPN (RFC 9113 §3.1).
pub(super) const H2: &[u8] = b"h2";

/// TLS as all listeners of a process speak it. Clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    shown: Arc<Shown>,
}

/// The certificate in force.
#[derive(Debug)]
struct Shown(ArcSwap<CertifiedKey>);

// === impl Tls ===

impl Tls {
    /// TLS that shows this certificate.
    ///
    /// # Errors
    /// The machine gives no random numbers for session tickets.
    pub fn new(certificate: &Certificate) -> Result<Self, rustls::Error> {
        let shown = Arc::new(Shown(ArcSwap::new(Arc::clone(&certificate.key))));
        let resolver = Arc::clone(&shown) as Arc<dyn ResolvesServerCert>;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        // A player that comes back with its ticket saves the signature, most of what a handshake costs.
        config.ticketer = Ticketer::new()?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), shown })
    }

    /// From the next handshake on, this certificate is shown.
    pub fn show(&self, certificate: &Certificate) {
        self.shown.0.store(Arc::clone(&certificate.key));
    }

    /// An acceptor that shows the same certificate, replaced with it, for another protocol: its name in ALPN.
    #[must_use]
    pub fn speaking(&self, protocol: &[u8]) -> TlsAcceptor {
        let mut config = (**self.acceptor.config()).clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

// === impl Shown ===

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

#[cfg(test)]
mod tests;
