//! A server with something to lose, and one good request to each of its endpoints.

use std::time::{Duration, SystemTime};

use bg_charm_api::wire::{self, path};
use bg_charm_api::{
    AccessLevel, AccountRequest, AccountSummary, Accounts as _, Acl, AttachRequest, CharmShow, CharmSummary,
    ClientRequest, ClientSummary, DeployRequest, DetachRequest, DeviceQuestion, ForCharm, RegistrationFilter,
    SetRequest, SignInAnswer, SignInRequest, SpaceSummary, Spaces, Subject, TokenRequest,
};
use bg_identity::{Identity, IntegrationId, Secret, space_identity, system_space};
use bg_poller::{
    CharmRef, CharmRuntime, Outcome, OutcomeKind, PollState, PollStore, Registration, RegistrationState, Run,
    UnixMillis,
};
use bg_server::{Access, Endpoint, endpoints};
use bg_test_support::HttpReply;
use http::Method;
use serde_json::{Value, json, to_value};

use crate::common::{Fixture, Headers, borrowed, counter, my_space, sign_for};

/// A private space with a charm, which is registered. `owner` may do everything there, and may write to the system
/// space.
pub struct Scene {
    pub fixture: Fixture,
    pub owner: Identity,
    /// Not before the server started.
    pub started: SystemTime,
    charm: CharmRef,
}

/// A request as a client sends it.
#[derive(Clone, Debug)]
pub struct Request {
    pub access: Access,
    pub json: bool,
    pub method: Method,
    pub target: String,
    pub body: Vec<u8>,
}

/// All that requests can change.
#[derive(Debug, PartialEq)]
pub struct State {
    registrations: Vec<Registration>,
    list: Option<Vec<CharmRef>>,
    charm: Option<CharmShow>,
    spaces: Vec<SpaceSummary>,
    charms: Vec<CharmSummary>,
    runs: Vec<Run>,
    poll_states: Vec<PollState>,
    accounts: Vec<AccountSummary>,
    clients: Vec<ClientSummary>,
    acls: [Acl; 2],
}

impl Scene {
    pub async fn start() -> Self {
        let fixture = Fixture::start().await;
        let started = SystemTime::now();
        let owner = space_identity("my-space");
        let charm = fixture.deploy(&my_space()).await;
        let operator = fixture.operator();
        let subject = Subject::Did(owner.did());
        operator.set_acl(&system_space(), &subject, Some(AccessLevel::Write)).await.unwrap();
        operator.set_acl(&my_space(), &Subject::Anyone, None).await.unwrap();
        let scene = Self { fixture, owner, started, charm };
        scene.register().await;
        scene
    }

    /// Registers the charm, again if some request has removed or disabled it, and deploys it again if one has deleted
    /// it.
    pub async fn register(&self) {
        self.fixture.deploy(&my_space()).await;
        let operator = self.fixture.operator();
        operator.register(&self.charm, &gmail()).await.unwrap();
        let token = TokenRequest { attach: None, ..ann() };
        operator.keep_token(&token).await.unwrap();
    }

    pub async fn state(&self) -> State {
        let operator = self.fixture.operator();
        State {
            registrations: operator.registrations().await.unwrap(),
            list: operator.integration_list(&gmail()).await.unwrap(),
            charm: operator.show(&self.charm).await.ok(),
            spaces: operator.spaces(None).await.unwrap(),
            charms: operator.charms(&my_space()).await.unwrap(),
            runs: operator.runs(&self.charm, 100).await.unwrap_or_default(),
            poll_states: self.fixture.poll_store().load().await.unwrap(),
            accounts: operator.accounts().await.unwrap(),
            clients: operator.clients().await.unwrap(),
            acls: [operator.acl(&my_space()).await.unwrap(), operator.acl(&system_space()).await.unwrap()],
        }
    }

    /// A request to each endpoint of the API, which is done if `owner` signs it.
    pub fn requests(&self) -> Vec<Request> {
        let api = endpoints().into_iter().filter(|endpoint| is_signed(endpoint.path));
        api.map(|endpoint| self.request(endpoint)).collect()
    }

    /// A request to each of the other endpoints: pages, their assets, and what pages ask for.
    pub fn page_requests(&self) -> Vec<Request> {
        let pages = endpoints().into_iter().filter(|endpoint| !is_signed(endpoint.path));
        pages.map(|endpoint| self.request(endpoint)).collect()
    }

    fn request(&self, endpoint: Endpoint) -> Request {
        let Endpoint { method, path, access, json, .. } = endpoint;
        let filled = path
            .replace("{space}", self.charm.space.as_ref())
            .replace("{charm}", self.charm.charm.as_ref())
            .replace("{id}", gmail().as_ref());
        assert!(!filled.contains('{'), "{path} has a part that is not filled in");
        let query = match path.rsplit('/').next() {
            Some("changes") => "?after=0",
            Some("value") if method == Method::GET => "?path=%5B%22count%22%5D",
            _ => "",
        };
        let body = if json { self.good_body(&method, path).to_string().into_bytes() } else { Vec::new() };
        Request { access, json, method, target: format!("{filled}{query}"), body }
    }

    /// Each changes something, if it can.
    fn good_body(&self, method: &Method, path: &str) -> Value {
        let charm = self.charm.clone();
        let body = match (method.as_str(), path) {
            ("POST", path::BUTTON | path::REGISTRATIONS) => to_value(wire::Register { charm, integration: gmail() }),
            ("PATCH", "/api/v1/registrations/{space}/{charm}") => {
                to_value(wire::SetDisabled { disabled: true, reason: Some("by a test".to_owned()), by: None })
            }
            ("POST", path::ENABLE) => {
                let state = Some(RegistrationState::Running);
                let filter = RegistrationFilter { state, ..RegistrationFilter::default() };
                to_value(wire::EnableMany { filter, all: false })
            }
            ("PUT", "/api/v1/registrations/{space}/{charm}/interval") => {
                to_value(wire::SetInterval { interval_ms: Some(300_000) })
            }
            ("POST", path::RUNS) => {
                let outcome = Outcome::failure(OutcomeKind::Invalid, "by a test");
                let (started_at, duration) = (UnixMillis::now(), Duration::from_millis(7));
                to_value(wire::Runs { runs: vec![Run { charm, started_at, duration, outcome }] })
            }
            ("POST", path::POLLERS) => {
                let [next_due, disabled_at, updated_at] = [UnixMillis::now(), UnixMillis::NEVER, UnixMillis(1)];
                let state =
                    PollState { charm, next_due, failures: 3, disabled_at, updated_at, owed_since: UnixMillis::NEVER };
                to_value(wire::PollerReport {
                    poller: "1".into(),
                    failing: vec![state],
                    ..wire::PollerReport::default()
                })
            }
            ("POST", "/api/v1/charms/{space}/{charm}/trigger") => {
                to_value(wire::Trigger { stream: "bgUpdater".to_owned(), event: json!({}), ..Default::default() })
            }
            ("PUT", "/api/v1/charms/{space}/{charm}/value") => {
                let path = vec!["count".to_owned()];
                to_value(SetRequest { path, value: json!(41), create: false })
            }
            ("POST", "/api/v1/charms/{space}/{charm}/secret") => {
                to_value(wire::SecretPath { path: ["auth", "token"].map(str::to_owned).to_vec() })
            }
            ("POST", path::SPACES) => to_value(wire::NewSpace { name: "notes".to_owned() }),
            ("POST", "/api/v1/spaces/{space}/charms") => {
                to_value(DeployRequest { file_name: "other.ts".to_owned(), ..counter() })
            }
            ("PUT", "/api/v1/spaces/{space}/acl") => {
                to_value(wire::SetAcl { subject: Subject::Anyone, level: Some(AccessLevel::Read) })
            }
            ("PUT", path::CLIENTS) => {
                let (provider, id) = ("notion".to_owned(), "a-client".to_owned());
                to_value(ClientRequest { provider, id, secret: None })
            }
            ("POST", path::SIGN_IN | path::DEVICE) => to_value(SignInRequest {
                provider: "notion".to_owned(),
                scopes: Vec::new(),
                redirect: Some("http://127.0.0.1:7/callback".to_owned()),
                account: None,
                attach: None,
            }),
            ("POST", path::SIGN_IN_ANSWER) => {
                to_value(SignInAnswer { query: Secret::new("state=a&code=b".to_owned()) })
            }
            ("POST", path::DEVICE_ANSWER) => to_value(DeviceQuestion { ticket: Secret::new("a".to_owned()) }),
            ("POST", path::TOKEN) => {
                to_value(TokenRequest { attach: Some(ForCharm { charm: charm.to_string(), cell: None }), ..ann() })
            }
            ("POST", path::ATTACH) => {
                let attach = ForCharm { charm: charm.to_string(), cell: None };
                to_value(AttachRequest { account: "ann".to_owned(), attach })
            }
            ("POST", path::DETACH) => to_value(DetachRequest { charm: charm.to_string() }),
            ("POST", path::RENEW | path::LOGOUT) => to_value(AccountRequest { account: "ann".to_owned() }),
            _ => panic!("{method} {path} needs a good body here"),
        };
        body.unwrap()
    }

    /// The headers that sign a request for this server, now.
    pub fn sign(&self, request: &Request) -> Headers {
        self.fixture.sign(&self.owner, request.method.as_str(), &request.target, &request.body)
    }

    /// The same at another time.
    pub fn sign_at(&self, request: &Request, time: SystemTime) -> Headers {
        self.sign_to(&self.fixture.address.to_string(), request, time)
    }

    /// The same for another host.
    pub fn sign_to(&self, host: &str, request: &Request, time: SystemTime) -> Headers {
        let to = format!("{host}{}", request.target);
        sign_for(&self.owner, request.method.as_str(), &to, &request.body, time)
    }

    pub fn send(&self, request: &Request, headers: &Headers) -> HttpReply {
        self.fixture.send(request.method.as_str(), &request.target, &borrowed(headers), &request.body)
    }

    pub fn send_signed(&self, request: &Request) -> HttpReply {
        self.send(request, &self.sign(request))
    }

    /// Fails unless the server answers, and all is as it was.
    pub async fn assert_unharmed(&self, before: &State) {
        assert_eq!(self.fixture.send("GET", path::HEALTH, &[], "").status, 200);
        assert_eq!(self.state().await, *before);
    }
}

impl Request {
    /// Whether anybody may do it, signed or not: the original's button.
    pub fn is_registration(&self) -> bool {
        self.method == Method::POST && [path::BUTTON, path::REGISTRATIONS].contains(&self.target.as_str())
    }

    pub fn with_body(&self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.clone() }
    }
}

/// Whether it takes signatures, or nobody's: not what pages ask for.
fn is_signed(path: &str) -> bool {
    path.starts_with("/api/") && !path.starts_with("/api/integrations/{id}/")
}

/// A token that somebody made, of a provider that is not asked whose it is.
fn ann() -> TokenRequest {
    let (provider, token) = ("notion".to_owned(), Secret::new("a-token".to_owned()));
    TokenRequest { provider, token, name: Some("ann".to_owned()), attach: None }
}

fn gmail() -> IntegrationId {
    "gmail".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_valid_request_is_done_if_its_signer_has_the_right() {
    let scene = Scene::start().await;
    for request in scene.requests() {
        scene.register().await;
        let before = scene.state().await;
        let reply = scene.send_signed(&request);
        // Nothing here renews tokens.
        let expected = match request.target.as_str() {
            target if target.ends_with("/refresh") => 422..423,
            // There is no provider, and the token of the only account cannot be renewed.
            path::SIGN_IN_ANSWER | path::DEVICE_ANSWER => 400..401,
            path::DEVICE | path::RENEW => 422..423,
            _ => 200..205,
        };
        assert!(expected.contains(&reply.status), "{request:?}: {} {}", reply.status, reply.text());
        let changes = request.method != Method::GET
            && !["/refresh", "/secret"].iter().any(|end| request.target.ends_with(end))
            && ![path::SIGN_IN, path::SIGN_IN_ANSWER, path::DEVICE, path::DEVICE_ANSWER, path::RENEW]
                .contains(&request.target.as_str());
        assert_eq!(scene.state().await != before, changes, "{request:?}");
    }
    scene.fixture.stop().await;
}
