//! Request and response bodies, with their sizes and times limited.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, timeout};

use crate::audit::Audit;
use crate::budget::Permit;
use crate::error::{BoxError, EgressError, Part, RequestBodyError, Wait};
use crate::failure;
use crate::headers;
use crate::limits::HttpLimits;

/// How much of a request body is buffered to find its length. A longer body is streamed. All requests of one call then
/// hold no more than its guest may have in its own memory.
const HELD_BYTES: usize = 1024 * 1024;

/// A request body whose next chunk takes longer is streamed: what is buffered is sent, and the rest as it arrives.
/// Guests that have the whole body at hand deliver it much faster, even on a busy machine.
const STREAM_PAUSE: Duration = Duration::from_secs(1);

/// A response's body. Yields [`EgressError::TooLarge`] beyond its limit, and [`EgressError::Timeout`] when its time is
/// over. At its end, or when it is dropped, it releases the permits of its request and writes the audit record.
pub struct ResponseBody {
    inner: Option<Open>,
    hint: SizeHint,
}

/// What a response's body holds until it ends.
struct Open {
    body: Incoming,
    audit: Audit,
    origin: String,
    limits: HttpLimits,
    received: u64,
    between: Option<Duration>,
    /// Fires at the end of the request's time, or earlier when the next chunk is overdue.
    overdue: Pin<Box<Sleep>>,
    started: Instant,
    deadline: Instant,
    _permit: Permit,
}

/// The time limits of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// When the request started.
    pub(crate) started: Instant,
    /// When it must have ended.
    pub(crate) deadline: Instant,
    /// The longest wait for a chunk.
    pub(crate) between: Option<Duration>,
}

impl Times {
    fn next(self) -> Instant {
        self.between.map_or(self.deadline, |between| self.deadline.min(Instant::now() + between))
    }
}

impl ResponseBody {
    /// Fails at once if the body's announced size is too large.
    pub(crate) fn new(
        body: Incoming,
        mut audit: Audit,
        origin: String,
        limits: HttpLimits,
        times: Times,
        permit: Permit,
    ) -> Result<Self, EgressError> {
        let hint = body.size_hint();
        if hint.lower() > limits.response_body_bytes {
            let error = EgressError::TooLarge { what: Part::ResponseBody, limit: limits.response_body_bytes };
            audit.fail(&error);
            return Err(error);
        }
        if body.is_end_stream() {
            audit.end();
            return Ok(Self { inner: None, hint: SizeHint::with_exact(0) });
        }
        let Times { started, deadline, between } = times;
        let overdue = Box::pin(tokio::time::sleep_until(times.next()));
        let open =
            Open { body, audit, origin, limits, received: 0, between, overdue, started, deadline, _permit: permit };
        Ok(Self { inner: Some(open), hint })
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").field("ended", &self.inner.is_none()).finish_non_exhaustive()
    }
}

impl Open {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        // Time is checked first: a body that always has more data must not outrun it.
        if self.overdue.as_mut().poll(cx).is_ready() {
            let (what, after) = if Instant::now() >= self.deadline {
                (Wait::Whole, self.deadline - self.started)
            } else {
                (Wait::Piece, self.between.unwrap_or_default())
            };
            return Poll::Ready(Some(Err(EgressError::Timeout { what, after })));
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(failure::of(&error, &self.origin, &self.limits)))),
            Some(Ok(frame)) => frame,
        };
        if let Some(data) = frame.data_ref() {
            self.received += data.len() as u64;
            self.audit.received(self.received);
            if self.received > self.limits.response_body_bytes {
                let limit = self.limits.response_body_bytes;
                return Poll::Ready(Some(Err(EgressError::TooLarge { what: Part::ResponseBody, limit })));
            }
        }
        let frame = match frame.into_trailers() {
            Err(data) => data,
            Ok(mut trailers) => match headers::check_response(&mut trailers, &self.limits) {
                Ok(()) => Frame::trailers(trailers),
                Err(error) => return Poll::Ready(Some(Err(error))),
            },
        };
        let times = Times { started: self.started, deadline: self.deadline, between: self.between };
        self.overdue.as_mut().reset(times.next());
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let Some(open) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(open.poll(cx));
        match &frame {
            None => open.audit.end(),
            Some(Err(error)) => open.audit.fail(error),
            Some(Ok(_)) if open.body.is_end_stream() => open.audit.end(),
            Some(Ok(_)) => {
                self.hint = open.body.size_hint();
                return Poll::Ready(frame);
            }
        }
        // Releases the permits, and closes the connection if more data was to come.
        self.inner = None;
        self.hint = SizeHint::with_exact(0);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

/// A guest's body on its way out, held to its size limit, to the length that the guest announced, and to the request's
/// time. Trailers are dropped: HTTP/1.1 would drop them too if they are not announced, and they are headers that nobody
/// checked.
pub(crate) struct RequestBody {
    /// What the guest has delivered so far.
    held: Bytes,
    /// What the guest has yet to deliver.
    rest: UnsyncBoxBody<Bytes, BoxError>,
    left: u64,
    limit: u64,
    exact: bool,
    ended: bool,
    timer: Pin<Box<Sleep>>,
    copy: Option<Copied>,
}

/// A copy of the sent part of a body, for sending it again. At most as large as a body may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copied(Arc<Mutex<Sent>>);

#[derive(Debug, Default)]
struct Sent {
    pieces: Vec<Bytes>,
    whole: bool,
}

impl Copied {
    /// The whole body, if the guest has delivered all of it.
    pub(crate) fn whole(&self) -> Option<Bytes> {
        let sent = self.sent();
        sent.whole.then(|| match sent.pieces.as_slice() {
            [piece] => piece.clone(),
            pieces => pieces.concat().into(),
        })
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestBody {
    /// Fails at once if the body's announced size is too large, or if two announced lengths differ.
    pub(crate) fn new<B>(
        body: B,
        length: Option<u64>,
        limits: &HttpLimits,
        deadline: Instant,
    ) -> Result<Self, EgressError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let limit = limits.request_body_bytes;
        let hint = body.size_hint();
        let exact = match (length, hint.exact()) {
            (Some(said), Some(is)) if said != is => {
                return Err(EgressError::Request("the content-length header does not match the body".to_owned()));
            }
            (said, is) => said.or(is),
        };
        if exact.unwrap_or(hint.lower()) > limit {
            return Err(EgressError::TooLarge { what: Part::RequestBody, limit });
        }
        let ended = body.is_end_stream();
        let timer = Box::pin(tokio::time::sleep_until(deadline));
        let rest = body.map_err(Into::into).boxed_unsync();
        let left = exact.unwrap_or(limit);
        Ok(Self { held: Bytes::new(), rest, left, limit, exact: exact.is_some(), ended, timer, copy: None })
    }

    /// A body that is buffered completely and was checked against its limits.
    pub(crate) fn whole(bytes: Bytes, deadline: Instant) -> Self {
        let left = bytes.len() as u64;
        let timer = Box::pin(tokio::time::sleep_until(deadline));
        Self { held: bytes, rest: nothing(), left, limit: left, exact: true, ended: left == 0, timer, copy: None }
    }

    /// The whole body, once the guest has delivered it.
    pub(crate) async fn collected(self) -> Result<Bytes, RequestBodyError> {
        let mut this = self;
        let mut all = BytesMut::new();
        while let Some(frame) = this.frame().await {
            if let Ok(data) = frame?.into_data() {
                all.extend_from_slice(&data);
            }
        }
        Ok(all.freeze())
    }

    /// The same body with its length known, unless it is a stream: longer than [`HELD_BYTES`], or with a pause of
    /// [`STREAM_PAUSE`]. A length that the guest announced is checked against the buffered body before any of it is
    /// sent.
    pub(crate) async fn gathered(mut self) -> Result<Self, RequestBodyError> {
        // One buffer: a guest may deliver any number of chunks of zero or one byte.
        let mut held = BytesMut::new();
        let (exact, left) = (self.exact, self.left);
        while held.len() <= HELD_BYTES {
            let Ok(frame) = timeout(STREAM_PAUSE, self.frame()).await else { break };
            let Some(frame) = frame else {
                (self.exact, self.left, self.ended) = (true, held.len() as u64, held.is_empty());
                (self.held, self.rest) = (held.freeze(), nothing());
                return Ok(self);
            };
            if let Ok(data) = frame?.into_data() {
                held.extend_from_slice(&data);
            }
        }
        (self.exact, self.left, self.held) = (exact, left, held.freeze());
        Ok(self)
    }

    /// Keeps a copy of everything sent from now on.
    pub(crate) fn copied(&mut self) -> Copied {
        let copy = Copied::default();
        if self.ended || (self.exact && self.left == self.held.len() as u64) {
            // The whole body is buffered, so it can be sent again, however much of it the first attempt sent.
            *copy.sent() = Sent { pieces: vec![self.held.clone()], whole: true };
            return copy;
        }
        self.copy.insert(copy).clone()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        if self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(RequestBodyError::Late)));
        }
        let frame = if self.held.is_empty() {
            match ready!(Pin::new(&mut self.rest).poll_frame(cx)) {
                Some(Err(error)) => return Poll::Ready(Some(Err(RequestBodyError::Guest(error)))),
                Some(Ok(frame)) => frame.into_data().ok(),
                None => None,
            }
        } else {
            Some(std::mem::take(&mut self.held))
        };
        // Nothing follows trailers, so they end the body.
        let Some(data) = frame else {
            let short = self.exact && self.left > 0;
            return Poll::Ready(short.then_some(Err(RequestBodyError::Length)));
        };
        Poll::Ready(Some(match self.left.checked_sub(data.len() as u64) {
            Some(left) => {
                self.left = left;
                Ok(Frame::data(data))
            }
            None if self.exact => Err(RequestBodyError::Length),
            None => Err(RequestBodyError::TooLarge(self.limit)),
        }))
    }
}

fn nothing() -> UnsyncBoxBody<Bytes, BoxError> {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(self.poll(cx));
        self.ended = !matches!(frame, Some(Ok(_)));
        if let Some(copy) = &self.copy {
            let mut sent = copy.sent();
            match &frame {
                Some(Ok(frame)) => {
                    sent.pieces.extend(frame.data_ref().cloned());
                    // hyper does not poll for the end of a body whose length it knows.
                    sent.whole = self.exact && self.left == 0;
                }
                Some(Err(_)) => {}
                None => sent.whole = true,
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        if self.exact { SizeHint::with_exact(self.left) } else { SizeHint::default() }
    }
}
