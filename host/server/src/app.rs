//! What all handlers share.

use std::net::SocketAddr;
use std::sync::Arc;

use bg_charms::LocalRuntime;
use bg_identity::http_signature::NonceCache;
use tokio_util::sync::CancellationToken;

use crate::body::Bodies;
use crate::hosts::Hosts;
use crate::options::ServerOptions;

pub(crate) struct App {
    pub(crate) runtime: Arc<LocalRuntime>,
    pub(crate) hosts: Hosts,
    pub(crate) bodies: Bodies,
    pub(crate) nonces: NonceCache,
    pub(crate) shutdown: CancellationToken,
}

impl App {
    pub(crate) fn new(
        runtime: Arc<LocalRuntime>,
        address: SocketAddr,
        options: &ServerOptions,
        nonces: NonceCache,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            runtime,
            hosts: Hosts::new(address.ip(), &options.allowed_hosts),
            bodies: Bodies::new(options.body_timeout),
            nonces,
            shutdown,
        }
    }
}
