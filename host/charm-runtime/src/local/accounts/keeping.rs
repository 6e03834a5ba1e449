//! What follows when somebody has signed in: the account is kept, and its charms get the token.

use bg_charm_api::SignedIn;
use bg_identity::Secret;
use bg_oauth::{Provider, Scopes, Tokens};
use bg_poller::{CharmRef, RuntimeError, UnixMillis};
use bg_store::{Account, CellUpdate, Grant, Link, SignIn};
use serde_json::{Map, Value, json};

use super::super::LocalRuntime;
use super::pending::Purpose;
use super::{cells, errors, summary};

/// Tokens, and what is known of them.
pub(super) struct Came<'a> {
    pub(super) provider: &'a Provider,
    /// The client that they belong to; empty for a token that somebody pasted.
    pub(super) client: String,
    pub(super) tokens: Tokens,
    /// What was asked for.
    pub(super) asked: Scopes,
    /// What to call the account, if the provider does not say.
    pub(super) name: Option<String>,
}

impl LocalRuntime {
    /// Keeps a sign-in, and gives its token to all charms that have the account, and to the one that it was for.
    pub(super) async fn signed_in(&self, came: Came<'_>, purpose: &Purpose) -> Result<SignedIn, RuntimeError> {
        let Came { provider, client, tokens, asked, name } = came;
        let granted = tokens.granted.clone().unwrap_or_default();
        let missing = provider.missing(&asked, &granted);
        let sign_in = sign_in(provider, client, tokens, &granted, name)?;
        if let Some(wanted) = &purpose.account {
            self.check_same(wanted, &sign_in).await?;
        }
        let grant = sign_in.grant.clone();
        let account = self.store.sign_in(sign_in).await?;
        tracing::info!("{} signed in", errors::shown(&account));
        self.accounts.renewals.forget(&account.id);
        for link in &account.links {
            let is_for_it = purpose.attach.as_ref().is_some_and(|(charm, cell)| link.is_of(charm, cell));
            if !is_for_it {
                self.fill(&account, link, &grant).await;
            }
        }
        if let Some((charm, cell)) = &purpose.attach {
            self.link(&account, provider, charm, cell, &grant).await?;
        }
        let account = self.store.account(&account.id).await?.unwrap_or(account);
        let missing = missing.iter().map(str::to_owned).collect();
        Ok(SignedIn { account: summary::of(account), missing })
    }

    /// Fails if somebody else has signed in than was to.
    async fn check_same(&self, wanted: &str, sign_in: &SignIn) -> Result<(), RuntimeError> {
        let Some(account) = self.store.account(wanted).await? else {
            return Err(RuntimeError::Invalid(format!("there is no account {wanted} any more; nothing was changed")));
        };
        if account.provider == sign_in.provider && account.subject == sign_in.subject {
            return Ok(());
        }
        Err(RuntimeError::Invalid(format!(
            "{} has signed in, and not {}; nothing was changed. Choose the other account in the browser, or leave out \
             --account",
            bg_identity::printable(&sign_in.label),
            errors::shown(&account)
        )))
    }

    /// Gives one more charm the new token. It is that charm's trouble if that fails.
    async fn fill(&self, account: &Account, link: &Link, grant: &Grant) {
        let Ok(_turn) = self.turns.take(&link.charm).await else { return };
        let edit = cells::filled(link, grant, CellUpdate::Set);
        if let Err(error) = self.store.fill(link, account.generation, edit).await {
            tracing::warn!("{} has not got the new token of {}: {error}", link.charm, errors::shown(account));
        }
    }

    /// Links a charm to an account, and gives it the token. In the charm's turn.
    pub(super) async fn link(
        &self,
        account: &Account,
        provider: &Provider,
        charm: &CharmRef,
        cell: &str,
        grant: &Grant,
    ) -> Result<(), RuntimeError> {
        let _turn = self.turns.take(charm).await?;
        let (handle, digest) = cells::new_handle()?;
        let link = Link {
            account: account.id.clone(),
            charm: charm.clone(),
            cell: cell.to_owned(),
            token_field: provider.token_field.as_str().to_owned(),
            handle: digest,
            written: account.generation,
        };
        let edit = cells::signed_in(&link, grant, handle);
        self.store.attach(link, edit).await
    }
}

/// Who has signed in, and with what.
fn sign_in(
    provider: &Provider,
    client: String,
    tokens: Tokens,
    granted: &Scopes,
    name: Option<String>,
) -> Result<SignIn, RuntimeError> {
    let Tokens { access, refresh, expires_in, person, .. } = tokens;
    let (subject, label) = match (&person, name) {
        (Some(person), name) => (person.subject.clone(), name.unwrap_or_else(|| person.label().to_owned())),
        // Without a subject, the name tells accounts apart; the prefix keeps it from being anybody's subject.
        (None, Some(name)) => (format!("name {name}"), name),
        (None, None) => {
            return Err(RuntimeError::Invalid(format!(
                "{} does not say who has signed in; give the account a name: --name NAME",
                provider.title
            )));
        }
    };
    let user = person.map(|person| {
        let text = |text: Option<String>| text.unwrap_or_default();
        json!({ "email": text(person.email), "name": text(person.name), "picture": text(person.picture) })
    });
    let user = match user {
        Some(Value::Object(user)) => user,
        _ => Map::new(),
    };
    let grant = Grant {
        access_token: access,
        refresh_token: refresh,
        token_type: "Bearer".to_owned(),
        expires_in: expires_in.map(|life| life.as_secs()),
        expires_at: expires_in.map(|life| UnixMillis::now() + life),
        scopes: granted.iter().map(str::to_owned).collect(),
        user,
    };
    Ok(SignIn { provider: provider.name.clone(), subject, label, client, grant })
}

/// A token that somebody pasted, as a provider hands them out.
pub(super) fn pasted(token: Secret) -> Tokens {
    Tokens { access: token, refresh: None, expires_in: None, granted: None, person: None }
}
