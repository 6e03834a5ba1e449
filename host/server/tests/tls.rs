//! A server with a certificate.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bg_charm_client::{RemoteRuntime, probe};
use bg_identity::{Identity, Secret};
use bg_poller::{CharmRuntime as _, RuntimeError};
use bg_server::{LoginToken, ServerOptions, Tls};
use bg_server_trust::{CertificateDigest, DatabaseLock, Role, ServerTrust};
use common::Fixture;
use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use url::Url;

const TOKEN: &str = "the-operators-own-token";

/// A certificate for `localhost` and its key, as PEM files, and the certificate itself.
fn certificate(folder: &Path) -> (Tls, CertificateDer<'static>) {
    files(folder, &rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap())
}

fn files(folder: &Path, made: &CertifiedKey<KeyPair>) -> (Tls, CertificateDer<'static>) {
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
    // A client without TLS gets no HTTP, and delays nobody.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    fixture.stop().await;
}

/// A certificate for another name than that under which the server is reached, out of date since long ago.
fn unfit() -> CertifiedKey<KeyPair> {
    let mut params = CertificateParams::new(["elsewhere.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    let signing_key = KeyPair::generate().unwrap();
    CertifiedKey { cert: params.self_signed(&signing_key).unwrap(), signing_key }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trusts_a_lock_accepts_only_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, der) = files(folder.path(), &unfit());
    let digest = tls.certificate();
    assert_eq!(digest, CertificateDigest::of(&der));
    let fixture = Fixture::start_with(ServerOptions { tls: Some(tls), ..ServerOptions::default() }).await;
    let text = format!("https://{}", fixture.address);
    let url: Url = text.parse().unwrap();
    let database = folder.path().join("runtime.db");
    let trust = ServerTrust::LockOf(database.clone());
    // Made once, as that of a service is.
    let client = RemoteRuntime::new(url.clone(), Identity::from_passphrase("somebody")).with_trust(&trust);
    let is_reached = async || !matches!(client.registrations().await, Err(RuntimeError::Unavailable { .. }));
    let refused = async || {
        assert!(!is_reached().await);
        probe(&url, &trust).await.unwrap_err()
    };

    let refusal = refused().await;
    assert!(refusal.contains("no server holds the lock of ") && refusal.contains("runtime.db"), "{refusal}");
    let mut lock = DatabaseLock::acquire(&database, Role::Serve, None).unwrap();
    let others = Some(CertificateDigest::of(b"another"));
    for others in [None, others] {
        lock.set_url(text.clone(), others).unwrap();
        let refusal = refused().await;
        assert!(refusal.contains("its certificate is not that of the server that holds the lock of "), "{refusal}");
    }
    lock.set_url(text.clone(), Some(digest)).unwrap();
    probe(&url, &trust).await.unwrap();
    assert!(is_reached().await, "the certificate is another one now, and the client the same");

    let refusal = probe(&url, &ServerTrust::PublicRoots).await.unwrap_err();
    assert!(refusal.contains("invalid peer certificate"), "{refusal}");
    drop(lock);
    let refusal = probe(&url, &trust).await.unwrap_err();
    assert!(refusal.contains("no server holds the lock of "), "{refusal}");
    fixture.stop().await;
}

/// What a client that trusts a lock with `certificate` in it says of a server that has it, and this key.
async fn probed(
    version: &'static SupportedProtocolVersion,
    certificate: &CertificateDer<'static>,
    key: &KeyPair,
) -> Result<(), String> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    // Unlike a server's own set-up, this does not ask whether they go together.
    let pair = rustls::sign::CertifiedKey::new(vec![certificate.clone()], key);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let config = config.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = format!("https://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
        stream.read_u8().await?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await?;
        stream.shutdown().await
    });
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("runtime.db");
    let mut lock = DatabaseLock::acquire(&database, Role::Serve, None).unwrap();
    lock.set_url(text.clone(), Some(CertificateDigest::of(certificate))).unwrap();
    let answer = probe(&text.parse().unwrap(), &ServerTrust::LockOf(database)).await;
    serving.abort();
    answer.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_certificate_is_of_no_use_without_its_key() {
    let (made, other) = (unfit(), KeyPair::generate().unwrap());
    for version in [&version::TLS12, &version::TLS13] {
        probed(version, made.cert.der(), &made.signing_key).await.unwrap();
        let refusal = probed(version, made.cert.der(), &other).await.unwrap_err();
        assert!(refusal.contains("BadSignature"), "{refusal}");
    }
}

#[test]
fn a_broken_certificate_or_key_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (empty, other_key) = (folder.path().join("empty.pem"), folder.path().join("other.pem"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&other_key, other.signing_key.serialize_pem()).unwrap();
    for (certificate, key, expected) in [
        (Path::new("nowhere.pem"), key.as_path(), "cannot use the certificate nowhere.pem: No such file"),
        (&empty, &key, "there is no certificate in it"),
        (&key, &key, "there is no certificate in it"),
        (&certificate, &empty, "there is none in it"),
        (&certificate, &certificate, "there is none in it"),
        (&certificate, &other_key, "cannot be used together"),
    ] {
        let error = Tls::read(certificate, key).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
