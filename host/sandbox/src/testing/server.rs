//! A server on loopback whose paths select its behaviour, and which counts its connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// Runs until its runtime ends, or it is dropped.
pub(crate) struct Server {
    /// `127.0.0.1:<port>`.
    pub(crate) authority: String,
    counts: Arc<Counts>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.accepted.fetch_add(1, Ordering::SeqCst);
                counted.open.fetch_add(1, Ordering::SeqCst);
                let counted = counted.clone();
                tokio::spawn(async move {
                    // A client that disconnects is not an error here.
                    let _ = serve(stream).await;
                    counted.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { authority, counts, accepting }
    }

    /// Connections since the start.
    pub(crate) fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// Waits until all connections are closed; `false` if they are still open after a long time.
    pub(crate) async fn is_left_alone(&self) -> bool {
        for _ in 0..500 {
            if self.open() == 0 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Answers `/ok`; never answers `/never`; answers `/drip` and `/flood` endlessly, slowly and fast; begins to answer
/// `/stall`; stops reading a request to `/deaf`.
async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
        head.clear();
        match &*path {
            "/never" => return until_closed(stream).await,
            "/stall" => {
                stream.write_all(ENDLESS).await?;
                return until_closed(stream).await;
            }
            "/deaf" => {
                // Detects that the client has disconnected, without reading.
                loop {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await?;
                }
            }
            "/drip" | "/flood" => {
                stream.write_all(ENDLESS).await?;
                let (size, pause) = if path == "/drip" { (1, 20) } else { (32 * 1024, 1) };
                let chunk = [format!("{size:x}\r\n").into_bytes(), vec![b'x'; size], b"\r\n".to_vec()].concat();
                loop {
                    stream.write_all(&chunk).await?;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            }
            _ => stream.write_all(OK).await?,
        }
    }
}

async fn until_closed(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}
