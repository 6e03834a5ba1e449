//! What an operator may set of these limits.

use bg_identity::http_signature::NonceCache;

bg_limits::limits! {
    /// How much of the server its clients may take. The operator's own requests are not counted, except for connections. By default, a signer may
    /// poll some thousand charms; a guest may have 128 MiB, of which not all is used by as many as there may be.
    AdmissionLimits

    /// Open connections. Each service that watches registrations holds one or two.
    "server-connections" => connections: Count(usize) = 256;
    /// Those of one address; behind a proxy, requests that are being answered.
    "server-connections-by-address" => connections_by_address: Count(usize) = 64;
    /// Requests of one address in a second, as a rule; ten times as many in a row.
    "server-requests-by-address" => requests_by_address: Count(usize) = 200;
    /// Signed requests of one key in a second, as a rule; ten times as many in a row.
    "server-requests-by-signer" => requests_by_signer: Count(usize) = 100;
    /// Requests that run charms' programs, of strangers and at one time. Clients on this machine have twice as many, with those.
    "server-calls-by-strangers" => calls_by_strangers: Count(usize) = 16;
    /// Those of one address.
    "server-calls-by-address" => calls_by_address: Count(usize) = 8;
    /// Those of one key.
    "server-calls-by-signer" => calls_by_signer: Count(usize) = 4;
    /// All bodies over 64 KiB that are being received, bytes. A quarter is left for the operator, and one signer has a quarter at most.
    "server-large-bodies" => large_bodies: Bytes(usize) = 64 * 1024 * 1024;
    /// Nonces of signed requests that are remembered: half of them of strangers, a quarter each of clients on this machine and of the operator. Each is
    /// remembered for 90 s at least, and one signer has an eighth at most.
    "server-nonces" => nonces: Count(usize) = NonceCache::CAPACITY;
}
