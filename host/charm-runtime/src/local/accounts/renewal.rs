//! One renewal of an account, by one process of all.

use std::time::Duration;

use bg_oauth::Tokens;
use bg_poller::{RuntimeError, UnixMillis};
use bg_store::{Account, Grant, Store, Turn};

use super::AccountOptions;
use super::errors::Trouble;

/// For how long nobody else renews the account: longer than lookups and requests may take together.
const LEASE: Duration = Duration::from_secs(90);

/// How often one that waits for another's renewal looks whether that is done.
const LOOKS: Duration = Duration::from_millis(50);

/// For how long it is tried to keep a new grant. The provider may have ended the old one by now.
const KEEPING: Duration = Duration::from_mins(5);

/// The first wait between two tries. It doubles.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// The longest.
const LONGEST_BETWEEN_TRIES: Duration = Duration::from_secs(5);

/// Renews an account whose grant is of that generation. Passes if it is of another one by now: somebody else has done
/// it, or signed in again.
pub(super) async fn renew(
    store: &dyn Store,
    options: &AccountOptions,
    id: &str,
    generation: u64,
) -> Result<(), RuntimeError> {
    let owner = bg_oauth::State::new().map_err(|error| RuntimeError::unavailable(error.to_string()))?;
    let owner = owner.secret().expose();
    let (account, grant) = loop {
        match store.take_renewal(id, generation, owner, LEASE).await? {
            Turn::Yours { account, grant } => break (account, grant),
            Turn::Anothers { .. } => tokio::time::sleep(LOOKS).await,
            Turn::Over => return over(store, id, generation).await,
        }
    };
    match exchange(store, options, &account, &grant).await {
        Ok(renewed) => keep(store, id, generation, renewed).await,
        Err(Trouble { error, code, ended }) => {
            let is_newest = store.fail_renewal(id, generation, owner, &code, ended).await?;
            // Of another generation by now: what was sent was not the newest any more.
            if is_newest { Err(error) } else { Ok(()) }
        }
    }
}

/// What it means that there is nothing to renew.
async fn over(store: &dyn Store, id: &str, generation: u64) -> Result<(), RuntimeError> {
    match store.account(id).await? {
        Some(account) if account.generation != generation => Ok(()),
        Some(account) => {
            Err(super::errors::ended(&account, account.error.as_deref().unwrap_or("it cannot be renewed")))
        }
        None => Err(RuntimeError::Invalid(format!("there is no account {id} any more"))),
    }
}

/// Has the provider exchange a refresh token.
async fn exchange(
    store: &dyn Store,
    options: &AccountOptions,
    account: &Account,
    grant: &Grant,
) -> Result<Grant, Trouble> {
    let client = match options.client(store, &account.provider).await {
        Ok(client) => client,
        Err(missing) => return Err(Trouble::of(account, missing)),
    };
    if client.client().id != account.client {
        let error = super::errors::ended(account, "it belongs to another OAuth client than the one that is set now");
        return Err(Trouble { error, code: "other_client".to_owned(), ended: false });
    }
    let Some(refresh) = &grant.refresh_token else {
        return Err(Trouble {
            error: super::errors::ended(account, "it cannot be renewed"),
            code: "no_refresh_token".to_owned(),
            ended: true,
        });
    };
    let tokens = client.refresh(refresh).await.map_err(|error| Trouble::of_provider(account, &error))?;
    Ok(renewed(tokens, grant))
}

/// A grant with new tokens. What the answer leaves out stays as it was.
fn renewed(tokens: Tokens, before: &Grant) -> Grant {
    let scopes = tokens.granted.map(|granted| granted.iter().map(str::to_owned).collect());
    Grant {
        access_token: tokens.access,
        refresh_token: tokens.refresh.or_else(|| before.refresh_token.clone()),
        token_type: before.token_type.clone(),
        expires_in: tokens.expires_in.map(|life| life.as_secs()),
        expires_at: tokens.expires_in.map(|life| UnixMillis::now() + life),
        scopes: scopes.unwrap_or_else(|| before.scopes.clone()),
        user: before.user.clone(),
    }
}

/// Keeps a new grant, before anybody uses it. A store that fails for a moment must not lose it.
async fn keep(store: &dyn Store, id: &str, generation: u64, grant: Grant) -> Result<(), RuntimeError> {
    let until = tokio::time::Instant::now() + KEEPING;
    let mut wait = BETWEEN_TRIES;
    loop {
        match store.keep_grant(id, generation, grant.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if !error.is_unavailable() || tokio::time::Instant::now() + wait > until => return Err(error),
            Err(_) => tokio::time::sleep(wait).await,
        }
        wait = (2 * wait).min(LONGEST_BETWEEN_TRIES);
    }
}
