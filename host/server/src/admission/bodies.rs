//! Step `body`: request bodies, up to a limit and within a time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::pool::{Full, Permit, Pool, Shares};
use super::sender::Sender;
use crate::options::{NO_BODY, SMALL_BODY};

/// Why a body was not received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is too large: at most {0} bytes are accepted here")]
    TooLarge(usize),
    #[error("this endpoint takes no body; send the request without one")]
    Unexpected,
    #[error("the body did not arrive within {0:?}")]
    TooSlow(Duration),
    #[error("the body broke off: {0}")]
    Broken(axum::Error),
    #[error(transparent)]
    Full(#[from] Full),
}

/// Receives bodies; all larger ones share a number of bytes.
#[derive(Debug)]
pub(crate) struct Bodies {
    room: Arc<Pool>,
    timeout: Duration,
    wait: Duration,
}

/// How much more of a refused body is read, and for how long. If the connection closed while the client is still
/// sending, the response might be lost.
const DISCARD_BYTES: usize = 8 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// A body that was received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    /// Its share of the bytes of large bodies.
    _room: Option<Permit>,
}

impl BodyError {
    fn over(limit: usize) -> Self {
        if limit == NO_BODY { Self::Unexpected } else { Self::TooLarge(limit) }
    }
}

impl Bodies {
    /// `timeout`: for one body. `room`: bytes for all larger ones. `wait`: how long to wait for a part of it.
    pub(super) fn new(timeout: Duration, wait: Duration, room: usize) -> Self {
        let (quarter, half) = (room / 4, room / 2);
        let shares = Shares { all: room, local: half + quarter, strangers: half, signer: quarter, network: quarter };
        Self { room: Pool::new(shares), timeout, wait }
    }

    /// Fails if the head says that the body is longer than `limit` bytes.
    pub(super) fn check_announced(headers: &HeaderMap, limit: usize) -> Result<(), BodyError> {
        if announced(headers).is_some_and(|length| length > limit) { Err(BodyError::over(limit)) } else { Ok(()) }
    }

    /// The whole body of an admitted request, up to `limit` bytes. A large one keeps its share of the bytes until it is
    /// dropped: it, and what is made of it, is in memory as long as its request is being answered.
    pub(super) async fn receive(
        &self,
        headers: &HeaderMap,
        body: Body,
        limit: usize,
        sender: &Sender,
    ) -> Result<Received, BodyError> {
        let needed = announced(headers).unwrap_or(limit);
        let room =
            if needed > SMALL_BODY { Some(self.room.take_within(sender, needed, self.wait).await?) } else { None };
        Ok(Received { bytes: self.read(headers, body, limit).await?, _room: room })
    }

    /// The whole body of a request that anybody may send: a small one.
    pub(crate) async fn receive_small<const LIMIT: usize>(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Bytes, BodyError> {
        const { assert!(LIMIT <= SMALL_BODY, "a larger body is for those who are known") };
        self.read(headers, body, LIMIT).await
    }

    async fn read(&self, headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
        if let Err(error) = Self::check_announced(headers, limit) {
            discard(body).await;
            return Err(error);
        }
        let deadline = Instant::now() + self.timeout;
        let received = timeout_at(deadline, async {
            let mut whole = BytesMut::new();
            while let Some(frame) = body.frame().await {
                // Frames without data are trailers, which nothing reads.
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

/// The body's length, as the head announces it.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads on, and discards everything.
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
    // The response is sent also if the time is over.
    let _ = reading.await;
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::super::sender::Standing;
    use super::*;

    const MIB: usize = 1024 * 1024;
    const WAIT: Duration = Duration::from_secs(10);

    fn sender(name: &str) -> Sender {
        let signer = Some(bg_identity::Identity::from_passphrase(name).did());
        Sender { standing: Standing::Local, signer, network: None }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_of_one_signer_leave_room_for_those_of_others() {
        let bodies = Arc::new(Bodies::new(Duration::from_secs(30), WAIT, 4 * MIB));
        let headers = HeaderMap::new();
        let receive = |name: &str, body| {
            let (bodies, headers, sender) = (Arc::clone(&bodies), headers.clone(), sender(name));
            async move { bodies.receive(&headers, body, MIB, &sender).await }
        };
        let slow = tokio::spawn(receive("eve", Body::new(Never)));
        tokio::task::yield_now().await;
        let full = receive("eve", Body::from("x")).await;
        assert!(matches!(full, Err(BodyError::Full(Full::Share))), "{full:?}");
        assert!(receive("ann", Body::from("x")).await.is_ok());
        assert!(matches!(slow.await.unwrap(), Err(BodyError::TooSlow(_))));
        assert!(receive("eve", Body::from("x")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_counts_until_its_request_is_answered() {
        let bodies = Bodies::new(Duration::from_secs(30), WAIT, 4 * MIB);
        let headers = HeaderMap::new();
        let eve = sender("eve");
        let receive = || bodies.receive(&headers, Body::from("x"), MIB, &eve);
        let held = receive().await.unwrap();
        let full = receive().await;
        assert!(matches!(full, Err(BodyError::Full(Full::Share))), "{full:?}");
        drop(held);
        assert_eq!(receive().await.unwrap().bytes, "x");
    }

    #[tokio::test]
    async fn a_body_is_received_up_to_its_limit() {
        let bodies = Bodies::new(Duration::from_secs(30), WAIT, MIB);
        for (size, fits) in [(0, true), (10, true), (11, false), (9 * 1024 * 1024, false)] {
            let body = Body::from(vec![b'x'; size]);
            let received = bodies.receive_small::<10>(&HeaderMap::new(), body).await;
            assert_eq!(received.ok().map(|bytes| bytes.len()), fits.then_some(size));
        }
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_is_refused_at_once() {
        let bodies = Bodies::new(Duration::from_secs(30), WAIT, MIB);
        let headers = [(CONTENT_LENGTH, "11".parse().unwrap())].into_iter().collect();
        let received = bodies.receive_small::<10>(&headers, Body::empty()).await;
        assert!(matches!(received, Err(BodyError::TooLarge(10))));
    }

    #[tokio::test]
    async fn an_endpoint_without_a_body_refuses_one() {
        let bodies = Bodies::new(Duration::from_secs(30), WAIT, MIB);
        assert_eq!(bodies.receive_small::<NO_BODY>(&HeaderMap::new(), Body::empty()).await.unwrap(), Bytes::new());
        let received = bodies.receive_small::<NO_BODY>(&HeaderMap::new(), Body::from("{}")).await;
        assert!(matches!(received, Err(BodyError::Unexpected)));
    }

    #[tokio::test]
    async fn a_body_that_never_arrives_times_out() {
        let bodies = Bodies::new(Duration::from_millis(10), WAIT, MIB);
        let received = bodies.receive_small::<10>(&HeaderMap::new(), Body::new(Never)).await;
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
