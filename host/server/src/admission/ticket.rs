//! What a request holds until its response is sent.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::connections::Occupant;
use super::{Permit, TooMany};

/// A request under way, with what it holds until its response is sent. An extension of the request.
#[derive(Clone)]
pub(crate) struct Ticket(Arc<Inner>);

struct Inner {
    connection: Occupant,
    /// The error that it gets unless it proves to be the operator's.
    over: Option<TooMany>,
    /// Whether it holds the connection.
    holds: AtomicBool,
    permit: Mutex<Option<Permit>>,
}

impl Ticket {
    /// For a request on that connection, whose head has come.
    pub(crate) fn new(connection: Occupant, over: Option<TooMany>) -> Self {
        connection.heard();
        Self(Arc::new(Inner { connection, over, holds: AtomicBool::new(false), permit: Mutex::default() }))
    }

    /// Fails if the client has sent too many requests, and this one is not the operator's.
    pub(crate) fn check_rate(&self) -> Result<(), TooMany> {
        self.0.over.map_or(Ok(()), Err)
    }

    /// Admits the request: it keeps its connection and the permit until its response is sent.
    pub(crate) fn admit(&self, permit: Permit) {
        self.hold();
        *self.0.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
    }

    /// Marks the request as the operator's.
    pub(crate) fn admit_operator(&self) {
        self.0.connection.trust();
        self.hold();
    }

    fn hold(&self) {
        if !self.0.holds.swap(true, Ordering::Relaxed) {
            self.0.connection.hold();
        }
    }

    /// The response; everything that the request holds ends with it.
    pub(crate) fn until_sent(self, response: Response) -> Response {
        response.map(|body| Body::new(Held { body, _ticket: self }))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if *self.holds.get_mut() {
            self.connection.release();
        }
    }
}

/// The body of a response, with what the request holds.
struct Held {
    body: Body,
    _ticket: Ticket,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
