//! Who gets in, in which order, and how much of the server one client may take.
//!
//! Every request passes the same steps. Each one costs more than the one before, and is bounded by what the one before has found out:
//!
//! ```text
//!  address     who is at the other end: an IPv4 address, or the /64 of an IPv6 address         ── too many in a second ──▶ 429
//!     │        (behind a proxy: whom X-Forwarded-For names, once the head is there)
//!  connection  a place, and a share of them for each address. When all are taken, the          ── none to be had ────────▶ 503
//!     │        connection closes that has waited longest without an admitted request
//!  head        64 KiB within 30 s: a host name of ours, a known path, the announced length     ──────────────▶ 4xx, or closed
//!     │
//!  signature   ed25519 over the head; it covers the body's digest. Or the login token          ──────────────────────────▶ 401
//!     │        (now the signer is known: requests of one signer in a second)                   ── too many in a second ──▶ 429
//!  rights      may this signer do that there? As far as method and path say it                 ─────────────────────▶ 403, 404
//!     │        (now the request holds its connection, and runs a guest if a place is free)     ── none in time ─────▶ 429, 503
//!  nonce       each once; one signer and one address have a share of those remembered          ─────────────────────▶ 401, 503
//!     │
//!  body        a place for a large one, within 30 s as a whole; then its digest                ────────────────▶ 401, 408, 413
//!     ▼
//!  the handler checks rights again, in the transaction that does the work
//! ```
//!
//! Three kinds of clients use each of these limits, and none can use up what is left for the next one:
//!
//! | who | how it is known | has |
//! |---|---|---|
//! | strangers | anybody | a part of everything, and a share of it for each signer and address |
//! | this machine | a loopback address | more: what strangers may not use; a share for each signer |
//! | the operator | the login token, a session, or a signature by the service's own key | all of it, no shares, no rates |
//!
//! The service's own key is the one that `serve` was started with: `run` with the same key is not slowed down, as many charms as it polls. A
//! signature that claims to be by it is verified before anything is refused for its address.
//!
//! Behind a proxy (`--behind-proxy`), all connections come from the proxy: they have no share by address, and none counts as of this machine by it.
//! Requests do, by the last address in `X-Forwarded-For`. Limiting connections is the proxy's to do then.

mod answers;
mod bodies;
mod client;
mod connections;
pub(crate) mod limits;
mod pool;
mod rates;
mod right;
mod rights;
mod sender;
mod signed;
mod ticket;
mod unsigned;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bg_charm_api::Actor;
use bg_charm_runtime::{LocalRuntime, Needed};
use bg_identity::Did;
use bg_identity::http_signature::{FastClock, NonceCache, Room, SignatureError, Verified, claimed_signer};
use http::HeaderMap;

use bodies::Bodies;
pub(crate) use bodies::discard;
pub(crate) use client::Client;
pub(crate) use connections::{Connections, Occupant, Place};
pub use limits::AdmissionLimits;
pub(crate) use pool::Full;
use pool::{Permit, Pool, Shares};
pub(crate) use rates::{LOGINS, REGISTRATIONS, Rate, TooMany};
pub(crate) use right::Right;
pub(crate) use sender::{Sender, Standing};
pub(crate) use signed::{RunsGuest, Signed};
pub(crate) use ticket::Ticket;
pub(crate) use unsigned::{Refused, Unsigned};

use crate::answer::Failure;
use crate::options::ServerOptions;

/// All that is limited, but for the connections themselves.
pub(crate) struct Admission {
    runtime: Arc<LocalRuntime>,
    /// Requests that hold their connections.
    requests: Arc<Pool>,
    /// Requests that run a guest.
    calls: Arc<Pool>,
    pub(crate) bodies: Bodies,
    addresses: Rate<IpAddr>,
    signers: Rate<Did>,
    nonces: NonceCache,
    /// How long a request waits for a place.
    wait: Duration,
}

impl Admission {
    pub(crate) fn new(runtime: Arc<LocalRuntime>, options: &ServerOptions, nonces: NonceCache) -> Self {
        let ServerOptions { limits, body_timeout, place_timeout: wait, .. } = options;
        let connections = limits.connections;
        let requests = Shares {
            all: connections,
            local: connections * 13 / 16,
            strangers: connections * 10 / 16,
            signer: connections.div_ceil(8),
            network: limits.connections_by_address,
        };
        let calls = Shares {
            all: usize::MAX,
            local: limits.calls_by_strangers.saturating_mul(2),
            strangers: limits.calls_by_strangers,
            signer: limits.calls_by_signer,
            network: limits.calls_by_address,
        };
        Self {
            runtime,
            requests: Pool::new(requests),
            calls: Pool::new(calls),
            bodies: Bodies::new(*body_timeout, *wait, limits.large_bodies),
            addresses: Rate::per_second(limits.requests_by_address),
            signers: Rate::per_second(limits.requests_by_signer),
            nonces,
            wait: *wait,
        }
    }

    /// Reads what an earlier process has left.
    pub(crate) async fn resume(&self) {
        match self.runtime.fast_clocks().await {
            Ok(before) => self.nonces.resume(before),
            // As careful as can be: what cannot be read may be anything that is possible.
            Err(error) => {
                tracing::warn!(%error, "signed requests wait until their clocks have passed what an earlier process may have accepted");
                let until = unix_now() + bg_identity::http_signature::MAX_CLOCK_SKEW.as_secs();
                self.nonces.resume(FastClock { operator: until, others: until });
            }
        }
    }

    /// Step `address`: counts a request of the client's. One that claims to be the operator's goes on to show it; if it does not, it gets
    /// what is answered here.
    pub(crate) fn address(&self, client: Client, connection: Occupant, headers: &HeaderMap) -> Result<Ticket, TooMany> {
        if client.is_local() {
            return Ok(Ticket::new(connection, None));
        }
        match self.addresses.take(&client.network()) {
            Ok(()) => Ok(Ticket::new(connection, None)),
            Err(too_many) if self.claims_to_be_the_operator(headers) => Ok(Ticket::new(connection, Some(too_many))),
            Err(too_many) => Err(too_many),
        }
    }

    fn claims_to_be_the_operator(&self, headers: &HeaderMap) -> bool {
        use http::header::{AUTHORIZATION, COOKIE};
        [AUTHORIZATION, COOKIE].iter().any(|name| headers.contains_key(name))
            || claimed_signer(headers).is_some_and(|did| self.is_own_key(&did))
    }

    fn is_own_key(&self, did: &Did) -> bool {
        self.runtime.as_actor(Actor::Did(did.clone())).is_operator()
    }

    /// After step `signature`: who the signer is to the limits. Counts its request.
    fn signer(&self, did: &Did, client: Client) -> Result<Sender, TooMany> {
        if self.is_own_key(did) {
            return Ok(Sender { signer: Some(did.clone()), ..Sender::operator() });
        }
        self.signers.take(did)?;
        let standing = if client.is_local() { Standing::Local } else { Standing::Stranger };
        Ok(Sender::new(standing, Some(did.clone()), client))
    }

    /// Step `rights`.
    async fn rights(&self, actor: &Actor, needed: Vec<Needed>) -> Result<(), Failure> {
        rights::check(&self.runtime, actor, needed).await
    }

    /// After step `rights`: a place for the request, for as long as it is answered.
    async fn place(&self, sender: &Sender) -> Result<Permit, Full> {
        self.requests.take_within(sender, 1, self.wait).await
    }

    /// A place to run a guest in.
    async fn call(&self, sender: &Sender) -> Result<Permit, Full> {
        self.calls.take_within(sender, 1, self.wait).await
    }

    /// Step `nonce`. A signature of the future is written down before it counts, so that it is not good once more after a restart.
    async fn nonce(&self, verified: &Verified, sender: &Sender) -> Result<(), Failure> {
        let nonces = sender.nonces();
        if let Some(until) = self.nonces.to_write(verified, nonces.room, SystemTime::now()) {
            self.runtime.keep_fast_clock(nonces.room == Room::Operator, until).await?;
            self.nonces.written(nonces.room, until);
        }
        let accepted: Result<(), SignatureError> = self.nonces.accept(verified, nonces, std::time::Instant::now());
        Ok(accepted?)
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
