//! The limits that an operator can set.

use bg_identity::http_signature::NonceCache;

bg_limits::limits! {
    /// How much of the server its clients may take. The operator's own requests are not counted, except for
    /// connections. The defaults let a signer poll some thousand charms.
    AdmissionLimits

    /// Open connections. Each service that watches registrations holds one or two.
    "server-connections" => connections: Count(usize) = 256;
    /// Open connections of one address; behind a proxy, its requests under way.
    "server-connections-by-address" => connections_by_address: Count(usize) = 64;
    /// Requests of one address a second, and ten times as many at once.
    "server-requests-by-address" => requests_by_address: Count(usize) = 200;
    /// Signed requests of one key a second, and ten times as many at once.
    "server-requests-by-signer" => requests_by_signer: Count(usize) = 100;
    /// Requests of strangers that run charms' programs at the same time. Clients on this machine and strangers together
    /// have twice as many.
    "server-calls-by-strangers" => calls_by_strangers: Count(usize) = 16;
    /// Requests of one address that run charms' programs at the same time.
    "server-calls-by-address" => calls_by_address: Count(usize) = 8;
    /// Requests of one key that run charms' programs at the same time.
    "server-calls-by-signer" => calls_by_signer: Count(usize) = 4;
    /// Bytes of all bodies over 64 KiB that are being received. A quarter is reserved for the operator, and one signer
    /// has a quarter at most.
    "server-large-bodies" => large_bodies: Bytes(usize) = 64 * 1024 * 1024;
    /// Remembered nonces of signed requests: half for strangers, a quarter each for clients on this machine and for the
    /// operator. Each is remembered for at least 90 s, and one signer has an eighth at most.
    "server-nonces" => nonces: Count(usize) = NonceCache::CAPACITY;
}
