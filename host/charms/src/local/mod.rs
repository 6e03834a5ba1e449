//! The local charm runtime: everything in one SQLite file, handlers in the sandbox.

mod access;
mod admission;
mod deploy;
mod handle;
mod handlers;
mod logs;
mod oauth;
mod page;
mod redact;
mod set;
mod snapshot;
mod spaces;
mod transpiler;
mod trigger;
mod turns;
mod update;
mod view;
mod watch;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bg_identity::{Did, system_space};
use bg_poller::RuntimeError;
use bg_sandbox::ChildCommand;
use url::Url;

pub use admission::Needed;
pub use handle::LocalHandle;
pub use handlers::Handlers;
pub use transpiler::TRANSPILATIONS;

use crate::store::{self, Database, OpenError, Sealer, SqlitePollStore};
use crate::{Acl, Actor};

/// How a local runtime is opened.
pub struct LocalOptions {
    /// The SQLite file; created if need be, in a folder that is there.
    pub database: PathBuf,
    /// The file with the key that secrets are sealed with; `secrets.key` beside the database if none. Created on first use.
    pub secrets_key: Option<PathBuf>,
    /// What runs handlers. Without it, charms can be looked at and registered, but neither deployed nor triggered.
    pub handlers: Option<Handlers>,
    /// Where OAuth tokens are renewed: takes `{"refreshToken"}` by POST, answers `{"tokenInfo"}`.
    pub oauth_refresh_url: Option<Url>,
    /// Who owns the spaces that the operator creates here, beside their own keys; nobody if none.
    pub owner: Option<Did>,
    /// How many runs of each charm are kept. [`RUNS_KEPT`].
    pub runs_kept: u32,
    /// The program that transpiles charms in a process of its own, whose time and memory are limited. This process does it if there is none: for
    /// tests, and for charms that one made oneself.
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
            owner: None,
            runs_kept: RUNS_KEPT,
            transpiler: None,
            transpilations: TRANSPILATIONS,
        }
    }
}

/// Spaces, charms, cells, registrations and runs in one SQLite file, which other processes may use at the same time.
pub struct LocalRuntime {
    database: Arc<Database>,
    sealer: Arc<Sealer>,
    handlers: Option<Handlers>,
    oauth: Option<oauth::Refresher>,
    owner: Option<Did>,
    runs_kept: u32,
    transpiler: transpiler::Transpiler,
    turns: turns::Turns,
    opened: Arc<view::Opened>,
    watch: watch::Watch,
}

impl LocalRuntime {
    /// Opens the database. Blocks.
    pub fn open(options: LocalOptions) -> Result<Self, OpenError> {
        let key = options.secrets_key.unwrap_or_else(|| options.database.with_file_name("secrets.key"));
        let sealer = Sealer::new(key);
        let database = Database::open(&options.database, |tx| {
            sealer.check(tx)?;
            // Nobody has access until `add-admin-charm` grants it.
            store::spaces::create(tx, &system_space(), &Acl::default())
        })?;
        let watch = watch::Watch::new(&database)
            .map_err(|error| OpenError::Unusable { path: options.database.clone(), problem: error.to_string() })?;
        Ok(Self {
            database: Arc::new(database),
            sealer: Arc::new(sealer),
            handlers: options.handlers,
            oauth: options.oauth_refresh_url.map(oauth::Refresher::new),
            owner: options.owner,
            runs_kept: options.runs_kept.max(1),
            transpiler: transpiler::Transpiler::new(options.transpiler, options.transpilations),
            turns: turns::Turns::default(),
            opened: Arc::default(),
            watch,
        })
    }

    /// The runtime, as it is for one caller.
    pub fn as_actor(self: &Arc<Self>, actor: Actor) -> LocalHandle {
        LocalHandle::new(Arc::clone(self), actor)
    }

    /// Poll state and integrations' state, in the same file.
    pub fn poll_store(&self) -> SqlitePollStore {
        SqlitePollStore::new(Arc::clone(&self.database))
    }

    /// How large the database and its write-ahead log are, bytes.
    pub fn size(&self) -> u64 {
        self.database.size()
    }

    fn handlers(&self) -> Result<&Handlers, RuntimeError> {
        self.handlers.as_ref().ok_or_else(|| {
            RuntimeError::Unavailable("it was opened without script.wasm, the component that runs charms".into())
        })
    }
}

impl fmt::Debug for LocalRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRuntime").finish_non_exhaustive()
    }
}
