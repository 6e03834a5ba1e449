//! How a server is identified over TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

use crate::{CertificateDigest, DatabaseLock, LockError};

/// How a server is identified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerTrust {
    /// By a certificate for its name, from one of the authorities that Mozilla trusts.
    #[default]
    PublicRoots,
    /// By the certificate that the holder of this database's lock has [published](DatabaseLock::set_url): exactly that
    /// one, whatever its name, issuer and dates. The lock is read again for each connection, so that a server that
    /// restarts with another certificate is recognized.
    LockOf(PathBuf),
}

impl ServerTrust {
    /// The TLS configuration for clients of such a server.
    pub(crate) fn client_config(&self) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the cipher suites of all TLS versions that are compiled in");
        let config = match self {
            Self::PublicRoots => {
                config.with_root_certificates(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
            }
            Self::LockOf(database) => config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(HolderVerifier { database: database.clone(), algorithms })),
        };
        config.with_no_client_auth()
    }
}

/// Why a server is not the holder of the lock.
#[derive(Debug, thiserror::Error)]
enum NotTheHolder {
    #[error("no server holds the lock of {}", .0.display())]
    Nobody(PathBuf),
    #[error("its certificate is not that of the server that holds the lock of {}", .0.display())]
    Other(PathBuf),
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Accepts the certificate of the holder of a database's lock.
#[derive(Debug)]
struct HolderVerifier {
    database: PathBuf,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Checks that it is the current holder's certificate.
fn check(database: &Path, certificate: CertificateDigest) -> Result<(), NotTheHolder> {
    let holder = DatabaseLock::holder(database)?.ok_or_else(|| NotTheHolder::Nobody(database.to_owned()))?;
    if holder.certificate == Some(certificate) { Ok(()) } else { Err(NotTheHolder::Other(database.to_owned())) }
}

impl ServerCertVerifier for HolderVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        check(&self.database, CertificateDigest::of(end_entity))
            .map(|()| ServerCertVerified::assertion())
            .map_err(|error| Error::Other(OtherError(Arc::new(error))))
    }

    // Anybody can have a copy of a certificate: only these check that the server has its key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
