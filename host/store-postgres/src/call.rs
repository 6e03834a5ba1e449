//! What a call of a charm begins with.

use bg_charm_api::{AccessLevel, Actor};
use bg_poller::CharmRef;
use bg_seal::Key;
use bg_store::{Begun, CellTexts, KnownProgram, Look, StoredCharm, StoredProgram, refusals};

use super::access::{self, Found, Subjects, found, from};
use super::cells::{self, AT_ONCE, Cells, secret_texts_in, texts_of};
use super::charms;
use super::error::Failure;
use super::session::{Asked, Session};

/// One statement reads all that a call begins with, as it is at one moment.
const READ: &str = concat!("SELECT ", found!(), cells::columns!(), from!());

/// How often a charm is read that changes while it is read: its program and large cells take further statements.
const TRIES: usize = 8;

struct Read {
    found: Found,
    texts: Result<Option<CellTexts>, Failure>,
}

async fn read(session: &Session, key: &Key, actor: &Actor, charm: &CharmRef) -> Result<Read, Failure> {
    let subjects = Subjects::new(actor, &charm.space, Some(charm));
    let system = subjects.system();
    let mut params = subjects.params(&system).to_vec();
    params.push(&AT_ONCE);
    let row = session.all(&[Asked { sql: READ, params }]).await?.into_iter().flatten().next();
    let row = row.ok_or_else(|| Failure::NoConnection("a statement that has one row has none".to_owned()))?;
    let found = Found::of(&row, actor, &charm.space, Some(charm))?;
    let texts = texts_of(&row, access::COLUMNS, key, charm);
    Ok(Read { found, texts })
}

/// The program of a charm, unless the caller has it: none if it was replaced since the charm was read.
async fn program(
    session: &Session,
    charm: &StoredCharm,
    known: &KnownProgram,
) -> Result<Option<Option<StoredProgram>>, Failure> {
    match &charm.program {
        Some(digest) if known(digest) => Ok(Some(None)),
        _ => Ok(charms::program(session, charm).await?.map(Some)),
    }
}

/// All that a poll asks of a charm.
pub(crate) async fn look(
    session: &Session,
    key: &Key,
    actor: &Actor,
    charm: &CharmRef,
    known: &KnownProgram,
) -> Result<Look, Failure> {
    for _ in 0..TRIES {
        let Read { found, texts } = read(session, key, actor, charm).await?;
        let may_write = found.has(AccessLevel::Write).is_ok();
        let stored = found.with(AccessLevel::Read)?;
        if let Some(program) = program(session, &stored, known).await? {
            return Ok(Look { charm: stored, may_write, program, cells: texts.ok().flatten() });
        }
    }
    Err(changes_all_the_time(charm))
}

/// What a call for that stream begins with.
pub(crate) async fn begin(
    session: &Session,
    key: &Key,
    actor: &Actor,
    charm: &CharmRef,
    stream: &str,
    known: &KnownProgram,
) -> Result<Begun, Failure> {
    for _ in 0..TRIES {
        let Read { found, texts } = read(session, key, actor, charm).await?;
        let stored = found.with(AccessLevel::Write)?;
        if !stored.has_stream(stream) {
            return Err(refusals::no_stream(&stored, stream).into());
        }
        let texts = texts?;
        let Some(program) = program(session, &stored, known).await? else { continue };
        let secrets = if let Some(texts) = &texts {
            secret_texts_in(charm, &stored.secrets, texts)?
        } else {
            let secrets = Cells::of(session, key, &stored).secret_texts().await?;
            if !is_at(session, &stored).await? {
                continue;
            }
            secrets
        };
        return Ok(Begun { charm: stored, program, cells: texts, secrets });
    }
    Err(changes_all_the_time(charm))
}

fn changes_all_the_time(charm: &CharmRef) -> Failure {
    Failure::NoConnection(format!("{charm} was changed each of the {TRIES} times that it was read"))
}

/// Whether the cells are still those of the version that was read.
pub(crate) async fn is_at(session: &Session, charm: &StoredCharm) -> Result<bool, Failure> {
    session.exists("SELECT 1 FROM charms WHERE row = $1 AND version = $2", &[&charm.row, &charm.version]).await
}
