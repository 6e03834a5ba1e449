//! Servers that answer as a test wants, and a gate in front of them.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bg_egress::{
    AuditRecord, CallBudget, ClientOptions, CredentialSource, EgressError, Gate, GateClient, GateOptions, HttpLimits,
    Owner, RequestOptions, Resolver, ResponseBody,
};
use bg_manifest::EffectiveGrant;
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server on a free loopback port, until the test's runtime ends.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Runs `serve` for each connection.
    pub(crate) async fn raw<F>(serve: impl Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::new(AtomicUsize::new(0));
        let (count, still_open, record) = (connections.clone(), open.clone(), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                still_open.fetch_add(1, Ordering::SeqCst);
                let (served, still_open) = (serve(stream, record.clone()), still_open.clone());
                tokio::spawn(async move {
                    served.await;
                    still_open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, connections, open, seen }
    }

    /// Answers every request with these bytes, on connections that stay open.
    pub(crate) async fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = Arc::new(response.into());
        Self::raw(move |stream, seen| answer(stream, response.clone(), seen)).await
    }

    /// Answers every request with `200` and `ok`.
    pub(crate) async fn ok() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// The requests received, each with its head and the bytes of the body that came with it.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Reads requests and answers each with `response`.
pub(crate) async fn answer<S>(mut stream: S, response: Arc<Vec<u8>>, seen: Arc<Mutex<Vec<String>>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(request) = read_request(&mut stream).await {
        seen.lock().unwrap().push(request);
        if stream.write_all(&response).await.is_err() {
            return;
        }
    }
}

/// Reads one request: its head, and its body according to `content-length` or to the last chunk.
pub(crate) async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let whole = match length {
                Some(length) => body.len() >= length,
                None => !lower.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
            };
            if whole {
                return Some(text.into_owned());
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

/// Knows the names that a test gives it, and records the lookups.
#[derive(Default)]
pub(crate) struct FakeDns {
    answers: Mutex<HashMap<String, Vec<io::Result<Vec<IpAddr>>>>>,
    asked: Mutex<Vec<String>>,
    slow: Mutex<Option<Duration>>,
}

impl FakeDns {
    /// Returns these answers in order, and then the last one for every further lookup.
    pub(crate) fn answers(self: &Arc<Self>, host: &str, answers: &[&[&str]]) {
        let parsed = answers
            .iter()
            .map(|addresses| Ok(addresses.iter().map(|address| address.parse().unwrap()).collect()))
            .collect();
        self.answers.lock().unwrap().insert(host.to_owned(), parsed);
    }

    pub(crate) fn slow(&self, by: Duration) {
        *self.slow.lock().unwrap() = Some(by);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl Resolver for FakeDns {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let slow = *self.slow.lock().unwrap();
        if let Some(slow) = slow {
            tokio::time::sleep(slow).await;
        }
        let mut answers = self.answers.lock().unwrap();
        let Some(found) = answers.get_mut(host) else {
            return Err(io::Error::other("no such name"));
        };
        if found.len() > 1 {
            return found.remove(0);
        }
        match &found[0] {
            Ok(addresses) => Ok(addresses.clone()),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }
}

/// A gate, one client of it, and what a test needs to inspect.
pub(crate) struct Setup {
    pub(crate) gate: GateOptions,
    pub(crate) owner: Owner,
    pub(crate) grants: Vec<EffectiveGrant>,
    pub(crate) credentials: Option<Arc<dyn CredentialSource>>,
    pub(crate) limits: HttpLimits,
    pub(crate) dns: Arc<FakeDns>,
    pub(crate) records: Records,
}

/// The records that the gate's audit hook received.
#[derive(Clone, Default)]
pub(crate) struct Records(Arc<Mutex<Vec<AuditRecord>>>);

impl Records {
    pub(crate) fn all(&self) -> Vec<AuditRecord> {
        self.0.lock().unwrap().clone()
    }

    /// The only record.
    pub(crate) fn one(&self) -> AuditRecord {
        let all = self.all();
        assert_eq!(all.len(), 1, "{all:#?}");
        all[0].clone()
    }
}

impl Setup {
    /// For an integration named `gmail`, with no grants.
    pub(crate) fn new() -> Self {
        let dns = Arc::new(FakeDns::default());
        let records = Records::default();
        let kept = records.clone();
        let gate = GateOptions {
            resolver: dns.clone(),
            audit: Some(Arc::new(move |record| kept.0.lock().unwrap().push(record.clone()))),
            ..GateOptions::default()
        };
        let owner = Owner::Integration("gmail".parse().unwrap());
        Self { gate, owner, grants: Vec::new(), credentials: None, limits: HttpLimits::default(), dns, records }
    }

    /// With all of these servers granted and reachable.
    pub(crate) fn to(servers: &[&Server]) -> Self {
        servers.iter().fold(Self::new(), |setup, server| setup.private(&server.origin()).grant(&server.origin()))
    }

    pub(crate) fn grant(mut self, grant: &str) -> Self {
        self.grants.push(grant.parse::<bg_manifest::HttpGrant>().unwrap().into());
        self
    }

    pub(crate) fn private(mut self, origin: &str) -> Self {
        self.gate.allow_private.push(origin.parse().unwrap());
        self
    }

    pub(crate) fn client(&self) -> GateClient {
        self.client_for(&Gate::new(self.gate.clone()))
    }

    pub(crate) fn client_for(&self, gate: &Gate) -> GateClient {
        let options = ClientOptions {
            grants: self.grants.clone(),
            credentials: self.credentials.clone(),
            limits: self.limits.clone(),
            ..ClientOptions::new(self.owner.clone())
        };
        gate.client(options).unwrap()
    }
}

/// The budget of a call with enough time.
pub(crate) fn budget(client: &GateClient) -> CallBudget {
    client.budget(Instant::now() + Duration::from_mins(1))
}

pub(crate) fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).unwrap()
}

/// Sends a GET with these headers, in a separate call.
pub(crate) async fn get(
    client: &GateClient,
    url: &str,
    headers: &[(&str, &str)],
) -> Result<Response<ResponseBody>, EgressError> {
    client.send(request("GET", url, headers), &budget(client), RequestOptions::default()).await
}

/// The whole body of a response.
pub(crate) async fn text(response: Response<ResponseBody>) -> Result<String, EgressError> {
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Sends a GET and reads the whole response.
pub(crate) async fn get_text(client: &GateClient, url: &str) -> Result<String, EgressError> {
    text(get(client, url, &[]).await?).await
}
