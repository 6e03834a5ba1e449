//! Renewing the token of a charm that is linked to an account.

use std::time::{Duration, Instant};

use bg_charm_api::Actor;
use bg_identity::Secret;
use bg_poller::{CharmRef, RuntimeError, UnixMillis};
use bg_store::document::Document;
use bg_store::{Account, Cause, CellUpdate, Link, Right};

use super::super::LocalRuntime;
use super::{cells, errors, renewal, renewer};

impl LocalRuntime {
    /// The links of a charm whose cells still have their handles, if the actor may have its token renewed. In the
    /// charm's turn.
    pub(in super::super) async fn links_in_use(
        &self,
        actor: &Actor,
        charm: &CharmRef,
    ) -> Result<Vec<Link>, RuntimeError> {
        let links = self.store.links(charm).await?;
        if links.is_empty() {
            return Ok(links);
        }
        let purpose = format!("to renew the OAuth token of {charm}");
        let names: Vec<String> = links.iter().map(|link| link.cell.clone()).collect();
        let (_, texts) = self.store.cells(actor, charm, &Right::OwnerOrService(purpose), &names).await?;
        let mut in_use = Vec::new();
        for link in links {
            let Some(text) = texts.get(&link.cell) else { continue };
            let document = Document::parse(text).map_err(|_| self.store.damaged_cell(charm, &link.cell))?;
            if cells::has_handle(&document, &link) {
                in_use.push(link);
            } else if cells::refresh_token(&document).is_none() && link.cell == "auth" {
                return Err(cells::signed_out(&link));
            }
        }
        Ok(in_use)
    }

    /// Gives a charm a newer access token than it has: the one that its account has by now, or else one that is had
    /// for it.
    pub(in super::super) async fn refresh_linked(&self, link: &Link, cause: Cause) -> Result<(), RuntimeError> {
        let gone = || RuntimeError::Invalid(format!("there is no account {} any more", link.account));
        let account = self.store.account(&link.account).await?.ok_or_else(gone)?;
        if account.generation <= link.written {
            self.renew_account(&account, cause == Cause::Poll).await?;
        }
        let (generation, grant) = self.store.grant(&link.account).await?.ok_or_else(gone)?;
        let edit = cells::filled(link, &grant, CellUpdate::Renewal(cause));
        self.store.fill(link, generation, edit).await
    }

    /// What a charm gets for its handle, as the original's token service answers: a newer access token than the charm
    /// has, and the same handle. Its cell is for the charm to write, whose handler may be the one that asks.
    pub async fn refresh_by_handle(
        &self,
        provider: &str,
        handle: &Secret,
    ) -> Result<serde_json::Map<String, serde_json::Value>, RuntimeError> {
        let unknown = || {
            let text = "this refresh token is none that this host has given to a charm; sign in again for the charm";
            RuntimeError::Invalid(text.to_owned())
        };
        let link = self.store.link_by_handle(&cells::digest(handle.expose())).await?.ok_or_else(unknown)?;
        let account = self.store.account(&link.account).await?.ok_or_else(unknown)?;
        if account.provider != provider {
            return Err(unknown());
        }
        if account.generation <= link.written {
            self.renew_account(&account, false).await?;
        }
        let (_, grant) = self.store.grant(&account.id).await?.ok_or_else(unknown)?;
        let mut members = cells::members(&grant, &link.token_field);
        members.insert("refreshToken".to_owned(), handle.expose().into());
        Ok(members)
    }

    /// Renews an account, unless that was done or tried a moment ago, or is being done.
    pub(super) async fn renew_account(&self, account: &Account, polls: bool) -> Result<(), RuntimeError> {
        let lock = self.accounts.lock_of(&account.id);
        let _only = lock.lock().await;
        let Some(now) = self.store.account(&account.id).await? else {
            return Err(RuntimeError::Invalid(format!("there is no account {} any more", account.id)));
        };
        if now.generation != account.generation {
            return Ok(());
        }
        let token = generation_token(now.generation);
        // One that came a moment ago is good; a server that refuses it will refuse the next one.
        if let Some(last) = self.accounts.renewals.paused(&now.id, &token, polls, Instant::now()) {
            return last;
        }
        self.renew_now(&now).await
    }

    /// Renews an account, and notes what came of it.
    pub(super) async fn renew_now(&self, account: &Account) -> Result<(), RuntimeError> {
        if account.ended_at.is_some() || !account.is_renewable {
            let code = account.error.as_deref().unwrap_or("it cannot be renewed");
            return Err(errors::ended(account, code));
        }
        let result = self.exchange(account).await;
        let (generation, life) = match self.store.account(&account.id).await? {
            Some(now) => (now.generation, now.expires_at.map(|end| end.since(UnixMillis::now()))),
            None => (account.generation, None),
        };
        let life: Option<Duration> = life.filter(|_| result.is_ok());
        let token = generation_token(generation);
        let fixed = self.accounts.renewals.note(&account.id, &token, life, &result, Instant::now());
        self.wake_accounts(&fixed).await;
        result
    }

    async fn exchange(&self, account: &Account) -> Result<(), RuntimeError> {
        let providing = &self.accounts;
        match &providing.options.renewer {
            Some(command) => {
                let key = providing.secrets_key.as_deref();
                renewer::ask(command, &providing.database, key, &account.id, account.generation).await
            }
            None => renewal::renew(&*self.store, &providing.options, &account.id, account.generation).await,
        }
    }

    /// What was refused for the sake of the client may be accepted now.
    pub(super) async fn client_changed(&self, provider: &str) -> Result<(), RuntimeError> {
        let all = self.store.accounts().await?;
        let of_it: Vec<String> =
            all.into_iter().filter(|account| account.provider == provider).map(|account| account.id).collect();
        for id in &of_it {
            self.accounts.renewals.forget(id);
        }
        self.wake_accounts(&of_it).await;
        Ok(())
    }

    /// Has the charms of these accounts polled again soon.
    async fn wake_accounts(&self, accounts: &[String]) {
        let mut charms = Vec::new();
        for id in accounts {
            if let Ok(Some(account)) = self.store.account(id).await {
                charms.extend(account.links.into_iter().map(|link| link.charm));
            }
        }
        self.wake(charms).await;
    }
}

/// What tells one grant from another in [`Renewals`](super::super::renewals::Renewals).
fn generation_token(generation: u64) -> Secret {
    Secret::new(generation.to_string())
}
