//! Slow clients, many clients, busy ports, shutdown.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bg_server::{BindError, ServeError, Server, ServerOptions};
use common::Fixture;

const SHORT: Duration = Duration::from_millis(200);

/// Sends, and reads until the server closes the connection.
fn until_closed(stream: &mut TcpStream, bytes: &[u8]) -> String {
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_is_an_error_that_says_what_to_do() {
    let first = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let error = Server::bind(first.local_addr()).await.unwrap_err();
    assert!(matches!(error, BindError::InUse(_)));
    let text = error.to_string();
    assert!(text.contains(&first.local_addr().to_string()) && text.contains("--listen 127.0.0.1:0"), "{text}");
    let elsewhere = "192.0.2.1:0".parse().unwrap();
    let behind_proxy = ServerOptions { behind_proxy: true, ..ServerOptions::default() };
    let error = Server::bind_with(elsewhere, behind_proxy).await.unwrap_err();
    assert!(matches!(error, BindError::NotHere(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_an_open_network_it_listens_only_with_tls_or_behind_a_proxy() {
    let behind_proxy = ServerOptions { behind_proxy: true, ..ServerOptions::default() };
    let elsewhere = "192.0.2.1:0".parse().unwrap();
    let everywhere = "0.0.0.0:0".parse().unwrap();
    for address in [elsewhere, everywhere, "[::]:0".parse().unwrap()] {
        let error = Server::bind(address).await.unwrap_err();
        assert!(matches!(error, BindError::Exposed(_)), "{error}");
        assert!(
            ["--tls-cert", "--behind-proxy", "127.0.0.1"].iter().all(|way| error.to_string().contains(way)),
            "{error}"
        );
    }
    assert!(Server::bind_with(everywhere, behind_proxy).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_ends_its_header_is_cut_off() {
    let fixture = Fixture::start_with(ServerOptions { header_timeout: SHORT, ..ServerOptions::default() }).await;
    let mut stream = TcpStream::connect(fixture.address).unwrap();
    assert_eq!(until_closed(&mut stream, b"GET /api/health HTTP/1.1\r\nHost: local"), "");
    // So is one that says nothing more after an answer.
    let mut stream = TcpStream::connect(fixture.address).unwrap();
    let answer = until_closed(&mut stream, b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_ends_its_body_gets_an_error() {
    let fixture = Fixture::start_with(ServerOptions { body_timeout: SHORT, ..ServerOptions::default() }).await;
    let mut stream = TcpStream::connect(fixture.address).unwrap();
    let request = b"POST /api/integrations/bg HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"charmId\"";
    let answer = until_closed(&mut stream, request);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("did not arrive within"), "{answer}");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_closes_its_own_connection_only() {
    let fixture = Fixture::start().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /api/integrations/bg HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        &[b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nx: ".as_slice(), &vec![b'x'; 70_000], b"\r\n\r\n"].concat(),
    ] {
        let mut stream = TcpStream::connect(fixture.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(fixture.send("GET", "/api/health", &[], "").status, 200);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_closes_idle_connections_and_cuts_off_the_rest_when_its_time_is_up() {
    let fixture = Fixture::start().await;
    let _silent = TcpStream::connect(fixture.address).unwrap();
    let mut answered = TcpStream::connect(fixture.address).unwrap();
    answered.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    answered.read_exact(&mut [0; 12]).unwrap();
    let address = fixture.address;
    fixture.stop().await;
    assert!(TcpStream::connect(address).is_err());

    let fixture = Fixture::start_with(ServerOptions { drain_timeout: SHORT, ..ServerOptions::default() }).await;
    let mut slow = TcpStream::connect(fixture.address).unwrap();
    let head =
        "POST /api/integrations/bg HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    slow.write_all(head.as_bytes()).unwrap();
    // It waits for the body: the connection is not idle any more.
    let mut begun = [0; 25];
    slow.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    fixture.shutdown.cancel();
    let ended = fixture.serving.await.unwrap();
    assert!(matches!(ended, Err(ServeError::CutOff { connections: 1, .. })), "{ended:?}");
    assert_eq!(until_closed(&mut slow, b""), "");
}
