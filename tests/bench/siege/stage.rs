//! What is besieged: a server with healthy charms that only their service may access, and tenants with their own
//! spaces.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use bg_charm_api::{AccessLevel, DeployRequest, Spaces as _, Subject};
use bg_charm_client::RemoteRuntime;
use bg_identity::{Identity, SpaceDid, space_did};
use bg_poller::{CharmRef, CharmRuntime as _, RuntimeError};
use bg_test_support::{FakeGoogle, Running, TestHost};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use crate::attack::{TENANTS, Targets, tenant};
use crate::siege::Plan;

/// The operator's login token for the admin page.
pub(crate) const LOGIN_TOKEN: &str = "the-login-token-of-the-siege";
/// The integration of the healthy charms. It has no component: they are polled anyway.
const INTEGRATION: &str = "my-test";
/// How long to wait for something that should happen soon.
pub(crate) const SOON: Duration = Duration::from_mins(2);
/// How many charms are deployed concurrently.
const AT_ONCE: usize = 8;
/// How long a client waits that was asked to.
const PAUSE: Duration = Duration::from_millis(200);
/// Charms of each hostile kind, at most.
const HOSTILE: u32 = 150;
/// Functions of the large charm: nearly as many as a file may have.
const FUNCTIONS: usize = 1_800;

/// A host for the server and one for the service, each with its own key, and what the attackers know.
pub(crate) struct Stage {
    server: TestHost,
    service: TestHost,
    google: FakeGoogle,
    service_key: PathBuf,
    pub(crate) targets: Targets,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Stage {
    /// Creates everything, and stops the server that it needed for that.
    pub(crate) fn build(plan: &Plan) -> anyhow::Result<Self> {
        bg_build::ensure_guests()?;
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache");
        let host = || anyhow::Ok(TestHost::new(env!("CARGO_BIN_EXE_bg-wasm-host"))?.env("BG_WASM_HOST_CACHE", &cache));
        let (server, server_key) = with_key(host()?)?;
        let (service, service_key) = with_key(host()?)?;
        for key in [&server_key, &service_key] {
            let key = key.to_str().context("a path that is not UTF-8")?;
            server.command(["--identity", key, "add-admin-charm"])?.success()?;
        }
        let server = server.env("BG_WASM_HOST_LOGIN_TOKEN", LOGIN_TOKEN);
        let google = FakeGoogle::start()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (running, address) = serve(&server, &google)?;
        let operator = RemoteRuntime::new(format!("http://{address}").parse()?, Identity::load(&server_key)?);
        let service_did = Subject::Did(Identity::load(&service_key)?.did());
        let targets = runtime.block_on(fill(&operator, plan, &service_did, &google))?;
        running.terminate()?.success()?;
        Ok(Self { server, service, google, service_key, targets, runtime })
    }

    /// Starts a fresh server.
    pub(crate) fn serve(&self) -> anyhow::Result<(Running, SocketAddr)> {
        serve(&self.server, &self.google)
    }

    /// Starts the service that polls the charms of a server, and logs every poll as JSON.
    pub(crate) fn poll(&self, server: SocketAddr, interval: Duration) -> anyhow::Result<Running> {
        let (url, interval) = (format!("http://{server}"), format!("{}ms", interval.as_millis()));
        let log = ["--log-format", "json", "--log", "error,poller=info", "--log-interval", "2"];
        self.service.spawn(["run", "--api-url", &url, "--interval", &interval].iter().chain(&log))
    }

    /// Writes a file for a process of this siege, and returns its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> anyhow::Result<PathBuf> {
        self.service.write(name, content)
    }

    /// The key of the service, whose requests an attacker captures.
    pub(crate) fn service_key(&self) -> &Path {
        &self.service_key
    }

    /// The size of the server's files on disk, in MiB.
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
    pub(crate) fn disk(&self) -> f64 {
        bytes_below(&self.server.data_dir()) as f64 / 1024.0 / 1024.0
    }

    /// How often tokens were renewed; resets the counter.
    pub(crate) fn take_renewals(&self) -> usize {
        self.google.take_requests().len()
    }
}

fn with_key(host: TestHost) -> anyhow::Result<(TestHost, PathBuf)> {
    let key = host.dir().join("key.pem");
    host.command(["identity", "new", key.to_str().context("a path that is not UTF-8")?])?.success()?;
    Ok((host.env("IDENTITY", &key), key))
}

fn serve(host: &TestHost, google: &FakeGoogle) -> anyhow::Result<(Running, SocketAddr)> {
    let (base, renewal) = (google.base_url(), google.refresh_url());
    let options = ["--allow-private", &base, "--oauth-refresh-url", &renewal];
    let mut server = host.spawn(["serve", "--listen", "127.0.0.1:0"].iter().chain(&options))?;
    let line = server.wait_for_line(|line| line.starts_with("The admin page: "), SOON)?;
    let address =
        line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).context("no address")?.parse()?;
    Ok((server, address))
}

/// Files come and go meanwhile.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

async fn fill(
    operator: &RemoteRuntime,
    plan: &Plan,
    service: &Subject,
    google: &FakeGoogle,
) -> anyhow::Result<Targets> {
    let spaces: Vec<SpaceDid> = (0..plan.spaces).map(|number| space_did(&format!("healthy-{number}"))).collect();
    let source = include_str!("../../../examples/charms/counter.tsx");
    let deployed = (0..plan.charms).map(|number| {
        let space = &spaces[number as usize % spaces.len()];
        // A charm's ID depends on its source, its inputs and its space.
        let inputs = json!({ "count": number / plan.spaces });
        async move {
            let charm = deploy(operator, space, "counter.tsx", source, inputs).await?;
            patiently(async || operator.register(&charm, &INTEGRATION.parse().expect("it is a name")).await).await?;
            anyhow::Ok(charm)
        }
    });
    let healthy: Vec<CharmRef> = futures_util::stream::iter(deployed).buffered(AT_ONCE).try_collect().await?;
    for space in &spaces {
        only(operator, space, &[(service.clone(), AccessLevel::Write)]).await?;
    }

    let tenants: Vec<Subject> = (0..TENANTS).map(|number| Subject::Did(tenant(number).did())).collect();
    let own: Vec<SpaceDid> = (0..TENANTS).map(|number| space_did(&format!("tenant-{number}"))).collect();
    for space in &own {
        // Deploying a charm creates the space.
        deploy(operator, space, "looping.tsx", include_str!("looping.tsx"), json!({})).await?;
    }
    let tokens = json!({ "auth": { "token": google.issue_token(), "refreshToken": google.issue_refresh_token() } });
    let targets = Targets {
        looping: hostile(operator, plan, &own[0], "looping.tsx", include_str!("looping.tsx")).await?,
        growing: hostile(operator, plan, &own[0], "growing.tsx", include_str!("growing.tsx")).await?,
        large: deploy(operator, &own[0], "large.tsx", &large(), json!({})).await?,
        account: deploy(operator, &own[0], "account.tsx", include_str!("account.tsx"), tokens).await?,
        healthy,
        own: own.clone(),
    };
    for (space, owner) in own.iter().zip(&tenants) {
        only(operator, space, &[(owner.clone(), AccessLevel::Owner)]).await?;
    }
    // The second tenant may write in the first one's space.
    patiently(async || operator.set_acl(&own[0], &tenants[1], Some(AccessLevel::Write)).await).await?;
    google.take_requests();
    Ok(targets)
}

/// Enough copies of a hostile charm to call all of them concurrently: a charm handles one event at a time.
async fn hostile(
    operator: &RemoteRuntime,
    plan: &Plan,
    space: &SpaceDid,
    name: &str,
    source: &str,
) -> anyhow::Result<Vec<CharmRef>> {
    let count = plan.charms.min(HOSTILE);
    let deployed = (0..count).map(|number| deploy(operator, space, name, source, json!({ "turns": number })));
    futures_util::stream::iter(deployed).buffered(AT_ONCE).try_collect().await
}

async fn deploy(
    operator: &RemoteRuntime,
    space: &SpaceDid,
    name: &str,
    source: &str,
    inputs: Value,
) -> anyhow::Result<CharmRef> {
    let Value::Object(inputs) = inputs else { anyhow::bail!("inputs are an object") };
    let (file_name, source, files) = (name.to_owned(), source.to_owned(), BTreeMap::new());
    let request = DeployRequest { file_name, source, files, inputs, charm: None };
    Ok(patiently(async || operator.deploy(space, &request).await).await?.charm)
}

/// Gives access to a space to these only, besides its owner.
async fn only(operator: &RemoteRuntime, space: &SpaceDid, list: &[(Subject, AccessLevel)]) -> anyhow::Result<()> {
    for (subject, level) in list {
        patiently(async || operator.set_acl(space, subject, Some(*level)).await).await?;
    }
    patiently(async || operator.set_acl(space, &Subject::Anyone, None).await).await?;
    Ok(())
}

/// Retries while the server asks to wait.
async fn patiently<T>(request: impl AsyncFn() -> Result<T, RuntimeError>) -> anyhow::Result<T> {
    let until = tokio::time::Instant::now() + SOON;
    loop {
        match request().await {
            Err(RuntimeError::Unavailable { .. }) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
            }
            done => return Ok(done?),
        }
    }
}

/// A charm with a small page and a source that is expensive to parse.
fn large() -> String {
    let mut functions = String::new();
    for number in 0..FUNCTIONS {
        let line = format!("const f{number} = (x: number): number => (x + {number}) * ({number} - x) + {number};\n");
        functions.push_str(&line);
    }
    format!(
        "/// <cts-enable />\nimport {{ Default, h, NAME, pattern, UI }} from \"commontools\";\n{functions}\
         export default pattern<{{ n: Default<number, 1> }}>(({{ n }}) => ({{ [NAME]: \"Large\", [UI]: <div>{{n}}</div>, n }}));\n"
    )
}
