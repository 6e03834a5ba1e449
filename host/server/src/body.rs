//! Request bodies, up to a limit and within a time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::options::{LARGE_BODIES, NO_BODY, SMALL_BODY};

/// Why a body could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is too large: at most {0} bytes are accepted here")]
    TooLarge(usize),
    #[error("this endpoint takes no body; send the request without one")]
    Unexpected,
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration),
    #[error("the body did not arrive whole: {0}")]
    Broken(axum::Error),
}

/// Receives bodies, of the larger ones never more than [`LARGE_BODIES`] at once.
#[derive(Debug)]
pub(crate) struct Bodies {
    room: Semaphore,
    timeout: Duration,
}

/// How much more of a refused body is read, for how long. A connection that is closed while the client is still sending may
/// lose the answer on its way.
const DISCARD_BYTES: usize = 8 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(5);

impl BodyError {
    fn over(limit: usize) -> Self {
        if limit == NO_BODY { Self::Unexpected } else { Self::TooLarge(limit) }
    }
}

impl Bodies {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { room: Semaphore::new(LARGE_BODIES), timeout }
    }

    /// The whole body, which may have `limit` bytes.
    pub(crate) async fn receive(&self, headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|text| text.to_str().ok()).and_then(|text| text.parse().ok());
        if announced.is_some_and(|length: usize| length > limit) {
            discard(body).await;
            return Err(BodyError::over(limit));
        }
        let needed = Some(announced.unwrap_or(limit)).filter(|&size| size > SMALL_BODY).unwrap_or(0);
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let deadline = Instant::now() + self.timeout;
        let received = timeout_at(deadline, async {
            let _room = self.room.acquire_many(needed).await.expect("the semaphore is never closed");
            let mut whole = BytesMut::new();
            while let Some(frame) = body.frame().await {
                // What is no data is a trailer, which nothing here reads.
                let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
                if data.len() > limit - whole.len() {
                    return Err(BodyError::over(limit));
                }
                whole.extend_from_slice(&data);
            }
            Ok(whole.freeze())
        });
        let received = received.await.unwrap_or(Err(BodyError::TooSlow(self.timeout)));
        if matches!(received, Err(BodyError::TooLarge(_) | BodyError::Unexpected)) {
            discard(body).await;
        }
        received
    }
}

/// Reads on, without keeping anything.
pub(crate) async fn discard(mut body: Body) {
    let mut left = DISCARD_BYTES;
    let reading = tokio::time::timeout(DISCARD_TIME, async {
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Bytes::len);
            if read > left {
                return;
            }
            left -= read;
        }
    });
    // If the time is up, the answer goes out all the same.
    let _ = reading.await;
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;

    #[tokio::test]
    async fn a_body_is_received_up_to_its_limit() {
        let bodies = Bodies::new(Duration::from_secs(30));
        for (size, fits) in [(0, true), (10, true), (11, false), (9 * 1024 * 1024, false)] {
            let body = Body::from(vec![b'x'; size]);
            let received = bodies.receive(&HeaderMap::new(), body, 10).await;
            assert_eq!(received.ok().map(|bytes| bytes.len()), fits.then_some(size));
        }
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_is_refused_at_once() {
        let bodies = Bodies::new(Duration::from_secs(30));
        let headers = [(CONTENT_LENGTH, "11".parse().unwrap())].into_iter().collect();
        let received = bodies.receive(&headers, Body::empty(), 10).await;
        assert!(matches!(received, Err(BodyError::TooLarge(10))));
    }

    #[tokio::test]
    async fn where_no_body_belongs_none_is_taken() {
        let bodies = Bodies::new(Duration::from_secs(30));
        assert_eq!(bodies.receive(&HeaderMap::new(), Body::empty(), NO_BODY).await.unwrap(), Bytes::new());
        let received = bodies.receive(&HeaderMap::new(), Body::from("{}"), NO_BODY).await;
        assert!(matches!(received, Err(BodyError::Unexpected)));
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let bodies = Bodies::new(Duration::from_millis(10));
        let received = bodies.receive(&HeaderMap::new(), Body::new(Never), 10).await;
        assert!(matches!(received, Err(BodyError::TooSlow(_))));
    }

    /// A body that never comes.
    struct Never;

    impl hyper::body::Body for Never {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }
}
