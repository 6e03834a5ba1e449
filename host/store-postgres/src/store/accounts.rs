//! Accounts at other services.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_poller::{CharmRef, RuntimeError};
use bg_store::{Account, Accounts, CellEdit, Grant, Link, OAuthClient, SignIn, Touch, Turn};

use super::super::accounts;
use super::PostgresStore;

#[async_trait]
impl Accounts for PostgresStore {
    async fn set_client(&self, client: OAuthClient) -> Result<(), RuntimeError> {
        let key = Arc::clone(&self.key);
        self.write(accounts::locks(None), Touch::None, move |session| {
            Box::pin(async move { accounts::set_client(session, &key, &client).await })
        })
        .await
    }

    async fn client(&self, provider: &str) -> Result<Option<OAuthClient>, RuntimeError> {
        let (key, provider) = (Arc::clone(&self.key), provider.to_owned());
        self.database
            .read(move |session| Box::pin(async move { accounts::client(session, &key, &provider).await }))
            .await
    }

    async fn clients(&self) -> Result<Vec<OAuthClient>, RuntimeError> {
        self.database.read(|session| Box::pin(async move { accounts::clients(session).await })).await
    }

    async fn accounts(&self) -> Result<Vec<Account>, RuntimeError> {
        self.database.snapshot(|session| Box::pin(async move { accounts::all(session).await })).await
    }

    async fn account(&self, id: &str) -> Result<Option<Account>, RuntimeError> {
        let id = id.to_owned();
        self.database.snapshot(move |session| Box::pin(async move { accounts::find(session, &id).await })).await
    }

    async fn grant(&self, id: &str) -> Result<Option<(u64, Grant)>, RuntimeError> {
        let (key, id) = (Arc::clone(&self.key), id.to_owned());
        self.database.read(move |session| Box::pin(async move { accounts::grant(session, &key, &id).await })).await
    }

    async fn sign_in(&self, sign_in: SignIn) -> Result<Account, RuntimeError> {
        let key = Arc::clone(&self.key);
        self.write(accounts::locks(None), Touch::None, move |session| {
            Box::pin(async move { accounts::sign_in(session, &key, &sign_in).await })
        })
        .await
    }

    async fn remove_account(&self, id: &str) -> Result<bool, RuntimeError> {
        let id = id.to_owned();
        self.write(accounts::locks(None), Touch::None, move |session| {
            Box::pin(async move { accounts::remove(session, &id).await })
        })
        .await
    }

    async fn attach(&self, link: Link, edit: CellEdit) -> Result<(), RuntimeError> {
        let (key, tenants) = (Arc::clone(&self.key), Arc::clone(&self.tenants));
        self.write(accounts::locks(Some(&link.charm)), Touch::Any, move |session| {
            Box::pin(async move { accounts::attach(session, &key, &tenants, &link, edit).await })
        })
        .await
    }

    async fn links(&self, charm: &CharmRef) -> Result<Vec<Link>, RuntimeError> {
        let charm = charm.clone();
        self.database.read(move |session| Box::pin(async move { accounts::links(session, &charm).await })).await
    }

    async fn link_by_handle(&self, handle: &[u8; 32]) -> Result<Option<Link>, RuntimeError> {
        let handle = *handle;
        self.database
            .read(move |session| Box::pin(async move { accounts::link_by_handle(session, handle).await }))
            .await
    }

    async fn fill(&self, link: &Link, generation: u64, edit: CellEdit) -> Result<(), RuntimeError> {
        let (key, tenants, link) = (Arc::clone(&self.key), Arc::clone(&self.tenants), link.clone());
        self.write(accounts::locks(Some(&link.charm)), Touch::Any, move |session| {
            Box::pin(async move { accounts::fill(session, &key, &tenants, &link, generation, edit).await })
        })
        .await
    }

    async fn detach(&self, link: &Link, edit: CellEdit) -> Result<(), RuntimeError> {
        let (key, tenants, link) = (Arc::clone(&self.key), Arc::clone(&self.tenants), link.clone());
        self.write(accounts::locks(Some(&link.charm)), Touch::Any, move |session| {
            Box::pin(async move { accounts::detach(session, &key, &tenants, &link, edit).await })
        })
        .await
    }

    async fn take_renewal(
        &self,
        account: &str,
        generation: u64,
        owner: &str,
        time: Duration,
    ) -> Result<Turn, RuntimeError> {
        let (key, account, owner) = (Arc::clone(&self.key), account.to_owned(), owner.to_owned());
        self.write(accounts::locks(None), Touch::None, move |session| {
            Box::pin(async move { accounts::take_renewal(session, &key, &account, generation, &owner, time).await })
        })
        .await
    }

    async fn keep_grant(&self, account: &str, generation: u64, grant: Grant) -> Result<bool, RuntimeError> {
        let (key, account) = (Arc::clone(&self.key), account.to_owned());
        self.write(accounts::locks(None), Touch::None, move |session| {
            Box::pin(async move { accounts::keep_grant(session, &key, &account, generation, &grant).await })
        })
        .await
    }

    async fn fail_renewal(
        &self,
        account: &str,
        generation: u64,
        owner: &str,
        code: &str,
        ended: bool,
    ) -> Result<bool, RuntimeError> {
        let (account, owner, code) = (account.to_owned(), owner.to_owned(), code.to_owned());
        self.write(accounts::locks(None), Touch::None, move |session| {
            Box::pin(async move { accounts::fail_renewal(session, &account, generation, &owner, &code, ended).await })
        })
        .await
    }
}
