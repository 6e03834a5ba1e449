//! Listening, accepting, draining.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bg_identity::http_signature::NonceCache;
use bg_server_trust::CertificateDigest;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admission::Connections;
use crate::app::App;
use crate::login::{LoginToken, RandomError};
use crate::options::ServerOptions;
use crate::peer::Peer;
use crate::site::Site;
use crate::tls::Tls;
use crate::{connection, router};

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program listens there.
    #[error(
        "cannot listen on {0}: another program uses this port; name another address, --listen 127.0.0.1:0 for any free \
         port, or end the other program"
    )]
    InUse(SocketAddr),
    /// Low ports are reserved for the system.
    #[error(
        "cannot listen on {0}: this user may not use ports below 1024; name another address, such as --listen \
         127.0.0.1:8000"
    )]
    NotAllowed(SocketAddr),
    /// None of this machine's interfaces has the address.
    #[error(
        "cannot listen on {0}: this machine does not have that address; --listen 127.0.0.1:8000 works on every machine"
    )]
    NotHere(SocketAddr),
    /// Others could reach it and eavesdrop.
    #[error(
        "{0} can be reached from other machines, and what the operator and services send would be readable on the way: \
         give the server a certificate (--tls-cert FILE --tls-key FILE), or put a proxy that speaks TLS in front and \
         say so (--behind-proxy), or listen on 127.0.0.1"
    )]
    Exposed(SocketAddr),
    /// No login token could be made.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The system refused for another reason.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
}

/// Why serving did not end cleanly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Draining timed out.
    #[error("{connections} connections were cut off, {waited:?} after the shutdown began")]
    CutOff {
        /// The number of connections.
        connections: usize,
        /// The drain time.
        waited: Duration,
    },
}

/// A server that listens. It responds once [`serve`](Self::serve) is called.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    options: ServerOptions,
    login_token: LoginToken,
    /// From the moment it listens: earlier signatures were not meant for this process.
    nonces: NonceCache,
}

impl Server {
    /// Listens on `address`, with the default limits. Port 0 is any free port; see [`local_addr`](Self::local_addr).
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::bind_with(address, ServerOptions::default()).await
    }

    /// Listens on `address`, with other limits or more host names.
    pub async fn bind_with(address: SocketAddr, options: ServerOptions) -> Result<Self, BindError> {
        let explain = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address),
            io::ErrorKind::PermissionDenied => BindError::NotAllowed(address),
            io::ErrorKind::AddrNotAvailable => BindError::NotHere(address),
            _ => BindError::Other { address, source },
        };
        if !address.ip().to_canonical().is_loopback() && options.tls.is_none() && !options.behind_proxy {
            return Err(BindError::Exposed(address));
        }
        let login_token = match &options.login_token {
            Some(token) => token.clone(),
            None => LoginToken::random()?,
        };
        let nonces = NonceCache::new(options.limits.nonces);
        let listener = TcpListener::bind(address).await.map_err(explain)?;
        let address = listener.local_addr().map_err(explain)?;
        Ok(Self { listener, address, options, login_token, nonces })
    }

    /// The address on which it listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The certificate, if it speaks TLS.
    pub fn certificate(&self) -> Option<CertificateDigest> {
        self.options.tls.as_ref().map(Tls::certificate)
    }

    /// The operator's login token.
    pub fn login_token(&self) -> &LoginToken {
        &self.login_token
    }

    /// Serves requests until `shutdown`. Then it takes no new requests, ends long polls at once, and gives requests
    /// under way the drain time to finish. Dropping the future closes every connection.
    pub async fn serve(self, site: impl Into<Site>, shutdown: CancellationToken) -> Result<(), ServeError> {
        let Self { listener, address, options, login_token, nonces } = self;
        let options = Arc::new(options);
        let app = App::new(site.into(), address, &options, &login_token, nonces, shutdown.clone());
        app.admission.resume().await;
        let router = router::router(Arc::new(app));
        let places = Connections::new(&options.limits, options.behind_proxy);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                (stream, peer) = accept(&listener) => match places.enter(peer.0.ip()) {
                    Some(place) => {
                        let (router, options, shutdown) = (router.clone(), options.clone(), shutdown.clone());
                        connections.spawn(connection::serve(stream, peer, place, router, options, shutdown));
                    }
                    None => connection::refuse(&stream, &options),
                },
                Some(ended) = connections.join_next() => note(ended),
            }
        }
        drop(listener);
        let drained = tokio::time::timeout(options.drain_timeout, async {
            while let Some(ended) = connections.join_next().await {
                note(ended);
            }
        });
        match drained.await {
            Ok(()) => Ok(()),
            Err(_) => Err(ServeError::CutOff { connections: connections.len(), waited: options.drain_timeout }),
        }
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(error = %error, "a request made the server fail; its connection was closed");
    }
}

/// How long to wait after an accept that failed because memory or file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Waits for a connection.
async fn accept(listener: &TcpListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, Peer(peer)),
            // The client left before it was accepted.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
