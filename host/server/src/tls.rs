//! The server's TLS certificate.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bg_server_trust::CertificateDigest;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// A certificate and its key, ready for use.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: CertificateDigest,
}

/// Why a certificate or its key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of the certificate can't be read, or contains none.
    #[error("cannot use the certificate {}: {problem}; expected PEM, with the server's own certificate \
        first", path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file of the key can't be read, or contains none.
    #[error("cannot use the certificate's key {}: {problem}; expected an unencrypted private key as \
        PEM", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The key does not match the certificate.
    #[error("the certificate and the key cannot be used together: {0}")]
    Pair(#[from] rustls::Error),
}

impl Tls {
    /// Reads PEM files: a certificate chain, and the key of its first certificate.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let unusable = |problem: String| TlsError::Certificate { path: certificate.to_owned(), problem };
        let chain: Result<Vec<CertificateDer<'static>>, pem::Error> =
            CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let chain = chain.map_err(|error| unusable(said(&error)))?;
        let Some(own) = chain.first() else {
            return Err(unusable("there is no certificate in it".to_owned()));
        };
        let digest = CertificateDigest::of(own);
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| TlsError::Key { path: key.to_owned(), problem: said(&error) })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate: digest })
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// The server's own certificate: the first of the chain.
    pub fn certificate(&self) -> CertificateDigest {
        self.certificate
    }
}

/// The error never contains the file's content.
fn said(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is none in it".to_owned(),
        _ => "it is not a PEM file".to_owned(),
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
