//! Accounts for their operator.

use async_trait::async_trait;
use bg_charm_api::{
    AccountRequest, AccountSummary, Accounts, AttachRequest, ClientRequest, ClientSummary, DetachRequest, DeviceAnswer,
    DeviceBegun, DeviceQuestion, ForCharm, LoggedOut, SignInAnswer, SignInBegun, SignInRequest, SignedIn, TokenRequest,
};
use bg_oauth::Client;
use bg_poller::{RuntimeError, UnixMillis};
use bg_store::{Account, OAuthClient};
use url::Url;

use super::super::{LocalHandle, LocalRuntime};
use super::{cells, errors, summary};

impl LocalRuntime {
    /// An account by its ID, or by its label, if only one has it.
    pub(super) async fn account_named(&self, name: &str) -> Result<Account, RuntimeError> {
        if let Some(account) = self.store.account(name).await? {
            return Ok(account);
        }
        let all = self.store.accounts().await?;
        let mut found = all.into_iter().filter(|account| account.label == name);
        let name = bg_identity::printable(name).into_owned();
        match (found.next(), found.next()) {
            (Some(account), None) => Ok(account),
            (Some(_), Some(_)) => Err(RuntimeError::Invalid(format!(
                "several accounts are called {name}; name one by its ID, as `bg-wasm-host oauth accounts` lists it"
            ))),
            (None, _) => Err(RuntimeError::Invalid(format!(
                "there is no account {name}; `bg-wasm-host oauth accounts` lists all"
            ))),
        }
    }

    /// Revokes an authorization at its provider, or says why that failed.
    async fn revoke(&self, account: &Account) -> Result<bool, String> {
        let Some((_, grant)) = self.store.grant(&account.id).await.map_err(|error| error.to_string())? else {
            return Ok(false);
        };
        if account.client.is_empty() {
            return Err("the token was made by hand: delete it at the provider".to_owned());
        }
        let client = self.accounts.options.client(&*self.store, &account.provider).await;
        let client = client.map_err(|missing| RuntimeError::from(missing).to_string())?;
        let revoked = client.revoke(Some(&grant.access_token), grant.refresh_token.as_ref()).await;
        match revoked {
            Ok(true) => Ok(true),
            Ok(false) => Err(format!(
                "{} has no way to end an authorization from here: end it in the account's settings there",
                client.provider().title
            )),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What a server does for browsers, and for charms.
impl LocalHandle {
    /// Begins a sign-in that comes back to a URL of the server's own.
    pub async fn begin_sign_in_at(&self, request: &SignInRequest, redirect: Url) -> Result<SignInBegun, RuntimeError> {
        self.check_accounts()?;
        self.runtime.begin_at(request, redirect).await
    }

    /// Finishes a sign-in whose answer came to the URL of that provider. One for another provider is refused.
    pub async fn finish_sign_in_at(&self, provider: &str, answer: &SignInAnswer) -> Result<SignedIn, RuntimeError> {
        self.check_accounts()?;
        self.runtime.finish_sign_in(Some(provider), answer).await
    }

    /// Takes the account of a provider from a charm. If no other charm has it, it is removed and revoked.
    pub async fn sign_out(&self, provider: &str, wanted: &ForCharm) -> Result<(), RuntimeError> {
        self.check_accounts()?;
        let charm = cells::charm_of(&wanted.charm)?;
        for link in self.runtime.store.links(&charm).await? {
            let Some(account) = self.runtime.store.account(&link.account).await? else { continue };
            if account.provider != provider || wanted.cell.as_ref().is_some_and(|cell| *cell != link.cell) {
                continue;
            }
            if account.links.len() == 1 {
                self.logout(&AccountRequest { account: account.id }).await?;
            } else {
                let _turn = self.runtime.turns.take(&charm).await?;
                self.runtime.store.detach(&link, cells::emptied(&link)).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Accounts for LocalHandle {
    async fn set_client(&self, request: &ClientRequest) -> Result<ClientSummary, RuntimeError> {
        self.check_accounts()?;
        let provider = self.runtime.accounts.options.provider(&request.provider)?.name.clone();
        let client = Client::new(request.id.clone(), request.secret.clone());
        let Client { id, secret } = client.map_err(|error| RuntimeError::Invalid(error.to_string()))?;
        let client = OAuthClient { provider, id, secret, set_at: UnixMillis::now() };
        self.runtime.store.set_client(client.clone()).await?;
        self.runtime.client_changed(&client.provider).await?;
        Ok(shown(client))
    }

    async fn clients(&self) -> Result<Vec<ClientSummary>, RuntimeError> {
        self.check_accounts()?;
        Ok(self.runtime.store.clients().await?.into_iter().map(shown).collect())
    }

    async fn accounts(&self) -> Result<Vec<AccountSummary>, RuntimeError> {
        self.check_accounts()?;
        Ok(self.runtime.store.accounts().await?.into_iter().map(summary::of).collect())
    }

    async fn begin_sign_in(&self, request: &SignInRequest) -> Result<SignInBegun, RuntimeError> {
        self.check_accounts()?;
        self.runtime.begin_sign_in(request).await
    }

    async fn finish_sign_in(&self, answer: &SignInAnswer) -> Result<SignedIn, RuntimeError> {
        self.check_accounts()?;
        self.runtime.finish_sign_in(None, answer).await
    }

    async fn begin_device(&self, request: &SignInRequest) -> Result<DeviceBegun, RuntimeError> {
        self.check_accounts()?;
        self.runtime.begin_device(request).await
    }

    async fn poll_device(&self, question: &DeviceQuestion) -> Result<DeviceAnswer, RuntimeError> {
        self.check_accounts()?;
        self.runtime.poll_device(question).await
    }

    async fn keep_token(&self, request: &TokenRequest) -> Result<SignedIn, RuntimeError> {
        self.check_accounts()?;
        self.runtime.keep_token(request).await
    }

    async fn attach(&self, request: &AttachRequest) -> Result<AccountSummary, RuntimeError> {
        self.check_accounts()?;
        let (runtime, account) = (&self.runtime, self.runtime.account_named(&request.account).await?);
        let (charm, cell) = cells::place(&*runtime.store, &request.attach).await?;
        let provider = runtime.accounts.options.provider(&account.provider)?;
        // A token that is over, or soon will be, is of no use to the charm.
        let soon = UnixMillis::now() + super::SOON;
        if account.ended_at.is_none() && account.is_renewable && account.expires_at.is_some_and(|at| at < soon) {
            runtime.renew_account(&account, false).await?;
        }
        let gone = || RuntimeError::Invalid(format!("there is no account {} any more", account.id));
        let account = runtime.store.account(&account.id).await?.ok_or_else(gone)?;
        let (generation, grant) = runtime.store.grant(&account.id).await?.ok_or_else(gone)?;
        let account = Account { generation, ..account };
        runtime.link(&account, provider, &charm, &cell, &grant).await?;
        Ok(summary::of(runtime.store.account(&account.id).await?.unwrap_or(account)))
    }

    async fn detach(&self, request: &DetachRequest) -> Result<Vec<String>, RuntimeError> {
        self.check_accounts()?;
        let (runtime, charm) = (&self.runtime, cells::charm_of(&request.charm)?);
        let links = runtime.store.links(&charm).await?;
        if links.is_empty() {
            return Err(RuntimeError::Invalid(format!("{charm} has no account")));
        }
        let _turn = runtime.turns.take(&charm).await?;
        for link in &links {
            runtime.store.detach(link, cells::emptied(link)).await?;
        }
        Ok(links.into_iter().map(|link| link.cell).collect())
    }

    async fn renew(&self, request: &AccountRequest) -> Result<AccountSummary, RuntimeError> {
        self.check_accounts()?;
        let (runtime, account) = (&self.runtime, self.runtime.account_named(&request.account).await?);
        runtime.renew_now(&account).await?;
        Ok(summary::of(runtime.store.account(&account.id).await?.unwrap_or(account)))
    }

    async fn logout(&self, request: &AccountRequest) -> Result<LoggedOut, RuntimeError> {
        self.check_accounts()?;
        let (runtime, account) = (&self.runtime, self.runtime.account_named(&request.account).await?);
        // Wait for a renewal in this process: the token that it brings is revoked, too.
        let lock = runtime.accounts.lock_of(&account.id);
        let _only = lock.lock().await;
        let revoked = runtime.revoke(&account).await;
        for link in &account.links {
            let _turn = runtime.turns.take(&link.charm).await?;
            runtime.store.detach(link, cells::emptied(link)).await?;
        }
        runtime.store.remove_account(&account.id).await?;
        tracing::info!("{} signed out", errors::shown(&account));
        let (revoked, problem) = match revoked {
            Ok(revoked) => (revoked, None),
            Err(problem) => (false, Some(problem)),
        };
        Ok(LoggedOut { id: account.id, label: account.label, revoked, problem })
    }
}

fn shown(client: OAuthClient) -> ClientSummary {
    ClientSummary { provider: client.provider, id: client.id, set_at: client.set_at }
}
