//! Accounts at other services: clients, grants, and which charms have which.

use std::time::Duration;

use bg_charm_api::Actor;
use bg_identity::{Secret, SpaceReader};
use bg_poller::{CharmRef, RuntimeError, UnixMillis};
use bg_store::{Account, CellEdit, Grant, Link, OAuthClient, SignIn, Turn, What, sound};
use rusqlite::{OptionalExtension as _, Params, Row, Transaction};

use super::charms::charm_ref;
use super::column::{Columns, json, parsed};
use super::tenancy::Tenants;
use super::{Failure, Sealer, charms, edit};

/// A migration. Secrets are sealed. A lease says who renews an account, and until when; times are Unix milliseconds.
pub(super) const CREATE: &str = "
CREATE TABLE oauth_clients (
    provider TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    secret BLOB,
    set_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE oauth_accounts (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    label TEXT NOT NULL,
    client TEXT NOT NULL,
    scopes TEXT NOT NULL,
    \"grant\" BLOB NOT NULL,
    renewable INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    signed_in_at INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    expires_at INTEGER,
    ended_at INTEGER,
    error TEXT,
    lease_owner TEXT,
    lease_until INTEGER NOT NULL DEFAULT 0,
    UNIQUE (provider, subject)
) STRICT;

CREATE TABLE oauth_links (
    charm INTEGER NOT NULL REFERENCES charms (row) ON DELETE CASCADE,
    cell TEXT NOT NULL,
    account INTEGER NOT NULL REFERENCES oauth_accounts (row) ON DELETE CASCADE,
    token_field TEXT NOT NULL,
    handle BLOB NOT NULL UNIQUE,
    written INTEGER NOT NULL,
    PRIMARY KEY (charm, cell)
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_links_by_account ON oauth_links (account);
";

const ACCOUNT: &str = "SELECT row, provider, subject, label, client, scopes, renewable, generation, signed_in_at, \
                       renewed_at, expires_at, ended_at, error FROM oauth_accounts";

const LINK: &str = "SELECT provider, account, space, charms.id, cell, token_field, handle, written FROM oauth_links \
                    JOIN oauth_accounts ON oauth_accounts.row = account JOIN charms ON charms.row = oauth_links.charm";

/// Where the secret of a client is sealed.
fn client_place(provider: &str) -> [&str; 3] {
    ["oauth_clients", provider, "secret"]
}

/// The name of the account in that row.
fn name(provider: &str, row: i64) -> String {
    format!("{provider}-{row}")
}

/// Sets the client for a provider.
pub(crate) fn set_client(tx: &Transaction<'_>, sealer: &Sealer, client: &OAuthClient) -> Result<(), Failure> {
    let secret = client.secret.as_ref();
    let secret =
        secret.map(|secret| sealer.seal_in(tx, client_place(&client.provider), secret.expose())).transpose()?;
    tx.prepare_cached(
        "INSERT INTO oauth_clients (provider, id, secret, set_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (provider) DO \
         UPDATE SET id = excluded.id, secret = excluded.secret, set_at = excluded.set_at",
    )?
    .execute((&client.provider, &client.id, secret, client.set_at.0))?;
    // What was refused for the sake of the client may be accepted now.
    tx.prepare_cached("UPDATE oauth_accounts SET error = NULL WHERE provider = ?1 AND ended_at IS NULL")?
        .execute([&client.provider])?;
    Ok(())
}

/// The client for a provider.
pub(crate) fn client(tx: &Transaction<'_>, keys: &Sealer, provider: &str) -> Result<Option<OAuthClient>, Failure> {
    let mut statement = tx.prepare_cached("SELECT id, set_at, secret FROM oauth_clients WHERE provider = ?1")?;
    let mut rows = statement.query([provider])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let sealed: Option<Vec<u8>> = row.column(2)?;
    let secret = sealed.map(|sealed| keys.unseal_in(tx, client_place(provider), &sealed)).transpose()?;
    let secret = secret.map(Secret::new);
    Ok(Some(OAuthClient { provider: provider.to_owned(), id: row.column(0)?, secret, set_at: row.time(1)? }))
}

/// All clients, without their secrets.
pub(crate) fn clients(tx: &Transaction<'_>) -> Result<Vec<OAuthClient>, Failure> {
    let mut statement = tx.prepare_cached("SELECT provider, id, set_at FROM oauth_clients ORDER BY provider")?;
    let mut rows = statement.query([])?;
    let mut clients = Vec::new();
    while let Some(row) = rows.next()? {
        let read = || {
            Ok::<_, Failure>(OAuthClient {
                provider: row.column(0)?,
                id: row.column(1)?,
                secret: None,
                set_at: row.time(2)?,
            })
        };
        clients.extend(sound(read(), || "the OAuth clients".to_owned())?);
    }
    Ok(clients)
}

/// All accounts, oldest first.
pub(crate) fn all(tx: &Transaction<'_>) -> Result<Vec<Account>, Failure> {
    selected(tx, &format!("{ACCOUNT} ORDER BY row"), [])
}

/// An account by its name.
pub(crate) fn find(tx: &Transaction<'_>, id: &str) -> Result<Option<Account>, Failure> {
    let condition = format!("{ACCOUNT} WHERE provider || '-' || row = ?1");
    Ok(selected(tx, &condition, [id])?.into_iter().next())
}

fn selected(tx: &Transaction<'_>, statement: &str, parameters: impl Params) -> Result<Vec<Account>, Failure> {
    let mut statement = tx.prepare_cached(statement)?;
    let mut rows = statement.query(parameters)?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        let read = row.column(0).and_then(|number: i64| Ok((number, account(row, number)?)));
        let Some((number, mut account)) = sound(read, || "the accounts".to_owned())? else { continue };
        account.links = links_that(tx, "account = ?1 ORDER BY space, charms.id, cell", [number])?;
        accounts.push(account);
    }
    Ok(accounts)
}

fn account(row: &Row<'_>, number: i64) -> Result<Account, Failure> {
    let provider: String = row.column(1)?;
    let scopes: String = row.column(5)?;
    let time = |index: usize| row.column::<Option<u64>>(index)?.map(|_| row.time(index)).transpose();
    Ok(Account {
        id: name(&provider, number),
        provider,
        subject: row.column(2)?,
        label: row.column(3)?,
        client: row.column(4)?,
        scopes: parsed(&scopes)?,
        is_renewable: row.column(6)?,
        generation: row.column(7)?,
        signed_in_at: row.time(8)?,
        renewed_at: row.time(9)?,
        expires_at: time(10)?,
        ended_at: time(11)?,
        error: row.column(12)?,
        links: Vec::new(),
    })
}

/// The row of an account; none if there is none.
fn row_of(tx: &Transaction<'_>, id: &str) -> Result<Option<i64>, Failure> {
    let mut statement = tx.prepare_cached("SELECT row FROM oauth_accounts WHERE provider || '-' || row = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}

/// What an account has, with its generation.
pub(crate) fn grant(tx: &Transaction<'_>, keys: &Sealer, id: &str) -> Result<Option<(u64, Grant)>, Failure> {
    let Some(row) = row_of(tx, id)? else { return Ok(None) };
    let mut statement = tx.prepare_cached("SELECT generation, \"grant\" FROM oauth_accounts WHERE row = ?1")?;
    let (generation, sealed): (u64, Vec<u8>) = statement.query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let text = Secret::new(keys.unseal_in(tx, grant_place(&row.to_string()), &sealed)?);
    let grant = Grant::parse(text.expose());
    let grant = grant.ok_or_else(|| Failure::Damaged(What::OfCharm(format!("the grant of the account {id}"))))?;
    Ok(Some((generation, grant)))
}

fn grant_place(row: &str) -> [&str; 3] {
    ["oauth_accounts", row, "grant"]
}

/// Puts a grant in the place of the one that is there. The renewal of that one is over.
fn put(tx: &Transaction<'_>, keys: &Sealer, row: i64, grant: &Grant) -> Result<(), Failure> {
    let sealed = keys.seal_in(tx, grant_place(&row.to_string()), grant.text().expose())?;
    tx.prepare_cached(
        "UPDATE oauth_accounts SET \"grant\" = ?2, scopes = ?3, renewable = ?4, expires_at = ?5, renewed_at = ?6, \
         generation = generation + 1, ended_at = NULL, error = NULL, lease_owner = NULL, lease_until = 0 WHERE row = \
         ?1",
    )?
    .execute((
        row,
        sealed,
        json(&grant.scopes)?,
        grant.refresh_token.is_some(),
        grant.expires_at.map(|at| at.0),
        UnixMillis::now().0,
    ))?;
    Ok(())
}

/// Keeps a sign-in.
pub(crate) fn sign_in(tx: &Transaction<'_>, sealer: &Sealer, sign_in: &SignIn) -> Result<Account, Failure> {
    let row: i64 = tx
        .prepare_cached(
            "INSERT INTO oauth_accounts (provider, subject, label, client, scopes, \"grant\", renewable, generation, \
             signed_in_at, renewed_at) VALUES (?1, ?2, ?3, ?4, '[]', x'', 0, 0, ?5, ?5) ON CONFLICT (provider, \
             subject) DO UPDATE SET label = excluded.label, client = excluded.client, signed_in_at = \
             excluded.signed_in_at RETURNING row",
        )?
        .query_row(
            (&sign_in.provider, &sign_in.subject, &sign_in.label, &sign_in.client, UnixMillis::now().0),
            |row| row.get(0),
        )?;
    put(tx, sealer, row, &sign_in.grant)?;
    find(tx, &name(&sign_in.provider, row))?
        .ok_or_else(|| Failure::Damaged(What::OfCharm("the account that was just stored".to_owned())))
}

/// Removes an account with its links.
pub(crate) fn remove(tx: &Transaction<'_>, id: &str) -> Result<bool, Failure> {
    let Some(row) = row_of(tx, id)? else { return Ok(false) };
    tx.prepare_cached("DELETE FROM oauth_links WHERE account = ?1")?.execute([row])?;
    Ok(tx.prepare_cached("DELETE FROM oauth_accounts WHERE row = ?1")?.execute([row])? > 0)
}

/// The links of a charm.
pub(crate) fn links(tx: &Transaction<'_>, charm: &CharmRef) -> Result<Vec<Link>, Failure> {
    links_that(tx, "space = ?1 AND charms.id = ?2 ORDER BY cell", (charm.space.as_str(), charm.charm.as_str()))
}

/// The link with that handle.
pub(crate) fn link_by_handle(tx: &Transaction<'_>, handle: &[u8; 32]) -> Result<Option<Link>, Failure> {
    Ok(links_that(tx, "handle = ?1", [handle.as_slice()])?.into_iter().next())
}

fn links_that(tx: &Transaction<'_>, condition: &str, parameters: impl Params) -> Result<Vec<Link>, Failure> {
    let mut statement = tx.prepare_cached(&format!("{LINK} WHERE {condition}"))?;
    let mut rows = statement.query(parameters)?;
    let (mut spaces, mut links) = (SpaceReader::default(), Vec::new());
    while let Some(row) = rows.next()? {
        links.extend(sound(link(row, &mut spaces), || "the links of accounts".to_owned())?);
    }
    Ok(links)
}

fn link(row: &Row<'_>, spaces: &mut SpaceReader) -> Result<Link, Failure> {
    let (provider, account): (String, i64) = (row.column(0)?, row.column(1)?);
    let (space, charm): (String, String) = (row.column(2)?, row.column(3)?);
    Ok(Link {
        account: name(&provider, account),
        charm: charm_ref(&space, &charm, spaces)?,
        cell: row.column(4)?,
        token_field: row.column(5)?,
        handle: row.column(6)?,
        written: row.column(7)?,
    })
}

/// Edits the cell of a link for the operator.
fn edit_cell(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    tenants: &Tenants,
    link: &Link,
    cell: &CellEdit,
) -> Result<(), Failure> {
    edit::edit(tx, sealer, tenants, &Actor::Operator, &link.charm, cell)
}

/// Links a charm's cell to an account.
pub(crate) fn attach(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    tenants: &Tenants,
    link: &Link,
    cell: &CellEdit,
) -> Result<(), Failure> {
    let Some(account) = row_of(tx, &link.account)? else { return Err(gone(&link.account).into()) };
    let charm = charms::find(tx, &link.charm)?.row;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO oauth_links (charm, cell, account, token_field, handle, written) VALUES (?1, ?2, ?3, \
         ?4, ?5, ?6)",
    )?
    .execute((charm, &link.cell, account, &link.token_field, link.handle.as_slice(), link.written))?;
    edit_cell(tx, sealer, tenants, link, cell)
}

fn gone(account: &str) -> RuntimeError {
    RuntimeError::Invalid(format!("there is no account {account}; `bg-wasm-host oauth accounts` lists all"))
}

/// Edits the cell of a link, and notes what is in it.
pub(crate) fn fill(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    tenants: &Tenants,
    link: &Link,
    generation: u64,
    cell: &CellEdit,
) -> Result<(), Failure> {
    let noted = tx
        .prepare_cached("UPDATE oauth_links SET written = max(written, ?2) WHERE handle = ?1")?
        .execute((link.handle.as_slice(), generation))?;
    if noted == 0 {
        let text = format!("the cell {} of {} is not linked to that account any more", link.cell, link.charm);
        return Err(RuntimeError::Invalid(text).into());
    }
    edit_cell(tx, sealer, tenants, link, cell)
}

/// Removes a link, and edits its cell.
pub(crate) fn detach(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    tenants: &Tenants,
    link: &Link,
    cell: &CellEdit,
) -> Result<(), Failure> {
    let removed = tx.prepare_cached("DELETE FROM oauth_links WHERE handle = ?1")?.execute([link.handle.as_slice()])?;
    if removed == 0 { Ok(()) } else { edit_cell(tx, sealer, tenants, link, cell) }
}

/// Begins a renewal. The transaction is the only one that writes, in all processes.
pub(crate) fn take_renewal(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    id: &str,
    generation: u64,
    owner: &str,
    time: Duration,
) -> Result<Turn, Failure> {
    let Some(account) = find(tx, id)? else { return Ok(Turn::Over) };
    if account.generation != generation || account.ended_at.is_some() || !account.is_renewable {
        return Ok(Turn::Over);
    }
    let Some(row) = row_of(tx, id)? else { return Ok(Turn::Over) };
    let now = UnixMillis::now();
    let (holder, until): (Option<String>, u64) = tx
        .prepare_cached("SELECT lease_owner, lease_until FROM oauth_accounts WHERE row = ?1")?
        .query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let until = UnixMillis(until);
    // One that ends later than any may is of a clock that was wrong.
    if holder.is_some_and(|holder| holder != owner) && now < until && until <= now + time {
        return Ok(Turn::Anothers { until });
    }
    let Some((_, grant)) = grant(tx, sealer, id)? else { return Ok(Turn::Over) };
    tx.prepare_cached("UPDATE oauth_accounts SET lease_owner = ?2, lease_until = ?3 WHERE row = ?1")?.execute((
        row,
        owner,
        (now + time).0,
    ))?;
    Ok(Turn::Yours { account, grant })
}

/// Keeps a grant in place of that generation.
pub(crate) fn keep_grant(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    id: &str,
    generation: u64,
    grant: &Grant,
) -> Result<bool, Failure> {
    match find(tx, id)? {
        Some(account) if account.generation == generation => {
            let Some(row) = row_of(tx, id)? else { return Ok(false) };
            put(tx, sealer, row, grant)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Notes a renewal that failed.
pub(crate) fn fail_renewal(
    tx: &Transaction<'_>,
    id: &str,
    generation: u64,
    owner: &str,
    code: &str,
    ended: bool,
) -> Result<bool, Failure> {
    let changed = tx
        .prepare_cached(
            "UPDATE oauth_accounts SET error = ?3, ended_at = CASE WHEN ?4 THEN coalesce(ended_at, ?5) ELSE ended_at \
             END, lease_until = CASE WHEN lease_owner = ?6 THEN 0 ELSE lease_until END, lease_owner = CASE WHEN \
             lease_owner = ?6 THEN NULL ELSE lease_owner END WHERE provider || '-' || row = ?1 AND generation = ?2",
        )?
        .execute((id, generation, code, ended, UnixMillis::now().0, owner))?;
    Ok(changed > 0)
}

#[cfg(test)]
mod tests {
    use bg_store::{Accounts as _, Tenancy};
    use serde_json::Map;

    use super::*;
    use crate::{SqliteOptions, SqliteStore};

    #[tokio::test]
    async fn no_secret_of_an_account_or_a_client_is_in_the_file_and_none_is_read_in_another_row() {
        let attempt = bg_abuse::Attempt::begin("secrets", "of accounts: in the database, or moved to another row");
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("a.db");
        let options =
            SqliteOptions { database: database.clone(), secrets_key: None, tenancy: Tenancy::default(), owner: None };
        let store = SqliteStore::open(options).unwrap();
        let secret = |text: &str| Secret::new(format!("{text}-SECRET"));
        let (provider, id) = ("google".to_owned(), "an-id".to_owned());
        let client = OAuthClient { provider, id, secret: Some(secret("client")), set_at: UnixMillis(1) };
        store.set_client(client).await.unwrap();
        for subject in ["ann", "bob"] {
            let grant = Grant {
                access_token: secret("access"),
                refresh_token: Some(secret("refresh")),
                token_type: "Bearer".into(),
                expires_in: None,
                expires_at: None,
                scopes: vec!["a-scope".into()],
                user: Map::new(),
            };
            let (provider, subject) = ("google".to_owned(), subject.to_owned());
            let sign_in = SignIn { provider, label: subject.clone(), subject, client: "an-id".into(), grant };
            store.sign_in(sign_in).await.unwrap();
        }
        let count = |needle: &str| {
            let files = std::fs::read_dir(dir.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
            files.map(|bytes| bytes.windows(needle.len()).filter(|at| *at == needle.as_bytes()).count()).sum::<usize>()
        };
        assert_eq!(count("SECRET"), 0);
        assert!(count("a-scope") > 0, "what is not secret is found by the same search");
        let other = rusqlite::Connection::open(&database).unwrap();
        let moved =
            "UPDATE oauth_accounts SET \"grant\" = (SELECT \"grant\" FROM oauth_accounts WHERE subject = 'bob')";
        other.execute(moved, []).unwrap();
        let error = store.grant("google-1").await.unwrap_err().to_string();
        assert!(error.contains("what is sealed for 1 in oauth_accounts is damaged"), "{error}");
        assert!(store.grant("google-2").await.unwrap().is_some());
        attempt.ended("sealed in its place");
    }
}
