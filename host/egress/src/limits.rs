//! How much a guest may use the network.

use std::time::Duration;

bg_limits::limits! {
    /// The limits of one owner's requests. [`HttpLimits::default`] uses the constants of this module.
    HttpLimits

    /// Requests that one call of a guest may make, including refused ones. Enough to check mail for a few dozen charms;
    /// too few for a scan.
    "http-requests" => requests_per_call [REQUESTS_PER_CALL]: Count(u32) = 64;
    /// Requests of one call in flight at a time. Browsers open six connections to a server; a few more cost us little.
    "http-requests-at-once" => concurrent_per_call [CONCURRENT_PER_CALL]: Count(usize) = 8;
    /// Requests of one owner in flight at a time, in all its calls: enough for sixteen calls, the default number of
    /// concurrent polls. Each holds a socket, and the process has a limited number of them for everybody. A quarter of
    /// them is for polls only.
    "http-requests-at-once-in-all" => concurrent_per_owner [CONCURRENT_PER_OWNER]: Count(usize) =
        16 * CONCURRENT_PER_CALL;
    /// Bytes of one response body, as sent by the server (nothing is decompressed here). Eight at a time fill the
    /// memory that an integration may have (64 MiB), so it could not hold more anyway.
    "http-response-bytes" => response_body_bytes [RESPONSE_BODY_BYTES]: Bytes(u64) = 8 * 1024 * 1024;
    /// Bytes of one request body. Integrations mostly read; what they send is queries and batches of IDs.
    "http-request-bytes" => request_body_bytes [REQUEST_BODY_BYTES]: Bytes(u64) = 1024 * 1024;
    /// Time for one request, from the name lookup to the last byte of the body. A guest's own timeouts can only shorten
    /// it.
    "http-request-time" => request_time [REQUEST_TIME]: Time(Duration) = Duration::from_secs(10);
    /// Header fields of a request. Clients of public APIs send about ten.
    "http-request-headers" => request_headers [REQUEST_HEADERS]: Count(usize) = 64;
    /// Bytes of all header names and values of a request. Common servers refuse more than 8 to 16 KiB themselves.
    "http-request-header-bytes" => request_header_bytes [REQUEST_HEADER_BYTES]: Bytes(usize) = 16 * 1024;
    /// Header fields of a response, and of its trailers. hyper's own default is 100.
    "http-response-headers" => response_headers [RESPONSE_HEADERS]: Count(usize) = 100;
    /// Bytes of all header names and values of a response, and of its trailers. Well above any real API, and small
    /// enough that all responses of a call together stay below 1 MiB.
    "http-response-header-bytes" => response_header_bytes [RESPONSE_HEADER_BYTES]: Bytes(usize) = 64 * 1024;
    /// Bytes of a URL. Servers commonly refuse request lines over 8 KiB.
    "http-url-bytes" => url_bytes [URL_BYTES]: Bytes(usize) = 8 * 1024;
    /// Addresses that a name may resolve to. Each is checked; an honest DNS answer holds at most a few dozen.
    "http-addresses" => addresses_per_name [ADDRESSES_PER_NAME]: Count(usize) = 64;
}

/// Time limits that a guest asked for. Each can only shorten [`HttpLimits::request_time`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// For the name lookup, and again for the connection, including TLS.
    pub connect: Option<Duration>,
    /// Until the head of the response has arrived.
    pub first_byte: Option<Duration>,
    /// Between two chunks of the response's body.
    pub between_bytes: Option<Duration>,
}
