//! A server with something to lose, and requests to it.

use bg_charm_api::{AccessLevel, Accounts as _, ClientRequest, ForCharm, SetRequest, Spaces, Subject, TokenRequest};
use bg_identity::{CharmId, Identity, Secret, space_did, space_identity, system_space};
use bg_poller::{CharmRef, CharmRuntime};
use bg_server::{LoginToken, ServerOptions};
use bg_test_support::{HttpReply, RawAnswer, RawServer};
use serde_json::{Value, json};

use crate::common::{CHARM, Fixture, borrowed, counter, my_space};

const TOKEN: &str = "a-token-of-the-operator";

/// A private space with a charm, which is registered. `owner` may do everything there, and may write to the system
/// space.
pub struct Scene {
    pub fixture: Fixture,
    charm: CharmRef,
    owner: Identity,
    stranger: Identity,
    _renewal: RawServer,
}

/// A request, without its authentication.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub content_type: Option<&'static str>,
    pub body: Vec<u8>,
}

/// The authentication of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// It does not.
    Nobody,
    /// By the operator's token.
    Operator,
    /// By another token.
    WrongToken,
    /// A signature of a key that may do everything in the space.
    Owner,
    /// A signature of a key without rights.
    Stranger,
    /// By the owner's signature of another request.
    Forged,
}

impl Scene {
    pub async fn start() -> Self {
        let renewed = r#"{"tokenInfo":{"token":"renewed","expiresAt":1}}"#;
        let answer = RawAnswer::new("200 OK", "Content-Type: application/json\r\n", renewed);
        let renewal = RawServer::start(move |_| answer.clone()).unwrap();
        let url = format!("http://{}/refresh", renewal.address()).parse().unwrap();
        let login_token = Some(LoginToken::chosen(Secret::new(TOKEN.to_owned())).unwrap());
        let options = ServerOptions { login_token, ..ServerOptions::default() };
        let fixture = Fixture::start_whole(CHARM, options, Some(url)).await;
        let charm = fixture.deploy(&my_space()).await;
        let (owner, stranger) = (space_identity("my-space"), Identity::from_passphrase("stranger"));
        Self { fixture, charm, owner, stranger, _renewal: renewal }
    }

    /// Undoes what requests may have changed.
    pub async fn restore(&self) {
        let operator = self.fixture.operator();
        // If one has deleted it.
        self.fixture.deploy(&my_space()).await;
        let owner = Subject::Did(self.owner.did());
        operator.set_acl(&system_space(), &owner, Some(AccessLevel::Write)).await.unwrap();
        for nobody in [Subject::Anyone, Subject::Did(self.stranger.did())] {
            operator.set_acl(&system_space(), &nobody, None).await.unwrap();
            operator.set_acl(&my_space(), &nobody, None).await.unwrap();
        }
        let client = ClientRequest { provider: "notion".to_owned(), id: "a-client".to_owned(), secret: None };
        operator.set_client(&client).await.unwrap();
        let token = TokenRequest {
            provider: "notion".to_owned(),
            token: Secret::new("a-token".to_owned()),
            name: Some("ann".to_owned()),
            attach: Some(ForCharm { charm: self.charm.to_string(), cell: Some("auth".to_owned()) }),
        };
        operator.keep_token(&token).await.unwrap();
        let auth = SetRequest {
            path: vec!["auth".to_owned()],
            value: json!({ "token": "sesame", "refreshToken": "open sesame" }),
            create: false,
        };
        operator.set(&self.charm, &auth).await.unwrap();
        operator.register(&self.charm, &"gmail".parse().unwrap()).await.unwrap();
    }

    /// Valid values for members and parameters of some names, and for some schemas; the usual value first.
    pub fn known(&self) -> Vec<(&'static str, Vec<Value>)> {
        let elsewhere = json!(space_did("elsewhere"));
        let none = json!(CharmId::for_content(b"none"));
        let counter = counter();
        vec![
            // The charm whose program a deployment replaces; usually none.
            ("charm", vec![Value::Null, json!(self.charm.charm), none.clone()]),
            ("detachAccount/charm", vec![json!(self.charm.to_string()), json!("x"), json!("")]),
            (
                ".ForCharm",
                vec![
                    json!({"charm": self.charm.to_string(), "cell": "auth"}),
                    json!({"charm": self.charm.to_string()}),
                    json!({"charm": self.charm.to_string(), "cell": "none"}),
                    json!({"charm": "x"}),
                ],
            ),
            // It is not asked for anything: it says who signed in only together with tokens.
            ("provider", vec![json!("notion"), json!("none"), json!("")]),
            ("redirect", vec![json!("http://127.0.0.1:7/callback"), json!("https://elsewhere.example/"), Value::Null]),
            ("account", vec![json!("ann"), json!("none"), json!("")]),
            ("beginSignIn/account", vec![Value::Null, json!("ann"), json!("none")]),
            ("beginDevice/account", vec![Value::Null, json!("none")]),
            ("token", vec![json!("a-token"), json!("a token"), json!("")]),
            ("keepToken/name", vec![json!("ann"), Value::Null]),
            (".SpaceDid", vec![json!(self.charm.space), elsewhere, json!(system_space())]),
            (".CharmId", vec![json!(self.charm.charm), none, json!("fid1:a")]),
            (".IntegrationId", vec![json!("gmail"), json!("x"), json!("A.b_c-9")]),
            (".Subject", vec![json!("*"), json!(self.stranger.did()), json!(self.owner.did())]),
            ("stream", vec![json!("bgUpdater"), json!("broken"), json!("none"), json!("")]),
            (
                "path",
                vec![json!(["count"]), json!(["auth", "token"]), json!(["auth"]), json!([]), json!(["none", "x"])],
            ),
            ("reportPoller/path", vec![json!("/a"), json!("")]),
            ("reportPoller/intervalMs", vec![json!(60_000), json!(0), json!(u64::MAX)]),
            ("poller", vec![json!("1-1"), json!("x".repeat(64))]),
            ("fileName", vec![json!(counter.file_name), json!("a.js"), json!("lib/a.mts")]),
            ("source", vec![json!(counter.source), json!("export default 7;"), json!("(")]),
            ("getSecret/path", vec![json!(["auth", "token"]), json!(["auth"]), json!(["count"]), json!([])]),
            ("intervalMs", vec![json!(300_000), Value::Null, json!(100), json!(604_800_000)]),
            ("startedAt", vec![json!(1_700_000_000_000_u64), json!(i64::MAX)]),
            // Most events are sent once.
            ("key", vec![Value::Null, json!("event-1"), json!("x".repeat(64))]),
            ("again", vec![Value::Null, json!("another-server")]),
            // Waiting in vain is tried separately.
            ("after", vec![json!(0), json!(u64::MAX), json!(i64::MAX)]),
            ("wait", vec![json!(false)]),
        ]
    }

    pub fn send(&self, request: &Request, sender: Sender) -> HttpReply {
        let Request { method, target, content_type, body } = request;
        let mut headers = match sender {
            Sender::Nobody => Vec::new(),
            Sender::Operator => vec![("authorization".to_owned(), format!("Bearer {TOKEN}"))],
            Sender::WrongToken => vec![("authorization".to_owned(), "Bearer another".to_owned())],
            Sender::Owner => self.fixture.sign(&self.owner, method, target, body),
            Sender::Stranger => self.fixture.sign(&self.stranger, method, target, body),
            Sender::Forged => self.fixture.sign(&self.owner, method, "/api/health", body),
        };
        headers.extend(content_type.map(|media_type| ("content-type".to_owned(), media_type.to_owned())));
        self.fixture.send(method, target, &borrowed(&headers), body)
    }
}
