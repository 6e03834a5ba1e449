//! How much a guest may ask of the network.

use std::time::Duration;

/// Requests one call of a guest may make, refused ones included. A mail check of a few dozen charms fits; a scan does not.
pub const REQUESTS_PER_CALL: u32 = 64;

/// Requests of one call under way at once. Browsers open six connections to a server; a few more cost us little.
pub const CONCURRENT_PER_CALL: usize = 8;

/// Requests of one owner under way at once, in all its calls: what sixteen of them may have, which is how many polls run at once by
/// default. Each holds a socket, and the process has a limited number of those for everybody.
pub const CONCURRENT_PER_OWNER: usize = 16 * CONCURRENT_PER_CALL;

/// Bytes of one response body, as sent by the server (nothing is decompressed here). Eight of them at once fill the memory
/// an integration may have (64 MiB), so more could not be held anyway.
pub const RESPONSE_BODY_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes of one request body. Integrations ask; what they send is queries and batches of IDs.
pub const REQUEST_BODY_BYTES: u64 = 1024 * 1024;

/// Time for one request, from the name look-up to the last byte of the body. A guest's own timeouts can only shorten it.
pub const REQUEST_TIME: Duration = Duration::from_secs(10);

/// Header fields of a request. Clients of public APIs send about ten.
pub const REQUEST_HEADERS: usize = 64;

/// Bytes of all header names and values of a request. Common servers refuse more than 8 to 16 KiB themselves.
pub const REQUEST_HEADER_BYTES: usize = 16 * 1024;

/// Header fields of a response, and of its trailers. hyper's own default is 100.
pub const RESPONSE_HEADERS: usize = 100;

/// Bytes of all header names and values of a response, and of its trailers. Well above any real API, and small enough that
/// all responses of a call together stay below 1 MiB.
pub const RESPONSE_HEADER_BYTES: usize = 64 * 1024;

/// Bytes of a URL. Servers commonly refuse request lines over 8 KiB.
pub const URL_BYTES: usize = 8 * 1024;

/// Addresses a name may have. Each is checked; a DNS answer of honest size holds a few dozen.
pub const ADDRESSES_PER_NAME: usize = 64;

/// What one owner's requests are held to. [`HttpLimits::default`] is made of the constants of this module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// See [`REQUESTS_PER_CALL`].
    pub requests_per_call: u32,
    /// See [`CONCURRENT_PER_CALL`].
    pub concurrent_per_call: usize,
    /// See [`CONCURRENT_PER_OWNER`].
    pub concurrent_per_owner: usize,
    /// See [`RESPONSE_BODY_BYTES`].
    pub response_body_bytes: u64,
    /// See [`REQUEST_BODY_BYTES`].
    pub request_body_bytes: u64,
    /// See [`REQUEST_TIME`].
    pub request_time: Duration,
    /// See [`REQUEST_HEADERS`].
    pub request_headers: usize,
    /// See [`REQUEST_HEADER_BYTES`].
    pub request_header_bytes: usize,
    /// See [`RESPONSE_HEADERS`].
    pub response_headers: usize,
    /// See [`RESPONSE_HEADER_BYTES`].
    pub response_header_bytes: usize,
    /// See [`URL_BYTES`].
    pub url_bytes: usize,
    /// See [`ADDRESSES_PER_NAME`].
    pub addresses_per_name: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            requests_per_call: REQUESTS_PER_CALL,
            concurrent_per_call: CONCURRENT_PER_CALL,
            concurrent_per_owner: CONCURRENT_PER_OWNER,
            response_body_bytes: RESPONSE_BODY_BYTES,
            request_body_bytes: REQUEST_BODY_BYTES,
            request_time: REQUEST_TIME,
            request_headers: REQUEST_HEADERS,
            request_header_bytes: REQUEST_HEADER_BYTES,
            response_headers: RESPONSE_HEADERS,
            response_header_bytes: RESPONSE_HEADER_BYTES,
            url_bytes: URL_BYTES,
            addresses_per_name: ADDRESSES_PER_NAME,
        }
    }
}

/// What a guest asked for itself. Each can only shorten what [`HttpLimits::request_time`] allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// Until the name is looked up, and again until a connection stands, TLS included.
    pub connect: Option<Duration>,
    /// Until the response's head is there.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the response's body.
    pub between_bytes: Option<Duration>,
}
