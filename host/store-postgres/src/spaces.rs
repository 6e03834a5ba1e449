//! Spaces: their access lists, their names, and what is kept in them.

use bg_charm_api::{AccessLevel, Acl, SpaceSummary, Subject};
use bg_identity::{Did, Identity, SpaceDid, SpaceReader};
use bg_seal::Key;
use bg_store::{Holding, Listed, key_of_space, sound};
use tokio_postgres::Row;

use super::access;
use super::error::Failure;
use super::session::Session;
use super::values::{Columns as _, said, text, texts};

/// Creates a space with that access list, and that maker, unless it is there.
pub(crate) async fn create(
    session: &Session,
    space: &SpaceDid,
    acl: &Acl,
    creator: Option<&Did>,
) -> Result<(), Failure> {
    let insert = "INSERT INTO spaces (did, created_at) VALUES ($1, bg_now()) ON CONFLICT DO NOTHING";
    if session.execute(insert, &[&text(space.as_str())]).await? == 0 {
        return Ok(());
    }
    let subjects: Vec<String> = acl.0.keys().map(ToString::to_string).collect();
    let (subjects, levels) =
        (texts(subjects.iter().map(String::as_str)), texts(acl.0.values().map(|level| level.as_str())));
    let insert = "INSERT INTO acl (space, subject, level) SELECT $1, * FROM unnest($2::text[], $3::text[])";
    session.execute(insert, &[&text(space.as_str()), &subjects, &levels]).await?;
    if let Some(creator) = creator {
        let update = "UPDATE holdings SET creator = $2 WHERE space = $1";
        session.execute(update, &[&text(space.as_str()), &text(creator.as_str())]).await?;
    }
    Ok(())
}

/// The access list of a space; empty if there is no such space.
pub(crate) async fn acl(session: &Session, space: &SpaceDid) -> Result<Acl, Failure> {
    let select = "SELECT ARRAY (SELECT subject || ' ' || level FROM acl WHERE space = $1)";
    let row = session.query_one(select, &[&text(space.as_str())]).await?;
    row.map_or(Ok(Acl::default()), |row| access::acl(&row.texts(0)?, space))
}

/// Whether the access list of a space names that subject, and how many it names.
pub(crate) async fn subjects(session: &Session, space: &SpaceDid, subject: &Subject) -> Result<(bool, u64), Failure> {
    let select = "SELECT coalesce(bool_or(subject = $2), FALSE), count(*) FROM acl WHERE space = $1";
    let row = session.query_one(select, &[&text(space.as_str()), &text(&subject.to_string())]).await?;
    row.map_or(Ok((false, 0)), |row| Ok((row.column(0)?, row.unsigned(1)?)))
}

/// Gives a subject a level, or nothing, in place of what it had.
pub(crate) async fn set_acl(
    session: &Session,
    space: &SpaceDid,
    subject: &Subject,
    level: Option<AccessLevel>,
) -> Result<(), Failure> {
    let subject = subject.to_string();
    let (space, subject) = (text(space.as_str()), text(&subject));
    match level {
        Some(level) => {
            let upsert = "INSERT INTO acl (space, subject, level) VALUES ($1, $2, $3) ON CONFLICT (space, subject) DO \
                          UPDATE SET level = excluded.level";
            session.execute(upsert, &[&space, &subject, &text(level.as_str())]).await?
        }
        None => session.execute("DELETE FROM acl WHERE space = $1 AND subject = $2", &[&space, &subject]).await?,
    };
    Ok(())
}

/// What is kept in a space; nothing if it is not there.
pub(crate) async fn holding(session: &Session, space: &SpaceDid) -> Result<Holding, Failure> {
    let select = "SELECT creator, charms, bytes FROM holdings WHERE space = $1";
    let row = session.query_one(select, &[&text(space.as_str())]).await?;
    row.map_or(Ok(Holding::default()), |row| {
        Ok(Holding { creator: row.optional_text(0)?, charms: row.unsigned(1)?, bytes: row.unsigned(2)? })
    })
}

/// How many spaces a key has made, and how many bytes they take.
pub(crate) async fn kept_by(session: &Session, creator: &str) -> Result<(u64, u64), Failure> {
    let select = "SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM holdings WHERE creator = $1";
    let row = session.query_one(select, &[&text(creator)]).await?;
    row.map_or(Ok((0, 0)), |row| Ok((row.unsigned(0)?, row.unsigned(1)?)))
}

const OPENS_SPACES: &str = "opens_spaces";

/// Notes whether anyone who signs may write in new spaces.
pub(crate) async fn set_opens_spaces(session: &Session, opens: bool) -> Result<(), Failure> {
    let upsert = "INSERT INTO meta (key, number) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET number = \
                  excluded.number WHERE meta.number <> excluded.number";
    session.execute(upsert, &[&text(OPENS_SPACES), &i64::from(opens)]).await?;
    Ok(())
}

/// Whether anyone who signs may write in new spaces, as the last server had it; as in the original where there was
/// none.
pub(crate) async fn opens_spaces(session: &Session) -> Result<bool, Failure> {
    let row = session.query_one("SELECT number FROM meta WHERE key = $1", &[&text(OPENS_SPACES)]).await?;
    row.map_or(Ok(true), |row| Ok(row.column::<i64>(0)? != 0))
}

/// Spaces, oldest first.
pub(crate) async fn list(session: &Session, listed: &Listed<'_>) -> Result<Vec<SpaceSummary>, Failure> {
    let select = "SELECT s.did, n.name, h.charms, h.bytes, a.level FROM spaces s LEFT JOIN holdings h ON h.space = s.did \
                  LEFT JOIN space_names n ON n.space = s.did LEFT JOIN acl a ON a.space = s.did AND a.subject = '*' WHERE";
    let order = "ORDER BY s.created_at, s.did";
    let rows = match listed {
        Listed::All => session.query(&format!("{select} TRUE {order}"), &[]).await?,
        Listed::Of(did) => {
            let condition = "s.did IN (SELECT space FROM holdings WHERE creator = $1 UNION SELECT space FROM acl WHERE \
                             subject = $1 AND level = 'OWNER')";
            session.query(&format!("{select} {condition} {order}"), &[&text(did.as_str())]).await?
        }
        Listed::Named { owner, name } => {
            let condition = "n.owner = $1 AND n.name = $2";
            session.query(&format!("{select} {condition} {order}"), &[&text(owner), &text(name)]).await?
        }
    };
    let (mut spaces, mut reader) = (Vec::new(), SpaceReader::default());
    for row in &rows {
        spaces.extend(sound(summary(row, &mut reader), || "the list of spaces".to_owned())?);
    }
    Ok(spaces)
}

fn summary(row: &Row, spaces: &mut SpaceReader) -> Result<SpaceSummary, Failure> {
    Ok(SpaceSummary {
        space: row.parse(0, |text| spaces.read(text).ok())?,
        name: row.optional_text(1)?,
        charms: row.unsigned(2)?,
        bytes: row.unsigned(3)?,
        anyone: row.parse_optional(4, said)?,
    })
}

/// The keys that may write to a space by their own names, other than those of `*`.
pub(crate) async fn writers(session: &Session, space: &SpaceDid) -> Result<Vec<Did>, Failure> {
    let acl = acl(session, space).await?;
    let writers = acl.0.into_iter().filter(|(_, level)| *level >= AccessLevel::Write);
    Ok(writers.filter_map(|(subject, _)| if let Subject::Did(did) = subject { Some(did) } else { None }).collect())
}

/// Gives a new space its name, and keeps its key, sealed.
pub(crate) async fn name(
    session: &Session,
    key: &Key,
    owner: &str,
    name: &str,
    identity: &Identity,
) -> Result<(), Failure> {
    let space = SpaceDid::from(identity.did());
    let (charm, cell) = key_of_space(&space);
    let document = key.seal(&charm, cell, &identity.to_pem())?;
    let insert = "INSERT INTO space_names (owner, name, space, key) VALUES ($1, $2, $3, $4)";
    session.execute(insert, &[&text(owner), &text(name), &text(space.as_str()), &document]).await?;
    Ok(())
}
