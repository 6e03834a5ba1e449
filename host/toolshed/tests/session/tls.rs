//! TLS.

use std::sync::Arc;

use bg_toolshed::{Error, Root, Session};
use tokio::net::{TcpListener, TcpStream};

use crate::fake::{FakeServer, Nature};
use crate::id;
use crate::peers::{config, did, space};

#[tokio::test]
async fn only_a_server_that_proves_its_name_gets_a_request() {
    let server = FakeServer::start(Nature::default()).await;
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = server.address;
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(target).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });

    let mut trusting = config(server.address);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(signed.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    trusting.tls = Some(Arc::new(client));
    trusting.endpoint = format!("https://localhost:{port}").parse().unwrap();
    let session = Session::open(&trusting, did(&space())).await.unwrap();
    session.query([Root::only(id("a"))]).await.unwrap();
    let seen = server.seen_texts().len();

    let mut by_another_name = trusting.clone();
    by_another_name.endpoint = format!("https://127.0.0.1:{port}").parse().unwrap();
    let mut by_public_roots = trusting.clone();
    by_public_roots.tls = None;
    for refused in [by_another_name, by_public_roots] {
        let error = Session::open(&refused, did(&space())).await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable { problem, .. } if problem.contains("certificate")), "{error}");
    }
    assert_eq!(server.seen_texts().len(), seen, "no message reached it");
}

#[test]
fn addresses_are_taken_as_people_write_them_and_refused_with_a_reason() {
    use bg_toolshed::Endpoint;
    for (address, shown) in [
        ("http://localhost:8000", "localhost:8000"),
        ("https://toolshed.example", "toolshed.example:443"),
        ("ws://[::1]:9/", "[::1]:9"),
        ("http://localhost", "localhost:80"),
    ] {
        assert_eq!(address.parse::<Endpoint>().unwrap().to_string(), shown);
    }
    for (address, problem) in [
        ("localhost:8000", "scheme"),
        ("nothing", "not a URL"),
        ("ftp://localhost", "scheme"),
        ("http://user:hidden@localhost", "password"),
        ("http://localhost?a", "query"),
    ] {
        let error = address.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.contains(problem) && !error.contains("hidden"), "{error}");
    }
}
