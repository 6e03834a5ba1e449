//! Credentials are attached, and only the server sees them.

use std::io;
use std::sync::{Arc, Mutex};

use bg_abuse::Attempt;
use bg_egress::{CredentialError, CredentialSource, EgressError, Owner, RequestCharm, RequestOptions, Rule};
use bg_identity::{CharmId, CharmRef, Secret, space_did};
use bg_manifest::{CredentialPath, EffectiveGrant};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Server, Setup, budget, get, get_text, request, text};

const TOKEN: &str = "ya29.a-very-secret-token";
const CHARM: &str = "did:key:z6Mkj5HyygpAVo2baUcx7kwTRoUbbBmk5egUQPHnV8arQ3SY/baedrei-mine";

/// Has a token for one charm.
struct Tokens(&'static str);

#[async_trait::async_trait]
impl CredentialSource for Tokens {
    async fn bearer(
        &self,
        owner: &Owner,
        charm: &RequestCharm,
        path: &CredentialPath,
    ) -> Result<Secret, CredentialError> {
        if charm.to_string() != CHARM {
            return Err(CredentialError::NotItsCharm { charm: charm.to_string(), owner: owner.clone() });
        }
        assert_eq!(path.to_string(), "charm.auth.token");
        Ok(Secret::new(self.0.to_owned()))
    }

    async fn renewed(
        &self,
        _: &Owner,
        _: &RequestCharm,
        _: &CredentialPath,
        _: &Secret,
    ) -> Result<Option<Secret>, CredentialError> {
        Ok(None)
    }
}

fn with_credential(grant: &str) -> EffectiveGrant {
    EffectiveGrant { grant: grant.parse().unwrap(), credential: Some("charm.auth.token".parse().unwrap()) }
}

fn setup_to(server: &Server, token: &'static str) -> Setup {
    let mut setup = Setup::new().private(&server.origin());
    setup.grants.push(with_credential(&server.origin()));
    setup.credentials = Some(Arc::new(Tokens(token)));
    setup
}

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Captures what this thread logs, until the guard is dropped.
    fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        // If a thread without a subscriber were the first to reach an event, no thread would be asked about it again.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        let log = Self::default();
        let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
        (log, tracing::subscriber::set_default(lines))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[test]
fn an_event_is_captured_also_if_another_thread_reaches_it_first() {
    let say = || tracing::info!("said");
    let (log, _guard) = Log::capture();
    std::thread::spawn(say).join().unwrap();
    assert_eq!(log.text(), "");
    say();
    assert!(log.text().contains("said"), "{}", log.text());
}

#[tokio::test]
async fn only_the_server_gets_the_token() {
    // Everything here runs on this thread.
    let (log, _guard) = Log::capture();

    let server = Server::ok().await;
    let setup = setup_to(&server, TOKEN);
    let client = setup.client();
    let response = get(&client, &format!("{}/v1?q", server.origin()), &[("bg-charm", CHARM)]).await.unwrap();
    let shown = format!("{response:?} {client:?} {:?}", setup.gate.allow_private);
    assert_eq!(text(response).await.unwrap(), "ok");

    let seen = server.seen().remove(0);
    assert_eq!(seen.matches("authorization: ").count(), 1, "{seen}");
    assert!(seen.contains(&format!("authorization: Bearer {TOKEN}\r\n")), "{seen}");
    assert!(!seen.to_lowercase().contains("bg-charm"), "{seen}");

    let record = setup.records.one();
    assert!(record.credential);
    assert_eq!(record.charm.as_deref(), Some(CHARM));
    let logged = log.text();
    assert!(logged.contains("egress") && logged.contains(CHARM), "{logged}");
    for text in [format!("{record:?}"), shown, logged] {
        assert!(!text.contains(TOKEN) && !text.contains("ya29"), "{text}");
    }
}

#[tokio::test]
async fn without_a_charm_there_is_no_credential() {
    let server = Server::ok().await;
    let setup = setup_to(&server, TOKEN);
    get_text(&setup.client(), &server.origin()).await.unwrap();
    assert!(!server.seen()[0].contains("authorization"), "{:?}", server.seen());
    assert!(!setup.records.one().credential);
}

#[tokio::test]
async fn a_call_for_a_charm_gets_no_token_of_another_charm_that_the_guest_names() {
    let attempt =
        Attempt::begin("authorization", "of a charm that the guest names in a call for another, once and twice");
    let server = Server::ok().await;
    let setup = setup_to(&server, TOKEN);
    let client = setup.client();
    let charm = CharmRef { space: space_did("a"), charm: CharmId::for_content(b"a") };
    for headers in [vec![], vec![("bg-charm", CHARM)], vec![("bg-charm", CHARM), ("bg-charm", "no charm")]] {
        let call = budget(&client).for_charm(charm.clone());
        let sent = client.send(request("GET", &server.origin(), &headers), &call, RequestOptions::default()).await;
        let EgressError::Credential { source: CredentialError::NotItsCharm { charm: asked, .. }, .. } =
            sent.unwrap_err()
        else {
            panic!("another error")
        };
        assert_eq!(asked, charm.to_string());
        assert_eq!(setup.records.all().pop().unwrap().charm, Some(charm.to_string()));
    }
    assert!(server.seen().is_empty(), "{:?}", server.seen());
    attempt.ended("asked for the token of the call's charm alone");
}

#[tokio::test]
async fn the_charm_header_never_leaves_the_host() {
    let server = Server::ok().await;
    let setup = Setup::to(&[&server]);
    get(&setup.client(), &server.origin(), &[("bg-charm", CHARM)]).await.unwrap();
    let seen = server.seen().remove(0).to_lowercase();
    assert!(!seen.contains("bg-charm") && !seen.contains("authorization"), "{seen}");
}

#[tokio::test]
async fn a_guests_own_authorization_is_refused_where_the_host_attaches_one() {
    let attempt = Attempt::begin("authorization", "the guest's own, with and without bg-charm");
    let server = Server::ok().await;
    let mut setup = setup_to(&server, TOKEN).grant(&format!("{}/open/", server.origin()));
    let own = ("authorization", "Bearer mine");
    for path in ["/", "/open/x"] {
        for headers in [vec![own], vec![own, ("bg-charm", CHARM)]] {
            let sent = get(&setup.client(), &format!("{}{path}", server.origin()), &headers).await;
            assert!(matches!(sent, Err(EgressError::Denied { rule: Rule::OwnAuthorization, option: None, .. })));
        }
    }
    assert_eq!(server.connections(), 0);

    // Charms send their own, and so may an integration if nothing is attached.
    setup.grants = vec![];
    setup.owner = Owner::Charms;
    let setup = setup.grant(&server.origin());
    get(&setup.client(), &server.origin(), &[own]).await.unwrap();
    assert!(server.seen()[0].contains("authorization: Bearer mine\r\n"));
    attempt.ended("own-authorization");
}

#[tokio::test]
async fn two_charms_or_the_charm_of_another_owner_are_refused_before_anything_is_sent() {
    let attempt = Attempt::begin("authorization", "two bg-charm headers; another owner's charm");
    let server = Server::ok().await;
    let setup = setup_to(&server, TOKEN);
    let client = setup.client();
    let two = get(&client, &server.origin(), &[("bg-charm", CHARM), ("bg-charm", CHARM)]).await.unwrap_err();
    assert_eq!(two.to_string(), "more than one bg-charm header");
    let other = get(&client, &server.origin(), &[("bg-charm", "did:key:z6Mk/other")]).await.unwrap_err();
    assert_eq!(
        other.to_string(),
        format!("no credential for {}: did:key:z6Mk/other is not a charm of integration gmail", server.origin())
    );
    assert_eq!(server.connections(), 0);
    attempt.ended("refused; nothing is sent");
}

#[tokio::test]
async fn an_invalid_token_is_neither_sent_nor_shown() {
    let attempt = Attempt::begin("authorization", "a token with line ends, spaces and other characters");
    let server = Server::ok().await;
    for token in ["", "two words", "line\r\nx-injected: 1", "\u{fc}"] {
        let setup = setup_to(&server, token);
        let error = get(&setup.client(), &server.origin(), &[("bg-charm", CHARM)]).await.unwrap_err();
        assert!(error.to_string().ends_with("is not a bearer token"), "{error}");
        assert!(token.is_empty() || !format!("{error:?}").contains(token), "{error:?}");
    }
    let mut setup = setup_to(&server, TOKEN);
    setup.credentials = None;
    let error = get(&setup.client(), &server.origin(), &[("bg-charm", CHARM)]).await.unwrap_err();
    assert!(error.to_string().ends_with("there is no source of credentials"), "{error}");
    assert_eq!(server.connections(), 0);
    attempt.ended("Credential; nothing is sent");
}

#[tokio::test]
async fn a_credential_never_leaves_the_machine_without_tls() {
    let attempt = Attempt::begin("authorization", "a token for an origin without TLS");
    let mut setup = Setup::new().private("http://dev.example").private("http://10.1.2.3");
    setup.grants = vec![with_credential("http://dev.example/"), with_credential("http://10.1.2.3/")];
    setup.credentials = Some(Arc::new(Tokens(TOKEN)));
    setup.dns.answers("dev.example", &[&["8.8.8.8"], &["127.0.0.1", "10.0.0.1"]]);
    let client = setup.client();
    for url in ["http://dev.example/", "http://dev.example/", "http://10.1.2.3/"] {
        let sent = get(&client, url, &[("bg-charm", CHARM)]).await;
        assert!(matches!(sent, Err(EgressError::Denied { rule: Rule::PlainCredential, .. })), "{sent:?}");
    }
    attempt.ended("plain-credential");
}

#[tokio::test]
async fn a_token_that_a_server_echoes_does_not_reach_the_log() {
    let (log, _guard) = Log::capture();
    let attempt = Attempt::begin("echo", "in the status line, a header, the body and the trailers");
    let server = Server::answering(format!(
        "HTTP/1.1 200 {TOKEN}\r\nx-echo: {TOKEN}\r\nlocation: https://example.com/{TOKEN}\r\ntransfer-encoding: \
        chunked\r\n\r\n\
         {:x}\r\n{TOKEN}\r\n0\r\nx-trailer: {TOKEN}\r\n\r\n",
        TOKEN.len()
    ))
    .await;
    let setup = setup_to(&server, TOKEN);
    let response = get(&setup.client(), &server.origin(), &[("bg-charm", CHARM)]).await.unwrap();
    // The guest sees it: a grant is for a server that the operator trusts with the token.
    assert_eq!(response.headers()["x-echo"], TOKEN);
    assert_eq!(text(response).await.unwrap(), TOKEN);
    let logged = log.text();
    assert!(logged.contains("egress"), "{logged}");
    for text in [format!("{:?}", setup.records.one()), logged] {
        assert!(!text.contains("ya29"), "{text}");
    }
    attempt.ended("not in the log");
}
