//! A plain HTTP/1.1 client, for requests that a proper one would not send.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

/// The time limit of an answer. The longest is a long poll of 20 s.
const TIMEOUT: Duration = Duration::from_mins(1);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, without the framing of its transfer.
    pub body: Vec<u8>,
}

impl HttpReply {
    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; an error shows it.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request with exactly these headers, plus `Host`, `Content-Length` and `Connection: close` unless given.
pub fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> anyhow::Result<HttpReply> {
    let has = |name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !has("host") {
        bytes.extend_from_slice(format!("Host: {address}\r\n").as_bytes());
    }
    if !has("content-length") && !has("transfer-encoding") && !body.is_empty() {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    if !has("connection") {
        bytes.extend_from_slice(b"Connection: close\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    exchange(address, &bytes)
}

/// Sends `bytes` and reads one answer, until the server closes the connection.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> anyhow::Result<HttpReply> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // A server may answer, and close, before it has read everything. Only the answer matters.
    let sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    // Fails only if the server has closed already.
    let _ = stream.shutdown(Shutdown::Both);
    if answer.is_empty() {
        sent.context("the request was not taken")?;
        read.context("there was no answer")?;
        bail!("the server closed the connection without an answer");
    }
    parse(&answer).with_context(|| format!("no HTTP answer: {}", String::from_utf8_lossy(&answer)))
}

fn parse(answer: &[u8]) -> anyhow::Result<HttpReply> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("the header has no end")?;
    let head = std::str::from_utf8(&answer[..end]).context("the header is not UTF-8")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("there is no status")?.parse()?;
    let headers = lines
        .map(|line| line.split_once(':').context("a header without a colon"))
        .map(|split| split.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())))
        .collect::<Result<Vec<_>, _>>()?;
    let mut reply = HttpReply { status, headers, body: answer[end + 4..].to_vec() };
    if reply.header("transfer-encoding") == Some("chunked") {
        reply.body = unchunked(&reply.body)?;
    } else if let Some(length) = reply.header("content-length").map(str::parse::<usize>) {
        let length = length?;
        anyhow::ensure!(reply.body.len() >= length, "{} of {length} bytes came", reply.body.len());
        reply.body.truncate(length);
    }
    Ok(reply)
}

fn unchunked(mut body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n").context("a chunk without a size")?;
        let size = std::str::from_utf8(&body[..end])?.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16)?;
        if size == 0 {
            return Ok(whole);
        }
        let start = end + 2;
        whole.extend_from_slice(body.get(start..start + size).context("a chunk is cut short")?);
        body = body.get(start + size + 2..).context("a chunk is cut short")?;
    }
}
