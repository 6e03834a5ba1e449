//! Which servers are trusted.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// TLS sessions that one owner may resume: about as many as it has origins.
const SESSIONS: usize = 64;

/// The TLS configuration of one owner: Mozilla's root certificates and the `extra` ones, no client certificate, and a
/// separate session store, so that no server can link two owners by a ticket.
pub(crate) fn config(extra: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra {
        roots.add(certificate.clone())?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    // Early data can be replayed.
    config.enable_early_data = false;
    Ok(config)
}
