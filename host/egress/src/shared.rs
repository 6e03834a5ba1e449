//! What all clients of a gate share.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use bg_manifest::Origin;
use rustls::pki_types::CertificateDer;

use crate::audit::AuditHook;
use crate::resolve::Resolver;

/// What happens to requests that no grant covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// They are denied.
    #[default]
    Enforce,
    /// They are logged as `would deny` and sent, without a credential. Every other check applies: headers, addresses,
    /// limits.
    Report,
}

/// A gate or a client could not be created.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// An extra root certificate is invalid, or the TLS library is unusable.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) mode: Mode,
    pub(crate) allow_private: Vec<Origin>,
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) audit: Option<AuditHook>,
    pub(crate) listeners: RwLock<Vec<SocketAddr>>,
}

impl Shared {
    pub(crate) fn add_listener(&self, address: SocketAddr) {
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).push(address);
    }

    pub(crate) fn listeners(&self) -> Vec<SocketAddr> {
        self.listeners.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("mode", &self.mode)
            .field("allow_private", &self.allow_private)
            .field("listeners", &self.listeners())
            .finish_non_exhaustive()
    }
}
