//! One connection: texts in both directions, of a bounded size.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::endpoint::Endpoint;
use crate::error::{Error, shown};
use crate::limits::Limits;

/// What TCP and TLS have in common.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a server.
pub(crate) struct Socket {
    socket: WebSocketStream<Box<dyn Stream>>,
    server: String,
    message_bytes: usize,
    write: Duration,
}

/// How much is read and written at once. The library's own sizes are made for few connections with much traffic.
const BUFFER: usize = 8 << 10;

impl Socket {
    /// Connects for a space.
    pub(crate) async fn connect(
        endpoint: &Endpoint,
        tls: Option<&Arc<rustls::ClientConfig>>,
        space: &str,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let server = endpoint.to_string();
        let failed = |problem: &dyn ToString| Error::Unreachable {
            server: server.clone(),
            problem: shown(&problem.to_string()),
        };
        let tcp = TcpStream::connect((endpoint.host(), endpoint.port())).await.map_err(|error| failed(&error))?;
        tcp.set_nodelay(true).map_err(|error| failed(&error))?;
        let stream: Box<dyn Stream> = if endpoint.is_tls() {
            let name = ServerName::try_from(endpoint.host().to_owned()).map_err(|error| failed(&error))?;
            let tls = tls.cloned().unwrap_or_else(public_roots);
            Box::new(tokio_rustls::TlsConnector::from(tls).connect(name, tcp).await.map_err(|error| failed(&error))?)
        } else {
            Box::new(tcp)
        };
        let request = endpoint.socket(space).as_str().into_client_request().map_err(|error| failed(&error))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_write_buffer_size(limits.message_bytes + (1 << 20))
            .max_message_size(Some(limits.message_bytes))
            .max_frame_size(Some(limits.message_bytes));
        let (socket, _) =
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await.map_err(|error| {
                match error {
                    SocketError::Http(response) => {
                        Error::NoWebSocket { server: server.clone(), status: response.status().as_u16() }
                    }
                    error => failed(&error),
                }
            })?;
        Ok(Self { socket, server, message_bytes: limits.message_bytes, write: limits.connect })
    }

    /// Sends a text. A server that takes nothing is as good as gone.
    pub(crate) async fn send(&mut self, text: String) -> Result<(), Error> {
        if text.len() > self.message_bytes {
            return Err(Error::TooLarge(format!(
                "nothing yet: this message of {} bytes is over the limit",
                text.len()
            )));
        }
        self.write(Message::text(text)).await
    }

    /// Asks for a sign of life.
    pub(crate) async fn ping(&mut self) -> Result<(), Error> {
        self.write(Message::Ping(Default::default())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Error> {
        match timeout(self.write, self.socket.send(message)).await {
            Ok(done) => done.map_err(|error| self.lost(&error)),
            Err(_) => Err(self.lost(&"it takes no more messages")),
        }
    }

    /// The next text, or nothing for a sign of life. Cancel safe.
    pub(crate) async fn receive(&mut self) -> Result<Option<String>, Error> {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
            Some(Ok(Message::Binary(_))) => {
                Err(Error::version("another protocol: it sends messages that are not text"))
            }
            Some(Ok(Message::Close(close))) => {
                let reason = close.map(|close| format!(" ({} {})", u16::from(close.code), close.reason));
                Err(self.lost(&format!("it closed the connection{}", reason.unwrap_or_default())))
            }
            Some(Err(SocketError::Capacity(CapacityError::MessageTooLong { size, max_size }))) => {
                Err(Error::TooLarge(format!("a message of {size} bytes or more; the limit is {max_size}")))
            }
            Some(Err(error)) => Err(self.lost(&error)),
            None => Err(self.lost(&"the connection ended")),
        }
    }

    /// That this connection is over.
    pub(crate) fn lost(&self, problem: &dyn ToString) -> Error {
        Error::Unreachable { server: self.server.clone(), problem: shown(&problem.to_string()) }
    }
}

fn public_roots() -> Arc<rustls::ClientConfig> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
