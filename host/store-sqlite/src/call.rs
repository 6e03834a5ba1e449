//! Calls of charms: what they begin with, and what is kept of them.

use bg_charm_api::{AccessLevel, Actor};
use bg_poller::{CharmRef, LogLine, Outcome, RuntimeError};
use bg_store::{Begun, Cause, Excess, Finished, KnownProgram, Look, StoredCharm, StoredProgram, redact, refusals};
use rusqlite::Transaction;

use super::cells::secret_texts_in;
use super::quota::Sizes;
use super::tenancy::Tenants;
use super::{Cells, Failure, Sealer, access, charms, logs, programs, registrations, runs};

/// All that a poll asks of a charm.
pub(crate) fn look(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    actor: &Actor,
    charm: &CharmRef,
    known: &KnownProgram,
) -> Result<Look, Failure> {
    let (stored, acl) = access::charm_and_acl(tx, actor, charm, AccessLevel::Read)?;
    let program = program(tx, &stored, known)?;
    let cells = Cells::of(tx, sealer, &stored).texts().ok().flatten();
    let may_write = acl.check(&charm.space, actor, AccessLevel::Write).is_ok();
    Ok(Look { charm: stored, may_write, program, cells })
}

/// What a call for that stream begins with.
pub(crate) fn begin(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    actor: &Actor,
    charm: &CharmRef,
    stream: &str,
    known: &KnownProgram,
) -> Result<Begun, Failure> {
    let stored = access::charm(tx, actor, charm, AccessLevel::Write)?;
    if !stored.has_stream(stream) {
        return Err(refusals::no_stream(&stored, stream).into());
    }
    let program = program(tx, &stored, known)?;
    let cells = Cells::of(tx, sealer, &stored);
    let texts = cells.texts()?;
    let secrets = match &texts {
        None => cells.secret_texts()?,
        Some(texts) => secret_texts_in(charm, &stored.secrets, texts)?,
    };
    Ok(Begun { charm: stored, program, cells: texts, secrets })
}

fn program(tx: &Transaction<'_>, charm: &StoredCharm, known: &KnownProgram) -> Result<Option<StoredProgram>, Failure> {
    match &charm.program {
        Some(digest) if known(digest) => Ok(None),
        _ => programs::program(tx, charm.row).map(Some),
    }
}

/// Keeps writes, run and state together. None if the cells were changed meanwhile: then nothing is kept.
pub(crate) fn keep(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    tenants: &Tenants,
    finished: Finished,
) -> Result<Option<Outcome>, Failure> {
    let Finished { charm, mut run, writes, mut log, cause, runs_kept } = finished;
    let charm = &*charm;
    if !charms::is_there(tx, charm.row)? {
        // It was deleted while the handler ran. One that was deployed since is another charm.
        return Err(RuntimeError::NotFound(charm.summary.charm.clone()).into());
    }
    let cells = Cells::of(tx, sealer, charm);
    let mut secrets = Vec::new();
    if !run.outcome.is_success() || !run.outcome.servers.is_empty() || !log.is_empty() {
        // It may quote what it replaces, as well as what it writes.
        secrets = cells.secrets()?;
        let written = secret_texts_in(&charm.summary.charm, &charm.secrets, &writes)?;
        secrets.extend(written.into_iter().map(|secret| secret.text));
    }
    let bounds = tenants.bounds(tx, &charm.summary.charm.space)?;
    let mut version = charm.version;
    if !writes.is_empty() {
        let sizes = Sizes::of(tx, charm.row, &writes)?;
        let excess = match sizes.excess(tx)? {
            None => tenants.excess(tx, &bounds, &sizes)?,
            Some(excess) => Some(Excess::of_charm(excess)),
        };
        if let Some(excess) = excess {
            run.outcome = excess.into_outcome();
        } else if charms::advance(tx, charm.row, charm.version)? {
            cells.set(&writes)?;
            version += 1;
        } else {
            return Ok(None);
        }
    }
    if run.outcome.is_success() && !charm.changed.is_empty() {
        charms::followed(tx, charm.row, version)?;
    }
    if !run.outcome.is_success() || !run.outcome.servers.is_empty() {
        run.outcome = redact::redact(run.outcome, &secrets);
    }
    redact::lines(&mut log, &secrets);
    tenants.trim(tx, &bounds, &mut run, &mut log)?;
    runs::add(tx, charm.row, &run, runs_kept)?;
    logs::add(tx, charm.row, &log)?;
    if cause != Cause::Poll && run.outcome.is_success() {
        // Its polls may have waited for this.
        registrations::cells_changed(tx, charm.row)?;
    }
    match cause {
        Cause::Poll | Cause::Update => {
            registrations::note_run(tx, charm.row, &run)?;
            // What it waits for may have come after its cells were read, which may be before it started.
            if run.outcome.consequence().awaits_a_fix() && charms::is_changed_by_others(tx, charm)? {
                registrations::cells_changed(tx, charm.row)?;
            }
        }
        // It is not a poll: an owed poll stays owed, and a waiting charm keeps waiting.
        Cause::Somebody => {
            registrations::count_run(tx, charm.row, &run)?;
        }
    }
    Ok(Some(run.outcome))
}

/// Keeps lines of a charm's `setup`, without what is secret by now: it may have logged a token that it only then wrote to
/// its cells.
pub(crate) fn keep_lines(
    tx: &Transaction<'_>,
    cells: &Cells<'_>,
    row: i64,
    mut lines: Vec<LogLine>,
) -> Result<(), Failure> {
    if !lines.is_empty() {
        redact::lines(&mut lines, &cells.secrets()?);
    }
    logs::add(tx, row, &lines)
}
