//! Requests of attackers, each from its own address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use bg_identity::{Identity, http_signature};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use reqwest::redirect::Policy;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};
use url::Url;

use super::Tally;

/// How long an attacker waits for an answer: longer than a handler may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// The pause after a request without an answer, so that the attacker does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// The result of a request.
pub(super) struct Answer {
    /// The status, or why there was none.
    pub(super) status: Result<u16, &'static str>,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        matches!(self.status, Ok(200..=299))
    }

    /// The status as a text.
    pub(super) fn text(&self) -> String {
        self.status.map_or_else(str::to_owned, |status| status.to_string())
    }
}

/// Sends the requests of one attack, and counts their results.
pub(super) struct Client {
    server: SocketAddr,
    senders: Vec<(Ipv4Addr, reqwest::Client)>,
    pub(super) tally: Tally,
}

impl Client {
    /// A client with these addresses.
    pub(super) fn new(server: SocketAddr, addresses: Vec<Ipv4Addr>) -> reqwest::Result<Self> {
        let sender = |address: Ipv4Addr| {
            let sender = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE);
            Ok((address, sender.local_address(IpAddr::from(address)).build()?))
        };
        let senders = addresses.into_iter().map(sender).collect::<reqwest::Result<_>>()?;
        Ok(Self { server, senders, tally: Tally::default() })
    }

    pub(super) fn url(&self, target: &str) -> Url {
        let text = format!("http://{}{target}", self.server);
        text.parse().expect("an address and a path make a URL")
    }

    /// The headers that sign a request.
    pub(super) fn sign(&self, identity: &Identity, method: &Method, target: &str, body: &[u8]) -> HeaderMap {
        let signed = http_signature::sign(identity, method, &self.url(target), body, SystemTime::now());
        let signed = signed.expect("the URL has a host, the clock is right, and the system has random bytes");
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        signed.into_iter().chain([json]).collect::<HeaderMap>()
    }

    /// Sends a request as the worker of that number, and counts its answer under `who`.
    pub(super) async fn send(
        &self,
        worker: usize,
        who: &str,
        method: &Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Answer {
        let answer = self.exchange(worker, method, target, headers, body).await;
        self.tally.count(&format!("{who}: {}", answer.text()));
        answer
    }

    /// The same, without counting it.
    pub(super) async fn exchange(
        &self,
        worker: usize,
        method: &Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Answer {
        let (_, sender) = &self.senders[worker % self.senders.len()];
        let sent = sender.request(method.clone(), self.url(target)).headers(headers).body(body).send();
        let answered = async {
            let response = sent.await?;
            reqwest::Result::Ok((response.status().as_u16(), response.bytes().await?))
        };
        match answered.await {
            Ok((status, body)) => Answer { status: Ok(status), body },
            Err(error) => {
                tokio::time::sleep(PAUSE).await;
                Answer { status: Err(reason(&error)), body: Bytes::new() }
            }
        }
    }

    /// Sends a signed request.
    pub(super) async fn signed(
        &self,
        worker: usize,
        (who, identity): (&str, &Identity),
        method: &Method,
        target: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        let body = body.into();
        let headers = self.sign(identity, method, target, &body);
        self.send(worker, who, method, target, headers, body).await
    }

    /// A connection on which nothing was sent yet.
    pub(super) async fn connect(&self, worker: usize) -> io::Result<TcpStream> {
        let (address, _) = &self.senders[worker % self.senders.len()];
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((*address, 0)))?;
        socket.connect(self.server).await
    }

    /// The start of a request, without the line that ends its head.
    pub(super) fn head(&self, method: &Method, target: &str, headers: &HeaderMap, length: usize) -> Vec<u8> {
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n", self.server).into_bytes();
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat()
        };
        head.extend(headers.iter().flat_map(line));
        head
    }
}

fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "no answer"
    } else {
        "closed"
    }
}

/// What the server sends, or does, on a connection that waits for it.
pub(super) async fn first_answer(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut buffer = [0; 64];
    let read = stream.read(&mut buffer).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&buffer[..read]);
    text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next()).unwrap_or("closed").to_owned()
}
