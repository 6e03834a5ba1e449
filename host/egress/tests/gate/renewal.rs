//! If a server refuses a token, it is renewed, and the request sent once more.

use std::sync::{Arc, Mutex};

use bg_egress::{
    CredentialError, CredentialSource, Decision, EgressError, NotRenewed, Owner, RequestCharm, RequestOptions,
    ResponseBody,
};
use bg_identity::Secret;
use bg_manifest::{CredentialPath, EffectiveGrant};
use bytes::Bytes;
use http_body::Body;
use http_body_util::{Empty, Full};
use tokio::io::AsyncWriteExt as _;

use crate::requests::Pieces;
use crate::support::{Server, Setup, budget, read_request};

const CHARM: &str = "did:key:z6Mkj5HyygpAVo2baUcx7kwTRoUbbBmk5egUQPHnV8arQ3SY/baedrei-mine";
const OLD: &str = "ya29.old";
const NEW: &str = "ya29.new";

/// Has an old token, and returns another one in its place.
struct Renewing {
    renewal: Result<Option<&'static str>, CredentialError>,
    refused: Mutex<Vec<String>>,
}

impl Renewing {
    fn with(renewal: Result<Option<&'static str>, CredentialError>) -> Arc<Self> {
        Arc::new(Self { renewal, refused: Mutex::default() })
    }

    /// The tokens that were to be renewed.
    fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl CredentialSource for Renewing {
    async fn bearer(&self, _: &Owner, _: &RequestCharm, _: &CredentialPath) -> Result<Secret, CredentialError> {
        Ok(Secret::new(OLD.to_owned()))
    }

    async fn renewed(
        &self,
        _: &Owner,
        charm: &RequestCharm,
        _: &CredentialPath,
        refused: &Secret,
    ) -> Result<Option<Secret>, CredentialError> {
        assert_eq!(charm.to_string(), CHARM);
        self.refused.lock().unwrap().push(refused.expose().to_owned());
        self.renewal.clone().map(|token| token.map(|token| Secret::new(token.to_owned())))
    }
}

/// Accepts one token, and answers every other request with that status.
async fn accepting(token: &'static str, otherwise: &'static str) -> Server {
    Server::raw(move |mut stream, seen| async move {
        while let Some(request) = read_request(&mut stream).await {
            let status =
                if request.contains(&format!("authorization: Bearer {token}\r\n")) { "200 OK" } else { otherwise };
            seen.lock().unwrap().push(request);
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

fn setup(server: &Server, source: &Arc<Renewing>) -> Setup {
    let mut setup = Setup::new().private(&server.origin());
    setup.grants = vec![EffectiveGrant {
        grant: server.origin().parse().unwrap(),
        credential: Some("charm.auth.token".parse().unwrap()),
    }];
    setup.credentials = Some(source.clone());
    setup
}

async fn send<B>(setup: &Setup, server: &Server, method: &str, body: B) -> http::Response<ResponseBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<bg_egress::BoxError>,
{
    try_send(setup, server, method, body).await.unwrap()
}

async fn try_send<B>(
    setup: &Setup,
    server: &Server,
    method: &str,
    body: B,
) -> Result<http::Response<ResponseBody>, EgressError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<bg_egress::BoxError>,
{
    let client = setup.client();
    let request = http::Request::builder().method(method).uri(server.origin()).header("bg-charm", CHARM);
    client.send(request.body(body).unwrap(), &budget(&client), RequestOptions::default()).await
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_the_same_request_sent_once_more() {
    let server = accepting(NEW, "401 Unauthorized").await;
    let source = Renewing::with(Ok(Some(NEW)));
    let setup = setup(&server, &source);
    let statuses = [
        send(&setup, &server, "GET", Empty::new()).await.status(),
        send(&setup, &server, "POST", Full::new(Bytes::from("whole"))).await.status(),
        send(&setup, &server, "POST", Pieces::of(&["one", "two"])).await.status(),
    ];
    assert_eq!(statuses, [200; 3]);
    assert_eq!(source.refused(), [OLD; 3]);

    let seen = server.seen();
    assert_eq!(seen.len(), 6);
    for (pair, body) in seen.chunks(2).zip(["", "whole", "onetwo"]) {
        let (first, second) = (&pair[0], &pair[1]);
        assert!(first.contains(OLD) && !first.contains(NEW), "{first}");
        assert!(second.contains(NEW) && !second.contains(OLD), "{second}");
        assert!(second.ends_with(&format!("\r\n\r\n{body}")), "{second}");
    }
    // One request of the guest leaves one record.
    let records = setup.records.all();
    assert_eq!(records.len(), 3);
    for record in records {
        assert_eq!((record.decision, record.status.unwrap().as_u16()), (Decision::Allowed, 200));
        assert!(record.credential && !format!("{record:?}").contains("ya29"));
    }
}

#[tokio::test]
async fn a_token_is_renewed_once_for_a_request() {
    let server = accepting("another", "401 Unauthorized").await;
    let source = Renewing::with(Ok(Some(NEW)));
    let setup = setup(&server, &source);
    assert_eq!(send(&setup, &server, "GET", Empty::new()).await.status(), 401);
    assert_eq!((source.refused().len(), server.seen().len()), (1, 2));
}

#[tokio::test]
async fn without_a_renewed_token_the_guest_gets_the_servers_own_answer() {
    let away = CredentialError::failed("the token service is away");
    for (renewal, reason) in
        [(Ok(None), None), (Ok(Some("no token")), None), (Err(away), Some("the token service is away"))]
    {
        let server = accepting(NEW, "401 Unauthorized").await;
        let source = Renewing::with(renewal);
        let setup = setup(&server, &source);
        let response = send(&setup, &server, "GET", Empty::new()).await;
        assert_eq!(response.status(), 401);
        assert_eq!((source.refused().len(), server.seen().len()), (1, 1));
        // What the host knows beyond that answer.
        let known = response.extensions().get::<NotRenewed>().map(|NotRenewed(error)| error.to_string());
        assert_eq!(known.as_deref(), reason);
    }
}

#[tokio::test]
async fn only_a_401_renews_a_token() {
    for status in ["400 Bad Request", "403 Forbidden", "407 Proxy Authentication Required", "500 Oops"] {
        let server = accepting(NEW, status).await;
        let source = Renewing::with(Ok(Some(NEW)));
        let setup = setup(&server, &source);
        let answered = send(&setup, &server, "GET", Empty::new()).await.status();
        assert!(status.starts_with(answered.as_str()), "{answered}");
        assert_eq!(source.refused().len(), 0, "{status}");
    }
}

#[tokio::test]
async fn a_request_without_a_token_is_sent_once() {
    let server = accepting(NEW, "401 Unauthorized").await;
    let source = Renewing::with(Ok(Some(NEW)));
    let mut setup = setup(&server, &source);
    setup.grants[0].credential = None;
    assert_eq!(send(&setup, &server, "GET", Empty::new()).await.status(), 401);
    assert_eq!((source.refused().len(), server.seen().len()), (0, 1));
}

#[tokio::test]
async fn a_body_that_was_not_sent_to_its_end_is_not_sent_again() {
    let server = Server::raw(|mut stream, seen| async move {
        use tokio::io::AsyncReadExt as _;
        // Refuses after reading only the head.
        let mut head = [0; 4096];
        let read = stream.read(&mut head).await.unwrap_or(0);
        seen.lock().unwrap().push(String::from_utf8_lossy(&head[..read]).into_owned());
        let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
        while stream.read(&mut head).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let source = Renewing::with(Ok(Some(NEW)));
    let setup = setup(&server, &source);
    let answered = try_send(&setup, &server, "POST", crate::requests::never()).await;
    assert_eq!(answered.unwrap().status(), 401);
    assert_eq!((source.refused().len(), server.seen().len()), (0, 1));
}
