//! From a name to addresses: once per request, before anything is dialled.

use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower::Service;

/// Lookups in flight at a time in the whole process. Each holds a thread for as long as the system takes (tokio keeps
/// up to 512), even if nobody waits for it any more; slow names must not take all of them.
const LOOKUPS_AT_ONCE: usize = 64;

/// Looks up names.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses of `host`, in order of preference.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver: `getaddrinfo`, which uses `/etc/hosts` and the configured DNS servers.
#[derive(Debug)]
pub struct SystemResolver {
    permits: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)) }
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let permit = self.permits.clone().acquire_owned().await.map_err(io::Error::other)?;
        let host = host.to_owned();
        let lookup = move || {
            // Kept until the system has answered, even if the caller is gone.
            let _permit = permit;
            (host.as_str(), 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect())
        };
        tokio::task::spawn_blocking(lookup).await.map_err(io::Error::other)?
    }
}

tokio::task_local! {
    /// What the current request may dial.
    pub(crate) static PINNED: Pinned;
}

/// The checked addresses of one request. The connector looks names up through [`PinnedResolver`], which knows no
/// others, so only checked addresses are dialled.
///
/// Connections are reused between requests without consulting this again. That does not bypass the check: hyper's pool
/// is keyed by scheme, host and port, and each [`GateClient`](crate::GateClient) has its own pool, so a pooled
/// connection was dialled for the same owner and the very same origin, to an address that passed the same rules then.
#[derive(Clone, Debug)]
pub(crate) struct Pinned {
    pub(crate) host: Arc<str>,
    pub(crate) addresses: Arc<[SocketAddr]>,
    /// The time limit of the connection, including TLS.
    pub(crate) connect_within: std::time::Duration,
}

/// Answers with the checked addresses of the current request, and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct PinnedResolver;

impl Service<Name> for PinnedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let pinned = PINNED.try_with(Pinned::clone).ok().filter(|pinned| *pinned.host == *name.as_str());
        ready(match pinned {
            Some(pinned) => Ok(Vec::from(&*pinned.addresses).into_iter()),
            None => Err(io::Error::other("no checked addresses for this name")),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn only_a_name_with_checked_addresses_is_resolved() {
        let addresses: Arc<[SocketAddr]> = Arc::new(["192.0.2.1:443".parse().unwrap()]);
        let pinned = Pinned { host: "a.example".into(), addresses, connect_within: Duration::from_secs(1) };
        assert!(PinnedResolver.call("a.example".parse().unwrap()).await.is_err());
        PINNED
            .scope(pinned, async {
                let found = PinnedResolver.call("a.example".parse().unwrap()).await.unwrap();
                assert_eq!(found.collect::<Vec<_>>(), ["192.0.2.1:443".parse().unwrap()]);
                assert!(PinnedResolver.call("b.example".parse().unwrap()).await.is_err());
            })
            .await;
    }

    #[tokio::test]
    async fn the_system_knows_localhost() {
        let found = SystemResolver::default().lookup("localhost").await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    }
}
