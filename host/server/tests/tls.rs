//! A server with a certificate.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bg_identity::Secret;
use bg_server::{LoginToken, ServerOptions, Tls};
use common::Fixture;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const TOKEN: &str = "the-operators-own-token";

/// A certificate for `localhost` and its key, as PEM files, and the certificate itself.
fn certificate(folder: &Path) -> (Tls, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (Tls::read(&certificate, &key).unwrap(), made.cert.der().clone())
}

/// Sends a request over TLS, to a server that proves to be `localhost`.
async fn send(address: SocketAddr, root: CertificateDer<'static>, request: String) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_speaks_tls_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, root) = certificate(folder.path());
    let login_token = Some(LoginToken::chosen(Secret::new(TOKEN.to_owned())).unwrap());
    let fixture = Fixture::start_with(ServerOptions { tls: Some(tls), login_token, ..ServerOptions::default() }).await;
    let address = fixture.address;
    let end = format!("Host: localhost:{}\r\nConnection: close\r\n", address.port());
    let health = send(address, root.clone(), format!("GET /api/health HTTP/1.1\r\n{end}\r\n")).await;
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n") && health.contains("\"status\":\"ok\""), "{health}");
    // The cookie stays with TLS, and with this host.
    let form = format!("token={TOKEN}");
    let length = form.len();
    let log_in = format!("POST /admin/login HTTP/1.1\r\n{end}Content-Length: {length}\r\n\r\n{form}");
    let answer = send(address, root.clone(), log_in).await;
    let cookie = answer.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(cookie.starts_with("set-cookie: __Host-") && cookie.ends_with("; Secure"), "{cookie}");
    let session = cookie.trim_start_matches("set-cookie: ").split(';').next().unwrap();
    let page = send(address, root, format!("GET /admin HTTP/1.1\r\n{end}Cookie: {session}\r\n\r\n")).await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    // Whoever speaks no TLS gets no HTTP, and holds up nobody.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    fixture.stop().await;
}

#[test]
fn what_is_no_certificate_or_no_key_is_told() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (empty, other_key) = (folder.path().join("empty.pem"), folder.path().join("other.pem"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&other_key, other.signing_key.serialize_pem()).unwrap();
    for (certificate, key, told) in [
        (Path::new("nowhere.pem"), key.as_path(), "cannot use the certificate nowhere.pem: No such file"),
        (&empty, &key, "there is no certificate in it"),
        (&key, &key, "there is no certificate in it"),
        (&certificate, &empty, "there is none in it"),
        (&certificate, &certificate, "there is none in it"),
        (&certificate, &other_key, "cannot be used together"),
    ] {
        let error = Tls::read(certificate, key).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
