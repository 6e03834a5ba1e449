//! HTTP through the host's gate, which sends only what integration.toml asks for and the operator grants.

use crate::wasi::http::outgoing_handler;
use crate::wasi::http::types::{Fields, IncomingResponse, OutgoingRequest, RequestOptions, Scheme};
use crate::wasi::io::streams::StreamError;

/// How long to wait for the next part of an answer, in nanoseconds. The host ends the whole call after 5 s.
const PATIENCE: u64 = 3_000_000_000;
/// The longest accepted answer, in bytes.
const LONGEST: usize = 1 << 20;

/// The status and the body of the answer to a GET; an error if the gate refuses it, or there is no answer.
pub fn get(url: &str) -> Result<(u16, Vec<u8>), String> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| format!("{url} is not a URL"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if scheme == "http" {
        Scheme::Http
    } else {
        Scheme::Https
    };
    request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)))
        .map_err(|()| format!("{url} is not a URL"))?;

    let options = RequestOptions::new();
    let _ = options.set_connect_timeout(Some(PATIENCE));
    let _ = options.set_first_byte_timeout(Some(PATIENCE));
    let _ = options.set_between_bytes_timeout(Some(PATIENCE));
    let failed = |error| format!("{url}: {error}");
    let future = outgoing_handler::handle(request, Some(options)).map_err(failed)?;
    future.subscribe().block();
    let response = future
        .get()
        .and_then(Result::ok)
        .ok_or("there is no answer")?
        .map_err(failed)?;
    Ok((response.status(), read(&response)?))
}

fn read(response: &IncomingResponse) -> Result<Vec<u8>, String> {
    let body = response.consume().map_err(|()| "the answer has no body")?;
    let stream = body.stream().map_err(|()| "the answer has no body")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(error.to_string()),
        }
        if bytes.len() > LONGEST {
            return Err(format!("the answer is longer than {LONGEST} bytes"));
        }
    }
}
