//! Which charm runtime a command talks to, and how.
//!
//! With `--api-url` (or `API_URL`) it is a remote one. Without, it is the local one in the data directory: through the
//! API of the `serve` that holds its database, if there is one, otherwise directly, as its operator.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bg_charm_api::{Actor, Runtime, TraceContext};
use bg_charm_client::RemoteRuntime;
use bg_charm_runtime::{CredentialOrigins, Handlers, LocalOptions, LocalRuntime, RUNS_KEPT, SqlitePollStore, Tenancy};
use bg_egress::{ClientOptions, Gate, GateOptions, Mode, Owner};
use bg_identity::{DEFAULT_PASSPHRASE, Identity, KeyFileReaders, SYSTEM_SPACE_NAME, key_file_readers, space_identity};
use bg_sandbox::{
    CallObserver, CharmComponent, ChildCommand, Compiler, ComponentInfo, Limits, Sandbox, SandboxOptions, World,
};
use bg_server::Activity;
use bg_server_trust::{DatabaseLock, Holder, LockError, Role, ServerTrust};
use url::Url;

use crate::args::{Common, HandlerArgs};
use crate::confine::Confinement;
use crate::paths::{self, DataDir};
use crate::{progress, providers, telemetry};

/// A charm runtime, as a command uses it.
pub(crate) type AnyRuntime = Arc<dyn Runtime>;

/// Whether the readable key file was reported: a command loads the key more than once.
static KEY_TOLD: Once = Once::new();

/// The operator's key: from the key file, or derived from the passphrase.
pub(crate) fn operator(common: &Common) -> anyhow::Result<Identity> {
    if let Some(path) = &common.identity {
        let key = Identity::load(path)
            .with_context(|| format!("cannot use the key file {} (--identity or IDENTITY)", path.display()))?;
        if let Some(readers) = key_file_readers(path) {
            KEY_TOLD.call_once(|| tracing::warn!("{}", readable_key(path, readers)));
        }
        return Ok(key);
    }
    let passphrase = common.operator_pass.as_ref().map_or(DEFAULT_PASSPHRASE, |pass| pass.expose());
    Ok(Identity::from_passphrase(passphrase))
}

/// The problem of a key file that others can read, with the fix.
pub(crate) fn readable_key(path: &Path, readers: KeyFileReaders) -> String {
    format!(
        "the key file {0} can be read by {readers}, who can act as the operator; to fix it: chmod 600 {0}",
        path.display()
    )
}

/// The problem of a TLS certificate's key file that every user can read, with the fix. Access by a group is fine: it
/// lets a service use a key that it does not own.
pub(crate) fn readable_tls_key(path: &Path) -> Option<String> {
    let readers = key_file_readers(path).filter(|readers| matches!(readers, KeyFileReaders::Everybody))?;
    Some(format!(
        "the TLS key file {0} can be read by {readers}, who can impersonate this server; to fix it: chmod o= {0}",
        path.display()
    ))
}

/// The problem of a data directory that others can write to, with the fix.
pub(crate) fn open_data_dir(path: &Path) -> String {
    format!(
        "others can write to the data directory {0}, which contains the database and the key of all secrets; to fix \
        it: chmod 700 {0}",
        path.display()
    )
}

/// The problem of charms that may send HTTP to several origins while no token is bound to one of them. If integrations
/// are loaded, their manifests bind tokens, too.
pub(crate) fn unbound_tokens(handlers: &HandlerArgs) -> Option<String> {
    let grants = handlers.allow_charm_http.iter();
    let origins: BTreeSet<_> =
        grants.map(|grant| format!("{}://{}:{}", grant.scheme(), grant.host(), grant.port())).collect();
    if origins.len() < 2 || !handlers.charm_credential.is_empty() {
        return None;
    }
    Some(format!(
        "charms may send HTTP to {} origins (--allow-charm-http), and no token is bound to one of them: who may write \
        to a charm decides which \
         of them gets its token",
        origins.len()
    ))
}

/// Carries trace contexts to and from other processes, if tracing is on.
pub(crate) fn trace_context(common: &Common) -> TraceContext {
    common.otlp_endpoint.as_ref().map(|_| telemetry::trace_context()).unwrap_or_default()
}

/// The location of the charm runtime.
pub(crate) enum Endpoint {
    /// At this URL.
    Remote {
        url: Url,
        /// How the server there is identified: by the lock, if the URL comes from it.
        trust: ServerTrust,
    },
    /// In this data directory, which no `serve` holds.
    Local(DataDir),
}

/// How long to wait for a `serve` of this data directory that is not listening yet: it may be compiling script.wasm.
const STARTING: Duration = Duration::from_secs(30);

/// Finds it. An unusable key file is an error here, even if the local runtime would not need the key.
pub(crate) async fn endpoint(common: &Common) -> anyhow::Result<Endpoint> {
    operator(common)?;
    if let Some(url) = &common.api_url {
        return Ok(Endpoint::Remote { url: url.clone(), trust: ServerTrust::PublicRoots });
    }
    let data_dir = DataDir::open(common)?;
    let database = data_dir.runtime_database();
    let until = Instant::now() + STARTING;
    loop {
        match DatabaseLock::holder(&database)? {
            Some(Holder { role: Role::Serve, url: Some(url), .. }) => {
                let parsed: Result<Url, _> = url.parse();
                let url = parsed.with_context(|| format!("the server of this data directory is at {url}"))?;
                return Ok(Endpoint::Remote { url, trust: ServerTrust::LockOf(database) });
            }
            Some(Holder { role: Role::Serve, .. }) if Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Some(holder @ Holder { role: Role::Serve, .. }) => {
                bail!("{holder} is still starting; try again in a moment")
            }
            Some(Holder { role: Role::Run, .. }) | None => return Ok(Endpoint::Local(data_dir)),
        }
    }
}

/// Refuses options without effect: charms of a remote runtime run there.
fn refuse_handler_options(handlers: &HandlerArgs, url: &Url) -> anyhow::Result<()> {
    let HandlerArgs { allow_charm_http, charm_credential, oauth_refresh_url, keep_runs, .. } = handlers;
    if allow_charm_http.is_empty() && charm_credential.is_empty() && oauth_refresh_url.is_none() && keep_runs.is_none()
    {
        return Ok(());
    }
    bail!(
        "--allow-charm-http, --charm-credential, --oauth-refresh-url and --keep-runs apply where charms run, and \
        these run at {url}; pass them, \
         with --allow-private, to `bg-wasm-host serve` there"
    )
}

/// The charm runtime at a URL, with this identity.
fn remote(common: &Common, url: Url, trust: &ServerTrust, identity: Identity) -> RemoteRuntime {
    RemoteRuntime::new(url, identity).with_trust(trust).with_trace_context(trace_context(common))
}

/// The charm runtime, for a command that neither deploys nor triggers.
pub(crate) async fn client(common: &Common) -> anyhow::Result<AnyRuntime> {
    match endpoint(common).await? {
        Endpoint::Remote { url, trust } => Ok(Arc::new(remote(common, url, &trust, operator(common)?))),
        Endpoint::Local(data_dir) => Ok(Arc::new(open(local(&data_dir)?).await?.as_actor(Actor::Operator))),
    }
}

/// The same, for a command that creates something for the operator.
pub(crate) async fn with_owner(common: &Common) -> anyhow::Result<AnyRuntime> {
    match endpoint(common).await? {
        Endpoint::Remote { .. } => client(common).await,
        Endpoint::Local(data_dir) => {
            let owner = Some(operator(common)?.did());
            let options = LocalOptions { owner, ..local(&data_dir)? };
            Ok(Arc::new(open(options).await?.as_actor(Actor::Operator)))
        }
    }
}

/// The charm runtime, with the system space's own key: for `add-admin-charm`.
pub(crate) async fn as_system_space(common: &Common) -> anyhow::Result<AnyRuntime> {
    match endpoint(common).await? {
        Endpoint::Remote { url, trust } => Ok(Arc::new(remote(common, url, &trust, space_identity(SYSTEM_SPACE_NAME)))),
        Endpoint::Local(_) => client(common).await,
    }
}

/// A charm runtime that can run charms' code.
pub(crate) struct Runner {
    pub(crate) runtime: AnyRuntime,
    /// Whether it is another process, so that charms' log lines do not reach this one automatically.
    pub(crate) elsewhere: bool,
}

/// The charm runtime, for a command that may run charms' code in this process.
pub(crate) async fn with_handlers(common: &Common, handlers: &HandlerArgs) -> anyhow::Result<Runner> {
    match endpoint(common).await? {
        Endpoint::Remote { url, .. } => {
            refuse_handler_options(handlers, &url)?;
            if handlers.egress.is_some() || !handlers.limit.is_empty() {
                bail!(
                    "--egress and --limit apply where code runs, and charms run at {url}; pass them to `bg-wasm-host \
                    serve` there"
                );
            }
            Ok(Runner { runtime: client(common).await?, elsewhere: true })
        }
        Endpoint::Local(data_dir) => {
            let gate = gate(handlers, Vec::new(), None);
            let sandbox = sandbox(common, &handlers.limits().sandbox)?;
            let tenancy = Tenancy::default();
            let runtime = open_with_handlers(common, &data_dir, handlers, &sandbox, &gate, tenancy).await?;
            Ok(Runner { runtime: Arc::new(runtime.as_actor(Actor::Operator)), elsewhere: false })
        }
    }
}

/// The runtime that `run` polls, and the database of its state. Holds the lock until it is dropped.
pub(crate) struct Service {
    pub(crate) runtime: AnyRuntime,
    pub(crate) store: SqlitePollStore,
    /// The same runtime, if it is the local one.
    pub(crate) local: Option<Arc<LocalRuntime>>,
    /// The same runtime, if it is a remote one.
    pub(crate) remote: Option<RemoteRuntime>,
    /// The location of the runtime, for the log.
    pub(crate) shown: String,
    pub(crate) lock: DatabaseLock,
}

/// The charm runtime for `run`: a remote one with its own poll state, or the local one, embedded.
pub(crate) async fn service(
    common: &Common,
    handlers: &HandlerArgs,
    sandbox: &Sandbox,
    gate: &Gate,
    tenancy: Tenancy,
) -> anyhow::Result<Service> {
    match endpoint(common).await? {
        Endpoint::Remote { url, trust } => {
            refuse_handler_options(handlers, &url)?;
            let database = DataDir::open(common)?.poll_database(&url);
            let mut lock = lock(&database, Role::Run)?;
            lock.set_polled(url.to_string())?;
            let store = blocking({
                let database = database.clone();
                move || SqlitePollStore::open(&database)
            })
            .await?;
            let shown = format!("the charm runtime at {url}");
            let remote = remote(common, url, &trust, operator(common)?);
            Ok(Service {
                runtime: Arc::new(remote.clone().polling()),
                store,
                local: None,
                remote: Some(remote),
                shown,
                lock,
            })
        }
        Endpoint::Local(data_dir) => {
            let lock = lock(&data_dir.runtime_database(), Role::Run)?;
            let runtime = open_with_handlers(common, &data_dir, handlers, sandbox, gate, tenancy).await?;
            let shown = format!("the local charm runtime in {}", data_dir.path().display());
            let (store, local) = (runtime.poll_store(), Some(runtime.clone()));
            Ok(Service {
                runtime: Arc::new(runtime.as_actor(Actor::Operator).polling(true)),
                store,
                local,
                remote: None,
                shown,
                lock,
            })
        }
    }
}

/// Locks a database for a service of this process.
pub(crate) fn lock(database: &Path, role: Role) -> Result<DatabaseLock, LockError> {
    DatabaseLock::acquire(database, role, None)
}

/// The gate, configured by the options, closed to this service's own `listeners`.
pub(crate) fn gate(handlers: &HandlerArgs, listeners: Vec<SocketAddr>, activity: Option<&Arc<Activity>>) -> Gate {
    let mode = handlers.egress.map(Mode::from).unwrap_or_default();
    if mode == Mode::Report {
        tracing::warn!(
            target: "egress",
            "--egress report: requests that no grant covers are logged as `would deny`, and sent anyway, without a \
            token. \
             This is for trying out components that you trust; leave it out to deny them"
        );
    }
    let audit = activity.map(Activity::audit_hook);
    let allow_private = handlers.allow_private.clone();
    Gate::new(GateOptions { mode, allow_private, listeners, audit, ..GateOptions::default() })
}

/// The sandbox, with the operator's cache of compiled components.
pub(crate) fn sandbox(common: &Common, limits: &Limits) -> anyhow::Result<Sandbox> {
    observed_sandbox(common, limits, CallObserver::default())
}

/// The same, with an observer of its calls.
pub(crate) fn observed_sandbox(common: &Common, limits: &Limits, observer: CallObserver) -> anyhow::Result<Sandbox> {
    let cache = paths::cache_dir(common.cache_dir.as_deref());
    let compiler = Compiler::Child(compiler());
    let limits = limits.clone();
    Ok(Sandbox::new(SandboxOptions { limits, cache, compiler, observer, ..SandboxOptions::default() })?)
}

/// The process that checks and compiles components: this program itself.
fn compiler() -> ChildCommand {
    ChildCommand::this_program(["compile-component"])
}

/// What a component's file says about itself. The component is not run.
pub(crate) async fn inspect(path: &Path) -> anyhow::Result<ComponentInfo> {
    let (compiler, limits) = (compiler(), Limits::default());
    let bytes = paths::read_component(path, limits.component_bytes)?;
    let inspected = progress::show("checking", path, bg_sandbox::inspect_by(compiler, &limits, bytes)).await;
    inspected.with_context(|| format!("cannot inspect {}", path.display()))
}

/// What every service needs to open: its folders, which are created here, the key, and the component that runs charms.
pub(crate) fn confinement(common: &Common) -> anyhow::Result<Confinement> {
    let data_dir = DataDir::open(common)?;
    if paths::others_can_write(data_dir.path()) {
        tracing::warn!("{}", open_data_dir(data_dir.path()));
    }
    let mut confinement = Confinement::of_service().write(data_dir.path());
    if let Some(parent) = paths::made_in() {
        confinement = confinement.remove_folders(&parent);
    }
    if let Some(cache) = paths::cache_dir(common.cache_dir.as_deref()) {
        paths::create_private(&cache).unwrap_or_else(|error| tracing::debug!(%error, "no folder for the cache"));
        confinement = confinement.write(&cache);
    }
    if let Some(key) = &common.identity {
        confinement = confinement.read(key);
    }
    // If it is missing, that is reported where it is needed.
    if let Ok(script) = paths::script_component() {
        confinement = confinement.read(&script);
    }
    Ok(confinement)
}

/// Opens the local runtime, able to run charms.
pub(crate) async fn open_with_handlers(
    common: &Common,
    data_dir: &DataDir,
    handlers: &HandlerArgs,
    sandbox: &Sandbox,
    gate: &Gate,
    tenancy: Tenancy,
) -> anyhow::Result<Arc<LocalRuntime>> {
    let path: PathBuf = paths::script_component()?;
    let bytes = paths::read_component(&path, sandbox.limits().component_bytes)?;
    let loaded = progress::load(sandbox, &path, bytes, World::Charm).await;
    let loaded = loaded.with_context(|| format!("cannot load {}", path.display()))?;
    let component = CharmComponent::new(sandbox, &loaded).with_context(|| format!("cannot use {}", path.display()))?;
    let grants = handlers.allow_charm_http.iter().cloned().map(Into::into).collect();
    let http =
        gate.client(ClientOptions { grants, limits: handlers.limits().http, ..ClientOptions::new(Owner::Charms) })?;
    let credential_origins = Arc::new(CredentialOrigins::new(&handlers.charm_credential));
    let options = LocalOptions {
        credential_origins,
        handlers: Some(Handlers { component: Arc::new(component), http, api_url: handlers.charm_api_url.clone() }),
        owner: Some(operator(common)?.did()),
        oauth_refresh_url: handlers.oauth_refresh_url.clone().map(|url| url.0),
        runs_kept: handlers.keep_runs.map_or(RUNS_KEPT, |count| count.0),
        tenancy,
        transpiler: Some(ChildCommand::this_program(["transpile-charm"])),
        transpilations: handlers.limits().transpilations,
        ..local(data_dir)?
    };
    open(options).await
}

/// The local runtime of a data directory, with the providers that are known there.
fn local(data_dir: &DataDir) -> anyhow::Result<LocalOptions> {
    let accounts = providers::options(data_dir.path())?;
    Ok(LocalOptions { accounts, ..LocalOptions::new(data_dir.runtime_database()) })
}

async fn open(options: LocalOptions) -> anyhow::Result<Arc<LocalRuntime>> {
    Ok(Arc::new(blocking(move || LocalRuntime::open(options)).await?))
}

/// Runs blocking work on a blocking thread.
async fn blocking<T: Send + 'static, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    Ok(tokio::task::spawn_blocking(work).await.context("a blocking task ended early")??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_may_go_to_several_origins_are_reported() {
        let with = |grants: &[&str], marks: &[&str]| {
            let handlers = HandlerArgs {
                allow_charm_http: grants.iter().map(|grant| grant.parse().unwrap()).collect(),
                charm_credential: marks.iter().map(|mark| mark.parse().unwrap()).collect(),
                ..HandlerArgs::default()
            };
            unbound_tokens(&handlers)
        };
        assert_eq!(with(&[], &[]), None);
        assert_eq!(with(&["https://a.example/v1/", "POST https://a.example/v2/"], &[]), None);
        assert!(with(&["https://a.example/", "https://b.example/"], &[]).unwrap().contains("2 origins"));
        assert_eq!(with(&["https://a.example/", "https://b.example/"], &["auth.token=https://a.example"]), None);
    }
}
