//! Accounts at other services: signing in, renewing, and giving charms the access tokens.
//!
//! An account has what lives long, its refresh token. A charm's cell has the access token, and in place of the refresh
//! token a *handle*: a random text that is good for nothing but asking this host for a new access token for that charm.

mod cells;
mod errors;
mod keeping;
mod linked;
mod manage;
mod pending;
mod renewal;
mod renewer;
mod signing;
mod summary;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bg_manifest::Origin;
use bg_oauth::{Client, Http, HttpOptions, OAuthClient, OAuthError, Provider, Providers};
use bg_poller::{Cause, RuntimeError};
use bg_sandbox::ChildCommand;
use bg_store::Store;
use tokio::sync::Mutex as AsyncMutex;

use super::renewals::Renewals;
pub use renewer::work_as_renewer;

/// An access token that has no more than this left is renewed before a charm gets it.
const SOON: std::time::Duration = std::time::Duration::from_mins(1);

/// How tokens of accounts are had.
#[derive(Clone, Debug)]
pub struct AccountOptions {
    /// The providers that are known.
    pub providers: Providers,
    /// Their origins that may have a private address. On this machine, these may be without TLS.
    pub allow_private: Vec<Origin>,
    /// The program that renews an account in a process of its own, which ends its work also if this one is killed.
    /// This process does it if there is none: for tests.
    pub renewer: Option<ChildCommand>,
}

impl Default for AccountOptions {
    fn default() -> Self {
        Self { providers: Providers::built_in(), allow_private: Vec::new(), renewer: None }
    }
}

impl AccountOptions {
    fn http(&self) -> Http {
        Http::new(HttpOptions { allow_private: self.allow_private.clone(), ..HttpOptions::default() })
    }

    fn provider(&self, name: &str) -> Result<&Provider, RuntimeError> {
        self.providers.get(name).ok_or_else(|| {
            let known = self.providers.names();
            let name = bg_identity::printable(name).into_owned();
            RuntimeError::Invalid(format!(
                "there is no provider {name}; known are {known}. Others are added in providers.toml in the data \
                 directory"
            ))
        })
    }

    /// The operator's client at a provider, which is asked for its endpoints if they are not known.
    async fn client(&self, store: &dyn Store, name: &str) -> Result<OAuthClient, Missing> {
        let provider = self.provider(name).map_err(Missing::Client)?.clone();
        let Some(client) = store.client(name).await.map_err(Missing::Client)? else {
            return Err(Missing::Client(RuntimeError::unmet(
                Cause::WrongClient,
                format!(
                    "there is no OAuth client for {name}: register one at the provider, and set it with `bg-wasm-host \
                     oauth client set {name}`"
                ),
            )));
        };
        let client = Client { id: client.id, secret: client.secret };
        OAuthClient::new(self.http(), provider, client).await.map_err(Missing::Provider)
    }
}

/// Why a provider cannot be asked.
enum Missing {
    /// Nobody has said how.
    Client(RuntimeError),
    /// It failed.
    Provider(OAuthError),
}

/// What the runtime has for accounts, beside the store.
pub(super) struct Providing {
    options: AccountOptions,
    database: PathBuf,
    secrets_key: Option<PathBuf>,
    renewals: Renewals<String>,
    /// Of each account, who renews it in this process.
    busy: Mutex<HashMap<String, Arc<AsyncMutex<()>>>>,
    pending: pending::Pending,
}

impl Providing {
    pub(super) fn new(options: AccountOptions, database: &Path, secrets_key: Option<&Path>) -> Self {
        let (database, secrets_key) = (database.to_owned(), secrets_key.map(Path::to_owned));
        let (renewals, busy, pending) = (Renewals::default(), Mutex::default(), pending::Pending::default());
        Self { options, database, secrets_key, renewals, busy, pending }
    }

    /// There are no more of these than there are accounts.
    fn lock_of(&self, account: &str) -> Arc<AsyncMutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(busy.entry(account.to_owned()).or_default())
    }
}
