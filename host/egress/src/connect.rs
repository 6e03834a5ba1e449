//! Connections: to checked addresses only, within the request's time, each counting the bytes that arrive.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::Service;

use crate::error::BoxError;
use crate::resolve::{PINNED, Pinned, PinnedResolver};

/// A connector that knows the request it connects for: it refuses to connect without one, and keeps to that request's
/// time limit.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector<PinnedResolver>,
    tls: TlsConnector,
}

/// A connection was not established in time.
#[derive(Debug, thiserror::Error)]
#[error("not connected within {0:?}")]
pub(crate) struct ConnectTimeout(pub(crate) Duration);

impl Connector {
    pub(crate) fn new(tls: Arc<rustls::ClientConfig>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(PinnedResolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { tcp, tls: TlsConnector::from(tls) }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<CountedStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<CountedStream>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Ok(pinned) = PINNED.try_with(Pinned::clone) else {
            return Box::pin(async { Err("a connection that belongs to no request".into()) });
        };
        let within = pinned.connect_within;
        let tls = (to.scheme() == Some(&Scheme::HTTPS)).then(|| (self.tls.clone(), to.clone()));
        // The pool may finish a connection in another task if an idle one became free sooner, so the checked addresses
        // go along.
        let connecting = PINNED.sync_scope(pinned.clone(), || self.tcp.call(to));
        let connecting = PINNED.scope(pinned, connecting);
        Box::pin(async move {
            let connecting = async {
                let stream = connecting.await?.into_inner();
                let peer = stream.peer_addr().ok();
                let io = match tls {
                    None => Io::Plain(stream),
                    Some((tls, to)) => Io::Tls(Box::new(tls.connect(server_name(&to)?, stream).await?)),
                };
                Ok(TokioIo::new(CountedStream { io, peer, received: Arc::default() }))
            };
            match tokio::time::timeout(within, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimeout(within).into()),
            }
        })
    }
}

/// The name that the server's certificate must prove.
fn server_name(to: &Uri) -> Result<ServerName<'static>, BoxError> {
    let host = to.host().unwrap_or_default();
    // A URL has an IPv6 address in brackets.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(ServerName::try_from(host.to_owned())?)
}

/// A connection that counts the bytes that arrive over it, without those of TLS itself.
pub(crate) struct CountedStream {
    io: Io,
    peer: Option<SocketAddr>,
    received: Arc<AtomicU64>,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What is known of the connection of one request.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    /// The address at the other end.
    pub(crate) peer: Option<SocketAddr>,
    is_http2: bool,
    received: Arc<AtomicU64>,
    /// How many bytes had arrived when this request took the connection; `None` in the connection's own copy, which
    /// belongs to no request.
    before: Option<u64>,
}

impl ConnectionState {
    /// Whether the connection had answered earlier requests, and not a byte has arrived since.
    pub(crate) fn went_silent(&self) -> bool {
        // Over HTTP/2, answers to other requests share the connection and say nothing about this one.
        !self.is_http2
            && self.before.is_some_and(|before| before > 0 && before == self.received.load(Ordering::Acquire))
    }
}

/// The pool clones the state of a connection for each request, before it hands over the request: a clone remembers how
/// many bytes had arrived until then.
impl Clone for ConnectionState {
    fn clone(&self) -> Self {
        let before = self.before.unwrap_or_else(|| self.received.load(Ordering::Acquire));
        Self { before: Some(before), received: self.received.clone(), ..*self }
    }
}

impl Connection for CountedStream {
    fn connected(&self) -> Connected {
        let is_http2 = matches!(&self.io, Io::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2"));
        let state = ConnectionState { peer: self.peer, is_http2, received: self.received.clone(), before: None };
        let connected = Connected::new().extra(state);
        if is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for CountedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { io, received, .. } = self.get_mut();
        let before = buffer.filled().len();
        let read = match io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        };
        received.fetch_add((buffer.filled().len() - before) as u64, Ordering::AcqRel);
        read
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
