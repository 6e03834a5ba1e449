//! A server with one generated charm, and observers of everything that leaves it.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bg_charm_api::{Actor, DeployRequest};
use bg_charm_runtime::{Handlers, LocalHandle, LocalOptions, LocalRuntime};
use bg_egress::{ClientOptions, Gate, GateOptions, Owner};
use bg_identity::{Identity, Secret, SpaceDid, space_did};
use bg_manifest::EffectiveGrant;
use bg_sandbox::{CharmComponent, Sandbox, SandboxOptions, World};
use bg_server::{LoginToken, Server, ServerOptions};
use bg_test_support::{HttpReply, RawAnswer, RawServer};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

use crate::common::{borrowed, sign_for};

const LOGIN: &str = "the-operators-own-login-token";

/// Bytes that several threads add to, and one takes.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    pub(crate) fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }

    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Captures the logs and traces of the whole process from here on: all of ours, and of other crates what a service
/// shows.
pub(crate) fn logged() -> Sink {
    let sink = Sink::default();
    let ours = filter_fn(|metadata| {
        let target = metadata.target();
        target.starts_with("bg_") || ["egress", "charm"].contains(&target) || *metadata.level() <= LevelFilter::INFO
    });
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_writer(sink.clone())
        .with_filter(ours);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
    sink
}

/// A server on loopback that answers links, and keeps what it is sent. What a charm sends it on purpose is left out:
/// its path is `/send`, and the token stands in its `authorization` alone.
pub(crate) fn hostile() -> (RawServer, Sink) {
    let sent = Sink::default();
    let kept = sent.clone();
    let server = RawServer::start(move |request| {
        let text = String::from_utf8_lossy(&request.bytes).into_owned();
        let shown: String = text
            .split("\r\n")
            .filter(|line| !(request.target == "/send" && line.to_lowercase().starts_with("authorization:")))
            .flat_map(|line| [line, "\r\n"])
            .collect();
        kept.add(shown.as_bytes());
        let body = match request.target.as_str() {
            "/echo" => serde_json::from_slice(request.body()).unwrap_or(Value::Null),
            "/link" => json!({"a": crate::link("auth", &["token"]), "/": {"link@1": {"id": "of:vault", "path": []}}}),
            _ => json!([crate::link("auth", &[]), crate::link("vault", &["deep", "key"])]),
        };
        RawAnswer::new("200 OK", "Content-Type: application/json\r\n", body.to_string())
    });
    (server.unwrap(), sent)
}

/// What runs charms, for all of them.
pub(crate) async fn handlers(host: &str) -> Handlers {
    let guests = tokio::task::spawn_blocking(bg_build::ensure_guests).await.unwrap().unwrap();
    let cache = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/script-test-cache"));
    let sandbox = Sandbox::new(SandboxOptions { cache, ..SandboxOptions::default() }).unwrap();
    let loaded = sandbox.load(std::fs::read(guests.path("script").unwrap()).unwrap(), World::Charm).await.unwrap();
    let mut gate = GateOptions::default();
    gate.allow_private.push(host.parse().unwrap());
    let mut client = ClientOptions::new(Owner::Charms);
    client.grants.push(EffectiveGrant { grant: format!("GET,POST {host}").parse().unwrap(), credential: None });
    let http = Gate::new(gate).client(client).unwrap();
    Handlers { component: Arc::new(CharmComponent::new(&sandbox, &loaded).unwrap()), http, api_url: None }
}

/// A file as it was at a look.
#[derive(Clone, PartialEq)]
struct Seen {
    length: usize,
    changed: SystemTime,
    header: Vec<u8>,
}

/// A charm runtime over HTTP, in its own folder.
pub(crate) struct Scene {
    pub(crate) runtime: Arc<LocalRuntime>,
    pub(crate) owner: Identity,
    pub(crate) stranger: Identity,
    pub(crate) space: SpaceDid,
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    dir: TempDir,
    seen: HashMap<PathBuf, Seen>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Scene {
    pub(crate) async fn start(handlers: &Handlers, number: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (owner, stranger) =
            (Identity::from_passphrase("the owner"), Identity::from_passphrase(&format!("a stranger {number}")));
        let options = LocalOptions {
            handlers: Some(handlers.clone()),
            owner: Some(owner.did()),
            ..LocalOptions::new(dir.path().join("runtime.db"))
        };
        let runtime = Arc::new(LocalRuntime::open(options).unwrap());
        let login_token = Some(LoginToken::chosen(Secret::new(LOGIN.to_owned())).unwrap());
        let options = ServerOptions { login_token, ..ServerOptions::default() };
        let server = Server::bind_with("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
        let (address, shutdown) = (server.local_addr(), CancellationToken::new());
        tokio::spawn(server.serve(runtime.clone(), shutdown.clone()));
        Self { runtime, owner, stranger, space: space_did("my-space"), address, shutdown, dir, seen: HashMap::new() }
    }

    pub(crate) fn operator(&self) -> LocalHandle {
        self.runtime.as_actor(Actor::Operator)
    }

    /// A signed request, and all bytes of its answer.
    pub(crate) fn send(&self, by: &Identity, method: &str, target: &str, body: &Value) -> (u16, Vec<u8>) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let to = format!("{}{target}", self.address);
        let headers = sign_for(by, method, &to, &body, SystemTime::now());
        answer(&bg_test_support::request(self.address, method, target, &borrowed(&headers), body.as_bytes()).unwrap())
    }

    /// A page of the operator's.
    pub(crate) fn operators(&self, target: &str) -> (u16, Vec<u8>) {
        let login = format!("Bearer {LOGIN}");
        answer(&bg_test_support::request(self.address, "GET", target, &[("Authorization", &login)], b"").unwrap())
    }

    /// The bytes of the database and of what belongs to it, but for those that were there at the last look. The
    /// write-ahead log is only added to until its header changes.
    pub(crate) fn disk(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let (Ok(file), Ok(meta)) = (std::fs::read(&path), std::fs::metadata(&path)) else { continue };
            if path.ends_with("secrets.key") {
                continue;
            }
            let header = file[..file.len().min(32)].to_vec();
            let is_log = path.extension().is_some_and(|extension| extension == "db-wal");
            let seen = Seen { length: file.len(), changed: meta.modified().unwrap(), header };
            let before = self.seen.insert(path, seen.clone());
            let known = match before {
                Some(before) if before == seen => continue,
                Some(before) if is_log && before.header == seen.header && before.length <= seen.length => before.length,
                _ => 0,
            };
            // A page that was begun at the last look is searched as a whole.
            bytes.extend_from_slice(&file[known.saturating_sub(8192)..]);
        }
        bytes
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join("runtime.db")
    }
}

fn answer(reply: &HttpReply) -> (u16, Vec<u8>) {
    let mut bytes = format!("{:?}\n", reply.headers).into_bytes();
    bytes.extend_from_slice(&reply.body);
    (reply.status, bytes)
}

pub(crate) fn request(source: &str, inputs: Map<String, Value>) -> DeployRequest {
    DeployRequest {
        file_name: "generated.tsx".to_owned(),
        source: source.to_owned(),
        files: std::collections::BTreeMap::new(),
        inputs,
        charm: None,
    }
}
