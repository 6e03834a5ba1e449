//! A server with a real local runtime, on its own port.
#![allow(clippy::unwrap_used, reason = "a test's helper may panic as its test does")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bg_charm_api::{Actor, DeployRequest, Spaces};
use bg_charm_client::RemoteRuntime;
use bg_charm_runtime::{Handlers, LocalHandle, LocalOptions, LocalRuntime, SqlitePollStore};
use bg_egress::{ClientOptions, Gate, GateOptions, Owner};
use bg_identity::{Identity, SpaceDid, http_signature, space_did, space_identity};
use bg_poller::CharmRef;
use bg_sandbox::{CharmComponent, Sandbox, SandboxOptions, World};
use bg_server::{ServeError, Server, ServerOptions};
use bg_test_support::{HttpReply, request};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

pub const CHARM: &str = include_str!("charm.wat");

/// Names and values.
pub type Headers = Vec<(String, String)>;

pub struct Fixture {
    pub runtime: Arc<LocalRuntime>,
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub serving: JoinHandle<Result<(), ServeError>>,
    pub dir: TempDir,
}

impl Fixture {
    /// A server on which every charm runs `charm.wat`.
    pub async fn start() -> Self {
        Self::start_with(ServerOptions::default()).await
    }

    pub async fn start_with(options: ServerOptions) -> Self {
        Self::start_with_charm(CHARM, options).await
    }

    pub async fn start_with_charm(charm: &str, options: ServerOptions) -> Self {
        Self::start_whole(charm, options, None).await
    }

    /// With a service that renews OAuth tokens.
    pub async fn start_whole(charm: &str, options: ServerOptions, oauth_refresh_url: Option<Url>) -> Self {
        let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
        let loaded = sandbox.load(wat::parse_str(charm).unwrap(), World::Charm).await.unwrap();
        let component = Arc::new(CharmComponent::new(&sandbox, &loaded).unwrap());
        let http = Gate::new(GateOptions::default()).client(ClientOptions::new(Owner::Charms)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let options_of_runtime = LocalOptions {
            handlers: Some(Handlers { component, http, api_url: None }),
            oauth_refresh_url,
            // Whose key the tests' own space has, too.
            owner: Some(space_identity("my-space").did()),
            ..LocalOptions::new(dir.path().join("runtime.db"))
        };
        let runtime = Arc::new(LocalRuntime::open(options_of_runtime).unwrap());
        let server = Server::bind_with("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
        let address = server.local_addr();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(server.serve(runtime.clone(), shutdown.clone()));
        Self { runtime, address, shutdown, serving, dir }
    }

    /// What is remembered of polls.
    pub fn poll_store(&self) -> SqlitePollStore {
        self.runtime.poll_store()
    }

    pub fn operator(&self) -> LocalHandle {
        self.runtime.as_actor(Actor::Operator)
    }

    pub fn remote(&self, identity: Identity) -> RemoteRuntime {
        RemoteRuntime::new(format!("http://{}", self.address).parse().unwrap(), identity)
    }

    /// Deploys a charm as the operator.
    pub async fn deploy(&self, space: &SpaceDid) -> CharmRef {
        self.operator().deploy(space, &counter()).await.unwrap().charm
    }

    /// An unsigned request.
    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> HttpReply {
        request(self.address, method, target, headers, body.as_ref()).unwrap()
    }

    /// A signed request.
    pub fn send_signed(&self, identity: &Identity, method: &str, target: &str, body: impl AsRef<[u8]>) -> HttpReply {
        let headers = self.sign(identity, method, target, &body);
        self.send(method, target, &borrowed(&headers), body)
    }

    pub fn sign(&self, identity: &Identity, method: &str, target: &str, body: impl AsRef<[u8]>) -> Headers {
        sign_for(identity, method, &format!("{}{target}", self.address), body, SystemTime::now())
    }

    /// Ends the server in good order.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

/// The headers that sign a request to `host:port/path?query` at that time.
pub fn sign_for(identity: &Identity, method: &str, to: &str, body: impl AsRef<[u8]>, time: SystemTime) -> Headers {
    let url = format!("http://{to}").parse().unwrap();
    let headers = http_signature::sign(identity, &method.parse().unwrap(), &url, body.as_ref(), time).unwrap();
    headers.into_iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

pub fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

pub fn counter() -> DeployRequest {
    DeployRequest {
        file_name: "counter.ts".to_owned(),
        files: std::collections::BTreeMap::new(),
        source: "import { pattern } from \"commontools\";\nexport default pattern(() => ({}));\n".to_owned(),
        inputs: Map::new(),
        charm: None,
    }
}

pub fn my_space() -> SpaceDid {
    space_did("my-space")
}

/// What an answer that is an error says: its `detail`, or the `error` of the original's registration.
pub fn error(reply: &HttpReply) -> String {
    let is_problem = reply.header("content-type") == Some("application/problem+json");
    let json = reply.json().unwrap();
    let text = json[if is_problem { "detail" } else { "error" }].as_str();
    text.unwrap_or_else(|| panic!("no error in {}", reply.text())).to_owned()
}

pub fn code(reply: &HttpReply) -> Value {
    reply.json().unwrap()["code"].clone()
}
