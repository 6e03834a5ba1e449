//! What is in the database, and how databases of earlier versions are brought up to date.
//!
//! Several hosts use one database, and are upgraded one after another. So a change of the schema has two parts. The
//! first, *expand*, adds what the new version needs, such that the version before works as before; the first host of
//! the new version makes it. The second, *contract*, takes away what the version before needed; `database finish`
//! makes it, once all hosts are of the new version. The database notes how far it is, and the oldest format of a
//! version that may use it: a version that is older refuses to.

use super::error::{Failure, OpenError};
use super::session::{Database, Locks, Session};
use super::target::Target;
use super::values::{Columns as _, number, text};

/// The oldest PostgreSQL that has all that the statements need.
const OLDEST: u32 = 15;

/// How often a look finds that a newer version has changed the format.
pub(crate) const NEWER: &str =
    "a newer bg-wasm-host has changed its format in a way that this version does not know; use the newer version";

/// One change of the schema.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    /// Adds what is new. The version before does not notice.
    expand: &'static str,
    /// Takes away what is old. Nothing for the first, and where nothing is.
    contract: Option<&'static str>,
}

/// All changes. A database's format is the number of those whose `expand` it has seen. What has been released is never
/// edited, only added to.
pub(crate) const CHANGES: &[Change] = &[Change {
    expand: concat!(
        include_str!("schema/first.sql"),
        include_str!("schema/schedule.sql"),
        include_str!("schema/accounts.sql")
    ),
    contract: None,
}];

/// How far a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// How many changes were expanded.
    pub(crate) expanded: i64,
    /// How many were contracted.
    pub(crate) contracted: i64,
    /// The format that a version must know that uses it.
    pub(crate) needed: i64,
}

/// What a database is, before anything is changed in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing yet.
    Empty,
    /// One of ours.
    Ours(Format),
    /// Something else, with a table of that name.
    Foreign(String),
}

/// Fails unless the server is one that works with this.
pub(crate) async fn check_server(session: &Session, target: &Target) -> Result<(), OpenError> {
    let unusable =
        |failure: Failure| OpenError::Unusable { database: target.to_string(), problem: failure.to_string() };
    let row = session
        .query_one(
            "SELECT current_setting('server_version_num')::bigint, current_setting('server_version'), \
             current_setting('server_encoding')",
            &[],
        )
        .await
        .map_err(unusable)?
        .ok_or_else(|| unusable(Failure::NoConnection("it does not say which version it is".to_owned())))?;
    let (version, name, encoding) =
        (row.unsigned::<u32>(0).map_err(unusable)?, row.text(1).map_err(unusable)?, row.text(2).map_err(unusable)?);
    if version / 10_000 < OLDEST {
        return Err(OpenError::TooOld { database: target.to_string(), found: name, needed: OLDEST });
    }
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { database: target.to_string(), found: encoding });
    }
    Ok(())
}

/// Looks into the database without changing it.
pub(crate) async fn inspect(session: &Session) -> Result<Found, Failure> {
    let ours = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'bg_wasm_host'";
    if session.exists(ours, &[]).await? {
        let row = session.query_one("SELECT expanded, contracted, needed FROM bg_wasm_host", &[]).await?;
        let row = row.ok_or_else(|| Failure::NoConnection("its table bg_wasm_host is empty".to_owned()))?;
        return Ok(Found::Ours(Format {
            expanded: row.column(0)?,
            contracted: row.column(1)?,
            needed: row.column(2)?,
        }));
    }
    let other = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1 LIMIT 1";
    match session.query_one(other, &[]).await? {
        Some(row) => Ok(Found::Foreign(row.text(0)?)),
        None => Ok(Found::Empty),
    }
}

/// What [`migrate`] may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    /// Expand a database of ours.
    Expand,
    /// Make an empty one ours, too.
    Create,
    /// Contract one of ours: all hosts are of this version.
    Contract,
}

/// Brings a database to the newest format: wholly, or not at all.
pub(crate) async fn migrate(
    database: &std::sync::Arc<Database>,
    target: &Target,
    changes: &[Change],
    may: May,
) -> Result<Format, OpenError> {
    let unusable = |failure: Failure| match failure {
        Failure::Key(error) => OpenError::Key(error),
        other => OpenError::Unusable { database: target.to_string(), problem: other.to_string() },
    };
    let mut session = database.session().await.map_err(unusable)?;
    check_server(&session, target).await?;
    // No write goes on meanwhile, and no other host does the same.
    session.begin(&Locks::Everything).await.map_err(unusable)?;
    let known = number(changes.len() as u64);
    let found = inspect(&session).await.map_err(unusable)?;
    let mut format = match found {
        Found::Foreign(found) => return Err(OpenError::Foreign { database: target.to_string(), found }),
        Found::Empty if may != May::Create => return Err(OpenError::Empty { database: target.to_string() }),
        Found::Empty => Format { expanded: 0, contracted: 0, needed: 0 },
        Found::Ours(format) if format.needed > known => {
            return Err(OpenError::Newer { database: target.to_string(), needed: format.needed, known });
        }
        Found::Ours(format) => format,
    };
    let before = format;
    let from = usize::try_from(format.expanded).unwrap_or(usize::MAX);
    for change in changes.iter().skip(from) {
        session.run(change.expand).await.map_err(unusable)?;
        format.expanded += 1;
    }
    if may == May::Contract {
        let from = usize::try_from(format.contracted).unwrap_or(usize::MAX);
        for (at, change) in changes.iter().enumerate().skip(from) {
            if let Some(contract) = change.contract {
                session.run(contract).await.map_err(unusable)?;
                format.needed = number(at as u64 + 1);
            }
            format.contracted = number(at as u64 + 1);
        }
    }
    if format.needed == 0 {
        // One that was just made has nothing of an earlier version's.
        format = Format { expanded: format.expanded, contracted: format.expanded, needed: 1 };
    }
    if format != before {
        let Format { expanded, contracted, needed } = format;
        let written = session
            .execute(
                "UPDATE bg_wasm_host SET expanded = $1, contracted = $2, needed = $3, made_by = coalesce(made_by, $4)",
                &[&expanded, &contracted, &needed, &text(env!("CARGO_PKG_VERSION"))],
            )
            .await;
        written.map_err(unusable)?;
    }
    session.commit().await.map_err(unusable)?;
    Ok(format)
}

#[cfg(test)]
mod tests;
