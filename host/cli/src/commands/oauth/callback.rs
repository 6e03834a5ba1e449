//! The page of this machine on which a sign-in in a browser ends.
//!
//! It answers the provider's redirect with another one, so that the browser keeps no code in its history, and then with
//! a page that says how the sign-in ended. Anything else that asks gets an error, and ends nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use url::Url;

/// The longest request that is read.
const REQUEST_BYTES: usize = 32 * 1024;

/// How long a request may take.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// How long the browser has to fetch the last page.
const LAST_PAGE_TIME: Duration = Duration::from_secs(5);

/// The path of the last page.
const DONE: &str = "/done";

/// A request of a browser that brings a sign-in's answer.
pub(super) struct Answered {
    stream: TcpStream,
    /// The query of its URL.
    pub(super) query: String,
}

/// Waits for a request to the redirect URL with that state. Others are refused.
pub(super) async fn next(listener: &TcpListener, redirect: &Url, state: &str) -> std::io::Result<Answered> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let Ok(Some(request)) = timeout(REQUEST_TIME, read(&mut stream, redirect)).await else { continue };
        let is_state =
            |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| name == "state" && value == state;
        let query = request.query().unwrap_or_default();
        if request.path() == redirect.path() && url::form_urlencoded::parse(query.as_bytes()).any(is_state) {
            return Ok(Answered { stream, query: query.to_owned() });
        }
        let (status, text) = if request.path() == redirect.path() {
            ("400 Bad Request", "This is not the answer to the sign-in that waits here. It still waits.")
        } else {
            ("404 Not Found", "There is nothing here.")
        };
        let _ = timeout(REQUEST_TIME, page(&mut stream, status, text)).await;
    }
}

/// Sends the browser to the last page, and shows it.
pub(super) async fn finish(answered: Answered, listener: &TcpListener, redirect: &Url, text: &str) {
    let mut stream = answered.stream;
    let moved = format!(
        "HTTP/1.1 303 See Other\r\nLocation: {DONE}\r\n{HEADERS}Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let _ = timeout(REQUEST_TIME, write(&mut stream, &moved)).await;
    let last = async {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Ok(Some(request)) = timeout(REQUEST_TIME, read(&mut stream, redirect)).await else { continue };
            if request.path() == DONE {
                let _ = page(&mut stream, "200 OK", text).await;
                return;
            }
            let _ = page(&mut stream, "404 Not Found", "There is nothing here.").await;
        }
    };
    let _ = timeout(LAST_PAGE_TIME, last).await;
}

const HEADERS: &str = "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
                       Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors \
                       'none'\r\n";

async fn page(stream: &mut TcpStream, status: &str, text: &str) -> std::io::Result<()> {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>bg-wasm-host</title>\
         <body style=\"font-family: sans-serif; margin: 3em\"><p>{}</p></body></html>\n",
        escaped(text)
    );
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n{HEADERS}Content-Length: {}\r\nConnection: \
         close\r\n\r\n",
        body.len()
    );
    write(stream, &(head + &body)).await
}

/// A text within HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

async fn write(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// The URL of a GET request; none for anything else, also for one that names another host, as a page would that has its
/// own name resolved to this machine.
async fn read(stream: &mut TcpStream, redirect: &Url) -> Option<Url> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut chunk).await.ok()?;
        if length == 0 || bytes.len() + length > REQUEST_BYTES {
            return None;
        }
        bytes.extend_from_slice(&chunk[..length]);
    }
    let text = std::str::from_utf8(&bytes).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let asked = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim())
    })?;
    let port = redirect.port_or_known_default()?;
    let is_ours = [format!("127.0.0.1:{port}"), format!("localhost:{port}")].iter().any(|ours| ours == asked);
    if method != "GET" || !target.starts_with('/') || !is_ours {
        return None;
    }
    redirect.join(target).ok().filter(|url| url.origin() == redirect.origin())
}
