//! A certificate chain with its key, out of PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode as _;

use super::provider;

/// A chain and its key, known to belong together.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// When it ends, Unix time, s.
    not_after: u64,
}

/// Why a certificate cannot be shown. Never says what is in a key file.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or is no PEM.
    #[error("server.tls: cannot read {}: {why}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is the matter with it.
        why: rustls::pki_types::pem::Error,
    },
    /// The file has no certificate in it.
    #[error("server.tls.certificate: {} has no certificate in it (-----BEGIN CERTIFICATE-----)", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// The file has no private key in it.
    #[error("server.tls.key: {} has no private key in it (-----BEGIN PRIVATE KEY-----)", path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// The first certificate of the file is not in the form of X.509.
    #[error("server.tls.certificate: the first certificate of {} cannot be understood", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// Both are sound and do not belong together, or the key is of a kind that is not supported.
    #[error("server.tls: {} and {} do not fit each other: {why}", certificate.display(), key.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// In rustls's words.
        why: rustls::Error,
    },
}

// === impl Certificate ===

impl Certificate {
    /// The chain of one file, the server's own certificate first, and the key of the other.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let chain = chain(certificate)?;
        let own =
            chain.first().ok_or_else(|| CertificateError::NoCertificate { path: certificate.into() })?;
        let malformed = || CertificateError::Malformed { path: certificate.into() };
        let parsed = x509_cert::Certificate::from_der(own).map_err(|_| malformed())?;
        let not_after = parsed.tbs_certificate.validity.not_after.to_unix_duration().as_secs();
        let private = private_key(key)?;
        let key = CertifiedKey::from_der(chain, private, &provider()).map_err(|why| {
            CertificateError::Mismatch { certificate: certificate.into(), key: key.into(), why }
        })?;
        Ok(Self { key: Arc::new(key), not_after })
    }

    /// When it ends, Unix time, s.
    #[must_use]
    pub fn not_after(&self) -> u64 {
        self.not_after
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let unreadable = |why| CertificateError::Unreadable { path: path.into(), why };
    let found = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    found.collect::<Result<_, _>>().map_err(unreadable)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_file(path).map_err(|why| match why {
        rustls::pki_types::pem::Error::NoItemsFound => CertificateError::NoKey { path: path.into() },
        why => CertificateError::Unreadable { path: path.into(), why },
    })
}
