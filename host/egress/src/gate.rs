//! The gate: what applies to all owners.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use bg_manifest::Origin;
use rustls::pki_types::CertificateDer;

use crate::audit::AuditHook;
use crate::client::{ClientOptions, GateClient};
use crate::resolve::{Resolver, SystemResolver};
use crate::shared::{GateError, Mode, Shared};

/// The options of a gate.
#[derive(Clone)]
pub struct GateOptions {
    /// What happens to requests that no grant covers.
    pub mode: Mode,
    /// Origins that may resolve to addresses that are refused otherwise. They still need a grant.
    pub allow_private: Vec<Origin>,
    /// Where this service itself listens. No guest may connect there, unless `allow_private` names that very origin.
    pub listeners: Vec<SocketAddr>,
    /// Certificates to trust besides Mozilla's roots, as DER: of a private authority, or of a test.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Looks up names.
    pub resolver: Arc<dyn Resolver>,
    /// Called with every record, in addition to the log.
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

/// The only way out. A process has one; each integration, and the charms together, have a [`GateClient`] of it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

impl Gate {
    /// Creates a gate.
    pub fn new(options: GateOptions) -> Self {
        let GateOptions { mode, allow_private, listeners, extra_roots, resolver, audit } = options;
        let listeners = RwLock::new(listeners);
        Self(Arc::new(Shared { mode, allow_private, extra_roots, resolver, audit, listeners }))
    }

    /// Closes another of this service's own ports to guests: one that was opened after the gate was created.
    pub fn add_listener(&self, address: SocketAddr) {
        self.0.add_listener(address);
    }

    /// A client for one owner, with its own connections.
    pub fn client(&self, options: ClientOptions) -> Result<GateClient, GateError> {
        GateClient::new(self.0.clone(), options)
    }
}
