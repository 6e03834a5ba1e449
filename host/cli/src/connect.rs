//! Which charm runtime a command talks to, and how.
//!
//! With `--api-url` (or `API_URL`) it is a remote one. Without, it is the local one in the data directory: through the API of
//! the `serve` that holds its database, if one does, and else directly, as its operator.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bg_charms::{
    Actor, DatabaseLock, Handlers, Holder, LocalOptions, LocalRuntime, LockError, RemoteRuntime, Role, Runtime,
    SqlitePollStore,
};
use bg_egress::{ClientOptions, Gate, GateOptions, Owner};
use bg_identity::{Identity, SYSTEM_SPACE_NAME, space_identity};
use bg_sandbox::{CharmComponent, Sandbox, SandboxOptions, World};
use url::Url;

use crate::args::{Common, HandlerArgs};
use crate::paths::{self, DataDir};

/// The original's passphrase, for a first try without any set-up.
const DEFAULT_PASSPHRASE: &str = "implicit trust";

/// A charm runtime, as a command uses it.
pub(crate) type AnyRuntime = Arc<dyn Runtime>;

/// The operator's key: the key file, or else made from the passphrase.
pub(crate) fn operator(common: &Common) -> anyhow::Result<Identity> {
    if let Some(path) = &common.identity {
        return Identity::load(path)
            .with_context(|| format!("cannot use the key file {} (--identity or IDENTITY)", path.display()));
    }
    let passphrase = common.operator_pass.as_ref().map_or(DEFAULT_PASSPHRASE, |pass| pass.expose());
    Ok(Identity::from_passphrase(passphrase))
}

/// Where the charm runtime is.
pub(crate) enum Place {
    /// At this URL.
    Remote(Url),
    /// In this data directory, which no `serve` holds.
    Local(DataDir),
}

/// How long to wait for a `serve` of this data directory that has not opened its port yet: it may be compiling script.wasm.
const STARTING: Duration = Duration::from_secs(30);

/// Finds it. A key file that cannot be used is an error here, also where the local runtime would not ask for the key.
pub(crate) async fn place(common: &Common) -> anyhow::Result<Place> {
    operator(common)?;
    if let Some(url) = &common.api_url {
        return Ok(Place::Remote(url.clone()));
    }
    let data_dir = DataDir::open(common.data_dir.as_deref())?;
    let until = Instant::now() + STARTING;
    loop {
        match DatabaseLock::holder(&data_dir.runtime_database())? {
            Some(Holder { role: Role::Serve, url: Some(url), .. }) => {
                let parsed: Result<Url, _> = url.parse();
                return Ok(Place::Remote(
                    parsed.with_context(|| format!("the server of this data directory is at {url}"))?,
                ));
            }
            Some(Holder { role: Role::Serve, .. }) if Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Some(holder @ Holder { role: Role::Serve, .. }) => {
                bail!("{holder} is still starting; try again in a moment")
            }
            Some(Holder { role: Role::Run, .. }) | None => return Ok(Place::Local(data_dir)),
        }
    }
}

/// Refuses what would have no effect: charms of a remote runtime run there.
fn refuse_handler_options(handlers: &HandlerArgs, url: &Url) -> anyhow::Result<()> {
    if handlers.allow_charm_http.is_empty() && handlers.oauth_refresh_url.is_none() {
        return Ok(());
    }
    bail!(
        "--allow-charm-http and --oauth-refresh-url are for where charms run, and these run at {url}; give them, with \
         --allow-private, to `bg-wasm-host serve` there"
    )
}

/// The charm runtime, for a command that neither deploys nor triggers.
pub(crate) async fn client(common: &Common) -> anyhow::Result<AnyRuntime> {
    match place(common).await? {
        Place::Remote(url) => Ok(Arc::new(RemoteRuntime::new(url, operator(common)?))),
        Place::Local(data_dir) => {
            Ok(Arc::new(open(LocalOptions::new(data_dir.runtime_database())).await?.as_actor(Actor::Operator)))
        }
    }
}

/// The charm runtime, as the system space's own key: for `add-admin-charm`.
pub(crate) async fn as_system_space(common: &Common) -> anyhow::Result<AnyRuntime> {
    match place(common).await? {
        Place::Remote(url) => Ok(Arc::new(RemoteRuntime::new(url, space_identity(SYSTEM_SPACE_NAME)))),
        Place::Local(_) => client(common).await,
    }
}

/// The charm runtime, for a command that may run charms' code in this process.
pub(crate) async fn with_handlers(common: &Common, handlers: &HandlerArgs) -> anyhow::Result<AnyRuntime> {
    match place(common).await? {
        Place::Remote(url) => {
            refuse_handler_options(handlers, &url)?;
            client(common).await
        }
        Place::Local(data_dir) => {
            let gate =
                Gate::new(GateOptions { allow_private: handlers.allow_private.clone(), ..GateOptions::default() });
            let sandbox = sandbox(common)?;
            let runtime = open_with_handlers(&data_dir, handlers, &sandbox, &gate).await?;
            Ok(Arc::new(runtime.as_actor(Actor::Operator)))
        }
    }
}

/// What `run` polls, and where it keeps what it remembers. The lock is held as long as this lives.
pub(crate) struct Service {
    pub(crate) runtime: AnyRuntime,
    pub(crate) store: SqlitePollStore,
    /// For the log: where the runtime is.
    pub(crate) shown: String,
    _lock: DatabaseLock,
}

/// The charm runtime for `run`: a remote one with its own poll state, or the local one, embedded.
pub(crate) async fn service(
    common: &Common,
    handlers: &HandlerArgs,
    sandbox: &Sandbox,
    gate: &Gate,
) -> anyhow::Result<Service> {
    match place(common).await? {
        Place::Remote(url) => {
            refuse_handler_options(handlers, &url)?;
            let database = DataDir::open(common.data_dir.as_deref())?.poll_database(&url);
            let lock = lock(&database, Role::Run)?;
            let store = blocking({
                let database = database.clone();
                move || SqlitePollStore::open(&database)
            })
            .await?;
            let shown = format!("the charm runtime at {url}");
            Ok(Service { runtime: Arc::new(RemoteRuntime::new(url, operator(common)?)), store, shown, _lock: lock })
        }
        Place::Local(data_dir) => {
            let lock = lock(&data_dir.runtime_database(), Role::Run)?;
            let runtime = open_with_handlers(&data_dir, handlers, sandbox, gate).await?;
            let shown = format!("the local charm runtime in {}", data_dir.path().display());
            let store = runtime.poll_store();
            Ok(Service { runtime: Arc::new(runtime.as_actor(Actor::Operator)), store, shown, _lock: lock })
        }
    }
}

/// Takes a database for a service of this process.
pub(crate) fn lock(database: &std::path::Path, role: Role) -> Result<DatabaseLock, LockError> {
    DatabaseLock::acquire(database, role, None)
}

/// The sandbox, with its cache of compiled components where the operator has one.
pub(crate) fn sandbox(common: &Common) -> anyhow::Result<Sandbox> {
    let cache = paths::cache_dir(common.cache_dir.as_deref());
    Ok(Sandbox::new(SandboxOptions { cache, ..SandboxOptions::default() })?)
}

/// Opens the local runtime, able to run charms.
pub(crate) async fn open_with_handlers(
    data_dir: &DataDir,
    handlers: &HandlerArgs,
    sandbox: &Sandbox,
    gate: &Gate,
) -> anyhow::Result<Arc<LocalRuntime>> {
    let path: PathBuf = paths::script_component()?;
    let loaded = sandbox.load(paths::read(&path, "the component")?, World::Charm).await;
    let loaded = loaded.with_context(|| format!("cannot load {}", path.display()))?;
    let component = CharmComponent::new(sandbox, &loaded).with_context(|| format!("cannot use {}", path.display()))?;
    let grants = handlers.allow_charm_http.iter().cloned().map(Into::into).collect();
    let http = gate.client(ClientOptions { grants, ..ClientOptions::new(Owner::Charms) })?;
    let options = LocalOptions {
        handlers: Some(Handlers { component: Arc::new(component), http }),
        oauth_refresh_url: handlers.oauth_refresh_url.clone(),
        ..LocalOptions::new(data_dir.runtime_database())
    };
    open(options).await
}

async fn open(options: LocalOptions) -> anyhow::Result<Arc<LocalRuntime>> {
    Ok(Arc::new(blocking(move || LocalRuntime::open(options)).await?))
}

/// Runs what blocks on a thread for that.
async fn blocking<T: Send + 'static, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    Ok(tokio::task::spawn_blocking(work).await.context("a blocking task ended early")??)
}
