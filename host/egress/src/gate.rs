//! The gate itself: what holds for every owner.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use bg_manifest::Origin;
use rustls::pki_types::CertificateDer;

use crate::audit::AuditHook;
use crate::client::{ClientOptions, GateClient};
use crate::resolve::{Resolver, SystemResolver};
use crate::shared::{GateError, Mode, Shared};

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

/// The one way out. There is one in a process; each integration, and the charms together, have a [`GateClient`] of it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

impl Gate {
    /// Sets it up.
    pub fn new(options: GateOptions) -> Self {
        let GateOptions { mode, allow_private, listeners, extra_roots, resolver, audit } = options;
        let listeners = RwLock::new(listeners);
        Self(Arc::new(Shared { mode, allow_private, extra_roots, resolver, audit, listeners }))
    }

    /// Closes one more of this service's own ports to guests: one that was opened after the gate was set up.
    pub fn add_listener(&self, address: SocketAddr) {
        self.0.add_listener(address);
    }

    /// A client for one owner, with connections of its own.
    pub fn client(&self, options: ClientOptions) -> Result<GateClient, GateError> {
        GateClient::new(self.0.clone(), options)
    }
}
