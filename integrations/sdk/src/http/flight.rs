//! One request in flight, over `wasi:http`.

use super::request::Method;
use super::{HttpError, Request, Response};
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    Fields, FutureIncomingResponse, IncomingResponse, Method as HostMethod, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme, http_error_code,
};
use crate::bindings::wasi::io::poll::{Pollable, poll};
use crate::bindings::wasi::io::streams::StreamError;
use crate::time::{Instant, nanos};

/// How much of a body is written or read at a time. A host must accept 4 KiB in one blocking write.
const CHUNK: usize = 4096;

impl Request {
    /// Sends it and waits for the answer.
    pub fn send(self) -> Result<Response, HttpError> {
        let until = Instant::now() + self.timeout;
        Flight::start(&self, until)?.finish()
    }
}

/// A request that has been sent. Dropping it cancels it.
///
/// The order of the fields matters: they are dropped in this order, and derived resources must be dropped first.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) ready: Pollable,
    response: FutureIncomingResponse,
    pub(super) until: Instant,
    largest_body: usize,
}

impl Flight {
    /// Sends a request, which must be answered completely before `until`.
    pub(super) fn start(request: &Request, until: Instant) -> Result<Self, HttpError> {
        let outgoing = outgoing(request)?;
        let body = if request.body.is_empty() { None } else { outgoing.body().ok() };
        let options = RequestOptions::new();
        let patience = Some(nanos(until.remaining()));
        // A host that cannot set them has its own limits, and this call ends in time anyway.
        let _ = options.set_connect_timeout(patience);
        let _ = options.set_first_byte_timeout(patience);
        let _ = options.set_between_bytes_timeout(patience);
        let response = outgoing_handler::handle(outgoing, Some(options))?;
        if let Some(body) = body {
            write(body, &request.body)?;
        }
        let ready = response.subscribe();
        Ok(Self { ready, response, until, largest_body: request.largest_body })
    }

    /// Waits for the answer.
    pub(super) fn finish(self) -> Result<Response, HttpError> {
        let Self { ready, response, until, largest_body } = self;
        let answered = wait(&ready, until);
        drop(ready);
        if !answered {
            return Err(HttpError::Timeout);
        }
        match response.get() {
            Some(Ok(Ok(response))) => read(&response, until, largest_body),
            Some(Ok(Err(code))) => Err(code.into()),
            Some(Err(())) | None => Err(HttpError::Network("the host gave no answer".to_owned())),
        }
    }
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, HttpError> {
    let target = request.target()?;
    let headers = request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes()));
    let headers = Fields::from_list(&headers.collect::<Vec<_>>())
        .map_err(|error| HttpError::Malformed(format!("a header is not allowed: {error:?}")))?;
    let outgoing = OutgoingRequest::new(headers);
    let method = match request.method {
        Method::Get => HostMethod::Get,
        Method::Head => HostMethod::Head,
        Method::Post => HostMethod::Post,
        Method::Put => HostMethod::Put,
        Method::Patch => HostMethod::Patch,
        Method::Delete => HostMethod::Delete,
    };
    let scheme = if target.https { Scheme::Https } else { Scheme::Http };
    outgoing
        .set_method(&method)
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(target.authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(target.path_and_query)))
        .map_err(|()| HttpError::Malformed(format!("the host does not accept the URL {:?}", request.url())))?;
    Ok(outgoing)
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), HttpError> {
    {
        let stream = body.write().map_err(|()| HttpError::Network("the request cannot have a body".to_owned()))?;
        for chunk in bytes.chunks(CHUNK) {
            stream.blocking_write_and_flush(chunk).map_err(|error| broken(&error))?;
        }
    }
    Ok(OutgoingBody::finish(body, None)?)
}

fn read(response: &IncomingResponse, until: Instant, largest: usize) -> Result<Response, HttpError> {
    let status = response.status();
    let headers = response.headers().entries().into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    let incoming = response.consume().map_err(|()| HttpError::Network("the answer has no body".to_owned()))?;
    let stream = incoming.stream().map_err(|()| HttpError::Network("the answer has no body".to_owned()))?;
    let mut body = Vec::new();
    loop {
        let ready = stream.subscribe();
        if !wait(&ready, until) {
            return Err(HttpError::Timeout);
        }
        drop(ready);
        match stream.read(CHUNK as u64 * 16) {
            Ok(bytes) => body.extend_from_slice(&bytes),
            Err(StreamError::Closed) => break,
            Err(error) => return Err(broken(&error)),
        }
        if body.len() > largest {
            return Err(HttpError::Limit(format!("the answer is larger than {largest} bytes")));
        }
    }
    Ok(Response { status, headers, body })
}

fn broken(error: &StreamError) -> HttpError {
    match error {
        StreamError::Closed => HttpError::Network("the connection was closed".to_owned()),
        StreamError::LastOperationFailed(error) => {
            http_error_code(error).map_or_else(|| HttpError::Network(error.to_debug_string()), HttpError::from)
        }
    }
}

/// Waits until `ready` is, or until `until`. Returns whether it is ready.
fn wait(ready: &Pollable, until: Instant) -> bool {
    let timer = monotonic_clock::subscribe_instant(until.nanos());
    poll(&[ready, &timer]).contains(&0)
}

/// Waits until one of them is ready, or the earliest of their deadlines has passed. Returns the indices of those that
/// are ready.
pub(super) fn wait_for_any(flights: &[&Flight]) -> Vec<usize> {
    let Some(until) = flights.iter().map(|flight| flight.until).min() else { return Vec::new() };
    let timer = monotonic_clock::subscribe_instant(until.nanos());
    let mut pollables = flights.iter().map(|flight| &flight.ready).collect::<Vec<_>>();
    pollables.push(&timer);
    let ready = poll(&pollables);
    ready.into_iter().map(|index| index as usize).filter(|&index| index < flights.len()).collect()
}
