//! A request that was sent, until its answer has ended or the guest gives it up.

use std::pin::Pin;
use std::task::{Context, Poll};

use bg_egress::{EgressError, ResponseBody};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::failures::{Failures, Server};

/// Reports to its call what becomes of a request.
pub(super) struct Sent {
    number: u32,
    server: Server,
    failures: Failures,
}

impl Sent {
    pub(super) fn new(number: u32, server: Server, failures: Failures) -> Self {
        failures.sent(number, &server);
        Self { number, server, failures }
    }

    /// There is no answer, or no more of it.
    pub(super) fn failed(&self, error: &EgressError) {
        self.failures.failed(self.number, &self.server, error);
    }

    /// The head of its answer is there.
    pub(super) fn answered(&self, status: StatusCode, headers: &HeaderMap) {
        self.failures.answered(self.number, &self.server, status, headers);
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.failures.given_up(self.number);
    }
}

/// The body of its answer.
pub(super) struct Answer {
    pub(super) body: ResponseBody,
    pub(super) sent: Sent,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let Sent { number, server, failures } = &self.sent;
        match &frame {
            Poll::Pending => failures.reads(*number, server),
            Poll::Ready(Some(Err(error))) => self.sent.failed(error),
            Poll::Ready(_) => failures.has_read(*number),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
