//! The local charm runtime: everything in one store, handlers in the sandbox.

mod accounts;
mod admission;
mod credentials;
mod damage;
mod deploy;
mod handle;
mod handlers;
mod logs;
mod lookup;
mod oauth;
mod page;
mod programs;
mod renewals;
mod set;
mod snapshot;
mod spaces;
mod transpiler;
mod trigger;
mod turns;
mod update;
mod view;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bg_charm_api::Actor;
use bg_identity::{Did, is_public_key};
use bg_poller::{CharmRef, RuntimeError};
use bg_sandbox::ChildCommand;
use bg_store::{Rules, Store, Tenancy};
use bg_store_sqlite::{OpenError, SqliteOptions, SqlitePollStore, SqliteStore};
use url::Url;

pub use accounts::{AccountOptions, work_as_renewer};
pub use credentials::CredentialOrigins;
pub use handle::LocalHandle;
pub use handlers::Handlers;
pub use transpiler::TRANSPILATIONS;

/// How a local runtime is opened.
pub struct LocalOptions {
    /// The SQLite file; created if need be, in a folder that is there.
    pub database: PathBuf,
    /// The file with the key that secrets are sealed with; `secrets.key` beside the database if none. Created on first
    /// use.
    pub secrets_key: Option<PathBuf>,
    /// What runs handlers. Without it, charms can be looked at and registered, but neither deployed nor triggered.
    pub handlers: Option<Handlers>,
    /// Where OAuth tokens are renewed: takes `{"refreshToken"}` by POST, answers `{"tokenInfo"}`.
    pub oauth_refresh_url: Option<Url>,
    /// How tokens of accounts are had.
    pub accounts: AccountOptions,
    /// Where the secrets of charms may go; anywhere that is granted, if it knows of none.
    pub credential_origins: Arc<CredentialOrigins>,
    /// Who owns the spaces that the operator creates here, beside their own keys; nobody if none.
    pub owner: Option<Did>,
    /// How many runs of each charm are kept. [`RUNS_KEPT`].
    pub runs_kept: u32,
    /// What strangers may do and keep.
    pub tenancy: Tenancy,
    /// The program that transpiles charms in a process of its own, whose time and memory are limited. This process does
    /// it if there is none: for tests, and for charms that one made oneself.
    pub transpiler: Option<ChildCommand>,
    /// How many charms are transpiled at one time. [`TRANSPILATIONS`].
    pub transpilations: usize,
}

/// Of each charm, unless the operator says otherwise: an hour and a half of polls once a minute.
pub const RUNS_KEPT: u32 = 100;

impl LocalOptions {
    /// The database alone: nothing runs.
    pub fn new(database: PathBuf) -> Self {
        Self {
            database,
            secrets_key: None,
            handlers: None,
            oauth_refresh_url: None,
            accounts: AccountOptions::default(),
            credential_origins: Arc::default(),
            owner: None,
            runs_kept: RUNS_KEPT,
            tenancy: Tenancy::default(),
            transpiler: None,
            transpilations: TRANSPILATIONS,
        }
    }
}

/// Runs charms for callers, over a store that other processes may use at the same time.
pub struct LocalRuntime {
    store: Arc<dyn Store>,
    poll_store: SqlitePollStore,
    handlers: Option<Handlers>,
    oauth: Option<oauth::Refresher>,
    credential_origins: Arc<CredentialOrigins>,
    renewals: renewals::Renewals<CharmRef>,
    accounts: accounts::Providing,
    owner: Option<Did>,
    runs_kept: u32,
    rules: Rules,
    transpiler: transpiler::Transpiler,
    turns: turns::Turns,
    opened: Arc<view::Opened>,
    programs: Arc<programs::Programs>,
    damage: damage::Damage,
}

impl LocalRuntime {
    /// Opens a runtime over a SQLite file. Blocks.
    pub fn open(options: LocalOptions) -> Result<Self, OpenError> {
        let accounts = accounts::Providing::new(options.accounts, &options.database, options.secrets_key.as_deref());
        let store = SqliteStore::open(SqliteOptions {
            database: options.database,
            secrets_key: options.secrets_key,
            tenancy: options.tenancy.clone(),
            owner: options.owner.clone(),
        })?;
        Ok(Self {
            poll_store: store.poll_store(),
            store: Arc::new(store),
            handlers: options.handlers,
            oauth: options.oauth_refresh_url.map(oauth::Refresher::new),
            credential_origins: options.credential_origins,
            renewals: renewals::Renewals::default(),
            accounts,
            rules: Rules::new(&options.tenancy, options.owner.clone()),
            owner: options.owner,
            runs_kept: options.runs_kept.max(1),
            transpiler: transpiler::Transpiler::new(options.transpiler, options.transpilations),
            turns: turns::Turns::default(),
            opened: Arc::default(),
            programs: Arc::default(),
            damage: damage::Damage::default(),
        })
    }

    /// The runtime, as it is for one caller. On a server that others reach, a key has no rights for being that of a
    /// space, and the operator's own key is the operator.
    pub fn as_actor(self: &Arc<Self>, actor: Actor) -> LocalHandle {
        let actor = match actor {
            Actor::Did(did) if !self.rules.is_shared() => Actor::Did(did),
            Actor::Did(did) if self.owner.as_ref() == Some(&did) && !is_public_key(&did) => Actor::Operator,
            Actor::Did(did) => Actor::Remote(did),
            other => other,
        };
        LocalHandle::new(Arc::clone(self), actor)
    }

    /// Poll state and integrations' state, in the same file.
    pub fn poll_store(&self) -> SqlitePollStore {
        self.poll_store.clone()
    }

    /// Has the poll loops of other processes begin again with the charms that wait: what they wait for may be in the
    /// configuration that this process has started with.
    pub async fn wake_waiting(&self) -> Result<(), RuntimeError> {
        self.store.wake_waiting().await
    }

    /// Where the secrets of charms may go.
    pub fn credential_origins(&self) -> &CredentialOrigins {
        &self.credential_origins
    }

    /// How large the database and its write-ahead log are, bytes.
    pub fn size(&self) -> u64 {
        self.store.size()
    }

    fn handlers(&self) -> Result<&Handlers, RuntimeError> {
        self.handlers.as_ref().ok_or_else(|| {
            RuntimeError::unavailable("it was opened without script.wasm, the component that runs charms")
        })
    }
}

impl fmt::Debug for LocalRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRuntime").finish_non_exhaustive()
    }
}
