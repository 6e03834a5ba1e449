//! A client that sends more than it may, and reads the response meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::scene::Request;

pub const MIB: usize = 1024 * 1024;

/// What the body is said to be, and is unless the server closes the connection before.
pub const SIZE: usize = 100 * MIB;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// With its length in the header.
    Announced,
    /// Without.
    Chunked,
    /// Announced, and then nothing comes.
    Missing,
}

pub struct Uploaded {
    pub status: u16,
    pub error: String,
    /// Bytes of the body that left the client.
    pub sent: usize,
}

/// Sends a request with that body in place of its body.
pub fn upload(address: SocketAddr, request: &Request, headers: &[(String, String)], body: Body) -> Uploaded {
    let piece = "x".repeat(64 * 1024);
    let (framing, piece_sent) = match body {
        Body::Announced | Body::Missing => (format!("Content-Length: {SIZE}"), piece.clone()),
        Body::Chunked => ("Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{piece}\r\n", piece.len())),
    };
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {address}\r\n", request.method, request.target).into_bytes();
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    write!(head, "{framing}\r\nConnection: close\r\n\r\n").unwrap();
    let pieces = if body == Body::Missing { 0 } else { SIZE / piece.len() };

    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream.set_write_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut answers = stream.try_clone().unwrap();
    // Read meanwhile: once a write has failed, it may be too late.
    let answer = thread::spawn(move || {
        let mut answer = Vec::new();
        // The end may be a reset, as not all was read.
        let _ = answers.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    });
    stream.write_all(&head).unwrap();
    let sent = (0..pieces).take_while(|_| stream.write_all(piece_sent.as_bytes()).is_ok()).count() * piece.len();
    let answer = answer.join().unwrap();
    let (head, json) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request:?}: no answer: {answer:?}"));
    let json: Value = serde_json::from_str(json).unwrap();
    Uploaded {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        error: json.get("detail").or(json.get("error")).and_then(Value::as_str).unwrap_or_default().to_owned(),
        sent,
    }
}
