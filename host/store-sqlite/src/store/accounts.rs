//! Accounts at other services.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bg_poller::{CharmRef, RuntimeError};
use bg_store::{Account, Accounts, CellEdit, Grant, Link, OAuthClient, SignIn, Turn};

use super::super::{Touch, accounts};
use super::SqliteStore;

#[async_trait]
impl Accounts for SqliteStore {
    async fn set_client(&self, client: OAuthClient) -> Result<(), RuntimeError> {
        let sealer = Arc::clone(&self.sealer);
        self.database.write_touching(Touch::None, move |tx| accounts::set_client(tx, &sealer, &client)).await
    }

    async fn client(&self, provider: &str) -> Result<Option<OAuthClient>, RuntimeError> {
        let (sealer, provider) = (Arc::clone(&self.sealer), provider.to_owned());
        self.database.read(move |tx| accounts::client(tx, &sealer, &provider)).await
    }

    async fn clients(&self) -> Result<Vec<OAuthClient>, RuntimeError> {
        self.database.read(accounts::clients).await
    }

    async fn accounts(&self) -> Result<Vec<Account>, RuntimeError> {
        self.database.read(accounts::all).await
    }

    async fn account(&self, id: &str) -> Result<Option<Account>, RuntimeError> {
        let id = id.to_owned();
        self.database.read(move |tx| accounts::find(tx, &id)).await
    }

    async fn grant(&self, id: &str) -> Result<Option<(u64, Grant)>, RuntimeError> {
        let (sealer, id) = (Arc::clone(&self.sealer), id.to_owned());
        self.database.read(move |tx| accounts::grant(tx, &sealer, &id)).await
    }

    async fn sign_in(&self, sign_in: SignIn) -> Result<Account, RuntimeError> {
        let sealer = Arc::clone(&self.sealer);
        self.database.write_touching(Touch::None, move |tx| accounts::sign_in(tx, &sealer, &sign_in)).await
    }

    async fn remove_account(&self, id: &str) -> Result<bool, RuntimeError> {
        let id = id.to_owned();
        self.database.write_touching(Touch::None, move |tx| accounts::remove(tx, &id)).await
    }

    async fn attach(&self, link: Link, edit: CellEdit) -> Result<(), RuntimeError> {
        let (sealer, tenants) = (Arc::clone(&self.sealer), Arc::clone(&self.tenants));
        self.database.write(move |tx| accounts::attach(tx, &sealer, &tenants, &link, &edit)).await
    }

    async fn links(&self, charm: &CharmRef) -> Result<Vec<Link>, RuntimeError> {
        let charm = charm.clone();
        self.database.read(move |tx| accounts::links(tx, &charm)).await
    }

    async fn link_by_handle(&self, handle: &[u8; 32]) -> Result<Option<Link>, RuntimeError> {
        let handle = *handle;
        self.database.read(move |tx| accounts::link_by_handle(tx, &handle)).await
    }

    async fn fill(&self, link: &Link, generation: u64, edit: CellEdit) -> Result<(), RuntimeError> {
        let (sealer, tenants, link) = (Arc::clone(&self.sealer), Arc::clone(&self.tenants), link.clone());
        self.database.write(move |tx| accounts::fill(tx, &sealer, &tenants, &link, generation, &edit)).await
    }

    async fn detach(&self, link: &Link, edit: CellEdit) -> Result<(), RuntimeError> {
        let (sealer, tenants, link) = (Arc::clone(&self.sealer), Arc::clone(&self.tenants), link.clone());
        self.database.write(move |tx| accounts::detach(tx, &sealer, &tenants, &link, &edit)).await
    }

    async fn take_renewal(
        &self,
        account: &str,
        generation: u64,
        owner: &str,
        time: Duration,
    ) -> Result<Turn, RuntimeError> {
        let (sealer, account, owner) = (Arc::clone(&self.sealer), account.to_owned(), owner.to_owned());
        let work = move |tx: &rusqlite::Transaction<'_>| {
            accounts::take_renewal(tx, &sealer, &account, generation, &owner, time)
        };
        self.database.write_touching(Touch::None, work).await
    }

    async fn keep_grant(&self, account: &str, generation: u64, grant: Grant) -> Result<bool, RuntimeError> {
        let (sealer, account) = (Arc::clone(&self.sealer), account.to_owned());
        let work =
            move |tx: &rusqlite::Transaction<'_>| accounts::keep_grant(tx, &sealer, &account, generation, &grant);
        self.database.write_touching(Touch::None, work).await
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
        let work = move |tx: &rusqlite::Transaction<'_>| {
            accounts::fail_renewal(tx, &account, generation, &owner, &code, ended)
        };
        self.database.write_touching(Touch::None, work).await
    }
}
