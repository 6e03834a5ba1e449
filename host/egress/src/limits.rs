//! How much a guest may ask of the network.

use std::time::Duration;

bg_limits::limits! {
    /// What one owner's requests are held to. [`HttpLimits::default`] is made of the constants of this module.
    HttpLimits

    /// Requests one call of a guest may make, refused ones included. A mail check of a few dozen charms fits; a scan does not.
    "http-requests" => requests_per_call [REQUESTS_PER_CALL]: Count(u32) = 64;
    /// Requests of one call under way at once. Browsers open six connections to a server; a few more cost us little.
    "http-requests-at-once" => concurrent_per_call [CONCURRENT_PER_CALL]: Count(usize) = 8;
    /// Requests of one owner under way at once, in all its calls: what sixteen of them may have, which is how many polls run at once by
    /// default. Each holds a socket, and the process has a limited number of those for everybody.
    "http-requests-at-once-in-all" => concurrent_per_owner [CONCURRENT_PER_OWNER]: Count(usize) = 16 * CONCURRENT_PER_CALL;
    /// Bytes of one response body, as sent by the server (nothing is decompressed here). Eight of them at once fill the memory
    /// an integration may have (64 MiB), so more could not be held anyway.
    "http-response-bytes" => response_body_bytes [RESPONSE_BODY_BYTES]: Bytes(u64) = 8 * 1024 * 1024;
    /// Bytes of one request body. Integrations ask; what they send is queries and batches of IDs.
    "http-request-bytes" => request_body_bytes [REQUEST_BODY_BYTES]: Bytes(u64) = 1024 * 1024;
    /// Time for one request, from the name look-up to the last byte of the body. A guest's own timeouts can only shorten it.
    "http-request-time" => request_time [REQUEST_TIME]: Time(Duration) = Duration::from_secs(10);
    /// Header fields of a request. Clients of public APIs send about ten.
    "http-request-headers" => request_headers [REQUEST_HEADERS]: Count(usize) = 64;
    /// Bytes of all header names and values of a request. Common servers refuse more than 8 to 16 KiB themselves.
    "http-request-header-bytes" => request_header_bytes [REQUEST_HEADER_BYTES]: Bytes(usize) = 16 * 1024;
    /// Header fields of a response, and of its trailers. hyper's own default is 100.
    "http-response-headers" => response_headers [RESPONSE_HEADERS]: Count(usize) = 100;
    /// Bytes of all header names and values of a response, and of its trailers. Well above any real API, and small enough that
    /// all responses of a call together stay below 1 MiB.
    "http-response-header-bytes" => response_header_bytes [RESPONSE_HEADER_BYTES]: Bytes(usize) = 64 * 1024;
    /// Bytes of a URL. Servers commonly refuse request lines over 8 KiB.
    "http-url-bytes" => url_bytes [URL_BYTES]: Bytes(usize) = 8 * 1024;
    /// Addresses a name may have. Each is checked; a DNS answer of honest size holds a few dozen.
    "http-addresses" => addresses_per_name [ADDRESSES_PER_NAME]: Count(usize) = 64;
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
