//! Requests by `wasi:http`, several of them in flight at once.

use std::cell::RefCell;

use super::bindings::wasi::clocks::monotonic_clock;
use super::bindings::wasi::http::outgoing_handler;
use super::bindings::wasi::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
    http_error_code,
};
use super::bindings::wasi::io::poll::{Pollable, poll};
use super::bindings::wasi::io::streams::{InputStream, StreamError};
use super::error_code::text;
use crate::host::{Request, RequestId, Response};

/// How many bytes of a response are read at a time.
const CHUNK: u64 = 64 * 1024;

/// The most that a stream takes in one blocking write, as `wasi:io` says.
const WRITE: usize = 4096;

const CONTENT_LENGTH: &str = "content-length";

type Outcome = Result<Response, String>;

/// Requests whose responses have not been read to their ends.
#[derive(Default)]
pub(super) struct Requests(RefCell<Vec<InFlight>>);

struct InFlight {
    id: RequestId,
    stage: Stage,
}

/// Children stand before their parents: the host wants them dropped in this order.
enum Stage {
    Waiting { ready: Pollable, response: FutureIncomingResponse },
    Reading { ready: Pollable, stream: InputStream, _body: IncomingBody, _response: IncomingResponse, read: Response },
}

impl Requests {
    /// Sends `request`, its body included.
    pub(super) fn send(&self, id: RequestId, request: Request) -> Result<(), String> {
        let response = start(request)?;
        let stage = Stage::Waiting { ready: response.subscribe(), response };
        self.0.borrow_mut().push(InFlight { id, stage });
        Ok(())
    }

    /// Drops a request and all that belongs to it: the host ends it.
    pub(super) fn forget(&self, id: RequestId) {
        self.0.borrow_mut().retain(|request| request.id != id);
    }

    /// As [`crate::host::Host::wait`].
    pub(super) fn wait(&self, deadline: Option<u64>) -> Option<(RequestId, Outcome)> {
        let timer = deadline.map(monotonic_clock::subscribe_instant);
        loop {
            let mut requests = self.0.borrow_mut();
            let mut pollables: Vec<&Pollable> = requests.iter().map(InFlight::ready).collect();
            pollables.extend(&timer);
            let ready = poll(&pollables);
            let count = requests.len();
            for index in ready.into_iter().filter_map(|index| usize::try_from(index).ok()) {
                if index >= count {
                    return None;
                }
                if let Some(outcome) = requests[index].advance() {
                    let done = requests.swap_remove(index);
                    return Some((done.id, outcome));
                }
            }
        }
    }
}

impl InFlight {
    fn ready(&self) -> &Pollable {
        match &self.stage {
            Stage::Waiting { ready, .. } | Stage::Reading { ready, .. } => ready,
        }
    }

    /// Takes what has come; returns the outcome when all has.
    fn advance(&mut self) -> Option<Outcome> {
        let next = match &mut self.stage {
            Stage::Waiting { response, .. } => match response.get()? {
                Ok(Ok(response)) => begin(response),
                Ok(Err(code)) => Err(text(&code)),
                Err(()) => Err("the response was taken twice".into()),
            },
            Stage::Reading { stream, read, .. } => return fill(stream, read),
        };
        match next {
            Ok(stage) => {
                self.stage = stage;
                None
            }
            Err(message) => Some(Err(message)),
        }
    }
}

fn begin(response: IncomingResponse) -> Result<Stage, String> {
    let headers = response.headers().entries();
    let headers =
        headers.into_iter().map(|(name, value)| (name, value.into_iter().map(char::from).collect())).collect();
    let read = Response { status: response.status(), headers, body: Vec::new() };
    let body = response.consume().map_err(|()| "the response has no body")?;
    let stream = body.stream().map_err(|()| "the response's body has no stream")?;
    Ok(Stage::Reading { ready: stream.subscribe(), stream, _body: body, _response: response, read })
}

/// Reads what is there.
fn fill(stream: &InputStream, read: &mut Response) -> Option<Outcome> {
    loop {
        match stream.read(CHUNK) {
            Ok(bytes) if bytes.is_empty() => return None,
            Ok(bytes) => read.body.extend_from_slice(&bytes),
            Err(StreamError::Closed) => {
                let empty = Response { status: 0, headers: Vec::new(), body: Vec::new() };
                return Some(Ok(std::mem::replace(read, empty)));
            }
            Err(StreamError::LastOperationFailed(error)) => {
                let message = http_error_code(&error).map_or_else(|| error.to_debug_string(), |code| text(&code));
                return Some(Err(message));
            }
        }
    }
}

fn start(request: Request) -> Result<FutureIncomingResponse, String> {
    let (scheme, authority, path) = split(&request.url)?;
    let fields = request.headers.into_iter().map(|(name, value)| (name, bytes(&value)));
    // The length is the body's, whatever the charm says, as in a browser.
    let fields = fields.filter(|(name, _)| name != CONTENT_LENGTH);
    let length = request.body.as_ref().map(|body| (CONTENT_LENGTH.to_owned(), body.len().to_string().into_bytes()));
    let entries: Vec<_> = fields.chain(length).collect();
    let fields = Fields::from_list(&entries).map_err(|error| format!("a header is not allowed: {error:?}"))?;
    let outgoing = OutgoingRequest::new(fields);
    outgoing.set_method(&method(&request.method)).map_err(|()| "the method is not one")?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| "the URL's scheme is not one")?;
    outgoing.set_authority(Some(authority)).map_err(|()| "the URL's host is not one")?;
    outgoing.set_path_with_query(Some(&path)).map_err(|()| "the URL's path is not one")?;
    let body = outgoing.body().map_err(|()| "the request has no body")?;
    let response = outgoing_handler::handle(outgoing, None).map_err(|code| text(&code))?;
    send_body(body, request.body.as_deref().unwrap_or_default());
    Ok(response)
}

/// One byte for each character; the runtime lets none through that is over 255.
fn bytes(value: &str) -> Vec<u8> {
    value.chars().map(|char| u8::try_from(char).unwrap_or(b'?')).collect()
}

/// Writes the body. If that fails, the response says why.
fn send_body(body: OutgoingBody, bytes: &[u8]) {
    if !bytes.is_empty() {
        let Ok(stream) = body.write() else { return };
        for chunk in bytes.chunks(WRITE) {
            if stream.blocking_write_and_flush(chunk).is_err() {
                return;
            }
        }
    }
    // An error here, that the request is gone, is the response's as well.
    let _ = OutgoingBody::finish(body, None);
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.into()),
    }
}

/// Scheme, host and port, path and query of a URL, which the URL standard's parser wrote: all that needs encoding is
/// encoded. It is taken apart only: what it means, the host's gate decides. That lets no backslash pass, wherever it
/// stands; the parser leaves one in a query alone.
fn split(url: &str) -> Result<(Scheme, &str, String), String> {
    let (scheme, rest) = url.split_once("://").ok_or("not an absolute URL")?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.into()),
    };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let (authority, path) = rest.split_at(rest.find('/').ok_or("the URL has no path")?);
    if authority.is_empty() || authority.contains('@') {
        return Err("the URL has no host, or has a user in it".into());
    }
    Ok((scheme, authority, path.replace('\\', "%5C")))
}
