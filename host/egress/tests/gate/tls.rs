//! Only servers that prove their identity are accepted, and owners share nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bg_abuse::Attempt;
use bg_egress::{CertificateDer, EgressError, Gate, Owner, RequestOptions, Wait};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::{HandshakeKind, ServerConfig, crypto::ring};

use crate::support::{Server, Setup, answer, budget, get, get_text, request};

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "a test's authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// The configuration of a server with a certificate of ours for that name.
    pub(crate) fn server(&self, name: &str) -> ServerConfig {
        self.server_with(&CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    fn server_with(&self, params: &CertificateParams) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        server_config(certificate.der().clone(), &key)
    }
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap()
}

/// Answers `ok` over TLS, and records the kind of each handshake.
async fn serving(config: ServerConfig, answer_with: &'static str) -> (Server, Arc<Mutex<Vec<HandshakeKind>>>) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let noted = kinds.clone();
    let server = Server::raw(move |stream, seen| {
        let (acceptor, noted) = (acceptor.clone(), noted.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            noted.lock().unwrap().extend(stream.get_ref().1.handshake_kind());
            answer(stream, Arc::new(answer_with.as_bytes().to_vec()), seen).await;
        }
    });
    (server.await, kinds)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A setup in which `dev.example` is that server, and the origin to request.
pub(crate) fn setup(server: &Server, root: Option<CertificateDer<'static>>) -> (Setup, String) {
    let origin = format!("https://dev.example:{}", server.address.port());
    let mut setup = Setup::new().grant(&origin).private(&origin);
    setup.dns.answers("dev.example", &[&["127.0.0.1"]]);
    setup.gate.extra_roots.extend(root);
    (setup, origin)
}

#[tokio::test]
async fn a_server_with_a_trusted_certificate_for_its_name_is_accepted() {
    let authority = Authority::new();
    let (server, _) = serving(authority.server("dev.example"), OK).await;
    let (setup, origin) = setup(&server, Some(authority.root()));
    assert_eq!(get_text(&setup.client(), &origin).await.unwrap(), "ok");
}

#[tokio::test]
async fn every_other_server_is_refused() {
    let attempt = Attempt::begin("tls", "wrong name, expired, self-signed, another authority");
    let authority = Authority::new();
    let mut expired = CertificateParams::new(vec!["dev.example".to_owned()]).unwrap();
    expired.not_before = rcgen::date_time_ymd(2020, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["dev.example".to_owned()]).unwrap().self_signed(&own_key).unwrap();
    let cases = [
        ("another name", authority.server("other.example")),
        ("expired", authority.server_with(&expired)),
        ("self-signed", server_config(own.der().clone(), &own_key)),
        ("another authority", Authority::new().server("dev.example")),
    ];
    for (what, config) in cases {
        let (server, _) = serving(config, OK).await;
        let (setup, origin) = setup(&server, Some(authority.root()));
        let error = get(&setup.client(), &format!("{origin}/?secret"), &[]).await.unwrap_err();
        assert!(matches!(error, EgressError::Tls { .. }), "{what}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(server.seen().is_empty());
    }
    attempt.ended("Tls");
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_refused() {
    let attempt = Attempt::begin("tls", "plain HTTP on a TLS port");
    let server = Server::raw(|mut stream, _| async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        // Like a web server that receives a ClientHello.
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    });
    let server = server.await;
    let (setup, origin) = setup(&server, None);
    let error = get(&setup.client(), &origin, &[]).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no trusted connection to {origin}: the server does not speak TLS there"));
    attempt.ended("Tls");
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_at_the_connect_timeout() {
    let attempt = Attempt::begin("tls", "a handshake that stalls");
    let server = Server::raw(|stream, _| async move {
        tokio::time::sleep(Duration::from_mins(1)).await;
        drop(stream);
    });
    let server = server.await;
    let (setup, origin) = setup(&server, None);
    let client = setup.client();
    let options = RequestOptions { connect: Some(Duration::from_millis(50)), ..RequestOptions::default() };
    let error = client.send(request("GET", &origin, &[]), &budget(&client), options).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { what: Wait::Connection, .. }), "{error}");
    attempt.ended("Timeout");
}

#[tokio::test]
async fn connections_are_never_shared_between_owners() {
    let attempt = Attempt::begin("sharing", "connections of two integrations to one server");
    let authority = Authority::new();
    let (server, _) = serving(authority.server("dev.example"), OK).await;
    let (mut setup, origin) = setup(&server, Some(authority.root()));
    let gate = Gate::new(setup.gate.clone());
    let gmail = setup.client_for(&gate);
    setup.owner = Owner::Integration("gcal".parse().unwrap());
    let gcal = setup.client_for(&gate);
    for client in [&gmail, &gmail, &gcal, &gcal, &gmail] {
        assert_eq!(get_text(client, &origin).await.unwrap(), "ok");
    }
    assert_eq!(server.connections(), 2);
    attempt.ended("each has its own");
}

#[tokio::test]
async fn tls_sessions_are_resumed_by_their_owner_only() {
    const CLOSING: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    let attempt = Attempt::begin("sharing", "TLS tickets of two integrations");
    let authority = Authority::new();
    let mut config = authority.server("dev.example");
    config.ticketer = ring::Ticketer::new().unwrap();
    let (server, kinds) = serving(config, CLOSING).await;
    let (setup, origin) = setup(&server, Some(authority.root()));
    let gate = Gate::new(setup.gate.clone());
    let (one, other) = (setup.client_for(&gate), setup.client_for(&gate));
    for client in [&one, &one, &other, &other] {
        assert_eq!(get_text(client, &origin).await.unwrap(), "ok");
    }
    let resumed: Vec<bool> = kinds.lock().unwrap().iter().map(|kind| *kind == HandshakeKind::Resumed).collect();
    assert_eq!(resumed, [false, true, false, true]);
    attempt.ended("each resumes its own");
}
