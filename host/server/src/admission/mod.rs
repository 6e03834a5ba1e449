//! Admission: the order of checks, and how much of the server one client may take.
//!
//! Every request passes the same steps. Each costs more than the one before, and is bounded by what the one before has
//! found:
//!
//! ```text
//!  address     the client: an IPv4 address, or the /64 of an IPv6 address         ── over the rate ──▶ 429
//!     │        (behind a proxy: from X-Forwarded-For, once the head is there)
//!  connection  a slot, and a share of them for each address. When all are taken,  ── none available ─▶ 503
//!     │        the connection closes that was idle longest
//!  head        64 KiB within 30 s: our host name, a known path, the body's length ───────────────────▶ 4xx, or closed
//!     │
//!  signature   ed25519 over the head, with the body's digest; or the login token  ───────────────────▶ 401
//!     │        (now the signer is known: its requests in a second)                ── over the rate ──▶ 429
//!  rights      may the signer do this there, as far as method and path tell?      ───────────────────▶ 403, 404
//!     │        (now it holds its connection, and a permit if it runs a guest)     ── none in time ───▶ 429, 503
//!  nonce       valid once; signers and addresses have shares of those remembered  ───────────────────▶ 401, 503
//!     │
//!  body        a permit for a large one; all of it within 30 s; then its digest   ───────────────────▶ 401, 408, 413
//!     ▼
//!  the handler checks rights again, in the transaction that does the work
//! ```
//!
//! Three kinds of clients share each of these limits, and none can use up what is reserved for the next:
//!
//! | who | how it is known | has |
//! |---|---|---|
//! | strangers | anybody | a part of everything, with a share for each signer and address |
//! | this machine | a loopback address | more: what strangers may not use; a share for each signer |
//! | the operator | the login token, a session, or a signature by the service's key | all of it, no shares, no rates |
//!
//! The service's own key is the one that `serve` was started with: `run` with the same key is never slowed down. A
//! signature that claims to be by it is verified before anything is refused because of its address.
//!
//! Behind a proxy (`--behind-proxy`), all connections come from the proxy: they have no share by address, and none
//! counts as from this machine. Requests do, by the last address in `X-Forwarded-For`. The proxy must limit
//! connections.

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
pub(crate) use connections::{Connections, Occupant, Slot};
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

/// Everything that is limited, except connections.
pub(crate) struct Admission {
    runtime: Arc<LocalRuntime>,
    /// Requests that hold connections.
    requests: Arc<Pool>,
    /// Requests that run a guest.
    calls: Arc<Pool>,
    pub(crate) bodies: Bodies,
    addresses: Rate<IpAddr>,
    signers: Rate<Did>,
    nonces: NonceCache,
    /// How long a request waits for a permit.
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

    /// Reads the state of an earlier process.
    pub(crate) async fn resume(&self) {
        match self.runtime.fast_clocks().await {
            Ok(before) => self.nonces.resume(before),
            // Assumes the worst of what cannot be read.
            Err(error) => {
                tracing::warn!(%error, "signed requests must be newer than what an earlier process may have accepted");
                let until = unix_now() + bg_identity::http_signature::MAX_CLOCK_SKEW.as_secs();
                self.nonces.resume(FastClock { operator: until, others: until });
            }
        }
    }

    /// Step `address`: counts a request of the client. One that claims to be the operator's may still prove it;
    /// otherwise it gets this error.
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

    /// After step `signature`: the signer, for the limits. Counts its request.
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

    /// After step `rights`: a permit for the request, until its response is sent.
    async fn place(&self, sender: &Sender) -> Result<Permit, Full> {
        self.requests.take_within(sender, 1, self.wait).await
    }

    /// A permit to run a guest.
    async fn call(&self, sender: &Sender) -> Result<Permit, Full> {
        self.calls.take_within(sender, 1, self.wait).await
    }

    /// Step `nonce`. A signature from the future is stored before it counts, so that it is not valid again after a
    /// restart.
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
