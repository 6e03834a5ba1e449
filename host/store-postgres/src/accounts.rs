//! Accounts at other services: clients, grants, and which charms have which.

use std::time::Duration;

use bg_charm_api::Actor;
use bg_identity::{Secret, SpaceReader};
use bg_poller::{CharmRef, RuntimeError, UnixMillis};
use bg_seal::Key;
use bg_store::{Account, CellEdit, Grant, Link, OAuthClient, SignIn, Turn, What, sound};
use tokio_postgres::Row;

use super::access::Found;
use super::charms::charm_ref;
use super::deploy::edit;
use super::error::Failure;
use super::session::{Locks, Session};
use super::tenants::Tenants;
use super::values::{Columns as _, Param, json, json_of, number, text};

const ACCOUNT: &str = "SELECT row, provider, subject, label, client, scopes, renewable, generation, signed_in_at, \
                       renewed_at, expires_at, ended_at, error FROM oauth_accounts";

const LINK: &str = "SELECT a.provider, l.account, c.space, c.id, l.cell, l.token_field, l.handle, l.written FROM oauth_links \
                    l JOIN oauth_accounts a ON a.row = l.account JOIN charms c ON c.row = l.charm";

/// What a write of accounts locks, beside the space of a charm: there are few, and each is written once an hour or so.
pub(crate) fn locks(charm: Option<&CharmRef>) -> Locks {
    let mut spaces = vec!["oauth accounts".to_owned()];
    spaces.extend(charm.map(|charm| charm.space.to_string()));
    Locks::Spaces { spaces, maker: None }
}

/// Where the secret of a client is sealed.
fn client_place(provider: &str) -> [&str; 3] {
    ["oauth_clients", provider, "secret"]
}

fn grant_place(row: &str) -> [&str; 3] {
    ["oauth_accounts", row, "grant"]
}

fn opened(key: &Key, place: [&str; 3], sealed: &[u8]) -> Result<Secret, Failure> {
    let [table, row, _] = place;
    let damaged = || Failure::Damaged(What::OfCharm(format!("what is sealed for {row} in {table}")));
    key.unseal_in(place, sealed).map(Secret::new).ok_or_else(damaged)
}

/// The name of the account in that row.
fn name(provider: &str, row: i64) -> String {
    format!("{provider}-{row}")
}

/// Sets the client for a provider.
pub(crate) async fn set_client(session: &Session, key: &Key, client: &OAuthClient) -> Result<(), Failure> {
    let provider = text(&client.provider);
    let sealed = client.secret.as_ref().map(|secret| key.seal_in(client_place(&client.provider), secret.expose()));
    let sealed = sealed.transpose()?;
    let upsert = "INSERT INTO oauth_clients (provider, id, secret, set_at) VALUES ($1, $2, $3, $4) ON CONFLICT (provider) \
                  DO UPDATE SET id = excluded.id, secret = excluded.secret, set_at = excluded.set_at";
    session.execute(upsert, &[&provider, &text(&client.id), &sealed, &number(client.set_at.0)]).await?;
    // What was refused for the sake of the client may be accepted now.
    let update = "UPDATE oauth_accounts SET error = NULL WHERE provider = $1 AND ended_at IS NULL";
    session.execute(update, &[&provider]).await?;
    Ok(())
}

/// The client for a provider.
pub(crate) async fn client(session: &Session, key: &Key, provider: &str) -> Result<Option<OAuthClient>, Failure> {
    let select = "SELECT id, set_at, secret FROM oauth_clients WHERE provider = $1";
    let Some(row) = session.query_one(select, &[&text(provider)]).await? else { return Ok(None) };
    let sealed: Option<Vec<u8>> = row.column(2)?;
    let secret = sealed.map(|sealed| opened(key, client_place(provider), &sealed)).transpose()?;
    Ok(Some(OAuthClient { provider: provider.to_owned(), id: row.text(0)?, secret, set_at: row.time(1)? }))
}

/// All clients, without their secrets.
pub(crate) async fn clients(session: &Session) -> Result<Vec<OAuthClient>, Failure> {
    let mut clients = Vec::new();
    for row in session.query("SELECT provider, id, set_at FROM oauth_clients ORDER BY provider", &[]).await? {
        let read = || {
            Ok::<_, Failure>(OAuthClient {
                provider: row.text(0)?,
                id: row.text(1)?,
                secret: None,
                set_at: row.time(2)?,
            })
        };
        clients.extend(sound(read(), || "the OAuth clients".to_owned())?);
    }
    Ok(clients)
}

/// All accounts, oldest first.
pub(crate) async fn all(session: &Session) -> Result<Vec<Account>, Failure> {
    selected(session, &format!("{ACCOUNT} ORDER BY row"), &[]).await
}

/// An account by its name.
pub(crate) async fn find(session: &Session, id: &str) -> Result<Option<Account>, Failure> {
    let select = format!("{ACCOUNT} WHERE provider || '-' || row = $1");
    Ok(selected(session, &select, &[&text(id)]).await?.into_iter().next())
}

async fn selected(session: &Session, select: &str, params: &[&dyn Param]) -> Result<Vec<Account>, Failure> {
    let mut accounts = Vec::new();
    for row in session.query(select, params).await? {
        let Some(mut account) = sound(account(&row), || "the accounts".to_owned())? else { continue };
        let number: i64 = row.column(0)?;
        account.links = links_that(session, "l.account = $1 ORDER BY c.space, c.id, l.cell", &[&number]).await?;
        accounts.push(account);
    }
    Ok(accounts)
}

fn account(row: &Row) -> Result<Account, Failure> {
    let provider = row.text(1)?;
    let time = |index: usize| row.column::<Option<i64>>(index)?.map(|_| row.time(index)).transpose();
    Ok(Account {
        id: name(&provider, row.column(0)?),
        provider,
        subject: row.text(2)?,
        label: row.text(3)?,
        client: row.text(4)?,
        scopes: row.parse(5, json_of)?,
        is_renewable: row.column(6)?,
        generation: row.unsigned(7)?,
        signed_in_at: row.time(8)?,
        renewed_at: row.time(9)?,
        expires_at: time(10)?,
        ended_at: time(11)?,
        error: row.optional_text(12)?,
        links: Vec::new(),
    })
}

/// The row of an account; none if there is none.
async fn row_of(session: &Session, id: &str) -> Result<Option<i64>, Failure> {
    let select = "SELECT row FROM oauth_accounts WHERE provider || '-' || row = $1";
    session.query_one(select, &[&text(id)]).await?.map(|row| row.column(0)).transpose()
}

/// What an account has, with its generation.
pub(crate) async fn grant(session: &Session, key: &Key, id: &str) -> Result<Option<(u64, Grant)>, Failure> {
    let select = "SELECT row, generation, sealed FROM oauth_accounts WHERE provider || '-' || row = $1";
    let Some(row) = session.query_one(select, &[&text(id)]).await? else { return Ok(None) };
    let (number, sealed): (i64, Vec<u8>) = (row.column(0)?, row.column(2)?);
    let grant = Grant::parse(opened(key, grant_place(&number.to_string()), &sealed)?.expose());
    let grant = grant.ok_or_else(|| Failure::Damaged(What::OfCharm(format!("the grant of the account {id}"))))?;
    Ok(Some((row.unsigned(1)?, grant)))
}

/// Puts a grant in the place of the one that is there. The renewal of that one is over.
async fn put(session: &Session, key: &Key, row: i64, grant: &Grant) -> Result<(), Failure> {
    let sealed = key.seal_in(grant_place(&row.to_string()), grant.text().expose())?;
    let expires_at = grant.expires_at.map(|at| number(at.0));
    let update = "UPDATE oauth_accounts SET sealed = $2, scopes = $3, renewable = $4, expires_at = $5, renewed_at = \
                  bg_now(), generation = generation + 1, ended_at = NULL, error = NULL, lease_owner = NULL, lease_until = \
                  0 WHERE row = $1";
    let scopes = json(&grant.scopes)?;
    session.execute(update, &[&row, &sealed, &text(&scopes), &grant.refresh_token.is_some(), &expires_at]).await?;
    Ok(())
}

/// Keeps a sign-in.
pub(crate) async fn sign_in(session: &Session, key: &Key, sign_in: &SignIn) -> Result<Account, Failure> {
    let gone = || Failure::Damaged(What::OfCharm("the account that was just stored".to_owned()));
    let upsert = "INSERT INTO oauth_accounts (provider, subject, label, client, scopes, sealed, renewable, generation, \
                  signed_in_at, renewed_at) SELECT $1, $2, $3, $4, '[]', '', FALSE, 0, now, now FROM bg_now() AS now ON \
                  CONFLICT (provider, subject) DO UPDATE SET label = excluded.label, client = excluded.client, \
                  signed_in_at = excluded.signed_in_at RETURNING row";
    let SignIn { provider, subject, label, client, grant } = sign_in;
    let row = session.query_one(upsert, &[&text(provider), &text(subject), &text(label), &text(client)]).await?;
    let row: i64 = row.ok_or_else(gone)?.column(0)?;
    put(session, key, row, grant).await?;
    find(session, &name(provider, row)).await?.ok_or_else(gone)
}

/// Removes an account with its links.
pub(crate) async fn remove(session: &Session, id: &str) -> Result<bool, Failure> {
    let Some(row) = row_of(session, id).await? else { return Ok(false) };
    Ok(session.execute("DELETE FROM oauth_accounts WHERE row = $1", &[&row]).await? > 0)
}

/// The links of a charm.
pub(crate) async fn links(session: &Session, charm: &CharmRef) -> Result<Vec<Link>, Failure> {
    let (space, id) = (text(charm.space.as_str()), text(charm.charm.as_str()));
    links_that(session, "c.space = $1 AND c.id = $2 ORDER BY l.cell", &[&space, &id]).await
}

/// The link with that handle.
pub(crate) async fn link_by_handle(session: &Session, handle: [u8; 32]) -> Result<Option<Link>, Failure> {
    Ok(links_that(session, "l.handle = $1", &[&handle.to_vec()]).await?.into_iter().next())
}

async fn links_that(session: &Session, condition: &str, params: &[&dyn Param]) -> Result<Vec<Link>, Failure> {
    let (mut spaces, mut links) = (SpaceReader::default(), Vec::new());
    for row in session.query(&format!("{LINK} WHERE {condition}"), params).await? {
        links.extend(sound(link(&row, &mut spaces), || "the links of accounts".to_owned())?);
    }
    Ok(links)
}

fn link(row: &Row, spaces: &mut SpaceReader) -> Result<Link, Failure> {
    let handle: Vec<u8> = row.column(6)?;
    Ok(Link {
        account: name(&row.text(0)?, row.column(1)?),
        charm: charm_ref(row, 2, spaces)?,
        cell: row.text(4)?,
        token_field: row.text(5)?,
        handle: handle.try_into().map_err(|_| row.bad(6, "no digest"))?,
        written: row.unsigned(7)?,
    })
}

/// Links a charm's cell to an account.
pub(crate) async fn attach(
    session: &mut Session,
    key: &Key,
    tenants: &Tenants,
    link: &Link,
    cell: CellEdit,
) -> Result<(), Failure> {
    let Some(account) = row_of(session, &link.account).await? else {
        let text = format!("there is no account {}; `bg-wasm-host oauth accounts` lists all", link.account);
        return Err(RuntimeError::Invalid(text).into());
    };
    let charm = Found::charm(session, &Actor::Operator, &link.charm).await?.any()?.row;
    let handle = link.handle.to_vec();
    // In place of another link of the cell, and of the one that has this handle.
    session.execute("DELETE FROM oauth_links WHERE handle = $1", &[&handle]).await?;
    let upsert = "INSERT INTO oauth_links (charm, cell, account, token_field, handle, written) VALUES ($1, $2, $3, $4, $5, \
                  $6) ON CONFLICT (charm, cell) DO UPDATE SET account = excluded.account, token_field = \
                  excluded.token_field, handle = excluded.handle, written = excluded.written";
    let (name, field) = (text(&link.cell), text(&link.token_field));
    session.execute(upsert, &[&charm, &name, &account, &field, &handle, &number(link.written)]).await?;
    edit(session, key, tenants, &Actor::Operator, &link.charm, cell).await
}

/// Edits the cell of a link, and notes what is in it.
pub(crate) async fn fill(
    session: &mut Session,
    key: &Key,
    tenants: &Tenants,
    link: &Link,
    generation: u64,
    cell: CellEdit,
) -> Result<(), Failure> {
    let update = "UPDATE oauth_links SET written = greatest(written, $2) WHERE handle = $1";
    if session.execute(update, &[&link.handle.to_vec(), &number(generation)]).await? == 0 {
        let text = format!("the cell {} of {} is not linked to that account any more", link.cell, link.charm);
        return Err(RuntimeError::Invalid(text).into());
    }
    edit(session, key, tenants, &Actor::Operator, &link.charm, cell).await
}

/// Removes a link, and edits its cell.
pub(crate) async fn detach(
    session: &mut Session,
    key: &Key,
    tenants: &Tenants,
    link: &Link,
    cell: CellEdit,
) -> Result<(), Failure> {
    if session.execute("DELETE FROM oauth_links WHERE handle = $1", &[&link.handle.to_vec()]).await? == 0 {
        return Ok(());
    }
    edit(session, key, tenants, &Actor::Operator, &link.charm, cell).await
}

/// Begins a renewal. No other transaction writes accounts meanwhile, in all processes.
pub(crate) async fn take_renewal(
    session: &Session,
    key: &Key,
    id: &str,
    generation: u64,
    owner: &str,
    time: Duration,
) -> Result<Turn, Failure> {
    let Some(account) = find(session, id).await? else { return Ok(Turn::Over) };
    if account.generation != generation || account.ended_at.is_some() || !account.is_renewable {
        return Ok(Turn::Over);
    }
    let select = "SELECT row, lease_owner, lease_until FROM oauth_accounts WHERE provider || '-' || row = $1";
    let Some(row) = session.query_one(select, &[&text(id)]).await? else { return Ok(Turn::Over) };
    let (number_of, holder, until): (i64, Option<String>, UnixMillis) =
        (row.column(0)?, row.optional_text(1)?, UnixMillis(row.unsigned(2)?));
    let now = UnixMillis::now();
    // One that ends later than any may is of a clock that was wrong.
    if holder.is_some_and(|holder| holder != owner) && now < until && until <= now + time {
        return Ok(Turn::Anothers { until });
    }
    let Some((_, grant)) = grant(session, key, id).await? else { return Ok(Turn::Over) };
    let update = "UPDATE oauth_accounts SET lease_owner = $2, lease_until = $3 WHERE row = $1";
    session.execute(update, &[&number_of, &text(owner), &number((now + time).0)]).await?;
    Ok(Turn::Yours { account, grant })
}

/// Keeps a grant in place of that generation.
pub(crate) async fn keep_grant(
    session: &Session,
    key: &Key,
    id: &str,
    generation: u64,
    grant: &Grant,
) -> Result<bool, Failure> {
    let select = "SELECT row FROM oauth_accounts WHERE provider || '-' || row = $1 AND generation = $2";
    let Some(row) = session.query_one(select, &[&text(id), &number(generation)]).await? else { return Ok(false) };
    put(session, key, row.column(0)?, grant).await?;
    Ok(true)
}

/// Notes a renewal that failed.
pub(crate) async fn fail_renewal(
    session: &Session,
    id: &str,
    generation: u64,
    owner: &str,
    code: &str,
    ended: bool,
) -> Result<bool, Failure> {
    let update = "UPDATE oauth_accounts SET error = $3, ended_at = CASE WHEN $4 THEN coalesce(ended_at, bg_now()) ELSE \
                  ended_at END, lease_until = CASE WHEN lease_owner = $5 THEN 0 ELSE lease_until END, lease_owner = CASE \
                  WHEN lease_owner = $5 THEN NULL ELSE lease_owner END WHERE provider || '-' || row = $1 AND generation = \
                  $2";
    let params: [&dyn Param; 5] = [&text(id), &number(generation), &text(code), &ended, &text(owner)];
    Ok(session.execute(update, &params).await? > 0)
}
