//! An HTTP server that sends invalid answers, and a proxy that breaks what passes through it.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

/// How often a waiting connection checks whether the server was stopped.
const LOOK: Duration = Duration::from_millis(50);

/// One request as received.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The whole request.
    pub bytes: Vec<u8>,
}

impl RawRequest {
    /// The part after its head.
    pub fn body(&self) -> &[u8] {
        let head = self.bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(self.bytes.len(), |at| at + 4);
        &self.bytes[head..]
    }
}

/// The answer to a request. Each connection has one request; it is closed after the answer.
#[derive(Clone, Debug)]
pub enum RawAnswer {
    /// These bytes.
    Whole(Vec<u8>),
    /// A start, and then the same bytes repeatedly, as long as the client reads them.
    Endless {
        /// The start, such as a head.
        start: Vec<u8>,
        /// The repeated bytes.
        again: Vec<u8>,
        /// The pause in between.
        every: Duration,
    },
    /// Nothing, until the client disconnects.
    Silence,
    /// The connection is closed at once.
    Close,
    /// The answer of the server at this address.
    Forward(SocketAddr),
}

impl RawAnswer {
    /// An answer with a status, such as `200 OK`, further headers, such as `Retry-After: 1\r\n`, and a body.
    pub fn new(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        Self::Whole([head.as_bytes(), body].concat())
    }
}

type Script = Box<dyn Fn(&RawRequest) -> RawAnswer + Send + Sync>;

/// A server whose answers a closure determines. It ends when it is dropped.
pub struct RawServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    script: Script,
    stopped: AtomicBool,
    sent: AtomicU64,
}

impl RawServer {
    /// Listens on a free port of loopback.
    pub fn start(script: impl Fn(&RawRequest) -> RawAnswer + Send + Sync + 'static) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no port for a raw server")?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { script: Box::new(script), stopped: AtomicBool::new(false), sent: AtomicU64::new(0) });
        let accepting = shared.clone();
        let thread = std::thread::Builder::new().name("raw-server".into()).spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = accepting.clone();
                // A client that disconnects is not an error.
                std::thread::spawn(move || shared.serve(stream).ok());
            }
        })?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes of endless answers were sent to clients.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for RawServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawServer({})", self.address)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread. If that fails, the thread ends with the process.
        if TcpStream::connect(self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> anyhow::Result<()> {
        stream.set_read_timeout(Some(LOOK))?;
        let request = self.receive(&mut stream)?;
        match (self.script)(&request) {
            RawAnswer::Whole(bytes) => stream.write_all(&bytes)?,
            RawAnswer::Endless { start, again, every } => {
                stream.write_all(&start)?;
                while !self.stopped.load(Ordering::SeqCst) {
                    stream.write_all(&again)?;
                    self.sent.fetch_add(again.len() as u64, Ordering::SeqCst);
                    std::thread::sleep(every);
                }
            }
            RawAnswer::Silence => while self.read(&mut stream, &mut [0; 1024])? > 0 {},
            RawAnswer::Close => {}
            RawAnswer::Forward(to) => self.forward(&request, to, &mut stream)?,
        }
        stream.shutdown(Shutdown::Both)?;
        Ok(())
    }

    /// Passes the answer on as it arrives. Clients do not sign the header that closes the connection.
    fn forward(&self, request: &RawRequest, to: SocketAddr, client: &mut TcpStream) -> anyhow::Result<()> {
        let mut server = TcpStream::connect(to)?;
        server.set_read_timeout(Some(LOOK))?;
        let line = request.bytes.iter().position(|&byte| byte == b'\n').context("a request has a first line")? + 1;
        server.write_all(&request.bytes[..line])?;
        server.write_all(b"Connection: close\r\n")?;
        server.write_all(&request.bytes[line..])?;
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = self.read(&mut server, &mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            client.write_all(&buffer[..read])?;
        }
    }

    fn receive(&self, stream: &mut TcpStream) -> anyhow::Result<RawRequest> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 * 1024];
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            let read = self.read(stream, &mut buffer)?;
            anyhow::ensure!(read > 0, "the request has no end");
            bytes.extend_from_slice(&buffer[..read]);
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(Ok(0), |(_, value)| value.trim().parse::<usize>())?;
        while bytes.len() < end + length {
            let read = self.read(stream, &mut buffer)?;
            anyhow::ensure!(read > 0, "the body has no end");
            bytes.extend_from_slice(&buffer[..read]);
        }
        let mut words = head.split(' ').map(str::to_owned);
        let (method, target) = words.next().zip(words.next()).context("no request line")?;
        Ok(RawRequest { method, target, bytes })
    }

    /// Waits for bytes; returns 0 at the end, and when the server was stopped.
    fn read(&self, stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<usize> {
        use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
        while !self.stopped.load(Ordering::SeqCst) {
            match stream.read(buffer) {
                Err(error) if matches!(error.kind(), WouldBlock | TimedOut | Interrupted) => {}
                result => return result,
            }
        }
        Ok(0)
    }
}
