//! One connection: HTTP/1.1 with time limits for reading and for writing.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt as _};

use crate::admission::Slot;
use crate::options::{HEADER, ServerOptions};
use crate::peer::Peer;

/// Serves the requests of one connection until the client closes it, a time limit is reached, or `shutdown`. The
/// request under way is then the last one.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: Peer,
    place: Slot,
    router: Router,
    options: Arc<ServerOptions>,
    shutdown: CancellationToken,
) {
    // Responses are small and whole; waiting for more to send would only delay them. If it fails, everything still
    // works.
    let _ = stream.set_nodelay(true);
    let stream = WriteTimeout::new(stream, options.write_timeout);
    let occupant = place.occupant();
    let router = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(occupant.clone());
        request
    });
    let serving = async {
        let Some(tls) = &options.tls else { return answer(stream, router, &options, shutdown).await };
        match timeout(options.header_timeout, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => answer(stream, router, &options, shutdown).await,
            Ok(Err(error)) => tracing::debug!(error = %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake timed out"),
        }
    };
    tokio::select! {
        () = serving => {}
        () = place.closing.cancelled() => tracing::debug!("an idle connection was closed for a new one"),
    }
}

/// The response on a connection that is refused, without TLS.
const NO_PLACE: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Refuses a connection.
pub(crate) fn refuse(stream: &TcpStream, options: &ServerOptions) {
    tracing::debug!("a connection was refused: its client has its share, or all are busy");
    if options.tls.is_none() {
        // Into the system's buffer, or not at all: the server does not wait for such a client.
        let _ = stream.try_write(NO_PLACE);
    }
}

async fn answer<S, R>(stream: S, router: R, options: &ServerOptions, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    R: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_buf_size(HEADER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients leave, time limits are reached: nothing that an operator could fix.
        tracing::debug!(error = %error, "a connection ended early");
    }
}

/// A stream whose writes fail if the other side accepts nothing for some time.
struct WriteTimeout {
    stream: TcpStream,
    limit: Duration,
    /// Runs while a write is waiting.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl WriteTimeout {
    fn new(stream: TcpStream, limit: Duration) -> Self {
        Self { stream, limit, waiting: None }
    }

    /// Returns a write's result, or an error after too long a wait.
    fn limited<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(context));
        // A later poll gets the error again.
        waiting.as_mut().reset(Instant::now());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read the response")))
    }
}

impl AsyncRead for WriteTimeout {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for WriteTimeout {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limited(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.limited(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = WriteTimeout::new(stream, Duration::from_millis(50));
        let chunk = vec![0; 1 << 20];
        // The system's buffers fill up; then writes stop.
        let error = loop {
            match stream.write_all(&chunk).await {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
