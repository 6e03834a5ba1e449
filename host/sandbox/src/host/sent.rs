//! A request that was sent, until its answer has ended or the guest gives it up.

use std::pin::Pin;
use std::task::{Context, Poll};

use bg_egress::{EgressError, Progress, ResponseBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::failures::{Failures, Server};

/// Reports to its call what becomes of a request.
pub(super) struct Sent {
    number: u32,
    server: Server,
    progress: Progress,
    failures: Failures,
}

impl Sent {
    pub(super) fn new(number: u32, server: Server, failures: Failures) -> Self {
        let progress = Progress::default();
        failures.sent(number, &server, &progress);
        Self { number, server, progress, failures }
    }

    /// For the gate, which notes in it how far it is.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// There is no answer, or no more of it.
    pub(super) fn failed(&self, error: &EgressError) {
        self.failures.failed(self.number, &self.server, error);
    }

    /// The head of its answer is there.
    pub(super) fn answered<B>(&self, response: &http::Response<B>) {
        self.failures.answered(self.number, &self.server, response);
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
        let Sent { number, server, progress, failures } = &self.sent;
        match &frame {
            Poll::Pending => failures.reads(*number, server, progress),
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
