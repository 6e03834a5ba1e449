//! The gate itself: what holds for every owner.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use bg_manifest::Origin;
use rustls::pki_types::CertificateDer;

use crate::audit::AuditHook;
use crate::client::{ClientOptions, GateClient};
use crate::resolve::{Resolver, SystemResolver};

/// What to do with what no grant covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Deny it.
    #[default]
    Enforce,
    /// Log it as `would deny`, and send it, without a credential. Every other check holds: headers, addresses, limits.
    Report,
}

/// How a gate is set up.
#[derive(Clone)]
pub struct GateOptions {
    /// What to do with what no grant covers.
    pub mode: Mode,
    /// Origins that may lead to addresses which are refused otherwise. They need a grant all the same.
    pub allow_private: Vec<Origin>,
    /// Where this service itself listens. No guest gets there, unless `allow_private` has that very origin.
    pub listeners: Vec<SocketAddr>,
    /// Certificates to trust beside Mozilla's roots, as DER: a private authority's, or a test's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Looks up names.
    pub resolver: Arc<dyn Resolver>,
    /// Is called with every record, beside the log.
    pub audit: Option<AuditHook>,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            allow_private: Vec::new(),
            listeners: Vec::new(),
            extra_roots: Vec::new(),
            resolver: Arc::new(SystemResolver::default()),
            audit: None,
        }
    }
}

/// A gate, or a client of it, could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// One of the extra root certificates is none, or the TLS library is not fit for use.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The one way out. There is one in a process; each integration, and the charms together, have a [`GateClient`] of it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) mode: Mode,
    pub(crate) allow_private: Vec<Origin>,
    pub(crate) extra_roots: Vec<CertificateDer<'static>>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) audit: Option<AuditHook>,
    listeners: RwLock<Vec<SocketAddr>>,
}

impl Gate {
    /// Sets it up.
    pub fn new(options: GateOptions) -> Self {
        let GateOptions { mode, allow_private, listeners, extra_roots, resolver, audit } = options;
        let listeners = RwLock::new(listeners);
        Self(Arc::new(Shared { mode, allow_private, extra_roots, resolver, audit, listeners }))
    }

    /// Closes one more of this service's own ports to guests: one that was opened after the gate was set up.
    pub fn add_listener(&self, address: SocketAddr) {
        self.0.listeners.write().unwrap_or_else(PoisonError::into_inner).push(address);
    }

    /// A client for one owner, with connections of its own.
    pub fn client(&self, options: ClientOptions) -> Result<GateClient, GateError> {
        GateClient::new(self.0.clone(), options)
    }
}

impl Shared {
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
