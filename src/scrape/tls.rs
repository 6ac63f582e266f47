//! How exporters are known by an authority of one's own, and we by a certificate of ours.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::credentials::{BadFile, bad, pem};
use crate::config::{ClientFiles, ExporterTls, KeyFile};

/// What was read from the files of [`ExporterTls`], found to fit together.
#[derive(Debug, PartialEq)]
pub(super) struct Identification {
    authorities: Vec<CertificateDer<'static>>,
    server_name: Option<ServerName<'static>>,
    /// Our certificate with its intermediates, and its key.
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// Asks for one name, whatever host is connected to: fleets are listed by address, certificates by name.
#[derive(Debug)]
struct NamedVerifier {
    verifier: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

// === impl Identification ===

impl Identification {
    /// Reads the files.
    ///
    /// # Errors
    /// All of them that cannot be used.
    pub(super) fn open(tls: &ExporterTls) -> Result<Self, Vec<BadFile>> {
        let mut wrong = Vec::new();
        let authorities = certificates(&tls.ca).map_err(|error| wrong.push(error)).ok();
        let client = tls.client.as_ref().map(|files| open_client(files, &mut wrong));
        let (Some(authorities), true) = (authorities, wrong.is_empty()) else { return Err(wrong) };
        // A domain name that was checked is always one.
        let server_name =
            tls.server_name.as_deref().and_then(|name| ServerName::try_from(name.to_owned()).ok());
        let opened = Self { authorities, server_name, client: client.flatten() };
        let roots =
            opened.roots().map_err(|error| vec![bad(&tls.ca, &format!("cannot be used: {error}"))])?;
        let file = tls.client.as_ref().map_or(&tls.ca, |client| &client.key);
        match opened.config_from(roots) {
            Ok(_) => Ok(opened),
            Err(error) => Err(vec![bad(file, &format!("cannot be used: {error}"))]),
        }
    }

    /// The side of a connection that is ours.
    pub(super) fn config(&self) -> Result<ClientConfig, Error> {
        self.config_from(self.roots()?)
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        for authority in &self.authorities {
            roots.add(authority.clone())?;
        }
        Ok(roots)
    }

    fn config_from(&self, roots: RootCertStore) -> Result<ClientConfig, Error> {
        let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        let verifier: Arc<dyn ServerCertVerifier> = match self.server_name.clone() {
            Some(name) => Arc::new(NamedVerifier { verifier, name }),
            None => verifier,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        match &self.client {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key()),
            None => Ok(builder.with_no_client_auth()),
        }
    }
}

fn open_client(
    files: &ClientFiles,
    wrong: &mut Vec<BadFile>,
) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let mut keep = |error| wrong.push(error);
    let chain = certificates(&files.certificate).map_err(&mut keep);
    let key = pem(&files.key).and_then(|pem| {
        // What the parser says may repeat a line of the file.
        PrivateKeyDer::from_pem_slice(&pem).map_err(|_| bad(&files.key, "has no private key in PEM in it"))
    });
    chain.ok().zip(key.map_err(&mut keep).ok())
}

/// The certificates of a PEM file, one at least.
fn certificates(file: &KeyFile) -> Result<Vec<CertificateDer<'static>>, BadFile> {
    let pem = pem(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(bad(file, "has no certificate in PEM in it")),
        Ok(found) => Ok(found),
        Err(_) => Err(bad(file, "is broken PEM")),
    }
}

// === impl NamedVerifier ===

impl ServerCertVerifier for NamedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _connected_to: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
