//! What an operator may set of these limits.

use bg_identity::http_signature::NonceCache;
use bg_sandbox::{LimitValue, NamedLimit};

/// How much of the server its clients may take. The operator's own requests are not counted, except for connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Open connections. Each service that watches registrations holds one or two.
    pub connections: usize,
    /// Those of one address; behind a proxy, requests that are being answered.
    pub connections_by_address: usize,
    /// Requests of one address in a second, as a rule; ten times as many in a row.
    pub requests_by_address: usize,
    /// Signed requests of one key in a second, as a rule; ten times as many in a row.
    pub requests_by_signer: usize,
    /// Requests that run charms' programs, of strangers and at one time. Clients on this machine have twice as many, with those.
    pub calls_by_strangers: usize,
    /// Those of one address.
    pub calls_by_address: usize,
    /// Those of one key.
    pub calls_by_signer: usize,
    /// All bodies over 64 KiB that are being received, bytes. A quarter is left for the operator, and one signer has a quarter at most.
    pub large_bodies: usize,
    /// Nonces of signed requests that are remembered: half of them of strangers, a quarter each of clients on this machine and of the operator. Each is
    /// remembered for 90 s at least, and one signer has an eighth at most.
    pub nonces: usize,
}

impl Default for AdmissionLimits {
    /// A signer may poll some thousand charms; a guest may have 128 MiB, of which not all is used by as many as there may be.
    fn default() -> Self {
        Self {
            connections: 256,
            connections_by_address: 64,
            requests_by_address: 200,
            requests_by_signer: 100,
            calls_by_strangers: 16,
            calls_by_address: 8,
            calls_by_signer: 4,
            large_bodies: 64 * 1024 * 1024,
            nonces: NonceCache::CAPACITY,
        }
    }
}

impl AdmissionLimits {
    /// Every limit by its name.
    pub fn by_name(&mut self) -> Vec<NamedLimit<'_>> {
        use LimitValue::{Bytes, Count};
        // Without `..`: a new field has no name until it stands here.
        let Self {
            connections,
            connections_by_address,
            requests_by_address,
            requests_by_signer,
            calls_by_strangers,
            calls_by_address,
            calls_by_signer,
            large_bodies,
            nonces,
        } = self;
        [
            ("server-connections", Count(connections)),
            ("server-connections-by-address", Count(connections_by_address)),
            ("server-requests-by-address", Count(requests_by_address)),
            ("server-requests-by-signer", Count(requests_by_signer)),
            ("server-calls-by-strangers", Count(calls_by_strangers)),
            ("server-calls-by-address", Count(calls_by_address)),
            ("server-calls-by-signer", Count(calls_by_signer)),
            ("server-large-bodies", Bytes(large_bodies)),
            ("server-nonces", Count(nonces)),
        ]
        .map(|(name, value)| NamedLimit { name, value })
        .into()
    }
}
